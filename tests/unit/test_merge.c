// Merging the ranks' steps, against the statistics of all their parameters at once; and the merged
// run's hello.
#include "base/num.h"
#include "config/limits.h"
#include "runs/merge.h"
#include "tests/unit/support/support.h"
#include "wire/shards.h"

#include <math.h>

#define LAYERS 3
#define RANKS 5
#define MOST 40 // parameters of a layer at a rank

// One rank's parameters of one layer.
struct shard {
    size_t n;
    double w[MOST], g[MOST], u[MOST];
};

static void draw_shard(struct shard *s, uint64_t *seed, size_t n, double offset) {
    s->n = n;
    for (size_t i = 0; i < n; i++) {
        s->w[i] = offset + random_unit(seed);
        s->g[i] = random_unit(seed);
        s->u[i] = 0.01 * random_unit(seed);
    }
}

static double mean_of(const double *x, size_t n) {
    long double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (long double)x[i];
    }
    return (double)(sum / (long double)n);
}

static double variance_of(const double *x, size_t n) {
    long double sum = 0, mean = 0;
    for (size_t i = 0; i < n; i++) {
        mean += (long double)x[i] / (long double)n;
    }
    for (size_t i = 0; i < n; i++) {
        sum += ((long double)x[i] - mean) * ((long double)x[i] - mean);
    }
    return (double)(sum / (long double)n);
}

static double inner(const double *x, const double *y, size_t n) {
    long double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (long double)x[i] * (long double)y[i];
    }
    return (double)sum;
}

static double extreme_of(const double *x, size_t n, double sign) {
    double best = x[0];
    for (size_t i = 1; i < n; i++) {
        best = sign * x[i] > sign * best ? x[i] : best;
    }
    return best;
}

static double share_above_zero(const double *x, size_t n) {
    double above = 0;
    for (size_t i = 0; i < n; i++) {
        above += x[i] > 0;
    }
    return above / (double)n;
}

static double statistic_of(const struct shard *s, enum statistic stat) {
    if (s->n == 0) {
        return num_missing();
    }
    switch ((int)stat) {
    case STAT_W_MEAN:
    case STAT_Z_MEAN:
        return mean_of(s->w, s->n);
    case STAT_W_VAR:
    case STAT_Z_VAR:
        return variance_of(s->w, s->n);
    case STAT_W_MIN:
        return extreme_of(s->w, s->n, -1);
    case STAT_W_MAX:
        return extreme_of(s->w, s->n, 1);
    case STAT_G_MEAN:
    case STAT_A_MEAN:
        return mean_of(s->g, s->n);
    case STAT_G_VAR:
    case STAT_A_VAR:
        return variance_of(s->g, s->n);
    case STAT_U_MEAN:
        return mean_of(s->u, s->n);
    case STAT_U_VAR:
        return variance_of(s->u, s->n);
    case STAT_GW:
        return inner(s->g, s->w, s->n);
    case STAT_GU:
    case STAT_GU_PREV:
        return inner(s->g, s->u, s->n);
    case STAT_A_ACTIVE:
        return share_above_zero(s->g, s->n);
    case STAT_A_SATURATED:
        return share_above_zero(s->w, s->n);
    case STAT_G_NOISE:
        return inner(s->g, s->g, s->n) / (double)s->n;
    default:
        return num_missing();
    }
}

static void describe(struct step *out, int64_t number, const struct shard *layers, size_t n) {
    step_clear(out, n);
    out->step = number;
    for (unsigned stat = 1; stat < STAT_COUNT; stat++) {
        double *values = step_add_column(out, (enum statistic)stat, NULL, 0);
        ck_assert_ptr_nonnull(values);
        for (size_t l = 0; l < n; l++) {
            values[l] = statistic_of(&layers[l], (enum statistic)stat);
        }
    }
}

static void append(struct shard *whole, const struct shard *part) {
    memcpy(whole->w + whole->n, part->w, part->n * sizeof *part->w);
    memcpy(whole->g + whole->n, part->g, part->n * sizeof *part->g);
    memcpy(whole->u + whole->n, part->u, part->n * sizeof *part->u);
    whole->n += part->n;
}

static void assert_same_statistics(const struct step *found, const struct step *wanted) {
    for (unsigned stat = 1; stat < STAT_COUNT; stat++) {
        const double *f = step_stat(found, (enum statistic)stat);
        const double *w = step_stat(wanted, (enum statistic)stat);
        ck_assert_ptr_nonnull(f);
        for (size_t l = 0; l < wanted->n_layers; l++) {
            ck_assert_int_eq(num_is_missing(f[l]), num_is_missing(w[l]));
            if (num_is_missing(w[l])) {
                continue;
            }
            double difference = fabs(f[l] - w[l]);
            ck_assert_msg(difference <= 1e-12 * (1 + fabs(w[l])), "%s: %.17g, not %.17g",
                          stat_name(stat), f[l], w[l]);
        }
    }
}

// Shards of all sizes, none among them, in whole runs of ranks.
START_TEST(test_like_one_process) {
    static struct shard shards[RANKS][LAYERS];
    struct merge *m = merge_create();
    struct step part, merged, whole;
    step_init(&part);
    step_init(&merged);
    step_init(&whole);
    uint64_t seed = 7;
    for (int64_t round = 0; round < 200; round++) {
        static struct shard all[LAYERS];
        double sizes[LAYERS] = {0}, shard_sizes[RANKS][LAYERS];
        memset(all, 0, sizeof all);
        for (size_t r = 0; r < RANKS; r++) {
            for (size_t l = 0; l < LAYERS; l++) {
                size_t n = random_below(&seed, MOST / RANKS + 1);
                draw_shard(&shards[r][l], &seed, n, 3 * random_unit(&seed));
                append(&all[l], &shards[r][l]);
                shard_sizes[r][l] = (double)n;
                sizes[l] += (double)n;
            }
        }
        merge_begin(m, LAYERS, sizes);
        for (size_t r = 0; r < RANKS; r++) {
            describe(&part, round, shards[r], LAYERS);
            merge_add(m, &part, shard_sizes[r]);
        }
        ck_assert(merge_finish(m, &merged));
        ck_assert_int_eq(merged.step, round);
        describe(&whole, round, all, LAYERS);
        assert_same_statistics(&merged, &whole);
    }
    step_free(&part);
    step_free(&merged);
    step_free(&whole);
    merge_destroy(m);
}
END_TEST

// Means that are large against their spread: the textbook formula loses every digit here.
START_TEST(test_cancellation) {
    struct merge *m = merge_create();
    struct step part, merged;
    step_init(&part);
    step_init(&merged);
    double whole = 8, half = 4;
    merge_begin(m, 1, &whole);
    for (int r = 0; r < 2; r++) {
        step_clear(&part, 1);
        part.step = 0;
        *step_add_column(&part, STAT_W_MEAN, NULL, 0) = 1e9 + r;
        *step_add_column(&part, STAT_W_VAR, NULL, 0) = 0.5;
        merge_add(m, &part, &half);
    }
    ck_assert(merge_finish(m, &merged));
    ck_assert_double_eq(*step_stat(&merged, STAT_W_MEAN), 1e9 + 0.5);
    ck_assert_double_eq(*step_stat(&merged, STAT_W_VAR), 0.75);
    step_free(&part);
    step_free(&merged);
    merge_destroy(m);
}
END_TEST

// One layer of one statistic (and its mean) from up to three ranks of equal size, out of `n_all`.
static double merge_values(enum statistic stat, const double *means, const double *values, size_t n,
                           size_t n_all) {
    static const double size = 10;
    double whole = size * (double)n_all;
    struct merge *m = merge_create();
    struct step part, merged;
    step_init(&part);
    step_init(&merged);
    merge_begin(m, 1, &whole);
    for (size_t r = 0; r < n; r++) {
        step_clear(&part, 1);
        part.step = 0;
        *step_add_column(&part, stat, NULL, 0) = values[r];
        if (means) {
            *step_add_column(&part, STAT_W_MEAN, NULL, 0) = means[r];
        }
        merge_add(m, &part, &size);
    }
    ck_assert(merge_finish(m, &merged));
    double value = *step_stat(&merged, stat);
    step_free(&part);
    step_free(&merged);
    merge_destroy(m);
    return value;
}

START_TEST(test_what_is_not_measured) {
    double none = num_missing();
    double values[] = {1, none, 3}, nothing[] = {none, none, none}, means[] = {1, none, 3};
    double spread[] = {1, 1, 1};
    ck_assert_double_eq(merge_values(STAT_W_MEAN, NULL, values, 3, 3), 2);
    ck_assert_double_eq(merge_values(STAT_GW, NULL, values, 3, 3), 6); // 4 of 20 parameters
    ck_assert_double_eq(merge_values(STAT_GW, NULL, values, 1, 3), 3); // ranks that are absent
    ck_assert_double_eq(merge_values(STAT_W_MIN, NULL, values, 3, 3), 1);
    ck_assert_double_eq(merge_values(STAT_W_MAX, NULL, values, 3, 3), 3);
    ck_assert_double_eq(merge_values(STAT_W_ALPHA, NULL, values, 3, 3), 2);
    ck_assert_double_eq(merge_values(STAT_W_VAR, means, spread, 3, 3), 2); // of ranks 0 and 2
    ck_assert(num_is_missing(merge_values(STAT_W_VAR, NULL, spread, 3, 3)));
    for (unsigned stat = 1; stat < STAT_COUNT; stat++) {
        double *w = stat == STAT_W_MEAN ? NULL : nothing;
        ck_assert(num_is_missing(merge_values((enum statistic)stat, w, nothing, 3, 3)));
    }
}
END_TEST

START_TEST(test_non_finite) {
    double inf = (double)INFINITY;
    double nans[] = {1, (double)NAN, 2}, infinities[] = {1, inf, inf}, both[] = {-inf, inf, 0};
    static const enum statistic stats[] = {STAT_G_MEAN, STAT_GW, STAT_W_MIN, STAT_W_MAX,
                                           STAT_A_ACTIVE};
    for (size_t i = 0; i < COUNT(stats); i++) {
        double x = merge_values(stats[i], NULL, nans, 3, 3);
        ck_assert(isnan(x) && !num_is_missing(x));
    }
    ck_assert_double_eq(merge_values(STAT_G_MEAN, NULL, infinities, 3, 3), inf);
    ck_assert_double_eq(merge_values(STAT_GW, NULL, infinities, 3, 3), inf);
    ck_assert_double_eq(merge_values(STAT_W_MAX, NULL, infinities, 3, 3), inf);
    ck_assert_double_eq(merge_values(STAT_W_MIN, NULL, both, 3, 3), -inf);
    ck_assert(isnan(merge_values(STAT_G_MEAN, NULL, both, 3, 3)));
}
END_TEST

static void add_numbers(struct merge *m, struct step *s, double rank) {
    static const double size = 1;
    s->step = 3;
    s->time = 100 + rank;
    s->lr = 0.1 * (rank + 1);
    s->batch_size = 16;
    s->val_loss = rank;
    step_add_scalar(s, "power", 5, 10 * rank);
    *step_add_column(s, STAT_NONE, "mine", 4) = rank;
    merge_add(m, s, &size);
}

START_TEST(test_numbers_of_the_whole_run) {
    struct merge *m = merge_create();
    struct step s;
    step_init(&s);
    double whole = 3;
    for (int round = 0; round < 2; round++) { // nothing stays from one step to the next
        merge_begin(m, 1, &whole);
        for (int rank = 0; rank < 3; rank++) {
            step_clear(&s, 1);
            s.loss = rank == 1 ? num_missing() : rank;
            if (rank == 2) {
                step_add_scalar(&s, "alone", 5, 7);
            }
            add_numbers(m, &s, rank);
        }
        ck_assert(merge_finish(m, &s));
        ck_assert_int_eq(s.step, 3);
        ck_assert_double_eq(s.time, 100);
        ck_assert_double_eq(s.lr, 0.1);
        ck_assert_double_eq(s.loss, 1); // of ranks 0 and 2
        ck_assert_double_eq(s.val_loss, 1);
        ck_assert_double_eq(s.batch_size, 48);
        ck_assert(num_is_missing(s.loss_after));
        ck_assert_uint_eq(s.n_scalars, 2);
        ck_assert_str_eq(s.scalars[0].name, "power");
        ck_assert_double_eq(s.scalars[0].value, 10);
        ck_assert_double_eq(s.scalars[1].value, 7);
        ck_assert_uint_eq(s.n_columns, 1);
        ck_assert_str_eq(s.columns[0].name, "mine");
        ck_assert_double_eq(s.columns[0].values[0], 1);
    }
    step_free(&s);
    merge_destroy(m);
}
END_TEST

// Ranks that each send names of their own, together more than a step may carry.
START_TEST(test_too_many_names) {
    struct merge *m = merge_create();
    struct step s;
    step_init(&s);
    double whole = 2, half = 1;
    merge_begin(m, 1, &whole);
    for (int rank = 0; rank < 2; rank++) {
        step_clear(&s, 1);
        for (int i = 0; i < LIMIT_SCALARS; i++) {
            char name[32];
            int n = snprintf(name, sizeof name, "%d.%d", rank, i);
            ck_assert(step_add_scalar(&s, name, (size_t)n, i));
            if (i < LIMIT_CUSTOM_STATS) {
                *step_add_column(&s, STAT_NONE, name, (size_t)n) = i;
            }
        }
        merge_add(m, &s, &half);
    }
    ck_assert(!merge_finish(m, &s));
    ck_assert_uint_eq(s.n_scalars, LIMIT_SCALARS);
    ck_assert_str_eq(s.scalars[0].name, "0.0");
    ck_assert_uint_ge(s.n_columns, LIMIT_CUSTOM_STATS);
    step_free(&s);
    merge_destroy(m);
}
END_TEST

static struct hello parse(const char *line) {
    struct hello h;
    struct wire_error error;
    ck_assert_msg(hello_parse(&h, line, strlen(line), &error) == 0, "%s", error.message);
    return h;
}

START_TEST(test_merged_hello) {
    struct hello rank =
        parse("{\"type\":\"hello\",\"protocol\":1,\"run\":\"r\",\"rank\":1,"
              "\"world_size\":2,\"shards\":true,\"batch_size\":8,\"tags\":{\"N\":1},"
              "\"layers\":[{\"name\":\"a\",\"n\":5,\"N\":1},"
              "{\"name\":\"b\",\"n\":null}]}");
    ck_assert(rank.shards);
    ck_assert_double_eq(rank.layers[1].n, 0);
    double n[] = {12, 3};
    size_t absent[] = {0};
    struct shards s = {.facts = rank.facts, .n = n, .batch_size = 16, .world_size = 2};
    struct hello merged;
    struct wire_error error;
    ck_assert_int_eq(shards_hello(&s, &merged, &error), 0);
    ck_assert(!merged.shards && !shards_were_absent(&merged));
    ck_assert_double_eq(merged.world_size, 1);
    ck_assert_double_eq(merged.rank, 0);
    ck_assert_double_eq(merged.batch_size, 16);
    ck_assert_double_eq(merged.layers[0].n, 12);
    ck_assert_double_eq(merged.layers[1].n, 3);
    ck_assert_ptr_nonnull(strstr(merged.facts, "\"N\":1"));
    ck_assert_ptr_nonnull(strstr(merged.facts, "\"sharded_over\":2"));
    hello_free(&merged);
    s.absent = absent;
    s.n_absent = 1;
    ck_assert_int_eq(shards_hello(&s, &merged, &error), 0);
    ck_assert(shards_were_absent(&merged));
    hello_free(&merged);
    n[1] = 0; // a layer that nobody holds
    ck_assert_int_eq(shards_hello(&s, &merged, &error), -1);
    ck_assert_int_eq(error.code, WIRE_BAD_HELLO);
    hello_free(&rank);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_like_one_process,
        test_cancellation,
        test_what_is_not_measured,
        test_non_finite,
        test_numbers_of_the_whole_run,
        test_too_many_names,
        test_merged_hello,
    };
    return run_suite(suite_of("merge", tests, COUNT(tests)));
}
