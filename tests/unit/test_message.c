// The other messages: finding a line's type, events, ends, and what the daemon says.
#include "base/num.h"
#include "config/limits.h"
#include "tests/unit/support/support.h"
#include "wire/json.h"
#include "wire/message.h"
#include "wire/step.h"

#include <cjson/cJSON.h>

static struct wire_error error;

static int type_of(const char *line, size_t n, enum message_type *type) {
    char *exact = exact_copy(line, n);
    error = (struct wire_error){0};
    int rc = message_type(exact, n, type, &error);
    free(exact);
    return rc;
}

static void assert_no_type(const char *line, size_t n, enum wire_code code, const char *message) {
    enum message_type type;
    ck_assert_int_eq(type_of(line, n, &type), -1);
    ck_assert_str_eq(error.message, message);
    ck_assert_str_eq(wire_code_name(error.code), wire_code_name(code));
    ck_assert(!error.fatal);
}

// -- types ---------------------------------------------------------------------------------------

START_TEST(test_types) {
    static const struct {
        const char *line;
        enum message_type type;
    } cases[] = {
        {"{\"type\":\"hello\"}", MESSAGE_HELLO},
        {"{\"type\":\"step\"}", MESSAGE_STEP},
        {"{\"type\":\"scalars\"}", MESSAGE_SCALARS},
        {"{\"type\":\"event\"}", MESSAGE_EVENT},
        {"{\"type\":\"end\"}", MESSAGE_END},
        {" { \"x\" : [NaN,{\"type\":\"end\"}], \"type\" : \"ping\" } ", MESSAGE_PING},
        {"{\"type\":\"ping\",\"type\":\"end\"}", MESSAGE_END},
        {"{\"stats\":{\"type\":\"ping\"},\"type\":\"step\",\"rest is\" the step's reader's",
         MESSAGE_STEP}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        enum message_type type;
        ck_assert_msg(type_of(cases[i].line, strlen(cases[i].line), &type) == 0, "%s",
                      error.message);
        ck_assert_int_eq(type, cases[i].type);
    }
}
END_TEST

START_TEST(test_no_types) {
    static const struct {
        const char *line;
        enum wire_code code;
        const char *message;
    } cases[] = {
        {"", WIRE_BAD_JSON, "not JSON at byte 0: expected an object; the line was dropped"},
        {"GET / HTTP/1.1\r", WIRE_BAD_JSON,
         "not JSON at byte 0: expected an object; the line was dropped"},
        {"[]", WIRE_BAD_JSON, "not JSON at byte 0: expected an object; the line was dropped"},
        {"{\"type\":\"ping\"", WIRE_BAD_JSON,
         "not JSON at byte 14: expected ',' or '}'; the line was dropped"},
        {"{\"type\":\"ping\"}}", WIRE_BAD_JSON,
         "not JSON at byte 15: text behind the object; the line was dropped"},
        {"{\"type\":\"ping\",\"x\":[1,]}", WIRE_BAD_JSON,
         "not JSON at byte 22: a comma before the closing bracket; the line was dropped"},
        {"{}", WIRE_UNKNOWN_TYPE, "the message has no \"type\"; dropped"},
        {"{\"type\":5}", WIRE_UNKNOWN_TYPE, "the message has no \"type\"; dropped"},
        {"{\"Type\":\"ping\"}", WIRE_UNKNOWN_TYPE, "the message has no \"type\"; dropped"},
        {"{\"type\":\"pong\"}", WIRE_UNKNOWN_TYPE,
         "type \"pong\" is not known; expected hello, step, scalars, event, outputs, end "
         "or ping; dropped"},
        {"{\"type\":\"\"}", WIRE_UNKNOWN_TYPE,
         "type \"\" is not known; expected hello, step, scalars, event, outputs, end "
         "or ping; dropped"},
        {"{\"a\":\"\xc3\"}", WIRE_BAD_JSON, "not UTF-8 at byte 6; the line was dropped"},
        {"{\"type\":\"step\",\"\xff\"", WIRE_BAD_JSON,
         "not UTF-8 at byte 16; the line was dropped"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_no_type(cases[i].line, strlen(cases[i].line), cases[i].code, cases[i].message);
    }
    assert_no_type("{\0}", 3, WIRE_BAD_JSON,
                   "not JSON at byte 1: expected a key; the line was dropped");
}
END_TEST

// -- events --------------------------------------------------------------------------------------

static int parse_event(struct event *e, const char *line, size_t n) {
    char *exact = exact_copy(line, n);
    error = (struct wire_error){0};
    int rc = event_parse(e, exact, n, &error);
    free(exact);
    return rc;
}

static struct event event_of(const char *line) {
    struct event e;
    ck_assert_msg(parse_event(&e, line, strlen(line)) == 0, "%s: %s", line, error.message);
    return e;
}

START_TEST(test_events) {
    struct event e =
        event_of("{\"type\":\"event\",\"step\":400,\"time\":1.5,\"name\":\"data_refresh\","
                 "\"data\":{\"a\":[1,NaN]},\"x\":1}");
    ck_assert_int_eq(e.step, 400);
    ck_assert_double_eq(e.time, 1.5);
    ck_assert_str_eq(e.name, "data_refresh");
    ck_assert_str_eq(e.data, "{\"a\":[1,\"NaN\"]}");
    event_free(&e);
    e = event_of("{\"data\":\"x\",\"name\":\"\\u00e9\\n\",\"time\":\"NaN\",\"step\":null}");
    ck_assert_int_eq(e.step, -1);
    ck_assert_double_eq(e.time, 0);
    ck_assert_str_eq(e.name, "\xc3\xa9\n");
    ck_assert_str_eq(e.data, "\"x\"");
    event_free(&e);
    e = event_of("{\"name\":\"first\",\"name\":\"last\",\"data\":1,\"data\":2,\"time\":-3}");
    ck_assert_str_eq(e.name, "last");
    ck_assert_str_eq(e.data, "2");
    ck_assert_double_eq(e.time, 0);
    event_free(&e);
    ck_assert_ptr_null(e.name);
}
END_TEST

START_TEST(test_refused_events) {
    static const char bad_name[] = "the event's name is not of 1 to 128 bytes; dropped";
    static const char bad_step[] = "the event's step is not a whole number; dropped";
    static const struct {
        const char *line, *message;
    } cases[] = {{"{}", "the event has no name; dropped"},
                 {"{\"name\":5}", "the event has no name; dropped"},
                 {"{\"name\":\"\"}", bad_name},
                 {"{\"name\":\"\\u0000\"}", bad_name},
                 {"{\"name\":\"ok\",\"name\":\"\\ud800\"}", bad_name},
                 {"{\"name\":\"a\",\"step\":-1}", bad_step},
                 {"{\"name\":\"a\",\"step\":1.5}", bad_step},
                 {"{\"name\":\"a\",\"step\":8796093022208}", bad_step},
                 {"{\"name\":\"a\",\"step\":\"NaN\"}", bad_step},
                 {"{\"name\":\"a\",\"step\":\"5\"}", bad_step},
                 {"{\"name\":\"a\",\"step\":[5]}", bad_step}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct event e;
        ck_assert_int_eq(parse_event(&e, cases[i].line, strlen(cases[i].line)), -1);
        ck_assert_str_eq(error.message, cases[i].message);
        ck_assert_int_eq(error.code, WIRE_BAD_VALUE);
        ck_assert(!e.name && !e.data);
    }
}
END_TEST

START_TEST(test_event_limits) {
    struct buf line = new_buf();
    struct event e;
    buf_printf(&line, "{\"name\":\"%0*d\",\"data\":\"%0*d\"}", LIMIT_EVENT_NAME, 1,
               LIMIT_EVENT_DATA_BYTES - 2, 1);
    ck_assert_int_eq(parse_event(&e, line.data, line.len), 0);
    ck_assert_uint_eq(strlen(e.name), LIMIT_EVENT_NAME);
    ck_assert_uint_eq(strlen(e.data), LIMIT_EVENT_DATA_BYTES);
    event_free(&e);
    buf_clear(&line);
    buf_printf(&line, "{\"name\":\"%0*d\"}", LIMIT_EVENT_NAME + 1, 1);
    ck_assert_int_eq(parse_event(&e, line.data, line.len), -1);
    buf_clear(&line);
    buf_printf(&line, "{\"name\":\"a\",\"data\":\"%0*d\"}", LIMIT_EVENT_DATA_BYTES - 1, 1);
    ck_assert_int_eq(parse_event(&e, line.data, line.len), -1);
    ck_assert_str_eq(error.message, "the event's data has 65537 bytes, the most is 65536; dropped");
    buf_free(&line);
}
END_TEST

START_TEST(test_truncated_events) {
    static const char line[] =
        "{\"type\":\"event\",\"name\":\"a\\n\",\"step\":4,\"data\":[NaN,\"\\u00e9\"],\"x\":{}}";
    for (size_t n = 0; n < sizeof line - 1; n++) {
        struct event e;
        ck_assert_int_eq(parse_event(&e, line, n), -1);
        ck_assert(!e.name && !e.data);
    }
}
END_TEST

START_TEST(test_events_there_and_back) {
    const struct event events[] = {{7, 1732345678.125, (char[]){"a\"\n\xc3\xa9"}, NULL, true},
                                   {-1, 0, (char[]){"x"}, (char[]){"{\"k\":[1,\"NaN\"]}"}, false},
                                   {STEP_MAX, 0.1, (char[]){"y"}, (char[]){"null"}, true}};
    for (size_t i = 0; i < COUNT(events); i++) {
        const struct event *from = &events[i];
        struct buf line = new_buf();
        event_print(from->step, from->time, from->name, from->data, &line);
        struct event e = event_of(buf_str(&line));
        ck_assert_int_eq(e.step, from->step);
        ASSERT_SAME_BITS(e.time, from->time);
        ck_assert_str_eq(e.name, from->name);
        ck_assert_pstr_eq(e.data, from->data);
        event_free(&e);
        buf_free(&line);
    }
}
END_TEST

// -- ends ----------------------------------------------------------------------------------------

START_TEST(test_ends) {
    static const struct {
        const char *line, *status; // NULL: refused
    } cases[] = {{"{\"type\":\"end\"}", "completed"},
                 {"{\"type\":\"end\",\"status\":null}", "completed"},
                 {"{\"type\":\"end\",\"status\":\"completed\"}", "completed"},
                 {"{\"status\":\"failed\",\"type\":\"end\"}", "failed"},
                 {"{\"type\":\"end\",\"status\": \"stopped\" }", "stopped"},
                 {"{\"type\":\"end\",\"status\":\"running\"}", NULL},
                 {"{\"type\":\"end\",\"status\":\"\"}", NULL},
                 {"{\"type\":\"end\",\"status\":[\"ab\"]}", NULL},
                 {"{\"type\":\"end\",\"status\":5}", NULL}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *status;
        size_t n = strlen(cases[i].line);
        char *exact = exact_copy(cases[i].line, n);
        int rc = end_parse(&status, exact, n, &error);
        free(exact);
        ck_assert_int_eq(rc, cases[i].status ? 0 : -1);
        if (cases[i].status) {
            ck_assert_str_eq(status, cases[i].status);
        }
    }
    ck_assert_int_eq(error.code, WIRE_BAD_VALUE);
    ck_assert_str_eq(
        error.message,
        "status 5 is not \"completed\", \"failed\" or \"stopped\"; the end was dropped");
}
END_TEST

// -- what the daemon says ------------------------------------------------------------------------

START_TEST(test_prints) {
    struct buf out = new_buf();
    end_print("failed", &out);
    welcome_print("a:b", -1, &out);
    ack_print(STEP_MAX, &out);
    ck_assert_str_eq(buf_str(&out),
                     "{\"type\":\"end\",\"status\":\"failed\"}\n"
                     "{\"type\":\"welcome\",\"protocol\":1,\"run\":\"a:b\",\"last_step\":-1,"
                     "\"frames\":1}\n"
                     "{\"type\":\"ack\",\"step\":8796093022207}\n");
    buf_free(&out);
}
END_TEST

START_TEST(test_codes) {
    // The contract's names, and which of them end the connection.
    static const char *const names[] = {
        "bad_json",     "too_large",     "unknown_type",         "no_hello",
        "bad_hello",    "layers_differ", "wrong_shape",          "bad_value",
        "step_order",   "unauthorized",  "unsupported_protocol", "overloaded",
        "shutting_down"};
    ck_assert_uint_eq(COUNT(names) + 1, WIRE_CODE_COUNT);
    for (unsigned i = 0; i < COUNT(names); i++) {
        enum wire_code code = (enum wire_code)(i + 1);
        ck_assert_str_eq(wire_code_name(code), names[i]);
        struct wire_error e;
        ck_assert_int_eq(wire_fail(&e, code, "%s", "x"), -1);
        ck_assert_int_eq(e.code, code);
        ck_assert_int_eq(e.fatal, wire_code_is_fatal(code));
    }
    ck_assert(!wire_code_is_fatal(WIRE_BAD_JSON) && !wire_code_is_fatal(WIRE_WRONG_SHAPE));
    ck_assert(!wire_code_is_fatal(WIRE_STEP_ORDER) && !wire_code_is_fatal(WIRE_UNKNOWN_TYPE));
    ck_assert(wire_code_is_fatal(WIRE_UNAUTHORIZED) && wire_code_is_fatal(WIRE_LAYERS_DIFFER));
}
END_TEST

START_TEST(test_print_error) {
    struct buf out = new_buf();
    struct wire_error e;
    ck_assert_int_eq(wire_fail(&e, WIRE_WRONG_SHAPE, "w_mean has %d entries", 3), -1);
    error_print(&e, 12, &out);
    ck_assert_str_eq(buf_str(&out), "{\"type\":\"error\",\"code\":\"wrong_shape\",\"message\":"
                                    "\"w_mean has 3 entries\",\"line\":12,\"fatal\":false}\n");
    buf_free(&out);
}
END_TEST

// Whatever a job's bytes that a message quotes, what goes out is one line of JSON in UTF-8.
START_TEST(test_print_hostile_errors) {
    uint64_t seed = 8;
    for (int i = 0; i < 20000; i++) {
        struct wire_error e = {.code = WIRE_BAD_VALUE};
        size_t n = random_below(&seed, sizeof e.message);
        for (size_t k = 0; k < n; k++) {
            static const unsigned char some[] = "a\"\\\n\r\x01\x1f\x7f\xc3\xa9\xe2\x82\xac\xf0\x9f"
                                                "\x98\x80\xff\xed\xa0\x80\xc0";
            e.message[k] = (char)some[random_below(&seed, sizeof some - 1)];
        }
        struct buf out = new_buf();
        error_print(&e, UINT64_MAX, &out);
        size_t bad;
        ck_assert(utf8_valid(out.data, out.len, &bad));
        ck_assert_ptr_eq(memchr(out.data, '\n', out.len), out.data + out.len - 1);
        cJSON *root = cJSON_ParseWithLength(out.data, out.len);
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(root, "message"));
        ck_assert_ptr_nonnull(text);
        ck_assert_uint_eq(strlen(text), n); // a '?' for each byte that is none
        cJSON_Delete(root);
        buf_free(&out);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_types,        test_no_types,
        test_events,       test_refused_events,
        test_event_limits, test_truncated_events,
        test_ends,         test_events_there_and_back,
        test_prints,       test_codes,
        test_print_error,  test_print_hostile_errors,
    };
    return run_suite(suite_of("message", tests, COUNT(tests)));
}
