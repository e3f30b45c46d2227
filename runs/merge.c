#include "runs/merge.h"

#include "base/num.h"
#include "config/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum rule {
    RULE_PLAIN_MEAN, // over ranks
    RULE_MEAN,       // over parameters
    RULE_VARIANCE,   // over parameters, with its mean's statistic
    RULE_SUM,
    RULE_MIN,
    RULE_MAX
};

static const struct {
    enum rule rule;
    enum statistic mean; // of a variance
} rules[STAT_COUNT] = {
    [STAT_NONE] = {RULE_PLAIN_MEAN, STAT_NONE},
    [STAT_W_MEAN] = {RULE_MEAN, STAT_NONE},
    [STAT_W_VAR] = {RULE_VARIANCE, STAT_W_MEAN},
    [STAT_W_MIN] = {RULE_MIN, STAT_NONE},
    [STAT_W_MAX] = {RULE_MAX, STAT_NONE},
    [STAT_G_MEAN] = {RULE_MEAN, STAT_NONE},
    [STAT_G_VAR] = {RULE_VARIANCE, STAT_G_MEAN},
    [STAT_U_MEAN] = {RULE_MEAN, STAT_NONE},
    [STAT_U_VAR] = {RULE_VARIANCE, STAT_U_MEAN},
    [STAT_GW] = {RULE_SUM, STAT_NONE},
    [STAT_GU] = {RULE_SUM, STAT_NONE},
    [STAT_Z_MEAN] = {RULE_MEAN, STAT_NONE},
    [STAT_Z_VAR] = {RULE_VARIANCE, STAT_Z_MEAN},
    [STAT_A_MEAN] = {RULE_MEAN, STAT_NONE},
    [STAT_A_VAR] = {RULE_VARIANCE, STAT_A_MEAN},
    [STAT_A_ACTIVE] = {RULE_MEAN, STAT_NONE},
    [STAT_A_SATURATED] = {RULE_MEAN, STAT_NONE},
    [STAT_G_NOISE] = {RULE_MEAN, STAT_NONE},
    [STAT_W_ALPHA] = {RULE_PLAIN_MEAN, STAT_NONE},
    [STAT_GU_PREV] = {RULE_SUM, STAT_NONE},
    [STAT_G_SMALL_SQ] = {RULE_MEAN, STAT_NONE},
    [STAT_BATCH_SMALL] = {RULE_MEAN, STAT_NONE},
};

// What the shards so far come to, for one statistic of one layer.
struct cell {
    double weight; // of the shards that measured it; 0: none has
    double value;  // the mean, the sum or the extreme; of a variance the sum of squared deviations
    double mean;   // of a variance
};

struct column {
    enum statistic stat;
    char name[LIMIT_STAT_NAME + 1];
    struct cell *cells; // n_layers
};

// A mean over ranks of a number of the whole run.
struct average {
    double sum, n;
};

struct merge {
    size_t n_layers;
    const double *sizes;
    bool is_empty;
    int64_t step;
    double time, lr;
    struct average loss, loss_after, val_loss, batch_size;
    struct column *columns;
    size_t n_columns, cap_columns;
    struct {
        char name[LIMIT_SCALAR_NAME + 1];
        struct average average;
    } scalars[LIMIT_SCALARS];
    size_t n_scalars;
    bool overflowed, no_memory;
};

struct merge *merge_create(void) {
    return NEW(struct merge);
}

static void clear(struct merge *m) {
    for (size_t i = 0; i < m->n_columns; i++) {
        free(m->columns[i].cells);
    }
    m->n_columns = m->n_scalars = 0;
}

void merge_destroy(struct merge *m) {
    if (m) {
        clear(m);
        free(m->columns);
        free(m);
    }
}

void merge_begin(struct merge *m, size_t n_layers, const double *sizes) {
    clear(m);
    m->n_layers = n_layers;
    m->sizes = sizes;
    m->is_empty = true;
    m->overflowed = m->no_memory = false;
    m->lr = num_missing();
    m->loss = m->loss_after = m->val_loss = m->batch_size = (struct average){0};
}

static struct column *column_of(struct merge *m, const struct step_column *like) {
    for (size_t i = 0; i < m->n_columns; i++) {
        if (m->columns[i].stat == like->stat &&
            (like->stat || strcmp(m->columns[i].name, like->name) == 0)) {
            return &m->columns[i];
        }
    }
    if (m->n_columns == m->cap_columns) {
        m->cap_columns = m->cap_columns ? 2 * m->cap_columns : 32;
        m->columns = must_grow(m->columns, m->cap_columns * sizeof *m->columns);
    }
    if (m->n_columns == STAT_COUNT - 1 + LIMIT_CUSTOM_STATS) {
        m->overflowed = true;
        return NULL;
    }
    struct cell *cells = try_calloc(m->n_layers ? m->n_layers : 1, sizeof *cells);
    if (!cells) {
        m->no_memory = true;
        return NULL;
    }
    struct column *c = &m->columns[m->n_columns++];
    *c = (struct column){.stat = like->stat, .cells = cells};
    size_t n = strnlen(like->name, LIMIT_STAT_NAME);
    memcpy(c->name, like->name, n);
    return c;
}

static double merge_means(double a, double weight_a, double b, double weight_b) {
    double delta = b - a, weight = weight_a + weight_b;
    // Infinities of one sign stay what they are; the difference of two would be NaN.
    return isfinite(delta) ? a + delta * (weight_b / weight)
                           : (a * weight_a + b * weight_b) / weight;
}

static double extreme(double a, double b, bool want_max) {
    if (isnan(a) || isnan(b)) {
        return a + b; // a measured NaN stays one
    }
    return (a > b) == want_max ? a : b;
}

static void add_variance(struct cell *c, double variance, double mean, double weight) {
    if (c->weight > 0) {
        double delta = mean - c->mean;
        c->value += variance * weight + delta * delta * (c->weight / (c->weight + weight)) * weight;
        c->mean = merge_means(c->mean, c->weight, mean, weight);
    } else {
        c->value = variance * weight;
        c->mean = mean;
    }
    c->weight += weight;
}

static void add_value(struct cell *c, enum rule rule, double x, double weight) {
    if (c->weight > 0) {
        switch (rule) {
        case RULE_PLAIN_MEAN:
        case RULE_MEAN:
            x = merge_means(c->value, c->weight, x, weight);
            break;
        case RULE_SUM:
            x += c->value;
            break;
        case RULE_MIN:
        case RULE_MAX:
            x = extreme(c->value, x, rule == RULE_MAX);
            break;
        case RULE_VARIANCE:
            break; // add_variance
        }
    }
    c->value = x;
    c->weight += weight;
}

static void add_column(struct merge *m, const struct step *step, const struct step_column *from,
                       const double *shard_sizes) {
    struct column *to = column_of(m, from);
    enum rule rule = rules[from->stat].rule;
    const double *means = rule == RULE_VARIANCE ? step_stat(step, rules[from->stat].mean) : NULL;
    for (size_t l = 0; to && l < m->n_layers; l++) {
        double x = from->values[l], size = shard_sizes[l];
        if (num_is_missing(x) || !(size > 0)) {
            continue;
        }
        if (rule != RULE_VARIANCE) {
            add_value(&to->cells[l], rule, x, rule == RULE_PLAIN_MEAN ? 1 : size);
        } else if (means && !num_is_missing(means[l])) {
            add_variance(&to->cells[l], x, means[l], size);
        }
    }
}

static void add_average(struct average *a, double x) {
    if (!num_is_missing(x)) {
        a->sum += x;
        a->n += 1;
    }
}

static void add_scalar(struct merge *m, const struct step_scalar *scalar) {
    size_t i = 0;
    while (i < m->n_scalars && strcmp(m->scalars[i].name, scalar->name) != 0) {
        i++;
    }
    if (i == LIMIT_SCALARS) {
        m->overflowed = true;
        return;
    }
    if (i == m->n_scalars) {
        size_t n = strnlen(scalar->name, LIMIT_SCALAR_NAME);
        memcpy(m->scalars[i].name, scalar->name, n);
        m->scalars[i].name[n] = '\0';
        m->scalars[i].average = (struct average){0};
        m->n_scalars++;
    }
    add_average(&m->scalars[i].average, scalar->value);
}

void merge_add(struct merge *m, const struct step *step, const double *shard_sizes) {
    if (m->is_empty) {
        m->is_empty = false;
        m->step = step->step;
        m->time = step->time;
    }
    if (num_is_missing(m->lr)) {
        m->lr = step->lr;
    }
    add_average(&m->loss, step->loss);
    add_average(&m->loss_after, step->loss_after);
    add_average(&m->val_loss, step->val_loss);
    add_average(&m->batch_size, step->batch_size);
    for (size_t i = 0; i < step->n_scalars; i++) {
        add_scalar(m, &step->scalars[i]);
    }
    for (size_t i = 0; i < step->n_columns; i++) {
        add_column(m, step, &step->columns[i], shard_sizes);
    }
}

static double cell_value(const struct cell *c, enum rule rule, double whole_size) {
    if (!(c->weight > 0)) {
        return num_missing();
    }
    if (rule == RULE_VARIANCE) {
        return c->value / c->weight;
    }
    bool is_part = rule == RULE_SUM && c->weight < whole_size;
    return is_part ? c->value * (whole_size / c->weight) : c->value;
}

static double mean_of(const struct average *a) {
    return a->n > 0 ? a->sum / a->n : num_missing();
}

bool merge_finish(const struct merge *m, struct step *out) {
    bool all = !m->overflowed;
    step_clear(out, m->n_layers);
    out->step = m->step;
    out->time = m->time;
    out->lr = m->lr;
    out->loss = mean_of(&m->loss);
    out->loss_after = mean_of(&m->loss_after);
    out->val_loss = mean_of(&m->val_loss);
    out->batch_size = m->batch_size.n > 0 ? m->batch_size.sum : num_missing();
    for (size_t i = 0; i < m->n_scalars; i++) {
        const char *name = m->scalars[i].name;
        all &= step_add_scalar(out, name, strlen(name), mean_of(&m->scalars[i].average));
    }
    for (size_t i = 0; i < m->n_columns; i++) {
        const struct column *c = &m->columns[i];
        double *values = step_add_column(out, c->stat, c->name, strlen(c->name));
        all &= values != NULL;
        for (size_t l = 0; values && l < m->n_layers; l++) {
            values[l] = cell_value(&c->cells[l], rules[c->stat].rule, m->sizes[l]);
        }
    }
    out->no_memory |= m->no_memory;
    return all;
}
