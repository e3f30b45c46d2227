// The JSON scanner: what it takes and refuses, what it reads, and that it never reads beyond the
// end.
#include "base/num.h"
#include "tests/unit/support/support.h"
#include "wire/json.h"

#include <math.h>

// Takes the whole text as one value, from memory that ends where it ends.
static bool accepts_bytes(const char *text, size_t n) {
    char *exact = exact_copy(text, n);
    struct json j;
    json_init(&j, exact, n);
    bool ok = json_skip(&j, NULL) && json_at_end(&j);
    ck_assert(ok ? j.error == NULL && json_offset(&j) == n : json_offset(&j) <= n);
    free(exact);
    return ok;
}

static bool accepts(const char *text) {
    return accepts_bytes(text, strlen(text));
}

START_TEST(test_accepted) {
    static const char *const texts[] = {
        "{}",
        "[]",
        " \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } } \n",
        "\"\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\ude00\"",
        "\"\xc3\xa9 \x7f\"",
        "0",
        "-0",
        "-1.5e+10",
        "true",
        "false",
        "null",
        "NaN",
        "Infinity",
        "-Infinity",
        "[NaN,-Infinity,Infinity]",
        "{\"a\":1,\"a\":2}",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", // 32 deep
        "[\"[\"]",
        "[\"a\\\\\",1]",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        ck_assert_msg(accepts(texts[i]), "%s", texts[i]);
    }
}
END_TEST

START_TEST(test_refused) {
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "[",
        "}",
        "]",
        "{]",
        "[}",
        "[1,]",
        "{\"a\":1,}",
        "[,1]",
        "{,}",
        "[,]",
        "[1 2]",
        "[1,,2]",
        "{\"a\" 1}",
        "{\"a\":}",
        "{\"a\"}",
        "{a:1}",
        "{1:1}",
        "{'a':1}",
        "{null:1}",
        "{\"a\":1 \"b\":2}",
        "[1]]",
        "{}{}",
        "1 2",
        "tru",
        "nul",
        "fals",
        "TRUE",
        "nan",
        "inf",
        "+1",
        "01",
        "1.",
        ".5",
        "1e",
        "-",
        "-Inf",
        "Infinit",
        "Na",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12G4\"",
        "\"\\U0041\"",
        "\"\t\"",
        "\"\n\"",
        "\"\x01\"",
        "\"\x1f\"",
        "// c\n1",
        "[1/**/]",
        "\xef\xbb\xbf{}",
        "{\"a\":1}x",
        "[1\v]",
        "\f1",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", // 33 deep
        "[{\"a\":[1,{\"b\":tru}]}]",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        ck_assert_msg(!accepts(texts[i]), "%s", texts[i]);
    }
    ck_assert(!accepts_bytes("[1]\0", 4));
    ck_assert(!accepts_bytes("[\0]", 3));
    ck_assert(!accepts_bytes("\"\0\"", 3));
    ck_assert(!accepts_bytes("\"\\\0\"", 4));
    ck_assert(!accepts_bytes("\"\\u00\0\0\"", 8));
}
END_TEST

START_TEST(test_hostile_depth) {
    size_t n = 1000000;
    char *text = malloc(n);
    ck_assert_ptr_nonnull(text);
    memset(text, '[', n);
    ck_assert(!accepts_bytes(text, n));
    for (size_t i = 0; i + 5 < n; i += 5) {
        memcpy(text + i, "{\"a\":", 5);
    }
    ck_assert(!accepts_bytes(text, n));
    free(text);
}
END_TEST

static const char document[] = "{\"type\":\"step\",\"n\":[-1.25e-3,0,NaN,\"Infinity\",null,-"
                               "Infinity],\"s\":\"a\\\"\\u00e9\\\\\","
                               "\"o\":{\"t\":true,\"f\":false,\"e\":{},\"l\":[[],[{}]]}}";

START_TEST(test_truncated) {
    ck_assert(accepts(document));
    for (size_t n = 0; n < sizeof document - 1; n++) {
        ck_assert_msg(!accepts_bytes(document, n), "%.*s", (int)n, document);
    }
}
END_TEST

START_TEST(test_errors_and_offsets) {
    static const struct {
        const char *text, *error;
        size_t offset;
    } cases[] = {{"[1,2,]", "a comma before the closing bracket", 5},
                 {"{\"a\":1,}", "a comma before the closing bracket", 7},
                 {"[1 2]", "expected ',' or ']'", 3},
                 {"{\"a\":1 2}", "expected ',' or '}'", 7},
                 {"{a:1}", "expected a key", 1},
                 {"{\"a\"1}", "expected ':'", 4},
                 {"[\"\t\"]", "a control character in a string", 2},
                 {"[\"abc", "unfinished string", 5},
                 {"[\"\\q\"]", "an escape that JSON does not know", 4},
                 {"[\"\\u00x0\"]", "\\u wants four hexadecimal digits", 6},
                 {"[1,x]", "expected a value", 3}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json j;
        json_init(&j, cases[i].text, strlen(cases[i].text));
        ck_assert(!json_skip(&j, NULL));
        ck_assert_str_eq(j.error, cases[i].error);
        ck_assert_msg(json_offset(&j) == cases[i].offset, "%s: %zu", cases[i].text,
                      json_offset(&j));
        // Nothing works any longer, and the first error stays.
        struct slice s;
        double x;
        ck_assert(!json_number(&j, &x) && !json_string(&j, &s) && !json_object(&j));
        ck_assert(!json_array(&j) && !json_element(&j) && !json_key(&j, &s) && !json_at_end(&j));
        ck_assert_str_eq(j.error, cases[i].error);
    }
}
END_TEST

START_TEST(test_peek) {
    static const struct {
        const char *text;
        enum json_kind kind;
    } cases[] = {
        {"{", JSON_OBJECT},   {" [", JSON_ARRAY}, {"\"", JSON_STRING}, {"t", JSON_BOOL},
        {"f", JSON_BOOL},     {"n", JSON_NULL},   {"7", JSON_NUMBER},  {"-Infinity", JSON_NUMBER},
        {"NaN", JSON_NUMBER}, {"I", JSON_NUMBER}, {"", JSON_NONE},     {"  ", JSON_NONE},
        {"x", JSON_NONE},     {"]", JSON_NONE}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json j;
        json_init(&j, cases[i].text, strlen(cases[i].text));
        ck_assert_int_eq(json_peek(&j), cases[i].kind);
        ck_assert_int_eq(json_peek(&j), cases[i].kind);
    }
}
END_TEST

START_TEST(test_numbers) {
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"1e3", 1000},
                 {"-0", -0.0},
                 {"1e400", (double)INFINITY},
                 {"Infinity", (double)INFINITY},
                 {"-Infinity", -(double)INFINITY},
                 {"\"Infinity\"", (double)INFINITY},
                 {"\"-Infinity\"", -(double)INFINITY},
                 {"NaN", (double)NAN},
                 {"\"NaN\"", (double)NAN}};
    struct json j;
    double x;
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_init(&j, cases[i].text, strlen(cases[i].text));
        ck_assert(json_number(&j, &x) && json_at_end(&j));
        ASSERT_SAME_BITS(x, cases[i].value);
    }
    json_init(&j, "null", 4);
    ck_assert(json_number(&j, &x) && json_at_end(&j) && num_is_missing(x));
    // Something else: no error, and it is still there to be taken.
    static const char *const others[] = {"\"NaNs\"", "\"5\"",      "true", "[1]",
                                         "{}",       "\"Infinity", "nul"};
    for (size_t i = 0; i < COUNT(others); i++) {
        char *exact = exact_copy(others[i], strlen(others[i]));
        json_init(&j, exact, strlen(others[i]));
        ck_assert(!json_number(&j, &x) && !j.error && json_offset(&j) == 0);
        free(exact);
    }
}
END_TEST

START_TEST(test_walk) {
    struct json j;
    struct slice key, raw;
    double x;
    static const char text[] = " {\"a\" : [1, 2 ,3], \"b\\n\":\"x\\ty\" ,\"c\": {\"d\":[]}} ";
    json_init(&j, text, sizeof text - 1);
    ck_assert(json_object(&j) && json_key(&j, &key) && slice_is(key, "a"));
    ck_assert(json_array(&j));
    for (int i = 1; i <= 3; i++) {
        ck_assert(json_element(&j) && json_number(&j, &x) && x == i);
    }
    ck_assert(!json_element(&j) && !j.error);
    ck_assert(json_key(&j, &key) && slice_is(key, "b\\n"));
    ck_assert(json_string(&j, &raw) && slice_is(raw, "x\\ty"));
    ck_assert(json_key(&j, &key) && slice_is(key, "c"));
    ck_assert(!json_string(&j, &raw) && !j.error);
    ck_assert(json_skip(&j, &raw) && slice_is(raw, "{\"d\":[]}"));
    ck_assert(!json_key(&j, &key) && json_at_end(&j));
    ck_assert(!slice_is(raw, "{\"d\":[") && !slice_is(raw, ""));
}
END_TEST

START_TEST(test_member) {
    static const char text[] = "{\"a\":1,\"b\":[2],\"a\":3,\"c\":}";
    struct slice v;
    ck_assert(json_member(text, sizeof text - 1, "a", &v) && slice_is(v, "1"));
    ck_assert(json_member(text, sizeof text - 1, "b", &v) && slice_is(v, "[2]"));
    ck_assert(!json_member(text, sizeof text - 1, "c", &v));
    ck_assert(!json_member(text, sizeof text - 1, "d", &v));
    ck_assert(!json_member("[1]", 3, "a", &v));
    ck_assert(!json_member("", 0, "a", &v));
}
END_TEST

// -- strings -------------------------------------------------------------------------------------

static bool unescapes_to(const char *raw, const char *plain) {
    struct buf out = new_buf();
    char *exact = exact_copy(raw, strlen(raw));
    bool ok = json_unescape((struct slice){exact, strlen(raw)}, &out) &&
              strcmp(buf_str(&out), plain) == 0;
    free(exact);
    buf_free(&out);
    return ok;
}

static bool unescapes(const char *raw) {
    struct buf out = new_buf();
    char *exact = exact_copy(raw, strlen(raw));
    bool ok = json_unescape((struct slice){exact, strlen(raw)}, &out);
    free(exact);
    buf_free(&out);
    return ok;
}

START_TEST(test_unescape) {
    ck_assert(unescapes_to("", ""));
    ck_assert(unescapes_to("plain \xc3\xa9", "plain \xc3\xa9"));
    ck_assert(unescapes_to("\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"));
    ck_assert(unescapes_to("\\u0041\\u00e9\\u20AC\\u007f\\u0080\\u07ff\\u0800\\uffff",
                           "A\xc3\xa9\xe2\x82\xac\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"));
    ck_assert(unescapes_to("\\ud83d\\uDE00!", "\xf0\x9f\x98\x80!"));
    ck_assert(unescapes_to("\\uD800\\uDC00\\uDBFF\\uDFFF", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"));
    ck_assert(unescapes_to("\\uD7FF\\uE000", "\xed\x9f\xbf\xee\x80\x80"));
    static const char *const none[] = {"\\u0000",        "a\\u0000b",      "\\ud800",
                                       "\\udc00",        "\\ud800x",       "\\ud800\\n",
                                       "\\ud800\\ud800", "\\udc00\\ud800", "\\ud83d\\u0041",
                                       "x\\udfff",       "\\ud800\\ue000"};
    for (size_t i = 0; i < COUNT(none); i++) {
        ck_assert_msg(!unescapes(none[i]), "%s", none[i]);
    }
    struct buf small;
    buf_init(&small, 2);
    ck_assert(!json_unescape((struct slice){"abc", 3}, &small));
    buf_free(&small);
}
END_TEST

// Whatever is put as a string comes back from it.
START_TEST(test_put_string) {
    uint64_t seed = 3;
    for (int i = 0; i < 20000; i++) {
        char text[40];
        size_t n = random_below(&seed, sizeof text);
        for (size_t k = 0; k < n; k++) {
            static const char some[] = "\"\\/\n\t\b\f\r\x01\x1f\x7f a";
            text[k] = some[random_below(&seed, sizeof some - 1)];
        }
        struct buf json = new_buf(), back = new_buf();
        json_put_string(&json, text, n);
        struct json j;
        struct slice raw;
        json_init(&j, json.data, json.len);
        ck_assert(json_string(&j, &raw) && json_at_end(&j) && json_unescape(raw, &back));
        ck_assert_uint_eq(back.len, n);
        ck_assert_mem_eq(buf_str(&back), text, n);
        buf_free(&json);
        buf_free(&back);
    }
}
END_TEST

static void assert_quoted(const char *text, const char *expected) {
    struct buf out = new_buf();
    char *exact = exact_copy(text, strlen(text));
    json_quote_nonfinite(exact, strlen(text), &out);
    ck_assert_str_eq(buf_str(&out), expected);
    free(exact);
    buf_free(&out);
}

START_TEST(test_quote_nonfinite) {
    assert_quoted("[NaN,-Infinity,Infinity,-1]", "[\"NaN\",\"-Infinity\",\"Infinity\",-1]");
    assert_quoted("{\"NaN\":\"Infinity \\\"NaN\",\"a\\\\\":NaN}",
                  "{\"NaN\":\"Infinity \\\"NaN\",\"a\\\\\":\"NaN\"}");
    assert_quoted("", "");
    // Texts that were not validated are no danger, whatever comes of them.
    assert_quoted("\"\\", "\"\\");
    assert_quoted("[N", "[\"N\"");
    assert_quoted("-I", "\"-I\"");
}
END_TEST

// -- UTF-8 ---------------------------------------------------------------------------------------

// A second opinion, by what a sequence decodes to rather than by the standard's table.
static size_t sequence_by_value(const unsigned char *p, size_t left) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80             ? 1
               : (p[0] & 0xE0) == 0xC0 ? 2
               : (p[0] & 0xF0) == 0xE0 ? 3
               : (p[0] & 0xF8) == 0xF0 ? 4
                                       : 0;
    if (n == 0 || n > left) {
        return 0;
    }
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
        c = c << 6 | (p[i] & 0x3F);
    }
    return c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000) ? 0 : n;
}

static void compare_utf8(const unsigned char *bytes, size_t n) {
    size_t bad = SIZE_MAX, at = 0;
    while (at < n) {
        size_t length = sequence_by_value(bytes + at, n - at);
        if (length == 0) {
            break;
        }
        at += length;
    }
    bool valid = utf8_valid((const char *)bytes, n, &bad);
    if (valid != (at == n) || (!valid && bad != at)) {
        ck_abort_msg("%zu bytes from %02x %02x: bad at %zu, not %zu", n, bytes[0], bytes[1], bad,
                     at);
    }
}

START_TEST(test_utf8_all_short_sequences) {
    unsigned char b[4];
    for (uint32_t x = 0; x < 0x1000000; x++) {
        if ((x & 0xFF) > 0x82 && (x & 0xFF) < 0xBE) {
            continue; // nothing changes in there for a third byte
        }
        b[0] = (unsigned char)(x >> 16);
        b[1] = (unsigned char)(x >> 8);
        b[2] = (unsigned char)x;
        compare_utf8(b, 3);
        if (b[0] >= 0xEF && b[2] >= 0x7F) {
            static const unsigned char fourth[] = {0, 0x7F, 0x80, 0xBF, 0xC0, 0xFF};
            for (size_t i = 0; i < COUNT(fourth); i++) {
                b[3] = fourth[i];
                compare_utf8(b, 4);
            }
        }
    }
}
END_TEST

START_TEST(test_utf8_anywhere) {
    uint64_t seed = 4;
    for (int i = 0; i < 100000; i++) {
        unsigned char text[40];
        size_t n = 2 + random_below(&seed, sizeof text - 1);
        memset(text, 'a', n);
        memcpy(text + random_below(&seed, n - 1), "\xc3\xa9", 2);
        if (random_below(&seed, 2)) {
            text[random_below(&seed, n)] = (unsigned char)random_next(&seed);
        }
        unsigned char *exact = (unsigned char *)exact_copy(text, n);
        compare_utf8(exact, n);
        free(exact);
    }
    size_t bad;
    ck_assert(utf8_valid("", 0, &bad));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_accepted,      test_refused,
        test_hostile_depth, test_truncated,
        test_peek,          test_errors_and_offsets,
        test_numbers,       test_walk,
        test_member,        test_unescape,
        test_put_string,    test_quote_nonfinite,
        test_utf8_anywhere, test_utf8_all_short_sequences,

    };
    return run_suite(suite_of("json", tests, COUNT(tests)));
}
