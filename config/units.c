#include "config/units.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    uint64_t factor;
};

// Largest first: what is printed uses the first of them that divides.
static const struct unit size_units[] = {
    {"TiB", UINT64_C(1) << 40},
    {"TB", UINT64_C(1000000000000)},
    {"GiB", UINT64_C(1) << 30},
    {"GB", UINT64_C(1000000000)},
    {"MiB", UINT64_C(1) << 20},
    {"MB", UINT64_C(1000000)},
    {"KiB", UINT64_C(1) << 10},
    {"kB", UINT64_C(1000)},
    {"B", 1},
    {NULL, 0},
};

static const struct unit duration_units[] = {
    {"d", UINT64_C(86400000)},
    {"h", UINT64_C(3600000)},
    {"m", UINT64_C(60000)},
    {"s", UINT64_C(1000)},
    {"ms", 1},
    {NULL, 0},
};

// Decimal digits and nothing else before *rest. False when there is none or they overflow.
static bool parse_digits(const char *text, const char **rest, uint64_t *value) {
    const char *p = text;
    uint64_t v = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
            __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v)) {
            return false;
        }
    }
    *rest = p;
    *value = v;
    return p != text;
}

static const struct unit *find_unit(const struct unit *units, const char *name) {
    while (units->name && strcmp(units->name, name) != 0) {
        units++;
    }
    return units->name ? units : NULL;
}

static bool parse_with_unit(const char *text, const struct unit *units, uint64_t *value) {
    const char *rest;
    uint64_t number;
    if (!parse_digits(text, &rest, &number)) {
        return false;
    }
    const struct unit *unit = find_unit(units, rest);
    return unit && !__builtin_mul_overflow(number, unit->factor, value);
}

bool units_parse_size(const char *text, uint64_t *bytes) {
    const char *rest;
    if (parse_digits(text, &rest, bytes) && !*rest) {
        return true;
    }
    return parse_with_unit(text, size_units, bytes);
}

bool units_parse_duration(const char *text, uint64_t *ms) {
    const char *rest;
    if (parse_digits(text, &rest, ms) && !*rest) {
        return *ms == 0;
    }
    return parse_with_unit(text, duration_units, ms);
}

static void print_with_unit(struct buf *out, const struct unit *unit, uint64_t value) {
    while (value % unit->factor != 0) {
        unit++;
    }
    buf_printf(out, "%" PRIu64 "%s", value / unit->factor, unit->name);
}

void units_print_size(struct buf *out, uint64_t bytes) {
    if (bytes == 0) {
        buf_putc(out, '0');
    } else {
        print_with_unit(out, size_units, bytes);
    }
}

void units_print_duration(struct buf *out, uint64_t ms) {
    if (ms == 0) {
        buf_putc(out, '0');
    } else {
        print_with_unit(out, duration_units, ms);
    }
}

bool units_parse_span(const char *text, struct units_span *span) {
    const char *rest;
    uint64_t value;
    if (parse_digits(text, &rest, &value) && !*rest) {
        *span = (struct units_span){.is_set = true, .is_steps = true, .value = (double)value};
        return true;
    }
    if (!units_parse_duration(text, &value)) {
        return false;
    }
    *span = (struct units_span){.is_set = true, .value = (double)value / 1000};
    return true;
}

void units_print_span(struct buf *out, const struct units_span *span) {
    if (span->is_steps) {
        buf_printf(out, "%.0f", span->value);
    } else if (span->value == 0) {
        buf_puts(out, "0s"); // a bare 0 would read back as steps
    } else {
        units_print_duration(out, (uint64_t)(span->value * 1000 + 0.5));
    }
}

static bool is_host_name(const char *host) {
    for (const char *p = host; *p; p++) {
        if (!isalnum((unsigned char)*p) && *p != '.' && *p != '-' && *p != '_') {
            return false;
        }
    }
    return *host != '\0';
}

static bool copy_host(struct units_address *address, const char *host, size_t length) {
    if (length >= sizeof address->host) {
        return false;
    }
    memcpy(address->host, host, length);
    address->host[length] = '\0';
    return true;
}

static bool parse_port(const char *text, uint16_t *port) {
    const char *rest;
    uint64_t value;
    if (!parse_digits(text, &rest, &value) || *rest || value > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

static bool parse_unix(const char *path, struct units_address *address) {
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof address->path) {
        return false;
    }
    address->is_unix = true;
    memcpy(address->path, path, length + 1);
    return true;
}

bool units_parse_address(const char *text, struct units_address *address) {
    *address = (struct units_address){0};
    if (strncmp(text, "unix:", 5) == 0) {
        return parse_unix(text + 5, address);
    }
    if (*text == '[') {
        const char *close = strchr(text, ']');
        struct in6_addr ignored;
        return close && close[1] == ':' &&
               copy_host(address, text + 1, (size_t)(close - text - 1)) &&
               inet_pton(AF_INET6, address->host, &ignored) == 1 &&
               parse_port(close + 2, &address->port);
    }
    const char *colon = strchr(text, ':');
    return colon && copy_host(address, text, (size_t)(colon - text)) &&
           is_host_name(address->host) && parse_port(colon + 1, &address->port);
}

bool units_address_is_local(const struct units_address *address) {
    struct in_addr v4;
    struct in6_addr v6;
    if (address->is_unix || strcasecmp(address->host, "localhost") == 0) {
        return true;
    }
    if (inet_pton(AF_INET, address->host, &v4) == 1) {
        return (ntohl(v4.s_addr) >> 24) == 127;
    }
    return inet_pton(AF_INET6, address->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool units_is_url(const char *text) {
    size_t scheme = strncasecmp(text, "http://", 7) == 0    ? 7
                    : strncasecmp(text, "https://", 8) == 0 ? 8
                                                            : 0;
    return scheme && text[scheme] && text[scheme] != '/' && !strpbrk(text, " \"<>\\^`{|}");
}
