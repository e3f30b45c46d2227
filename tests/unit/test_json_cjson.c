// The JSON scanner beside cJSON on seeded documents that were damaged: both take the same texts and
// read the same from them.
#include "tests/unit/support/support.h"
#include "wire/json.h"

#include <cjson/cJSON.h>

static bool accepts_bytes(const char *text, size_t n) {
    char *exact = exact_copy(text, n);
    struct json j;
    json_init(&j, exact, n);
    bool ok = json_skip(&j, NULL) && json_at_end(&j);
    free(exact);
    return ok;
}

static void assert_same_value(struct json *j, const cJSON *item);

static void assert_same_text(struct slice raw, const char *text) {
    struct buf plain = new_buf();
    ck_assert(json_unescape(raw, &plain));
    ck_assert_str_eq(buf_str(&plain), text);
    buf_free(&plain);
}

static void assert_same_container(struct json *j, const cJSON *item) {
    struct slice key;
    const cJSON *child = item->child;
    if (cJSON_IsObject(item)) {
        ck_assert(json_object(j));
        for (; json_key(j, &key); child = child->next) {
            ck_assert_ptr_nonnull(child);
            assert_same_text(key, child->string);
            assert_same_value(j, child);
        }
    } else {
        ck_assert(json_array(j));
        for (; json_element(j); child = child->next) {
            ck_assert_ptr_nonnull(child);
            assert_same_value(j, child);
        }
    }
    ck_assert_ptr_null(child);
}

static void assert_same_value(struct json *j, const cJSON *item) {
    struct slice raw;
    double x;
    enum json_kind kind = json_peek(j);
    if (kind == JSON_OBJECT || kind == JSON_ARRAY) {
        ck_assert_int_eq(kind == JSON_OBJECT, cJSON_IsObject(item));
        assert_same_container(j, item);
    } else if (kind == JSON_STRING) {
        ck_assert(cJSON_IsString(item) && json_string(j, &raw));
        assert_same_text(raw, item->valuestring);
    } else if (kind == JSON_NUMBER) {
        ck_assert(cJSON_IsNumber(item) && json_number(j, &x));
        ASSERT_SAME_BITS(x, item->valuedouble);
    } else {
        ck_assert(json_skip(j, &raw));
        ck_assert(slice_is(raw, cJSON_IsTrue(item)    ? "true"
                                : cJSON_IsFalse(item) ? "false"
                                                      : "null"));
    }
}

// NULL when cJSON does not take the whole text.
static cJSON *parse_with_cjson(const char *text, size_t n) {
    const char *end = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(text, n, &end, 0);
    size_t rest = root ? (size_t)(end - text) : 0;
    if (root && rest + strspn(text + rest, " \t\r\n") != n) {
        cJSON_Delete(root);
        root = NULL;
    }
    return root;
}

static void compare(const char *text, size_t n, bool both_ways) {
    bool ours = accepts_bytes(text, n);
    cJSON *root = parse_with_cjson(text, n);
    if (both_ways ? ours != (root != NULL) : ours && !root) {
        ck_abort_msg("%s only: %.*s", ours ? "taken here" : "taken by cJSON", (int)n, text);
    }
    if (ours && root) {
        struct json j;
        json_init(&j, text, n);
        assert_same_value(&j, root);
        ck_assert(json_at_end(&j));
    }
    cJSON_Delete(root);
}

#define TOKENS_MAX 64
static const char *const tokens[] = {
    "{",    "}",    "[",          "]",    ",",  ":",      "\"a\"",
    "\"\"", "true", "false",      "null", "17", "-2.5e3", "\"\\u00e9\\n\"",
    " ",    "\n",   "\"]\\\"{\"", "1.5"};

// A random value as tokens; returns how many.
static size_t random_value(uint64_t *seed, int depth, const char **out, size_t room) {
    size_t n = 0, kind = random_below(seed, 4);
    if (depth == 0 || room < 12 || kind < 2) {
        static const char *const plain[] = {"\"a\"", "17", "-2.5e3", "true", "null", "\"]\\\"{\""};
        out[0] = plain[random_below(seed, COUNT(plain))];
        return 1;
    }
    size_t members = random_below(seed, 4);
    out[n++] = kind == 2 ? "{" : "[";
    for (size_t i = 0; i < members && n + 16 < room; i++) {
        if (i > 0) {
            out[n++] = ",";
        }
        if (kind == 2) {
            out[n++] = "\"\\u00e9\\n\"";
            out[n++] = ":";
        }
        n += random_value(seed, depth - 1, out + n, room - n - 4);
    }
    out[n++] = kind == 2 ? "}" : "]";
    return n;
}

// Documents with some of their tokens changed: both must take or refuse them alike.
START_TEST(test_like_cjson_by_tokens) {
    uint64_t seed = 5;
    int taken = 0;
    for (int i = 0; i < 200000; i++) {
        const char *list[TOKENS_MAX + 4];
        size_t n = random_value(&seed, 4, list, TOKENS_MAX);
        for (size_t k = random_below(&seed, 4); k > 0; k--) {
            list[random_below(&seed, n)] = tokens[random_below(&seed, COUNT(tokens))];
        }
        char text[TOKENS_MAX * 16];
        size_t length = 0;
        for (size_t k = 0; k < n; k++) {
            size_t token = strlen(list[k]);
            memcpy(text + length, list[k], token + 1);
            length += token;
        }
        compare(text, length, true);
        taken += accepts_bytes(text, length);
    }
    ck_assert_int_gt(taken, 50000); // else the documents test nothing
    ck_assert_int_lt(taken, 150000);
}
END_TEST

// Bytes changed at random: cJSON is the more lenient of the two ("01", control characters), so that
// what is taken here must be taken there and mean the same. cJSON has no bare NaN.
START_TEST(test_like_cjson_by_bytes) {
    static const char from[] =
        "{\"a\":[1,-2.5e-3,\"x\\n\\u0041\",true,null,{\"b\":{}}],\"c\":\"\"}";
    static const char bytes[] = "{}[]\":,\\0129-+.eEtrufalsn \n\tb/\x80\x01";
    uint64_t seed = 6;
    int taken = 0;
    for (int i = 0; i < 300000; i++) {
        char text[sizeof from];
        memcpy(text, from, sizeof from);
        for (size_t k = 1 + random_below(&seed, 3); k > 0; k--) {
            text[random_below(&seed, sizeof from - 1)] =
                bytes[random_below(&seed, sizeof bytes - 1)];
        }
        if (!strstr(text, "\\u0000")) {
            compare(text, sizeof from - 1, false);
            taken += accepts_bytes(text, sizeof from - 1);
        }
    }
    ck_assert_int_gt(taken, 10000);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_like_cjson_by_tokens, test_like_cjson_by_bytes};
    return run_suite(suite_of("json beside cJSON", tests, COUNT(tests)));
}
