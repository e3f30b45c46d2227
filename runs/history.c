#include "runs/history.h"

#include "base/check.h"
#include "runs/run.h"
#include "runs/walk.h"
#include "runs/waypoint.h"

#include <stdlib.h>
#include <string.h>

struct history {
    struct walk *walk;
    struct hello hello;
    struct thermo *thermo; // NULL without instruments
    bool with_instruments;
    int64_t from, to;
    int64_t after_attempt, after_step; // of the waypoint that the walk began behind, or 0
    history_state_fn *on_refresh;
    void *context;
    bool (*goes_on)(void *context); // NULL: to the end
    void *asked;
};

struct waypoint {
    int64_t attempt, step;
    void *bytes;
    size_t size;
};

int64_t history_last_in_force(const struct attempt_record *attempts, size_t n, size_t i) {
    int64_t last = STEP_MAX;
    for (size_t later = i + 1; later < n; later++) {
        last = attempts[later].rewind_step < last ? attempts[later].rewind_step : last;
    }
    return last;
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

static int enter_facts(struct history *h, const char *facts_text) {
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

// The last waypoint before the first step to visit. 1, 0 when there is none, -1.
static int find_waypoint(struct reader *r, int64_t run, int64_t from,
                         const struct attempt_record *attempts, size_t n, struct waypoint *out) {
    for (size_t i = 0; i < n && from > 0; i++) {
        if (history_last_in_force(attempts, n, i) >= from) {
            out->attempt = attempts[i].id;
            out->step = from - 1;
            return reader_waypoint(r, run, &out->attempt, &out->step, &out->bytes, &out->size);
        }
    }
    return 0;
}

// Begins behind the waypoint, if it can be used.
static bool load_waypoint(struct history *h, const struct attempt_record *attempts, size_t n,
                          const struct waypoint *w, int64_t *n_events) {
    size_t i = 0;
    while (i < n && attempts[i].id != w->attempt) {
        i++;
    }
    if (i == n || enter_facts(h, attempts[i].facts)) {
        return false;
    }
    bool good = waypoint_load(h->thermo, w->bytes, w->size, n_events);
    if (!good) {
        thermo_destroy(h->thermo);
        h->thermo = NULL;
    }
    return good;
}

static int begin_at_waypoint(struct history *h, struct reader *r, int64_t run,
                             struct walk_options *options) {
    struct attempt_record *attempts;
    size_t n;
    struct waypoint w = {0};
    if (reader_attempts(r, run, &attempts, &n)) {
        return -1;
    }
    int rc = find_waypoint(r, run, h->from, attempts, n, &w);
    if (rc == 1 && load_waypoint(h, attempts, n, &w, &options->skip_events)) {
        options->after_attempt = h->after_attempt = w.attempt;
        options->after_step = h->after_step = w.step;
    }
    for (size_t i = 0; i < n; i++) {
        attempt_record_free(&attempts[i]);
    }
    free(attempts);
    free(w.bytes);
    return rc < 0 ? -1 : 0;
}

int history_open(struct history **out, struct reader *r, const struct run_record *run, int64_t from,
                 int64_t to, bool with_instruments) {
    // Instruments saw the superseded steps too when they happened, so they are shown them again.
    struct walk_options options = {.in_force_only = !with_instruments, .from = from, .to = to};
    struct history *h = NEW(struct history);
    h->with_instruments = with_instruments;
    h->from = from;
    h->to = to;
    *out = h;
    if ((with_instruments && begin_at_waypoint(h, r, run->id, &options)) ||
        walk_open(&h->walk, r, run->id, &options)) {
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

static bool visits(const struct history *h, int64_t step) {
    return step >= h->from && step <= h->to && step <= walk_last_in_force(h->walk);
}

// Whether nothing in force up to `to` can follow; later attempts may begin below it.
static bool is_behind(const struct history *h, int64_t step) {
    return step > h->to && walk_last_in_force(h->walk) >= h->to;
}

int history_next(struct history *h, const struct step **step, const struct thermo **thermo) {
    enum walk_item item;
    while ((item = walk_next(h->walk)) != WALK_END) {
        if (item == WALK_ERROR ||
            (item == WALK_ATTEMPT && enter_facts(h, walk_attempt(h->walk)->facts))) {
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
        if (is_behind(h, walk_step(h->walk)->step)) {
            return 0;
        }
        if (h->goes_on && !h->goes_on(h->asked)) {
            return 0;
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

void history_began_behind(const struct history *h, int64_t *attempt, int64_t *step) {
    *attempt = h->after_attempt;
    *step = h->after_step;
}

void history_while(struct history *h, bool (*goes_on)(void *context), void *context) {
    h->goes_on = goes_on;
    h->asked = context;
}

const struct hello *history_hello(const struct history *h) {
    return &h->hello;
}
