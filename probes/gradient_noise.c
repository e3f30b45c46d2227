#include "probes/gradient_noise.h"

#include "base/num.h"

#include <math.h>

static bool measures_samples(const struct body *b, const struct sample *s) {
    return (b->seen | s->seen) & SEEN(STAT_G_NOISE);
}

void gradient_noise_measure(const struct body *b, const struct run *run, const struct sample *s,
                            double row[ROW_COUNT]) {
    double large = run->batch, small = s->batch_small;
    double spread = num_missing(), signal = num_missing();
    if (measures_samples(b, s)) {
        spread = s->noise;
        signal = large > 0 ? s->gradient2 - spread / large : num_missing();
    } else if (small > 0 && small < large) {
        spread = (s->small2 - s->gradient2) / (1 / small - 1 / large);
        signal = (large * s->gradient2 - small * s->small2) / (large - small);
    }
    row[COLUMN_NOISE] = large > 0 && run->eta > 0 ? run->eta * spread / large : num_missing();
    bool both = !isnan(spread) && !isnan(signal);
    row[ROW_SPREAD] = both ? spread : num_missing();
    row[ROW_SIGNAL] = both ? signal : num_missing();
}

const char *gradient_noise_sent(const struct body *b) {
    if (b->seen & SEEN(STAT_G_NOISE)) {
        return "g_noise";
    }
    return b->seen & SEEN(NEED_SMALLER_BATCH) ? "g_small_sq" : NULL;
}

const char *gradient_noise_missing(uint32_t seen) {
    static const unsigned samples[] = {STAT_G_NOISE, NEED_LR, NEED_BATCH, STAT_G_VAR, STAT_G_MEAN};
    static const unsigned batches[] = {STAT_BATCH_SMALL, NEED_BATCH, NEED_SMALLER_BATCH,
                                       NEED_LR,          STAT_G_VAR, STAT_G_MEAN};
    bool small = !(seen & SEEN(STAT_G_NOISE)) && (seen & SEEN(STAT_G_SMALL_SQ));
    return small ? sample_missing(seen, batches, 6) : sample_missing(seen, samples, 5);
}
