// The state as bytes: a header, the watch and the scopes, as they lie in memory.
#include "alerts/state.h"

#include <string.h>

#define MAGIC UINT64_C(0x535452454c410a01) // "\1\nALERTS"
#define VERSION 1

struct header {
    uint64_t magic;
    uint32_t version, watch_bytes, scope_bytes, reserved;
    uint64_t n_layers;
    uint64_t checksum; // of what follows
};

_Static_assert(sizeof(struct watch) % 8 == 0 && sizeof(struct scope) % 8 == 0, "mixed by words");

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
    return a->n_layers * sizeof *a->scopes;
}

static struct header header_of(const struct alerts *a, const void *watch, const void *scopes) {
    return (struct header){
        .magic = MAGIC,
        .version = VERSION,
        .watch_bytes = sizeof(struct watch),
        .scope_bytes = sizeof(struct scope),
        .n_layers = a->n_layers,
        .checksum = mix(mix(1, watch, sizeof(struct watch)), scopes, scopes_size(a)),
    };
}

size_t alerts_saved_size(const struct alerts *a) {
    return sizeof(struct header) + sizeof a->watch + scopes_size(a);
}

void alerts_save(const struct alerts *a, void *bytes) {
    unsigned char *out = bytes;
    struct header h = header_of(a, &a->watch, a->scopes);
    memcpy(out, &h, sizeof h);
    memcpy(out + sizeof h, &a->watch, sizeof a->watch);
    memcpy(out + sizeof h + sizeof a->watch, a->scopes, scopes_size(a));
}

// Indices and enumerations are what could lead astray.
static bool watch_is_valid(const struct alerts *a, const unsigned char *bytes) {
    struct watch w;
    memcpy(&w, bytes, sizeof w);
    const struct life *lives[] = {&w.nonfinite_life, &w.spike_life, &w.stalled_life, &w.lives[0],
                                  &w.lives[1]};
    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
        if (!life_is_valid(lives[i])) {
            return false;
        }
    }
    bool layer_is_valid = w.nonfinite.layer == UINT64_MAX || w.nonfinite.layer < a->n_layers ||
                          w.nonfinite_life.phase == LIFE_IDLE;
    return layer_is_valid && w.group_rule < RULE_COUNT && robust_z_is_valid(&w.loss.window) &&
           robust_z_is_valid(&w.gradient.window);
}

static bool scopes_are_valid(const unsigned char *bytes, size_t n) {
    struct scope s;
    for (size_t i = 0; i < n; i++) {
        memcpy(&s, bytes + i * sizeof s, sizeof s);
        if (!life_is_valid(&s.lives[0]) || !life_is_valid(&s.lives[1]) ||
            !robust_z_is_valid(&s.movement.window)) {
            return false;
        }
    }
    return true;
}

bool alerts_load(struct alerts *a, const void *bytes, size_t n) {
    const unsigned char *in = bytes;
    if (n != alerts_saved_size(a)) {
        return false;
    }
    const unsigned char *watch = in + sizeof(struct header);
    const unsigned char *scopes = watch + sizeof a->watch;
    struct header h = header_of(a, watch, scopes);
    if (memcmp(in, &h, sizeof h) != 0 || !watch_is_valid(a, watch) ||
        !scopes_are_valid(scopes, a->n_layers)) {
        return false;
    }
    memcpy(&a->watch, watch, sizeof a->watch);
    memcpy(a->scopes, scopes, scopes_size(a));
    return true;
}
