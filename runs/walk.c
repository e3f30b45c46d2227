#include "runs/walk.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct walk {
    struct reader *reader;
    struct walk_options options;
    struct attempt_record *attempts;
    size_t n_attempts;
    size_t at;                   // the attempt being walked
    bool entered;                // its item has been given, or was left out
    struct event_record *events; // of the whole run, in the order in which they came
    size_t n_events, next_event;
    struct outputs_cursor *outputs;  // of the whole run; NULL: not asked for
    struct outputs_record histogram; // the next of them
    bool have_histogram;
    struct step_cursor *steps, *scalars;
    struct step step, message; // the next of each cursor
    bool have_step, have_message;
    enum walk_item visited;
};

static bool keep_event(void *context, const struct event_record *event) {
    struct walk *w = context;
    if ((w->n_events & (w->n_events - 1)) == 0) {
        size_t cap = w->n_events ? 2 * w->n_events : 1;
        w->events = must_grow(w->events, cap * sizeof *w->events);
    }
    struct event_record *kept = &w->events[w->n_events++];
    *kept = *event;
    kept->name = must_copy(event->name);
    kept->data = must_copy(event->data);
    return true;
}

static bool advance_outputs(struct walk *w) {
    outputs_record_free(&w->histogram);
    int rc = w->outputs ? outputs_cursor_next(w->outputs, &w->histogram) : 0;
    w->have_histogram = rc == 1;
    return rc >= 0;
}

// Events and outputs belong to the run as a whole.
static bool open_run(struct walk *w, int64_t run) {
    struct event_filter all = {.from = INT64_MIN, .to = INT64_MAX};
    const struct walk_options *o = &w->options;
    return reader_attempts(w->reader, run, &w->attempts, &w->n_attempts) == 0 &&
           reader_events(w->reader, run, &all, INT64_MAX, keep_event, w) >= 0 &&
           (!o->outputs ||
            outputs_cursor_open(&w->outputs, w->reader, run, o->skip_outputs) == 0) &&
           advance_outputs(w);
}

int walk_open(struct walk **out, struct reader *r, int64_t run,
              const struct walk_options *options) {
    struct walk *w = NEW(struct walk);
    *out = w;
    w->reader = r;
    w->options = *options;
    step_init(&w->step);
    step_init(&w->message);
    if (!open_run(w, run)) {
        walk_close(w);
        *out = NULL;
        return -1;
    }
    int64_t skip = options->skip_events;
    w->next_event = skip < (int64_t)w->n_events ? (size_t)skip : w->n_events;
    while (w->at < w->n_attempts && w->attempts[w->at].id < options->after_attempt) {
        w->at++;
    }
    return 0;
}

void walk_close(struct walk *w) {
    if (!w) {
        return;
    }
    step_cursor_close(w->steps);
    step_cursor_close(w->scalars);
    outputs_cursor_close(w->outputs);
    outputs_record_free(&w->histogram);
    for (size_t i = 0; i < w->n_attempts; i++) {
        attempt_record_free(&w->attempts[i]);
    }
    for (size_t i = 0; i < w->n_events; i++) {
        event_record_free(&w->events[i]);
    }
    free(w->attempts);
    free(w->events);
    step_free(&w->step);
    step_free(&w->message);
    free(w);
}

int64_t walk_last_in_force(const struct walk *w) {
    int64_t last = INT64_MAX;
    for (size_t i = w->at + 1; i < w->n_attempts; i++) {
        last = w->attempts[i].rewind_step < last ? w->attempts[i].rewind_step : last;
    }
    return last;
}

static bool advance(struct step_cursor *cursor, struct step *step, bool *have) {
    int rc = cursor ? step_cursor_next(cursor, step) : 0;
    *have = rc == 1;
    return rc >= 0;
}

// Opens the cursors of the attempt. False for an error of the store.
static bool enter_attempt(struct walk *w) {
    const struct attempt_record *a = &w->attempts[w->at];
    bool resumed = a->id == w->options.after_attempt;
    int64_t from = resumed ? w->options.after_step + 1 : 0, to = STEP_MAX;
    if (w->options.in_force_only) {
        int64_t last = walk_last_in_force(w);
        from = from > w->options.from ? from : w->options.from;
        to = last < w->options.to ? last : w->options.to;
    }
    w->entered = true;
    if (w->options.no_steps) {
        return true;
    }
    if (step_cursor_open(&w->steps, w->reader, a->id, from, to) ||
        (w->options.scalars && scalars_cursor_open(&w->scalars, w->reader, a->id, from, to))) {
        return false;
    }
    return advance(w->steps, &w->step, &w->have_step) &&
           advance(w->scalars, &w->message, &w->have_message);
}

static void leave_attempt(struct walk *w) {
    step_cursor_close(w->steps);
    step_cursor_close(w->scalars);
    w->steps = w->scalars = NULL;
    w->have_step = w->have_message = false;
    w->entered = false;
    w->at++;
}

// Takes the item that was given last off its cursor.
static bool consume(struct walk *w) {
    if (w->visited == WALK_STEP) {
        return advance(w->steps, &w->step, &w->have_step);
    }
    if (w->visited == WALK_SCALARS) {
        return advance(w->scalars, &w->message, &w->have_message);
    }
    if (w->visited == WALK_EVENT) {
        w->next_event++;
    }
    return w->visited != WALK_OUTPUTS || advance_outputs(w);
}

static bool is_due(const struct walk *w, int64_t attempt, int64_t after_step) {
    return attempt <= w->attempts[w->at].id && (!w->have_step || after_step < w->step.step);
}

// The item that comes first among what the attempt still has; WALK_END when it has nothing.
static enum walk_item choose(const struct walk *w) {
    const struct event_record *event =
        w->next_event < w->n_events ? &w->events[w->next_event] : NULL;
    const struct outputs_record *outputs = w->have_histogram ? &w->histogram : NULL;
    bool event_due = event && is_due(w, event->attempt, event->after_step);
    bool outputs_due = outputs && is_due(w, outputs->attempt, outputs->after_step);
    if (outputs_due && (!event_due || outputs->after_events <= (int64_t)w->next_event)) {
        return WALK_OUTPUTS;
    }
    if (event_due) {
        return WALK_EVENT;
    }
    if (w->have_step && (!w->have_message || w->step.step <= w->message.step)) {
        return WALK_STEP;
    }
    return w->have_message ? WALK_SCALARS : WALK_END;
}

enum walk_item walk_next(struct walk *w) {
    if (!consume(w)) {
        return WALK_ERROR;
    }
    for (;;) {
        if (w->at == w->n_attempts) {
            return WALK_END;
        }
        if (!w->entered) {
            bool resumed = w->attempts[w->at].id == w->options.after_attempt;
            if (!enter_attempt(w)) {
                return WALK_ERROR;
            }
            if (!resumed) {
                return w->visited = WALK_ATTEMPT;
            }
        }
        w->visited = choose(w);
        if (w->visited != WALK_END) {
            return w->visited;
        }
        leave_attempt(w);
    }
}

const struct attempt_record *walk_attempt(const struct walk *w) {
    return &w->attempts[w->at];
}

const struct step *walk_step(const struct walk *w) {
    return w->visited == WALK_SCALARS ? &w->message : &w->step;
}

const struct event_record *walk_event(const struct walk *w) {
    return &w->events[w->next_event];
}

const struct outputs_record *walk_outputs(const struct walk *w) {
    return &w->histogram;
}
