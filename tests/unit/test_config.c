// The configuration: every setting there and back, flags, warnings, reload, and that the sample
// file and the documentation say what the table says.
//
// Runs at the top of the checkout. `test_config --write` writes config/pyrometer.yaml and the table
// in docs/configuration.md anew.
#include "base/num.h"
#include "config/table.h"
#include "tests/unit/support/config_case.h"

#define SAMPLE "config/pyrometer.yaml"
#define REFERENCE "docs/configuration.md"
#define TABLE_BEGIN "<!-- generated from the table of settings: begin -->\n"
#define TABLE_END "<!-- generated from the table of settings: end -->\n"

static char *print(const struct config *c) {
    struct buf out = new_buf();
    config_print(c, &out);
    ck_assert(!out.failed);
    buf_str(&out);
    return out.data;
}

// -- defaults and values -------------------------------------------------------------------------

static void assert_defaults(const struct config *c) {
    ck_assert_uint_eq(c->ingest.n_listen, 1);
    ck_assert_str_eq(c->ingest.listen[0], "127.0.0.1:27315");
    ck_assert_uint_eq(c->ingest.max_message_bytes, 1 << 20);
    ck_assert_uint_eq(c->ingest.ack_interval_ms, 100);
    ck_assert_uint_eq(c->ingest.max_connections, 1024);
    ck_assert_uint_eq(c->ingest.queue_bytes, 64 << 20);
    ck_assert_uint_eq(c->ingest.rank_wait_ms, 10000);
    ck_assert_ptr_null(c->ingest.token_file);
    ck_assert_str_eq(c->http.listen, "127.0.0.1:27316");
    ck_assert_uint_eq(c->http.max_connections, 4096);
    ck_assert_uint_eq(c->http.max_points, 100000);
    ck_assert_uint_eq(c->http.heartbeat_ms, 15000);
    ck_assert_ptr_null(c->http.token_file);
    ck_assert_ptr_null(c->http.tls.cert);
    ck_assert_ptr_null(c->http.tls.key);
    ck_assert_uint_eq(c->storage.durability, CONFIG_DURABILITY_FULL);
    ck_assert_uint_eq(c->storage.retention_s, 0);
    ck_assert_uint_eq(c->storage.max_size_bytes, 0);
    ck_assert_double_eq(c->alerts.stall_after_s, 60);
    ck_assert_uint_eq(c->alerts.n_rules + c->alerts.n_webhooks + c->n_remote_write, 0);
}

START_TEST(test_defaults) {
    struct config c;
    struct buf messages = new_buf();
    ck_assert_int_eq(config_load(&c, NULL, rule_names, &messages), 0);
    assert_defaults(&c);
    config_warnings(&c, &messages);
    ck_assert_str_eq(buf_str(&messages), "");
    config_free(&c);
    assert_all_zero(&c);
    config_free(&c);
    buf_free(&messages);
}
END_TEST

START_TEST(test_nothing_said_means_defaults) {
    const char *const texts[] = {"",
                                 "# only a comment\n",
                                 "---\n",
                                 "~\n",
                                 "{}\n",
                                 "---\n...\n",
                                 "ingest:\nhttp: ~\nstorage: {}\nalerts:\n  rules:\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct config c = load_ok(texts[i]);
        assert_defaults(&c);
        config_free(&c);
    }
}
END_TEST

static void assert_data(const char *state, const char *xdg, const char *home, const char *data) {
    struct config c;
    struct buf messages = new_buf();
    setenv("STATE_DIRECTORY", state, 1);
    setenv("XDG_STATE_HOME", xdg, 1);
    setenv("HOME", home, 1);
    ck_assert_int_eq(config_load(&c, NULL, NULL, &messages), data ? 0 : -1);
    if (data) {
        ck_assert_str_eq(c.data, data);
    } else {
        ck_assert_ptr_nonnull(strstr(buf_str(&messages), "defaults: data: has no default"));
    }
    config_free(&c);
    buf_free(&messages);
}

START_TEST(test_data_default) {
    char *home = strdup(getenv("HOME") ? getenv("HOME") : "/");
    assert_data("/var/lib/a", "/x", "/h", "/var/lib/a");
    assert_data("/var/lib/a:/var/lib/b", "/x", "/h", "/var/lib/a");
    assert_data("", "/x", "/h", "/x/pyrometer");
    assert_data("", "relative", "/h", "/h/.local/state/pyrometer");
    assert_data("", "", "/h", "/h/.local/state/pyrometer");
    assert_data("", "", "", NULL);
    unsetenv("STATE_DIRECTORY");
    unsetenv("XDG_STATE_HOME");
    setenv("HOME", home, 1);
    free(home);
}
END_TEST

static const char everything[] =
    "data: \"/srv/größe \\\"x\\\" \\\\ #y\"\n"
    "ingest:\n"
    "  listen: [\"127.0.0.1:0\", '[::1]:27315', unix:/run/pyrometer/ingest]\n"
    "  max_message: 4MiB\n"
    "  ack_interval: 20ms\n"
    "  max_connections: 7\n"
    "  max_queue: 8388608\n"
    "  rank_wait: 2s\n"
    "  token_file: 'null'\n"
    "  tls: { cert: i.pem, key: ik.pem, handshake_wait: 3s }\n"
    "http: { listen: \"0.0.0.0:80\", token_file: /t, max_connections: 9, max_points: 500,\n"
    "        heartbeat: 20500ms, tls: { cert: c.pem, key: k.pem } }\n"
    "storage: { durability: normal, retention: 90d, max_size: 100GiB }\n"
    "alerts:\n"
    "  stall_after: 90500ms\n"
    "  rules:\n"
    "    - rule: overheating\n"
    "      severity: \"critical\"\n"
    "      fire_above: 2.5\n"
    "      clear_below: -1e-3\n"
    "      for: 5\n"
    "      keep_firing_for: 90s\n"
    "      warmup_steps: 0\n"
    "      layer: \"fc*\"\n"
    "      run: r\n"
    "      project: p\n"
    "    - {rule: overheating, enabled: false}\n"
    "    - {rule: hot_card, metric: scalar.power_w, fire_below: 1, clear_above: 2, window: 8,\n"
    "       labels: {team: \"vi=sion\", pager: \"1\"}, annotations: {text: 'a \"b\" \\ c'}}\n"
    "  webhooks: [{url: \"https://h/x?y=%20\", format: generic}, {url: HTTP://h}]\n"
    "remote_write:\n"
    "  - url: \"http://h:1/w\"\n"
    "    name: a.b:c-d\n"
    "    interval: 1m\n"
    "    token_file: /tok\n"
    "    headers: {X-Scope-OrgID: \"1\", b: c}\n"
    "    labels: {instance: \"h:1\"}\n"
    "    max_queue: 1MiB\n"
    "  - url_file: /u\n";

static void assert_first_rule(const struct config_rule *r) {
    ck_assert_str_eq(r->rule, "overheating");
    ck_assert_uint_eq(r->enabled, 1);
    ck_assert_uint_eq(r->severity, CONFIG_SEVERITY_CRITICAL);
    ck_assert_double_eq(r->fire_above, 2.5);
    ck_assert_double_eq(r->clear_below, -1e-3);
    ck_assert(r->for_span.is_set && r->for_span.is_steps);
    ck_assert_double_eq(r->for_span.value, 5);
    ck_assert(r->keep_firing_for.is_set && !r->keep_firing_for.is_steps);
    ck_assert_double_eq(r->keep_firing_for.value, 90);
    ck_assert_uint_eq(r->warmup_steps, 0);
    ck_assert_str_eq(r->layer, "fc*");
    ck_assert_str_eq(r->run, "r");
    ck_assert_str_eq(r->project, "p");
}

// A rule that names nothing leaves everything as the rule has it.
static void assert_second_rule(const struct config_rule *r) {
    ck_assert_uint_eq(r->enabled, 0);
    ck_assert_uint_eq(r->severity, CONFIG_SEVERITY_UNSET);
    ck_assert(num_is_missing(r->fire_above) && num_is_missing(r->clear_below));
    ck_assert(!r->for_span.is_set && !r->keep_firing_for.is_set);
    ck_assert_uint_eq(r->warmup_steps, CONFIG_UNSET);
    ck_assert(!r->layer && !r->run && !r->project);
}

static void assert_own_rule(const struct config_rule *r) {
    ck_assert_str_eq(r->rule, "hot_card");
    ck_assert_str_eq(r->metric, "scalar.power_w");
    ck_assert_double_eq(r->fire_below, 1);
    ck_assert_double_eq(r->clear_above, 2);
    ck_assert(num_is_missing(r->fire_above) && num_is_missing(r->clear_below));
    ck_assert_uint_eq(r->window, 8);
    ck_assert_str_eq(r->labels, "team=vi=sion\npager=1\n");
    ck_assert_str_eq(r->annotations, "text=a \"b\" \\ c\n");
}

static void assert_everything(const struct config *c) {
    ck_assert_str_eq(c->data, "/srv/größe \"x\" \\ #y");
    ck_assert_uint_eq(c->ingest.n_listen, 3);
    ck_assert_str_eq(c->ingest.listen[0], "127.0.0.1:0");
    ck_assert_str_eq(c->ingest.listen[1], "[::1]:27315");
    ck_assert_str_eq(c->ingest.listen[2], "unix:/run/pyrometer/ingest");
    ck_assert_uint_eq(c->ingest.max_message_bytes, 4 << 20);
    ck_assert_uint_eq(c->ingest.ack_interval_ms, 20);
    ck_assert_uint_eq(c->ingest.max_connections, 7);
    ck_assert_uint_eq(c->ingest.queue_bytes, 8388608);
    ck_assert_uint_eq(c->ingest.rank_wait_ms, 2000);
    ck_assert_str_eq(c->ingest.token_file, "null");
    ck_assert_str_eq(c->ingest.tls.cert, "i.pem");
    ck_assert_str_eq(c->ingest.tls.key, "ik.pem");
    ck_assert_uint_eq(c->ingest.handshake_wait_ms, 3000);
    ck_assert_str_eq(c->http.listen, "0.0.0.0:80");
    ck_assert_str_eq(c->http.token_file, "/t");
    ck_assert_uint_eq(c->http.max_connections, 9);
    ck_assert_uint_eq(c->http.max_points, 500);
    ck_assert_uint_eq(c->http.heartbeat_ms, 20500);
    ck_assert_str_eq(c->http.tls.cert, "c.pem");
    ck_assert_str_eq(c->http.tls.key, "k.pem");
    ck_assert_uint_eq(c->storage.durability, CONFIG_DURABILITY_NORMAL);
    ck_assert_uint_eq(c->storage.retention_s, 90 * 86400);
    ck_assert_uint_eq(c->storage.max_size_bytes, UINT64_C(100) << 30);
    ck_assert_double_eq(c->alerts.stall_after_s, 90.5);
    ck_assert_uint_eq(c->alerts.n_rules, 3);
    assert_own_rule(&c->alerts.rules[2]);
    assert_first_rule(&c->alerts.rules[0]);
    assert_second_rule(&c->alerts.rules[1]);
    ck_assert_uint_eq(c->alerts.n_webhooks, 2);
    ck_assert_str_eq(c->alerts.webhooks[0].url, "https://h/x?y=%20");
    ck_assert_uint_eq(c->alerts.webhooks[0].format, CONFIG_FORMAT_GENERIC);
    ck_assert_str_eq(c->alerts.webhooks[1].url, "HTTP://h");
    ck_assert_uint_eq(c->alerts.webhooks[1].format, CONFIG_FORMAT_ALERTMANAGER);
    ck_assert_uint_eq(c->n_remote_write, 2);
    const struct config_remote_write *w = c->remote_write;
    ck_assert_str_eq(w[0].url, "http://h:1/w");
    ck_assert_str_eq(w[0].name, "a.b:c-d");
    ck_assert_uint_eq(w[0].interval_ms, 60000);
    ck_assert_str_eq(w[0].token_file, "/tok");
    ck_assert_str_eq(w[0].headers, "X-Scope-OrgID=1\nb=c\n");
    ck_assert_str_eq(w[0].labels, "instance=h:1\n");
    ck_assert_uint_eq(w[0].queue_bytes, 1 << 20);
    ck_assert_str_eq(w[1].url_file, "/u");
    ck_assert_ptr_null(w[1].name);
    ck_assert_uint_eq(w[1].interval_ms, 15000);
    ck_assert_uint_eq(w[1].queue_bytes, 64 << 20);
}

START_TEST(test_everything_there_and_back) {
    struct config c = load_ok(everything);
    assert_everything(&c);
    char *first = print(&c);
    config_free(&c);
    c = load_ok(first);
    assert_everything(&c);
    char *second = print(&c);
    ck_assert_str_eq(first, second);
    config_free(&c);
    free(first);
    free(second);
}
END_TEST

START_TEST(test_defaults_there_and_back) {
    struct config c = load_ok("");
    char *text = print(&c);
    struct config again = load_ok(text);
    assert_defaults(&again);
    ck_assert_str_eq(again.data, c.data);
    ck_assert_ptr_nonnull(strstr(text, "  # token_file: not set\n"));
    free(text);
    config_free(&c);
    config_free(&again);
}
END_TEST

// -- flags, warnings, reload ---------------------------------------------------------------------

START_TEST(test_set) {
    struct config c = load_ok("ingest: {listen: [\"127.0.0.1:1\", \"127.0.0.1:2\"]}\n");
    struct buf messages = new_buf();
    ck_assert_int_eq(config_set(&c, "--ingest", "ingest.listen", "unix:/x", &messages), 0);
    ck_assert_int_eq(config_set(&c, "--http", "http.listen", "localhost:0", &messages), 0);
    ck_assert_int_eq(config_set(&c, "--data", "data", "here", &messages), 0);
    ck_assert_str_eq(buf_str(&messages), "");
    ck_assert_int_eq(config_set(&c, "--http", "http.listen", "x", &messages), -1);
    ck_assert_int_eq(config_set(&c, "--ingest", "ingest.listen", "y", &messages), -1);
    ck_assert_int_eq(config_set(&c, "--data", "data", "\xff", &messages), -1);
    ck_assert_str_eq(buf_str(&messages),
                     "--http: http.listen: \"x\" is not valid; expected HOST:PORT or [IPV6]:PORT, "
                     "such as 127.0.0.1:27316\n"
                     "--ingest: ingest.listen: \"y\" is not valid; expected HOST:PORT, [IPV6]:PORT "
                     "or unix:PATH, such as 127.0.0.1:27315\n"
                     "--data: data: \"?\" is not valid; expected a path of one line\n");
    ck_assert_uint_eq(c.ingest.n_listen, 1);
    ck_assert_str_eq(c.ingest.listen[0], "unix:/x");
    ck_assert_str_eq(c.http.listen, "localhost:0");
    ck_assert_str_eq(c.data, "here");
    config_free(&c);
    buf_free(&messages);
}
END_TEST

START_TEST(test_warnings) {
    struct config c = load_ok(everything);
    struct buf messages = new_buf();
    config_warnings(&c, &messages);
    ck_assert_str_eq(buf_str(&messages), "");
    config_free(&c);
    c = load_ok("ingest: {listen: [\"127.1.2.3:0\", \"[::]:5\"]}\nhttp: {listen: \"host:1\"}\n");
    config_warnings(&c, &messages);
    ck_assert_str_eq(
        buf_str(&messages),
        "ingest.listen: [::]:5 is open to the network and no token is wanted; set token_file\n"
        "http.listen: host:1 is open to the network and no token is wanted; set token_file\n");
    config_free(&c);
    buf_free(&messages);
}
END_TEST

START_TEST(test_reloadable_diff) {
    struct config old = load_ok("data: /x\n");
    struct config same = load_ok("data: /x\ningest: {max_message: 1024KiB, token_file: /t,\n"
                                 "         tls: {cert: a, key: b}}\n"
                                 "http: {token_file: /t}\n"
                                 "alerts: {stall_after: 5s, rules: [{rule: stalled}]}\n");
    struct config other = load_ok("data: /y\nhttp: {tls: {cert: a, key: b}}\n"
                                  "ingest: {listen: [\"127.0.0.1:27315\", \"[::1]:0\"]}\n");
    struct buf names = new_buf();
    config_reloadable_diff(&old, &same, &names);
    ck_assert_str_eq(buf_str(&names), "");
    config_reloadable_diff(&old, &other, &names);
    ck_assert_str_eq(buf_str(&names), "data, ingest.listen, http.tls.cert, http.tls.key");
    config_free(&old);
    config_free(&same);
    config_free(&other);
    buf_free(&names);
}
END_TEST

// -- the sample and the documentation ------------------------------------------------------------

START_TEST(test_sample_is_the_tables) {
    struct buf is = read_file(SAMPLE), should = new_buf();
    config_print_sample(&should);
    ck_assert_msg(strcmp(buf_str(&is), buf_str(&should)) == 0,
                  SAMPLE " is not what the table says; write it anew with 'test_config --write'");
    struct config c = load_ok(buf_str(&is));
    assert_defaults(&c);
    config_free(&c);
    buf_free(&is);
    buf_free(&should);
}
END_TEST

// A '#' before a key, a list's dash or a key further in comments a setting out; '# ' is text.
static bool is_commented_setting(const char *hash) {
    return hash[1] != ' ' || (hash[2] == ' ');
}

// The sample with all its settings switched on is a configuration too, and every key is in it.
START_TEST(test_sample_uncommented) {
    struct buf sample = read_file(SAMPLE), text = new_buf();
    for (const char *line = buf_str(&sample); *line;) {
        size_t length = strcspn(line, "\n") + 1, lead = strspn(line, " ");
        bool drop = line[lead] == '#' && is_commented_setting(line + lead);
        buf_put(&text, line, lead);
        buf_put(&text, line + lead + drop, length - lead - drop);
        line += length;
    }
    struct config c = load_ok(buf_str(&text));
    ck_assert_str_eq(c.data, "/var/lib/pyrometer");
    ck_assert_uint_eq(c.alerts.n_rules, 1);
    ck_assert_str_eq(c.alerts.rules[0].project, "vision");
    ck_assert_uint_eq(c.n_remote_write, 1);
    char *printed = print(&c);
    ck_assert_ptr_null(strstr(printed, "not set"));
    free(printed);
    config_free(&c);
    buf_free(&sample);
    buf_free(&text);
}
END_TEST

START_TEST(test_documentation_is_the_tables) {
    struct buf is = read_file(REFERENCE), should = new_buf();
    buf_puts(&should, TABLE_BEGIN);
    config_print_reference(&should);
    buf_puts(&should, TABLE_END);
    ck_assert_msg(strstr(buf_str(&is), buf_str(&should)) != NULL,
                  REFERENCE " is not what the table says; write it with 'test_config --write'");
    buf_free(&is);
    buf_free(&should);
}
END_TEST

// Keys are unique, explained, and have a default or an example; sections stand together.
START_TEST(test_table) {
    for (const struct setting *s = config_table; s->key; s++) {
        ck_assert_ptr_eq(setting_find(config_table, s->key), s);
        ck_assert_msg(s->help && *s->help, "%s has no help", s->key);
        ck_assert_msg(!setting_is_section(config_table, s->key), "%s is also a section", s->key);
        ck_assert_msg(s->entry_settings || setting_sample_value(s),
                      "%s has neither default nor example", s->key);
    }
}
END_TEST

static int write_generated(void) {
    struct buf sample = new_buf(), page = new_buf(), old = read_file(REFERENCE);
    const char *begin = strstr(buf_str(&old), TABLE_BEGIN);
    const char *end = strstr(buf_str(&old), TABLE_END);
    if (begin && end) {
        buf_put(&page, old.data, (size_t)(begin - old.data));
        buf_puts(&page, TABLE_BEGIN);
        config_print_reference(&page);
        buf_puts(&page, end);
        config_print_sample(&sample);
        write_file(REFERENCE, page.data, page.len);
        write_file(SAMPLE, sample.data, sample.len);
    } else {
        fprintf(stderr, "%s has no place for the table\n", REFERENCE);
    }
    buf_free(&sample);
    buf_free(&page);
    buf_free(&old);
    return begin && end ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--write") == 0) {
        return write_generated();
    }
    const TTest *const tests[] = {
        test_defaults,
        test_nothing_said_means_defaults,
        test_data_default,
        test_everything_there_and_back,
        test_defaults_there_and_back,
        test_set,
        test_warnings,
        test_reloadable_diff,
        test_sample_is_the_tables,
        test_sample_uncommented,
        test_documentation_is_the_tables,
        test_table,
    };
    return run_config_suite(suite_of("config", tests, COUNT(tests)));
}
