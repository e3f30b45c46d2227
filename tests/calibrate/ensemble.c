// Boltzmann ensembles on h w^2 / 2: at every step all weights of a layer are drawn anew from the
// distribution of a bath whose temperature goes evenly from `temperature` to `temperature_to`; the
// loss is their energy.
#include "tests/calibrate/simulate.h"

void simulate_ensemble(const struct settings *s, struct random *r, int number) {
    struct pyrometer_stats stats;
    struct stream *stream =
        stream_open(s, number, 1, &(struct pyrometer_optimizer){.name = "other"});
    stats_clear(&stats, 1);
    for (int64_t step = 0; step < (int64_t)s->steps; step++) {
        double share = s->steps > 1 ? (double)step / (s->steps - 1) : 0;
        double t = s->temperature + (s->temperature_to - s->temperature) * share;
        double sum = 0, squares = 0;
        for (size_t i = 0; i < (size_t)s->size; i++) {
            double w = sqrt(t / s->curvature) * random_normal(r);
            sum += w;
            squares += w * w;
        }
        stats.w_mean = sum / s->size;
        stats.w_var = squares / s->size - stats.w_mean * stats.w_mean;
        stream_step(stream, step, s->curvature * squares / 2, 0, &stats, NULL, 0);
    }
    stream_close(stream);
}
