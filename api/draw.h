// One request for series at work: reads what it asks for into its selection.
#ifndef API_DRAW_H
#define API_DRAW_H

#include "api/bounds.h"
#include "api/request.h"
#include "api/select.h"
#include "runs/snapshot.h"
#include "storage/reader.h"

struct drawing {
    struct request *q;
    struct run_record run; // as the store has it; empty before its hello is durable
    struct attempt_record *attempts;
    size_t n_attempts;
    int64_t kept;                // changes as exact values go by retention
    size_t n_layers;             // of the hello in force
    const struct snapshot *live; // NULL when the run is not
    int64_t from, to;
    size_t points;    // what a series is gathered to
    size_t intervals; // beside an instrument's values
    struct selection selection;
    struct bounds bounds; // empty when no intervals are wanted
    bool from_readings;   // instruments were drawn from readings that were kept at a cadence
    uint64_t deadline_ns; // by the monotonic clock
    uint64_t visited;     // steps, or points, seen
    bool late;        // behind the deadline, or the daemon stops
    struct step_damage damage;
};

enum outcome { DRAWN, OUT_OF_TIME, OUT_OF_MEMORY, STORE_FAILED };

// Within a read transaction.
enum outcome draw(struct drawing *d);

#endif
