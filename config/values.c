// The types of values a setting can have.
#include "base/check.h"
#include "base/num.h"
#include "config/limits.h"
#include "config/table.h"
#include "config/units.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// -- text ----------------------------------------------------------------------------------------

// The length of the UTF-8 sequence at p and its code point; 0 when it is none (RFC 3629).
static size_t decode_utf8(const unsigned char *p, uint32_t *code) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = *p < 0x80 ? 1 : *p < 0xC2 ? 0 : *p < 0xE0 ? 2 : *p < 0xF0 ? 3 : *p < 0xF5 ? 4 : 0;
    if (n <= 1) {
        *code = *p;
        return n;
    }
    uint32_t c = *p & (0xFFU >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
        c = c << 6 | (p[i] & 0x3FU);
    }
    *code = c;
    return c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) ? 0 : n;
}

// What can stand in one line of a YAML file as itself: no controls, no line separators, no marks.
static bool is_printable(uint32_t c) {
    return c >= 0x20 && !(c >= 0x7F && c <= 0x9F) && c != 0x2028 && c != 0x2029 && c != 0xFEFF &&
           (c & 0xFFFE) != 0xFFFE;
}

static bool is_one_line(const char *text, size_t max) {
    const unsigned char *p = (const unsigned char *)text;
    if (!*text || strlen(text) > max) {
        return false;
    }
    while (*p) {
        uint32_t c;
        size_t n = decode_utf8(p, &c);
        if (n == 0 || !is_printable(c)) {
            return false;
        }
        p += n;
    }
    return true;
}

static bool read_text(const struct setting *s, const char *text, void *field) {
    (void)s;
    if (!is_one_line(text, LIMIT_CONFIG_TEXT)) {
        return false;
    }
    size_t size = strlen(text) + 1;
    *(char **)field = must_alloc(size);
    memcpy(*(char **)field, text, size);
    return true;
}

static bool read_glob(const struct setting *s, const char *text, void *field) {
    return strlen(text) <= LIMIT_CONFIG_GLOB && read_text(s, text, field);
}

static bool read_url(const struct setting *s, const char *text, void *field) {
    return units_is_url(text) && read_text(s, text, field);
}

// As a browser sends it: no path, not even a slash.
static bool read_origin(const struct setting *s, const char *text, void *field) {
    const char *host = strstr(text, "://");
    bool all = strcmp(text, "*") == 0;
    bool good = host && host > text && host[3] && !strpbrk(host + 3, "/?#@ \"<>\\");
    return (all || good) && read_text(s, text, field);
}

static bool read_address(const struct setting *s, const char *text, void *field) {
    struct units_address address;
    return units_parse_address(text, &address) && read_text(s, text, field);
}

static bool read_tcp_address(const struct setting *s, const char *text, void *field) {
    struct units_address address;
    return units_parse_address(text, &address) && !address.is_unix && read_text(s, text, field);
}

static void put_quoted(struct buf *out, const char *text, size_t n) {
    buf_putc(out, '"');
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"' || text[i] == '\\') {
            buf_putc(out, '\\');
        }
        buf_putc(out, text[i]);
    }
    buf_putc(out, '"');
}

static bool print_text(const void *field, const struct setting *s, struct buf *out) {
    (void)s;
    const char *text = *(char *const *)field;
    if (!text) {
        return false;
    }
    put_quoted(out, text, strlen(text));
    return true;
}

static void reset_text(void *field) {
    free(*(char **)field);
    *(char **)field = NULL;
}

// -- whole numbers -------------------------------------------------------------------------------

static bool u64_in_range(const struct setting *s, const void *field) {
    uint64_t value = *(const uint64_t *)field;
    return value >= s->min && value <= s->max;
}

static void reset_u64(void *field) {
    *(uint64_t *)field = UINT64_MAX;
}

static bool read_count(const struct setting *s, const char *text, void *field) {
    char *end;
    (void)s;
    if (*text < '0' || *text > '9' || strlen(text) > 19) {
        return false;
    }
    *(uint64_t *)field = strtoull(text, &end, 10);
    return *end == '\0';
}

static void print_count_bound(struct buf *out, uint64_t bound) {
    buf_printf(out, "%" PRIu64, bound);
}

static bool print_count(const void *field, const struct setting *s, struct buf *out) {
    (void)s;
    uint64_t value = *(const uint64_t *)field;
    if (value == UINT64_MAX) {
        return false;
    }
    print_count_bound(out, value);
    return true;
}

static bool read_size(const struct setting *s, const char *text, void *field) {
    (void)s;
    return units_parse_size(text, field);
}

static bool print_size(const void *field, const struct setting *s, struct buf *out) {
    (void)s;
    units_print_size(out, *(const uint64_t *)field);
    return true;
}

static bool read_duration_ms(const struct setting *s, const char *text, void *field) {
    (void)s;
    return units_parse_duration(text, field);
}

static bool print_duration_ms(const void *field, const struct setting *s, struct buf *out) {
    (void)s;
    units_print_duration(out, *(const uint64_t *)field);
    return true;
}

static bool read_duration_s(const struct setting *s, const char *text, void *field) {
    uint64_t ms;
    (void)s;
    if (!units_parse_duration(text, &ms) || ms % 1000 != 0) {
        return false;
    }
    *(uint64_t *)field = ms / 1000;
    return true;
}

static void print_duration_s_bound(struct buf *out, uint64_t bound) {
    units_print_duration(out, bound * 1000);
}

static bool print_duration_s(const void *field, const struct setting *s, struct buf *out) {
    (void)s;
    print_duration_s_bound(out, *(const uint64_t *)field);
    return true;
}

// -- real numbers --------------------------------------------------------------------------------

static bool read_seconds(const struct setting *s, const char *text, void *field) {
    uint64_t ms;
    (void)s;
    if (!units_parse_duration(text, &ms)) {
        return false;
    }
    *(double *)field = (double)ms / 1000;
    return true;
}

static bool real_in_range(const struct setting *s, const void *field) {
    double value = *(const double *)field;
    return value >= (double)s->min && value <= (double)s->max;
}

static bool print_seconds(const void *field, const struct setting *s, struct buf *out) {
    (void)s;
    units_print_duration(out, (uint64_t)(*(const double *)field * 1000 + 0.5));
    return true;
}

static bool read_number(const struct setting *s, const char *text, void *field) {
    double value;
    const char *end = text + strlen(text);
    (void)s;
    if (num_parse(text, end, &value) != (size_t)(end - text) || *text == '\0' || !isfinite(value)) {
        return false;
    }
    *(double *)field = value;
    return true;
}

static bool print_number(const void *field, const struct setting *s, struct buf *out) {
    char text[NUM_TEXT_MAX];
    double value = *(const double *)field;
    (void)s;
    if (num_is_missing(value)) {
        return false;
    }
    num_format(text, value);
    buf_puts(out, text);
    return true;
}

static void reset_real(void *field) {
    *(double *)field = num_missing();
}

// -- the rest ------------------------------------------------------------------------------------

// The most steps, and the longest time, that a rule may wait: far beyond any run's use, and well
// inside every integer type that counts them.
#define SPAN_STEPS_MAX 1e9
#define SPAN_SECONDS_MAX (365.0 * 86400)

static bool read_span(const struct setting *s, const char *text, void *field) {
    (void)s;
    return units_parse_span(text, field);
}

static bool span_in_range(const struct setting *s, const void *field) {
    const struct units_span *span = field;
    (void)s;
    return span->value <= (span->is_steps ? SPAN_STEPS_MAX : SPAN_SECONDS_MAX);
}

static bool print_span(const void *field, const struct setting *s, struct buf *out) {
    const struct units_span *span = field;
    (void)s;
    if (span->is_set) {
        units_print_span(out, span);
    }
    return span->is_set;
}

static void reset_span(void *field) {
    *(struct units_span *)field = (struct units_span){0};
}

static bool read_choice(const struct setting *s, const char *text, void *field) {
    for (unsigned i = 0; s->choices[i]; i++) {
        if (*text && strcmp(s->choices[i], text) == 0) {
            *(unsigned *)field = i;
            return true;
        }
    }
    return false;
}

static bool print_choice(const void *field, const struct setting *s, struct buf *out) {
    const char *name = s->choices[*(const unsigned *)field];
    buf_puts(out, name);
    return *name != '\0';
}

static void reset_choice(void *field) {
    *(unsigned *)field = 0;
}

// A mapping, which the loader reads itself: no single text is one.
static bool read_words(const struct setting *s, const char *text, void *field) {
    (void)s;
    (void)text;
    (void)field;
    return false;
}

static bool print_words(const void *field, const struct setting *s, struct buf *out) {
    const char *at = *(char *const *)field;
    (void)s;
    if (!at) {
        return false;
    }
    buf_putc(out, '{');
    for (const char *sign = ""; *at; sign = ", ") {
        const char *equals = strchr(at, '='), *end = strchr(at, '\n');
        buf_printf(out, "%s%.*s: ", sign, (int)(equals - at), at);
        put_quoted(out, equals + 1, (size_t)(end - equals - 1));
        at = end + 1;
    }
    buf_putc(out, '}');
    return true;
}

_Static_assert(LIMIT_RECEIVER_NAME == 128, "a noun below says 128");
_Static_assert(LIMIT_RULE_WORDS == 16, "the noun below says 16");
_Static_assert(LIMIT_CONFIG_GLOB == 256, "the noun below says 256");

#define TEXT_TYPE(the_noun, the_example, the_read)                                                 \
    {                                                                                              \
        .noun = (the_noun), .example = (the_example), .size = sizeof(char *), .read = (the_read),  \
        .print = print_text, .reset = reset_text                                                   \
    }
const struct value_type type_text = TEXT_TYPE("a path of one line", NULL, read_text);
const struct value_type type_glob = TEXT_TYPE("a glob of at most 256 bytes", "fc*", read_glob);
const struct value_type type_url = TEXT_TYPE("a URL", "http://host:9093/path", read_url);
const struct value_type type_address =
    TEXT_TYPE("HOST:PORT, [IPV6]:PORT or unix:PATH", "127.0.0.1:27315", read_address);
const struct value_type type_tcp_address =
    TEXT_TYPE("HOST:PORT or [IPV6]:PORT", "127.0.0.1:27316", read_tcp_address);
const struct value_type type_origin =
    TEXT_TYPE("SCHEME://HOST[:PORT] or *", "https://grafana.example.org", read_origin);
const struct value_type type_rule = TEXT_TYPE("the name of a rule", NULL, read_text);

static bool is_of(const char *text, const char *letters, size_t max) {
    size_t n = strspn(text, letters);
    return n > 0 && n <= max && text[n] == '\0';
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

bool value_is_word(const char *text) {
    return is_of(text, LETTERS, LIMIT_RULE_NAME) && !strchr("0123456789", text[0]);
}

static bool is_header(const char *text) {
    return is_of(text, LETTERS "-", LIMIT_RULE_NAME);
}

static bool read_name(const struct setting *s, const char *text, void *field) {
    return is_of(text, LETTERS ".:-", LIMIT_RECEIVER_NAME) && read_text(s, text, field);
}

const struct value_type type_name =
    TEXT_TYPE("a name of at most 128 letters, digits, '_', '.', ':' and '-'", NULL, read_name);

const struct value_type type_words = {.noun = "a mapping of at most 16 names to texts",
                                      .example = "{team: vision}",
                                      .is_name = value_is_word,
                                      .size = sizeof(char *),
                                      .read = read_words,
                                      .print = print_words,
                                      .reset = reset_text};

const struct value_type type_headers = {.noun = "a mapping of at most 16 headers to texts",
                                        .example = "{X-Scope-OrgID: research}",
                                        .is_name = is_header,
                                        .size = sizeof(char *),
                                        .read = read_words,
                                        .print = print_words,
                                        .reset = reset_text};

const struct value_type type_size = {.noun = "a size",
                                     .example = "1MiB",
                                     .size = sizeof(uint64_t),
                                     .read = read_size,
                                     .in_range = u64_in_range,
                                     .print = print_size,
                                     .print_bound = units_print_size,
                                     .reset = reset_u64};
const struct value_type type_duration_ms = {.noun = "a time",
                                            .example = "100ms",
                                            .size = sizeof(uint64_t),
                                            .read = read_duration_ms,
                                            .in_range = u64_in_range,
                                            .print = print_duration_ms,
                                            .print_bound = units_print_duration,
                                            .reset = reset_u64};
const struct value_type type_duration_s = {.noun = "a time of whole seconds",
                                           .example = "90d",
                                           .size = sizeof(uint64_t),
                                           .read = read_duration_s,
                                           .in_range = u64_in_range,
                                           .print = print_duration_s,
                                           .print_bound = print_duration_s_bound,
                                           .reset = reset_u64};
const struct value_type type_seconds = {.noun = "a time",
                                        .example = "60s",
                                        .size = sizeof(double),
                                        .read = read_seconds,
                                        .in_range = real_in_range,
                                        .print = print_seconds,
                                        .print_bound = print_duration_s_bound,
                                        .reset = reset_real};
const struct value_type type_count = {.noun = "a whole number",
                                      .plain_only = true,
                                      .size = sizeof(uint64_t),
                                      .read = read_count,
                                      .in_range = u64_in_range,
                                      .print = print_count,
                                      .print_bound = print_count_bound,
                                      .reset = reset_u64};
const struct value_type type_number = {.noun = "a finite number",
                                       .plain_only = true,
                                       .size = sizeof(double),
                                       .read = read_number,
                                       .print = print_number,
                                       .reset = reset_real};
const struct value_type type_span = {
    .noun = "a number of steps (up to 1000000000) or a time (up to 365d)",
    .example = "5 or 30s",
    .size = sizeof(struct units_span),
    .read = read_span,
    .in_range = span_in_range,
    .print = print_span,
    .reset = reset_span};
const struct value_type type_choice = {.noun = "one of",
                                       .size = sizeof(unsigned),
                                       .read = read_choice,
                                       .print = print_choice,
                                       .reset = reset_choice};
const struct value_type type_bool = {.noun = "one of",
                                     .plain_only = true,
                                     .size = sizeof(unsigned),
                                     .read = read_choice,
                                     .print = print_choice,
                                     .reset = reset_choice};
