// Gradient flow on (x^2 + 4 y^2) / 2, exactly, for normal ensembles of x and of y, a layer each. At
// time 0 their variances are 0.5 and 0.25 and their means 0.3 and -0.2. The loss is that of the
// whole ensemble; nothing is random.
#include "tests/calibrate/simulate.h"

void simulate_flow(const struct settings *s, struct random *r, int number) {
    static const double curvature[] = {1, 4}, variance[] = {0.5, 0.25}, mean[] = {0.3, -0.2};
    struct pyrometer_stats stats[2];
    struct stream *stream =
        stream_open(s, number, 2, &(struct pyrometer_optimizer){.name = "other"});
    (void)r;
    stats_clear(stats, 2);
    for (int64_t step = 0; step < (int64_t)s->steps; step++) {
        double loss = 0;
        for (int i = 0; i < 2; i++) {
            double shrink = exp(-curvature[i] * (s->begin + s->eta * (double)step));
            stats[i].w_mean = mean[i] * shrink;
            stats[i].w_var = variance[i] * shrink * shrink;
            double square = stats[i].w_var + stats[i].w_mean * stats[i].w_mean;
            loss += s->size * curvature[i] * square / 2;
        }
        stream_step(stream, step, loss, s->eta, stats, NULL, 0);
    }
    stream_close(stream);
}
