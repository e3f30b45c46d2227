#include "probes/fieller.h"

#include "probes/student.h"

#include <math.h>

bool fieller_interval(double a, double se_a, double b, double se_b, double cov, double *low,
                      double *high) {
    double z2 = NORMAL_975 * NORMAL_975;
    double qa = b * b - z2 * se_b * se_b;
    double qb = -2 * (a * b - z2 * cov);
    double qc = a * a - z2 * se_a * se_a;
    double inside = qb * qb - 4 * qa * qc;
    if (!(qa > 0)) {
        return false;
    }
    double root = inside > 0 ? sqrt(inside) : 0; // below zero only by rounding when qa > 0
    double x = (-qb - root) / (2 * qa), y = (-qb + root) / (2 * qa);
    if (!isfinite(x) || !isfinite(y)) {
        return false;
    }
    *low = x;
    *high = y;
    return true;
}
