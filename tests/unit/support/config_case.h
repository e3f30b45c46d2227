// What the tests of config/ share: a file of their own, loading it, and being refused.
#ifndef TESTS_CONFIG_CASE_H
#define TESTS_CONFIG_CASE_H

#include "config/config.h"
#include "tests/unit/support/support.h"

static const char *const rule_names[] = {"loss_nonfinite", "loss_spike", "unstable",
                                         "overheating",    "stalled",    NULL};
static char *directory;
static char file[256]; // FILE below the directory

static inline struct config load_ok(const char *text) {
    struct config c;
    struct buf messages = new_buf();
    write_file(file, text, strlen(text));
    int result = config_load(&c, file, rule_names, &messages);
    ck_assert_msg(result == 0, "%s", buf_str(&messages));
    ck_assert_str_eq(buf_str(&messages), "");
    buf_free(&messages);
    return c;
}

static inline void assert_all_zero(const struct config *c) {
    static const struct config zero;
    ck_assert_int_eq(memcmp(c, &zero, sizeof zero), 0);
}

// Loads bytes that are wrong; every line of the messages must be FILE and then a line of
// `expected`.
static inline void assert_bytes_refused(const void *bytes, size_t size, const char *expected) {
    struct config c;
    struct buf messages = new_buf(), wanted = new_buf();
    write_file(file, bytes, size);
    ck_assert_int_eq(config_load(&c, file, rule_names, &messages), -1);
    assert_all_zero(&c);
    for (const char *line = expected; *line;) {
        size_t length = strcspn(line, "\n");
        buf_printf(&wanted, "%s:%.*s\n", file, (int)length, line);
        line += length + (line[length] == '\n');
    }
    ck_assert_str_eq(buf_str(&messages), buf_str(&wanted));
    buf_free(&messages);
    buf_free(&wanted);
}

static inline void assert_refused(const char *text, const char *expected) {
    assert_bytes_refused(text, strlen(text), expected);
}

static inline int run_config_suite(Suite *suite) {
    directory = make_directory();
    snprintf(file, sizeof file, "%s/file", directory);
    int status = run_suite(suite);
    remove_directory(directory);
    return status;
}

#endif
