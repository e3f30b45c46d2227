// What the instruments cost: CPU time a layer-step of thermo_observe on steps that carry everything
// a job can send, bytes of state a layer, and bytes that a run has once, at 10, 1,000 and 100,000
// layers.
//
//   instruments [SECONDS]     of CPU time for each number of layers, 3 by default
//
// One JSON object a line. Steps are made up beforehand, as many as fit 64 MiB, so that it is the
// instruments that are measured and not random numbers; they are read in turn as new steps.
#include "bench/instruments/steps.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_BYTES (64u << 20)
#define STEPS_MAX 64
#define WARM_STEPS 300 // until the windows are full
#define LAYER_SIZE 1000

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
