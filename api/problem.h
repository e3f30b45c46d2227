// Errors as RFC 9457 has them.
#ifndef API_PROBLEM_H
#define API_PROBLEM_H

#include "base/buf.h"

// The reason phrase of a status that this API sends.
const char *problem_title(unsigned status);
// Appends {"type","title","status","detail","instance"}. Invalid UTF-8 becomes question marks.
void problem_print(struct buf *out, unsigned status, const char *detail, const char *instance);

#endif
