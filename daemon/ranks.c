#include "daemon/ranks.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/num.h"
#include "daemon/live.h"
#include "daemon/rank_group.h"
#include "daemon/session.h"
#include "wire/shards.h"

#include <stdlib.h>
#include <string.h>

static struct rank_group *find(const struct app *app, const char *run) {
    struct rank_group *g = app->rank_groups;
    while (g && strcmp(g->hello.run, run) != 0) {
        g = g->next;
    }
    return g;
}

static struct rank_group *create(struct app *app, const struct hello *h) {
    struct rank_group *g = NEW(struct rank_group);
    *g = (struct rank_group){.next = app->rank_groups,
                             .app = app,
                             .world_size = (size_t)h->world_size,
                             .hello_rank = SIZE_MAX,
                             .rewind = h->rewind,
                             .rewind_step = h->rewind_step,
                             .merge = merge_create()};
    g->ranks = must_alloc(g->world_size * sizeof *g->ranks);
    for (size_t i = 0; i < g->world_size; i++) {
        g->ranks[i] = (struct rank){.group = g, .newest = -1, .is_awaited = true};
    }
    app->rank_groups = g;
    return g;
}

// Ends the group; its connections end with the error, but for one that is told otherwise. NULL:
// they are the caller's concern.
static void dissolve(struct rank_group *g, const struct wire_error *why, const struct conn *spare) {
    struct rank_group **at = &g->app->rank_groups;
    while (*at != g) {
        at = &(*at)->next;
    }
    *at = g->next;
    for (size_t i = 0; i < g->world_size; i++) {
        struct rank *r = &g->ranks[i];
        if (r->conn) {
            r->conn->rank = NULL;
            if (why && r->conn != spare) {
                conn_error(r->conn, why);
            }
        }
        rank_queue_clear(&r->queue, g->app);
        free(r->n);
    }
    if (g->run) {
        g->run->n_conns--;
    }
    lockstep_forget_events(g);
    lockstep_forget_outputs(g);
    merge_destroy(g->merge);
    hello_free(&g->hello);
    free(g->sizes);
    free(g->ranks);
    free(g);
}

static bool is_connected(const struct rank_group *g) {
    for (size_t i = 0; i < g->world_size; i++) {
        if (g->ranks[i].conn) {
            return true;
        }
    }
    return false;
}

// -- beginning the run -----------------------------------------------------------------------

// Sums over the ranks that have said hello. Returns how many have not, with their numbers.
static size_t add_up(const struct rank_group *g, double *sizes, double *batch_size,
                     size_t *absent) {
    size_t n_absent = 0;
    *batch_size = num_missing();
    for (size_t i = 0; i < g->world_size; i++) {
        const struct rank *r = &g->ranks[i];
        if (!r->n) {
            absent[n_absent++] = i;
            continue;
        }
        for (size_t l = 0; l < g->hello.n_layers; l++) {
            sizes[l] += r->n[l];
        }
        if (!num_is_missing(r->batch_size)) {
            *batch_size = (num_is_missing(*batch_size) ? 0 : *batch_size) + r->batch_size;
        }
    }
    return n_absent;
}

// Without all ranks the sizes are those that a stored run has, where the ranks' shards fit in.
static bool sizes_from_run(const struct rank_group *g, const struct live_run *l, double *sizes) {
    const struct hello *h = &l->run->hello;
    if (g->rewind || !hello_same_names(h, &g->hello)) {
        return false;
    }
    for (size_t i = 0; i < h->n_layers; i++) {
        if (sizes[i] > h->layers[i].n) {
            return false;
        }
    }
    for (size_t i = 0; i < h->n_layers; i++) {
        sizes[i] = h->layers[i].n;
    }
    return true;
}

static int merged_hello(const struct rank_group *g, const struct live_run *l, double *sizes,
                        struct hello *out, struct wire_error *error) {
    size_t *absent = must_alloc(g->world_size * sizeof *absent);
    struct shards s = {
        .facts = g->hello.facts, .n = sizes, .world_size = g->world_size, .absent = absent};
    s.n_absent = add_up(g, sizes, &s.batch_size, absent);
    if (s.n_absent && l && sizes_from_run(g, l, sizes)) {
        s.n_absent = 0;
    }
    int rc = shards_hello(&s, out, error);
    if (rc == 0 && !g->run) {
        out->rewind = g->rewind;
        out->rewind_step = g->rewind_step;
    }
    free(absent);
    return rc;
}

// A run that began without some of its ranks has larger layers once they have come: a new attempt
// that supersedes nothing.
static bool may_grow(const struct live_run *l, const struct hello *h) {
    return !h->rewind && hello_same_names(&l->run->hello, h) &&
           !hello_same_layers(&l->run->hello, h) && shards_were_absent(&l->run->hello);
}

static int take_up(struct rank_group *g, struct live_run **l, struct hello *h,
                   struct wire_error *error) {
    if (!*l) {
        *l = live_create(g->app, h);
        return 0;
    }
    if (may_grow(*l, h)) {
        live_begin_attempt(*l, h, stepset_last(&(*l)->run->steps), true);
        live_resume(*l);
        return 0;
    }
    return session_join(*l, h, error);
}

static void attach_all(struct rank_group *g) {
    for (size_t i = 0; i < g->world_size; i++) {
        if (g->ranks[i].conn) {
            session_attach(g->ranks[i].conn, g->run);
        }
    }
    session_end_others(g->run);
}

// Begins the run or takes it up, with the ranks that have said hello. On failure nothing changes.
static int begin(struct rank_group *g, struct wire_error *error) {
    struct live_run *l = g->run;
    struct hello h = {0};
    double *sizes = must_alloc(g->hello.n_layers * sizeof *sizes);
    int rc = l ? 0 : live_load(g->app, g->hello.run, &l, error);
    rc = rc || merged_hello(g, l, sizes, &h, error) || take_up(g, &l, &h, error) ? -1 : 0;
    hello_free(&h);
    if (rc) {
        free(sizes);
        return -1;
    }
    free(g->sizes);
    g->sizes = sizes;
    l->n_conns += g->run != l; // the group is one more that needs the run
    g->run = l;
    g->moved_ns = clock_monotonic_ns();
    attach_all(g);
    return 0;
}

// -- hellos ----------------------------------------------------------------------------------

static int refuse_world(const struct rank_group *g, const struct hello *h,
                        struct wire_error *error) {
    return wire_fail(error, WIRE_BAD_HELLO,
                     "rank %.15g says world_size %.15g, but the ranks that feed run %s now say "
                     "%zu; give every rank the same world_size, or wait until they have gone",
                     h->rank, h->world_size, h->run, g->world_size);
}

int ranks_check_plain(struct app *app, const struct hello *h, struct wire_error *error) {
    struct rank_group *g = find(app, h->run);
    if (!g) {
        return 0;
    }
    if (is_connected(g) && !h->rewind) {
        return wire_fail(error, WIRE_BAD_HELLO,
                         "run %s is fed by %zu ranks that send \"shards\":true now, which this "
                         "hello does not; take another run name, or wait until they have gone",
                         h->run, g->world_size);
    }
    struct wire_error why;
    wire_fail(&why, WIRE_STEP_ORDER,
              "the run was taken up anew over another connection; this one closes");
    why.fatal = true;
    dissolve(g, &why, NULL);
    return 0;
}

static bool same_shard(const struct rank *r, const struct hello *h) {
    for (size_t i = 0; i < h->n_layers; i++) {
        if (r->n[i] < h->layers[i].n || r->n[i] > h->layers[i].n) {
            return false;
        }
    }
    return true;
}

// Whether the hello is of another life of the job than the group's, which then is over.
static bool starts_anew(const struct rank_group *g, const struct hello *h) {
    if (!is_connected(g) && lockstep_is_empty(g)) {
        return true;
    }
    bool fits = g->world_size == (size_t)h->world_size && hello_same_names(&g->hello, h);
    if (!fits) {
        return h->rewind || !is_connected(g);
    }
    const struct rank *r = &g->ranks[(size_t)h->rank];
    if (h->rewind) {
        bool is_ours = g->rewind && g->rewind_step == h->rewind_step && (!g->run || !r->n);
        return !is_ours;
    }
    return r->n && !same_shard(r, h);
}

// The group that the hello belongs to, made where there is none.
static int find_group(struct conn *c, const struct hello *h, struct rank_group **out,
                      struct wire_error *error) {
    struct rank_group *g = find(c->app, h->run);
    if (g && starts_anew(g, h)) {
        struct wire_error why;
        wire_fail(&why, WIRE_STEP_ORDER,
                  "rank %.15g took the run up anew over another connection; this one closes",
                  h->rank);
        why.fatal = true;
        dissolve(g, &why, NULL);
        g = NULL;
    }
    if (g && g->world_size != (size_t)h->world_size) {
        return refuse_world(g, h, error);
    }
    if (g && !hello_same_names(&g->hello, h)) {
        return wire_fail(error, WIRE_LAYERS_DIFFER,
                         "rank %.15g has %zu layers of other names or in another order than the "
                         "%zu of rank %zu of run %s; all ranks must name the same layers",
                         h->rank, h->n_layers, g->hello.n_layers, g->hello_rank, h->run);
    }
    uint64_t most = c->app->config.ingest.max_connections;
    if (h->world_size > (double)most) {
        return wire_fail(error, WIRE_BAD_HELLO,
                         "world_size %.15g is more than the %llu jobs that may be connected "
                         "(ingest.max_connections); the ranks could never all come",
                         h->world_size, (unsigned long long)most);
    }
    *out = g ? g : create(c->app, h);
    return 0;
}

// The connection takes its rank's place, which another one may have had. True: the rank is new to
// the group.
static bool take_place(struct rank_group *g, struct conn *c, struct hello *h) {
    size_t number = (size_t)h->rank;
    struct rank *r = &g->ranks[number];
    bool is_new = !r->n;
    if (r->conn) {
        struct wire_error why;
        wire_fail(&why, WIRE_STEP_ORDER,
                  "rank %zu connected again over another connection; this one closes", number);
        why.fatal = true;
        struct conn *old = r->conn;
        r->conn = NULL;
        old->rank = NULL;
        conn_error(old, &why);
    }
    rank_queue_clear(&r->queue, g->app); // it sends again what was not acknowledged
    if (is_new) {
        r->n = must_alloc(h->n_layers * sizeof *r->n);
        for (size_t i = 0; i < h->n_layers; i++) {
            r->n[i] = h->layers[i].n;
        }
    }
    r->batch_size = h->batch_size;
    r->newest = -1;
    r->is_awaited = true;
    r->status = NULL;
    r->conn = c;
    c->rank = r;
    if (number < g->hello_rank) {
        hello_free(&g->hello);
        g->hello = *h;
        *h = (struct hello){0};
        g->hello_rank = number;
    }
    return is_new;
}

// A late rank that does not fit must not disturb the others.
static void give_place_back(struct conn *c) {
    struct rank *r = c->rank;
    free(r->n);
    r->n = NULL;
    r->conn = NULL;
    r->is_awaited = false;
    c->rank = NULL;
}

static bool all_known(const struct rank_group *g) {
    for (size_t i = 0; i < g->world_size; i++) {
        if (!g->ranks[i].n) {
            return false;
        }
    }
    return true;
}

// The last durable step before the run is begun or taken up.
static int64_t stored_step(const struct rank_group *g, const struct live_run *l) {
    int64_t last = l ? l->durable_step : -1;
    return g->rewind && g->rewind_step < last ? g->rewind_step : last;
}

int ranks_hello(struct conn *c, struct hello *h, struct wire_error *error) {
    struct rank_group *g;
    struct live_run *l = NULL;
    if (live_load(c->app, h->run, &l, error) || find_group(c, h, &g, error)) {
        return -1;
    }
    bool is_new = take_place(g, c, h);
    bool was_begun = g->run != NULL;
    if (was_begun ? is_new : all_known(g)) {
        if (begin(g, error)) {
            was_begun ? give_place_back(c) : dissolve(g, error, c);
            return -1;
        }
    } else if (was_begun) {
        session_attach(c, g->run);
        live_resume(g->run);
    }
    int64_t last = g->run ? g->run->durable_step : stored_step(g, l);
    session_welcome(c, g->hello.run, last);
    if (g->run && !was_begun) {
        lockstep_begin(g);
    }
    return 0;
}

// -- messages --------------------------------------------------------------------------------

size_t ranks_layers(const struct conn *c) {
    return c->rank->group->hello.n_layers;
}

int ranks_step(struct conn *c, const struct step *step, struct wire_error *error) {
    struct rank *r = c->rank;
    struct rank_group *g = r->group;
    r->is_awaited = true;
    r->status = NULL;
    enum run_place place = g->run ? run_place(g->run->run, step->step) : RUN_STEP_NEW;
    if (place == RUN_STEP_MISPLACED || (place == RUN_STEP_NEW && step->step < r->newest)) {
        int64_t last = g->run ? stepset_last(&g->run->run->steps) : -1;
        return session_misplaced(step->step, r->newest > last ? r->newest : last, error);
    }
    if (place == RUN_STEP_REPEATED || step->step == r->newest) {
        c->app->figures->steps_repeated++;
        c->ack_due |= place == RUN_STEP_REPEATED;
    } else if (!rank_queue_step(&r->queue, c->app, RANK_STEP, step)) {
        return wire_no_memory(error);
    } else {
        r->newest = step->step;
    }
    c->sent_step = step->step > c->sent_step ? step->step : c->sent_step;
    lockstep_advance(g);
    return 0;
}

int ranks_scalars(struct conn *c, const struct step *message, struct wire_error *error) {
    if (!rank_queue_step(&c->rank->queue, c->app, RANK_SCALARS, message)) {
        return wire_no_memory(error);
    }
    lockstep_advance(c->rank->group);
    return 0;
}

void ranks_event(struct conn *c, struct event *event) {
    rank_queue_event(&c->rank->queue, c->app, event);
    lockstep_advance(c->rank->group);
}

void ranks_outputs(struct conn *c, struct outputs *outputs) {
    rank_queue_outputs(&c->rank->queue, c->app, outputs);
    lockstep_advance(c->rank->group);
}

void ranks_end(struct conn *c, const char *status) {
    rank_queue_end(&c->rank->queue, c->app, status);
    lockstep_advance(c->rank->group);
}

bool ranks_is_ahead(const struct conn *c) {
    return c->rank && c->rank->queue.n &&
           (c->rank->queue.n >= LIMIT_RANK_AHEAD ||
            c->app->rank_bytes > c->app->config.ingest.queue_bytes);
}

bool ranks_is_idle(const struct conn *c) {
    return !c->rank || !c->rank->queue.first;
}

void ranks_leave(struct conn *c) {
    struct rank *r = c->rank;
    if (!r) {
        return;
    }
    c->rank = NULL;
    r->conn = NULL;
    if (!c->app->draining) {
        lockstep_end_if_all(r->group);
    }
}

// -- waiting ---------------------------------------------------------------------------------

static bool has_waited_enough(const struct rank_group *g, uint64_t now_ns) {
    uint64_t oldest = UINT64_MAX;
    for (size_t i = 0; i < g->world_size; i++) {
        const struct rank_item *item = g->ranks[i].queue.first;
        if (item && item->arrived_ns < oldest) {
            oldest = item->arrived_ns;
        }
    }
    uint64_t since = oldest > g->moved_ns ? oldest : g->moved_ns;
    uint64_t wait_ns = g->app->config.ingest.rank_wait_ms * UINT64_C(1000000);
    return oldest != UINT64_MAX && now_ns >= since && now_ns - since >= wait_ns;
}

static void give_up_waiting(struct rank_group *g) {
    for (size_t i = 0; i < g->world_size; i++) {
        struct rank *r = &g->ranks[i];
        r->is_awaited = r->is_awaited && r->queue.first;
    }
    struct wire_error error;
    if (g->run) {
        lockstep_advance(g);
    } else if (begin(g, &error) == 0) {
        lockstep_begin(g);
    } else {
        log_warning("run=%s cannot begin without all its ranks: %s", g->hello.run, error.message);
        dissolve(g, &error, NULL);
    }
}

// What was taken of the ranks and not stored is lost to them: they send it again.
static void give_up_for_memory(struct rank_group *g) {
    struct wire_error why;
    wire_no_memory(&why);
    log_error("no memory to merge a step of run=%s; its ranks have to connect again", g->hello.run);
    dissolve(g, &why, NULL);
}

void ranks_tick(struct app *app) {
    uint64_t now = clock_monotonic_ns();
    struct rank_group *next;
    for (struct rank_group *g = app->rank_groups; g; g = next) {
        next = g->next;
        if (g->no_memory) {
            give_up_for_memory(g);
        } else if (!is_connected(g) && lockstep_is_empty(g)) {
            dissolve(g, NULL, NULL);
        } else if (app->paused) {
            g->moved_ns = now; // it is not the ranks that are late
        } else if (has_waited_enough(g, now)) {
            give_up_waiting(g);
        }
    }
}

void ranks_forget(struct app *app, const struct live_run *l) {
    struct rank_group *g = find(app, l->run->record.name);
    if (g && g->run == l) {
        dissolve(g, NULL, NULL);
    }
}

void ranks_destroy_all(struct app *app) {
    while (app->rank_groups) {
        dissolve(app->rank_groups, NULL, NULL);
    }
}
