#include "runs/history.h"

#include "base/check.h"
#include "runs/run.h"
#include "runs/walk.h"

#include <stdlib.h>
#include <string.h>

struct history {
    struct walk *walk;
    struct hello hello;
    struct thermo *thermo; // NULL without instruments
    bool with_instruments;
    int64_t from, to;
    history_state_fn *on_refresh;
    void *context;
};

int history_open(struct history **out, struct reader *r, const struct run_record *run, int64_t from,
                 int64_t to, bool with_instruments) {
    // Instruments saw the superseded steps too when they happened, so they are shown them again.
    struct walk_options options = {.in_force_only = !with_instruments, .from = from, .to = to};
    struct history *h = NEW(struct history);
    h->with_instruments = with_instruments;
    h->from = from;
    h->to = to;
    *out = h;
    if (walk_open(&h->walk, r, run->id, &options)) {
        history_close(h);
        *out = NULL;
        return -1;
    }
    return 0;
}

void history_close(struct history *h) {
    if (h) {
        walk_close(h->walk);
        hello_free(&h->hello);
        thermo_destroy(h->thermo);
        free(h);
    }
}

static struct thermo *create_thermo(const struct hello *hello, const struct thermo_facts *facts) {
    double *sizes = must_alloc(hello->n_layers * sizeof *sizes);
    for (size_t i = 0; i < hello->n_layers; i++) {
        sizes[i] = hello->layers[i].n;
    }
    struct thermo *t = thermo_create(facts, hello->n_layers, sizes);
    free(sizes);
    return t;
}

static int enter_attempt(struct history *h) {
    const char *facts_text = walk_attempt(h->walk)->facts;
    struct hello hello;
    struct wire_error error;
    if (hello_parse(&hello, facts_text, strlen(facts_text), &error)) {
        return -1;
    }
    struct thermo_facts facts;
    run_thermo_facts(&hello, &facts);
    if (h->thermo && hello_same_layers(&h->hello, &hello)) {
        thermo_begin_segment(h->thermo, &facts);
    } else if (h->with_instruments) {
        thermo_destroy(h->thermo);
        h->thermo = create_thermo(&hello, &facts);
    }
    hello_free(&h->hello);
    h->hello = hello;
    return 0;
}

static bool visits(const struct history *h, int64_t step) {
    return step >= h->from && step <= h->to && step <= walk_last_in_force(h->walk);
}

int history_next(struct history *h, const struct step **step, const struct thermo **thermo) {
    enum walk_item item;
    while ((item = walk_next(h->walk)) != WALK_END) {
        if (item == WALK_ERROR || (item == WALK_ATTEMPT && enter_attempt(h))) {
            return -1;
        }
        if (item == WALK_EVENT && h->thermo &&
            strcmp(walk_event(h->walk)->name, "data_refresh") == 0) {
            if (h->on_refresh) {
                h->on_refresh(h->context, h->thermo);
            }
            thermo_begin_state(h->thermo);
        }
        if (item != WALK_STEP) {
            continue;
        }
        if (h->thermo) {
            struct thermo_step view;
            run_thermo_step(walk_step(h->walk), &view);
            thermo_observe(h->thermo, &view);
        }
        if (visits(h, walk_step(h->walk)->step)) {
            *step = walk_step(h->walk);
            *thermo = h->thermo;
            return 1;
        }
    }
    return 0;
}

void history_on_refresh(struct history *h, history_state_fn *ended, void *context) {
    h->on_refresh = ended;
    h->context = context;
}

const struct hello *history_hello(const struct history *h) {
    return &h->hello;
}
