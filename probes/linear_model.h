// The best linear models of small tables: least squares, least absolute deviations, logistic
// regression. Batch computations for a person who waits; they allocate and may take seconds for
// 10^5 rows. No state is shared between calls.
#ifndef PROBES_LINEAR_MODEL_H
#define PROBES_LINEAR_MODEL_H

#include <stdbool.h>
#include <stddef.h>

enum { LINEAR_COLUMNS_MAX = 64 };

// Row by row, `columns` numbers each; rows >= columns, 1 <= columns <= LINEAR_COLUMNS_MAX.
struct linear_data {
    const double *x;
    const double *y; // a number a row
    size_t rows, columns;
};

struct linear_fit {
    double coefficients[LINEAR_COLUMNS_MAX];
    double loss;    // mean over the rows of (y - x.b)^2, |y - x.b| or ln(1 + e^z) - y z, z = x.b
    double log_det; // ln det of X'X; logistic: of the Fisher information X'WX
    bool unbounded; // logistic: the best coefficients are infinite ...
    bool separated; // ... and with them every row is right: the least loss is 0
};

// What can go wrong is said in `error`; `column` is then the column (from 0) that earlier ones
// determine, or -1.
struct linear_error {
    const char *text; // a static string
    int column;
};

bool linear_least_squares(const struct linear_data *data, struct linear_fit *fit,
                          struct linear_error *error);
// The least loss, exact up to rounding (a vertex whose optimality the simplex method's conditions
// show). Where several are best, one of them.
bool linear_least_deviations(const struct linear_data *data, struct linear_fit *fit,
                             struct linear_error *error);
// y from 0 to 1.
bool linear_logistic(const struct linear_data *data, struct linear_fit *fit,
                     struct linear_error *error);

#endif
