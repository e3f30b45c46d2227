// The hello: what it says, each of its mistakes, and the facts that are kept of it.
#include "base/num.h"
#include "tests/unit/support/support.h"
#include "wire/hello.h"
#include "wire/json.h"
#include "wire/step.h"

#include <math.h>

static int parse_into(struct hello *h, const char *line, struct wire_error *error) {
    size_t n = strlen(line);
    char *exact = exact_copy(line, n);
    *error = (struct wire_error){0};
    int rc = hello_parse(h, exact, n, error);
    free(exact);
    return rc;
}

static struct hello parse(const char *line) {
    struct hello h;
    struct wire_error error;
    ck_assert_msg(parse_into(&h, line, &error) == 0, "%s: %s", line, error.message);
    return h;
}

static void assert_refused(const char *line, enum wire_code code, const char *message) {
    static const struct hello empty;
    struct hello h;
    struct wire_error error;
    ck_assert_msg(parse_into(&h, line, &error) == -1, "%s", line);
    ck_assert_str_eq(error.message, message);
    ck_assert_str_eq(wire_code_name(error.code), wire_code_name(code));
    ck_assert_mem_eq(&h, &empty, sizeof h);
}

#define LAYERS "\"layers\":[{\"name\":\"fc1\",\"n\":7850}]"
#define HELLO(more) "{\"type\":\"hello\",\"protocol\":1,\"run\":\"r\"," more LAYERS "}"

// -- what it says --------------------------------------------------------------------------------

START_TEST(test_everything) {
    struct hello h = parse(
        "{\"type\":\"hello\",\"protocol\":1,\"run\":\"Resnet-7.a:b_c\",\"token\":\"s3cret\","
        "\"project\":\"vision\",\"tags\":{\"k\":\"v\"},\"loss\":\"cross_entropy\",\"optimizer\":{"
        "\"name\":\"adamw\",\"lr\":0.1,\"momentum\":0.9,\"nesterov\":true,\"betas\":[0.8,0.99],"
        "\"weight_decay\":1e-4},\"batch_size\":64,\"dataset_size\":60000,\"rank\":1,\"world_size\":"
        "2,"
        "\"resume\":{\"rewind\":500},\"layers\":[{\"name\":\"fc1\",\"n\":7850,\"kind\":\"linear\","
        "\"activation\":\"relu\",\"init\":{\"distribution\":\"normal\"}},{\"name\":\"\\u00e9\","
        "\"n\":1}]}");
    ck_assert_str_eq(h.run, "Resnet-7.a:b_c");
    ck_assert_str_eq(h.token, "s3cret");
    ck_assert_str_eq(h.project, "vision");
    ck_assert_str_eq(h.loss, "cross_entropy");
    ck_assert_str_eq(h.optimizer.name, "adamw");
    ck_assert_double_eq(h.optimizer.lr, 0.1);
    ck_assert_double_eq(h.optimizer.momentum, 0.9);
    ck_assert_double_eq(h.optimizer.beta1, 0.8);
    ck_assert_double_eq(h.optimizer.beta2, 0.99);
    ck_assert_double_eq(h.optimizer.weight_decay, 1e-4);
    ck_assert(h.optimizer.nesterov && h.rewind);
    ck_assert_double_eq(h.batch_size, 64);
    ck_assert_double_eq(h.dataset_size, 60000);
    ck_assert_double_eq(h.rank, 1);
    ck_assert_double_eq(h.world_size, 2);
    ck_assert_int_eq(h.rewind_step, 500);
    ck_assert_uint_eq(h.n_layers, 2);
    ck_assert_str_eq(h.layers[0].name, "fc1");
    ck_assert_double_eq(h.layers[0].n, 7850);
    ck_assert_str_eq(h.layers[0].kind, "linear");
    ck_assert_str_eq(h.layers[0].activation, "relu");
    ck_assert_str_eq(h.layers[1].name, "\xc3\xa9");
    ck_assert_str_eq(h.layers[1].kind, "");
    hello_free(&h);
    hello_free(&h); // an empty one is fine
}
END_TEST

START_TEST(test_the_least) {
    static const char *const lines[] = {
        HELLO(""),
        HELLO("\"token\":null,\"project\":null,\"tags\":null,\"loss\":null,\"optimizer\":null,"
              "\"batch_size\":null,\"dataset_size\":null,\"rank\":null,\"world_size\":null,"
              "\"resume\":null,"),
        HELLO("\"resume\":\"continue\",\"optimizer\":{},\"who\":[{}],")};
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct hello h = parse(lines[i]);
        ck_assert_str_eq(h.token, "");
        ck_assert_str_eq(h.project, "");
        ck_assert_str_eq(h.loss, "");
        ck_assert_str_eq(h.optimizer.name, "");
        ck_assert(num_is_missing(h.optimizer.lr) && num_is_missing(h.optimizer.momentum));
        ck_assert(num_is_missing(h.optimizer.beta1) && num_is_missing(h.optimizer.beta2));
        ck_assert(num_is_missing(h.optimizer.weight_decay) && !h.optimizer.nesterov);
        ck_assert(num_is_missing(h.batch_size) && num_is_missing(h.dataset_size));
        ck_assert_double_eq(h.rank, 0);
        ck_assert_double_eq(h.world_size, 1);
        ck_assert(!h.rewind);
        hello_free(&h);
    }
}
END_TEST

START_TEST(test_rewinds) {
    static const struct {
        const char *to;
        int64_t step;
    } cases[] = {{"-1", -1}, {"0", 0}, {"8796093022207", STEP_MAX}, {"1e3", 1000}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char line[200];
        snprintf(line, sizeof line, HELLO("\"resume\":{\"rewind\":%s},"), cases[i].to);
        struct hello h = parse(line);
        ck_assert(h.rewind);
        ck_assert_int_eq(h.rewind_step, cases[i].step);
        hello_free(&h);
    }
}
END_TEST

START_TEST(test_numbers_that_are_not_finite) {
    struct hello h = parse(HELLO("\"batch_size\":NaN,\"dataset_size\":\"Infinity\",\"optimizer\":{"
                                 "\"lr\":-Infinity,\"momentum\":1e400},\"x\":[NaN],"));
    ck_assert(isnan(h.batch_size) && !num_is_missing(h.batch_size));
    ck_assert_double_eq(h.dataset_size, (double)INFINITY);
    ck_assert_double_eq(h.optimizer.lr, -(double)INFINITY);
    ck_assert_double_eq(h.optimizer.momentum, (double)INFINITY);
    // The facts are strict JSON: the bare tokens have become strings.
    ck_assert_ptr_nonnull(strstr(h.facts, "\"batch_size\":\"NaN\",\"dataset_size\":\"Infinity\""));
    ck_assert_ptr_nonnull(strstr(h.facts, "\"x\":[\"NaN\"]"));
    struct hello again = parse(h.facts);
    ck_assert_str_eq(again.facts, h.facts);
    hello_free(&again);
    hello_free(&h);
}
END_TEST

// -- mistakes ------------------------------------------------------------------------------------

#define NOT_A_RUN "run is missing or not a string of 1 to 128 characters"
#define BAD_RESUME "resume is neither \"continue\" nor {\"rewind\": STEP} with a whole STEP"
#define BAD_RANKS "rank and world_size are not whole numbers with 0 <= rank < world_size"
#define NO_LAYERS "layers is missing or not a list of 1 to 100000 layers"
#define BAD_N "layers[0].n is not a whole number of parameters from 1 on"
#define BAD_NAME "layers[0].name is missing or not a string of 1 to 256 bytes"
#define LAYER(text) "{\"protocol\":1,\"run\":\"r\",\"layers\":[" text "]}"

static const struct {
    const char *line;
    enum wire_code code;
    const char *message;
} mistakes[] = {
    {"", WIRE_BAD_JSON, "the hello cannot be read as a JSON object"},
    {"{", WIRE_BAD_JSON, "the hello cannot be read as a JSON object"},
    {"[1]", WIRE_BAD_JSON, "the hello cannot be read as a JSON object"},
    {HELLO("\"x\":\"\\"), WIRE_BAD_JSON, "the hello cannot be read as a JSON object"},
    {"{\"a\":I", WIRE_BAD_JSON, "the hello cannot be read as a JSON object"},
    {HELLO("\"x\":\"a\\u0000b\","), WIRE_BAD_HELLO, "a string with \\u0000 in it"},
    {"{}", WIRE_BAD_HELLO, "protocol is missing or not a number; expected 1"},
    {"{\"protocol\":\"1\"}", WIRE_BAD_HELLO, "protocol is missing or not a number; expected 1"},
    {"{\"protocol\":2}", WIRE_UNSUPPORTED_PROTOCOL,
     "protocol 2 is not spoken here; this daemon speaks 1"},
    {"{\"protocol\":0.5}", WIRE_UNSUPPORTED_PROTOCOL,
     "protocol 0.5 is not spoken here; this daemon speaks 1"},
    {"{\"protocol\":1}", WIRE_BAD_HELLO, NOT_A_RUN},
    {"{\"protocol\":1,\"run\":5}", WIRE_BAD_HELLO, NOT_A_RUN},
    {"{\"protocol\":1,\"run\":\"\"}", WIRE_BAD_HELLO, NOT_A_RUN},
    {"{\"protocol\":1,\"run\":\"ab/c\"}", WIRE_BAD_HELLO,
     "run has a character it may not have at byte 2; expected A-Z a-z 0-9 . _ : -"},
    {"{\"protocol\":1,\"run\":\"\\u00e9\"}", WIRE_BAD_HELLO,
     "run has a character it may not have at byte 0; expected A-Z a-z 0-9 . _ : -"},
    {HELLO("\"project\":5,"), WIRE_BAD_HELLO, "project is not a string"},
    {HELLO("\"token\":[],"), WIRE_BAD_HELLO, "token is not a string"},
    {HELLO("\"loss\":{},"), WIRE_BAD_HELLO, "loss is not a string"},
    {HELLO("\"batch_size\":\"many\","), WIRE_BAD_HELLO,
     "batch_size is not a number; expected a number or null"},
    {HELLO("\"dataset_size\":true,"), WIRE_BAD_HELLO,
     "dataset_size is not a number; expected a number or null"},
    {HELLO("\"tags\":[],"), WIRE_BAD_HELLO, "tags is not an object"},
    {HELLO("\"optimizer\":\"sgd\","), WIRE_BAD_HELLO, "optimizer is not an object"},
    {HELLO("\"optimizer\":{\"name\":1},"), WIRE_BAD_HELLO, "name is not a string"},
    {HELLO("\"optimizer\":{\"lr\":\"x\"},"), WIRE_BAD_HELLO,
     "lr is not a number; expected a number or null"},
    {HELLO("\"optimizer\":{\"momentum\":[]},"), WIRE_BAD_HELLO,
     "momentum is not a number; expected a number or null"},
    {HELLO("\"optimizer\":{\"weight_decay\":{}},"), WIRE_BAD_HELLO,
     "weight_decay is not a number; expected a number or null"},
    {HELLO("\"optimizer\":{\"betas\":[0.9]},"), WIRE_BAD_HELLO,
     "optimizer.betas is not a list of two numbers"},
    {HELLO("\"optimizer\":{\"betas\":{\"a\":1,\"b\":2}},"), WIRE_BAD_HELLO,
     "optimizer.betas is not a list of two numbers"},
    {HELLO("\"rank\":2,\"world_size\":2,"), WIRE_BAD_HELLO, BAD_RANKS},
    {HELLO("\"rank\":-1,"), WIRE_BAD_HELLO, BAD_RANKS},
    {HELLO("\"rank\":0.5,\"world_size\":2,"), WIRE_BAD_HELLO, BAD_RANKS},
    {HELLO("\"world_size\":0,"), WIRE_BAD_HELLO, BAD_RANKS},
    {HELLO("\"world_size\":\"NaN\","), WIRE_BAD_HELLO, BAD_RANKS},
    {HELLO("\"resume\":\"never\","), WIRE_BAD_HELLO, BAD_RESUME},
    {HELLO("\"resume\":5,"), WIRE_BAD_HELLO, BAD_RESUME},
    {HELLO("\"resume\":[5],"), WIRE_BAD_HELLO, BAD_RESUME},
    {HELLO("\"resume\":{},"), WIRE_BAD_HELLO, BAD_RESUME},
    {HELLO("\"resume\":{\"rewind\":null},"), WIRE_BAD_HELLO, BAD_RESUME},
    {HELLO("\"resume\":{\"rewind\":-2},"), WIRE_BAD_HELLO, BAD_RESUME},
    {HELLO("\"resume\":{\"rewind\":1.5},"), WIRE_BAD_HELLO, BAD_RESUME},
    {HELLO("\"resume\":{\"rewind\":8796093022208},"), WIRE_BAD_HELLO, BAD_RESUME},
    {HELLO("\"resume\":{\"rewind\":\"NaN\"},"), WIRE_BAD_HELLO, BAD_RESUME},
    {"{\"protocol\":1,\"run\":\"r\"}", WIRE_BAD_HELLO, NO_LAYERS},
    {LAYER(""), WIRE_BAD_HELLO, NO_LAYERS},
    {"{\"protocol\":1,\"run\":\"r\",\"layers\":{\"a\":1}}", WIRE_BAD_HELLO, NO_LAYERS},
    {LAYER("5"), WIRE_BAD_HELLO, BAD_NAME},
    {LAYER("{\"n\":5}"), WIRE_BAD_HELLO, BAD_NAME},
    {LAYER("{\"name\":\"\",\"n\":5}"), WIRE_BAD_HELLO, BAD_NAME},
    {LAYER("{\"name\":\"a\"}"), WIRE_BAD_HELLO, BAD_N},
    {LAYER("{\"name\":\"a\",\"n\":0}"), WIRE_BAD_HELLO, BAD_N},
    {LAYER("{\"name\":\"a\",\"n\":1.5}"), WIRE_BAD_HELLO, BAD_N},
    {LAYER("{\"name\":\"a\",\"n\":\"5\"}"), WIRE_BAD_HELLO, BAD_N},
    {LAYER("{\"name\":\"a\",\"n\":1e400}"), WIRE_BAD_HELLO, BAD_N},
    {LAYER("{\"name\":\"a\",\"n\":NaN}"), WIRE_BAD_HELLO, BAD_N},
    {LAYER("{\"name\":\"a\",\"n\":1,\"init\":5}"), WIRE_BAD_HELLO,
     "layers[0].init is not an object"},
    {LAYER("{\"name\":\"a\",\"n\":1,\"kind\":5}"), WIRE_BAD_HELLO, "kind is not a string"},
    {LAYER("{\"name\":\"a\",\"n\":1,\"activation\":5}"), WIRE_BAD_HELLO,
     "activation is not a string"},
    {LAYER("{\"name\":\"a\",\"n\":1},{\"name\":\"b\",\"n\":1},{\"name\":\"a\",\"n\":2}"),
     WIRE_BAD_HELLO, "two layers are named \"a\""},
};

START_TEST(test_mistake) {
    assert_refused(mistakes[_i].line, mistakes[_i].code, mistakes[_i].message);
}
END_TEST

// A text of n letters as the value of a key, the rest of the hello around it.
static void assert_longest(const char *before, const char *after, int most, const char *message) {
    struct buf line = new_buf();
    buf_printf(&line, "%s%0*d%s", before, most, 7, after);
    struct hello h = parse(buf_str(&line));
    hello_free(&h);
    buf_clear(&line);
    buf_printf(&line, "%s%0*d%s", before, most + 1, 7, after);
    assert_refused(buf_str(&line), WIRE_BAD_HELLO, message);
    buf_free(&line);
}

START_TEST(test_longest_texts) {
    static const char more[] = "{\"protocol\":1,\"run\":\"r\"," LAYERS ",";
    char before[200];
    assert_longest("{\"protocol\":1,\"run\":\"", "\"," LAYERS "}", LIMIT_RUN_NAME, NOT_A_RUN);
    snprintf(before, sizeof before, "%s\"project\":\"", more);
    assert_longest(before, "\"}", LIMIT_PROJECT_NAME, "project has 129 bytes, the most is 128");
    snprintf(before, sizeof before, "%s\"token\":\"", more);
    assert_longest(before, "\"}", LIMIT_TOKEN_BYTES, "token has 4097 bytes, the most is 4096");
    static const char layer[] = "{\"protocol\":1,\"run\":\"r\",\"layers\":[{\"n\":1,";
    snprintf(before, sizeof before, "%s\"name\":\"", layer);
    assert_longest(before, "\"}]}", LIMIT_LAYER_NAME, BAD_NAME);
    snprintf(before, sizeof before, "%s\"name\":\"a\",\"kind\":\"", layer);
    assert_longest(before, "\"}]}", LIMIT_LAYER_NAME, "kind has 257 bytes, the most is 256");
}
END_TEST

START_TEST(test_truncated) {
    static const char line[] =
        HELLO("\"optimizer\":{\"name\":\"a\\u00e9\"},\"x\":[NaN,-Infinity],");
    for (size_t n = 0; n < sizeof line - 1; n++) {
        struct hello h;
        struct wire_error error;
        char *exact = exact_copy(line, n);
        ck_assert_int_eq(hello_parse(&h, exact, n, &error), -1);
        ck_assert_int_eq(error.code, WIRE_BAD_JSON);
        free(exact);
    }
}
END_TEST

// -- facts ---------------------------------------------------------------------------------------

// The facts are the line without its secret and without what only this connection asked for.
START_TEST(test_facts) {
    struct hello h =
        parse("{ \"type\":\"hello\", \"tok\\u0065n\":\"s3cret\",\"protocol\":1,\"token\":"
              "\"s3cret\",\"run\":\"r\",\"x\" : [1, {\"token\":2}] ,\"resume\":"
              "{\"rewind\":5}," LAYERS " }");
    ck_assert_str_eq(h.facts, "{\"type\":\"hello\",\"protocol\":1,\"run\":\"r\",\"x\":[1, "
                              "{\"token\":2}]," LAYERS "}");
    hello_free(&h);
}
END_TEST

START_TEST(test_facts_there_and_back) {
    struct hello h = parse(HELLO("\"resume\":{\"rewind\":3},\"token\":\"t\",\"batch_size\":NaN,"));
    static const int64_t rewinds[] = {HELLO_NO_REWIND, -1, 0, STEP_MAX};
    for (size_t i = 0; i < COUNT(rewinds); i++) {
        struct buf line = new_buf();
        hello_print(h.facts, rewinds[i], &line);
        ck_assert_int_eq(buf_str(&line)[line.len - 1], '\n');
        struct hello again = parse(buf_str(&line));
        ck_assert_str_eq(again.facts, h.facts);
        ck_assert_str_eq(again.token, "");
        ck_assert_int_eq(again.rewind, rewinds[i] != HELLO_NO_REWIND);
        ck_assert_int_eq(again.rewind_step, again.rewind ? rewinds[i] : 0);
        ck_assert(hello_same_layers(&h, &again));
        hello_free(&again);
        buf_free(&line);
    }
    hello_free(&h);
}
END_TEST

START_TEST(test_same_layers) {
    static const char *const others[] = {
        LAYER("{\"name\":\"a\",\"n\":1}"),
        LAYER("{\"name\":\"b\",\"n\":2},{\"name\":\"a\",\"n\":1}"),
        LAYER("{\"name\":\"a\",\"n\":1},{\"name\":\"b\",\"n\":3}"),
        LAYER("{\"name\":\"a\",\"n\":1},{\"name\":\"c\",\"n\":2}"),
        LAYER("{\"name\":\"a\",\"n\":1},{\"name\":\"b\",\"n\":2},{\"name\":\"c\",\"n\":1}")};
    struct hello h = parse(LAYER("{\"name\":\"a\",\"n\":1},{\"name\":\"b\",\"n\":2}"));
    for (size_t i = 0; i < COUNT(others); i++) {
        struct hello other = parse(others[i]);
        ck_assert(!hello_same_layers(&h, &other) && !hello_same_layers(&other, &h));
        hello_free(&other);
    }
    struct hello same =
        parse(LAYER("{\"name\":\"a\",\"n\":1,\"kind\":\"x\"},{\"n\":2.0,\"name\":\"\\u0062\"}"));
    ck_assert(hello_same_layers(&h, &same));
    hello_free(&same);
    hello_free(&h);
}
END_TEST

// -- many layers ---------------------------------------------------------------------------------

static struct buf line_of_layers(size_t n, size_t twin_of_last) {
    struct buf line = new_buf();
    buf_puts(&line, "{\"protocol\":1,\"run\":\"r\",\"layers\":[");
    for (size_t i = 0; i < n; i++) {
        size_t name = i + 1 == n ? twin_of_last : i;
        buf_printf(&line, "%s{\"name\":\"block.%zu.weight\",\"n\":%zu}", i ? "," : "", name, i + 1);
    }
    buf_puts(&line, "]}");
    return line;
}

// With what takes a time that grows with the square, this ends in the test's timeout.
START_TEST(test_many_layers) {
    struct buf line = line_of_layers(LIMIT_LAYERS, LIMIT_LAYERS - 1);
    struct hello h = parse(buf_str(&line));
    ck_assert_uint_eq(h.n_layers, LIMIT_LAYERS);
    ck_assert_str_eq(h.layers[99999].name, "block.99999.weight");
    ck_assert_double_eq(h.layers[99999].n, 100000);
    hello_free(&h);
    buf_free(&line);
    line = line_of_layers(LIMIT_LAYERS, 500);
    assert_refused(buf_str(&line), WIRE_BAD_HELLO, "two layers are named \"block.500.weight\"");
    buf_free(&line);
    line = line_of_layers(LIMIT_LAYERS + 1, LIMIT_LAYERS);
    assert_refused(buf_str(&line), WIRE_BAD_HELLO, NO_LAYERS);
    buf_free(&line);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_everything,    test_the_least,   test_rewinds, test_numbers_that_are_not_finite,
        test_longest_texts, test_truncated,   test_facts,   test_facts_there_and_back,
        test_same_layers,   test_many_layers,
    };
    Suite *suite = suite_of("hello", tests, COUNT(tests));
    TCase *table = tcase_create("mistakes");
    tcase_add_loop_test(table, test_mistake, 0, (int)COUNT(mistakes));
    suite_add_tcase(suite, table);
    return run_suite(suite);
}
