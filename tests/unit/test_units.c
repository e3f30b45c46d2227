// Sizes, durations, spans and addresses as people write them, and token files.
#include "config/units.h"
#include "tests/unit/support/config_case.h"

#include <sys/stat.h>

// -- units ---------------------------------------------------------------------------------------

START_TEST(test_sizes) {
    static const struct {
        const char *text;
        uint64_t bytes;
        const char *printed;
    } good[] = {
        {"0", 0, "0"},
        {"1", 1, "1B"},
        {"65536", 65536, "64KiB"},
        {"512KiB", 524288, "512KiB"},
        {"1024KiB", 1048576, "1MiB"},
        {"100GiB", UINT64_C(107374182400), "100GiB"},
        {"2TiB", UINT64_C(2199023255552), "2TiB"},
        {"5kB", 5000, "5kB"},
        {"7MB", 7000000, "7MB"},
        {"7GB", UINT64_C(7000000000), "7GB"},
        {"9TB", UINT64_C(9000000000000), "9TB"},
        {"1023", 1023, "1023B"},
        {"18446744073709551615", UINT64_MAX, "18446744073709551615B"},
    };
    static const char *const bad[] = {
        "",           " 1",    "1 MiB", "1M",     "1G",
        "1mib",       "-1",    "+1",    "1.5MiB", "MiB",
        "0x10",       "1MiBs", "1e6",   "1KB ",   "18446744073709551616",
        "16777216TiB"};
    uint64_t bytes;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct buf out = new_buf();
        ck_assert_msg(units_parse_size(good[i].text, &bytes), "%s", good[i].text);
        ck_assert_uint_eq(bytes, good[i].bytes);
        units_print_size(&out, bytes);
        ck_assert_str_eq(buf_str(&out), good[i].printed);
        ck_assert(units_parse_size(buf_str(&out), &bytes) && bytes == good[i].bytes);
        buf_free(&out);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(!units_parse_size(bad[i], &bytes), "%s", bad[i]);
    }
}
END_TEST

START_TEST(test_durations) {
    static const struct {
        const char *text;
        uint64_t ms;
        const char *printed;
    } good[] = {
        {"0", 0, "0"},
        {"0s", 0, "0"},
        {"100ms", 100, "100ms"},
        {"60s", 60000, "1m"},
        {"15m", 900000, "15m"},
        {"2h", 7200000, "2h"},
        {"48h", 172800000, "2d"},
        {"90d", UINT64_C(7776000000), "90d"},
        {"1500ms", 1500, "1500ms"},
    };
    static const char *const bad[] = {
        "", "5", "5 s", "5S", "1.5h", "-5s", "5w", "5M", "s", "1h30m", "99999999999999999d"};
    uint64_t ms;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct buf out = new_buf();
        ck_assert_msg(units_parse_duration(good[i].text, &ms), "%s", good[i].text);
        ck_assert_uint_eq(ms, good[i].ms);
        units_print_duration(&out, ms);
        ck_assert_str_eq(buf_str(&out), good[i].printed);
        buf_free(&out);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(!units_parse_duration(bad[i], &ms), "%s", bad[i]);
    }
}
END_TEST

START_TEST(test_spans) {
    static const struct {
        const char *text;
        bool is_steps;
        double value;
        const char *printed;
    } good[] = {{"0", true, 0, "0"},
                {"5", true, 5, "5"},
                {"0s", false, 0, "0s"},
                {"30s", false, 30, "30s"},
                {"250ms", false, 0.25, "250ms"}};
    struct units_span span;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct buf out = new_buf();
        ck_assert(units_parse_span(good[i].text, &span));
        ck_assert(span.is_set && span.is_steps == good[i].is_steps);
        ck_assert_double_eq(span.value, good[i].value);
        units_print_span(&out, &span);
        ck_assert_str_eq(buf_str(&out), good[i].printed);
        buf_free(&out);
    }
    ck_assert(!units_parse_span("", &span) && !units_parse_span("5x", &span));
}
END_TEST

START_TEST(test_addresses) {
    static const struct {
        const char *text, *host;
        uint16_t port;
        bool is_local;
    } good[] = {{"127.0.0.1:27315", "127.0.0.1", 27315, true},
                {"127.9.9.9:0", "127.9.9.9", 0, true},
                {"[::1]:1", "::1", 1, true},
                {"LocalHost:5", "LocalHost", 5, true},
                {"0.0.0.0:65535", "0.0.0.0", 65535, false},
                {"[::]:80", "::", 80, false},
                {"gpu-3.example:80", "gpu-3.example", 80, false}};
    static const char *const bad[] = {
        "",         ":80",     "host",       "host:",  "host:65536", "host:-1",
        "host:80x", "::1:80",  "[::1]80",    "[::1]:", "[::1",       "[host]:80",
        "[]:80",    "ho st:1", "http://h:1", "unix:",  "*:80",       "h:1:2"};
    struct units_address a;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_msg(units_parse_address(good[i].text, &a), "%s", good[i].text);
        ck_assert(!a.is_unix);
        ck_assert_str_eq(a.host, good[i].host);
        ck_assert_uint_eq(a.port, good[i].port);
        ck_assert_msg(units_address_is_local(&a) == good[i].is_local, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(!units_parse_address(bad[i], &a), "%s", bad[i]);
    }
}
END_TEST

START_TEST(test_long_addresses) {
    struct units_address a;
    char text[400];
    memset(text, 'a', sizeof text);
    memcpy(text, "unix:", 5);
    text[5 + 107] = '\0';
    ck_assert(units_parse_address(text, &a) && a.is_unix && units_address_is_local(&a));
    ck_assert_str_eq(a.path, text + 5);
    text[5 + 107] = 'a';
    text[5 + 108] = '\0';
    ck_assert(!units_parse_address(text, &a));
    memset(text, 'a', sizeof text);
    memcpy(text + 253, ":1", 3);
    ck_assert(units_parse_address(text, &a) && strlen(a.host) == 253);
    memset(text, 'a', sizeof text);
    memcpy(text + 254, ":1", 3);
    ck_assert(!units_parse_address(text, &a));
}
END_TEST

// -- tokens --------------------------------------------------------------------------------------

// Reads a token file of these bytes and this mode. `message` follows the file's name; "" is none.
static void assert_token(const void *bytes, size_t size, mode_t mode, const char *token,
                         const char *message) {
    struct buf messages = new_buf(), wanted = new_buf();
    char *got;
    write_file(file, bytes, size);
    ck_assert_int_eq(chmod(file, mode), 0);
    ck_assert_int_eq(config_read_token(file, &got, &messages), token ? 0 : -1);
    if (*message) {
        buf_printf(&wanted, "%s: %s\n", file, message);
    }
    ck_assert_str_eq(buf_str(&messages), buf_str(&wanted));
    if (token) {
        ck_assert_str_eq(got, token);
    } else {
        ck_assert_ptr_null(got);
    }
    free(got);
    buf_free(&messages);
    buf_free(&wanted);
    unlink(file);
}

START_TEST(test_tokens) {
    static const char empty[] = "is empty; expected one line with the token";
    static const char lines[] = "has more than one line; expected one line with the token";
    static const char visible[] = "holds a space or a character that is not visible ASCII; "
                                  "expected one line with the token";
    assert_token("s3cret\n", 7, 0600, "s3cret", "");
    assert_token("s3cret", 6, 0400, "s3cret", "");
    assert_token("s3cret\r\n", 8, 0440, "s3cret", "");
    assert_token("s\n", 2, 0644, "s",
                 "mode 0644 lets others at the token; expected 0600, 0400 or 0440");
    assert_token("s\n", 2, 0620, "s",
                 "mode 0620 lets others at the token; expected 0600, 0400 or 0440");
    assert_token("", 0, 0600, NULL, empty);
    assert_token("\n", 1, 0600, NULL, empty);
    assert_token("a\nb\n", 4, 0600, NULL, lines);
    assert_token("a\n\n", 3, 0600, NULL, lines);
    assert_token("a b\n", 4, 0600, NULL, visible);
    assert_token("a\0b\n", 4, 0600, NULL, visible);
    assert_token("\xc3\xa4\n", 3, 0600, NULL, visible);
}
END_TEST

START_TEST(test_token_size) {
    char text[LIMIT_TOKEN_BYTES + 2];
    memset(text, 'x', sizeof text);
    text[LIMIT_TOKEN_BYTES] = '\0';
    assert_token(text, LIMIT_TOKEN_BYTES, 0600, text, "");
    text[LIMIT_TOKEN_BYTES] = '\n';
    assert_token(text, LIMIT_TOKEN_BYTES + 1, 0600, NULL,
                 "is too large; expected at most 4096 bytes");
}
END_TEST

static void assert_token_path(const char *path, const char *message) {
    struct buf messages = new_buf(), wanted = new_buf();
    char *token;
    buf_printf(&wanted, "%s: %s\n", path, message);
    ck_assert_int_eq(config_read_token(path, &token, &messages), -1);
    ck_assert_str_eq(buf_str(&messages), buf_str(&wanted));
    buf_free(&messages);
    buf_free(&wanted);
}

START_TEST(test_token_is_no_file) {
    char path[100];
    snprintf(path, sizeof path, "%s/missing", directory);
    assert_token_path(path, "cannot be opened: No such file or directory");
    assert_token_path(directory, "is not a regular file; expected one line with the token");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    assert_token_path(path, "is not a regular file; expected one line with the token");
    unlink(path);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_sizes,          test_durations, test_spans,      test_addresses,
        test_long_addresses, test_tokens,    test_token_size, test_token_is_no_file,
    };
    return run_config_suite(suite_of("units", tests, COUNT(tests)));
}
