// base/: the bounded buffer, numbers as text and back, the log's lines, the statistics' names.
#include "base/log.h"
#include "base/num.h"
#include "base/stat.h"
#include "tests/unit/support/support.h"

#include <fenv.h>
#include <float.h>
#include <math.h>

// -- buf -----------------------------------------------------------------------------------------

START_TEST(test_buf_appends) {
    struct buf b = new_buf();
    ck_assert_str_eq(buf_str(&b), "");
    buf_puts(&b, "ab");
    buf_putc(&b, 'c');
    buf_printf(&b, "-%d-%s", 42, "x");
    buf_put(&b, NULL, 0);
    buf_put(&b, "\0z", 2);
    ck_assert_uint_eq(b.len, 10);
    ck_assert_mem_eq(b.data, "abc-42-x\0z", 11);
    memcpy(buf_reserve(&b, 3), "end", 3);
    b.len += 3;
    buf_drop(&b, 10);
    ck_assert_str_eq(buf_str(&b), "end");
    buf_drop(&b, 0);
    ck_assert_uint_eq(b.len, 3);
    buf_drop(&b, 4);
    ck_assert_uint_eq(b.len, 0);
    ck_assert_str_eq(buf_str(&b), "");
    buf_free(&b);
    ck_assert_ptr_null(b.data);
}
END_TEST

// What does not fit is left out whole, and so is everything behind it until the buffer is cleared.
START_TEST(test_buf_is_bounded) {
    struct buf b;
    buf_init(&b, 5);
    buf_puts(&b, "12345");
    ck_assert(!b.failed);
    buf_put(&b, "", 0);
    ck_assert(!b.failed);
    buf_putc(&b, '6');
    ck_assert(b.failed);
    ck_assert_str_eq(buf_str(&b), "12345");
    buf_drop(&b, 3);
    buf_puts(&b, "x");
    ck_assert_ptr_null(buf_reserve(&b, 0));
    ck_assert_str_eq(buf_str(&b), "45");
    buf_clear(&b);
    buf_printf(&b, "%05d", 7);
    ck_assert(!b.failed);
    ck_assert_str_eq(buf_str(&b), "00007");
    buf_clear(&b);
    buf_printf(&b, "%06d", 7);
    ck_assert(b.failed);
    ck_assert_str_eq(buf_str(&b), "");
    buf_free(&b);
    buf_init(&b, 5);
    ck_assert_ptr_null(buf_reserve(&b, SIZE_MAX));
    ck_assert(b.failed);
}
END_TEST

// -- num -----------------------------------------------------------------------------------------

static double parse_whole(const char *text) {
    double x = -1;
    size_t n = strlen(text);
    char *exact = exact_copy(text, n);
    ck_assert_msg(num_parse(exact, exact + n, &x) == n, "%s", text);
    free(exact);
    return x;
}

// What the C library finds: of the digits that read back the fewest.
static size_t shortest_by_trying(char text[NUM_TEXT_MAX], double x) {
    for (int digits = 15; digits < 17; digits++) {
        int n = snprintf(text, NUM_TEXT_MAX, "%.*g", digits, x);
        if (strtod(text, NULL) == x) {
            return (size_t)n;
        }
    }
    return (size_t)snprintf(text, NUM_TEXT_MAX, "%.17g", x);
}

// In loops of millions an assertion that is only reached when it fails: libcheck's take their time.
static void assert_round_trip(double x) {
    char text[NUM_TEXT_MAX], tried[NUM_TEXT_MAX];
    size_t n = num_format(text, x);
    if (!isfinite(x)) {
        return;
    }
    double back = 0;
    if (n != strlen(text) || num_parse(text, text + n, &back) != n || bits_of(back) != bits_of(x)) {
        ck_abort_msg("%a became %s, that is %a", x, text, back);
    }
    if (x == 0) {
        return;
    }
    size_t n_tried = shortest_by_trying(tried, x);
    // What has fewer digits than a double can tell apart is shorter still; below a power of two the
    // next double is nearer, so that a decimal with fewer digits above may do.
    bool may_differ = fabs(x) < DBL_MIN || (bits_of(x) & ((UINT64_C(1) << 52) - 1)) == 0;
    if (n > n_tried || (!may_differ && strcmp(text, tried) != 0)) {
        ck_abort_msg("%s where %s was expected", text, tried);
    }
}

START_TEST(test_random_bit_patterns) {
    uint64_t seed = 1;
    for (int i = 0; i < 100000; i++) {
        assert_round_trip(from_bits(random_next(&seed)));
        assert_round_trip((double)(float)random_unit(&seed));
        assert_round_trip((double)(int64_t)random_next(&seed));
        assert_round_trip((double)(int64_t)(random_next(&seed) >> 10) * 1e-6);
    }
}
END_TEST

START_TEST(test_every_exponent) {
    uint64_t seed = 3;
    for (uint64_t exponent = 0; exponent < 2047; exponent++) {
        uint64_t first = exponent << 52, last = first | ((UINT64_C(1) << 52) - 1);
        for (uint64_t i = 0; i < 3; i++) { // a power of two and its neighbours, and those beyond
            assert_round_trip(from_bits(first + i));
            assert_round_trip(from_bits(last - i));
            assert_round_trip(from_bits(first | (random_next(&seed) & (last - first))));
        }
    }
    for (int e = -323; e <= 308;
         e++) { // a power of ten, as near as a double comes, and others near
        char text[NUM_TEXT_MAX];
        snprintf(text, sizeof text, "1e%d", e);
        uint64_t bits = bits_of(strtod(text, NULL));
        for (uint64_t i = 0; i < 5; i++) {
            assert_round_trip(from_bits(bits + i - 2));
        }
    }
}
END_TEST

START_TEST(test_integers) {
    static const struct {
        int64_t x;
        const char *text;
    } cases[] = {{0, "0"},
                 {9, "9"},
                 {10, "10"},
                 {99, "99"},
                 {100, "100"},
                 {-1, "-1"},
                 {-10, "-10"},
                 {12345, "12345"},
                 {INT64_MAX, "9223372036854775807"},
                 {INT64_MIN, "-9223372036854775808"}};
    char text[NUM_TEXT_MAX];
    for (size_t i = 0; i < COUNT(cases); i++) {
        ck_assert_uint_eq(num_format_integer(text, cases[i].x), strlen(cases[i].text));
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

START_TEST(test_formats) {
    static const struct {
        double x;
        const char *text;
    } cases[] = {{0.0, "0"},
                 {-0.0, "-0.0"},
                 {1, "1"},
                 {-17, "-17"},
                 {0.1, "0.1"},
                 {1.0 / 3, "0.3333333333333333"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {999999999999999, "999999999999999"},
                 {1e15, "1e+15"},
                 {9007199254740992, "9007199254740992"},
                 {1e22, "1e+22"},
                 {DBL_MAX, "1.7976931348623157e+308"},
                 {DBL_MIN, "2.2250738585072014e-308"},
                 {0x1p-1074, "5e-324"},
                 {1e23, "1e+23"},
                 {9.5e-5, "9.5e-05"},
                 {1e-4, "0.0001"},
                 {-1.5e100, "-1.5e+100"},
                 {2.5e15, "2.5e+15"},
                 {-0.007, "-0.007"},
                 {1732345678.123, "1732345678.123"}};
    char text[NUM_TEXT_MAX];
    for (size_t i = 0; i < COUNT(cases); i++) {
        num_format(text, cases[i].x);
        ck_assert_str_eq(text, cases[i].text);
        assert_round_trip(cases[i].x);
    }
}
END_TEST

static void assert_bounds(double x) {
    char low_text[NUM_TEXT_MAX], high_text[NUM_TEXT_MAX];
    ck_assert_uint_eq(num_format_low(low_text, x), strlen(low_text));
    ck_assert_uint_eq(num_format_high(high_text, x), strlen(high_text));
    double low = parse_whole(low_text), high = parse_whole(high_text);
    double near = fabs(x) * 1.1e-7 + DBL_MIN;
    if (!(low <= x && x <= high && high - low <= near)) {
        ck_abort_msg("%.17g is not between %s and %s, or these are far", x, low_text, high_text);
    }
}

START_TEST(test_bounds) {
    static const struct {
        double x;
        const char *low, *high;
    } cases[] = {{0.1, "0.1", "0.10000001"},
                 {0.5, "0.5", "0.5"},
                 {-1.0 / 3, "-0.33333334", "-0.33333333"},
                 {1234567890123, "1234567890123", "1234567890123"},
                 {1.0000000001e-7, "1e-07", "1.0000001e-07"},
                 {DBL_MAX, "1.7976931348623157e+308", "1.7976931348623157e+308"},
                 {(double)INFINITY, "\"Infinity\"", "\"Infinity\""}};
    char text[NUM_TEXT_MAX];
    for (size_t i = 0; i < COUNT(cases); i++) {
        num_format_low(text, cases[i].x);
        ck_assert_str_eq(text, cases[i].low);
        num_format_high(text, cases[i].x);
        ck_assert_str_eq(text, cases[i].high);
    }
    uint64_t seed = 7;
    for (int i = 0; i < 20000; i++) {
        double x = from_bits(random_next(&seed));
        if (isfinite(x)) {
            assert_bounds(x);
        }
        assert_bounds(random_unit(&seed));
    }
    ck_assert_int_eq(fegetround(), FE_TONEAREST);
}
END_TEST

START_TEST(test_what_is_no_finite_number) {
    static const struct {
        uint64_t bits;
        const char *text;
        bool missing;
    } cases[] = {{NUM_MISSING_BITS, "null", true},
                 {NUM_MISSING_BITS | UINT64_C(1) << 63, "\"NaN\"", false},
                 {NUM_MISSING_BITS + 1, "\"NaN\"", false},
                 {UINT64_C(0x7FF8000000000000), "\"NaN\"", false},
                 {UINT64_C(0x7FF0000000000001), "\"NaN\"", false},
                 {UINT64_C(0xFFF8000000000000), "\"NaN\"", false},
                 {UINT64_C(0x7FF0000000000000), "\"Infinity\"", false},
                 {UINT64_C(0xFFF0000000000000), "\"-Infinity\"", false},
                 {0, "0", false}};
    char text[NUM_TEXT_MAX];
    for (size_t i = 0; i < COUNT(cases); i++) {
        double x = from_bits(cases[i].bits);
        ck_assert_uint_eq(num_format(text, x), strlen(cases[i].text));
        ck_assert_str_eq(text, cases[i].text);
        ck_assert_int_eq(num_is_missing(x), cases[i].missing);
    }
    ck_assert_uint_eq(bits_of(num_missing()), NUM_MISSING_BITS);
    ck_assert(isnan(num_missing()));
}
END_TEST

// A random decimal of up to 25 digits, with or without point and exponent.
static void random_decimal(uint64_t *seed, char text[64]) {
    size_t at = 0, digits = 1 + random_below(seed, 25), point = random_below(seed, 2 * digits);
    if (random_below(seed, 2)) {
        text[at++] = '-';
    }
    for (size_t i = 0; i < digits; i++) {
        bool leading_zero_follows = i == 0 && digits > 1 && point != 0;
        text[at++] = (char)('0' + random_below(seed, 10));
        if (leading_zero_follows && text[at - 1] == '0') {
            text[at - 1] = '1';
        }
        if (i == point && i + 1 < digits) {
            text[at++] = '.';
        }
    }
    text[at] = '\0';
    if (random_below(seed, 2)) {
        static const int spans[] = {10, 30, 400};
        int span = spans[random_below(seed, 3)];
        snprintf(text + at, 64 - at, "e%d", (int)random_below(seed, (size_t)(2 * span)) - span);
    }
}

// strtod is correctly rounded in glibc; the quick path must give the same bits.
START_TEST(test_parse_is_strtod) {
    uint64_t seed = 2;
    char text[64];
    for (int i = 0; i < 1000000; i++) {
        random_decimal(&seed, text);
        size_t n = strlen(text);
        double x = 0;
        if (num_parse(text, text + n, &x) != n || bits_of(x) != bits_of(strtod(text, NULL))) {
            ck_abort_msg("%s became %a", text, x);
        }
    }
}
END_TEST

START_TEST(test_parse_edges) {
    ASSERT_SAME_BITS(parse_whole("-0"), -0.0);
    ASSERT_SAME_BITS(parse_whole("-0.0e5"), -0.0);
    ASSERT_SAME_BITS(parse_whole("0e99999999999999999999"), 0.0);
    ASSERT_SAME_BITS(parse_whole("1e400"), (double)INFINITY);
    ASSERT_SAME_BITS(parse_whole("-1e400"), -(double)INFINITY);
    ASSERT_SAME_BITS(parse_whole("1e99999999999999999999"), (double)INFINITY);
    ASSERT_SAME_BITS(parse_whole("1e-99999999999999999999"), 0.0);
    ASSERT_SAME_BITS(parse_whole("4.9e-324"), 0x1p-1074);
    ASSERT_SAME_BITS(parse_whole("2.4e-324"), 0.0);
    ASSERT_SAME_BITS(parse_whole("2.2250738585072011e-308"), 0x0.fffffffffffffp-1022);
    ASSERT_SAME_BITS(parse_whole("9007199254740993"), 9007199254740992.0);
    ASSERT_SAME_BITS(parse_whole("9007199254740993.00000000000000000001"), 9007199254740994.0);
    ASSERT_SAME_BITS(parse_whole("1E+2"), 100.0);
    // 300 digits: more than the local copy holds.
    char text[400] = "1.";
    memset(text + 2, '0', 300);
    memcpy(text + 302, "1e3", 4);
    ASSERT_SAME_BITS(parse_whole(text), 1000.0);
}
END_TEST

// The length of the number that the text begins with; the text ends where the memory ends.
static size_t parsed(const char *text) {
    size_t n = strlen(text);
    char *exact = exact_copy(text, n);
    double x;
    size_t length = num_parse(exact, exact + n, &x);
    free(exact);
    return length;
}

START_TEST(test_what_is_a_number) {
    static const char *const none[] = {"",   "-",   "+1",   ".5", "1.",  "01",       "-01",
                                       "1e", "1e+", "e5",   "-.", "1.e", "Infinity", "NaN",
                                       " 1", "--1", "00.1", "x",  "-x"};
    for (size_t i = 0; i < COUNT(none); i++) {
        ck_assert_msg(parsed(none[i]) == 0, "%s", none[i]);
    }
    ck_assert_uint_eq(parsed("0x10"), 1);
    ck_assert_uint_eq(parsed("1,2"), 1);
    ck_assert_uint_eq(parsed("12.5e-3]"), 7);
    ck_assert_uint_eq(parsed("1.5.5"), 3);
}
END_TEST

START_TEST(test_strings) {
    double x;
    ck_assert(num_parse_string("12", &x) && x == 12);
    ck_assert(num_parse_string("NaN", &x) && isnan(x) && !num_is_missing(x));
    ck_assert(num_parse_string("Infinity", &x) && isinf(x) && x > 0);
    ck_assert(num_parse_string("-Infinity", &x) && isinf(x) && x < 0);
    static const char *const none[] = {"", "nan", "inf", "1 ", " 1", "1x", "+Infinity", "null"};
    for (size_t i = 0; i < COUNT(none); i++) {
        ck_assert_msg(!num_parse_string(none[i], &x), "%s", none[i]);
    }
}
END_TEST

// -- log -----------------------------------------------------------------------------------------

static int stderr_was;
static FILE *captured;

static void capture(void) {
    fflush(stderr);
    captured = tmpfile();
    CHECK(captured && (stderr_was = dup(STDERR_FILENO)) >= 0);
    CHECK(dup2(fileno(captured), STDERR_FILENO) >= 0);
}

static struct buf release(void) {
    CHECK(dup2(stderr_was, STDERR_FILENO) >= 0);
    close(stderr_was);
    struct buf text = new_buf();
    rewind(captured);
    for (int c; (c = getc(captured)) != EOF;) {
        buf_putc(&text, (char)c);
    }
    fclose(captured);
    return text;
}

START_TEST(test_log_lines) {
    capture();
    log_error("run=%s", "a\nb\r\x1b[31m\x7f\xc3\xa4");
    log_debug("unheard");
    log_set_level(LOG_LEVEL_WARNING);
    log_info("unheard");
    log_warning("%d", 5);
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("d");
    log_info("i");
    log_set_level(LOG_LEVEL_INFO);
    struct buf text = release();
    ck_assert_str_eq(buf_str(&text), "<3>run=a b  [31m \xc3\xa4\n<4>5\n<7>d\n<6>i\n");
    buf_free(&text);
}
END_TEST

START_TEST(test_log_cuts_long_lines) {
    char *monster = malloc(5000);
    ck_assert_ptr_nonnull(monster);
    for (size_t n = 2030; n < 2060; n++) {
        memset(monster, 'x', n);
        monster[n] = '\0';
        capture();
        log_info("%s", monster);
        struct buf text = release();
        size_t expected = n < 2043 ? n : 2043;
        ck_assert_uint_eq(text.len, 3 + expected + 1);
        ck_assert_ptr_eq(strchr(buf_str(&text), '\n'), text.data + text.len - 1);
        buf_free(&text);
    }
    free(monster);
}
END_TEST

// -- stat ----------------------------------------------------------------------------------------

START_TEST(test_statistics) {
    // The ids are the wire's: contract and frames depend on them.
    static const char *const names[] = {
        "w_mean",   "w_var",       "w_min",   "w_max",   "g_mean",  "g_var",      "u_mean",
        "u_var",    "gw",          "gu",      "z_mean",  "z_var",   "a_mean",     "a_var",
        "a_active", "a_saturated", "g_noise", "w_alpha", "gu_prev", "g_small_sq", "batch_small"};
    ck_assert_uint_eq(COUNT(names) + 1, STAT_COUNT);
    for (unsigned id = 1; id < STAT_COUNT; id++) {
        ck_assert_str_eq(stat_name(id), names[id - 1]);
        ck_assert_uint_eq(stat_find(names[id - 1], strlen(names[id - 1])), id);
    }
    ck_assert_ptr_null(stat_name(STAT_NONE));
    ck_assert_ptr_null(stat_name(STAT_COUNT));
    ck_assert_ptr_null(stat_name(UINT32_MAX));
    ck_assert_uint_eq(stat_find("", 0), STAT_NONE);
    ck_assert_uint_eq(stat_find("w_mea", 5), STAT_NONE);
    ck_assert_uint_eq(stat_find("w_means", 7), STAT_NONE);
    ck_assert_uint_eq(stat_find("gu_prev", 2), STAT_GU);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_buf_appends,
        test_buf_is_bounded,
        test_random_bit_patterns,
        test_every_exponent,
        test_integers,
        test_formats,
        test_bounds,
        test_what_is_no_finite_number,
        test_parse_is_strtod,
        test_parse_edges,
        test_what_is_a_number,
        test_strings,
        test_log_lines,
        test_log_cuts_long_lines,
        test_statistics,
    };
    return run_suite(suite_of("base", tests, COUNT(tests)));
}
