// The load generator of `make bench`: makes a workload's messages, then sends them to Pyrometer or
// to another program and says on stdout, in JSON, how long that took.
//
//   loadgen --address HOST:PORT [--format frames|lines|influx|tsv|prom] [--runs N] [--layers N]
//           [--stats N] [--steps N] [--connections N] [--digits 9|17] [--path PATH] [--batch BYTES]
//           [--prefix TEXT] [--samples-per-second X] [--repeat N]
//
// All messages are made before the clock starts and held in memory. A run that is too long for that
// is sent with --repeat (frames only): the same steps, numbered on, so many times.
//
// With --path the format is posted over HTTP, a step a request unless --batch says otherwise.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/check.h"
#include "bench/drive.h"
#include "wire/frame.h"

struct options {
    struct workload load;
    struct format_options format;
    struct drive_options drive;
    size_t connections;
    size_t repeat;
    char host[256];
};

static const struct option flags[] = {
    {"address", 1, NULL, 'a'},     {"format", 1, NULL, 'f'}, {"runs", 1, NULL, 'r'},
    {"layers", 1, NULL, 'l'},      {"stats", 1, NULL, 's'},  {"steps", 1, NULL, 'n'},
    {"connections", 1, NULL, 'c'}, {"digits", 1, NULL, 'd'}, {"path", 1, NULL, 'p'},
    {"batch", 1, NULL, 'b'},       {"prefix", 1, NULL, 'x'}, {"samples-per-second", 1, NULL, 'S'},
    {"repeat", 1, NULL, 'R'},      {NULL, 0, NULL, 0}};

static size_t number(const char *text) {
    return (size_t)strtoull(text, NULL, 10);
}

static bool set_address(struct options *o, const char *text) {
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof o->host) {
        return false;
    }
    memcpy(o->host, text, (size_t)(colon - text));
    o->drive.host = o->format.host = o->host;
    o->drive.port = (int)strtol(colon + 1, NULL, 10);
    return true;
}

static bool set(struct options *o, int flag, const char *value) {
    switch (flag) {
    case 'a':
        return set_address(o, value);
    case 'f':
        return format_find(value, &o->format.format);
    case 'r':
        return (o->load.runs = number(value)) > 0;
    case 'l':
        return (o->load.layers = number(value)) > 0;
    case 's':
        return (o->load.stats = number(value)) > 0;
    case 'n':
        return (o->load.steps = number(value)) > 0;
    case 'c':
        return (o->connections = number(value)) > 0;
    case 'd':
        return (o->format.digits = (int)number(value)) > 0;
    case 'p':
        o->format.path = value;
        return o->drive.http = true;
    case 'b':
        o->format.batch_bytes = number(value);
        return true;
    case 'x':
        o->format.prefix = value;
        return true;
    case 'S':
        return (o->drive.samples_per_second = strtod(value, NULL)) > 0;
    case 'R':
        return (o->repeat = number(value)) > 0;
    default:
        return false;
    }
}

// As many descriptors as we may have.
static void raise_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static double own_cpu_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

// The frames of a unit become those of the `steps` steps behind them.
static void number_on(struct unit *u, size_t steps) {
    char *end = u->bytes.data + u->bytes.len;
    for (char *frame = strchr(u->bytes.data, '\n') + 1; frame < end; frame += frame_size(frame)) {
        int64_t step;
        double time;
        memcpy(&step, frame + FRAME_HEADER_BYTES - sizeof step, sizeof step);
        memcpy(&time, frame + FRAME_HEADER_BYTES, sizeof time);
        workload_renumber(frame, step + (int64_t)steps, time + (double)steps); // a step a second
    }
    u->last_step += (int64_t)steps;
}

static bool drive_again(struct options *o, struct units *units, struct drive_result *all) {
    for (size_t i = 1; i < o->repeat; i++) {
        struct drive_result one;
        for (size_t c = 0; c < o->connections; c++) {
            for (size_t k = 0; k < units[c].n; k++) {
                number_on(&units[c].list[k], o->load.steps);
            }
        }
        if (!drive(units, o->connections, &o->drive, &one)) {
            return false;
        }
        all->samples += one.samples;
        all->bytes += one.bytes;
        all->seconds += one.seconds;
        all->sent_seconds += one.sent_seconds;
    }
    return true;
}

static bool measure_load(struct options *o) {
    struct units *units = must_alloc(o->connections * sizeof *units);
    struct drive_result result;
    for (size_t c = 0; c < o->connections; c++) {
        units[c] = format_units(&o->load, &o->format, c, o->connections);
    }
    double cpu = own_cpu_s();
    bool good = drive(units, o->connections, &o->drive, &result) && drive_again(o, units, &result);
    cpu = own_cpu_s() - cpu;
    for (size_t c = 0; c < o->connections; c++) {
        format_free(&units[c]);
    }
    free(units);
    printf("{\"samples\":%zu,\"bytes\":%zu,\"started\":%.6f,\"seconds\":%.6f,\"sent_seconds\":%.6f,"
           "\"cpu\":%.6f}\n",
           result.samples, result.bytes, result.started, result.seconds, result.sent_seconds, cpu);
    return good;
}

int main(int argc, char **argv) {
    struct options o = {.load = {.runs = 1, .layers = 50, .stats = 10, .steps = 200},
                        .format = {.digits = 17, .prefix = "run", .path = ""},
                        .connections = 1,
                        .repeat = 1};
    for (int flag; (flag = getopt_long(argc, argv, "", flags, NULL)) != -1;) {
        if (!set(&o, flag, optarg)) {
            fprintf(stderr, "loadgen: see the top of bench/loadgen.c\n");
            return 2;
        }
    }
    if (!o.drive.host || optind < argc || (o.repeat > 1 && o.format.format != FORMAT_FRAMES)) {
        fprintf(stderr, "loadgen: --address HOST:PORT is missing, there is a word too many, or "
                        "what is repeated is no frames\n");
        return 2;
    }
    raise_limit();
    return measure_load(&o) ? 0 : 1;
}
