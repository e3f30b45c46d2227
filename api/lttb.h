// Chooses the points of a series that show its shape: Largest-Triangle-Three-Buckets
// (S. Steinarsson, "Downsampling Time Series for Visual Representation", University of Iceland
// 2013).
#ifndef API_LTTB_H
#define API_LTTB_H

#include "api/buckets.h"

// Keeps `points` of the series, its first and its last among them. Where a point stands for several
// steps it takes the one of its extremes that is farther from its mean. What is not finite is kept
// apart: the first of each stretch of them.
void lttb_reduce(struct buckets *b, size_t points);

#endif
