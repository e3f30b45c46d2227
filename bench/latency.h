// How long a step waits for its ack, one step a message, at a steady pace on one connection.
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include "bench/drive.h"

struct latency_result {
    double p50_ms, p99_ms, max_ms;
};

// Sends load->steps steps of run 0, `rate` a second, each when it is due whether the one before was
// acknowledged or not. A latency counts from the moment at which the step was due.
bool latency_measure(const struct workload *load, const struct format_options *format,
                     const struct drive_options *o, double rate, struct latency_result *out);

#endif
