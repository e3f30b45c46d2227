// A live run on the board, and its streams. Private to board.c and letters.c; everything under the
// board's lock.
#ifndef API_BOARD_LIVE_H
#define API_BOARD_LIVE_H

#include "api/board.h"

#include <pthread.h>

struct letter {
    uint64_t id; // grows from letter to letter of all runs, and over restarts
    char *event, *data;
};

// Lasts until it is no longer live and its last subscriber has gone.
struct live_entry {
    struct snapshot *snapshot;
    bool is_live;
    struct letter ring[BOARD_RING];
    uint64_t first, end; // letter number n is ring[n % BOARD_RING]
    uint64_t lost;       // id below which letters are not known any more
    // Streams: those that sleep stand apart, so that waking them costs nothing but themselves.
    struct subscriber *sleeping, *awake;
    struct subscriber *waiting; // asleep until it is their turn for the reading that was announced
    struct subscriber *called;  // likewise for mail or a beat
    size_t n_subscribers;
    uint64_t announced; // version of the snapshot that this round of turns began with
    bool has_mail;      // a letter came, or the end, since they were called
    bool was_mail;      // what the last turns were for
    bool stirred;       // something new for them; then in the list of those
    struct live_entry *next_stirred;
};

// Of board.c
struct live_entry *board_entry(struct board *b, const char *run); // NULL when it is not live
struct live_entry *board_entry_at(struct board *b, size_t i);     // NULL behind the last
void entry_release(struct live_entry *e);                         // frees it when nothing holds it

// What the streams of a board share. Of letters.c
struct streams {
    pthread_cond_t stir;
    struct live_entry *stirred;
    uint64_t last_id;
    size_t n;                    // open
    uint64_t beaten_ns, beat_ns; // the last beat, and the time between two
    uint64_t rests_until_ns;     // nobody's turn comes before that
    bool rung;                   // something stirred, or a beat is wanted, since the herald looked
    bool beat_wanted;
    bool closed;
};

void streams_init(struct streams *s);
void streams_destroy(struct streams *s);
// The entry has something new.
void streams_stir(struct streams *s, struct live_entry *e);
// A new entry: what came before it is not known.
void streams_begin(struct streams *s, struct live_entry *e);
struct streams *board_streams(struct board *b, pthread_mutex_t **lock);

#endif
