// Steps as the journal keeps them: bit for bit there and back, and damage never does harm.
#include "config/limits.h"
#include "storage/blob.h"
#include "tests/unit/support/steps.h"
#include "wire/json.h"

static bool decode(const char *bytes, size_t n, struct step *out) {
    char *exact = exact_copy(bytes, n);
    step_init(out);
    out->step = 77;
    bool ok = blob_decode(exact, n, out);
    free(exact);
    return ok;
}

static void assert_round_trip(const struct step *from) {
    struct buf blob = new_buf();
    struct step to;
    ck_assert(blob_encode(from, &blob));
    ck_assert(decode(blob.data, blob.len, &to));
    ck_assert_int_eq(to.step, 77);
    to.step = from->step;
    assert_same_step(from, &to);
    step_free(&to);
    buf_free(&blob);
}

START_TEST(test_there_and_back) {
    struct step s;
    step_init(&s);
    uint64_t seed = 9;
    for (int64_t i = 0; i < 3000; i++) {
        random_step(&s, &seed, 1 + random_below(&seed, 7), i, (enum values)random_below(&seed, 3));
        assert_round_trip(&s);
    }
    step_clear(&s, 3);
    assert_round_trip(&s);
    step_free(&s);
}
END_TEST

// One column of one value; returns the blob's size.
static size_t size_of_value(double x) {
    struct step s;
    struct buf blob = new_buf();
    step_init(&s);
    step_clear(&s, 1);
    step_add_column(&s, STAT_W_VAR, NULL, 0)[0] = x;
    assert_round_trip(&s);
    ck_assert(blob_encode(&s, &blob));
    size_t size = blob.len;
    buf_free(&blob);
    step_free(&s);
    return size;
}

// Four bytes where a float says it all, eight where it does not; always the same bits back.
START_TEST(test_widths) {
    const uint64_t narrow[] = {0,
                               UINT64_C(0x8000000000000000),
                               UINT64_C(0x3FF0000000000000),
                               UINT64_C(0x47EFFFFFE0000000), // FLT_MAX
                               UINT64_C(0x36A0000000000000), // the least float
                               UINT64_C(0x7FF0000000000000),
                               UINT64_C(0xFFF0000000000000),
                               UINT64_C(0x7FF8000000000000),
                               UINT64_C(0x7FF4000000000000), // a signalling NaN
                               NUM_MISSING_BITS};
    const uint64_t wide[] = {
        UINT64_C(0x3FB999999999999A), // 0.1
        UINT64_C(0x47EFFFFFE0000001), UINT64_C(0x7FEFFFFFFFFFFFFF), UINT64_C(0x3690000000000000), 1,
        UINT64_C(0x7FF8000000000001), NUM_MISSING_BITS + 1,
        // The measured NaN whose float would be the one that says 'not measured'.
        UINT64_C(0x7FF81414E0000000)};
    for (size_t i = 0; i < COUNT(narrow); i++) {
        ck_assert_uint_eq(size_of_value(from_bits(narrow[i])), 64 + 2 + 4);
    }
    for (size_t i = 0; i < COUNT(wide); i++) {
        ck_assert_uint_eq(size_of_value(from_bits(wide[i])), 64 + 2 + 8);
    }
}
END_TEST

// The layout of storage/blob.h byte by byte: stores of earlier versions depend on it.
START_TEST(test_layout) {
    struct step s;
    struct buf blob = new_buf();
    step_init(&s);
    step_clear(&s, 2);
    s.time = 1;
    s.loss = 2;
    memcpy(step_add_column(&s, STAT_GU_PREV, NULL, 0), (double[]){1, num_missing()}, 16);
    memcpy(step_add_column(&s, STAT_NONE, "ab", 2), (double[]){0.1, 1}, 16);
    ck_assert(step_add_scalar(&s, "c", 1, -2));
    ck_assert(blob_encode(&s, &blob));
    static const unsigned char layout[] = {
        1,    0,    2,    0,    1,    0,    0,    0,    2, 0,    0, 0, 0, 0, 0,    0, // head
        0,    0,    0,    0,    0,    0,    0xF0, 0x3F,                               // time
        0,    0,    0,    0,    0,    0,    0,    0x40,                               // loss
        0,    0,    0xA7, 0xA0, 0,    0,    0xF8, 0x7F,                               // lr
        0,    0,    0xA7, 0xA0, 0,    0,    0xF8, 0x7F,                               // batch_size
        0,    0,    0xA7, 0xA0, 0,    0,    0xF8, 0x7F,                               // loss_after
        0,    0,    0xA7, 0xA0, 0,    0,    0xF8, 0x7F,                               // val_loss
        19,   0,    0x80, 2,    'a',  'b',                                            // columns
        1,    'c',  0,    0,    0,    0,    0,    0,    0, 0xC0,                      // scalar
        0,    0,    0x80, 0x3F, 0xA7, 0xA0, 0xC0, 0x7F,                               // gu_prev
        0x9A, 0x99, 0x99, 0x99, 0x99, 0x99, 0xB9, 0x3F, 0, 0,    0, 0, 0, 0, 0xF0, 0x3F};
    ck_assert_uint_eq(blob.len, sizeof layout);
    ck_assert_mem_eq(blob.data, layout, sizeof layout);
    step_free(&s);
    buf_free(&blob);
}
END_TEST

START_TEST(test_limits_fit) {
    struct step s;
    step_init(&s);
    step_clear(&s, 3);
    uint64_t seed = 10;
    char name[200];
    for (unsigned id = 1; id < STAT_COUNT; id++) {
        random_column(&s, &seed, (enum statistic)id, NULL, VALUES_DOUBLE);
    }
    for (int i = 0; i < LIMIT_CUSTOM_STATS; i++) {
        snprintf(name, sizeof name, "%0*d", LIMIT_STAT_NAME, i);
        random_column(&s, &seed, STAT_NONE, name, VALUES_FLOAT);
    }
    for (int i = 0; i < LIMIT_SCALARS; i++) {
        snprintf(name, sizeof name, "%0*d", LIMIT_SCALAR_NAME, i);
        ck_assert(step_add_scalar(&s, name, LIMIT_SCALAR_NAME, i));
    }
    assert_round_trip(&s);
    struct buf small;
    buf_init(&small, 1000);
    ck_assert(!blob_encode(&s, &small));
    buf_free(&small);
    step_free(&s);
}
END_TEST

// -- damage --------------------------------------------------------------------------------------

static void small_blob(struct buf *blob) {
    struct step s;
    step_init(&s);
    step_clear(&s, 2);
    s.loss = 0.5;
    memcpy(step_add_column(&s, STAT_W_MEAN, NULL, 0), (double[]){1, 2}, 16);
    memcpy(step_add_column(&s, STAT_NONE, "\xc3\xb6wn", 4), (double[]){0.1, 1}, 16);
    ck_assert(step_add_scalar(&s, "power", 5, 310));
    ck_assert(blob_encode(&s, blob));
    step_free(&s);
}

static void assert_well_formed_name(const char *name, size_t most) {
    size_t n = strlen(name), bad;
    ck_assert(n >= 1 && n <= most && utf8_valid(name, n, &bad));
}

// Whatever the decoder lets pass can be printed, encoded and computed with.
static void assert_well_formed(const struct step *s) {
    ck_assert(s->n_columns <= STAT_COUNT - 1 + LIMIT_CUSTOM_STATS);
    ck_assert(s->n_scalars <= LIMIT_SCALARS && s->n_layers <= LIMIT_LAYERS);
    for (size_t i = 0; i < s->n_columns; i++) {
        ck_assert(s->columns[i].stat < STAT_COUNT);
        assert_well_formed_name(s->columns[i].name, LIMIT_STAT_NAME);
    }
    for (size_t i = 0; i < s->n_scalars; i++) {
        assert_well_formed_name(s->scalars[i].name, LIMIT_SCALAR_NAME);
    }
    struct buf line = new_buf();
    step_print(s, "step", &line); // reads every value, under the sanitizers
    ck_assert(!line.failed);
    buf_free(&line);
}

START_TEST(test_truncated) {
    struct buf blob = new_buf();
    struct step s;
    small_blob(&blob);
    for (size_t n = 0; n < blob.len; n++) {
        ck_assert_msg(!decode(blob.data, n, &s), "%zu bytes", n);
        step_free(&s);
    }
    buf_putc(&blob, 0);
    ck_assert(!decode(blob.data, blob.len, &s)); // nor may there be more
    step_free(&s);
    buf_free(&blob);
}
END_TEST

START_TEST(test_every_byte_changed) {
    struct buf blob = new_buf();
    struct step s;
    small_blob(&blob);
    int refused = 0;
    for (size_t at = 0; at < blob.len; at++) {
        char was = blob.data[at];
        for (int value = 0; value < 256; value++) {
            blob.data[at] = (char)value;
            if (decode(blob.data, blob.len, &s)) {
                assert_well_formed(&s);
            } else {
                refused++;
            }
            step_free(&s);
        }
        blob.data[at] = was;
    }
    ck_assert_int_gt(refused, 1000);
    buf_free(&blob);
}
END_TEST

START_TEST(test_random_damage) {
    struct buf blob = new_buf();
    struct step s;
    uint64_t seed = 11;
    small_blob(&blob);
    char *damaged = exact_copy(blob.data, blob.len);
    for (int i = 0; i < 200000; i++) {
        memcpy(damaged, blob.data, blob.len);
        for (size_t k = 1 + random_below(&seed, 4); k > 0; k--) {
            // The head's counts and the names are what leads astray.
            size_t at =
                random_below(&seed, 2) ? random_below(&seed, 16) : random_below(&seed, blob.len);
            damaged[at] = (char)random_below(&seed, random_below(&seed, 2) ? 8 : 256);
        }
        if (decode(damaged, blob.len, &s)) {
            assert_well_formed(&s);
        }
        step_free(&s);
    }
    free(damaged);
    buf_free(&blob);
}
END_TEST

// A head that promises much does not make us reserve what is not there.
START_TEST(test_promises) {
    static const struct {
        size_t at;
        uint32_t value;
    } cases[] = {{8, LIMIT_LAYERS},
                 {8, LIMIT_LAYERS + 1},
                 {8, UINT32_MAX},
                 {8, 0},
                 {2, 83},
                 {2, 84},
                 {2, 65535},
                 {4, 256},
                 {4, 257},
                 {0, 2},
                 {0, 0}};
    struct step s;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf blob = new_buf();
        small_blob(&blob);
        memcpy(blob.data + cases[i].at, &cases[i].value, cases[i].at == 8 ? 4 : 2);
        ck_assert(!decode(blob.data, blob.len, &s));
        ck_assert_uint_lt(s.values_cap, 10000);
        step_free(&s);
        buf_free(&blob);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_there_and_back,     test_widths,        test_layout,   test_limits_fit, test_truncated,
        test_every_byte_changed, test_random_damage, test_promises,
    };
    return run_suite(suite_of("blob", tests, COUNT(tests)));
}
