// Any bytes as a run's saved state: refused, or a run that can be read and goes on.
#include "runs/run.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char hello_line[] =
    "{\"protocol\":1,\"run\":\"r\",\"layers\":[{\"name\":\"a\",\"n\":10}]}";

static struct run *create(void) {
    struct hello h;
    struct wire_error error;
    CHECK(hello_parse(&h, hello_line, sizeof hello_line - 1, &error) == 0);
    struct ruleset *rules = ruleset_default();
    struct run *r = run_create(1, 1, &h, 0, rules);
    ruleset_release(rules);
    return r;
}

static void go_on(struct run *r) {
    struct reading readings[METRIC_COUNT];
    struct step s;
    step_init(&s);
    step_clear(&s, 1);
    s.step = stepset_last(&r->steps) + 1;
    s.loss = 1;
    run_observe(r, &s, NULL, NULL);
    thermo_read(r->thermo, 0, readings);
    thermo_read(r->thermo, THERMO_GLOBAL, readings);
    step_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct stepset set = {0};
    if (stepset_load(&set, data, size)) {
        CHECK(set.n == 0 || stepset_has(&set, stepset_last(&set)));
        stepset_truncate(&set, stepset_last(&set) / 2);
        CHECK(set.count >= (int64_t)set.n);
    }
    stepset_free(&set);
    struct run *r = create();
    if (run_load(r, data, size) && stepset_last(&r->steps) < STEP_MAX) {
        go_on(r);
    }
    run_destroy(r);
    return 0;
}
