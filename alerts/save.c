// The state as bytes: a header, the watch, the scopes, their lives and the averages of the own
// rules, as they lie in memory.
#include "alerts/state.h"

#include <string.h>

#define MAGIC UINT64_C(0x535452454c410a01) // "\1\nALERTS"
#define VERSION 11

struct header {
    uint64_t magic;
    uint32_t version, watch_bytes, scope_bytes, rules; // scope_bytes: with its lives
    uint64_t n_layers;
    uint64_t checksum; // of what follows
};

_Static_assert(sizeof(struct watch) % 8 == 0 && sizeof(struct scope) % 8 == 0 &&
                   sizeof(struct scope_lives) % 8 == 0,
               "mixed by words");

static uint64_t mix(uint64_t hash, const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    for (size_t i = 0; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, p + i, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return hash;
}

static size_t scopes_size(const struct alerts *a) {
    return a->n_layers * sizeof(struct scope);
}

static size_t lives_size(const struct alerts *a) {
    return a->n_layers * sizeof(struct scope_lives);
}

static size_t own_size(const struct alerts *a, unsigned n_own) {
    return n_own * (a->n_layers + 1) * sizeof(struct own);
}

// Of the bytes that follow it.
static struct header header_of(const struct alerts *a, const void *bytes, size_t n) {
    return (struct header){
        .magic = MAGIC,
        .version = VERSION,
        .watch_bytes = sizeof(struct watch),
        .scope_bytes = sizeof(struct scope) + sizeof(struct scope_lives),
        .rules = RULE_COUNT,
        .n_layers = a->n_layers,
        .checksum = mix(1, bytes, n),
    };
}

size_t alerts_saved_size(const struct alerts *a) {
    return sizeof(struct header) + sizeof a->watch + scopes_size(a) + lives_size(a) +
           own_size(a, a->n_own);
}

size_t alerts_bytes(size_t n_layers) {
    size_t layer = sizeof(struct scope) + sizeof(struct scope_lives) + sizeof(struct sizes) +
                   sizeof(struct finding) + sizeof(char *);
    return sizeof(struct alerts) + (n_layers + 1) * layer;
}

void alerts_save(const struct alerts *a, void *bytes) {
    unsigned char *out = (unsigned char *)bytes + sizeof(struct header), *at = out;
    memcpy(at, &a->watch, sizeof a->watch);
    at += sizeof a->watch;
    memcpy(at, a->scopes, scopes_size(a));
    at += scopes_size(a);
    memcpy(at, a->lives, lives_size(a));
    at += lives_size(a);
    if (a->n_own > 0) {
        memcpy(at, a->own, own_size(a, a->n_own));
        at += own_size(a, a->n_own);
    }
    struct header h = header_of(a, out, (size_t)(at - out));
    memcpy(bytes, &h, sizeof h);
}

// Indices and enumerations are what could lead astray.
static bool watch_is_valid(const struct alerts *a, const struct watch *w) {
    for (unsigned rule = 0; rule < RULES_MAX; rule++) {
        if (!life_is_valid(&w->lives[rule])) {
            return false;
        }
    }
    for (unsigned own = 0; own < RULES_OWN_MAX; own++) {
        if (memchr(w->own_names[own], '\0', sizeof w->own_names[own]) == NULL) {
            return false;
        }
    }
    bool layer_is_valid = w->nonfinite.layer == UINT64_MAX || w->nonfinite.layer < a->n_layers;
    return layer_is_valid && w->group_rule < RULES_MAX && robust_z_is_valid(&w->loss.window) &&
           robust_z_is_valid(&w->gradient.window);
}

static bool scopes_are_valid(const unsigned char *bytes, size_t n) {
    struct scope s;
    for (size_t i = 0; i < n; i++) {
        memcpy(&s, bytes + i * sizeof s, sizeof s);
        if (!robust_z_is_valid(&s.movement.window)) {
            return false;
        }
    }
    return true;
}

static bool lives_are_valid(const unsigned char *bytes, size_t n) {
    struct life l;
    for (size_t i = 0; i < n; i++) {
        memcpy(&l, bytes + i * sizeof l, sizeof l);
        if (!life_is_valid(&l)) {
            return false;
        }
    }
    return true;
}

bool alerts_load(struct alerts *a, const void *bytes, size_t n) {
    const unsigned char *in = (const unsigned char *)bytes + sizeof(struct header);
    struct watch w;
    size_t fixed = sizeof(struct header) + sizeof w + scopes_size(a) + lives_size(a);
    if (n < fixed) {
        return false;
    }
    struct header h = header_of(a, in, n - sizeof h);
    memcpy(&w, in, sizeof w);
    const unsigned char *scopes = in + sizeof w, *lives = scopes + scopes_size(a);
    const unsigned char *own = lives + lives_size(a);
    if (memcmp(bytes, &h, sizeof h) != 0 || !watch_is_valid(a, &w) ||
        n != fixed + own_size(a, own_used(&w)) || !scopes_are_valid(scopes, a->n_layers) ||
        !lives_are_valid(lives, a->n_layers * SCOPE_LIVES)) {
        return false;
    }
    a->watch = w;
    memcpy(a->scopes, scopes, scopes_size(a));
    memcpy(a->lives, lives, lives_size(a));
    a->open = 0;
    for (size_t i = 0; i < a->n_layers; i++) {
        a->scopes[i].open = 0;
        lives_changed(a, i);
    }
    // The saved rules keep their numbers; what the ruleset has besides gets others.
    make_room(a, own_used(&w));
    memcpy(a->own, own, own_size(a, a->n_own));
    pick_rules(a);
    return true;
}
