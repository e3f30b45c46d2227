// SGD and heavy ball on h w^2 / 2 with white noise in the gradient: v = mu v + g, w -= eta v.
#include "tests/calibrate/simulate.h"

#include <stdlib.h>

struct copy {
    double *w, *g, *u, *u_prev; // size each
};

static double curvature_at(const struct settings *s, size_t i) {
    return s->curvature2 > 0 && i % 2 == 1 ? s->curvature2 : s->curvature;
}

// Returns the loss.
static double step_copy(const struct settings *s, struct random *r, struct copy *c) {
    double loss = 0, scatter = sqrt(s->noise);
    double *u_prev = c->u;
    c->u = c->u_prev;
    c->u_prev = u_prev;
    for (size_t i = 0; i < (size_t)s->size; i++) {
        double h = curvature_at(s, i);
        loss += h * c->w[i] * c->w[i] / 2;
        c->g[i] = h * c->w[i] + scatter * random_normal(r);
        c->u[i] = s->momentum * u_prev[i] - s->eta * c->g[i];
    }
    return loss;
}

static void apply(struct copy *c, size_t n) {
    for (size_t i = 0; i < n; i++) {
        c->w[i] += c->u[i];
    }
}

void simulate_sgd(const struct settings *s, struct random *r, int number) {
    static struct pyrometer_stats stats[LAYERS_MAX];
    static struct copy copies[LAYERS_MAX];
    size_t n = (size_t)s->size, layers = (size_t)s->layers;
    double *memory = calloc(4 * n * layers, sizeof *memory);
    if (!memory) {
        abort();
    }
    for (size_t l = 0; l < layers; l++) {
        double *at = memory + 4 * n * l;
        copies[l] = (struct copy){at, at + n, at + 2 * n, at + 3 * n};
    }
    struct stream *stream = stream_open(
        s, number, layers,
        &(struct pyrometer_optimizer){.name = "sgd", .lr = s->eta, .momentum = s->momentum});
    stats_clear(stats, layers);
    for (int64_t step = -(int64_t)s->burn; step < (int64_t)s->steps; step++) {
        double loss = 0;
        for (size_t l = 0; l < layers; l++) {
            struct copy *c = &copies[l];
            loss += step_copy(s, r, c);
            if (step >= 0) {
                stats_measure(&stats[l], n, c->w, c->g, c->u, c->u_prev);
            }
            apply(c, n);
        }
        if (step >= 0) {
            stream_step(stream, step, loss, s->eta, stats);
        }
    }
    stream_close(stream);
    free(memory);
}
