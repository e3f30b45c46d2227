#include "api/board_live.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

const double board_commit_bounds_s[BOARD_COMMIT_BOUNDS] = {
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10};

// Live runs are few hundreds at most and looked up by requests and publications, a few hundred a
// second: an array sorted by name is all it takes.
struct fired {
    char rule[RULE_NAME_MAX + 1];
    uint64_t count;
};

struct board {
    pthread_mutex_t lock;
    struct live_entry **live;
    size_t n, cap;
    struct streams streams;
    struct board_trouble trouble; // began 0: there was none
    char *receivers;              // JSON
    struct board_remote remotes[LIMIT_REMOTE_WRITE];
    size_t n_remotes;
    struct ruleset *rules;
    struct fired *fired; // by rule
    size_t n_fired;
    struct board_figures figures;
    _Atomic uint64_t changes;
};

struct board *board_create(void) {
    struct board *b = NEW(struct board);
    CHECK(pthread_mutex_init(&b->lock, NULL) == 0);
    b->rules = ruleset_default();
    streams_init(&b->streams);
    b->figures.started_s = (uint64_t)clock_wall_s();
    return b;
}

void board_destroy(struct board *b) {
    if (!b) {
        return;
    }
    CHECK(b->streams.n == 0);
    for (size_t i = 0; i < b->n; i++) {
        b->live[i]->is_live = false;
        if (!b->live[i]->stirred) {
            entry_release(b->live[i]);
        }
    }
    for (struct live_entry *e = b->streams.stirred, *next; e; e = next) {
        next = e->next_stirred;
        e->stirred = false;
        entry_release(e);
    }
    streams_destroy(&b->streams);
    free(b->live);
    free(b->receivers);
    free(b->fired);
    ruleset_release(b->rules);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

struct board_figures *board_figures(struct board *b) {
    return &b->figures;
}

// Where the run stands among the live ones, or would stand.
static size_t position(const struct board *b, const char *run, bool *found) {
    size_t low = 0, high = b->n;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(b->live[middle]->snapshot->record.name, run);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct live_entry *insert(struct board *b, size_t at) {
    if (b->n == b->cap) {
        b->cap = b->cap ? 2 * b->cap : 16;
        struct live_entry **grown = must_grow(b->live, b->cap * sizeof(struct live_entry *));
        b->live = grown;
    }
    memmove(&b->live[at + 1], &b->live[at], (b->n - at) * sizeof(struct live_entry *));
    b->n++;
    struct live_entry *e = b->live[at] = NEW(struct live_entry);
    e->is_live = true;
    streams_begin(&b->streams, e);
    return e;
}

void entry_release(struct live_entry *e) {
    if (e->is_live || e->stirred || e->n_subscribers) {
        return;
    }
    for (; e->first < e->end; e->first++) {
        free(e->ring[e->first % BOARD_RING].event);
        free(e->ring[e->first % BOARD_RING].data);
    }
    snapshot_unref(e->snapshot);
    free(e);
}

struct live_entry *board_entry(struct board *b, const char *run) {
    bool found;
    size_t at = position(b, run, &found);
    return found ? b->live[at] : NULL;
}

struct live_entry *board_entry_at(struct board *b, size_t i) {
    return i < b->n ? b->live[i] : NULL;
}

struct streams *board_streams(struct board *b, pthread_mutex_t **lock) {
    *lock = &b->lock;
    return &b->streams;
}

void board_publish(struct board *b, struct snapshot *snapshot) {
    bool found;
    pthread_mutex_lock(&b->lock);
    size_t at = position(b, snapshot->record.name, &found);
    struct live_entry *e = found ? b->live[at] : insert(b, at);
    struct snapshot *old = e->snapshot;
    e->snapshot = snapshot;
    streams_stir(&b->streams, e);
    b->changes++;
    pthread_mutex_unlock(&b->lock);
    snapshot_unref(old);
}

void board_forget(struct board *b, const char *run) {
    bool found;
    pthread_mutex_lock(&b->lock);
    size_t at = position(b, run, &found);
    if (found) {
        struct live_entry *e = b->live[at];
        b->n--;
        memmove(&b->live[at], &b->live[at + 1], (b->n - at) * sizeof(struct live_entry *));
        e->is_live = false;
        e->has_mail = true;
        streams_stir(&b->streams, e); // its streams take what is there, and end
        entry_release(e);
    }
    b->changes++;
    pthread_mutex_unlock(&b->lock);
}

void board_set_trouble(struct board *b, const char *reason) {
    pthread_mutex_lock(&b->lock);
    struct board_trouble *t = &b->trouble;
    bool lasts = t->began > 0 && t->ended <= 0;
    if (reason && !lasts) {
        *t = (struct board_trouble){.began = clock_wall_s()};
    } else if (!reason && lasts) {
        t->ended = clock_wall_s();
    }
    if (reason) {
        snprintf(t->reason, sizeof t->reason, "%s", reason);
    }
    b->changes++;
    pthread_mutex_unlock(&b->lock);
}

void board_set_receivers(struct board *b, const char *json) {
    char *copy = must_copy(json);
    pthread_mutex_lock(&b->lock);
    free(b->receivers);
    b->receivers = copy;
    pthread_mutex_unlock(&b->lock);
}

char *board_receivers(struct board *b) {
    pthread_mutex_lock(&b->lock);
    char *copy = must_copy(b->receivers ? b->receivers : "{\"receivers\":[]}");
    pthread_mutex_unlock(&b->lock);
    return copy;
}

void board_set_remotes(struct board *b, const struct board_remote *remotes, size_t n) {
    CHECK(n <= LIMIT_REMOTE_WRITE);
    pthread_mutex_lock(&b->lock);
    memcpy(b->remotes, remotes, n * sizeof *remotes);
    b->n_remotes = n;
    b->changes++;
    pthread_mutex_unlock(&b->lock);
}

size_t board_remotes(struct board *b, struct board_remote out[LIMIT_REMOTE_WRITE]) {
    pthread_mutex_lock(&b->lock);
    size_t n = b->n_remotes;
    memcpy(out, b->remotes, n * sizeof *out);
    pthread_mutex_unlock(&b->lock);
    return n;
}

bool board_ready(struct board *b, char *text, size_t size) {
    pthread_mutex_lock(&b->lock);
    bool ready = b->trouble.began <= 0 || b->trouble.ended > 0;
    snprintf(text, size, "%s", ready ? "" : b->trouble.reason);
    pthread_mutex_unlock(&b->lock);
    return ready;
}

bool board_trouble(struct board *b, struct board_trouble *out) {
    pthread_mutex_lock(&b->lock);
    *out = b->trouble;
    pthread_mutex_unlock(&b->lock);
    return out->began > 0;
}

void board_set_rules(struct board *b, struct ruleset *rules) {
    pthread_mutex_lock(&b->lock);
    struct ruleset *before = b->rules;
    b->rules = ruleset_hold(rules);
    b->changes++;
    pthread_mutex_unlock(&b->lock);
    ruleset_release(before);
}

struct ruleset *board_rules(struct board *b) {
    pthread_mutex_lock(&b->lock);
    struct ruleset *rules = ruleset_hold(b->rules);
    pthread_mutex_unlock(&b->lock);
    return rules;
}

static struct fired *find_fired(struct board *b, const char *rule) {
    for (size_t i = 0; i < b->n_fired; i++) {
        if (strcmp(b->fired[i].rule, rule) == 0) {
            return &b->fired[i];
        }
    }
    return NULL;
}

void board_count_fired(struct board *b, const char *rule) {
    pthread_mutex_lock(&b->lock);
    struct fired *f = find_fired(b, rule);
    if (!f) {
        b->fired = must_grow(b->fired, (b->n_fired + 1) * sizeof *b->fired);
        f = &b->fired[b->n_fired++];
        f->count = 0;
        snprintf(f->rule, sizeof f->rule, "%s", rule);
    }
    f->count++;
    b->changes++;
    pthread_mutex_unlock(&b->lock);
}

uint64_t board_fired(struct board *b, const char *rule) {
    pthread_mutex_lock(&b->lock);
    const struct fired *f = find_fired(b, rule);
    uint64_t count = f ? f->count : 0;
    pthread_mutex_unlock(&b->lock);
    return count;
}

uint64_t board_version(struct board *b) {
    return atomic_load(&b->changes) + atomic_load(&b->figures.commits);
}

struct snapshot *board_find(struct board *b, const char *run) {
    bool found;
    pthread_mutex_lock(&b->lock);
    size_t at = position(b, run, &found);
    struct snapshot *s = found ? snapshot_ref(b->live[at]->snapshot) : NULL;
    pthread_mutex_unlock(&b->lock);
    return s;
}

size_t board_count(struct board *b) {
    pthread_mutex_lock(&b->lock);
    size_t n = b->n;
    pthread_mutex_unlock(&b->lock);
    return n;
}

size_t board_all(struct board *b, struct snapshot ***out) {
    pthread_mutex_lock(&b->lock);
    size_t n = b->n;
    *out = must_alloc((n ? n : 1) * sizeof(struct snapshot *));
    for (size_t i = 0; i < n; i++) {
        (*out)[i] = snapshot_ref(b->live[i]->snapshot);
    }
    pthread_mutex_unlock(&b->lock);
    return n;
}
