#include "probes/phases.h"

#include <string.h>

void phases_begin(struct phases *p) {
    loss_course_begin(&p->loss);
    entropy_course_begin(&p->entropy);
    heat_peak_begin(&p->heat);
}

// The entropy is counted from the refresh on, and the energy jumps there by the work done.
void phases_refresh(struct phases *p) {
    entropy_course_pause(&p->entropy);
    heat_peak_begin(&p->heat);
}

size_t phases_add(struct phases *p, const struct thermo *thermo, double loss,
                  struct phase_change changes[PHASES_MAX]) {
    struct thermo_now now;
    int64_t step = thermo_step_seen(thermo);
    size_t n = 0;
    thermo_now(thermo, &now);
    n += loss_course_add(&p->loss, step, loss, &changes[n]);
    n += entropy_course_add(&p->entropy, step, now.entropy, now.entropy_size, &changes[n]);
    n += heat_peak_add(&p->heat, step, loss, now.kinetic, &changes[n]);
    return n;
}

void phases_save(const struct phases *p, struct buf *out) {
    level_course_save(&p->loss.levels, out);
    level_course_save(&p->entropy.rates, out);
    buf_put(out, &p->entropy, offsetof(struct entropy_course, rates));
    buf_put(out, &p->heat, sizeof p->heat);
}

size_t phases_load(struct phases *p, const void *bytes, size_t size) {
    const char *in = bytes;
    size_t head = offsetof(struct entropy_course, rates);
    size_t n = level_course_load(&p->loss.levels, in, size);
    size_t more = n ? level_course_load(&p->entropy.rates, in + n, size - n) : 0;
    if (!more || size - n - more < head + sizeof p->heat) {
        return 0;
    }
    n += more;
    memcpy(&p->entropy, in + n, head);
    memcpy(&p->heat, in + n + head, sizeof p->heat);
    return heat_peak_is_valid(&p->heat) ? n + head + sizeof p->heat : 0;
}
