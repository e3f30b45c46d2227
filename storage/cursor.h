// Stored steps, or messages of scalars, of one attempt in the order of their steps, whether they
// stand in the journal or in segments. Inside storage/; others use storage/reader.h.
//
// A damaged segment costs its own steps: the cursor goes on behind it, and tells.
#ifndef STORAGE_CURSOR_H
#define STORAGE_CURSOR_H

#include "storage/blocks.h"
#include "storage/segment.h"
#include "storage/statement.h"
#include "wire/step.h"

struct step_cursor;

// kind: SEGMENT_STEPS or SEGMENT_MESSAGES. from..to inclusive. Several may be open at once.
int cursor_open(struct step_cursor **out, struct connection *c, struct codec *codec,
                enum segment_kind kind, int64_t attempt, int64_t from, int64_t to) WARN_UNUSED;

#endif
