// `pyrometer rules test`: unit tests of rules, in the manner of `promtool test rules`.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/judge.h"
#include "cli/made_up.h"
#include "cli/recorded.h"
#include "cli/rules.h"
#include "cli/tree.h"
#include "cli/yaml_json.h"
#include "config/config.h"

enum { LINE_MAX_BYTES = 64 << 20, MESSAGE_MAX = 4096, WHOLE_RUN = -1 };

// One test being run. What is wrong with it is said on standard error as it is found.
struct proof {
    const char *file, *name;
    struct ruleset *rules;
    struct judge *judge;
    cJSON *failed_tests; // where the failures are kept for --json, NULL: nowhere
    const cJSON *checks;
    int64_t seen; // the newest step whose checks were made
    size_t failures;
};

static void fail(struct proof *p, const char *what) {
    fprintf(stderr, "%s: test '%s': %s\n", p->file, p->name, what);
    p->failures++;
    if (p->failed_tests) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "test", p->name);
        cJSON_AddStringToObject(one, "message", what);
        cJSON_AddItemToArray(p->failed_tests, one);
    }
}

static const cJSON *get(const cJSON *object, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *text_of(const cJSON *object, const char *key) {
    const cJSON *item = get(object, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

// -- what is expected ----------------------------------------------------------------------------

static bool has_number(const cJSON *want, const char *key, int64_t got) {
    const cJSON *item = get(want, key);
    return !item || (cJSON_IsNumber(item) && item->valuedouble == (double)got);
}

static bool has_text(const cJSON *want, const char *key, const char *got) {
    const cJSON *item = get(want, key);
    if (!item) {
        return true;
    }
    return cJSON_IsNull(item) ? !got
                              : got && cJSON_IsString(item) && strcmp(item->valuestring, got) == 0;
}

// Only what the test names is compared.
static bool fits(const cJSON *want, const struct verdict *v) {
    return has_text(want, "rule", v->rule) && has_text(want, "layer", v->layer) &&
           has_text(want, "severity", severity_name(v->severity)) &&
           has_number(want, "since", v->since) && has_number(want, "fired", v->step);
}

struct matching {
    const cJSON *wanted;
    const struct verdict **got;
    size_t n;
    int *owner; // of each alert: which expectation has it, -1 none
    bool *tried;
};

// Kuhn's augmenting paths: an expectation may take another's alert if that one finds a second.
static bool match(struct matching *m, int want) {
    for (size_t i = 0; i < m->n; i++) {
        if (m->tried[i] || !fits(cJSON_GetArrayItem(m->wanted, want), m->got[i])) {
            continue;
        }
        m->tried[i] = true;
        if (m->owner[i] < 0 || match(m, m->owner[i])) {
            m->owner[i] = want;
            return true;
        }
    }
    return false;
}

static bool match_all(const cJSON *wanted, const struct verdict **got, size_t n) {
    int count = cJSON_GetArraySize(wanted);
    bool all = (size_t)count == n;
    struct matching m = {wanted, got, n, must_alloc((n + 1) * sizeof(int)),
                         must_alloc((n + 1) * sizeof(bool))};
    for (size_t i = 0; i < n; i++) {
        m.owner[i] = -1;
    }
    for (int i = 0; all && i < count; i++) {
        memset(m.tried, 0, n * sizeof *m.tried);
        all = match(&m, i);
    }
    free(m.owner);
    free(m.tried);
    return all;
}

static void put_verdict(struct buf *out, const struct verdict *v) {
    buf_printf(out, "\n        {rule: %s, layer: %s, severity: %s, since: %lld, fired: %lld}",
               v->rule, v->layer ? v->layer : "~", severity_name(v->severity), (long long)v->since,
               (long long)v->step);
}

static void put_wanted(struct buf *out, const cJSON *want) {
    const cJSON *item;
    const char *between = "";
    buf_puts(out, "\n        {");
    cJSON_ArrayForEach(item, want) {
        buf_printf(out, "%s%s: ", between, item->string);
        if (cJSON_IsNumber(item)) {
            buf_printf(out, "%.15g", item->valuedouble);
        } else {
            buf_puts(out, cJSON_IsString(item) ? item->valuestring : "~");
        }
        between = ", ";
    }
    buf_putc(out, '}');
}

static void tell_difference(struct proof *p, const cJSON *check, const struct verdict **got,
                            size_t n) {
    struct buf out;
    const cJSON *want, *step = get(check, "step");
    const char *rule = text_of(check, "rule");
    buf_init(&out, 1 << 20);
    buf_printf(&out, "%s, ", rule ? rule : "all rules");
    if (step) {
        buf_printf(&out, "firing at step %.15g", step->valuedouble);
    } else {
        buf_puts(&out, "fired in the whole run");
    }
    buf_puts(&out, "\n    expected:");
    cJSON_ArrayForEach(want, get(check, "exp_alerts")) {
        put_wanted(&out, want);
    }
    buf_puts(&out, cJSON_GetArraySize(get(check, "exp_alerts")) ? "" : " nothing");
    buf_puts(&out, "\n    got:");
    for (size_t i = 0; i < n; i++) {
        put_verdict(&out, got[i]);
    }
    buf_puts(&out, n ? "" : " nothing");
    fail(p, buf_str(&out));
    buf_free(&out);
}

static void make_check(struct proof *p, const cJSON *check) {
    const char *rule = text_of(check, "rule");
    size_t count = judge_count(p->judge), n = 0;
    const struct verdict **got = must_alloc((count + 1) * sizeof(*got));
    for (size_t i = 0; i < count; i++) {
        const struct verdict *v = judge_verdict(p->judge, i);
        bool counts = !get(check, "step") || v->resolved < 0;
        if (counts && (!rule || strcmp(rule, v->rule) == 0)) {
            got[n++] = v;
        }
    }
    if (!match_all(get(check, "exp_alerts"), got, n)) {
        tell_difference(p, check, got, n);
    }
    free(got);
}

static bool is_due(const cJSON *check, int64_t step) {
    const cJSON *at = get(check, "step");
    return at ? step >= 0 && at->valuedouble == (double)step : step == WHOLE_RUN;
}

static void make_checks(struct proof *p, int64_t step) {
    const cJSON *check;
    cJSON_ArrayForEach(check, p->checks) {
        if (is_due(check, step)) {
            make_check(p, check);
        }
    }
}

// -- the run -------------------------------------------------------------------------------------

static int take_line(struct proof *p, const char *line, size_t len) {
    struct buf why;
    buf_init(&why, MESSAGE_MAX);
    int status = len ? judge_line(p->judge, line, len, &why) : 0;
    if (status) {
        fail(p, buf_str(&why));
    }
    buf_free(&why);
    if (!status && judge_last(p->judge) > p->seen) {
        p->seen = judge_last(p->judge);
        make_checks(p, p->seen);
    }
    return status;
}

static int run_series(struct proof *p, const cJSON *test) {
    struct buf line;
    buf_init(&line, LINE_MAX_BYTES);
    struct made_up *run = made_up_create(get(test, "hello"), get(test, "series"), &line);
    if (!run) {
        fail(p, buf_str(&line));
        buf_free(&line);
        return -1;
    }
    made_up_hello(run, &line);
    int status = take_line(p, line.data, line.len);
    for (size_t i = 0; status == 0 && i < made_up_steps(run); i++) {
        buf_clear(&line);
        made_up_step(run, i, &line);
        status = take_line(p, line.data, line.len);
    }
    made_up_destroy(run);
    buf_free(&line);
    return status;
}

// A path in a test is one from the test's file.
static void put_path(struct buf *path, const char *file, const char *name) {
    const char *slash = strrchr(file, '/');
    if (name[0] != '/' && slash) {
        buf_put(path, file, (size_t)(slash - file) + 1);
    }
    buf_puts(path, name);
}

static int run_lines(struct proof *p, struct recorded *file) {
    struct recorded_line piece;
    struct buf line;
    int status = 0, more = 1;
    buf_init(&line, LINE_MAX_BYTES);
    while (status == 0 && (more = recorded_next(file, &piece)) > 0) {
        buf_put(&line, piece.text, piece.len);
        if (piece.last) {
            status = take_line(p, line.data, line.len ? line.len - 1 : 0);
            buf_clear(&line);
        }
    }
    if (more < 0) {
        fail(p, recorded_error(file));
    }
    buf_free(&line);
    return more < 0 ? -1 : status;
}

static int run_recording(struct proof *p, const char *name) {
    struct buf path;
    char reason[256];
    buf_init(&path, MESSAGE_MAX);
    put_path(&path, p->file, name);
    struct recorded *file = recorded_open(buf_str(&path), reason, sizeof reason);
    int status = -1;
    if (file) {
        status = run_lines(p, file);
        recorded_close(file);
    } else {
        struct buf message;
        buf_init(&message, MESSAGE_MAX);
        buf_printf(&message, "cannot read %s: %s", buf_str(&path), reason);
        fail(p, buf_str(&message));
        buf_free(&message);
    }
    buf_free(&path);
    return status;
}

// A check of a step that never came was not made.
static void tell_unmade(struct proof *p) {
    const cJSON *check;
    cJSON_ArrayForEach(check, p->checks) {
        const cJSON *step = get(check, "step");
        if (step && step->valuedouble > (double)p->seen) {
            char text[128];
            snprintf(text, sizeof text, "step %.15g is to be looked at, but the last is %lld",
                     step->valuedouble, (long long)p->seen);
            fail(p, text);
        }
    }
}

// -- the file ------------------------------------------------------------------------------------

static bool keys_known(struct proof *p, const cJSON *object, const char *const *keys) {
    char text[192];
    const cJSON *item;
    if (!cJSON_IsObject(object)) {
        fail(p, "something is no mapping that should be one");
        return false;
    }
    cJSON_ArrayForEach(item, object) {
        size_t i = 0;
        while (keys[i] && strcmp(keys[i], item->string) != 0) {
            i++;
        }
        if (!keys[i]) {
            snprintf(text, sizeof text, "'%.60s' is not a key here; see docs/alerting.md",
                     item->string);
            fail(p, text);
            return false;
        }
    }
    return true;
}

static bool rule_known(struct proof *p, const cJSON *object) {
    const char *rule = text_of(object, "rule");
    bool known = !get(object, "rule");
    for (size_t i = 0; rule && !known && i < ruleset_count(p->rules); i++) {
        known = strcmp(ruleset_rule(p->rules, i)->name, rule) == 0;
    }
    if (!known) {
        char text[192];
        snprintf(text, sizeof text, "there is no rule '%.60s'", rule ? rule : "?");
        fail(p, text);
    }
    return known;
}

static bool check_is_good(struct proof *p, const cJSON *check) {
    static const char *const keys[] = {"step", "rule", "exp_alerts", NULL};
    static const char *const alert_keys[] = {"rule", "layer", "severity", "since", "fired", NULL};
    const cJSON *step = get(check, "step"), *alerts = get(check, "exp_alerts"), *alert;
    if (!keys_known(p, check, keys) || !rule_known(p, check)) {
        return false;
    }
    if ((step && !(cJSON_IsNumber(step) && step->valuedouble >= 0)) || !cJSON_IsArray(alerts)) {
        fail(p, "a check wants exp_alerts, a list, and may have a step, a number from 0");
        return false;
    }
    cJSON_ArrayForEach(alert, alerts) {
        if (!keys_known(p, alert, alert_keys) || !rule_known(p, alert)) {
            return false;
        }
    }
    return true;
}

static bool test_is_good(struct proof *p, const cJSON *test) {
    static const char *const keys[] = {"name",   "recording",       "hello",
                                       "series", "alert_rule_test", NULL};
    const cJSON *check, *hello = get(test, "hello");
    if (!keys_known(p, test, keys)) {
        return false;
    }
    if (!get(test, "recording") == !cJSON_IsObject(get(test, "series")) ||
        (hello && !cJSON_IsObject(hello)) ||
        (get(test, "recording") && !text_of(test, "recording"))) {
        fail(p, "wants either recording, a file, or series, a mapping, with or without a hello");
        return false;
    }
    if (cJSON_GetArraySize(p->checks) == 0 || !cJSON_IsArray(p->checks)) {
        fail(p, "checks nothing; expected alert_rule_test, a list of checks");
        return false;
    }
    cJSON_ArrayForEach(check, p->checks) {
        if (!check_is_good(p, check)) {
            return false;
        }
    }
    return true;
}

// A file of tests. With --json what is wrong is kept as well: of the file in `errors`, of a test in
// `failures`.
struct paper {
    const char *name;
    struct ruleset *rules;
    cJSON *errors, *failures; // NULL without --json
    size_t tests, failed;
};

// How many failures there were.
static size_t run_test(struct paper *paper, const cJSON *test, size_t number) {
    char unnamed[32];
    snprintf(unnamed, sizeof unnamed, "%zu", number);
    const char *name = cJSON_IsObject(test) ? text_of(test, "name") : NULL;
    struct proof p = {.file = paper->name,
                      .name = name ? name : unnamed,
                      .failed_tests = paper->failures,
                      .rules = paper->rules,
                      .seen = -1};
    p.checks = get(test, "alert_rule_test");
    if (!test_is_good(&p, test)) {
        return p.failures;
    }
    p.judge = judge_create(paper->rules);
    const char *recording = text_of(test, "recording");
    if ((recording ? run_recording(&p, recording) : run_series(&p, test)) == 0) {
        make_checks(&p, WHOLE_RUN);
        tell_unmade(&p);
    }
    judge_destroy(p.judge);
    return p.failures;
}

static void fail_file(struct paper *paper, const char *what) {
    struct buf message;
    buf_init(&message, MESSAGE_MAX);
    buf_printf(&message, "%s: %s", paper->name, what);
    rules_say(&message, paper->errors);
    buf_free(&message);
}

// The file's rules: those of another, or its own, or the defaults.
static struct ruleset *rules_of(struct paper *paper, const cJSON *tree) {
    const char *named = text_of(tree, "rules");
    if (get(tree, "rules") && (!named || get(tree, "alerts"))) {
        fail_file(paper,
                  "wants rules, the name of a file, or alerts as in a configuration, or neither");
        return NULL;
    }
    if (!named || strcmp(named, "default") == 0) {
        return rules_load(paper->name, true, paper->errors);
    }
    struct buf path;
    buf_init(&path, MESSAGE_MAX);
    put_path(&path, paper->name, named);
    struct ruleset *rules = rules_load(buf_str(&path), false, paper->errors);
    buf_free(&path);
    return rules;
}

static bool run_tests(struct paper *paper, const cJSON *tree) {
    static const char *const keys[] = {"rules", "alerts", "tests", NULL};
    const cJSON *test, *tests = get(tree, "tests");
    struct proof top = {.file = paper->name, .name = "(the file)", .failed_tests = paper->failures};
    if (!keys_known(&top, tree, keys)) {
        return false;
    }
    if (!cJSON_IsArray(tests) || !cJSON_GetArraySize(tests)) {
        fail_file(paper, "has no tests; expected a list");
        return false;
    }
    paper->rules = rules_of(paper, tree);
    if (!paper->rules) {
        return false;
    }
    cJSON_ArrayForEach(test, tests) {
        paper->tests++;
        paper->failed += run_test(paper, test, paper->tests) > 0;
    }
    ruleset_release(paper->rules);
    return true;
}

static void tell_paper(const struct cli *cli, const struct paper *paper, bool ran) {
    if (!cli->json) {
        if (ran) {
            printf("%s: %zu test%s, %zu failed\n", paper->name, paper->tests,
                   paper->tests == 1 ? "" : "s", paper->failed);
        }
        return;
    }
    cJSON *told = cJSON_CreateObject();
    cJSON_AddStringToObject(told, "file", paper->name);
    cJSON_AddBoolToObject(told, "ok", ran && paper->failed == 0);
    cJSON_AddItemToObject(told, "errors", paper->errors);
    cJSON_AddNumberToObject(told, "tests", (double)paper->tests);
    cJSON_AddNumberToObject(told, "failed", (double)paper->failed);
    cJSON_AddItemToObject(told, "failures", paper->failures);
    tree_tell(told);
}

static bool test_file(const struct cli *cli, const char *file) {
    struct paper paper = {.name = file,
                          .errors = cli->json ? cJSON_CreateArray() : NULL,
                          .failures = cli->json ? cJSON_CreateArray() : NULL};
    struct buf messages;
    buf_init(&messages, LIMIT_CONFIG_MESSAGE_BYTES);
    cJSON *tree = yaml_json_read(file, &messages);
    rules_say(&messages, paper.errors);
    buf_free(&messages);
    bool ran = tree && run_tests(&paper, tree);
    cJSON_Delete(tree);
    tell_paper(cli, &paper, ran);
    return ran && paper.failed == 0;
}

int rules_test(const struct cli *cli, int count, char **words) {
    if (count < 1) {
        cli_fail("rules test wants: FILE...");
        return CLI_USAGE;
    }
    int status = CLI_OK;
    for (int i = 0; i < count; i++) {
        status = test_file(cli, words[i]) ? status : CLI_FAILED;
    }
    return status;
}
