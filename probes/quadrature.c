#include "probes/quadrature.h"

#include <math.h>
#include <stdlib.h>

const double quadrature_node[QUADRATURE_HALF] = {
    0.0950125098376374402, 0.2816035507792589132, 0.4580167776572273863, 0.6178762444026437485,
    0.7554044083550030339, 0.8656312023878317439, 0.9445750230732325761, 0.9894009349916499326};
const double quadrature_weight[QUADRATURE_HALF] = {
    0.1894506104550684963, 0.1826034150449235889, 0.1691565193950025382, 0.1495959888165767321,
    0.1246289712555338720, 0.0951585116824927848, 0.0622535239386478929, 0.0271524594117540949};

double quadrature_panel(double (*f)(const void *context, double x), const void *context, double low,
                        double high) {
    double middle = (low + high) / 2, half = (high - low) / 2, sum = 0;
    for (int i = 0; i < QUADRATURE_HALF; i++) {
        double distance = half * quadrature_node[i];
        sum +=
            quadrature_weight[i] * (f(context, middle - distance) + f(context, middle + distance));
    }
    return half * sum;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

size_t quadrature_breaks(double *breaks, size_t n, double low, double high) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (breaks[i] > low && breaks[i] < high) {
            breaks[kept++] = breaks[i];
        }
    }
    breaks[kept++] = low;
    breaks[kept++] = high;
    qsort(breaks, kept, sizeof *breaks, by_value);
    size_t distinct = 1;
    for (size_t i = 1; i < kept; i++) {
        if (breaks[i] > breaks[distinct - 1]) {
            breaks[distinct++] = breaks[i];
        }
    }
    return distinct;
}
