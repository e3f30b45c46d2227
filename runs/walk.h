// Walks everything that the store keeps of a run in the order in which it came: its attempts, and
// within each its steps and events. What is rebuilt or exported from a store goes through here.
#ifndef RUNS_WALK_H
#define RUNS_WALK_H

#include "storage/outputs.h"
#include "storage/reader.h"
#include "wire/step.h"

struct walk;

enum walk_item {
    WALK_ERROR = -1, // see reader_error()
    WALK_END,
    WALK_ATTEMPT, // an attempt begins: walk_attempt()
    WALK_STEP,    // walk_step()
    WALK_EVENT,   // walk_event()
    WALK_SCALARS, // a message of scalars alone: walk_step()
    WALK_OUTPUTS  // a histogram of outputs: walk_outputs()
};

struct walk_options {
    // Begin behind this step of this attempt, with its first WALK_ATTEMPT left out; 0: at the very
    // start.
    int64_t after_attempt, after_step;
    int64_t skip_events;  // leave out this many of the run's first events
    int64_t skip_outputs; // likewise
    bool scalars;         // visit messages of scalars too
    bool outputs;         // visit histograms of outputs too
    bool no_steps;        // visit neither steps nor messages of scalars
    // Leave out steps that a later attempt superseded, and steps outside from..to. (Not so events
    // and outputs.)
    bool in_force_only;
    int64_t from, to;
};

int walk_open(struct walk **out, struct reader *r, int64_t run,
              const struct walk_options *options) WARN_UNUSED;
void walk_close(struct walk *w);
enum walk_item walk_next(struct walk *w) WARN_UNUSED;
// Of the item just visited; valid until the next call.
const struct attempt_record *walk_attempt(const struct walk *w); // the one in force, at every item
const struct step *walk_step(const struct walk *w);
const struct event_record *walk_event(const struct walk *w);
const struct outputs_record *walk_outputs(const struct walk *w);
// The last step of the attempt in force that no later attempt superseded.
int64_t walk_last_in_force(const struct walk *w);

#endif
