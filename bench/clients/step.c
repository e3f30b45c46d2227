// What pyrometer_step() takes from the caller: 100 layers of 10 statistics, streamed to a daemon.
//
//     bench-client SERVER STEPS     prints the median and the 99th percentile in microseconds
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "clients/c/pyrometer.h"

enum { LAYERS = 100, STEPS_MAX = 1000000, QUEUE_STEPS = 200 };

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct pyrometer *open_run(const char *server) {
    static struct pyrometer_layer layers[LAYERS];
    static char names[LAYERS][24];
    char run[64];
    snprintf(run, sizeof run, "bench-c-%lld", (long long)now_us());
    for (int l = 0; l < LAYERS; l++) {
        snprintf(names[l], sizeof names[l], "layer%d", l);
        layers[l] = (struct pyrometer_layer){.name = names[l], .n = 4096};
    }
    return pyrometer_open(&(struct pyrometer_config){.server = server,
                                                     .run = run,
                                                     .loss = "mse",
                                                     .layers = layers,
                                                     .layer_count = LAYERS,
                                                     .optimizer = {.name = "sgd", .lr = 0.1}});
}

// Ten statistics: gu_prev is not measured.
static void walk(struct pyrometer_stats *stats) {
    for (int l = 0; l < LAYERS; l++) {
        float x = (float)rand() / (float)RAND_MAX;
        stats[l] = (struct pyrometer_stats){
            x, x + 1, x - 1, x + 2, x, x, x, x, x, x, pyrometer_not_measured()};
    }
}

// A job computes between its steps; here it waits for the daemon when that falls behind, so that
// no call is measured that only finds the queue full.
static void let_catch_up(struct pyrometer *p) {
    struct pyrometer_counters counters;
    for (;;) {
        pyrometer_counters(p, &counters);
        if (counters.queued < QUEUE_STEPS) {
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

int main(int argc, char **argv) {
    long steps = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    if (steps < 1 || steps > STEPS_MAX) {
        fprintf(stderr, "usage: bench-client SERVER STEPS (1 to %d)\n", STEPS_MAX);
        return 2;
    }
    struct pyrometer *p = open_run(argv[1]);
    double *taken = malloc((size_t)steps * sizeof *taken);
    struct pyrometer_stats stats[LAYERS];
    if (!p || !taken) {
        fprintf(stderr, "bench-client: cannot begin\n");
        return 1;
    }
    int rc = 0;
    for (long k = 0; k < steps && rc == 0; k++) {
        walk(stats);
        double began = now_us();
        rc = pyrometer_step(
            p, &(struct pyrometer_step){.step = k, .loss = 1.0, .lr = 0.1, .stats = stats});
        taken[k] = now_us() - began;
        let_catch_up(p);
    }
    rc = rc == 0 ? pyrometer_finish(p, "completed", 30000) : rc;
    if (rc == 0) {
        qsort(taken, (size_t)steps, sizeof *taken, ascending);
        printf("%f %f\n", taken[steps / 2], taken[steps * 99 / 100]);
    } else {
        char why[256];
        pyrometer_last_error(p, why, sizeof why);
        fprintf(stderr, "bench-client: %s\n", why);
    }
    free(taken);
    pyrometer_close(p);
    return rc == 0 ? 0 : 1;
}
