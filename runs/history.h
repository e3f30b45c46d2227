// Walks the history in force of a stored run: the steps that no rewind superseded, in order, with
// its instruments following along where they are asked for.
#ifndef RUNS_HISTORY_H
#define RUNS_HISTORY_H

#include "probes/thermo.h"
#include "storage/reader.h"
#include "wire/hello.h"
#include "wire/step.h"

struct history;

// The last step of attempt i of n that no later one superseded, -1 when none is left.
int64_t history_last_in_force(const struct attempt_record *attempts, size_t n, size_t i);

// from..to: steps to visit, inclusive. with_instruments: the thermometers read as they did at each
// step; then the walk begins at the last waypoint before `from` (runs/waypoint.h), or at the run's
// first step, and only visits from..to.
int history_open(struct history **out, struct reader *r, const struct run_record *run, int64_t from,
                 int64_t to, bool with_instruments) WARN_UNUSED;
void history_close(struct history *h);
// The waypoint's attempt and step; 0 and 0: the walk begins with the run.
void history_began_behind(const struct history *h, int64_t *attempt, int64_t *step);
// 1: *step (and *thermo, NULL without instruments) are the next ones, valid until the next call;
// 0 at the end; -1 for an error of the store, see reader_error().
int history_next(struct history *h, const struct step **step,
                 const struct thermo **thermo) WARN_UNUSED;
// `ended` is called when the data is refreshed, with the instruments as they stand at the end of
// that state. Only with instruments and from 0; before the first history_next().
typedef void history_state_fn(void *context, const struct thermo *thermo);
void history_on_refresh(struct history *h, history_state_fn *ended, void *context);
// Asked at every step that is read, those before `from` too, which may be millions; false ends the walk.
void history_while(struct history *h, bool (*goes_on)(void *context), void *context);
// The hello in force at the visited step: its layers name the columns' entries.
const struct hello *history_hello(const struct history *h);

#endif
