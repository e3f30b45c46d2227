#include "tests/calibrate/simulate.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { NAME_MAX_BYTES = 128, QUEUED_BYTES_MAX = 8 << 20, FINISH_TIMEOUT_MS = 1200000 };

struct stream {
    struct pyrometer *client;
    const char *run;
};

double random_normal(struct random *r) {
    if (r->has_spare) {
        r->has_spare = false;
        return r->spare;
    }
    double x, y, square;
    do {
        x = 2 * random_uniform(r) - 1;
        y = 2 * random_uniform(r) - 1;
        square = x * x + y * y;
    } while (square >= 1 || square <= 0);
    double factor = sqrt(-2 * log(square) / square);
    r->spare = y * factor;
    r->has_spare = true;
    return x * factor;
}

static void fail(struct pyrometer *client, const char *run, const char *what) {
    char text[256] = "";
    pyrometer_last_error(client, text, sizeof text);
    fprintf(stderr, "simulate: %s: %s: %s\n", run, what, text);
    exit(1);
}

struct stream *stream_open(const struct settings *s, int number, size_t layers,
                           const struct pyrometer_optimizer *optimizer) {
    static struct pyrometer_layer list[LAYERS_MAX];
    static char names[LAYERS_MAX][32];
    char run[NAME_MAX_BYTES + 16];
    for (size_t i = 0; i < layers; i++) {
        snprintf(names[i], sizeof names[i], "copy%zu", i);
        list[i] = (struct pyrometer_layer){.name = names[i], .n = (uint64_t)s->size};
    }
    snprintf(run, sizeof run, "%.100s-%d", s->run, number);
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream) {
        fail(NULL, s->run, "no memory");
    }
    stream->run = s->run;
    stream->client = pyrometer_open(&(struct pyrometer_config){.server = s->server,
                                                               .run = run,
                                                               .project = "calibration",
                                                               .loss = "other",
                                                               .optimizer = *optimizer,
                                                               .batch_size = (uint32_t)s->batch,
                                                               .layers = list,
                                                               .layer_count = layers});
    if (!stream->client) {
        fail(NULL, s->run, "cannot open the client");
    }
    return stream;
}

static void wait_for_room(struct stream *s) {
    struct pyrometer_counters c;
    for (;;) {
        pyrometer_counters(s->client, &c);
        if (c.stopped || c.refused > 0) {
            fail(s->client, s->run, "the daemon refuses");
        }
        if (c.queued_bytes < QUEUED_BYTES_MAX) {
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
}

void stream_step(struct stream *s, int64_t step, double loss, double lr,
                 const struct pyrometer_stats *stats, const struct pyrometer_column *columns,
                 size_t n_columns) {
    wait_for_room(s);
    if (pyrometer_step(s->client, &(struct pyrometer_step){.step = step,
                                                           .time = 1e9 + (double)step,
                                                           .loss = loss,
                                                           .lr = lr,
                                                           .stats = stats,
                                                           .columns = columns,
                                                           .column_count = n_columns}) != 0) {
        fail(s->client, s->run, "a step was not queued");
    }
}

void stream_close(struct stream *s) {
    if (pyrometer_finish(s->client, "completed", FINISH_TIMEOUT_MS) != 0) {
        fail(s->client, s->run, "not everything was stored");
    }
    pyrometer_close(s->client);
    free(s);
}

void stats_clear(struct pyrometer_stats *stats, size_t layers) {
    double none = pyrometer_not_measured();
    for (size_t i = 0; i < layers; i++) {
        stats[i] = (struct pyrometer_stats){none, none, none, none, none, none,
                                            none, none, none, none, none};
    }
}

static void mean_and_variance(size_t n, const double *x, double *mean, double *variance) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
    }
    *mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        squares += (x[i] - *mean) * (x[i] - *mean);
    }
    *variance = squares / (double)n;
}

static double dot(size_t n, const double *x, const double *y) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i] * y[i];
    }
    return sum;
}

void stats_measure(struct pyrometer_stats *stats, size_t n, const double *w, const double *g,
                   const double *u, const double *u_prev) {
    mean_and_variance(n, w, &stats->w_mean, &stats->w_var);
    mean_and_variance(n, g, &stats->g_mean, &stats->g_var);
    mean_and_variance(n, u, &stats->u_mean, &stats->u_var);
    stats->gw = dot(n, g, w);
    if (u_prev) {
        stats->gu_prev = dot(n, g, u_prev);
    }
}
