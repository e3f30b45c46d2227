// The bytes of remote write 1.0: a WriteRequest of protobuf, which remote/packer packs. Pure.
//
//   WriteRequest { repeated TimeSeries timeseries = 1; }
//   TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; }
//   Label        { string name = 1; string value = 2; }
//   Sample       { double value = 1; int64 timestamp = 2; }
#ifndef REMOTE_MESSAGE_H
#define REMOTE_MESSAGE_H

#include "api/samples.h"
#include "base/buf.h"

// The labels of the sample's series, its name among them, in their order, as the front part of a
// TimeSeries: the same bytes for the same series. `more` of the configuration, whose names are no
// others'.
void message_series(struct buf *out, const struct metrics_sample *s,
                    const struct metrics_label *more, size_t n_more);
// Appends a TimeSeries with one sample to a WriteRequest.
void message_put(struct buf *out, const void *series, size_t len, double value, int64_t time_ms);
// Likewise with the NaN that says that from then on the series has no value: the stale marker.
void message_put_end(struct buf *out, const void *series, size_t len, int64_t time_ms);

#endif
