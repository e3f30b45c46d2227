// What stands for a character where the terminal takes nothing but ASCII.
#ifndef CLI_ASCII_H
#define CLI_ASCII_H

#include <stdbool.h>
#include <wchar.h>

// Whether the user's locale (LC_ALL, LC_CTYPE, LANG, the first that is set) is of another charset
// than UTF-8. Where none is set the terminal is taken to know UTF-8, as nearly all do.
bool ascii_is_wanted(void);
// A look-alike of one column.
char ascii_for(wchar_t c);

#endif
