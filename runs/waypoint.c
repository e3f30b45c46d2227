#include "runs/waypoint.h"

#include <string.h>

// Working out a stretch takes some microseconds a step and layer: a quarter of a second or so.
// Fewer steps than the least are not worth a state of the instruments.
#define STRETCH ((size_t)1 << 17)
#define STEPS_MIN 1024
#define STEPS_MAX 8192
// Nor is a state of more than this share of the stretch's own bytes.
#define BYTES_SHARE 32

static uint64_t stretch_of(size_t n_layers) {
    size_t steps = STRETCH / (n_layers + 1);
    return steps < STEPS_MIN ? STEPS_MIN : steps > STEPS_MAX ? STEPS_MAX : steps;
}

bool waypoint_is_due(const struct run *r, size_t step_bytes) {
    uint64_t stretch = stretch_of(r->hello.n_layers);
    return r->readings.steps % stretch == 0 &&
           thermo_saved_size(r->thermo) <= stretch * step_bytes / BYTES_SHARE;
}

void waypoint_save(const struct run *r, struct buf *out) {
    size_t size = thermo_saved_size(r->thermo);
    buf_put(out, &r->n_events, sizeof r->n_events);
    char *to = buf_reserve(out, size);
    if (to) {
        thermo_save(r->thermo, to);
        out->len += size;
    }
}

bool waypoint_load(struct thermo *t, const void *bytes, size_t size, int64_t *n_events) {
    if (size != sizeof *n_events + thermo_saved_size(t)) {
        return false;
    }
    memcpy(n_events, bytes, sizeof *n_events);
    return thermo_load(t, (const char *)bytes + sizeof *n_events, size - sizeof *n_events);
}
