#include "cli/workload.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "wire/frame.h"
#include "wire/json.h"

// In the order in which a load of n statistics takes them, and about how large they are.
static const struct {
    enum statistic stat;
    double scale;
    int is_positive;
} kinds[] = {{STAT_W_MEAN, 2e-2, 0},   {STAT_W_VAR, 1e-2, 1},      {STAT_G_MEAN, 1e-5, 0},
             {STAT_G_VAR, 1e-6, 1},    {STAT_U_MEAN, 1e-8, 0},     {STAT_U_VAR, 1e-11, 1},
             {STAT_GW, 1e-1, 0},       {STAT_GU, 1e-4, 0},         {STAT_Z_VAR, 1.0, 1},
             {STAT_A_VAR, 5e-1, 1},    {STAT_GU_PREV, 1e-4, 0},    {STAT_W_MIN, 1e-1, 0},
             {STAT_W_MAX, 1e-1, 0},    {STAT_Z_MEAN, 1e-1, 0},     {STAT_A_MEAN, 1e-1, 0},
             {STAT_A_ACTIVE, 1e-1, 1}, {STAT_A_SATURATED, 1e-2, 1}};

static uint64_t draw(uint64_t *state) { // splitmix64
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

// Nearly normal, variance 1: the sum of four uniform numbers.
static double noise(uint64_t *state) {
    uint64_t a = draw(state), b = draw(state);
    double sum = (double)(a >> 32) + (double)(uint32_t)a + (double)(b >> 32) + (double)(uint32_t)b;
    return (sum * 0x1p-32 - 2) * 1.7320508075688772;
}

void walk_init(struct walk *w, const struct workload *load, size_t run) {
    CHECK(load->stats <= sizeof kinds / sizeof *kinds);
    *w = (struct walk){.load = load, .run = run, .random = 0x5eed + run * 7919};
    size_t n = load->layers * load->stats;
    w->state = must_alloc(n * sizeof *w->state);
    for (size_t i = 0; i < n; i++) {
        w->state[i] = noise(&w->random);
    }
    step_init(&w->step);
    w->step.step = -1;
}

void walk_next(struct walk *w) {
    const struct workload *load = w->load;
    int64_t number = w->step.step + 1;
    step_clear(&w->step, load->layers);
    w->step.step = number;
    w->step.time = WORKLOAD_TIME + (double)number;
    w->step.loss = 2 / (1 + (double)number / 500) + 0.05 * noise(&w->random);
    w->step.lr = 0.1;
    w->step.batch_size = 64;
    for (size_t s = 0; s < load->stats; s++) {
        double *values = step_add_column(&w->step, kinds[s].stat, NULL, 0);
        CHECK(values != NULL);
        for (size_t l = 0; l < load->layers; l++) {
            double *state = &w->state[s * load->layers + l];
            *state = 0.999 * *state + 0.02 * noise(&w->random);
            double x = kinds[s].is_positive ? exp(0.3 * *state + 0.1 * noise(&w->random))
                                            : *state + 0.3 * noise(&w->random);
            values[l] = (double)(float)(kinds[s].scale * x);
        }
    }
}

void walk_free(struct walk *w) {
    free(w->state);
    step_free(&w->step);
}

void workload_put_hello(struct buf *out, const struct workload *load, const char *run,
                        const char *token) {
    buf_puts(out, "{\"type\":\"hello\",\"protocol\":1,\"run\":");
    json_put_string(out, run, strlen(run));
    if (token) {
        buf_puts(out, ",\"token\":");
        json_put_string(out, token, strlen(token));
    }
    buf_puts(out, ",\"project\":\"" WORKLOAD_PROJECT "\",\"loss\":\"cross_entropy\","
                  "\"batch_size\":64,\"optimizer\":{\"name\":\"sgd\",\"lr\":0.1,\"momentum\":0.9},"
                  "\"layers\":[");
    for (size_t l = 0; l < load->layers; l++) {
        buf_printf(out, "%s{\"name\":\"layer%zu\",\"n\":4096}", l ? "," : "", l);
    }
    buf_puts(out, "]}\n");
}

void workload_renumber(char *frame, int64_t step, double time) {
    memcpy(frame + FRAME_HEADER_BYTES - sizeof step, &step, sizeof step);
    memcpy(frame + FRAME_HEADER_BYTES, &time, sizeof time);
}
