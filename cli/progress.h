// How far long work is: one line on standard error, written over itself, and only where that is a
// terminal. Every command that may take more than a moment has it.
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>

// Whether the line should be written now: at once, and then five times a second.
bool progress_due(void);
void progress_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Work that cannot tell how far it is: said at once, where it can be seen.
void progress_stage(const char *what);
// Wipes the line out, before anything else is written; what is due next is due at once.
void progress_clear(void);

#endif
