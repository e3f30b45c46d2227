#include "wire/step.h"

#include "base/num.h"
#include "config/limits.h"
#include "wire/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// All names that one step's own statistics and scalars can have, with their NULs.
#define NAMES_BYTES                                                                                \
    (LIMIT_CUSTOM_STATS * (LIMIT_STAT_NAME + 1) + LIMIT_SCALARS * (LIMIT_SCALAR_NAME + 1))

#define COLUMNS_MAX (STAT_COUNT - 1 + LIMIT_CUSTOM_STATS)

void step_init(struct step *s) {
    *s = (struct step){0};
    buf_init(&s->names, NAMES_BYTES);
}

void step_free(struct step *s) {
    free(s->columns);
    free(s->scalars);
    free(s->values);
    buf_free(&s->names);
    *s = (struct step){0};
}

// All memory that a step may need is had here, up front, so that pointers into it stay put.
void step_clear(struct step *s, size_t n_layers) {
    if (!s->columns) {
        s->columns = must_alloc(COLUMNS_MAX * sizeof *s->columns);
        s->scalars = must_alloc(LIMIT_SCALARS * sizeof *s->scalars);
    }
    buf_clear(&s->names);
    buf_reserve(&s->names, NAMES_BYTES);
    s->no_memory = false;
    s->n_layers = n_layers;
    s->n_columns = s->n_scalars = 0;
    s->step = -1;
    s->time = 0;
    s->loss = s->lr = s->batch_size = s->loss_after = s->val_loss = num_missing();
}

// A block of columns' values. Growing it moves the earlier columns, whose pointers are set anew.
static bool reserve_values(struct step *s) {
    size_t need = (s->n_columns + 1) * s->n_layers;
    if (need <= s->values_cap) {
        return true;
    }
    size_t cap = need < 16 * s->n_layers ? 16 * s->n_layers : need * 2;
    double *values = try_grow(s->values, cap * sizeof *values);
    if (!values) {
        s->no_memory = true;
        return false;
    }
    s->values = values;
    s->values_cap = cap;
    for (size_t i = 0; i < s->n_columns; i++) {
        s->columns[i].values = values + i * s->n_layers;
    }
    return true;
}

static const char *keep_name(struct step *s, const char *name, size_t len) {
    size_t at = s->names.len;
    buf_put(&s->names, name, len);
    buf_putc(&s->names, '\0');
    return s->names.failed ? NULL : s->names.data + at;
}

// Whether another column is within the limits: one of each known statistic, and so many of the
// job's.
static bool has_room(const struct step *s, enum statistic stat) {
    size_t same_kind = 0;
    for (size_t i = 0; i < s->n_columns; i++) {
        same_kind += (s->columns[i].stat == STAT_NONE) == (stat == STAT_NONE);
    }
    return same_kind < (stat == STAT_NONE ? LIMIT_CUSTOM_STATS : STAT_COUNT - 1);
}

double *step_add_column(struct step *s, enum statistic stat, const char *name, size_t name_len) {
    if (!has_room(s, stat) || !reserve_values(s)) {
        return NULL;
    }
    const char *kept = stat ? stat_name(stat) : keep_name(s, name, name_len);
    if (!kept) {
        return NULL;
    }
    double *values = s->values + s->n_columns * s->n_layers;
    s->columns[s->n_columns++] = (struct step_column){stat, kept, values, NULL};
    return values;
}

bool step_add_scalar(struct step *s, const char *name, size_t name_len, double value) {
    const char *kept = s->n_scalars < LIMIT_SCALARS ? keep_name(s, name, name_len) : NULL;
    if (!kept) {
        return false;
    }
    s->scalars[s->n_scalars++] = (struct step_scalar){kept, value};
    return true;
}

const double *step_stat(const struct step *s, enum statistic stat) {
    for (size_t i = 0; i < s->n_columns; i++) {
        if (s->columns[i].stat == stat) {
            return s->columns[i].values;
        }
    }
    return NULL;
}

// An error of the JSON itself wins over what the reader says of the value.
static int bad_json(const struct json *j, struct wire_error *error) {
    return wire_fail(error, WIRE_BAD_JSON, "not JSON at byte %zu: %s; the line was dropped",
                     json_offset(j), j->error ? j->error : "expected a value");
}

static int scan_number(struct json *j, const char *key, double *x, struct wire_error *error) {
    if (json_number(j, x)) {
        return 0;
    }
    if (!json_skip(j, NULL)) {
        return bad_json(j, error);
    }
    return wire_fail(error, WIRE_BAD_VALUE,
                     "%s is not a number; expected a number, null, \"NaN\", \"Infinity\" or "
                     "\"-Infinity\"; the step was dropped",
                     key);
}

static int scan_step_number(struct json *j, struct step *s, struct wire_error *error) {
    double x;
    if (scan_number(j, "step", &x, error)) {
        return -1;
    }
    if (!(x >= 0 && x <= (double)STEP_MAX) || x != floor(x)) {
        return wire_fail(error, WIRE_BAD_VALUE, "step is not a whole number of 0 to %lld; dropped",
                         (long long)STEP_MAX);
    }
    s->step = (int64_t)x;
    return 0;
}

// A name made by the job, its escapes resolved into `plain`.
static int scan_name(struct slice raw, size_t max, const char *what, struct buf *plain,
                     struct wire_error *error) {
    buf_clear(plain);
    if (raw.len == 0 || !json_unescape(raw, plain) || plain->len > max) {
        return wire_fail(error, WIRE_BAD_VALUE,
                         "%s \"%.*s\" wants a name of 1 to %zu bytes without \\u0000; the step was "
                         "dropped",
                         what, (int)(raw.len < 64 ? raw.len : 64), raw.text, max);
    }
    return 0;
}

static int wrong_length(struct step *s, const char *name, size_t n, struct wire_error *error) {
    return wire_fail(error, WIRE_WRONG_SHAPE,
                     "%s has %zu entries, the run has %zu layers; the step "
                     "was dropped",
                     name, n, s->n_layers);
}

static int scan_values(struct json *j, struct step *s, const char *name, double *values,
                       struct wire_error *error) {
    if (json_peek(j) != JSON_ARRAY) {
        return json_skip(j, NULL)
                   ? wire_fail(error, WIRE_WRONG_SHAPE,
                               "%s is not an array of %zu numbers; the step was dropped", name,
                               s->n_layers)
                   : bad_json(j, error);
    }
    size_t n = 0;
    json_array(j);
    while (json_element(j)) {
        double x;
        if (!json_number(j, &x)) {
            return json_skip(j, NULL)
                       ? wire_fail(error, WIRE_BAD_VALUE,
                                   "%s[%zu] is not a number; the step was dropped", name, n)
                       : bad_json(j, error);
        }
        if (n < s->n_layers) {
            values[n] = x;
        }
        n++;
    }
    if (j->error) {
        return bad_json(j, error);
    }
    return n == s->n_layers ? 0 : wrong_length(s, name, n, error);
}

static bool has_column(const struct step *s, enum statistic stat, const char *name, size_t len) {
    for (size_t i = 0; i < s->n_columns; i++) {
        const struct step_column *c = &s->columns[i];
        if (c->stat == stat && (stat || (strlen(c->name) == len && !memcmp(c->name, name, len)))) {
            return true;
        }
    }
    return false;
}

static int scan_column(struct json *j, struct step *s, struct slice key, struct buf *plain,
                       struct wire_error *error) {
    enum statistic stat = stat_find(key.text, key.len);
    const char *name = key.text;
    size_t len = key.len;
    if (stat == STAT_NONE) {
        if (scan_name(key, LIMIT_STAT_NAME, "statistic", plain, error)) {
            return -1;
        }
        name = plain->data;
        len = plain->len;
        stat = stat_find(name, len); // it may have been written with escapes
    }
    if (has_column(s, stat, name, len)) {
        return wire_fail(error, WIRE_BAD_VALUE,
                         "%.*s stands twice under stats; the step was dropped", (int)len, name);
    }
    // null in place of a column: nothing of it was measured.
    if (json_peek(j) == JSON_NULL) {
        return json_skip(j, NULL) ? 0 : bad_json(j, error);
    }
    double *values = step_add_column(s, stat, name, len);
    if (!values && s->no_memory) {
        return wire_no_memory(error);
    }
    if (!values) {
        return wire_fail(error, WIRE_BAD_VALUE,
                         "too many statistics: a step takes %d of the job's own; it was dropped",
                         LIMIT_CUSTOM_STATS);
    }
    return scan_values(j, s, s->columns[s->n_columns - 1].name, values, error);
}

static int scan_scalar(struct json *j, struct step *s, struct slice key, struct buf *plain,
                       struct wire_error *error) {
    double x;
    if (scan_name(key, LIMIT_SCALAR_NAME, "scalar", plain, error)) {
        return -1;
    }
    if (scan_number(j, plain->data, &x, error)) {
        return -1;
    }
    if (!step_add_scalar(s, plain->data, plain->len, x)) {
        return wire_fail(error, WIRE_BAD_VALUE, "too many scalars: a step takes %d; it was dropped",
                         LIMIT_SCALARS);
    }
    return 0;
}

typedef int scan_member(struct json *, struct step *, struct slice, struct buf *,
                        struct wire_error *);

static int scan_members(struct json *j, struct step *s, const char *what, scan_member *member,
                        struct wire_error *error) {
    enum json_kind kind = json_peek(j);
    if (kind != JSON_OBJECT) {
        if (!json_skip(j, NULL)) {
            return bad_json(j, error);
        }
        return kind == JSON_NULL ? 0
                                 : wire_fail(error, WIRE_BAD_VALUE,
                                             "%s is not an object; the step was dropped", what);
    }
    struct buf plain;
    buf_init(&plain, LIMIT_MESSAGE_BYTES_MAX);
    struct slice key;
    int rc = json_object(j) ? 0 : -1;
    while (rc == 0 && json_key(j, &key)) {
        rc = member(j, s, key, &plain, error);
    }
    buf_free(&plain);
    return j->error ? bad_json(j, error) : rc;
}

static const struct {
    const char *name;
    size_t offset;
} plain_numbers[] = {{"time", offsetof(struct step, time)},
                     {"loss", offsetof(struct step, loss)},
                     {"lr", offsetof(struct step, lr)},
                     {"batch_size", offsetof(struct step, batch_size)},
                     {"loss_after", offsetof(struct step, loss_after)},
                     {"val_loss", offsetof(struct step, val_loss)}};

static int scan_top_level(struct json *j, struct step *s, struct slice key, bool *has_step,
                          struct wire_error *error) {
    for (size_t i = 0; i < sizeof plain_numbers / sizeof *plain_numbers; i++) {
        if (slice_is(key, plain_numbers[i].name)) {
            void *number = (char *)s + plain_numbers[i].offset;
            return scan_number(j, plain_numbers[i].name, number, error);
        }
    }
    if (slice_is(key, "step")) {
        *has_step = true;
        return scan_step_number(j, s, error);
    }
    if (slice_is(key, "stats")) {
        s->n_columns = 0;
        return scan_members(j, s, "stats", scan_column, error);
    }
    if (slice_is(key, "scalars")) {
        s->n_scalars = 0;
        return scan_members(j, s, "scalars", scan_scalar, error);
    }
    return json_skip(j, NULL) ? 0 : bad_json(j, error);
}

int step_parse(struct step *s, const char *line, size_t len, size_t n_layers,
               struct wire_error *error) {
    step_clear(s, n_layers);
    struct json j;
    struct slice key;
    bool has_step = false;
    json_init(&j, line, len);
    json_object(&j);
    while (json_key(&j, &key)) {
        if (scan_top_level(&j, s, key, &has_step, error)) {
            return -1;
        }
    }
    if (!json_at_end(&j)) {
        return bad_json(&j, error);
    }
    if (!has_step) {
        return wire_fail(error, WIRE_BAD_VALUE,
                         "the step has no number: \"step\" is missing; dropped");
    }
    if (!isfinite(s->time) || s->time < 0) {
        s->time = 0;
    }
    return 0;
}

static void put_number(struct buf *out, double x) {
    char text[NUM_TEXT_MAX];
    buf_put(out, text, num_format(text, x));
}

static void put_optional(struct buf *out, const char *key, double x) {
    if (!num_is_missing(x)) {
        buf_printf(out, ",\"%s\":", key);
        put_number(out, x);
    }
}

void step_print(const struct step *s, const char *type, struct buf *out) {
    buf_printf(out, "{\"type\":\"%s\",\"step\":%lld", type, (long long)s->step);
    if (s->time != 0) {
        put_optional(out, "time", s->time);
    }
    put_optional(out, "loss", s->loss);
    put_optional(out, "lr", s->lr);
    put_optional(out, "batch_size", s->batch_size);
    put_optional(out, "loss_after", s->loss_after);
    put_optional(out, "val_loss", s->val_loss);
    for (size_t i = 0; i < s->n_scalars; i++) {
        buf_puts(out, i ? "," : ",\"scalars\":{");
        json_put_string(out, s->scalars[i].name, strlen(s->scalars[i].name));
        buf_putc(out, ':');
        put_number(out, s->scalars[i].value);
    }
    buf_puts(out, s->n_scalars ? "}" : "");
    for (size_t i = 0; i < s->n_columns; i++) {
        buf_puts(out, i ? "," : ",\"stats\":{");
        json_put_string(out, s->columns[i].name, strlen(s->columns[i].name));
        buf_putc(out, ':');
        for (size_t l = 0; l < s->n_layers; l++) {
            buf_putc(out, l ? ',' : '[');
            put_number(out, s->columns[i].values[l]);
        }
        buf_puts(out, s->n_layers ? "]" : "[]");
    }
    buf_puts(out, s->n_columns ? "}}\n" : "}\n");
}
