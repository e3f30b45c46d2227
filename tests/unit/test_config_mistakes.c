// The configuration's mistakes: every kind of them, each with its line, its key and what was
// expected.
#include "tests/unit/support/config_case.h"

#include <sys/stat.h>

struct mistake {
    const char *text, *message; // the message without the file's name and the colon after it
};

static const struct mistake mistakes[] = {
    {"data: /x\nspeed: 9\n",
     "2: speed: is not a key; expected one of data, ingest.listen, ingest.max_message, "
     "ingest.ack_interval, ingest.max_connections, ingest.max_queue, ingest.rank_wait, "
     "ingest.token_file, ingest.tls.cert, ingest.tls.key, ingest.tls.handshake_wait, http.listen, "
     "http.max_connections, http.max_points, http.heartbeat, "
     "http.cors_origins, "
     "http.token_file, http.tls.cert, "
     "http.tls.key, storage.durability, storage.retention, storage.max_size, alerts.stall_after, "
     "alerts.rules, alerts.webhooks, alerts.severity_from, alerts.command, "
     "alerts.mail_to, alerts.mail_from, alerts.sendmail, alerts.external_url, remote_write"},
    {"storage:\n  durabilty: full\n",
     "2: storage.durabilty: is not a key; expected one of durability, retention, max_size"},
    {"http:\n  tls:\n    ca: x\n", "3: http.tls.ca: is not a key; expected one of cert, key"},
    {"storage.durability: full\n",
     "1: storage.durability: is not a key; expected one of data, ingest.listen, "
     "ingest.max_message, ingest.ack_interval, ingest.max_connections, ingest.max_queue, "
     "ingest.rank_wait, ingest.token_file, ingest.tls.cert, ingest.tls.key, "
     "ingest.tls.handshake_wait, http.listen, http.max_connections, http.max_points, "
     "http.heartbeat, http.cors_origins, http.token_file, "
     "http.tls.cert, http.tls.key, storage.durability, storage.retention, storage.max_size, "
     "alerts.stall_after, alerts.rules, alerts.webhooks, alerts.severity_from, alerts.command, "
     "alerts.mail_to, alerts.mail_from, alerts.sendmail, alerts.external_url, remote_write"},
    {"storage: {[a]: b}\n",
     "1: storage.?: is not a key; expected one of durability, retention, max_size"},
    {"storage: {\"a\\e\\n\": b}\n",
     "1: storage.a??: is not a key; expected one of durability, retention, max_size"},
    {"data: /x\ndata: /y\n", "2: data: stands a second time; expected once, as in line 1"},
    {"http:\n  tls: {cert: a, key: b}\nhttp: {}\n",
     "3: http: stands a second time; expected once, as in line 1"},
    {"data: [a]\n", "1: data: is a list; expected a path of one line"},
    {"data: {a: b}\n", "1: data: is a mapping; expected a path of one line"},
    {"data:\n", "1: data: has no value; expected a path of one line"},
    {"data: ''\n", "1: data: \"\" is not valid; expected a path of one line"},
    {"data: \"a\\0b\"\n", "1: data: holds a NUL byte; expected a path of one line"},
    {"data: \"a\\nb\"\n", "1: data: \"a?b\" is not valid; expected a path of one line"},
    {"data: \"a\\u009bb\"\n", "1: data: \"a??b\" is not valid; expected a path of one line"},
    {"data: \"a\\u2028b\"\n", "1: data: \"a???b\" is not valid; expected a path of one line"},
    {"http:\n  token_file: ~\n", "2: http.token_file: has no value; expected a path of one line"},
    {"ingest: 5\n", "1: ingest: is a single value; expected a mapping of keys"},
    {"ingest: [5]\n", "1: ingest: is a list; expected a mapping of keys"},
    {"ingest: {listen: []}\n", "1: ingest.listen: has 0 entries; expected 1 to 16"},
    {"ingest: {listen: }\n", "1: ingest.listen: has no value; expected HOST:PORT, [IPV6]:PORT or "
                             "unix:PATH, such as 127.0.0.1:27315"},
    {"ingest:\n  listen:\n    - 127.0.0.1:1\n    - nonsense\n",
     "4: ingest.listen[1]: \"nonsense\" is not valid; expected HOST:PORT, [IPV6]:PORT or "
     "unix:PATH, such as 127.0.0.1:27315"},
    {"http: {listen: unix:/x}\n", "1: http.listen: \"unix:/x\" is not valid; expected HOST:PORT or "
                                  "[IPV6]:PORT, such as 127.0.0.1:27316"},
    {"http: {listen: [\"127.0.0.1:1\"]}\n", "1: http.listen: is a list; expected HOST:PORT or "
                                            "[IPV6]:PORT, such as 127.0.0.1:27316"},
    {"ingest: {max_message: 1M}\n", "1: ingest.max_message: \"1M\" is not valid; expected a size "
                                    "from 1KiB to 64MiB, such as 1MiB"},
    {"ingest: {max_message: 0}\n", "1: ingest.max_message: \"0\" is out of range; expected a size "
                                   "from 1KiB to 64MiB, such as 1MiB"},
    {"ingest: {max_message: 67108865}\n", "1: ingest.max_message: \"67108865\" is out of range; "
                                          "expected a size from 1KiB to 64MiB, such as 1MiB"},
    {"ingest: {ack_interval: 100}\n", "1: ingest.ack_interval: \"100\" is not valid; expected a "
                                      "time from 1ms to 10s, such as 100ms"},
    {"ingest: {ack_interval: 11s}\n", "1: ingest.ack_interval: \"11s\" is out of range; expected "
                                      "a time from 1ms to 10s, such as 100ms"},
    {"ingest: {max_connections: \"5\"}\n", "1: ingest.max_connections: \"5\" is text in quotes; "
                                           "expected a whole number from 1 to 4096"},
    {"ingest: {max_connections: 5.5}\n", "1: ingest.max_connections: \"5.5\" is not valid; "
                                         "expected a whole number from 1 to 4096"},
    {"ingest: {max_connections: -1}\n", "1: ingest.max_connections: \"-1\" is not valid; expected "
                                        "a whole number from 1 to 4096"},
    {"ingest: {max_connections: 4097}\n", "1: ingest.max_connections: \"4097\" is out of range; "
                                          "expected a whole number from 1 to 4096"},
    {"ingest: {max_connections: 18446744073709551617}\n",
     "1: ingest.max_connections: \"18446744073709551617\" is not valid; expected a whole number "
     "from 1 to 4096"},
    {"ingest:\n  max_message: 2MiB\n  max_queue: 1MiB\n",
     "3: ingest.max_queue: is less than ingest.max_message; expected at least as much"},
    {"ingest:\n  listen: \"[::1]:0\"\n  tls: { cert: a }\n",
     "3: ingest.tls: has no key; expected both cert and key, or neither"},
    {"ingest: { tls: { handshake_wait: 1ms } }\n",
     "1: ingest.tls.handshake_wait: \"1ms\" is out of range; expected a time from 10ms to 1h, such as "
     "100ms"},
    {"http:\n  tls:\n    key: a\n",
     "2: http.tls: has no cert; expected both cert and key, or neither"},
    {"http:\n  tls: {cert: a}\n",
     "2: http.tls: has no key; expected both cert and key, or neither"},
    {"storage: {durability: Full}\n",
     "1: storage.durability: \"Full\" is not valid; expected one of full, normal"},
    {"storage: {retention: 1500ms}\n", "1: storage.retention: \"1500ms\" is not valid; expected a "
                                       "time of whole seconds up to 36500d, such as 90d"},
    {"storage: {max_size: -1}\n", "1: storage.max_size: \"-1\" is not valid; expected a size up "
                                  "to 1048576TiB, such as 1MiB"},
    {"alerts: {stall_after: 0}\n", "1: alerts.stall_after: \"0\" is out of range; expected a time "
                                   "from 1s to 7d, such as 60s"},
    {"alerts: {rules: {rule: stalled}}\n",
     "1: alerts.rules: is not a list; expected a list of mappings"},
    {"alerts: {rules: [stalled]}\n",
     "1: alerts.rules[0]: is not a mapping; expected one with rule"},
    {"alerts:\n  rules:\n    - rule: melting\n",
     "3: alerts.rules[0].rule: \"melting\" is not a rule; expected the name of a rule: "
     "loss_nonfinite, loss_spike, unstable, overheating, stalled"},
    {"alerts:\n  rules:\n    - enabled: true\n",
     "3: alerts.rules[0]: has no valid rule; expected one"},
    {"alerts: {rules: [{rule: stalled, fires: 1}]}\n",
     "1: alerts.rules[0].fires: is not a key; expected one of rule, metric, enabled, severity, "
     "fire_above, clear_below, fire_below, clear_above, for, keep_firing_for, warmup_steps, "
     "window, layer, run, project, labels, annotations"},
    {"alerts: {rules: [{rule: my rule, metric: loss}]}\n",
     "1: alerts.rules[0].rule: is not valid; expected at most 64 letters, digits and underscores, "
     "no digit first"},
    {"alerts: {rules: [{rule: stalled, labels: vision}]}\n",
     "1: alerts.rules[0].labels: is not a mapping; expected a mapping of at most 16 names to "
     "texts, such as {team: vision}"},
    {"alerts: {rules: [{rule: stalled, labels: {a-b: vision}}]}\n",
     "1: alerts.rules[0].labels: \"a-b\" is no name with a text of one line; expected a mapping of "
     "at most 16 names to texts, such as {team: vision}"},
    {"alerts: {rules: [{rule: stalled, enabled: yes}]}\n",
     "1: alerts.rules[0].enabled: \"yes\" is not valid; expected one of false, true"},
    {"alerts: {rules: [{rule: stalled, enabled: 'true'}]}\n",
     "1: alerts.rules[0].enabled: \"true\" is text in quotes; expected one of false, true"},
    {"alerts: {rules: [{rule: stalled, severity: ''}]}\n",
     "1: alerts.rules[0].severity: \"\" is not valid; expected one of info, warning, critical"},
    {"alerts: {rules: [{rule: stalled, fire_above: .inf}]}\n",
     "1: alerts.rules[0].fire_above: \".inf\" is not valid; expected a finite number"},
    {"alerts: {rules: [{rule: stalled, fire_above: 1e999}]}\n",
     "1: alerts.rules[0].fire_above: \"1e999\" is not valid; expected a finite number"},
    {"alerts: {rules: [{rule: stalled, fire_above: NaN}]}\n",
     "1: alerts.rules[0].fire_above: \"NaN\" is not valid; expected a finite number"},
    {"alerts: {rules: [{rule: stalled, for: -1}]}\n",
     "1: alerts.rules[0].for: \"-1\" is not valid; expected a number of steps (up to 1000000000) "
     "or a time (up to 365d), such as 5 or 30s"},
    {"alerts: {rules: [{rule: stalled, for: 366d}]}\n",
     "1: alerts.rules[0].for: \"366d\" is out of range; expected a number of steps (up to "
     "1000000000) or a time (up to 365d), such as 5 or 30s"},
    {"alerts:\n  rules:\n    - rule: stalled\n    - rule: stalled\n      run: a\n"
     "    - rule: stalled\n",
     "6: alerts.rules[2]: is for the same rule, layer, run and project as alerts.rules[0]; "
     "expected one entry"},
    {"alerts:\n  rules:\n    - rule: stalled\n      fire_above: 1\n      clear_below: 2\n",
     "3: alerts.rules[0]: clear_below is above fire_above; expected at most the same"},
    {"alerts: {webhooks: [{format: generic}]}\n",
     "1: alerts.webhooks[0]: has no valid url or url_file; expected one"},
    {"remote_write: [{}]\n", "1: remote_write[0]: has no valid url or url_file; expected one"},
    {"remote_write:\n  - url: http://h\n    name: a b\n",
     "3: remote_write[0].name: \"a b\" is not valid; expected a name of at most 128 letters, "
     "digits, '_', '.', ':' and '-'"},
    {"remote_write: [{url: http://h, interval: 99ms}]\n",
     "1: remote_write[0].interval: \"99ms\" is out of range; expected a time from 100ms to 1h, "
     "such "
     "as 100ms"},
    {"remote_write: [{url: http://h, headers: {\"a:\": b}}]\n",
     "1: remote_write[0].headers: \"a:\" is no name with a text of one line; expected a mapping of "
     "at most 16 headers to texts, such as {X-Scope-OrgID: research}"},
    {"remote_write: [{url: http://h, max_queue: 1}]\n",
     "1: remote_write[0].max_queue: \"1\" is out of range; expected a size from 64KiB to 16GiB, "
     "such "
     "as 1MiB"},
    {"alerts: {webhooks: [{url: \"ftp://x\"}]}\n",
     "1: alerts.webhooks[0].url: \"ftp://x\" is not valid; expected a URL, such as "
     "http://host:9093/path"},
    {"remote_write: [{url: \"http://\"}]\n", "1: remote_write[0].url: \"http://\" is not valid; "
                                             "expected a URL, such as http://host:9093/path"},
    {"a: b\n---\nc: d\n", "2: document: a second one starts here; expected one in a file"},
    {"- a\n", "1: document: is not a mapping; expected keys such as 'ingest:'"},
    {"text\n", "1: document: is not a mapping; expected keys such as 'ingest:'"},
    {"data: /x\nhttp: &a [*a]\n", "2: alias: is of no use here; expected every value written out"},
    {"data: &a /x\n", "1: alias: is of no use here; expected every value written out"},
    {"http: &a {}\n", "1: alias: is of no use here; expected every value written out"},
    {"data: /x\nhttp: !x {}\n", "2: tag: is of no use here; expected plain values"},
    {"data: !!str /x\n", "1: tag: is of no use here; expected plain values"},
    {"ingest: {listen: !!seq []}\n", "1: tag: is of no use here; expected plain values"},
};

START_TEST(test_mistake) {
    assert_refused(mistakes[_i].text, mistakes[_i].message);
}
END_TEST

START_TEST(test_alias_bomb) {
    struct buf text = new_buf();
    buf_puts(&text, "a0: &a0 [x, x]\n");
    for (int i = 1; i < 100; i++) {
        buf_printf(&text, "a%d: &a%d [*a%d, *a%d]\n", i, i, i - 1, i - 1);
    }
    assert_refused(buf_str(&text), "1: alias: is of no use here; expected every value written out");
    buf_free(&text);
}
END_TEST

START_TEST(test_not_utf8) {
    assert_refused("data: /x\nhttp: \"\xff\"\n",
                   "2: encoding: invalid leading UTF-8 octet; expected UTF-8 text");
    static const char utf16[] = "\xff\xfe"
                                "d\0a\0t\0a\0:\0 \0x\0";
    assert_bytes_refused(utf16, sizeof utf16 - 1,
                         "1: encoding: invalid leading UTF-8 octet; expected UTF-8 text");
    assert_bytes_refused("data: a\0b\n", 10,
                         "1: encoding: control characters are not allowed; expected UTF-8 text");
}
END_TEST

START_TEST(test_syntax) {
    assert_refused("data: /x\nhttp: [a\n",
                   "3: syntax: did not find expected ',' or ']' while parsing a flow sequence; "
                   "expected YAML");
    assert_refused("data: /x\n\tb: c\n",
                   "2: syntax: found a tab character that violates indentation while scanning a "
                   "plain scalar; expected YAML");
    assert_refused("data: *x\n", "1: alias: is of no use here; expected every value written out");
}
END_TEST

// Deep nesting ends in an error, not in a stack or a minute used up.
START_TEST(test_deep_nesting) {
    struct buf text = new_buf();
    for (int i = 0; i < 100000; i++) {
        buf_puts(&text, "[");
    }
    assert_refused(buf_str(&text), "1: nesting: is too deep; expected at most 16 levels");
    buf_free(&text);
    assert_refused("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
                   "1: document: is not a mapping; expected keys such as 'ingest:'");
    assert_refused("[[[[[[[[[[[[[[[[\n[]]]]]]]]]]]]]]]]]",
                   "2: nesting: is too deep; expected at most 16 levels");
}
END_TEST

START_TEST(test_all_mistakes_are_told) {
    assert_refused("data: 1\nstorage:\n  durability: x\nhttp:\n  max_points: 1\nalerts:\n"
                   "  stall_after: 5\n",
                   "3: storage.durability: \"x\" is not valid; expected one of full, normal\n"
                   "5: http.max_points: \"1\" is out of range; expected a whole number from 100 to "
                   "100000\n"
                   "7: alerts.stall_after: \"5\" is not valid; expected a time from 1s to 7d, such "
                   "as 60s");
}
END_TEST

static size_t count_lines(const char *text) {
    size_t n = 0;
    for (; *text; text++) {
        n += *text == '\n';
    }
    return n;
}

START_TEST(test_mistakes_are_bounded) {
    struct config c;
    struct buf text = new_buf(), messages = new_buf();
    for (int i = 0; i < 200; i++) {
        buf_printf(&text, "key%d: x\n", i);
    }
    write_file(file, text.data, text.len);
    ck_assert_int_eq(config_load(&c, file, NULL, &messages), -1);
    ck_assert_uint_eq(count_lines(buf_str(&messages)), LIMIT_CONFIG_ERRORS + 1);
    ck_assert_ptr_nonnull(strstr(buf_str(&messages), "more errors follow"));
    for (int i = 200; i < 300; i++) {
        buf_printf(&text, "key%d: x\n", i);
    }
    assert_refused(buf_str(&text), "1: 300 keys; expected at most 256");
    buf_free(&text);
    buf_free(&messages);
}
END_TEST

static void assert_path_refused(const char *path, const char *message) {
    struct config c;
    struct buf messages = new_buf(), wanted = new_buf();
    buf_printf(&wanted, "%s: %s\n", path, message);
    ck_assert_int_eq(config_load(&c, path, NULL, &messages), -1);
    ck_assert_str_eq(buf_str(&messages), buf_str(&wanted));
    buf_free(&messages);
    buf_free(&wanted);
}

START_TEST(test_not_a_file) {
    char path[100];
    assert_path_refused(directory, "is a directory; expected a file");
    snprintf(path, sizeof path, "%s/missing", directory);
    assert_path_refused(path, "cannot be opened: No such file or directory");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    assert_path_refused(path, "is not a regular file; expected a file");
    unlink(path);
}
END_TEST

START_TEST(test_file_size) {
    char *text = malloc(LIMIT_CONFIG_BYTES + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, '#', LIMIT_CONFIG_BYTES + 1);
    write_file(file, text, LIMIT_CONFIG_BYTES + 1);
    assert_path_refused(file, "is too large; expected at most 1048576 bytes");
    text[LIMIT_CONFIG_BYTES] = '\0';
    struct config c = load_ok(text);
    config_free(&c);
    free(text);
}
END_TEST

START_TEST(test_long_value_is_shortened) {
    assert_refused("storage: {durability: "
                   "0123456789012345678901234567890123456789012345678901234567890123456789}",
                   "1: storage.durability: \"012345678901234567890123456789012345678901234567890123"
                   "456789...\" is not valid; expected one of full, normal");
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_alias_bomb,
        test_not_utf8,
        test_syntax,
        test_deep_nesting,
        test_all_mistakes_are_told,
        test_mistakes_are_bounded,
        test_not_a_file,
        test_file_size,
        test_long_value_is_shortened,
    };
    Suite *suite = suite_of("config: mistakes", tests, COUNT(tests));
    TCase *table = tcase_create("table");
    tcase_add_loop_test(table, test_mistake, 0, (int)COUNT(mistakes));
    suite_add_tcase(suite, table);
    return run_config_suite(suite);
}
