// Least squares by Householder's QR, which keeps twice the digits of normal equations, and logistic
// regression by Newton's method, each step of which is a least squares problem of the same kind.
#include "probes/linear_model.h"

#include "base/check.h"

#include <float.h>
#include <math.h>
#include <string.h>

// A column of which this share is left once the earlier ones are taken out is a combination of
// them.
static const double rank_tolerance = 1e-11;

static bool fail(struct linear_error *error, const char *text, int column) {
    *error = (struct linear_error){text, column};
    return false;
}

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

// --- QR: `a` holds the columns one after another, each of n rows, then the right-hand side ---

struct qr {
    double *a;
    size_t n, d;
    double diagonal[LINEAR_COLUMNS_MAX];
};

static bool qr_create(struct qr *q, const struct linear_data *data) {
    q->n = data->rows;
    q->d = data->columns;
    q->a = try_calloc(q->n * (q->d + 1), sizeof *q->a);
    return q->a != NULL;
}

// Row i of the problem, times `scale`.
static void qr_set_row(struct qr *q, size_t i, const double *x, double y, double scale) {
    for (size_t j = 0; j < q->d; j++) {
        q->a[j * q->n + i] = scale * x[j];
    }
    q->a[q->d * q->n + i] = scale * y;
}

// The column (from 0) that earlier ones determine, or -1 when all are independent.
static int qr_reduce(struct qr *q) {
    for (size_t j = 0; j < q->d; j++) {
        double *v = q->a + j * q->n + j;
        size_t below = q->n - j;
        double whole = sqrt(dot(v - j, v - j, q->n)), norm = sqrt(dot(v, v, below));
        if (!(norm > rank_tolerance * whole)) {
            return (int)j;
        }
        q->diagonal[j] = v[0] > 0 ? -norm : norm;
        v[0] -= q->diagonal[j];
        double half = dot(v, v, below) / 2;
        for (size_t k = j + 1; k <= q->d; k++) {
            double *c = q->a + k * q->n + j;
            double factor = dot(v, c, below) / half;
            for (size_t i = 0; i < below; i++) {
                c[i] -= factor * v[i];
            }
        }
    }
    return -1;
}

static void qr_solve(const struct qr *q, double *b) {
    const double *right = q->a + q->d * q->n;
    for (size_t j = q->d; j-- > 0;) {
        double rest = right[j];
        for (size_t k = j + 1; k < q->d; k++) {
            rest -= q->a[k * q->n + j] * b[k];
        }
        b[j] = rest / q->diagonal[j];
    }
}

static double qr_log_det(const struct qr *q) {
    double sum = 0;
    for (size_t j = 0; j < q->d; j++) {
        sum += 2 * log(fabs(q->diagonal[j]));
    }
    return sum;
}

// --- least squares ---

static const char no_memory[] = "not enough memory";
static const char dependent[] = "this column is a combination of those before it (or all zero)";
static const char too_large[] = "the numbers are too large";

bool linear_least_squares(const struct linear_data *data, struct linear_fit *fit,
                          struct linear_error *error) {
    struct qr q;
    if (!qr_create(&q, data)) {
        return fail(error, no_memory, -1);
    }
    for (size_t i = 0; i < data->rows; i++) {
        qr_set_row(&q, i, data->x + i * data->columns, data->y[i], 1);
    }
    int column = qr_reduce(&q);
    *fit = (struct linear_fit){0};
    if (column < 0) {
        qr_solve(&q, fit->coefficients);
        const double *rest = q.a + q.d * q.n + q.d;
        fit->loss = dot(rest, rest, q.n - q.d) / (double)q.n;
        fit->log_det = qr_log_det(&q);
    }
    free(q.a);
    if (column >= 0) {
        return fail(error, dependent, column);
    }
    // What is left of rounding when the fit is perfect is no residual.
    double noise = 64 * DBL_EPSILON * sqrt(dot(data->y, data->y, data->rows) / (double)data->rows);
    fit->loss = fit->loss > noise * noise ? fit->loss : 0;
    return isfinite(fit->loss) && isfinite(fit->log_det) ? true : fail(error, too_large, -1);
}

// --- logistic regression ---

static double logistic_loss(const struct linear_data *data, const double *b, bool *all_right) {
    double sum = 0;
    *all_right = true;
    for (size_t i = 0; i < data->rows; i++) {
        double z = dot(data->x + i * data->columns, b, data->columns), y = data->y[i];
        sum += fmax(z, 0) + log1p(exp(-fabs(z))) - y * z;
        *all_right &= (y == 1 && z > 0) || (y == 0 && z < 0);
    }
    return sum / (double)data->rows;
}

// One Newton step: least squares of (y - p)/w on x with weights w = p (1 - p). Returns its length
// in z, the largest change of any row that still has weight; below zero when the information is
// singular.
static double newton_step(const struct linear_data *data, struct qr *q, struct linear_fit *fit,
                          double *step) {
    for (size_t i = 0; i < data->rows; i++) {
        const double *x = data->x + i * data->columns;
        double z = dot(x, fit->coefficients, data->columns), e = exp(-fabs(z));
        double root = sqrt(e) / (1 + e), p = z >= 0 ? 1 / (1 + e) : e / (1 + e);
        // y - p without cancellation where p is nearly 1
        double rest = z >= 0 ? (data->y[i] - 1) + e / (1 + e) : data->y[i] - p;
        qr_set_row(q, i, x, root > 0 ? rest / (root * root) : 0, root);
    }
    if (qr_reduce(q) >= 0) {
        return -1;
    }
    qr_solve(q, step);
    fit->log_det = qr_log_det(q);
    double largest = 0;
    for (size_t i = 0; i < data->rows; i++) {
        largest = fmax(largest, fabs(dot(data->x + i * data->columns, step, data->columns)));
    }
    return largest;
}

// Halves the step until the loss does not rise; false when no part of it lowers the loss.
static bool take_step(const struct linear_data *data, struct linear_fit *fit, const double *step) {
    for (double share = 1; share > 1e-12; share /= 2) {
        double b[LINEAR_COLUMNS_MAX];
        bool all_right;
        for (size_t j = 0; j < data->columns; j++) {
            b[j] = fit->coefficients[j] + share * step[j];
        }
        double loss = logistic_loss(data, b, &all_right);
        if (loss < fit->loss) {
            memcpy(fit->coefficients, b, data->columns * sizeof *b);
            fit->loss = loss;
            fit->separated = all_right;
            return true;
        }
    }
    return false;
}

static void iterate(const struct linear_data *data, struct qr *q, struct linear_fit *fit) {
    double step[LINEAR_COLUMNS_MAX], length = 0;
    for (int i = 0; i < 200 && !fit->separated; i++) {
        length = newton_step(data, q, fit, step);
        if (length < 0 || length < 1e-13 || !take_step(data, fit, step)) {
            break;
        }
    }
    // At a finite optimum the steps end in rounding. Rows that are perfectly predicted in the limit
    // want about 1 more in z at every step, until the information is singular.
    fit->unbounded = fit->separated || length < 0 || length > 0.1;
    if (fit->separated) {
        fit->loss = 0;
    }
}

bool linear_logistic(const struct linear_data *data, struct linear_fit *fit,
                     struct linear_error *error) {
    if (!linear_least_squares(data, fit, error)) {
        return false;
    }
    struct qr q;
    if (!qr_create(&q, data)) {
        return fail(error, no_memory, -1);
    }
    *fit = (struct linear_fit){.loss = M_LN2};
    iterate(data, &q, fit);
    free(q.a);
    return isfinite(fit->loss) ? true : fail(error, too_large, -1);
}
