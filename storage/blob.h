// A step as the journal keeps it: its columns one after another, little-endian, self-describing.
//
//   u8 version (1), u8 0, u16 columns, u16 scalars, u16 0, u32 layers, u32 0
//   f64 time, loss, lr, batch_size, loss_after, val_loss
//   a column:  u8 statistic's id with bit 7 set for float64, u8 bytes of name (0 for a known
//              statistic), the name
//   a scalar:  u8 bytes of name, the name, f64
//   the columns' values, float32 or float64, one a layer, unaligned, in the order of their heads
//
// A column is float32 where every value of it is one exactly, so that values come back bit for bit.
// 'Not measured' is 0x7FC0A0A7 in float32, as in the wire's frames.
#ifndef STORAGE_BLOB_H
#define STORAGE_BLOB_H

#include "base/buf.h"
#include "wire/step.h"

// Appends the step. False when the buffer's maximum or memory does not allow it.
bool blob_encode(const struct step *s, struct buf *out);
// Fills *out (step number and memory are the caller's to set up with step_init). False when the
// bytes are no step of this format.
bool blob_decode(const void *bytes, size_t size, struct step *out);

#endif
