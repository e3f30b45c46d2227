#include "remote/series.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define KEYS_BYTES_MAX ((size_t)4 << 30)

struct series_slot {
    uint64_t hash;
    size_t key; // where it begins
    uint32_t len;
    uint32_t round; // 0: the slot is empty
};

void series_set_init(struct series_set *s) {
    *s = (struct series_set){0};
    buf_init(&s->keys, KEYS_BYTES_MAX);
}

void series_set_free(struct series_set *s) {
    buf_free(&s->keys);
    free(s->slots);
    *s = (struct series_set){0};
}

// FNV-1a, eight bytes at a time.
static uint64_t hash_of(const void *key, size_t len) {
    const unsigned char *at = key;
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (; len >= 8; at += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = (hash ^ word) * UINT64_C(0x100000001B3);
        hash ^= hash >> 29;
    }
    for (; len > 0; at++, len--) {
        hash = (hash ^ *at) * UINT64_C(0x100000001B3);
    }
    return hash ^ hash >> 32;
}

static struct series_slot *find(const struct series_set *s, uint64_t hash, const void *key,
                                size_t len) {
    size_t i = hash & (s->cap - 1);
    while (s->slots[i].round && !(s->slots[i].hash == hash && s->slots[i].len == len &&
                                  memcmp(s->keys.data + s->slots[i].key, key, len) == 0)) {
        i = (i + 1) & (s->cap - 1);
    }
    return &s->slots[i];
}

// Into so many slots. False when there is no memory for them.
static bool move_slots(struct series_set *s, size_t cap) {
    struct series_slot *slots = try_calloc(cap, sizeof *slots);
    if (!slots) {
        return false;
    }
    for (size_t i = 0; i < s->cap; i++) {
        if (s->slots[i].round) {
            size_t to = s->slots[i].hash & (cap - 1);
            while (slots[to].round) {
                to = (to + 1) & (cap - 1);
            }
            slots[to] = s->slots[i];
        }
    }
    free(s->slots);
    s->slots = slots;
    s->cap = cap;
    return true;
}

bool series_set_note(struct series_set *s, const void *key, size_t len, uint32_t round) {
    if (4 * (s->n + 1) > 3 * s->cap && !move_slots(s, s->cap ? 2 * s->cap : 64)) {
        return true; // it is written, and its end will not be told
    }
    uint64_t hash = hash_of(key, len);
    struct series_slot *slot = find(s, hash, key, len);
    if (slot->round) {
        bool is_new = slot->round != round;
        slot->round = round;
        return is_new;
    }
    size_t at = s->keys.len;
    buf_put(&s->keys, key, len);
    if (s->keys.len == at + len) {
        *slot = (struct series_slot){.hash = hash, .key = at, .len = (uint32_t)len, .round = round};
        s->n++;
    }
    return true;
}

void series_set_sweep(struct series_set *s, uint32_t round, series_fn *ended, void *context) {
    size_t n_ended = 0;
    for (size_t i = 0; i < s->cap; i++) {
        struct series_slot *slot = &s->slots[i];
        if (slot->round && slot->round != round) {
            ended(context, s->keys.data + slot->key, slot->len);
            n_ended++;
        }
    }
    if (n_ended == 0) {
        return;
    }
    struct series_set kept;
    series_set_init(&kept);
    for (size_t i = 0; i < s->cap; i++) {
        if (s->slots[i].round && s->slots[i].round == round) {
            series_set_note(&kept, s->keys.data + s->slots[i].key, s->slots[i].len, round);
        }
    }
    series_set_free(s);
    *s = kept;
}

// -- of each run ---------------------------------------------------------------------------------

static size_t position(const struct series_groups *g, const char *run) {
    size_t low = 0, high = g->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(g->at[middle]->run, run) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct series_group *series_groups_find(struct series_groups *g, const char *run) {
    size_t at = position(g, run);
    if (at < g->n && strcmp(g->at[at]->run, run) == 0) {
        return g->at[at];
    }
    if (g->n == g->cap) {
        g->cap = g->cap ? 2 * g->cap : 16;
        g->at = must_grow(g->at, g->cap * sizeof(struct series_group *));
    }
    memmove(&g->at[at + 1], &g->at[at], (g->n - at) * sizeof(struct series_group *));
    g->n++;
    g->at[at] = NEW(struct series_group);
    g->at[at]->run = must_copy(run);
    series_set_init(&g->at[at]->set);
    return g->at[at];
}

static void group_free(struct series_group *group) {
    series_set_free(&group->set);
    free(group->run);
    free(group);
}

void series_groups_end(struct series_groups *g, struct series_group *group, series_fn *ended,
                       void *context) {
    size_t at = position(g, group->run);
    g->n--;
    memmove(&g->at[at], &g->at[at + 1], (g->n - at) * sizeof(struct series_group *));
    series_set_sweep(&group->set, 0, ended, context);
    group_free(group);
}

void series_groups_free(struct series_groups *g) {
    for (size_t i = 0; i < g->n; i++) {
        group_free(g->at[i]);
    }
    free(g->at);
    *g = (struct series_groups){0};
}
