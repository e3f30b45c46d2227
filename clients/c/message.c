#include "clients/c/message.h"

#include <stdlib.h>
#include <time.h>

#include "clients/c/frame.h"

static const struct {
    const char *name;
    size_t offset;
} standard[] = {
    {"w_mean", offsetof(struct pyrometer_stats, w_mean)},
    {"w_var", offsetof(struct pyrometer_stats, w_var)},
    {"w_min", offsetof(struct pyrometer_stats, w_min)},
    {"w_max", offsetof(struct pyrometer_stats, w_max)},
    {"g_mean", offsetof(struct pyrometer_stats, g_mean)},
    {"g_var", offsetof(struct pyrometer_stats, g_var)},
    {"u_mean", offsetof(struct pyrometer_stats, u_mean)},
    {"u_var", offsetof(struct pyrometer_stats, u_var)},
    {"gw", offsetof(struct pyrometer_stats, gw)},
    {"gu", offsetof(struct pyrometer_stats, gu)},
    {"gu_prev", offsetof(struct pyrometer_stats, gu_prev)},
};
enum { STANDARD_COUNT = sizeof standard / sizeof standard[0] };

// In memory: this struct, then columns x layers values column by column, then the scalars' values,
// then the NUL-terminated names of the columns and of the scalars in the same order.
struct pyr_step_copy {
    double time, loss, lr, loss_after, val_loss;
    uint32_t batch_size;
    size_t layer_count, column_count, scalar_count;
    char *names;
    double values[];
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double stat_value(const struct pyrometer_stats *stats, size_t which) {
    double x;
    memcpy(&x, (const char *)stats + standard[which].offset, sizeof x);
    return x;
}

// A statistic that no layer has is left out.
static bool has_stat(const struct pyrometer_step *s, size_t layer_count, size_t which) {
    for (size_t l = 0; s->stats && l < layer_count; l++) {
        if (pyrometer_is_measured(stat_value(&s->stats[l], which))) {
            return true;
        }
    }
    return false;
}

struct size {
    size_t columns, values, names;
};

static struct size measure(const struct pyrometer_step *s, size_t layer_count) {
    struct size size = {0};
    for (size_t i = 0; i < STANDARD_COUNT; i++) {
        if (has_stat(s, layer_count, i)) {
            size.columns++;
            size.names += strlen(standard[i].name) + 1;
        }
    }
    for (size_t i = 0; i < s->column_count; i++) {
        if (s->columns[i].values) {
            size.columns++;
            size.names += strlen(s->columns[i].name) + 1;
        }
    }
    for (size_t i = 0; i < s->scalar_count; i++) {
        size.names += strlen(s->scalars[i].name) + 1;
    }
    size.values = size.columns * layer_count + s->scalar_count;
    return size;
}

static char *put_name(char *at, const char *name) {
    size_t n = strlen(name) + 1;
    memcpy(at, name, n);
    return at + n;
}

static void fill(struct pyr_step_copy *copy, const struct pyrometer_step *s) {
    size_t layer_count = copy->layer_count;
    double *value = copy->values;
    char *name = copy->names;
    for (size_t i = 0; i < STANDARD_COUNT; i++) {
        if (!has_stat(s, layer_count, i)) {
            continue;
        }
        name = put_name(name, standard[i].name);
        for (size_t l = 0; l < layer_count; l++) {
            *value++ = stat_value(&s->stats[l], i);
        }
    }
    for (size_t i = 0; i < s->column_count; i++) {
        if (s->columns[i].values) {
            name = put_name(name, s->columns[i].name);
            memcpy(value, s->columns[i].values, layer_count * sizeof *value);
            value += layer_count;
        }
    }
    for (size_t i = 0; i < s->scalar_count; i++) {
        name = put_name(name, s->scalars[i].name);
        *value++ = s->scalars[i].value;
    }
}

struct pyr_message *pyr_message_step(const struct pyrometer_step *step, size_t layer_count) {
    struct size size = measure(step, layer_count);
    size_t bytes = sizeof(struct pyr_message) + sizeof(struct pyr_step_copy) +
                   size.values * sizeof(double) + size.names;
    struct pyr_message *m = malloc(bytes);
    if (!m) {
        return NULL;
    }
    // The struct's size is a multiple of its alignment, which is that of the copy.
    struct pyr_step_copy *copy = (struct pyr_step_copy *)(void *)(m + 1);
    *m = (struct pyr_message){.kind = PYR_STEP, .step = step->step, .bytes = bytes, .copy = copy};
    double nothing = pyrometer_not_measured();
    copy->time = step->time == 0 ? now() : step->time;
    copy->loss = step->loss;
    copy->lr = step->lr;
    copy->loss_after = step->loss_after ? *step->loss_after : nothing;
    copy->val_loss = step->val_loss ? *step->val_loss : nothing;
    copy->batch_size = step->batch_size;
    copy->layer_count = layer_count;
    copy->column_count = size.columns;
    copy->scalar_count = step->scalar_count;
    copy->names = (char *)(copy->values + size.values);
    fill(copy, step);
    return m;
}

// Takes the line, which ends here.
static struct pyr_message *message_of_text(enum pyr_kind kind, struct pyr_text *line) {
    pyr_text_add(line, "}\n", 3); // with its NUL
    size_t bytes = sizeof(struct pyr_message) + line->length;
    struct pyr_message *m = line->failed ? NULL : malloc(bytes);
    if (m) {
        *m = (struct pyr_message){.kind = kind, .bytes = bytes, .text = (char *)(m + 1)};
        memcpy(m->text, line->data, line->length);
    }
    pyr_text_free(line);
    return m;
}

struct pyr_message *pyr_message_event(int64_t step, int64_t time_us, const char *name,
                                      const char *data_json) {
    struct pyr_text line = {0};
    pyr_text_literal(&line, "{\"type\":\"event\",\"step\":");
    pyr_text_integer(&line, step);
    pyr_text_key(&line, "time");
    pyr_text_microseconds(&line, time_us);
    pyr_text_key(&line, "name");
    pyr_text_string(&line, name);
    if (data_json) {
        pyr_text_key(&line, "data");
        pyr_text_literal(&line, data_json);
    }
    return message_of_text(PYR_EVENT, &line);
}

struct pyr_message *pyr_message_end(const char *status) {
    struct pyr_text line = {0};
    pyr_text_literal(&line, "{\"type\":\"end\",\"status\":");
    pyr_text_string(&line, status);
    return message_of_text(PYR_END, &line);
}

struct pyr_message *pyr_message_line(const char *line, size_t n) {
    static const char head[] = "{\"type\":\"step\",\"step\":";
    struct pyr_message *m = malloc(sizeof *m + n + 1);
    if (!m) {
        return NULL;
    }
    bool is_step = n > sizeof head && memcmp(line, head, sizeof head - 1) == 0;
    *m = (struct pyr_message){.kind = is_step ? PYR_STEP : PYR_EVENT,
                              .step = is_step ? strtoll(line + sizeof head - 1, NULL, 10) : 0,
                              .bytes = sizeof *m + n + 1,
                              .is_line = true,
                              .text = (char *)(m + 1)};
    memcpy(m->text, line, n);
    m->text[n] = '\0';
    return m;
}

static void write_member(struct pyr_text *out, const char *key, double x) {
    if (pyrometer_is_measured(x)) {
        pyr_text_key(out, key);
        pyr_text_number(out, x);
    }
}

static void write_column(struct pyr_text *out, const double *values, size_t count) {
    for (size_t l = 0; l < count; l++) {
        pyr_text_literal(out, l == 0 ? "[" : ",");
        pyr_text_number(out, values[l]);
    }
    pyr_text_literal(out, "]");
}

static void write_scalars(struct pyr_text *out, const char *name, const double *values,
                          size_t count) {
    pyr_text_key(out, "scalars");
    pyr_text_literal(out, "{");
    for (size_t i = 0; i < count; i++) {
        pyr_text_key(out, name);
        pyr_text_number(out, values[i]);
        name += strlen(name) + 1;
    }
    pyr_text_literal(out, "}");
}

static void write_step(const struct pyr_message *m, struct pyr_text *out) {
    const struct pyr_step_copy *s = m->copy;
    const double *value = s->values;
    const char *name = s->names;
    pyr_text_literal(out, "{\"type\":\"step\",\"step\":");
    pyr_text_integer(out, m->step);
    write_member(out, "time", s->time);
    write_member(out, "loss", s->loss);
    write_member(out, "lr", s->lr);
    write_member(out, "loss_after", s->loss_after);
    write_member(out, "val_loss", s->val_loss);
    if (s->batch_size > 0) {
        pyr_text_key(out, "batch_size");
        pyr_text_unsigned(out, s->batch_size);
    }
    pyr_text_key(out, "stats");
    pyr_text_literal(out, "{");
    for (size_t i = 0; i < s->column_count; i++) {
        pyr_text_key(out, name);
        write_column(out, value, s->layer_count);
        value += s->layer_count;
        name += strlen(name) + 1;
    }
    pyr_text_literal(out, "}");
    if (s->scalar_count > 0) {
        write_scalars(out, name, value, s->scalar_count);
    }
    pyr_text_literal(out, "}\n");
}

bool pyr_message_has_scalars(const struct pyr_message *m) {
    return m->kind == PYR_STEP && !m->is_line && m->copy->scalar_count > 0;
}

bool pyr_message_fits_frame(const struct pyr_message *m) {
    const struct pyr_step_copy *s = m->copy;
    if (m->kind != PYR_STEP || m->is_line || s->column_count > PYR_FRAME_COLUMNS_MAX ||
        pyrometer_is_measured(s->loss_after) || pyrometer_is_measured(s->val_loss)) {
        return false;
    }
    const char *name = s->names;
    bool known = true;
    for (size_t i = 0; known && i < s->column_count; i++) {
        known = pyr_frame_id(name) != 0;
        name += strlen(name) + 1;
    }
    return known;
}

static void write_frame(const struct pyr_message *m, struct pyr_text *out) {
    const struct pyr_step_copy *s = m->copy;
    struct pyr_frame frame = {.step = m->step,
                              .time = s->time,
                              .loss = s->loss,
                              .lr = s->lr,
                              .batch_size = s->batch_size,
                              .layer_count = s->layer_count,
                              .column_count = s->column_count,
                              .values = s->values};
    const char *name = s->names;
    for (size_t i = 0; i < s->column_count; i++) {
        frame.ids[i] = pyr_frame_id(name);
        name += strlen(name) + 1;
    }
    if (s->scalar_count > 0) {
        pyr_text_literal(out, "{\"type\":\"scalars\",\"step\":");
        pyr_text_integer(out, m->step);
        write_member(out, "time", s->time);
        write_scalars(out, name, s->values + s->column_count * s->layer_count, s->scalar_count);
        pyr_text_literal(out, "}\n");
    }
    pyr_frame_write(&frame, out);
}

void pyr_message_write(const struct pyr_message *m, bool frame, struct pyr_text *out) {
    if (m->kind == PYR_STEP && frame) {
        write_frame(m, out);
    } else if (m->kind == PYR_STEP && !m->is_line) {
        write_step(m, out);
    } else {
        pyr_text_literal(out, m->text);
    }
}
