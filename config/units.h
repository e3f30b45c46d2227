// Sizes, durations and addresses as people write them. Pure functions of their text; any thread.
#ifndef CONFIG_UNITS_H
#define CONFIG_UNITS_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

// '65536' (bytes), '512KiB', '1MiB', '100GiB', '2TiB', or decimal 'kB', 'MB', 'GB', 'TB'. '1M' and
// '1G' are refused: they mean different things to different people.
bool units_parse_size(const char *text, uint64_t *bytes);
// '100ms', '60s', '15m', '2h', '90d'; a number without a unit is refused, but for 0.
bool units_parse_duration(const char *text, uint64_t *ms);
// The same the other way round, in the largest unit that divides it.
void units_print_size(struct buf *out, uint64_t bytes);
void units_print_duration(struct buf *out, uint64_t ms);

// How long something must last: a number of steps ('5') or a time ('30s').
struct units_span {
    bool is_set;
    bool is_steps;
    double value; // steps, or seconds
};
bool units_parse_span(const char *text, struct units_span *span);
void units_print_span(struct buf *out, const struct units_span *span);

#define UNITS_HOST_MAX 254 // the longest DNS name, and its NUL
#define UNITS_PATH_MAX 108 // of a Unix socket, with its NUL

// 'HOST:PORT', '[IPV6]:PORT' or 'unix:PATH'. Port 0 means any free one.
struct units_address {
    bool is_unix;
    char host[UNITS_HOST_MAX]; // without brackets
    uint16_t port;
    char path[UNITS_PATH_MAX];
};
// Whether it is a URL of http or https.
bool units_is_url(const char *text);
bool units_parse_address(const char *text, struct units_address *address);
// Whether only this machine can reach it.
bool units_address_is_local(const struct units_address *address);

#endif
