// Binary step frames: the layout byte by byte, every mistake, and that a frame, a line and the
// store mean the same step.
#include "base/float32.h"
#include "storage/blob.h"
#include "tests/unit/support/steps.h"
#include "wire/frame.h"

static struct step step;
static struct wire_error error;

static void set_up(void) {
    step_init(&step);
}

static void tear_down(void) {
    step_free(&step);
}

// A frame by the contract, put together by hand.
static void put_u16(struct buf *b, unsigned x) {
    buf_put(b, (const char[]){(char)x, (char)(x >> 8)}, 2);
}

static void put_u32(struct buf *b, uint32_t x) {
    put_u16(b, x & 0xffff);
    put_u16(b, x >> 16);
}

static void put_f64(struct buf *b, double x) {
    put_u32(b, (uint32_t)bits_of(x));
    put_u32(b, (uint32_t)(bits_of(x) >> 32));
}

static void pad(struct buf *b) {
    while (b->len % 8) {
        buf_putc(b, '\0');
    }
}

static void put_head(struct buf *b, uint32_t following, uint64_t number, unsigned n_stats) {
    put_u16(b, 0x01A7);
    put_u16(b, 0);
    put_u32(b, following);
    put_u32(b, (uint32_t)number);
    put_u32(b, (uint32_t)(number >> 32));
    put_f64(b, 1.7e9);
    put_f64(b, 1.25);
    put_f64(b, 0.1);
    put_u32(b, 64);
    put_u16(b, n_stats);
    put_u16(b, 0);
}

// Two statistics of three layers: w_mean float32, w_var float64.
static struct buf example(void) {
    struct buf b = new_buf();
    put_head(&b, 32 + 8 + 16 + 24, 17, 2);
    buf_put(&b, "\x01\x82", 2);
    pad(&b);
    put_u32(&b, 0x3F800000); // 1
    put_u32(&b, FLOAT32_MISSING_BITS);
    put_u32(&b, 0xFFA00001); // a signalling NaN with a payload
    pad(&b);
    put_f64(&b, 0.1);
    put_f64(&b, num_missing());
    put_f64(&b, from_bits(UINT64_C(0x7FF0000000000001)));
    return b;
}

static int parse_bytes(const void *bytes, size_t n, size_t n_layers) {
    char *exact = exact_copy(bytes, n);
    error = (struct wire_error){0};
    int rc = frame_parse(&step, exact, n, n_layers, &error);
    for (size_t i = 0; i < step.n_columns; i++) {
        step.columns[i].floats = NULL; // the bytes are gone
    }
    free(exact);
    return rc;
}

static void parse(const struct buf *b, size_t n_layers) {
    ck_assert_msg(parse_bytes(b->data, b->len, n_layers) == 0, "%s", error.message);
}

static void assert_refused(const struct buf *b, size_t n_layers, enum wire_code code,
                           const char *message) {
    ck_assert_int_eq(parse_bytes(b->data, b->len, n_layers), -1);
    ck_assert_str_eq(error.message, message);
    ck_assert_str_eq(wire_code_name(error.code), wire_code_name(code));
    ck_assert(!error.fatal);
}

START_TEST(test_layout) {
    struct buf b = example();
    ck_assert_uint_eq(frame_size(b.data), b.len);
    ck_assert(frame_version_is_known(b.data));
    parse(&b, 3);
    ck_assert_int_eq(step.step, 17);
    ASSERT_SAME_BITS(step.time, 1.7e9);
    ASSERT_SAME_BITS(step.loss, 1.25);
    ASSERT_SAME_BITS(step.lr, 0.1);
    ASSERT_SAME_BITS(step.batch_size, 64);
    ck_assert(num_is_missing(step.loss_after) && num_is_missing(step.val_loss));
    ck_assert_uint_eq(step.n_columns, 2);
    const double *mean = step_stat(&step, STAT_W_MEAN), *var = step_stat(&step, STAT_W_VAR);
    ASSERT_SAME_BITS(mean[0], 1);
    ck_assert(num_is_missing(mean[1]));
    ck_assert_uint_eq(bits_of(mean[2]), UINT64_C(0xFFF4000020000000));
    ASSERT_SAME_BITS(var[0], 0.1);
    ck_assert(num_is_missing(var[1]));
    ck_assert_uint_eq(bits_of(var[2]), UINT64_C(0x7FF0000000000001));
    buf_free(&b);
}
END_TEST

START_TEST(test_not_measured) {
    struct buf b = new_buf();
    put_head(&b, 32, 0, 0);
    double missing = num_missing();
    memset(b.data + 16, 0, 8);        // time 0
    memcpy(b.data + 24, &missing, 8); // loss
    memcpy(b.data + 32, &missing, 8); // lr
    memset(b.data + 40, 0, 4);        // batch_size
    parse(&b, 3);
    ck_assert_uint_eq(step.n_columns, 0);
    ASSERT_SAME_BITS(step.time, 0);
    ck_assert(num_is_missing(step.loss) && num_is_missing(step.lr));
    ck_assert(num_is_missing(step.batch_size));
    for (size_t i = 0; i < 3; i++) { // a time that is none
        double time = (double[]){-1, (double)NAN, (double)INFINITY}[i];
        memcpy(b.data + 16, &time, 8);
        parse(&b, 3);
        ASSERT_SAME_BITS(step.time, 0);
    }
    buf_free(&b);
}
END_TEST

START_TEST(test_numbers_of_steps) {
    struct buf b = new_buf();
    put_head(&b, 32, (uint64_t)STEP_MAX, 0);
    parse(&b, 1);
    ck_assert_int_eq(step.step, STEP_MAX);
    buf_clear(&b);
    put_head(&b, 32, (uint64_t)STEP_MAX + 1, 0);
    assert_refused(&b, 1, WIRE_BAD_VALUE,
                   "step 8796093022208 is not of 0 to 8796093022207; dropped");
    buf_clear(&b);
    put_head(&b, 32, UINT64_MAX, 0);
    assert_refused(&b, 1, WIRE_BAD_VALUE, "step -1 is not of 0 to 8796093022207; dropped");
    buf_free(&b);
}
END_TEST

START_TEST(test_wrong_shape) {
    struct buf b = example();
    assert_refused(&b, 2, WIRE_WRONG_SHAPE,
                   "the frame has 96 bytes; a step of 2 statistics for the run's 2 layers takes "
                   "80; it was dropped");
    assert_refused(&b, 100000, WIRE_WRONG_SHAPE,
                   "the frame has 96 bytes; a step of 2 statistics for the run's 100000 layers "
                   "takes at least 400056; it was dropped");
    for (size_t n = 0; n < b.len; n++) { // shorter
        ck_assert_int_eq(parse_bytes(b.data, n, 3), -1);
        ck_assert_int_eq(error.code, WIRE_WRONG_SHAPE);
    }
    buf_put(&b, "\0\0\0\0\0\0\0\0", 8); // longer
    ck_assert_int_eq(parse_bytes(b.data, b.len, 3), -1);
    ck_assert_int_eq(error.code, WIRE_WRONG_SHAPE);
    memset(b.data + 44, 0xff, 2); // 65,535 statistics
    ck_assert_int_eq(parse_bytes(b.data, b.len, 3), -1);
    ck_assert_int_eq(error.code, WIRE_WRONG_SHAPE);
    buf_free(&b);
}
END_TEST

START_TEST(test_wrong_ids) {
    struct buf b = example();
    b.data[49] = '\x81';
    assert_refused(&b, 3, WIRE_BAD_VALUE,
                   "w_mean (id 1) stands twice in the frame; the step was dropped");
    b.data[49] = '\x80';
    assert_refused(&b, 3, WIRE_BAD_VALUE, "0 is no statistic's id; the step was dropped");
    b.data[48] = b.data[49] = 127;
    ck_assert_int_eq(parse_bytes(b.data, b.len, 3), -1);
    ck_assert_int_eq(error.code, WIRE_WRONG_SHAPE); // two float32 columns are shorter
    b.data[48] = 127;
    b.data[49] = '\xff';
    assert_refused(&b, 3, WIRE_BAD_VALUE,
                   "stat_127 (id 127) stands twice in the frame; the step was dropped");
    buf_free(&b);
}
END_TEST

START_TEST(test_ids_without_a_name) {
    struct buf b = example();
    b.data[48] = STAT_COUNT;
    b.data[49] = '\xff';
    parse(&b, 3);
    ck_assert_uint_eq(step.n_columns, 2);
    ck_assert_int_eq(step.columns[0].stat, STAT_NONE);
    char name[16];
    snprintf(name, sizeof name, "stat_%d", STAT_COUNT);
    ck_assert_str_eq(step.columns[0].name, name);
    ck_assert_str_eq(step.columns[1].name, "stat_127");
    ASSERT_SAME_BITS(step.columns[1].values[0], 0.1);
    buf_clear(&b); // one more than a step may have of its own
    put_head(&b, 32 + 72 + 65 * 8, 1, 65);
    for (int i = 0; i < 65; i++) {
        buf_putc(&b, (char)(40 + i));
    }
    pad(&b);
    for (int i = 0; i < 65; i++) {
        put_f64(&b, 0);
    }
    assert_refused(&b, 1, WIRE_BAD_VALUE,
                   "too many statistics with ids that this daemon does not know (to id 104); the "
                   "step was dropped");
    buf_free(&b);
}
END_TEST

START_TEST(test_reserved_fields) {
    struct buf b = example();
    for (size_t i = 0; i < 4; i++) {
        size_t at = (size_t[]){2, 3, 46, 47}[i];
        b.data[at] = 1;
        assert_refused(&b, 3, WIRE_BAD_VALUE,
                       "a reserved field of the frame is not 0; the step was dropped");
        b.data[at] = 0;
    }
    parse(&b, 3);
    buf_free(&b);
}
END_TEST

// What stores a frame's step stores the same bytes as for a line's step of the same values.
START_TEST(test_blob_of_a_frame) {
    struct buf b = example(), of_frame = new_buf(), of_values = new_buf();
    ck_assert_int_eq(frame_parse(&step, b.data, b.len, 3, &error), 0);
    ck_assert_ptr_nonnull(step.columns[0].floats);
    ck_assert_ptr_null(step.columns[1].floats);
    ck_assert(blob_encode(&step, &of_frame));
    step.columns[0].floats = NULL;
    ck_assert(blob_encode(&step, &of_values));
    ck_assert_uint_eq(of_frame.len, of_values.len);
    ck_assert_mem_eq(of_frame.data, of_values.data, of_frame.len);
    struct step back;
    step_init(&back);
    back.step = 17;
    ck_assert(blob_decode(of_frame.data, of_frame.len, &back));
    assert_same_step(&step, &back);
    step_free(&back);
    buf_free(&b);
    buf_free(&of_frame);
    buf_free(&of_values);
}
END_TEST

// Steps of any values there and back; what a frame cannot carry is said.
START_TEST(test_round_trip) {
    uint64_t seed = 11;
    struct step sent;
    struct buf b = new_buf();
    step_init(&sent);
    for (int i = 0; i < 2000; i++) {
        size_t n_layers = 1 + random_below(&seed, 9);
        random_step(&sent, &seed, n_layers, (int64_t)(random_next(&seed) % (uint64_t)STEP_MAX),
                    (enum values)random_below(&seed, 3));
        sent.loss_after = sent.val_loss = num_missing();
        sent.batch_size = random_below(&seed, 2) ? num_missing() : (double)UINT32_MAX;
        sent.n_scalars = 0;
        size_t n_known = 0;
        while (n_known < sent.n_columns && sent.columns[n_known].stat) {
            n_known++;
        }
        ck_assert(frame_can_carry(&sent) == (n_known == sent.n_columns));
        sent.n_columns = n_known; // those of its own stand behind
        buf_clear(&b);
        frame_print(&sent, &b);
        parse(&b, n_layers);
        assert_same_step(&sent, &step);
    }
    step_free(&sent);
    buf_free(&b);
}
END_TEST

START_TEST(test_what_a_frame_cannot_carry) {
    step_clear(&step, 1);
    ck_assert(frame_can_carry(&step));
    double *fields[] = {&step.loss_after, &step.val_loss};
    for (size_t i = 0; i < COUNT(fields); i++) {
        *fields[i] = 1;
        ck_assert(!frame_can_carry(&step));
        *fields[i] = num_missing();
    }
    for (size_t i = 0; i < 6; i++) {
        step.batch_size = (double[]){0, -1, 1.5, 4294967296.0, (double)NAN, (double)INFINITY}[i];
        ck_assert(!frame_can_carry(&step));
    }
    step.batch_size = 1;
    ck_assert(frame_can_carry(&step));
    ck_assert(step_add_scalar(&step, "x", 1, 1));
    ck_assert(!frame_can_carry(&step));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_layout,           test_not_measured,
                                  test_numbers_of_steps, test_wrong_shape,
                                  test_wrong_ids,        test_ids_without_a_name,
                                  test_reserved_fields,  test_blob_of_a_frame,
                                  test_round_trip,       test_what_a_frame_cannot_carry};
    Suite *suite = suite_create("frame");
    TCase *cases = tcase_create("frame");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    for (size_t i = 0; i < COUNT(tests); i++) {
        tcase_add_test(cases, tests[i]);
    }
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
