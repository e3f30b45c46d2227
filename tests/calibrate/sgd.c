// SGD and heavy ball on h w^2 / 2 + pull w with white noise in the gradient: v = mu v + g,
// w -= eta v. With a batch of several samples each sample's gradient has noise of its own, and what
// they differ by is sent.
#include "tests/calibrate/simulate.h"

#include <stdlib.h>

struct copy {
    double *w, *g, *u, *u_prev; // size each
};

// What a step tells of its noise, a layer each; means over the coordinates.
struct told {
    double variance[LAYERS_MAX]; // over samples
    double square[LAYERS_MAX];   // of single samples' gradients
    double one[LAYERS_MAX];      // samples of these
};

static double curvature_at(const struct settings *s, size_t i) {
    return s->curvature2 > 0 && i % 2 == 1 ? s->curvature2 : s->curvature;
}

// The mean of the samples' noise, s->noise its variance.
static double draw_noise(const struct settings *s, struct random *r, double pure,
                         struct told *told, size_t layer) {
    size_t samples = (size_t)s->batch;
    double sum = 0, squares = 0, count = (double)samples, scatter = sqrt(s->noise * count);
    for (size_t k = 0; k < samples; k++) {
        double e = scatter * random_normal(r);
        sum += e;
        squares += e * e;
        told->square[layer] += (pure + e) * (pure + e) / (count * s->size);
    }
    if (samples > 1) {
        told->variance[layer] += (squares - sum * sum / count) / ((count - 1) * s->size);
    }
    return sum / count;
}

// Returns the loss.
static double step_copy(const struct settings *s, struct random *r, struct copy *c,
                        struct told *told, size_t layer) {
    double loss = 0;
    double *u_prev = c->u;
    c->u = c->u_prev;
    c->u_prev = u_prev;
    told->variance[layer] = told->square[layer] = 0;
    for (size_t i = 0; i < (size_t)s->size; i++) {
        double h = curvature_at(s, i), pure = h * c->w[i] + s->pull;
        loss += h * c->w[i] * c->w[i] / 2 + s->pull * c->w[i];
        c->g[i] = pure + draw_noise(s, r, pure, told, layer);
        c->u[i] = s->momentum * u_prev[i] - s->eta * c->g[i];
    }
    return loss;
}

static void apply(struct copy *c, size_t n) {
    for (size_t i = 0; i < n; i++) {
        c->w[i] += c->u[i];
    }
}

static void send(struct stream *stream, const struct settings *s, int64_t step, double loss,
                 const struct pyrometer_stats *stats, const struct told *told) {
    const struct pyrometer_column noise = {"g_noise", told->variance};
    const struct pyrometer_column small[] = {{"g_small_sq", told->square},
                                             {"batch_small", told->one}};
    if ((int)s->tells == TELLS_G_NOISE) {
        stream_step(stream, step, loss, s->eta, stats, &noise, 1);
    } else {
        stream_step(stream, step, loss, s->eta, stats, small,
                    (int)s->tells == TELLS_G_SMALL_SQ ? 2 : 0);
    }
}

void simulate_sgd(const struct settings *s, struct random *r, int number) {
    static struct pyrometer_stats stats[LAYERS_MAX];
    static struct copy copies[LAYERS_MAX];
    static struct told told;
    size_t n = (size_t)s->size, layers = (size_t)s->layers;
    double *memory = calloc(4 * n * layers, sizeof *memory);
    if (!memory) {
        abort();
    }
    for (size_t l = 0; l < layers; l++) {
        double *at = memory + 4 * n * l;
        copies[l] = (struct copy){at, at + n, at + 2 * n, at + 3 * n};
        told.one[l] = 1;
    }
    struct stream *stream = stream_open(
        s, number, layers,
        &(struct pyrometer_optimizer){.name = "sgd", .lr = s->eta, .momentum = s->momentum});
    stats_clear(stats, layers);
    for (int64_t step = -(int64_t)s->burn; step < (int64_t)s->steps; step++) {
        double loss = 0;
        for (size_t l = 0; l < layers; l++) {
            struct copy *c = &copies[l];
            loss += step_copy(s, r, c, &told, l);
            if (step >= 0) {
                stats_measure(&stats[l], n, c->w, c->g, c->u, c->u_prev);
                // Without a curvature the weights run away, and w.g with them.
                stats[l].gw = s->curvature > 0 ? stats[l].gw : pyrometer_not_measured();
            }
            apply(c, n);
        }
        if (step >= 0) {
            send(stream, s, step, loss, stats, &told);
        }
    }
    stream_close(stream);
    free(memory);
}
