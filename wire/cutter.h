// Cuts what a connection brings into messages: lines, and frames among them, told apart by the
// first byte. A message that is whole in what was read is handed out in place; only one that is
// torn over several reads is copied.
#ifndef WIRE_CUTTER_H
#define WIRE_CUTTER_H

#include "base/buf.h"
#include "wire/json.h"

#include <stddef.h>

enum cut {
    CUT_MORE,          // nothing is whole; all bytes were taken
    CUT_LINE,          // without its line end
    CUT_FRAME,         // whole, with its header
    CUT_TOO_LARGE,     // longer than a message may be. Nothing behind it can be cut
    CUT_UNKNOWN_FRAME, // of a version whose length is not known here. Likewise
    CUT_NO_MEMORY      // for a torn message. Likewise
};

struct cutter {
    struct buf partial; // the beginning of a message whose end has not come
    bool handed_out;    // it is whole and was given to the caller
};

// max: the most bytes of a line without its end, or of a frame.
void cutter_init(struct cutter *c, size_t max);
void cutter_free(struct cutter *c);
// Takes the next message off the front of *bytes. *message is valid until the next call and as long
// as the bytes are.
enum cut cutter_next(struct cutter *c, struct slice *bytes, struct slice *message);

#endif
