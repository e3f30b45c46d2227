// Sends prepared units over several connections at once and waits until each was taken. One thread.
#ifndef BENCH_DRIVE_H
#define BENCH_DRIVE_H

#include <stdbool.h>

#include "bench/format.h"

struct drive_result {
    double started;      // by the monotonic clock
    double seconds;      // from the first byte sent to the last unit taken
    double sent_seconds; // to the last byte sent
    size_t bytes, samples;
};

struct drive_options {
    const char *host;
    int port;
    bool http;                 // an HTTP response ends a unit, else Pyrometer's ack
    double samples_per_second; // 0: as fast as possible
};

// False with a message on stderr when a connection or an answer is not as it should be.
bool drive(struct units *units, size_t connections, const struct drive_options *o,
           struct drive_result *out);

#endif
