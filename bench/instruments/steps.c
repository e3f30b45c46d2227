#include "bench/instruments/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

double cpu_seconds(void) {
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

struct thermo_step make_step(size_t layers, uint64_t *random) {
    struct thermo_step s = {
        .loss = 1 + 0.1 * uniform(random), .loss_after = 0.99, .lr = 0.1, .batch_size = 16};
    for (int id = 0; id < STAT_COUNT; id++) {
        double *column = malloc(layers * sizeof *column), at = level((enum statistic)id);
        if (!column) {
            fprintf(stderr, "bench: no memory for %zu layers\n", layers);
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

void free_step(const struct thermo_step *s) {
    for (int id = 0; id < STAT_COUNT; id++) {
        free((void *)(uintptr_t)s->stat[id]);
    }
}
