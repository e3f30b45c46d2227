// Where the loop publishes and the HTTP thread reads: the newest snapshot of every live run, the
// daemon's own figures, and the events of the streams. Small critical sections under one mutex;
// nobody waits for anybody's work.
#ifndef API_BOARD_H
#define API_BOARD_H

#include "config/limits.h"
#include "runs/snapshot.h"
#include "wire/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// The daemon's own figures, for /metrics. Written by the thread that knows, read by the HTTP
// thread.
struct board_figures {
    _Atomic uint64_t steps_received, samples_received, messages_received, bytes_received;
    _Atomic uint64_t steps_repeated;           // acknowledged and dropped
    _Atomic uint64_t refused[WIRE_CODE_COUNT]; // errors sent, by code
    _Atomic uint64_t connections_open, connections_total, connections_refused;
    _Atomic uint64_t handshakes_failed; // of TLS, on connections of jobs
    _Atomic uint64_t reads_paused;     // connections whose reading is stopped now (back-pressure)
    _Atomic uint64_t queue_bytes;      // read, not yet durable
    _Atomic uint64_t waiting_since_ns; // monotonic: the oldest of it; 0: there is none
    _Atomic uint64_t commits, commit_failures;
    _Atomic uint64_t commit_seconds_bucket[16]; // counts of commits up to board_commit_bounds_s[i]
    _Atomic uint64_t commit_nanoseconds;        // their sum
    _Atomic uint64_t steps_durable;
    _Atomic uint64_t wal_bytes, database_bytes;
    _Atomic uint64_t notices_waiting, notices_delivered, notices_failed; // of alerts, to receivers
    _Atomic uint64_t unclean_starts; // 1 when the last shutdown was none
    _Atomic uint64_t started_s;      // when the daemon began, since the epoch
};
#define BOARD_COMMIT_BOUNDS 14
extern const double board_commit_bounds_s[BOARD_COMMIT_BOUNDS]; // the last bucket is +Inf

struct board;

struct board *board_create(void);
void board_destroy(struct board *b);
struct board_figures *board_figures(struct board *b);

// Loop side. Takes over the reference.
void board_publish(struct board *b, struct snapshot *snapshot);
void board_forget(struct board *b, const char *run); // the run is no longer live
// Why nothing can be stored now; NULL: all is well. Copied. readyz answers with it, and the alert
// store_trouble tells of it, which the store itself cannot keep.
void board_set_trouble(struct board *b, const char *reason);
// How the receivers of alerts are doing, as JSON. Copied.
void board_set_receivers(struct board *b, const char *json);
// How remote write gets on with its receivers. Copied.
#define BOARD_REMOTE_NAME 256
struct board_remote {
    char name[BOARD_REMOTE_NAME];
    uint64_t sent, failed, dropped, waiting; // samples
};
void board_set_remotes(struct board *b, const struct board_remote *remotes, size_t n);
// Holds it.
void board_set_rules(struct board *b, struct ruleset *rules);
void board_count_fired(struct board *b, const char *rule);
// Something for the run's streams: event is "alert" or "status", data its JSON. (Temperatures need
// no call: publishing a snapshot wakes the run's streams.)
void board_stream(struct board *b, const char *run, const char *event, const char *data);

// Grows with every change that readers can see: publications, commits.
uint64_t board_version(struct board *b);
// Reader side. A new reference, or NULL when the run is not live.
struct snapshot *board_find(struct board *b, const char *run);
// All live runs' snapshots, each a new reference; *out is the caller's, free().
size_t board_all(struct board *b, struct snapshot ***out);
size_t board_count(struct board *b); // of the live runs
size_t board_remotes(struct board *b, struct board_remote out[LIMIT_REMOTE_WRITE]);
// False and the reason copied into text when the daemon cannot store.
bool board_ready(struct board *b, char *text, size_t size);
// The newest time of trouble since the daemon began. False when there was none.
struct board_trouble {
    char reason[512];
    double began, ended; // seconds since the epoch; ended 0: it lasts
};
bool board_trouble(struct board *b, struct board_trouble *out);
char *board_receivers(struct board *b); // the caller's, free()
// A new hold.
struct ruleset *board_rules(struct board *b);
// How often a rule has fired since the daemon started.
uint64_t board_fired(struct board *b, const char *rule);

// Streams. A subscriber is one stream's letter box: what happened to its run since it last looked.
// Of temperatures only the newest is kept; of events each run keeps the newest BOARD_RING, and who
// has missed some is told. New temperatures go to the streams in turns: all streams together are
// sent so many bytes a second, and one more each BOARD_PACE_NS at most, so that a thousand of them
// leave jobs and other readers their time.
#define BOARD_RING 256
#define BOARD_PACE_NS UINT64_C(200000)
#define BOARD_BYTES_A_SECOND ((uint64_t)64 << 20)

struct subscriber;

// Both are called with the board locked, so that falling asleep and being woken cannot cross.
struct subscriber_calls {
    void (*sleep)(void *context); // nothing is there
    void (*wake)(void *context);  // something came; only ever after sleep
    void *context;
};

struct board_letter {
    enum {
        LETTER_NONE,     // asleep now: sleep() was called, if it may
        LETTER_GAP,      // `dropped` events could not be kept
        LETTER_EVENT,    // event, data: the taker's, free()
        LETTER_SNAPSHOT, // a new reference
        LETTER_BEAT,     // nothing for a while; show that somebody is there
        LETTER_END       // the run is no longer live, or the board is closed; nothing will follow
    } kind;
    uint64_t id;      // of the newest event that the subscriber knows
    uint64_t dropped; // 0: it is not known how many
    char *event, *data;
    struct snapshot *snapshot;
};

// NULL when the run is not live. The first letter is its newest snapshot, unless the stream is
// taken up again: then what came behind the event with the id `after` (0: it is new).
struct subscriber *board_subscribe(struct board *b, const char *run,
                                   const struct subscriber_calls *calls, uint64_t after);
void board_unsubscribe(struct board *b, struct subscriber *s);
// `may_sleep`: when there is nothing.
void board_take(struct board *b, struct subscriber *s, bool may_sleep, struct board_letter *out);
// A reading of so many bytes is being sent to a stream.
void board_sends(struct board *b, size_t bytes);
// Wakes the subscribers that sleep as there is something for them, and each now and then with a
// LETTER_BEAT: until board_close(), on a thread of its own.
void board_herald(struct board *b);
// How often they get one; 15 s at first.
void board_set_beat(struct board *b, uint64_t ns);
// One round of it without a rest, for tests.
void board_announce(struct board *b);
// Has the herald wake every sleeping subscriber with a LETTER_BEAT.
void board_beat(struct board *b);
// From now on every subscriber takes LETTER_END and none falls asleep. Ends the herald.
void board_close(struct board *b);

#endif
