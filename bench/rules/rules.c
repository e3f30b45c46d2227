// What the rules cost: CPU time a layer-step of alerts_observe with every rule on, those that are
// off by default included, and beside it that of the instruments they read.
//
//   rules [RUNS] [LAYERS] [STEPS]      1000, 100 and 40 by default
//
// The runs take turns, a step each, so that nothing stays in the caches from one step to the next:
// the rules find their state as cold as a daemon with so many runs finds it. All windows are full
// before anything is measured; every tenth step a histogram of outputs and a data refresh are
// judged as well. One JSON object.
#include "alerts/alerts.h"
#include "base/num.h"
#include "bench/instruments/steps.h"

#include <stdio.h>
#include <stdlib.h>

#define MADE_UP 64     // steps
#define WARM_STEPS 700 // beyond the longest warm-up
#define LAYER_SIZE 1000
#define REFRESH 10 // steps

struct one {
    struct thermo *thermo;
    struct alerts *alerts;
};

static void ignore(void *context, const struct alert_change *change) {
    (void)change;
    ++*(uint64_t *)context;
}

static struct ruleset *every_rule(void) {
    struct rule rules[RULE_COUNT];
    for (enum rule_id id = 0; id < RULE_COUNT; id++) {
        rules[id] = rule_default(id);
        rules[id].enabled = true;
    }
    return ruleset_create(rules, RULE_COUNT);
}

static void *must(void *p) {
    if (!p) {
        fprintf(stderr, "rules: no memory\n");
        exit(1);
    }
    return p;
}

static struct one *make_runs(size_t runs, size_t layers) {
    struct thermo_facts facts = {.optimizer = OPTIMIZER_SGD,
                                 .momentum = 0.9,
                                 .beta1 = 0.9,
                                 .beta2 = 0.999,
                                 .lr = 0.1,
                                 .batch_size = 16};
    struct one *all = must(calloc(runs, sizeof *all));
    double *sizes = must(malloc(layers * sizeof *sizes));
    const char **names = must(malloc(layers * sizeof *names));
    for (size_t i = 0; i < layers; i++) {
        sizes[i] = LAYER_SIZE;
        names[i] = "layer";
    }
    struct alerts_facts about = {
        .run = "bench", .project = "bench", .n_layers = layers, .layer_names = names};
    struct ruleset *set = every_rule();
    for (size_t i = 0; i < runs; i++) {
        all[i].thermo = thermo_create(&facts, layers, sizes);
        all[i].alerts = alerts_create(set, &about);
    }
    ruleset_release(set);
    free(sizes);
    free(names);
    return all;
}

struct spent {
    double instruments, rules;
    uint64_t changes;
};

static void step_all(struct one *all, size_t runs, const struct thermo_step *step,
                     struct spent *spent) {
    struct alerts_input in = {
        .step = step, .time = (double)step->step, .val_loss = 1, .loss_after = step->loss_after};
    double begin = cpu_seconds();
    for (size_t i = 0; i < runs; i++) {
        thermo_observe(all[i].thermo, step);
    }
    double middle = cpu_seconds();
    for (size_t i = 0; i < runs; i++) {
        if (step->step % REFRESH == 0) {
            alerts_outputs(all[i].alerts, 3, 0.01, true);
            alerts_refresh(all[i].alerts);
        }
        alerts_observe(all[i].alerts, all[i].thermo, &in, ignore, &spent->changes);
    }
    spent->instruments += middle - begin;
    spent->rules += cpu_seconds() - middle;
}

int main(int argc, char **argv) {
    size_t figures[3] = {1000, 100, 40};
    for (int i = 1; i < argc && i <= 3; i++) {
        figures[i - 1] = strtoull(argv[i], NULL, 10);
    }
    size_t runs = figures[0], layers = figures[1], steps = figures[2];
    if (argc > 4 || runs == 0 || layers == 0 || steps == 0) {
        fprintf(stderr, "usage: rules [RUNS] [LAYERS] [STEPS], numbers above 0\n");
        return 2;
    }
    uint64_t random = 7;
    struct thermo_step made[MADE_UP];
    for (size_t i = 0; i < MADE_UP; i++) {
        made[i] = make_step(layers, &random);
    }
    struct one *all = make_runs(runs, layers);
    struct spent warm = {0}, spent = {0};
    for (size_t k = 0; k < WARM_STEPS + steps; k++) {
        struct thermo_step *s = &made[k % MADE_UP];
        s->step = (int64_t)k;
        step_all(all, runs, s, k < WARM_STEPS ? &warm : &spent);
    }
    double n = (double)runs * (double)layers * (double)steps;
    printf("{\"runs\": %zu, \"layers\": %zu, \"steps\": %zu, \"rules\": %d, "
           "\"rules_ns_per_layer_step\": %.1f, \"instruments_ns_per_layer_step\": %.1f, "
           "\"alert_bytes_per_layer\": %.0f, \"alert_changes\": %llu}\n",
           runs, layers, steps, RULE_COUNT, 1e9 * spent.rules / n, 1e9 * spent.instruments / n,
           (double)(alerts_bytes(2 * layers) - alerts_bytes(layers)) / (double)layers,
           (unsigned long long)(warm.changes + spent.changes));
    for (size_t i = 0; i < runs; i++) {
        thermo_destroy(all[i].thermo);
        alerts_destroy(all[i].alerts);
    }
    free(all);
    for (size_t i = 0; i < MADE_UP; i++) {
        free_step(&made[i]);
    }
    return 0;
}
