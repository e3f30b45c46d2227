// A chunk: rows of values, packed; a row is a layer, its values are steps. Every value comes back
// bit for bit, NaN payloads, -0.0 and 'not measured' included.
//
//   u8 coding      0 the same: all values have the bits of the f64 that follows; nothing else
//                  1 float32: every value is one exactly (base/float32.h)
//                  2 float64
//   u8 predictor   how the words that are stored are made of the values' bits v:
//                  0 rotl(v[i], 1) - (centre of the row << all bits but the highest eight): the
//                    exponent is on top and the sign at the bottom
//                  1 v[i] ^ v[i-1]
//                  2 zigzag(v[i] - v[i-1]); zigzag(d) = 2 d, or -2 d - 1 below zero
//                  3 fixed-point numbers, of float32 only (storage/fixed.h)
//                  in wrapping arithmetic; v[-1] is 0
//   u8 raw         planes stored as they are, a bit each: bit p for plane p
//   u8 shift       with predictor 3, else 0
//   u8 centre      of each row; only with predictor 0
//   u8 top         of each row, u32 bytes of rests, the rests; only with predictor 3
//   the raw planes one after another; plane p holds byte p (the lowest is 0) of every word
//   the other planes one after another, as one zstd frame; nothing when there are none
//
// Noisy statistics spend their bytes on mantissas that nothing can compress; separating planes
// leaves those alone and packs signs and exponents.
//
// A struct codec belongs to one thread at a time.
#ifndef STORAGE_CODEC_H
#define STORAGE_CODEC_H

#include "base/buf.h"
#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct codec;

struct codec *codec_create(void);
void codec_destroy(struct codec *c);
// Appends rows >= 1 of n >= 1 values. False when the buffer's maximum or memory does not allow it.
bool codec_encode(struct codec *c, const double *values, size_t rows, size_t n,
                  struct buf *out) WARN_UNUSED;
// False when the bytes are no chunk of that shape.
bool codec_decode(struct codec *c, const void *bytes, size_t size, double *values, size_t rows,
                  size_t n) WARN_UNUSED;

#endif
