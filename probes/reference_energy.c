// The loss averaged over the initialisation.
//
// A row's residual or score is r = c + sum of independent terms, of which the mean, the variance
// and the characteristic function phi are known. MSE needs the first two. For the other two losses
// the kinked part is an integral over phi, whatever the parameters' distributions [D]:
//     <g(r)> = 1/pi int_0^inf (1 - Re phi(t) k(t)) / t^2 dt
//     g(r) = |r|/2 with k = 1,    g(r) = ln(2 cosh(r/2)) with k = pi t / sinh(pi t)
// MAE = <2 g(r)>, and ln(1 + e^z) = z/2 + ln(2 cosh(z/2)).
#include "probes/reference.h"

#include "base/num.h"
#include "probes/quadrature.h"

#include <math.h>

struct sum {
    const struct reference_init *parts; // one a column
    const double *x;
    size_t columns;
    bool soft;     // which k
    double offset; // c
    double mean, variance, extent;
};

static const double tolerance = 1e-10;
enum { PANELS_MAX = 1 << 17 };

static double kernel(const struct sum *s, double t) {
    double u = M_PI * t;
    return !s->soft || u == 0 ? 1 : u < 700 ? u / sinh(u) : 0;
}

static double integrand(const void *context, double t) {
    const struct sum *s = context;
    struct reference_wave all = {cos(s->offset * t), sin(s->offset * t)};
    for (size_t j = 0; j < s->columns; j++) {
        struct reference_wave one = reference_init_wave(&s->parts[j], s->x[j] * t);
        all = (struct reference_wave){all.re * one.re - all.im * one.im,
                                      all.re * one.im + all.im * one.re};
    }
    return (1 - all.re * kernel(s, t)) / (t * t);
}

// What of phi k may still come beyond t.
static double bound(const struct sum *s, double t) {
    double product = kernel(s, t);
    for (size_t j = 0; j < s->columns; j++) {
        product *= s->x[j] != 0 ? reference_init_wave_bound(&s->parts[j], fabs(s->x[j]) * t) : 1;
    }
    return product;
}

static double kinked_part(const struct sum *s) {
    double far = fabs(s->mean) - s->extent;
    if (s->soft ? far > 40 : far >= 0) {
        return fabs(s->mean) / 2; // never near the kink
    }
    // Some eight radians of the fastest oscillation to each side of a panel's middle; the kernel
    // has poles at t = +-i.
    double fastest = fmax(fabs(s->mean) + s->extent, s->soft ? 11 : 0);
    double width = 16 / fastest, t = 0, sum = 0;
    double scale = sqrt(s->variance) + fabs(s->mean) + (s->soft ? 1 : 0);
    for (int panels = 0; panels < PANELS_MAX; panels++) {
        sum += quadrature_panel(integrand, s, t, t + width);
        t += width;
        if (bound(s, t) / t <= tolerance * scale) {
            return (sum + 1 / t) / M_PI;
        }
    }
    return num_missing();
}

// N(mean, variance)
static double folded_normal(double mean, double variance) {
    double s = sqrt(variance), u = s > 0 ? mean / s : 0;
    return s > 0 ? s * sqrt(2 / M_PI) * exp(-u * u / 2) + mean * erf(u * M_SQRT1_2) : fabs(mean);
}

static bool is_all_normal(const struct reference_init *parts, size_t columns) {
    for (size_t j = 0; j < columns; j++) {
        if (parts[j].count != 1 || parts[j].parts[0].draw != REFERENCE_NORMAL) {
            return false;
        }
    }
    return true;
}

static double row_energy(enum reference_loss loss, struct sum *s, double y, bool all_normal) {
    s->soft = loss == REFERENCE_CROSS_ENTROPY;
    // The residual as x.w - y: its sign plays no part.
    s->mean = s->offset = s->soft ? 0 : -y;
    for (size_t j = 0; j < s->columns; j++) {
        double x = s->x[j];
        s->mean += x * reference_init_mean(&s->parts[j]);
        s->variance += x * x * reference_init_variance(&s->parts[j]);
        s->extent += fabs(x) * reference_init_extent(&s->parts[j]);
    }
    if (s->soft) {
        return kinked_part(s) + (0.5 - y) * s->mean;
    }
    if (loss == REFERENCE_MSE) {
        return s->mean * s->mean + s->variance;
    }
    return all_normal || !(s->variance > 0) ? folded_normal(s->mean, s->variance)
                                            : 2 * kinked_part(s);
}

double reference_initial_energy(const struct reference_problem *problem) {
    const struct linear_data *data = &problem->data;
    struct reference_init parts[LINEAR_COLUMNS_MAX];
    for (size_t j = 0; j < data->columns; j++) {
        parts[j] = reference_init_of(&problem->init, j);
    }
    bool all_normal = is_all_normal(parts, data->columns);
    double total = 0;
    for (size_t i = 0; i < data->rows; i++) {
        struct sum s = {.parts = parts, .x = data->x + i * data->columns, .columns = data->columns};
        total += row_energy(problem->loss, &s, data->y[i], all_normal);
    }
    return total / (double)data->rows;
}
