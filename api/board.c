#include "api/board.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

const double board_commit_bounds_s[BOARD_COMMIT_BOUNDS] = {
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10};

struct letter {
    char *event, *data;
};

struct subscriber {
    struct subscriber *next;
    char *run;
    struct subscriber_calls calls;
    struct letter ring[BOARD_RING];
    size_t first, n; // of the ring
    uint64_t dropped;
    struct snapshot *snapshot; // not yet taken
    bool asleep, beat, ended;
};

// Live runs are few hundreds at most and looked up by requests and publications, a few hundred a
// second: an array sorted by name is all it takes.
struct fired {
    char rule[RULE_NAME_MAX + 1];
    uint64_t count;
};

struct board {
    pthread_mutex_t lock;
    struct snapshot **live;
    size_t n, cap;
    struct subscriber *subscribers;
    bool closed;
    struct board_trouble trouble; // began 0: there was none
    char *receivers;              // JSON
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
    return b;
}

void board_destroy(struct board *b) {
    if (!b) {
        return;
    }
    CHECK(b->subscribers == NULL);
    for (size_t i = 0; i < b->n; i++) {
        snapshot_unref(b->live[i]);
    }
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
        int order = strcmp(b->live[middle]->record.name, run);
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

static void insert(struct board *b, size_t at, struct snapshot *s) {
    if (b->n == b->cap) {
        b->cap = b->cap ? 2 * b->cap : 16;
        struct snapshot **grown = realloc(b->live, b->cap * sizeof(struct snapshot *));
        CHECK(grown != NULL);
        b->live = grown;
    }
    memmove(&b->live[at + 1], &b->live[at], (b->n - at) * sizeof(struct snapshot *));
    b->live[at] = s;
    b->n++;
}

static void wake(struct subscriber *s) {
    if (s->asleep) {
        s->asleep = false;
        s->calls.wake(s->calls.context);
    }
}

void board_publish(struct board *b, struct snapshot *snapshot) {
    struct snapshot *old = NULL;
    bool found;
    pthread_mutex_lock(&b->lock);
    size_t at = position(b, snapshot->record.name, &found);
    if (found) {
        old = b->live[at];
        b->live[at] = snapshot;
    } else {
        insert(b, at, snapshot);
    }
    for (struct subscriber *s = b->subscribers; s; s = s->next) {
        if (!s->ended && strcmp(s->run, snapshot->record.name) == 0) {
            snapshot_unref(s->snapshot);
            s->snapshot = snapshot_ref(snapshot);
            wake(s);
        }
    }
    b->changes++;
    pthread_mutex_unlock(&b->lock);
    snapshot_unref(old);
}

void board_forget(struct board *b, const char *run) {
    struct snapshot *old = NULL;
    bool found;
    pthread_mutex_lock(&b->lock);
    size_t at = position(b, run, &found);
    if (found) {
        old = b->live[at];
        b->n--;
        memmove(&b->live[at], &b->live[at + 1], (b->n - at) * sizeof(struct snapshot *));
    }
    for (struct subscriber *s = b->subscribers; s; s = s->next) {
        if (strcmp(s->run, run) == 0) {
            s->ended = true;
            wake(s);
        }
    }
    b->changes++;
    pthread_mutex_unlock(&b->lock);
    snapshot_unref(old);
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
    char *copy = strdup(json);
    CHECK(copy != NULL);
    pthread_mutex_lock(&b->lock);
    free(b->receivers);
    b->receivers = copy;
    pthread_mutex_unlock(&b->lock);
}

char *board_receivers(struct board *b) {
    pthread_mutex_lock(&b->lock);
    char *copy = strdup(b->receivers ? b->receivers : "{\"receivers\":[]}");
    pthread_mutex_unlock(&b->lock);
    CHECK(copy != NULL);
    return copy;
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
        b->fired = realloc(b->fired, (b->n_fired + 1) * sizeof *b->fired);
        CHECK(b->fired != NULL);
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
    struct snapshot *s = found ? snapshot_ref(b->live[at]) : NULL;
    pthread_mutex_unlock(&b->lock);
    return s;
}

size_t board_all(struct board *b, struct snapshot ***out) {
    pthread_mutex_lock(&b->lock);
    size_t n = b->n;
    *out = must_alloc((n ? n : 1) * sizeof(struct snapshot *));
    for (size_t i = 0; i < n; i++) {
        (*out)[i] = snapshot_ref(b->live[i]);
    }
    pthread_mutex_unlock(&b->lock);
    return n;
}

static struct letter pop(struct subscriber *s) {
    struct letter l = s->ring[s->first];
    s->first = (s->first + 1) % BOARD_RING;
    s->n--;
    return l;
}

static void push(struct subscriber *s, const char *event, const char *data) {
    if (s->n == BOARD_RING) {
        struct letter oldest = pop(s);
        free(oldest.event);
        free(oldest.data);
        s->dropped++;
    }
    struct letter l = {.event = strdup(event), .data = strdup(data)};
    CHECK(l.event && l.data);
    s->ring[(s->first + s->n++) % BOARD_RING] = l;
}

void board_stream(struct board *b, const char *run, const char *event, const char *data) {
    pthread_mutex_lock(&b->lock);
    for (struct subscriber *s = b->subscribers; s; s = s->next) {
        if (!s->ended && strcmp(s->run, run) == 0) {
            push(s, event, data);
            wake(s);
        }
    }
    pthread_mutex_unlock(&b->lock);
}

struct subscriber *board_subscribe(struct board *b, const char *run,
                                   const struct subscriber_calls *calls) {
    struct subscriber *s = NULL;
    bool found;
    pthread_mutex_lock(&b->lock);
    size_t at = position(b, run, &found);
    if (found) {
        s = NEW(struct subscriber);
        s->run = strdup(run);
        CHECK(s->run != NULL);
        s->calls = *calls;
        s->snapshot = snapshot_ref(b->live[at]);
        s->next = b->subscribers;
        b->subscribers = s;
    }
    pthread_mutex_unlock(&b->lock);
    return s;
}

void board_unsubscribe(struct board *b, struct subscriber *s) {
    pthread_mutex_lock(&b->lock);
    struct subscriber **at = &b->subscribers;
    while (*at != s) {
        CHECK(*at != NULL);
        at = &(*at)->next;
    }
    *at = s->next;
    pthread_mutex_unlock(&b->lock);
    while (s->n) {
        struct letter l = pop(s);
        free(l.event);
        free(l.data);
    }
    snapshot_unref(s->snapshot);
    free(s->run);
    free(s);
}

void board_take(struct board *b, struct subscriber *s, struct board_letter *out) {
    *out = (struct board_letter){.kind = LETTER_NONE};
    pthread_mutex_lock(&b->lock);
    if (b->closed) {
        out->kind = LETTER_END;
    } else if (s->dropped) {
        out->kind = LETTER_GAP;
        out->dropped = s->dropped;
        s->dropped = 0;
    } else if (s->n) {
        struct letter l = pop(s);
        out->kind = LETTER_EVENT;
        out->event = l.event;
        out->data = l.data;
    } else if (s->snapshot) {
        out->kind = LETTER_SNAPSHOT;
        out->snapshot = s->snapshot;
        s->snapshot = NULL;
    } else if (s->ended) {
        out->kind = LETTER_END;
    } else if (s->beat) {
        out->kind = LETTER_BEAT;
    } else {
        s->asleep = true;
        s->calls.sleep(s->calls.context);
    }
    s->beat = false;
    pthread_mutex_unlock(&b->lock);
}

void board_beat(struct board *b) {
    pthread_mutex_lock(&b->lock);
    for (struct subscriber *s = b->subscribers; s; s = s->next) {
        if (s->asleep) {
            s->beat = true;
            wake(s);
        }
    }
    pthread_mutex_unlock(&b->lock);
}

void board_close(struct board *b) {
    pthread_mutex_lock(&b->lock);
    b->closed = true;
    for (struct subscriber *s = b->subscribers; s; s = s->next) {
        wake(s);
    }
    pthread_mutex_unlock(&b->lock);
}
