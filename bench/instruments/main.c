// What the instruments cost: CPU time a layer-step of thermo_observe on steps that carry everything
// a job can send, bytes of state a layer, and bytes that a run has once, at 10, 1,000 and 100,000
// layers.
//
//   instruments [SECONDS]     of CPU time for each number of layers, 3 by default
//
// One JSON object a line. Steps are made up beforehand, as many as fit 64 MiB, so that it is the
// instruments that are measured and not random numbers; they are read in turn as new steps.
#include "base/num.h"
#include "probes/thermo.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STEPS_BYTES (64u << 20)
#define STEPS_MAX 64
#define WARM_STEPS 300 // until the windows are full
#define LAYER_SIZE 1000

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double uniform(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

// The size of each statistic in a healthy run; every entry gets up to 10% of noise.
static double level(enum statistic id) {
    switch ((int)id) {
    case STAT_W_VAR:
        return 0.01;
    case STAT_W_MIN:
        return -0.3;
    case STAT_W_MAX:
        return 0.3;
    case STAT_U_VAR:
        return 0.05;
    case STAT_GW:
        return 500;
    case STAT_GU:
        return -3;
    case STAT_GU_PREV:
        return 0.2;
    case STAT_W_MEAN:
    case STAT_G_MEAN:
    case STAT_U_MEAN:
        return 1e-4;
    case STAT_W_ALPHA:
        return 3;
    case STAT_G_SMALL_SQ:
        return 2;
    case STAT_BATCH_SMALL:
        return 4;
    default:
        return 1;
    }
}

static struct thermo_step make_step(size_t layers, uint64_t *random) {
    struct thermo_step s = {
        .loss = 1 + 0.1 * uniform(random), .loss_after = 0.99, .lr = 0.1, .batch_size = 16};
    for (int id = 0; id < STAT_COUNT; id++) {
        double *column = malloc(layers * sizeof *column), at = level((enum statistic)id);
        if (!column) {
            fprintf(stderr, "instruments: no memory for %zu layers\n", layers);
            exit(1);
        }
        for (size_t i = 0; i < layers; i++) {
            bool fixed = id == STAT_BATCH_SMALL;
            column[i] = at * (fixed ? 1 : 1 + 0.1 * uniform(random));
        }
        s.stat[id] = column;
    }
    return s;
}

static void free_step(const struct thermo_step *s) {
    for (int id = 0; id < STAT_COUNT; id++) {
        free((void *)(uintptr_t)s->stat[id]);
    }
}

// Instruments that found nothing to read would be cheap.
static void must_read(const struct thermo *t) {
    static const enum metric all[] = {
        METRIC_ENTROPY,      METRIC_KINETIC,    METRIC_CONFIGURATIONAL, METRIC_NOISE,
        METRIC_VELOCITY,     METRIC_STABILITY,  METRIC_COHERENCE,       METRIC_DRIFT,
        METRIC_HEAT,         METRIC_ENERGY,     METRIC_EFFICIENCY,      METRIC_UPDATE_RATIO,
        METRIC_FREE_ENERGY,  METRIC_QUADRANT,   METRIC_SPECTRAL,        METRIC_TRANSITION,
        METRIC_DIFFERENTIAL, METRIC_EQUILIBRIUM};
    struct reading r[METRIC_COUNT];
    thermo_read(t, thermo_layers(t) / 2, r);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (r[all[i]].reason && strncmp(r[all[i]].reason, "indeterminate", 13) != 0) {
            fprintf(stderr, "instruments: metric %d has no value: %s\n", (int)all[i],
                    r[all[i]].reason);
            exit(1);
        }
    }
}

static void measure(size_t layers, double seconds) {
    struct thermo_facts facts = {.optimizer = OPTIMIZER_SGD,
                                 .momentum = 0.9,
                                 .beta1 = 0.9,
                                 .beta2 = 0.999,
                                 .lr = 0.1,
                                 .batch_size = 16};
    double *sizes = malloc(layers * sizeof *sizes);
    struct thermo_step steps[STEPS_MAX];
    size_t n = STEPS_BYTES / (layers * STAT_COUNT * sizeof(double));
    n = n < 2 ? 2 : n > STEPS_MAX ? STEPS_MAX : n;
    uint64_t random = 7;
    for (size_t i = 0; i < n; i++) {
        steps[i] = make_step(layers, &random);
    }
    for (size_t i = 0; sizes && i < layers; i++) {
        sizes[i] = LAYER_SIZE;
    }
    struct thermo *t = sizes ? thermo_create(&facts, layers, sizes) : NULL;
    if (!t) {
        fprintf(stderr, "instruments: no memory for %zu layers\n", layers);
        exit(1);
    }
    int64_t k = 0, from = 0;
    double begin = cpu_seconds(), spent = 0;
    while (k < WARM_STEPS + 2 || spent < seconds) {
        if (k == WARM_STEPS) {
            begin = cpu_seconds();
            from = k;
        }
        struct thermo_step *s = &steps[(size_t)k % n];
        s->step = k++;
        thermo_observe(t, s);
        spent = k > WARM_STEPS ? cpu_seconds() - begin : 0;
    }
    must_read(t);
    double a_layer = (double)(thermo_bytes(2 * layers) - thermo_bytes(layers)) / (double)layers;
    printf("{\"layers\": %zu, \"steps\": %lld, \"ns_per_layer_step\": %.1f, "
           "\"bytes_per_layer\": %.0f, \"bytes_per_run\": %.0f}\n",
           layers, (long long)(k - from), 1e9 * spent / (double)(k - from) / (double)layers,
           a_layer, (double)thermo_bytes(layers) - a_layer * (double)layers);
    fflush(stdout);
    thermo_destroy(t);
    free(sizes);
    for (size_t i = 0; i < n; i++) {
        free_step(&steps[i]);
    }
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 3;
    static const size_t layers[] = {10, 1000, 100000};
    if (argc > 2 || !(seconds > 0)) {
        fprintf(stderr, "usage: instruments [SECONDS], a number above 0\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        measure(layers[i], seconds);
    }
    return 0;
}
