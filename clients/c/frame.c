#include "clients/c/frame.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "clients/c/pyrometer.h"

enum { MAGIC = 0xA7, FLOAT64 = 0x80, HEADER_BYTES = 16, FIXED_BYTES = 32, W_VAR = 2 };

#define MISSING_FLOAT UINT32_C(0x7FC0A0A7)
#define PLAIN_NAN UINT32_C(0x7FC00000)

unsigned char pyr_frame_id(const char *name) {
    static const char *const names[] = {"",         "w_mean",      "w_var",   "w_min",   "w_max",
                                        "g_mean",   "g_var",       "u_mean",  "u_var",   "gw",
                                        "gu",       "z_mean",      "z_var",   "a_mean",  "a_var",
                                        "a_active", "a_saturated", "g_noise", "w_alpha", "gu_prev"};
    for (unsigned char id = 1; id < sizeof names / sizeof names[0]; id++) {
        if (strcmp(name, names[id]) == 0) {
            return id;
        }
    }
    return 0;
}

// Byte by byte, so that the host's order does not matter.
static void put(struct pyr_text *out, uint64_t bits, size_t n) {
    char bytes[8];
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (char)(bits >> (8 * i));
    }
    pyr_text_add(out, bytes, n);
}

static void put_double(struct pyr_text *out, double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    put(out, bits, sizeof bits);
}

static void put_float(struct pyr_text *out, double x) {
    float f = (float)x;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (!pyrometer_is_measured(x)) {
        bits = MISSING_FLOAT;
    } else if (isnan(x)) {
        bits = PLAIN_NAN;
    }
    put(out, bits, sizeof bits);
}

static void put_zeros(struct pyr_text *out, size_t n) {
    static const char zeros[8];
    pyr_text_add(out, zeros, n);
}

static size_t padding(size_t n) {
    return (8 - n % 8) % 8;
}

static bool float_keeps(double x) {
    double magnitude = fabs(x);
    return !isfinite(x) || x == 0 || (magnitude >= (double)FLT_MIN && magnitude <= (double)FLT_MAX);
}

static bool is_wide(unsigned char id, const double *values, size_t n) {
    bool wide = id == W_VAR;
    for (size_t l = 0; !wide && l < n; l++) {
        wide = !float_keeps(values[l]);
    }
    return wide;
}

static void put_column(struct pyr_text *out, bool wide, const double *values, size_t n) {
    for (size_t l = 0; l < n; l++) {
        if (wide) {
            put_double(out, values[l]);
        } else {
            put_float(out, values[l]);
        }
    }
    put_zeros(out, padding(n * (wide ? sizeof(double) : sizeof(float))));
}

void pyr_frame_write(const struct pyr_frame *f, struct pyr_text *out) {
    bool wide[PYR_FRAME_COLUMNS_MAX] = {false};
    size_t n = f->layer_count;
    size_t following = FIXED_BYTES + f->column_count + padding(f->column_count);
    for (size_t i = 0; i < f->column_count; i++) {
        wide[i] = is_wide(f->ids[i], f->values + i * n, n);
        size_t bytes = n * (wide[i] ? sizeof(double) : sizeof(float));
        following += bytes + padding(bytes);
    }
    put(out, MAGIC, 1);
    put(out, PYR_FRAME_VERSION, 1);
    put(out, 0, 2);
    put(out, following, 4);
    put(out, (uint64_t)f->step, 8);
    put_double(out, f->time);
    put_double(out, f->loss);
    put_double(out, f->lr);
    put(out, f->batch_size, 4);
    put(out, f->column_count, 2);
    put(out, 0, 2);
    for (size_t i = 0; i < f->column_count; i++) {
        put(out, f->ids[i] | (wide[i] ? FLOAT64 : 0), 1);
    }
    put_zeros(out, padding(f->column_count));
    for (size_t i = 0; i < f->column_count; i++) {
        put_column(out, wide[i], f->values + i * n, n);
    }
}
