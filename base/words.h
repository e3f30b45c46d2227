// Labels and annotations as texts: lines of KEY=VALUE, each with its newline. Neither keys nor
// values hold one, and keys no '='. Pure; any thread.
#ifndef BASE_WORDS_H
#define BASE_WORDS_H

#include <stddef.h>

// The key's value inside of `lines` (NULL: there are none) and its length. NULL: it is not there.
const char *words_find(const char *lines, const char *key, size_t key_len, size_t *len);

#endif
