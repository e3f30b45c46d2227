// Silences: what they match, when they are in force, and what is refused.
#include "wire/silence.h"

#include "tests/unit/support/support.h"

static struct buf error;

static int parse(struct silence *s, const char *json, double now) {
    buf_clear(&error);
    return silence_parse(s, json, strlen(json), now, &error);
}

static const struct silence_subject subject = {
    .label = {"overheating", "resnet-7", "vision", "fc1", "warning"},
    .own = "teams=x\nteam=vi=sion\n"};

static bool matches(const char *matchers) {
    struct silence s;
    struct buf json;
    buf_init(&json, 4096);
    buf_printf(&json, "{\"matchers\":[%s],\"duration\":60}", matchers);
    ck_assert_msg(parse(&s, buf_str(&json), 100) == 0, "%s: %s", buf_str(&json), buf_str(&error));
    bool result = silence_matches(&s, &subject);
    // As it is stored it says the same.
    buf_clear(&json);
    silence_print_matchers(&s, &json);
    struct silence again = {0};
    ck_assert_int_eq(silence_parse_matchers(&again, buf_str(&json), json.len, &error), 0);
    ck_assert_int_eq(silence_matches(&again, &subject), result);
    silence_free(&again);
    silence_free(&s);
    buf_free(&json);
    return result;
}

START_TEST(test_matchers) {
    ck_assert(matches("{\"name\":\"run\",\"value\":\"resnet-7\"}"));
    ck_assert(!matches("{\"name\":\"run\",\"value\":\"resnet\"}"));
    ck_assert(matches("{\"name\":\"alertname\",\"value\":\"overheating\"}"));
    ck_assert(matches("{\"name\":\"rule\",\"value\":\"over.*\",\"is_regex\":true}"));
    ck_assert(!matches("{\"name\":\"rule\",\"value\":\"over\",\"is_regex\":true}"));
    ck_assert(matches("{\"name\":\"run\",\"value\":\"a|resnet-7\",\"isRegex\":true}"));
    ck_assert(
        !matches("{\"name\":\"run\",\"value\":\"resnet-7|a\",\"isRegex\":true,\"isEqual\":false}"));
    ck_assert(matches("{\"name\":\"layer\",\"value\":\"\",\"is_equal\":false}"));
    ck_assert(matches("{\"name\":\"severity\",\"value\":\"warning\"},{\"name\":\"project\","
                      "\"value\":\"vision\"}"));
    ck_assert(!matches(
        "{\"name\":\"severity\",\"value\":\"warning\"},{\"name\":\"layer\",\"value\":\"fc2\"}"));
    // Labels of the alert's rule.
    ck_assert(matches("{\"name\":\"team\",\"value\":\"vi=sion\"}"));
    ck_assert(matches("{\"name\":\"team\",\"value\":\"vi.*\",\"is_regex\":true}"));
    ck_assert(!matches("{\"name\":\"team\",\"value\":\"vi=sion\",\"is_equal\":false}"));
    ck_assert(!matches("{\"name\":\"pager\",\"value\":\"1\"}"));
    ck_assert(
        matches("{\"name\":\"pager\",\"value\":\"\"}")); // not there: empty, as in Alertmanager
}
END_TEST

START_TEST(test_times) {
    static const char matcher[] = "\"matchers\":[{\"name\":\"run\",\"value\":\"x\"}]";
    struct silence s;
    struct buf json;
    buf_init(&json, 1024);
    buf_printf(&json,
               "{%s,\"starts\":150,\"duration\":\"2m\",\"created_by\":\"me\",\"comment\":\"c\"}",
               matcher);
    ck_assert_int_eq(parse(&s, buf_str(&json), 100), 0);
    ck_assert_double_eq(s.starts, 150);
    ck_assert_double_eq(s.ends, 270);
    ck_assert_str_eq(s.created_by, "me");
    ck_assert_str_eq(s.comment, "c");
    ck_assert(!silence_is_active(&s, 149));
    ck_assert(silence_is_active(&s, 150));
    ck_assert(!silence_is_active(&s, 270));
    silence_free(&s);
    buf_clear(&json);
    buf_printf(&json, "{%s,\"ends\":99}", matcher);
    ck_assert_int_eq(parse(&s, buf_str(&json), 100), -1);
    ck_assert_ptr_nonnull(strstr(buf_str(&error), "in the future"));
    buf_free(&json);
}
END_TEST

START_TEST(test_mistakes) {
    static const struct {
        const char *json, *says;
    } mistakes[] = {
        {"", "no JSON object"},
        {"[1]", "no JSON object"},
        {"{\"matchers\":7,\"duration\":1}", "1 to 16 matchers"},
        {"{\"matchers\":[7],\"duration\":1}", "\"name\" and \"value\""},
        {"{\"matchers\":[{\"name\":\"run\",\"value\":\"x\",\"is_regex\":1}],\"duration\":1}",
         "true or false"},
        {"{\"matchers\":[{\"name\":\"run\",\"value\":\"[\",\"is_regex\":true}],\"duration\":1}",
         "regular expression"},
        {"{\"matchers\":[{\"name\":\"1x\",\"value\":\"x\"}],\"duration\":1}", "\"1x\" is no label"},
        {"{\"matchers\":[{\"name\":\"run\",\"value\":\"x\"}]}", "needs \"ends\""},
        {"{\"matchers\":[{\"name\":\"run\",\"value\":\"x\"}],\"duration\":1,\"comment\":[]}",
         "\"comment\" is a text"},
        {"{\"matchers\":[{\"name\":\"run\",\"value\":\"x\"}],\"starts\":\"now\",\"duration\":1}",
         "\"starts\" is a time"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct silence s;
        ck_assert_int_eq(parse(&s, mistakes[i].json, 100), -1);
        ck_assert_msg(strstr(buf_str(&error), mistakes[i].says) != NULL, "%s: %s", mistakes[i].json,
                      buf_str(&error));
        ck_assert_ptr_null(s.matchers);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_matchers, test_times, test_mistakes};
    buf_init(&error, 4096);
    int failed = run_suite(suite_of("silence", tests, COUNT(tests)));
    buf_free(&error);
    return failed;
}
