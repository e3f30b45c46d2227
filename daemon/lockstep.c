// When a step of several ranks is whole, and what then happens.
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/conn.h"
#include "daemon/live.h"
#include "daemon/rank_group.h"
#include "daemon/session.h"

#include <stdlib.h>
#include <string.h>

bool lockstep_is_empty(const struct rank_group *g) {
    for (size_t i = 0; i < g->world_size; i++) {
        if (g->ranks[i].queue.first) {
            return false;
        }
    }
    return true;
}

void lockstep_forget_events(struct rank_group *g) {
    for (size_t i = 0; i < g->n_events_here; i++) {
        free(g->events_here[i]);
    }
    free(g->events_here);
    g->events_here = NULL;
    g->n_events_here = 0;
}

// Ranks announce the same things at the same place: once is enough.
static bool is_news(struct rank_group *g, const struct event *e) {
    struct buf text;
    buf_init(&text, LIMIT_MESSAGE_BYTES_MAX);
    event_print(e->step, 0, e->name, e->data, &text);
    for (size_t i = 0; i < g->n_events_here; i++) {
        if (strcmp(g->events_here[i], buf_str(&text)) == 0) {
            buf_free(&text);
            return false;
        }
    }
    if (g->n_events_here < LIMIT_RANK_AHEAD) {
        if (!g->events_here) {
            g->events_here = must_alloc(LIMIT_RANK_AHEAD * sizeof *g->events_here);
        }
        g->events_here[g->n_events_here++] = op_text(buf_str(&text));
    }
    buf_free(&text);
    return true;
}

void lockstep_forget_outputs(struct rank_group *g) {
    outputs_free(&g->outputs);
    for (size_t i = 0; i < g->world_size; i++) {
        g->ranks[i].has_counted = false;
    }
}

// What the ranks counted of one window goes the way of one histogram.
static void give_outputs(struct rank_group *g) {
    if (g->outputs.n_counts) {
        live_outputs(g->run, &g->outputs);
        lockstep_forget_outputs(g);
    }
}

static bool all_have_counted(const struct rank_group *g) {
    for (size_t i = 0; i < g->world_size; i++) {
        if (g->ranks[i].is_awaited && !g->ranks[i].has_counted) {
            return false;
        }
    }
    return true;
}

// Counts of the same window are added up. They wait for the other ranks until all have sent theirs
// or one sends those of another window, or until the next step, before which every rank stands.
static void add_outputs(struct rank_group *g, struct rank *r, const struct outputs *o) {
    if (g->outputs.n_counts && g->outputs.step != o->step) {
        give_outputs(g);
    }
    if (r->has_counted) {
        return; // a rank that connected again sends again
    }
    if (!g->outputs.n_counts) {
        outputs_copy(&g->outputs, o);
    } else if (!outputs_add(&g->outputs, o)) {
        log_warning("run=%s step=%lld: the outputs of rank %zu have other bins than those of the "
                    "ranks before it, or too large counts; they are left out",
                    g->run->run->record.name, (long long)o->step, (size_t)(r - g->ranks));
    }
    r->has_counted = true;
    if (all_have_counted(g)) {
        give_outputs(g);
    }
}

static const char *worse_status(const char *a, const char *b) {
    static const char *const from_bad_to_good[] = {"failed", "stopped", "completed"};
    for (size_t i = 0; i < sizeof from_bad_to_good / sizeof *from_bad_to_good; i++) {
        if (strcmp(a, from_bad_to_good[i]) == 0 || strcmp(b, from_bad_to_good[i]) == 0) {
            return from_bad_to_good[i];
        }
    }
    return a;
}

void lockstep_end_if_all(struct rank_group *g) {
    const char *status = NULL;
    for (size_t i = 0; i < g->world_size; i++) {
        const struct rank *r = &g->ranks[i];
        if (r->queue.first || (r->conn && !r->status)) {
            return;
        }
        if (r->status) {
            status = status ? worse_status(status, r->status) : r->status;
        }
    }
    if (status && g->run) {
        give_outputs(g);
    }
    if (status && g->run && !run_status_is_end(g->run->run->record.progress.status)) {
        live_end(g->run, status);
    }
}

// What stands before the rank's next step and waits for nothing else.
static void carry_out(struct rank_group *g, struct rank *r) {
    struct app *app = g->app;
    bool ended = false;
    for (struct rank_item *item; (item = r->queue.first) && item->type != RANK_STEP;) {
        if (item->type == RANK_SCALARS) {
            if (!rank_queue_read(&r->queue, &app->step) || !live_scalars(g->run, &app->step)) {
                g->no_memory = true; // its rank has to send it again
                return;
            }
        } else if (item->type == RANK_EVENT) {
            if (is_news(g, &item->event)) {
                live_event(g->run, &item->event);
            }
        } else if (item->type == RANK_OUTPUTS) {
            add_outputs(g, r, &item->outputs);
        } else {
            r->status = item->status;
            r->is_awaited = false;
            ended = true;
        }
        rank_queue_pop(&r->queue, app);
    }
    if (r->conn) {
        r->conn->sequence = g->run->pushed;
    }
    if (ended) {
        lockstep_end_if_all(g);
    }
}

static bool is_lacking(const struct rank *r) {
    return r->is_awaited && !r->queue.first;
}

static bool is_complete(struct rank_group *g) {
    if (is_lacking(&g->ranks[g->lagging])) {
        return false;
    }
    for (size_t i = 0; i < g->world_size; i++) {
        if (is_lacking(&g->ranks[i])) {
            g->lagging = i;
            return false;
        }
    }
    return true;
}

static int64_t lowest_step(const struct rank_group *g) {
    int64_t lowest = -1;
    for (size_t i = 0; i < g->world_size; i++) {
        const struct rank_item *item = g->ranks[i].queue.first;
        if (item && (lowest < 0 || item->step < lowest)) {
            lowest = item->step;
        }
    }
    return lowest;
}

// Says once which ranks a step lacks, and once that they are back.
static void announce(struct rank_group *g, int64_t step, bool absent) {
    struct buf data;
    buf_init(&data, LIMIT_EVENT_DATA_BYTES);
    size_t n = 0;
    buf_puts(&data, "{\"ranks\":[");
    for (size_t i = 0; i < g->world_size; i++) {
        struct rank *r = &g->ranks[i];
        if (r->is_present != absent && r->is_absent != absent) {
            r->is_absent = absent;
            buf_printf(&data, n++ ? ",%zu" : "%zu", i);
        }
    }
    buf_puts(&data, "]}");
    if (n) {
        char *name = op_text(absent ? "rank_missing" : "rank_back");
        char *text = op_text(buf_str(&data));
        struct event e = {.step = step, .time = clock_wall_s(), .name = name, .data = text};
        log_warning("%s run=%s step=%lld %s", name, g->run->run->record.name, (long long)step,
                    text);
        live_event(g->run, &e);
        event_free(&e);
    }
    buf_free(&data);
}

// Whether there is memory for what the ranks sent of the step, for the merged one, which may be as
// large as all of it, and to store that.
static bool has_memory(struct rank_group *g, int64_t step) {
    size_t bytes = 0;
    for (size_t i = 0; i < g->world_size; i++) {
        const struct rank_item *item = g->ranks[i].queue.first;
        bytes += item && item->step == step ? item->size : 0;
    }
    return memory_has_room_for(2 * bytes);
}

// Adds up what the ranks sent of the step. False when there is no memory for it.
static bool add_ranks(struct rank_group *g, int64_t step) {
    struct app *app = g->app;
    merge_begin(g->merge, g->hello.n_layers, g->sizes);
    for (size_t i = 0; i < g->world_size; i++) {
        struct rank *r = &g->ranks[i];
        r->is_present = r->queue.first && r->queue.first->step == step;
        if (r->is_present) {
            if (!rank_queue_read(&r->queue, &app->step)) {
                return false;
            }
            merge_add(g->merge, &app->step, r->n);
            rank_queue_pop(&r->queue, app);
        }
    }
    return true;
}

// False when there is no memory for it.
static bool merge_step(struct rank_group *g, int64_t step) {
    struct app *app = g->app;
    give_outputs(g);
    if (!has_memory(g, step) || !add_ranks(g, step)) {
        return false;
    }
    announce(g, step, true);
    announce(g, step, false);
    if (!merge_finish(g->merge, &app->step)) {
        log_warning("step %lld of run=%s: the ranks together have more statistics or scalars than "
                    "a step may carry; the rest is left out",
                    (long long)step, g->run->run->record.name);
    }
    if (app->step.no_memory || !live_step(g->run, &app->step)) {
        return false;
    }
    g->moved_ns = clock_monotonic_ns();
    lockstep_forget_events(g);
    return true;
}

static void carry_out_all(struct rank_group *g) {
    for (size_t i = 0; i < g->world_size; i++) {
        carry_out(g, &g->ranks[i]);
    }
}

void lockstep_advance(struct rank_group *g) {
    if (!g->run || g->app->draining || g->no_memory) {
        return;
    }
    int64_t step;
    carry_out_all(g);
    while (!g->no_memory && is_complete(g) && (step = lowest_step(g)) >= 0) {
        g->no_memory = !merge_step(g, step);
        if (!g->no_memory) {
            carry_out_all(g);
        }
    }
}

static void drop_known(struct rank_group *g, struct rank *r) {
    const struct run *run = g->run->run;
    carry_out(g, r);
    while (!g->no_memory && r->queue.first &&
           run_place(run, r->queue.first->step) != RUN_STEP_NEW) {
        int64_t step = r->queue.first->step;
        struct wire_error error;
        if (r->conn && run_place(run, step) == RUN_STEP_MISPLACED) {
            session_misplaced(step, stepset_last(&run->steps), &error);
            conn_error(r->conn, &error);
        } else if (r->conn) {
            r->conn->ack_due = true;
        }
        rank_queue_pop(&r->queue, g->app);
        carry_out(g, r);
    }
}

void lockstep_begin(struct rank_group *g) {
    for (size_t i = 0; i < g->world_size; i++) {
        drop_known(g, &g->ranks[i]);
    }
    lockstep_advance(g);
}
