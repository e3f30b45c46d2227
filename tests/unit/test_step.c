// Steps on the wire: every key, every mistake, every limit, and printing them back.
#include "config/limits.h"
#include "tests/unit/support/steps.h"

static struct step step;
static struct wire_error error;

static void set_up(void) {
    step_init(&step);
}

static void tear_down(void) {
    step_free(&step);
}

static int parse_bytes(const char *line, size_t n, size_t n_layers) {
    char *exact = exact_copy(line, n);
    error = (struct wire_error){0};
    int rc = step_parse(&step, exact, n, n_layers, &error);
    free(exact);
    return rc;
}

static void parse(const char *line, size_t n_layers) {
    ck_assert_msg(parse_bytes(line, strlen(line), n_layers) == 0, "%s: %s", line, error.message);
}

static void assert_refused(const char *line, size_t n_layers, enum wire_code code,
                           const char *message) {
    ck_assert_msg(parse_bytes(line, strlen(line), n_layers) == -1, "%s", line);
    ck_assert_str_eq(error.message, message);
    ck_assert_str_eq(wire_code_name(error.code), wire_code_name(code));
    ck_assert(!error.fatal);
}

// -- what is taken -------------------------------------------------------------------------------

START_TEST(test_every_key) {
    parse("{\"type\":\"step\",\"step\":17,\"time\":1732345678.123,\"loss\":1.25,\"lr\":0.1,"
          "\"batch_size\":64,\"loss_after\":1.2,\"val_loss\":1.3,\"scalars\":{\"accuracy\":0.91,"
          "\"p w\":310},\"stats\":{\"w_mean\":[1,2],\"own\":[-1e-3,null],\"gu_prev\":[\"NaN\","
          "-Infinity]},\"unknown\":{\"x\":[1,{}]}}",
          2);
    ck_assert_int_eq(step.step, 17);
    ck_assert_double_eq(step.time, 1732345678.123);
    ck_assert_double_eq(step.loss, 1.25);
    ck_assert_double_eq(step.lr, 0.1);
    ck_assert_double_eq(step.batch_size, 64);
    ck_assert_double_eq(step.loss_after, 1.2);
    ck_assert_double_eq(step.val_loss, 1.3);
    ck_assert_uint_eq(step.n_scalars, 2);
    ck_assert_str_eq(step.scalars[0].name, "accuracy");
    ck_assert_double_eq(step.scalars[0].value, 0.91);
    ck_assert_str_eq(step.scalars[1].name, "p w");
    ck_assert_double_eq(step.scalars[1].value, 310);
    ck_assert_uint_eq(step.n_columns, 3);
    ck_assert_double_eq(step_stat(&step, STAT_W_MEAN)[1], 2);
    ck_assert_int_eq(step.columns[1].stat, STAT_NONE);
    ck_assert_str_eq(step.columns[1].name, "own");
    ck_assert_double_eq(step.columns[1].values[0], -1e-3);
    ck_assert(num_is_missing(step.columns[1].values[1]));
    ck_assert_double_nan(step_stat(&step, STAT_GU_PREV)[0]);
    ck_assert(!num_is_missing(step_stat(&step, STAT_GU_PREV)[0]));
    ck_assert_double_eq(step_stat(&step, STAT_GU_PREV)[1], -(double)INFINITY);
    ck_assert_ptr_null(step_stat(&step, STAT_W_VAR));
}
END_TEST

START_TEST(test_every_statistic) {
    for (unsigned id = 1; id < STAT_COUNT; id++) {
        char line[100];
        snprintf(line, sizeof line, "{\"step\":1,\"stats\":{\"%s\":[%u]}}", stat_name(id), id);
        parse(line, 1);
        ck_assert_uint_eq(step.n_columns, 1);
        ck_assert_uint_eq(step.columns[0].stat, id);
        ck_assert_str_eq(step.columns[0].name, stat_name(id));
        ck_assert_double_eq(step_stat(&step, (enum statistic)id)[0], id);
    }
}
END_TEST

START_TEST(test_little) {
    parse("{\"step\":0}", 3);
    ck_assert_int_eq(step.step, 0);
    ck_assert_double_eq(step.time, 0);
    ck_assert(num_is_missing(step.loss) && num_is_missing(step.lr) &&
              num_is_missing(step.batch_size));
    ck_assert(num_is_missing(step.loss_after) && num_is_missing(step.val_loss));
    ck_assert_uint_eq(step.n_columns + step.n_scalars, 0);
    parse("{\"scalars\":null,\"stats\":null,\"loss\":null,\"time\":null,\"step\":5}", 3);
    ck_assert_int_eq(step.step, 5);
    ck_assert_double_eq(step.time, 0);
    ck_assert(num_is_missing(step.loss));
    parse("{\"stats\":{\"w_mean\":null,\"own\":null},\"scalars\":{},\"step\":6}", 3);
    ck_assert_uint_eq(step.n_columns + step.n_scalars, 0);
}
END_TEST

START_TEST(test_order_and_repetition) {
    parse("{\"stats\":{\"own\":[1],\"w_mean\":[2]},\"loss\":1,\"step\":3,\"type\":\"step\","
          "\"loss\":2}",
          1);
    ck_assert_double_eq(step.loss, 2);
    ck_assert_int_eq(step.step, 3);
    parse("{\"step\":1,\"stats\":{\"w_mean\":[2]},\"stats\":{\"w_var\":[3]}}", 1);
    ck_assert_uint_eq(step.n_columns, 1);
    ck_assert_double_eq(step_stat(&step, STAT_W_VAR)[0], 3);
}
END_TEST

// A key that spells a known statistic with escapes is that statistic.
START_TEST(test_escaped_names) {
    parse("{\"step\":1,\"stats\":{\"w_me\\u0061n\":[1],\"a\\\"b\\u00e9\":[2]},"
          "\"scalars\":{\"\\u0041\\n\":3}}",
          1);
    ck_assert_int_eq(step.columns[0].stat, STAT_W_MEAN);
    ck_assert_str_eq(step.columns[1].name, "a\"b\xc3\xa9");
    ck_assert_str_eq(step.scalars[0].name, "A\n");
    assert_refused("{\"step\":1,\"stats\":{\"w_mean\":[1],\"w_m\\u0065an\":[2]}}", 1,
                   WIRE_BAD_VALUE, "w_mean stands twice under stats; the step was dropped");
}
END_TEST

START_TEST(test_step_numbers) {
    static const struct {
        const char *text;
        int64_t number; // -1: refused
    } cases[] = {{"0", 0},
                 {"-0", 0},
                 {"1.0", 1},
                 {"1e3", 1000},
                 {"8796093022207", STEP_MAX},
                 {"8796093022208", -1},
                 {"1.5", -1},
                 {"-1", -1},
                 {"1e400", -1},
                 {"NaN", -1},
                 {"null", -1},
                 {"\"Infinity\"", -1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char line[100];
        snprintf(line, sizeof line, "{\"step\":%s}", cases[i].text);
        if (cases[i].number < 0) {
            assert_refused(line, 1, WIRE_BAD_VALUE,
                           "step is not a whole number of 0 to 8796093022207; dropped");
        } else {
            parse(line, 1);
            ck_assert_int_eq(step.step, cases[i].number);
        }
    }
}
END_TEST

START_TEST(test_times) {
    static const char *const on_arrival[] = {"0", "-1", "NaN", "Infinity", "1e999", "null"};
    for (size_t i = 0; i < COUNT(on_arrival); i++) {
        char line[100];
        snprintf(line, sizeof line, "{\"step\":1,\"time\":%s}", on_arrival[i]);
        parse(line, 1);
        ASSERT_SAME_BITS(step.time, 0.0);
    }
}
END_TEST

// -- what is refused -----------------------------------------------------------------------------

START_TEST(test_wrong_values) {
    assert_refused("{\"type\":\"step\"}", 1, WIRE_BAD_VALUE,
                   "the step has no number: \"step\" is missing; dropped");
    assert_refused("{\"step\":\"5\"}", 1, WIRE_BAD_VALUE,
                   "step is not a number; expected a number, null, \"NaN\", \"Infinity\" or "
                   "\"-Infinity\"; the step was dropped");
    assert_refused("{\"step\":5,\"loss\":[1]}", 1, WIRE_BAD_VALUE,
                   "loss is not a number; expected a number, null, \"NaN\", \"Infinity\" or "
                   "\"-Infinity\"; the step was dropped");
    assert_refused("{\"step\":5,\"scalars\":{\"a\":true}}", 1, WIRE_BAD_VALUE,
                   "a is not a number; expected a number, null, \"NaN\", \"Infinity\" or "
                   "\"-Infinity\"; the step was dropped");
    assert_refused("{\"step\":5,\"stats\":[1]}", 1, WIRE_BAD_VALUE,
                   "stats is not an object; the step was dropped");
    assert_refused("{\"step\":5,\"scalars\":7}", 1, WIRE_BAD_VALUE,
                   "scalars is not an object; the step was dropped");
    assert_refused("{\"step\":5,\"stats\":{\"w_mean\":[1,\"x\"]}}", 2, WIRE_BAD_VALUE,
                   "w_mean[1] is not a number; the step was dropped");
    assert_refused("{\"step\":5,\"stats\":{\"own\":[1],\"own\":[2]}}", 1, WIRE_BAD_VALUE,
                   "own stands twice under stats; the step was dropped");
    assert_refused(
        "{\"step\":5,\"stats\":{\"\":[1]}}", 1, WIRE_BAD_VALUE,
        "statistic \"\" wants a name of 1 to 64 bytes without \\u0000; the step was dropped");
    assert_refused(
        "{\"step\":5,\"stats\":{\"a\\u0000\":[1]}}", 1, WIRE_BAD_VALUE,
        "statistic \"a\\u0000\" wants a name of 1 to 64 bytes without \\u0000; the step was "
        "dropped");
    assert_refused(
        "{\"step\":5,\"scalars\":{\"\\ud800\":1}}", 1, WIRE_BAD_VALUE,
        "scalar \"\\ud800\" wants a name of 1 to 128 bytes without \\u0000; the step was "
        "dropped");
}
END_TEST

START_TEST(test_wrong_shapes) {
    assert_refused("{\"step\":5,\"stats\":{\"w_mean\":[1,2,3]}}", 4, WIRE_WRONG_SHAPE,
                   "w_mean has 3 entries, the run has 4 layers; the step was dropped");
    assert_refused("{\"step\":5,\"stats\":{\"own\":[1,2,3,4,5]}}", 4, WIRE_WRONG_SHAPE,
                   "own has 5 entries, the run has 4 layers; the step was dropped");
    assert_refused("{\"step\":5,\"stats\":{\"w_mean\":[]}}", 1, WIRE_WRONG_SHAPE,
                   "w_mean has 0 entries, the run has 1 layers; the step was dropped");
    assert_refused("{\"step\":5,\"stats\":{\"w_mean\":1}}", 1, WIRE_WRONG_SHAPE,
                   "w_mean is not an array of 1 numbers; the step was dropped");
    assert_refused("{\"step\":5,\"stats\":{\"w_mean\":{\"0\":1}}}", 1, WIRE_WRONG_SHAPE,
                   "w_mean is not an array of 1 numbers; the step was dropped");
    assert_refused("{\"step\":5,\"stats\":{\"w_mean\":[[1]]}}", 1, WIRE_BAD_VALUE,
                   "w_mean[0] is not a number; the step was dropped");
}
END_TEST

// A fault in the JSON is told as one, wherever it lies.
START_TEST(test_bad_json) {
    static const char *const lines[] = {
        "",
        "[]",
        "{\"step\":1",
        "{\"step\":1}}",
        "{\"step\":1}x",
        "{\"step\":}",
        "{\"step\":x}",
        "{\"loss\":[1}",
        "{\"stats\":{\"w_mean\":[1,]},\"step\":1}",
        "{\"stats\":{\"w_mean\":[1 2]},\"step\":1}",
        "{\"stats\":{\"w_mean\":nul},\"step\":1}",
        "{\"stats\":{\"w_mean\":{\"a\"}},\"step\":1}",
        "{\"stats\":{\"w_mean\":[1]\"w_var\":[1]},\"step\":1}",
        "{\"scalars\":{\"a\":1,},\"step\":1}",
        "{\"scalars\":[1,,],\"step\":1}",
        "{\"step\":1,\"x\":tru}",
        "{\"step\":1,\"x\":\"\\q\"}",
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        ck_assert_msg(parse_bytes(lines[i], strlen(lines[i]), 1) == -1, "%s", lines[i]);
        ck_assert_msg(error.code == WIRE_BAD_JSON, "%s: %s", lines[i], error.message);
        ck_assert_ptr_nonnull(strstr(error.message, "not JSON at byte "));
    }
}
END_TEST

START_TEST(test_truncated) {
    static const char line[] =
        "{\"type\":\"step\",\"step\":17,\"loss\":\"NaN\",\"x\":[{}],\"scalars\":"
        "{\"a\\n\":1},\"stats\":{\"w_mean\":[1,null],\"own\":[NaN,2e5]}}";
    ck_assert_int_eq(parse_bytes(line, sizeof line - 1, 2), 0);
    for (size_t n = 0; n < sizeof line - 1; n++) {
        ck_assert_int_eq(parse_bytes(line, n, 2), -1);
        ck_assert_int_eq(error.code, WIRE_BAD_JSON);
    }
}
END_TEST

// -- limits --------------------------------------------------------------------------------------

static struct buf line_of(const char *section, size_t n, size_t name_bytes, const char *value) {
    struct buf line = new_buf();
    buf_printf(&line, "{\"step\":1,\"%s\":{", section);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&line, "%s\"%0*zu\":%s", i ? "," : "", (int)name_bytes, i, value);
    }
    buf_puts(&line, "}}");
    return line;
}

static void assert_limit(const char *section, const char *value, size_t most, size_t longest,
                         const char *too_many) {
    struct buf line = line_of(section, most, longest, value);
    parse(buf_str(&line), 1);
    ck_assert_uint_eq(step.n_columns + step.n_scalars, most);
    buf_free(&line);
    line = line_of(section, most + 1, longest, value);
    assert_refused(buf_str(&line), 1, WIRE_BAD_VALUE, too_many);
    buf_free(&line);
    line = line_of(section, 1, longest + 1, value);
    ck_assert_int_eq(parse_bytes(line.data, line.len, 1), -1);
    ck_assert_ptr_nonnull(strstr(error.message, "wants a name of 1 to "));
    buf_free(&line);
}

START_TEST(test_limits) {
    assert_limit("stats", "[1]", LIMIT_CUSTOM_STATS, LIMIT_STAT_NAME,
                 "too many statistics: a step takes 64 of the job's own; it was dropped");
    assert_limit("scalars", "1", LIMIT_SCALARS, LIMIT_SCALAR_NAME,
                 "too many scalars: a step takes 256; it was dropped");
}
END_TEST

// Everything at its limit at once fits.
START_TEST(test_all_limits_at_once) {
    struct buf stats = line_of("stats", LIMIT_CUSTOM_STATS, LIMIT_STAT_NAME, "[1]");
    struct buf scalars = line_of("scalars", LIMIT_SCALARS, LIMIT_SCALAR_NAME, "2");
    struct buf line = new_buf();
    buf_put(&line, scalars.data, scalars.len - 1);
    buf_printf(&line, ",%.*s", (int)(stats.len - strlen("{\"step\":1,") - 2),
               stats.data + strlen("{\"step\":1,"));
    for (unsigned id = 1; id < STAT_COUNT; id++) {
        buf_printf(&line, ",\"%s\":[%u]", stat_name(id), id);
    }
    buf_puts(&line, "}}");
    parse(buf_str(&line), 1);
    ck_assert_uint_eq(step.n_columns, LIMIT_CUSTOM_STATS + STAT_COUNT - 1);
    ck_assert_uint_eq(step.n_scalars, LIMIT_SCALARS);
    ck_assert_uint_eq(strlen(step.columns[63].name), LIMIT_STAT_NAME);
    ck_assert_double_eq(step_stat(&step, STAT_GU_PREV)[0], STAT_GU_PREV);
    ck_assert_double_eq(step.columns[0].values[0], 1);
    buf_free(&stats);
    buf_free(&scalars);
    buf_free(&line);
}
END_TEST

// -- there and back ------------------------------------------------------------------------------

START_TEST(test_print_there_and_back) {
    struct step from;
    step_init(&from);
    uint64_t seed = 7;
    for (int64_t i = 0; i < 2000; i++) {
        size_t n_layers = 1 + random_below(&seed, 5);
        random_step(&from, &seed, n_layers, i * 4398046511, VALUES_DOUBLE);
        struct buf line = new_buf();
        step_print(&from, "step", &line);
        ck_assert_int_eq(buf_str(&line)[line.len - 1], '\n');
        parse(buf_str(&line), n_layers);
        assert_same_step(&from, &step);
        buf_free(&line);
    }
    step_free(&from);
}
END_TEST

START_TEST(test_print) {
    struct buf line = new_buf();
    step_clear(&step, 2);
    step.step = 3;
    step_print(&step, "scalars", &line);
    ck_assert_str_eq(buf_str(&line), "{\"type\":\"scalars\",\"step\":3}\n");
    buf_clear(&line);
    step.time = 1.5;
    step.loss = (double)NAN;
    double *own = step_add_column(&step, STAT_NONE, "o\"", 2);
    own[0] = num_missing();
    own[1] = -(double)INFINITY;
    ck_assert(step_add_scalar(&step, "a", 1, num_missing()));
    step_print(&step, "step", &line);
    ck_assert_str_eq(
        buf_str(&line),
        "{\"type\":\"step\",\"step\":3,\"time\":1.5,\"loss\":\"NaN\",\"scalars\":{\"a\":null},"
        "\"stats\":{\"o\\\"\":[null,\"-Infinity\"]}}\n");
    buf_free(&line);
}
END_TEST

// Adding columns grows the memory; those that were there keep their values.
START_TEST(test_growing) {
    for (size_t n_layers = 1; n_layers <= 1000; n_layers *= 10) {
        step_clear(&step, n_layers);
        for (unsigned i = 0; i < LIMIT_CUSTOM_STATS; i++) {
            char name[20];
            int n = snprintf(name, sizeof name, "c%u", i);
            double *values = step_add_column(&step, STAT_NONE, name, (size_t)n);
            for (size_t l = 0; l < n_layers; l++) {
                values[l] = i * 1000.0 + (double)l;
            }
        }
        ck_assert_ptr_null(step_add_column(&step, STAT_NONE, "one more", 8));
        for (unsigned i = 0; i < LIMIT_CUSTOM_STATS; i++) {
            for (size_t l = 0; l < n_layers; l++) {
                ck_assert_double_eq(step.columns[i].values[l], i * 1000.0 + (double)l);
            }
        }
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_every_key,
        test_every_statistic,
        test_little,
        test_order_and_repetition,
        test_escaped_names,
        test_step_numbers,
        test_times,
        test_wrong_values,
        test_wrong_shapes,
        test_bad_json,
        test_truncated,
        test_limits,
        test_all_limits_at_once,
        test_print_there_and_back,
        test_print,
        test_growing,
    };
    Suite *suite = suite_create("step");
    TCase *cases = tcase_create("step");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    for (size_t i = 0; i < COUNT(tests); i++) {
        tcase_add_test(cases, tests[i]);
    }
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
