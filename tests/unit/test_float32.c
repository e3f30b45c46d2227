// Float32 columns to doubles and back: every kind of value keeps its bits.
#include "base/float32.h"
#include "base/num.h"
#include "tests/unit/support/support.h"

#include <float.h>
#include <math.h>

static double widen(uint32_t bits) {
    double x;
    char *exact = exact_copy(&bits, sizeof bits);
    float32_widen(exact, 1, &x);
    free(exact);
    return x;
}

static uint32_t narrow(double x) {
    uint32_t bits;
    float32_narrow(&x, 1, &bits);
    return bits;
}

static bool fits(uint64_t bits) {
    double x = from_bits(bits);
    return float32_fits(&x, 1);
}

START_TEST(test_kinds) {
    static const struct {
        uint32_t narrow;
        uint64_t wide;
    } cases[] = {{0, 0},
                 {UINT32_C(0x80000000), UINT64_C(0x8000000000000000)},
                 {UINT32_C(0x3F800000), UINT64_C(0x3FF0000000000000)},
                 {UINT32_C(1), UINT64_C(0x36A0000000000000)},
                 {UINT32_C(0x7F7FFFFF), UINT64_C(0x47EFFFFFE0000000)},
                 {UINT32_C(0x7F800000), UINT64_C(0x7FF0000000000000)},
                 {UINT32_C(0xFF800000), UINT64_C(0xFFF0000000000000)},
                 {UINT32_C(0x7FC00000), UINT64_C(0x7FF8000000000000)},
                 {UINT32_C(0xFFC00000), UINT64_C(0xFFF8000000000000)},
                 {UINT32_C(0x7FC00001), UINT64_C(0x7FF8000020000000)},
                 {UINT32_C(0x7F800001), UINT64_C(0x7FF0000020000000)}, // signalling
                 {UINT32_C(0xFFBFFFFF), UINT64_C(0xFFF7FFFFE0000000)},
                 {UINT32_C(0x7FFFFFFF), UINT64_C(0x7FFFFFFFE0000000)},
                 {FLOAT32_MISSING_BITS, NUM_MISSING_BITS}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        ck_assert_uint_eq(bits_of(widen(cases[i].narrow)), cases[i].wide);
        ck_assert_uint_eq(narrow(from_bits(cases[i].wide)), cases[i].narrow);
        ck_assert(fits(cases[i].wide));
    }
}
END_TEST

START_TEST(test_what_does_not_fit) {
    static const uint64_t wide[] = {
        UINT64_C(0x3FB999999999999A), // 0.1
        UINT64_C(0x47EFFFFFE0000001), // above FLT_MAX
        UINT64_C(0x7FEFFFFFFFFFFFFF),
        UINT64_C(0x3690000000000000), // half the least
        UINT64_C(1),
        UINT64_C(0x7FF8000000000001), // a payload that is too long
        UINT64_C(0x7FF0000000000001),
        NUM_MISSING_BITS + 1,
        UINT64_C(0x7FF81414E0000000)}; // measured, and would read as not measured
    for (size_t i = 0; i < COUNT(wide); i++) {
        ck_assert(!fits(wide[i]));
    }
}
END_TEST

// One value in a column of any length, at any place.
START_TEST(test_columns) {
    double values[200] = {0}, back[200];
    char bytes[200 * 4 + 1];
    uint64_t seed = 3;
    for (size_t n = 0; n <= COUNT(values); n++) {
        for (size_t i = 0; i < n; i++) {
            uint32_t bits = (uint32_t)random_next(&seed);
            values[i] = widen(random_below(&seed, 5) ? bits : FLOAT32_MISSING_BITS);
        }
        ck_assert(float32_fits(values, n));
        float32_narrow(values, n, bytes + 1);
        float32_widen(bytes + 1, n, back);
        for (size_t i = 0; i < n; i++) {
            ASSERT_SAME_BITS(values[i], back[i]);
        }
        if (n) {
            values[random_below(&seed, n)] = 0.1;
            ck_assert(!float32_fits(values, n));
        }
    }
}
END_TEST

// Every float32 of one sign and exponent's worth, in steps: no value is read as another.
START_TEST(test_all_exponents) {
    for (uint32_t high = 0; high < 512; high++) {
        for (uint32_t low = 0; low < UINT32_C(0x800000); low += 104729) {
            uint32_t bits = high << 23 | low;
            double x = widen(bits);
            ck_assert(float32_fits(&x, 1) && narrow(x) == bits);
        }
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_kinds, test_what_does_not_fit, test_columns,
                                  test_all_exponents};
    return run_suite(suite_of("float32", tests, COUNT(tests)));
}
