// Least absolute deviations exactly, by the primal simplex method (Barrodale & Roberts' idea): a
// best fit goes through as many rows as there are columns. From such a vertex each edge lets one of
// those rows go; the steepest falling edge is followed past every row that it crosses until the
// loss would rise again, and the row met there takes the place. Where no edge falls the vertex is a
// best one.
//
// Rows that meet in one point could make it walk in circles, so it first solves the problem with
// every y shifted a little, each by its own amount, and then goes on from there without the shifts.
#include "probes/linear_model.h"

#include "base/check.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { MAX_D = LINEAR_COLUMNS_MAX };

struct crossing {
    double at, slope; // how far along the edge, and how much steeper the loss rises from there
    size_t row;
};

struct simplex {
    const struct linear_data *data;
    double *y, *residual;       // a number a row
    bool *fitted;               // the vertex goes through this row
    struct crossing *crossings; // room for one a row
    size_t vertex[MAX_D];
    double inverse[MAX_D][MAX_D]; // of the vertex's rows
    double b[MAX_D];
    double loss; // sum over the rows
};

static const double *row_of(const struct simplex *s, size_t i) {
    return s->data->x + i * s->data->columns;
}

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

// --- a first vertex: rows that are as independent as can be ---

static void take_out(double *rows, const double *direction, size_t n, size_t d) {
    for (size_t i = 0; i < n; i++) {
        double share = dot(rows + i * d, direction, d);
        for (size_t j = 0; j < d; j++) {
            rows[i * d + j] -= share * direction[j];
        }
    }
}

static size_t longest_row(const double *rows, size_t n, size_t d, double *length) {
    size_t best = 0;
    *length = -1;
    for (size_t i = 0; i < n; i++) {
        double own = sqrt(dot(rows + i * d, rows + i * d, d));
        if (own > *length) {
            *length = own;
            best = i;
        }
    }
    return best;
}

// Every column to length 1, so that no unit of measurement decides.
static void copy_scaled(double *rows, const struct linear_data *data) {
    size_t n = data->rows, d = data->columns;
    for (size_t j = 0; j < d; j++) {
        double square = 0;
        for (size_t i = 0; i < n; i++) {
            square += data->x[i * d + j] * data->x[i * d + j];
        }
        for (size_t i = 0; i < n; i++) {
            rows[i * d + j] = data->x[i * d + j] / sqrt(square);
        }
    }
}

static bool choose_vertex(struct simplex *s) {
    size_t n = s->data->rows, d = s->data->columns;
    double *rows = try_calloc(n * d, sizeof *rows), direction[MAX_D];
    if (!rows) {
        return false;
    }
    copy_scaled(rows, s->data);
    for (size_t k = 0; k < d; k++) {
        double length;
        size_t best = longest_row(rows, n, d, &length);
        for (size_t j = 0; j < d; j++) {
            direction[j] = rows[best * d + j] / length;
        }
        s->vertex[k] = best;
        take_out(rows, direction, n, d);
    }
    free(rows);
    return true;
}

// --- the vertex's matrix ---

static void swap_rows(double *a, double *b, size_t d) {
    for (size_t k = 0; k < d; k++) {
        double t = a[k];
        a[k] = b[k];
        b[k] = t;
    }
}

static void subtract(double *from, const double *row, double factor, size_t d) {
    for (size_t k = 0; k < d; k++) {
        from[k] -= factor * row[k];
    }
}

static bool reduce_column(struct simplex *s, double m[MAX_D][MAX_D], size_t c) {
    size_t d = s->data->columns, pivot = c;
    for (size_t r = c + 1; r < d; r++) {
        pivot = fabs(m[r][c]) > fabs(m[pivot][c]) ? r : pivot;
    }
    double factor = m[pivot][c];
    if (factor == 0) {
        return false;
    }
    swap_rows(m[c], m[pivot], d);
    swap_rows(s->inverse[c], s->inverse[pivot], d);
    for (size_t k = 0; k < d; k++) {
        m[c][k] /= factor;
        s->inverse[c][k] /= factor;
    }
    for (size_t r = 0; r < d; r++) {
        if (r != c) {
            factor = m[r][c];
            subtract(m[r], m[c], factor, d);
            subtract(s->inverse[r], s->inverse[c], factor, d);
        }
    }
    return true;
}

// Gauss-Jordan; false when the rows are dependent.
static bool invert_vertex(struct simplex *s) {
    double m[MAX_D][MAX_D];
    size_t d = s->data->columns;
    memset(s->inverse, 0, sizeof s->inverse);
    for (size_t r = 0; r < d; r++) {
        memcpy(m[r], row_of(s, s->vertex[r]), d * sizeof(double));
        s->inverse[r][r] = 1;
    }
    for (size_t c = 0; c < d; c++) {
        if (!reduce_column(s, m, c)) {
            return false;
        }
    }
    return true;
}

// Coefficients, residuals and loss of the vertex.
static bool settle(struct simplex *s) {
    size_t n = s->data->rows, d = s->data->columns;
    if (!invert_vertex(s)) {
        return false;
    }
    for (size_t j = 0; j < d; j++) {
        s->b[j] = 0;
        for (size_t k = 0; k < d; k++) {
            s->b[j] += s->inverse[j][k] * s->y[s->vertex[k]];
        }
    }
    memset(s->fitted, 0, n * sizeof *s->fitted);
    for (size_t k = 0; k < d; k++) {
        s->fitted[s->vertex[k]] = true;
    }
    s->loss = 0;
    for (size_t i = 0; i < n; i++) {
        s->residual[i] = s->fitted[i] ? 0 : s->y[i] - dot(row_of(s, i), s->b, d);
        s->loss += fabs(s->residual[i]);
    }
    return true;
}

// --- edges ---

// The edge along which the loss falls fastest: the place in the vertex to give up, the direction
// of the coefficients. Returns how fast; not above 0 at a best vertex.
static double steepest_edge(const struct simplex *s, size_t *place, double direction[MAX_D]) {
    size_t n = s->data->rows, d = s->data->columns;
    double pull[MAX_D] = {0}, best = -1;
    for (size_t i = 0; i < n; i++) {
        double sign = (s->residual[i] > 0) - (s->residual[i] < 0);
        for (size_t j = 0; j < d && sign != 0; j++) {
            pull[j] += sign * row_of(s, i)[j];
        }
    }
    for (size_t k = 0; k < d; k++) {
        double along = 0;
        for (size_t j = 0; j < d; j++) {
            along += pull[j] * s->inverse[j][k];
        }
        if (fabs(along) - 1 > best) {
            best = fabs(along) - 1;
            *place = k;
            for (size_t j = 0; j < d; j++) {
                direction[j] = along > 0 ? s->inverse[j][k] : -s->inverse[j][k];
            }
        }
    }
    return best;
}

static int by_distance(const void *a, const void *b) {
    const struct crossing *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

// The row at which the loss stops falling along the edge; false when it meets none.
static bool find_row(struct simplex *s, const double *direction, double fall, size_t *row) {
    size_t count = 0;
    for (size_t i = 0; i < s->data->rows; i++) {
        double c = s->fitted[i] ? 0 : dot(row_of(s, i), direction, s->data->columns);
        if (c != 0 && s->residual[i] / c > 0) {
            s->crossings[count++] = (struct crossing){s->residual[i] / c, 2 * fabs(c), i};
        }
    }
    qsort(s->crossings, count, sizeof *s->crossings, by_distance);
    for (size_t i = 0; i < count; i++) {
        fall -= s->crossings[i].slope;
        *row = s->crossings[i].row;
        if (fall <= 0) {
            return true;
        }
    }
    return false;
}

// From vertex to vertex while the loss falls. False when it was given up.
static bool descend(struct simplex *s) {
    if (!settle(s)) {
        return false;
    }
    for (size_t steps = 0; steps < 100 + 20 * s->data->rows; steps++) {
        size_t place = 0, row = 0;
        double direction[MAX_D], before = s->loss;
        double fall = steepest_edge(s, &place, direction);
        if (fall <= 1e-12 || !find_row(s, direction, fall, &row)) {
            return true;
        }
        size_t left = s->vertex[place];
        s->vertex[place] = row;
        if (!settle(s) || !(s->loss < before)) {
            s->vertex[place] = left;
            return settle(s);
        }
    }
    return false;
}

static void set_targets(struct simplex *s, double shift) {
    const struct linear_data *data = s->data;
    double size = 0;
    for (size_t i = 0; i < data->rows; i++) {
        size = fmax(size, fabs(data->y[i]));
    }
    uint32_t state = 1;
    for (size_t i = 0; i < data->rows; i++) {
        state = state * 1664525u + 1013904223u;
        s->y[i] = data->y[i] + shift * size * (0.5 + (double)state / UINT32_MAX);
    }
}

static bool simplex_create(struct simplex *s, const struct linear_data *data) {
    size_t n = data->rows;
    s->data = data;
    s->y = try_calloc(n, sizeof *s->y);
    s->residual = try_calloc(n, sizeof *s->residual);
    s->fitted = try_calloc(n, sizeof *s->fitted);
    s->crossings = try_calloc(n, sizeof *s->crossings);
    return s->y && s->residual && s->fitted && s->crossings && choose_vertex(s);
}

static void simplex_destroy(struct simplex *s) {
    free(s->y);
    free(s->residual);
    free(s->fitted);
    free(s->crossings);
    free(s);
}

bool linear_least_deviations(const struct linear_data *data, struct linear_fit *fit,
                             struct linear_error *error) {
    if (!linear_least_squares(data, fit, error)) {
        return false;
    }
    *error = (struct linear_error){"not enough memory", -1};
    struct simplex *s = NEW(struct simplex);
    bool ok = simplex_create(s, data);
    if (ok) {
        *error = (struct linear_error){"the search for the least deviations did not end", -1};
        set_targets(s, 1e-10);
        ok = descend(s);
        set_targets(s, 0);
        ok = ok && descend(s);
    }
    memcpy(fit->coefficients, s->b, sizeof s->b);
    fit->loss = s->loss / (double)data->rows;
    simplex_destroy(s);
    return ok;
}
