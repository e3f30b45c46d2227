// What is sent to whom: the workload as the requests of each program, made before the clock starts.
#ifndef BENCH_FORMAT_H
#define BENCH_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "cli/workload.h"

enum format {
    FORMAT_FRAMES, // Pyrometer: hello, then binary frames
    FORMAT_LINES,  // Pyrometer: hello, then lines of JSON
    FORMAT_INFLUX, // InfluxDB's line protocol over HTTP: InfluxDB and VictoriaMetrics
    FORMAT_TSV,    // ClickHouse: INSERT ... FORMAT TabSeparated over HTTP
    FORMAT_PROM    // Prometheus: remote write (protobuf in a snappy block without compression)
};

// What is sent without waiting for an answer, and what tells that it was taken.
struct unit {
    struct buf bytes;
    size_t samples;
    int64_t last_step; // Pyrometer: the ack that is awaited; else -1: an HTTP response is
};

struct units {
    struct unit *list;
    size_t n;
};

struct format_options {
    enum format format;
    size_t batch_bytes; // HTTP: a request's body, about; 0: one step of one run a request
    int digits;         // of a number in JSON: 9, or 17 for as many as its double needs
    const char *host;   // HTTP
    const char *path;   // HTTP, with its query
    const char *prefix; // of the runs' names
};

bool format_find(const char *name, enum format *out);
// The units of connection `c` of `connections`: runs are dealt out to them.
struct units format_units(const struct workload *load, const struct format_options *o, size_t c,
                          size_t connections);
void format_free(struct units *u);

#endif
