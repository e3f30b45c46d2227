// Binary step frames: a training step as the wire's columns, for jobs that send many.
//
// Little-endian. The header, 16 bytes:
//   u8 0xA7, u8 version (1), u16 0, u32 bytes that follow the header, i64 step
// what follows it:
//   f64 time, f64 loss, f64 lr, u32 batch_size, u16 S (number of statistics), u16 0
//   S bytes of statistic ids, padded with zeros to a multiple of 8
//   S columns of one value a layer, each padded with zeros to a multiple of 8 bytes
//
// A column is float32, or float64 where bit 7 of its id is set. 'Not measured' is the NaN
// 0x7FC0A0A7 (float32) or 0x7FF80000A0A70000 (float64); every other NaN is a measured one and keeps
// its bits. time 0: on arrival; batch_size 0: not measured. Padding is not looked at.
//
// An id that this version has no name for (20 to 127) is kept as a statistic of the job's own,
// called stat_<id>, as a line's unknown keys are; 0 is no id.
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "base/buf.h"
#include "base/check.h"
#include "wire/error.h"
#include "wire/step.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAGIC 0xA7
#define FRAME_VERSION 1
#define FRAME_HEADER_BYTES 16
#define FRAME_FLOAT64 0x80

// The bytes of a whole frame, header included, by the first FRAME_HEADER_BYTES of it.
size_t frame_size(const void *header);
// Whether the header is of a version that is read here; its length means nothing otherwise.
bool frame_version_is_known(const void *header);

// Reads a whole frame for a run of n_layers layers. 0, or -1 with the error filled (wrong_shape,
// bad_value). The step's float32 columns also point into `bytes` (step_column.floats): they are
// valid as long as these are.
int frame_parse(struct step *s, const void *bytes, size_t len, size_t n_layers,
                struct wire_error *error) WARN_UNUSED;
// Whether a frame can carry all of the step: no statistic of the job's own, no scalars, no
// loss_after and val_loss, and a batch size that is a whole number of 1 to 2^32 - 1.
bool frame_can_carry(const struct step *s);
// Appends the step as a frame; a column is float32 where every value of it is one exactly.
void frame_print(const struct step *s, struct buf *out);

#endif
