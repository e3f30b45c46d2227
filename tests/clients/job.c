// A training job for the fault matrix, as tests/clients/job.py: steps at a pace, and how long each
// call of the client took.
//
//     client-job SERVER RUN STEPS PACE_MS [FIRST_STEP [REWIND]]
//
// An event `mark` stands before each step, and a scalar `mark` with each.
// Prints `started` when the first step is done, and at the end a JSON object: steps, the worst call
// in milliseconds, the client's counters.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clients/c/pyrometer.h"

enum { LAYERS = 20, FORK_EVERY = 50 };

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void pause_ms(double ms) {
    struct timespec t = {.tv_sec = (time_t)(ms / 1000)};
    t.tv_nsec = (long)((ms - 1000 * (double)t.tv_sec) * 1e6);
    nanosleep(&t, NULL);
}

static struct pyrometer *open_run(char **argv, int argc) {
    static char names[LAYERS][24];
    static struct pyrometer_layer layers[LAYERS];
    for (int l = 0; l < LAYERS; l++) {
        snprintf(names[l], sizeof names[l], "layer%d", l);
        layers[l] = (struct pyrometer_layer){.name = names[l], .n = 1000};
    }
    return pyrometer_open(&(struct pyrometer_config){
        .server = argv[1],
        .run = argv[2],
        .token = getenv("JOB_TOKEN"),
        .loss = "mse",
        .optimizer = {.name = "sgd", .lr = 0.1},
        .layers = layers,
        .layer_count = LAYERS,
        .rewind = argc > 6,
        .rewind_step = argc > 6 ? strtoll(argv[6], NULL, 10) : 0,
    });
}

// The run is the parent's: nothing comes of the child's step.
static void fork_and_step(struct pyrometer *p) {
    pid_t child = fork();
    if (child == 0) {
        (void)pyrometer_step(p, &(struct pyrometer_step){.step = 1, .loss = 1});
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

// The worst call's milliseconds.
static double train(struct pyrometer *p, int64_t first, int64_t steps, double pace_ms) {
    double worst = 0;
    struct pyrometer_stats stats[LAYERS];
    double nothing = pyrometer_not_measured();
    for (int l = 0; l < LAYERS; l++) {
        double x = 0.5 + l;
        stats[l] =
            (struct pyrometer_stats){x, x, nothing, nothing, x, x, x, x, nothing, nothing, nothing};
    }
    for (int64_t k = first; k < steps; k++) {
        if (getenv("JOB_FORKS") && k % FORK_EVERY == FORK_EVERY / 2) {
            fork_and_step(p);
        }
        double began = now_ms();
        struct pyrometer_scalar mark = {.name = "mark", .value = (double)k};
        (void)pyrometer_event(p, k, "mark", NULL);
        (void)pyrometer_step(p, &(struct pyrometer_step){.step = k,
                                                         .loss = 1.0 / (double)(k + 1),
                                                         .lr = 0.1,
                                                         .stats = stats,
                                                         .scalars = &mark,
                                                         .scalar_count = 1});
        double taken = now_ms() - began;
        worst = taken > worst ? taken : worst;
        if (k == first) {
            printf("started\n");
            fflush(stdout);
        }
        pause_ms(pace_ms);
    }
    return worst;
}

int main(int argc, char **argv) {
    struct pyrometer *p = argc > 4 ? open_run(argv, argc) : NULL;
    if (!p) {
        fprintf(stderr, "usage: client-job SERVER RUN STEPS PACE_MS [FIRST_STEP [REWIND]]\n");
        return 2;
    }
    int64_t first = argc > 5 ? strtoll(argv[5], NULL, 10) : 0;
    int64_t steps = strtoll(argv[3], NULL, 10);
    double worst = train(p, first, steps, strtod(argv[4], NULL));
    const char *finish_s = getenv("JOB_FINISH_S");
    int timeout_ms = (int)(1000 * (finish_s ? strtod(finish_s, NULL) : 5));
    (void)pyrometer_finish(p, "completed", timeout_ms);
    struct pyrometer_counters c;
    char why[512];
    pyrometer_counters(p, &c);
    pyrometer_last_error(p, why, sizeof why);
    fprintf(stderr, "%s\n", why);
    pyrometer_close(p);
    printf("{\"steps\": %" PRId64 ", \"worst_ms\": %f, \"acked\": %" PRIu64
           ", \"spooled\": %" PRIu64 ", \"queued\": %" PRIu64 ", \"dropped\": %" PRIu64 "}\n",
           steps - first, worst, c.acked, c.spooled, c.queued, c.dropped);
    return 0;
}
