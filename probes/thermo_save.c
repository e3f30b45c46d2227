// The state as bytes: a header, the run's figures, the bodies and the engines, as they lie in
// memory.
#include "probes/thermo.h"
#include "probes/thermo_state.h"

#include <string.h>

#define MAGIC UINT64_C(0x4f4d524548540a01) // "\1\nTHERMO"
#define VERSION 8

struct header {
    uint64_t magic;
    uint32_t version;
    uint32_t body_bytes;
    uint64_t n_layers;
    uint64_t shape;    // of the layers' sizes
    uint64_t checksum; // of what follows
};

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

_Static_assert(sizeof(struct run) % 8 == 0 && sizeof(struct body) % 8 == 0 &&
                   sizeof(struct engine) % 8 == 0,
               "mixed by words");

static size_t bodies_size(const struct thermo *t) {
    return (t->n_layers + 1) * sizeof *t->bodies;
}

static size_t engines_size(const struct thermo *t) {
    return t->n_layers * sizeof *t->engines;
}

static struct header header_of(const struct thermo *t, uint64_t checksum) {
    return (struct header){
        .magic = MAGIC,
        .version = VERSION,
        .body_bytes = sizeof(struct body),
        .n_layers = t->n_layers,
        .shape = mix(1, t->sizes, t->n_layers * sizeof *t->sizes),
        .checksum = checksum,
    };
}

// Of what follows the header, as it lies at `run`.
static uint64_t checksum_of(const struct thermo *t, const unsigned char *run) {
    const unsigned char *bodies = run + sizeof t->run;
    return mix(mix(1, run, sizeof t->run), bodies, bodies_size(t) + engines_size(t));
}

size_t thermo_saved_size(const struct thermo *t) {
    return sizeof(struct header) + sizeof t->run + bodies_size(t) + engines_size(t);
}

size_t thermo_bytes(size_t n_layers) {
    return sizeof(struct thermo) +
           (n_layers + 1) * (sizeof(struct body) + sizeof(struct engine) + sizeof(double));
}

void thermo_save(const struct thermo *t, void *bytes) {
    unsigned char *out = bytes;
    unsigned char *run = out + sizeof(struct header), *bodies = run + sizeof t->run;
    memcpy(run, &t->run, sizeof t->run);
    memcpy(bodies, t->bodies, bodies_size(t));
    memcpy(bodies + bodies_size(t), t->engines, engines_size(t));
    struct header h = header_of(t, checksum_of(t, run));
    memcpy(out, &h, sizeof h);
}

// The state is flat, so that a few bytes are all that could lead astray.
static bool bodies_are_valid(const unsigned char *bytes, size_t n) {
    struct body body;
    for (size_t i = 0; i < n; i++) {
        memcpy(&body, bytes + i * sizeof body, sizeof body);
        if (!ledger_is_valid(&body.ledger)) {
            return false;
        }
    }
    return true;
}

bool thermo_load(struct thermo *t, const void *bytes, size_t n) {
    const unsigned char *in = bytes;
    if (n != thermo_saved_size(t)) {
        return false;
    }
    const unsigned char *run = in + sizeof(struct header);
    const unsigned char *bodies = run + sizeof t->run;
    struct header h = header_of(t, checksum_of(t, run));
    struct run loaded;
    memcpy(&loaded, run, sizeof loaded);
    if (memcmp(in, &h, sizeof h) != 0 || !bodies_are_valid(bodies, t->n_layers + 1) ||
        !calorimeter_is_valid(&loaded.calorimeter) || !course_is_valid(&loaded.course)) {
        return false;
    }
    memcpy(&t->run, run, sizeof t->run);
    memcpy(t->bodies, bodies, bodies_size(t));
    memcpy(t->engines, bodies + bodies_size(t), engines_size(t));
    return true;
}
