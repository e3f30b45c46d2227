#include "runs/eventset.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

void eventset_free(struct eventset *s) {
    free(s->keys);
    *s = (struct eventset){0};
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ p[i]) * UINT64_C(1099511628211); // FNV-1a
    }
    return hash;
}

static uint64_t hash_rest(int64_t step, const char *name, const char *data) {
    uint64_t hash = hash_bytes(UINT64_C(14695981039346656037), &step, sizeof step);
    hash = hash_bytes(hash, name, strlen(name) + 1);
    return data ? hash_bytes(hash, data, strlen(data) + 1) : hash;
}

// Where in the order by time the key stands, or would.
static size_t place_of(const struct eventset *s, const struct event_key *key) {
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct event_key *k = &s->keys[middle];
        if (k->time < key->time || (k->time <= key->time && k->rest < key->rest)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void make_room(struct eventset *s) {
    if (s->n == EVENTSET_MAX) {
        s->n /= 2;
        memmove(s->keys, s->keys + s->n, s->n * sizeof *s->keys);
    } else if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 16;
        s->keys = must_grow(s->keys, s->cap * sizeof *s->keys);
    }
}

bool eventset_add(struct eventset *s, int64_t step, double time, const char *name,
                  const char *data) {
    struct event_key key = {.time = time, .rest = hash_rest(step, name, data)};
    size_t at = place_of(s, &key);
    if (at < s->n && s->keys[at].time <= time && s->keys[at].rest == key.rest) {
        return false;
    }
    make_room(s);
    at = place_of(s, &key);
    memmove(s->keys + at + 1, s->keys + at, (s->n - at) * sizeof *s->keys);
    s->keys[at] = key;
    s->n++;
    return true;
}
