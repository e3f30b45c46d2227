// Langevin dynamics in a bath of known temperature, on a quadratic or a double well.
//
// Overdamped (SGLD): w' = w - eta U'(w) + N(0, 2 T eta). Its gradient is streamed without the
// bath's noise, its update with it. Underdamped: BAOAB splitting (Leimkuhler and Matthews), unit
// mass and friction; the update streamed is the whole change of w.
#include "tests/calibrate/simulate.h"

#include <stdlib.h>

static const double friction = 1;

struct bath {
    const struct settings *s;
    struct random *r;
    double *w, *g, *u, *v; // of all copies, size coordinates each
};

static double potential(const struct settings *s, double w) {
    double well = w * w - 1;
    return s->barrier > 0 ? s->barrier * well * well : s->curvature * w * w / 2;
}

static double slope(const struct settings *s, double w) {
    return s->barrier > 0 ? 4 * s->barrier * w * (w * w - 1) : s->curvature * w;
}

static void move_overdamped(struct bath *b, size_t i) {
    b->u[i] = -b->s->eta * b->g[i] + sqrt(2 * b->s->temperature * b->s->eta) * random_normal(b->r);
}

static void move_underdamped(struct bath *b, size_t i) {
    double dt = b->s->eta, keep = exp(-friction * dt);
    double v = b->v[i] - dt / 2 * b->g[i];
    double w = b->w[i] + dt / 2 * v;
    v = keep * v + sqrt((1 - keep * keep) * b->s->temperature) * random_normal(b->r);
    w += dt / 2 * v;
    b->v[i] = v - dt / 2 * slope(b->s, w);
    b->u[i] = w - b->w[i];
}

static double step_all(struct bath *b, size_t count, void (*move)(struct bath *, size_t)) {
    double loss = 0;
    for (size_t i = 0; i < count; i++) {
        loss += potential(b->s, b->w[i]);
        b->g[i] = slope(b->s, b->w[i]);
        move(b, i);
    }
    return loss;
}

static void simulate(struct bath *b, int number, const struct pyrometer_optimizer *optimizer,
                     void (*move)(struct bath *, size_t)) {
    static struct pyrometer_stats stats[LAYERS_MAX];
    size_t n = (size_t)b->s->size, layers = (size_t)b->s->layers, count = n * layers;
    double *memory = calloc(4 * count, sizeof *memory);
    if (!memory) {
        abort();
    }
    b->w = memory;
    b->g = memory + count;
    b->u = memory + 2 * count;
    b->v = memory + 3 * count;
    struct stream *stream = stream_open(b->s, number, layers, optimizer);
    stats_clear(stats, layers);
    for (int64_t step = -(int64_t)b->s->burn; step < (int64_t)b->s->steps; step++) {
        double loss = step_all(b, count, move);
        for (size_t l = 0; step >= 0 && l < layers; l++) {
            stats_measure(&stats[l], n, b->w + l * n, b->g + l * n, b->u + l * n, NULL);
        }
        if (step >= 0) {
            stream_step(stream, step, loss, b->s->eta, stats, NULL, 0);
        }
        for (size_t i = 0; i < count; i++) {
            b->w[i] += b->u[i];
        }
    }
    stream_close(stream);
    free(memory);
}

void simulate_langevin(const struct settings *s, struct random *r, int number) {
    struct bath b = {.s = s, .r = r};
    struct pyrometer_optimizer optimizer = {.name = "sgd", .lr = s->eta};
    simulate(&b, number, &optimizer, move_overdamped);
}

void simulate_underdamped(const struct settings *s, struct random *r, int number) {
    struct bath b = {.s = s, .r = r};
    struct pyrometer_optimizer optimizer = {.name = "other", .lr = s->eta};
    simulate(&b, number, &optimizer, move_underdamped);
}
