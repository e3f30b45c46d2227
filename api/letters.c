// The streams' letter boxes. A run's newest letters are kept once, in a ring; a subscriber is a
// place in it. Publishing costs the loop nothing but a mark: a thread of its own, the herald, wakes
// the subscribers that sleep, a few at a time so that nobody waits long for the board, and no more
// often than the bytes allow that all streams together may be sent.
#include "api/board_live.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAKE_AT_ONCE 8
#define NEVER UINT64_MAX

struct subscriber {
    struct subscriber *next, **previous; // in one of the entry's lists
    struct live_entry *entry;
    struct subscriber_calls calls;
    uint64_t next_letter;
    uint64_t seen_version; // of the snapshot taken last
    uint64_t last_id;      // of the letter taken last, or the newest when it came
    bool asleep, beat, lost;
    bool turn; // for a new reading
};

void streams_init(struct streams *s) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    CHECK(pthread_cond_init(&s->stir, &monotonic) == 0);
    pthread_condattr_destroy(&monotonic);
    s->last_id = (uint64_t)(clock_wall_s() * 1e6); // above every id of the daemon's lives before
    s->beaten_ns = clock_monotonic_ns();
    s->beat_ns = UINT64_C(15000000000);
}

void streams_destroy(struct streams *s) {
    pthread_cond_destroy(&s->stir);
}

void streams_begin(struct streams *s, struct live_entry *e) {
    e->lost = s->last_id;
}

void streams_stir(struct streams *s, struct live_entry *e) {
    if (!e->stirred && e->n_subscribers) {
        e->stirred = true;
        e->next_stirred = s->stirred;
        s->stirred = e;
    }
    if (e->stirred) {
        s->rung = true;
        pthread_cond_signal(&s->stir);
    }
}

static void unlink_subscriber(struct subscriber *s) {
    *s->previous = s->next;
    if (s->next) {
        s->next->previous = s->previous;
    }
}

static void link_subscriber(struct subscriber **list, struct subscriber *s) {
    s->next = *list;
    s->previous = list;
    if (s->next) {
        s->next->previous = &s->next;
    }
    *list = s;
}

static void wake(struct subscriber *s) {
    unlink_subscriber(s);
    link_subscriber(&s->entry->awake, s);
    s->asleep = false;
    s->calls.wake(s->calls.context);
}

static void drop_oldest(struct live_entry *e) {
    struct letter *oldest = &e->ring[e->first++ % BOARD_RING];
    e->lost = oldest->id;
    free(oldest->event);
    free(oldest->data);
    *oldest = (struct letter){0};
}

void board_stream(struct board *b, const char *run, const char *event, const char *data) {
    pthread_mutex_t *lock;
    struct streams *s = board_streams(b, &lock);
    pthread_mutex_lock(lock);
    struct live_entry *e = board_entry(b, run);
    if (e) {
        if (e->end - e->first == BOARD_RING) {
            drop_oldest(e);
        }
        struct letter *l = &e->ring[e->end++ % BOARD_RING];
        *l =
            (struct letter){.id = ++s->last_id, .event = must_copy(event), .data = must_copy(data)};
        e->has_mail = true;
        streams_stir(s, e);
    }
    pthread_mutex_unlock(lock);
}

// A stream that is taken up again goes on behind the letter that it saw last.
static void take_up(struct subscriber *s, uint64_t after) {
    struct live_entry *e = s->entry;
    s->lost = after < e->lost;
    s->next_letter = e->first;
    s->last_id = after;
    while (s->next_letter < e->end && e->ring[s->next_letter % BOARD_RING].id <= after) {
        s->next_letter++;
    }
}

struct subscriber *board_subscribe(struct board *b, const char *run,
                                   const struct subscriber_calls *calls, uint64_t after) {
    struct subscriber *s = NULL;
    pthread_mutex_t *lock;
    struct streams *streams = board_streams(b, &lock);
    pthread_mutex_lock(lock);
    struct live_entry *e = board_entry(b, run);
    if (e) {
        s = NEW(struct subscriber);
        s->entry = e;
        s->calls = *calls;
        s->next_letter = e->end;
        s->last_id = streams->last_id;
        if (after) {
            take_up(s, after);
        }
        link_subscriber(&e->awake, s);
        e->n_subscribers++;
        streams->n++;
    }
    pthread_mutex_unlock(lock);
    return s;
}

void board_unsubscribe(struct board *b, struct subscriber *s) {
    pthread_mutex_t *lock;
    struct streams *streams = board_streams(b, &lock);
    pthread_mutex_lock(lock);
    unlink_subscriber(s);
    s->entry->n_subscribers--;
    streams->n--;
    entry_release(s->entry);
    pthread_mutex_unlock(lock);
    free(s);
}

static void take_event(struct subscriber *s, struct board_letter *out) {
    const struct letter *l = &s->entry->ring[s->next_letter++ % BOARD_RING];
    out->kind = LETTER_EVENT;
    out->event = must_copy(l->event);
    out->data = must_copy(l->data);
    s->last_id = l->id;
}

static void take_gap(struct subscriber *s, struct board_letter *out) {
    struct live_entry *e = s->entry;
    out->kind = LETTER_GAP;
    out->dropped = s->lost ? 0 : e->first - s->next_letter;
    s->next_letter = s->next_letter < e->first ? e->first : s->next_letter;
    s->last_id = s->last_id < e->lost ? e->lost : s->last_id;
    s->lost = false;
}

// The first reading at once; later ones when it is its turn, or when nothing will follow.
static bool has_reading(const struct subscriber *s) {
    const struct live_entry *e = s->entry;
    bool may = s->turn || !e->is_live;
    return s->seen_version == 0 || (may && s->seen_version < e->snapshot->version);
}

// Who was busy when a reading was announced still has a turn in that round.
static void fall_asleep(struct streams *streams, struct subscriber *s) {
    struct live_entry *e = s->entry;
    bool waits = s->seen_version < e->announced;
    unlink_subscriber(s);
    link_subscriber(waits ? &e->waiting : &e->sleeping, s);
    if (waits && !e->stirred) {
        streams_stir(streams, e);
    }
    s->asleep = true;
    s->calls.sleep(s->calls.context);
}

// What the streams' next turns wait for.
static void spend(struct streams *s, uint64_t ns) {
    uint64_t now = clock_monotonic_ns();
    s->rests_until_ns = (s->rests_until_ns > now ? s->rests_until_ns : now) + ns;
}

void board_sends(struct board *b, size_t bytes) {
    pthread_mutex_t *lock;
    struct streams *s = board_streams(b, &lock);
    pthread_mutex_lock(lock);
    spend(s, bytes * UINT64_C(1000000000) / BOARD_BYTES_A_SECOND);
    pthread_mutex_unlock(lock);
}

void board_take(struct board *b, struct subscriber *s, bool may_sleep, struct board_letter *out) {
    pthread_mutex_t *lock;
    struct streams *streams = board_streams(b, &lock);
    *out = (struct board_letter){.kind = LETTER_NONE};
    pthread_mutex_lock(lock);
    const struct live_entry *e = s->entry;
    if (streams->closed) {
        out->kind = LETTER_END;
    } else if (s->lost || s->next_letter < e->first) {
        take_gap(s, out);
    } else if (s->next_letter < e->end) {
        take_event(s, out);
    } else if (has_reading(s)) {
        out->kind = LETTER_SNAPSHOT;
        out->snapshot = snapshot_ref(e->snapshot);
        s->seen_version = e->snapshot->version;
        s->turn = false;
    } else if (!e->is_live) {
        out->kind = LETTER_END;
    } else if (s->beat) {
        out->kind = LETTER_BEAT;
    } else if (may_sleep) {
        s->turn = false;
        fall_asleep(streams, s);
    }
    out->id = s->last_id;
    s->beat = false;
    pthread_mutex_unlock(lock);
}

// Moves all of one list to the front of another.
static void move_list(struct subscriber **from, struct subscriber **to) {
    struct subscriber **end = from;
    while (*end) {
        end = &(*end)->next;
    }
    if (end == from) {
        return;
    }
    *end = *to;
    if (*to) {
        (*to)->previous = end;
    }
    *to = *from;
    (*to)->previous = to;
    *from = NULL;
}

static void call_all(struct live_entry *e) {
    move_list(&e->sleeping, &e->called);
    move_list(&e->waiting, &e->called);
}

static unsigned wake_some(struct subscriber **list, bool turn) {
    unsigned n = 0;
    for (; n < WAKE_AT_ONCE && *list; n++) {
        (*list)->turn = turn;
        wake(*list);
    }
    return n;
}

// Wakes a few, either for mail or for a new reading, and by turns when both are wanted: then the
// HTTP thread has the time to serve them and whoever else came, so that nobody waits behind all of
// them. Returns how many.
static unsigned wake_group(struct live_entry *e) {
    if (e->has_mail && !e->called) {
        e->has_mail = false;
        call_all(e);
    }
    if (!e->waiting && e->announced < e->snapshot->version) {
        e->announced = e->snapshot->version;
        move_list(&e->sleeping, &e->waiting);
    }
    e->was_mail = e->called && (!e->waiting || !e->was_mail);
    return e->was_mail ? wake_some(&e->called, false) : wake_some(&e->waiting, true);
}

// One round over what has stirred. Returns when the next is due, NEVER for when something stirs.
static uint64_t announce(struct streams *s) {
    unsigned n_woken = 0;
    struct live_entry *list = s->stirred;
    if (clock_monotonic_ns() < s->rests_until_ns) {
        return list ? s->rests_until_ns : NEVER;
    }
    s->stirred = NULL;
    while (list) {
        struct live_entry *e = list;
        list = e->next_stirred;
        n_woken += wake_group(e);
        bool more = e->has_mail || e->called || e->waiting || e->announced < e->snapshot->version;
        e->stirred = e->n_subscribers && more;
        if (e->stirred) {
            e->next_stirred = s->stirred;
            s->stirred = e;
        }
        entry_release(e);
    }
    spend(s, n_woken * BOARD_PACE_NS);
    return s->stirred ? s->rests_until_ns : NEVER;
}

// A sign of life to all who sleep.
static void beat(struct board *b, struct streams *s) {
    s->beaten_ns = clock_monotonic_ns();
    s->beat_wanted = false;
    struct live_entry *e;
    for (size_t i = 0; (e = board_entry_at(b, i)); i++) {
        call_all(e);
        for (struct subscriber *one = e->called; one; one = one->next) {
            one->beat = true;
        }
        streams_stir(s, e);
    }
}

static uint64_t attend(struct board *b, struct streams *s) {
    uint64_t next_beat = s->beaten_ns + s->beat_ns;
    s->rung = false;
    if (s->beat_wanted || clock_monotonic_ns() >= next_beat) {
        beat(b, s);
    }
    uint64_t due = announce(s);
    return due < next_beat ? due : next_beat;
}

void board_set_beat(struct board *b, uint64_t ns) {
    pthread_mutex_t *lock;
    struct streams *s = board_streams(b, &lock);
    pthread_mutex_lock(lock);
    s->beat_ns = ns;
    s->rung = true;
    pthread_cond_signal(&s->stir);
    pthread_mutex_unlock(lock);
}

void board_announce(struct board *b) {
    pthread_mutex_t *lock;
    struct streams *s = board_streams(b, &lock);
    pthread_mutex_lock(lock);
    s->rests_until_ns = 0;
    attend(b, s);
    pthread_mutex_unlock(lock);
}

void board_herald(struct board *b) {
    pthread_mutex_t *lock;
    struct streams *s = board_streams(b, &lock);
    pthread_mutex_lock(lock);
    while (!s->closed) {
        uint64_t due = attend(b, s);
        struct timespec until = {.tv_sec = (time_t)(due / 1000000000),
                                 .tv_nsec = (long)(due % 1000000000)};
        while (!s->rung && !s->closed && clock_monotonic_ns() < due) {
            pthread_cond_timedwait(&s->stir, lock, &until);
        }
    }
    pthread_mutex_unlock(lock);
}

void board_beat(struct board *b) {
    pthread_mutex_t *lock;
    struct streams *s = board_streams(b, &lock);
    pthread_mutex_lock(lock);
    s->beat_wanted = s->rung = true;
    pthread_cond_signal(&s->stir);
    pthread_mutex_unlock(lock);
}

static void wake_now(struct live_entry *e) {
    struct subscriber **lists[] = {&e->called, &e->waiting, &e->sleeping};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        while (*lists[i]) {
            wake(*lists[i]);
        }
    }
}

void board_close(struct board *b) {
    pthread_mutex_t *lock;
    struct streams *s = board_streams(b, &lock);
    struct live_entry *e;
    pthread_mutex_lock(lock);
    s->closed = true;
    for (size_t i = 0; (e = board_entry_at(b, i)); i++) {
        wake_now(e);
    }
    for (e = s->stirred; e; e = e->next_stirred) { // those that are no longer live
        wake_now(e);
    }
    pthread_cond_signal(&s->stir);
    pthread_mutex_unlock(lock);
}
