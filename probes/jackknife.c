#include "probes/jackknife.h"

#include <math.h>

double jackknife_error(const double *left_out, size_t g) {
    if (g < 2) {
        return 0;
    }
    double mean = 0, squares = 0;
    for (size_t i = 0; i < g; i++) {
        mean += left_out[i] / (double)g;
    }
    for (size_t i = 0; i < g; i++) {
        squares += (left_out[i] - mean) * (left_out[i] - mean);
    }
    return sqrt((double)(g - 1) / (double)g * squares);
}
