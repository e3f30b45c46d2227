// Growing text, for the lines that the client writes. One thread at a time. A failed allocation is
// remembered and everything after it is ignored, so that only the end result needs a check.
// Decimal points are those of the calling thread's locale: write numbers under the "C" locale.
#ifndef CLIENTS_C_TEXT_H
#define CLIENTS_C_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pyr_text {
    char *data; // length bytes, not NUL-terminated
    size_t length, capacity;
    bool failed; // an allocation did
};

void pyr_text_free(struct pyr_text *t);
void pyr_text_add(struct pyr_text *t, const char *bytes, size_t n);
void pyr_text_literal(struct pyr_text *t, const char *text); // as it stands
void pyr_text_string(struct pyr_text *t, const char *text);  // quoted and escaped for JSON
// As seconds; in any locale.
void pyr_text_microseconds(struct pyr_text *t, int64_t us);
void pyr_text_integer(struct pyr_text *t, int64_t x);
void pyr_text_unsigned(struct pyr_text *t, uint64_t x);
// The shortest of 15, 16 and 17 digits that reads back to the same bits; the protocol's strings for
// the non-finite; null for not measured.
void pyr_text_number(struct pyr_text *t, double x);
// `,"key":`, without the comma right after an opening brace.
void pyr_text_key(struct pyr_text *t, const char *key);

#endif
