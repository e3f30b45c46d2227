#include "wire/outputs.h"

#include "base/num.h"
#include "config/limits.h"
#include "wire/json.h"
#include "wire/step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void outputs_free(struct outputs *o) {
    free(o->bins);
    free(o->counts);
    *o = (struct outputs){0};
}

static int bad_json(const struct json *j, struct wire_error *error) {
    return wire_fail(error, WIRE_BAD_JSON, "not JSON at byte %zu: %s; the line was dropped",
                     json_offset(j), j->error ? j->error : "expected a value");
}

static int scan_number(struct json *j, const char *what, double *x, struct wire_error *error) {
    bool is_number = json_number(j, x);
    if (!is_number && !json_skip(j, NULL)) {
        return bad_json(j, error);
    }
    if (!is_number || !isfinite(*x)) {
        return wire_fail(error, WIRE_BAD_VALUE,
                         "%s is not a finite number; the outputs were dropped", what);
    }
    return 0;
}

// Fills *list, which was NULL, with at most `max` numbers.
static int scan_list(struct json *j, const char *key, size_t max, double **list, size_t *n,
                     struct wire_error *error) {
    if (json_peek(j) != JSON_ARRAY) {
        return json_skip(j, NULL) ? wire_fail(error, WIRE_WRONG_SHAPE,
                                              "%s is not a list of numbers; the outputs were "
                                              "dropped",
                                              key)
                                  : bad_json(j, error);
    }
    if (*list) {
        return wire_fail(error, WIRE_BAD_VALUE, "%s stands twice; the outputs were dropped", key);
    }
    *list = must_alloc((max + 1) * sizeof **list);
    json_array(j);
    while (json_element(j)) {
        char what[64];
        snprintf(what, sizeof what, "%s[%zu]", key, *n);
        if (*n == max) {
            return wire_fail(error, WIRE_WRONG_SHAPE,
                             "%s has more than %zu entries, the most there may be; the outputs "
                             "were dropped",
                             key, max);
        }
        if (scan_number(j, what, &(*list)[*n], error)) {
            return -1;
        }
        ++*n;
    }
    return j->error ? bad_json(j, error) : 0;
}

static int scan_step(struct json *j, struct outputs *o, struct wire_error *error) {
    double x = num_missing();
    if (scan_number(j, "step", &x, error)) {
        return -1;
    }
    if (!(x >= 0 && x <= (double)STEP_MAX) || x != floor(x)) {
        return wire_fail(error, WIRE_BAD_VALUE,
                         "step is not a whole number of 0 to %lld; the outputs were dropped",
                         (long long)STEP_MAX);
    }
    o->step = (int64_t)x;
    return 0;
}

static int scan_member(struct json *j, struct slice key, struct outputs *o,
                       struct wire_error *error) {
    double x;
    if (slice_is(key, "step")) {
        return scan_step(j, o, error);
    }
    if (slice_is(key, "bins")) {
        return scan_list(j, "bins", LIMIT_OUTPUT_BINS + 1, &o->bins, &o->n_bins, error);
    }
    if (slice_is(key, "counts")) {
        return scan_list(j, "counts", LIMIT_OUTPUT_BINS, &o->counts, &o->n_counts, error);
    }
    if (slice_is(key, "time") && json_number(j, &x)) {
        o->time = isfinite(x) && x > 0 ? x : 0;
        return 0;
    }
    return json_skip(j, NULL) ? 0 : bad_json(j, error);
}

static int check_bins(const struct outputs *o, struct wire_error *error) {
    if (o->n_counts == 0 || (o->n_bins != o->n_counts && o->n_bins != o->n_counts + 1)) {
        return wire_fail(error, WIRE_WRONG_SHAPE,
                         "%zu bins and %zu counts; expected a value a count, or the bins' edges, "
                         "one more than counts, and 1 to %d counts; the outputs were dropped",
                         o->n_bins, o->n_counts, LIMIT_OUTPUT_BINS);
    }
    for (size_t i = 1; i < o->n_bins; i++) {
        if (!(o->bins[i] > o->bins[i - 1])) {
            return wire_fail(error, WIRE_BAD_VALUE,
                             "bins[%zu] is not above the one before it; the outputs were dropped",
                             i);
        }
    }
    return 0;
}

static int check_counts(const struct outputs *o, struct wire_error *error) {
    double sum = 0;
    for (size_t i = 0; i < o->n_counts; i++) {
        if (!(o->counts[i] >= 0)) {
            return wire_fail(error, WIRE_BAD_VALUE,
                             "counts[%zu] is below 0; the outputs were dropped", i);
        }
        sum += o->counts[i];
    }
    if (!(sum > 0) || !isfinite(sum)) {
        return wire_fail(error, WIRE_BAD_VALUE,
                         "the counts add up to %s; expected a finite number above 0; the outputs "
                         "were dropped",
                         sum > 0 ? "more than a double holds" : "0");
    }
    return 0;
}

static int scan(struct json *j, struct outputs *o, struct wire_error *error) {
    struct slice key;
    json_object(j);
    while (json_key(j, &key)) {
        if (scan_member(j, key, o, error)) {
            return -1;
        }
    }
    if (!json_at_end(j)) {
        return bad_json(j, error);
    }
    if (o->step < 0) {
        return wire_fail(error, WIRE_BAD_VALUE, "\"step\" is missing; the outputs were dropped");
    }
    return check_bins(o, error) || check_counts(o, error) ? -1 : 0;
}

int outputs_parse(struct outputs *o, const char *line, size_t len, struct wire_error *error) {
    struct json j;
    outputs_free(o);
    o->step = -1;
    json_init(&j, line, len);
    if (scan(&j, o, error)) {
        outputs_free(o);
        return -1;
    }
    return 0;
}

static void put_list(struct buf *out, const char *key, const double *list, size_t n) {
    char text[NUM_TEXT_MAX];
    buf_printf(out, ",\"%s\":[", key);
    for (size_t i = 0; i < n; i++) {
        if (i) {
            buf_putc(out, ',');
        }
        buf_put(out, text, num_format(text, list[i]));
    }
    buf_putc(out, ']');
}

void outputs_print(const struct outputs *o, struct buf *out) {
    char text[NUM_TEXT_MAX];
    buf_printf(out, "{\"type\":\"outputs\",\"step\":%lld", (long long)o->step);
    if (o->time > 0) {
        num_format(text, o->time);
        buf_printf(out, ",\"time\":%s", text);
    }
    put_list(out, "bins", o->bins, o->n_bins);
    put_list(out, "counts", o->counts, o->n_counts);
    buf_puts(out, "}\n");
}

static double *copy_list(const double *list, size_t n) {
    double *copy = must_alloc((n ? n : 1) * sizeof *copy);
    if (n) {
        memcpy(copy, list, n * sizeof *copy);
    }
    return copy;
}

void outputs_copy(struct outputs *to, const struct outputs *from) {
    outputs_free(to);
    *to = *from;
    to->bins = copy_list(from->bins, from->n_bins);
    to->counts = copy_list(from->counts, from->n_counts);
}

bool outputs_add(struct outputs *to, const struct outputs *from) {
    double sum = 0;
    if (to->n_bins != from->n_bins || to->n_counts != from->n_counts ||
        memcmp(to->bins, from->bins, to->n_bins * sizeof *to->bins) != 0) {
        return false;
    }
    for (size_t i = 0; i < to->n_counts; i++) {
        sum += to->counts[i] + from->counts[i];
    }
    for (size_t i = 0; isfinite(sum) && i < to->n_counts; i++) {
        to->counts[i] += from->counts[i];
    }
    return isfinite(sum);
}
