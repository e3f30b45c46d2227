// Whether a store is sound, down to every chunk's checksum. Reads only, beside a live daemon as
// well: in short read transactions, but for SQLite's own check, which sees one state of the store
// and keeps the WAL from being recycled as long as it takes.
//
// What packs columns has checksums (storage/segment.h), and so have checkpoints and waypoints
// (storage/state.h); all of them are compared, and everything is decoded. Rows of the journal have
// none of their own: they are decoded, and everything SQLite can tell of its pages, rows and
// indexes is asked.
#ifndef STORAGE_VERIFY_H
#define STORAGE_VERIFY_H

#include "base/buf.h"
#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum damage_kind {
    DAMAGE_DATABASE, // SQLite's pages, rows or indexes; only `what` is known
    DAMAGE_JOURNAL,  // a row of a step, or of a message of scalars
    DAMAGE_SEGMENT,  // a whole segment, or a chunk of one of its columns
    DAMAGE_STATE,    // a checkpoint or a waypoint; both steps are that which it is behind
};
// Strings are the callee's for the call only.
struct damage {
    enum damage_kind kind;
    const char *run;  // NULL where it is not known, as of one that was forgotten
    int64_t attempt;  // and below: not of DAMAGE_DATABASE
    const char *part; // "steps", "messages", "readings", "checkpoint", "waypoint"
    int64_t first_step, last_step;
    int64_t segment;    // its id, and below: of DAMAGE_SEGMENT
    unsigned tier;      // 0: the values themselves
    const char *column; // NULL: the whole segment
    size_t first_layer, last_layer;
    const char *what; // what is wrong, for people
};

struct verified {
    int version; // of the layout
    int64_t journal_rows, segments, chunks, states, damages;
};

struct verify_calls {
    void *context;
    void (*damage)(void *context, const struct damage *d);
    // Now and then: segments looked at, of so many. May be NULL.
    void (*progress)(void *context, int64_t done, int64_t total);
};

// `path` is the database's file. 0 when everything was looked at (out->damages says how it is), -1
// with the reason when the file cannot be read, is no store or is a newer version's.
int verify_store(const char *path, const struct verify_calls *calls, struct verified *out,
                 struct buf *error) WARN_UNUSED;

#endif
