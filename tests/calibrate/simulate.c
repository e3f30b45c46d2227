// The command line: simulate SYSTEM SERVER RUN [NAME=VALUE...], see simulate.h for the names.
// Exit: 0 everything was streamed, 1 it was not, 2 bad usage.
#include "tests/calibrate/simulate.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    void (*simulate)(const struct settings *, struct random *, int);
} systems[] = {{"sgd", simulate_sgd},
               {"langevin", simulate_langevin},
               {"underdamped", simulate_underdamped},
               {"ising", simulate_ising},
               {"ensemble", simulate_ensemble},
               {"flow", simulate_flow}};

static const struct {
    const char *name;
    size_t offset;
    double low, high;
} numbers[] = {{"seed", offsetof(struct settings, seed), 0, 1e15},
               {"repeat", offsetof(struct settings, repeat), 1, 1e6},
               {"steps", offsetof(struct settings, steps), 1, 1e9},
               {"burn", offsetof(struct settings, burn), 0, 1e9},
               {"layers", offsetof(struct settings, layers), 1, LAYERS_MAX},
               {"size", offsetof(struct settings, size), 1, 1e6},
               {"eta", offsetof(struct settings, eta), 0, 1e6},
               {"momentum", offsetof(struct settings, momentum), 0, 1},
               {"curvature", offsetof(struct settings, curvature), 0, 1e6},
               {"curvature2", offsetof(struct settings, curvature2), 0, 1e6},
               {"noise", offsetof(struct settings, noise), 0, 1e6},
               {"pull", offsetof(struct settings, pull), -1e6, 1e6},
               {"batch", offsetof(struct settings, batch), 1, 64},
               {"tells", offsetof(struct settings, tells), TELLS_NOTHING, TELLS_G_SMALL_SQ},
               {"barrier", offsetof(struct settings, barrier), 0, 1e6},
               {"temperature", offsetof(struct settings, temperature), 0, 1e6},
               {"temperature_to", offsetof(struct settings, temperature_to), 0, 1e6},
               {"sweeps", offsetof(struct settings, sweeps), 1, 1e6},
               {"begin", offsetof(struct settings, begin), -1e6, 1e6}};

static void fail_usage(const char *what) {
    fprintf(stderr,
            "simulate: unexpected '%s'\nusage: simulate SYSTEM SERVER RUN [NAME=VALUE...]\n", what);
    exit(2);
}

static void parse_setting(struct settings *s, const char *text) {
    const char *equals = strchr(text, '=');
    for (size_t i = 0; equals && i < sizeof numbers / sizeof numbers[0]; i++) {
        size_t length = strlen(numbers[i].name);
        char *end;
        if (length != (size_t)(equals - text) || strncmp(text, numbers[i].name, length) != 0) {
            continue;
        }
        double x = strtod(equals + 1, &end);
        if (end == equals + 1 || *end || !(x >= numbers[i].low && x <= numbers[i].high)) {
            fail_usage(text);
        }
        memcpy((char *)s + numbers[i].offset, &x, sizeof x);
        return;
    }
    fail_usage(text);
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fail_usage(argc > 1 ? argv[argc - 1] : "");
    }
    struct settings s = {.server = argv[2],
                         .run = argv[3],
                         .seed = 1,
                         .repeat = 1,
                         .steps = 1000,
                         .layers = 1,
                         .size = 32,
                         .eta = 0.1,
                         .curvature = 1,
                         .noise = 1,
                         .batch = 1,
                         .temperature = 1,
                         .temperature_to = 1,
                         .sweeps = 8};
    for (int i = 4; i < argc; i++) {
        parse_setting(&s, argv[i]);
    }
    for (size_t i = 0; i < sizeof systems / sizeof systems[0]; i++) {
        if (strcmp(systems[i].name, argv[1]) == 0) {
            struct random r = {.state = (uint64_t)s.seed};
            for (int number = 0; number < (int)s.repeat; number++) {
                systems[i].simulate(&s, &r, number);
            }
            return 0;
        }
    }
    fail_usage(argv[1]);
}
