// `pyrometer rules`: whether rules are good, and what they would have told of recorded or stored
// runs.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "cli/cli.h"
#include "cli/http.h"
#include "cli/judge.h"
#include "cli/progress.h"
#include "cli/recorded.h"
#include "cli/rules.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/tree.h"
#include "alerts/metric.h"
#include "config/config.h"
#include "runs/rules.h"

enum { LINE_MAX_BYTES = 64 << 20, PROBLEMS_SHOWN = 3 };

// A source being judged: whole lines are put together from the pieces that come.
struct backtest {
    struct judge *judge;
    const char *source;
    struct buf line;
    uint64_t number, bad;
    bool failed;
};

static void judge_whole_line(struct backtest *b) {
    struct buf why;
    buf_init(&why, 4096);
    b->number++;
    if (b->line.len > 0 && judge_line(b->judge, b->line.data, b->line.len, &why) &&
        b->bad++ < PROBLEMS_SHOWN) {
        cli_fail("%s, line %llu is left out: %s", b->source, (unsigned long long)b->number,
                 buf_str(&why));
    }
    buf_free(&why);
    buf_clear(&b->line);
    if (progress_due()) {
        progress_say("%llu steps judged", (unsigned long long)judge_steps(b->judge));
    }
}

static bool take_bytes(void *context, const char *bytes, size_t n) {
    struct backtest *b = context;
    while (n > 0) {
        const char *end = memchr(bytes, '\n', n);
        size_t piece = end ? (size_t)(end - bytes) : n;
        buf_put(&b->line, bytes, piece);
        if (b->line.failed) {
            cli_fail("%s, line %llu is longer than %d MiB", b->source,
                     (unsigned long long)b->number + 1, LINE_MAX_BYTES >> 20);
            b->failed = true;
            return false;
        }
        if (end) {
            judge_whole_line(b);
            piece++;
        }
        bytes += piece;
        n -= piece;
    }
    return true;
}

static int read_file(struct backtest *b) {
    char reason[256];
    struct recorded *file = recorded_open(b->source, reason, sizeof reason);
    if (!file) {
        return cli_fail("cannot read %s: %s", b->source, reason);
    }
    struct recorded_line line;
    int more = 1;
    while (!b->failed && (more = recorded_next(file, &line)) > 0) {
        take_bytes(b, line.text, line.len);
    }
    int status = CLI_OK;
    if (b->failed) {
        status = CLI_FAILED;
    } else if (more < 0) {
        status = cli_fail("%s: %s", b->source, recorded_error(file));
    }
    recorded_close(file);
    return status;
}

static int read_run(struct backtest *b, const struct cli *cli) {
    struct http_answer answer;
    struct buf path;
    http_answer_init(&answer);
    http_begin_run(&path, b->source, "/export");
    int status = CLI_OK;
    if (http_get_to(cli, buf_str(&path), &answer, take_bytes, b) != 0 && !b->failed) {
        status = cli_fail("%s is no file, and as a run: %s", b->source, answer.error);
    }
    buf_free(&path);
    http_answer_free(&answer);
    return b->failed ? CLI_FAILED : status;
}

static void add_number(cJSON *object, const char *key, double x) {
    if (isfinite(x)) {
        cJSON_AddNumberToObject(object, key, x);
    } else {
        cJSON_AddStringToObject(object, key, isnan(x) ? "NaN" : x > 0 ? "Infinity" : "-Infinity");
    }
}

static void add_text(cJSON *object, const char *key, const char *text) {
    if (text) {
        cJSON_AddStringToObject(object, key, text);
    } else {
        cJSON_AddNullToObject(object, key);
    }
}

static void add_step(cJSON *object, const char *key, int64_t step) {
    if (step >= 0) {
        add_number(object, key, (double)step);
    } else {
        cJSON_AddNullToObject(object, key);
    }
}

static cJSON *verdict_json(const struct verdict *v) {
    cJSON *alert = cJSON_CreateObject();
    add_text(alert, "rule", v->rule);
    add_text(alert, "severity", severity_name(v->severity));
    add_text(alert, "layer", v->layer);
    add_number(alert, "since", (double)v->since);
    add_number(alert, "step", (double)v->step);
    add_step(alert, "warned", v->warned);
    add_step(alert, "resolved", v->resolved);
    add_number(alert, "value", v->value);
    add_number(alert, "threshold", v->threshold);
    cJSON *group = cJSON_AddObjectToObject(alert, "group");
    add_text(group, "rule", v->group_rule);
    add_text(group, "layer", v->group_layer);
    add_number(group, "since", (double)v->group_since);
    add_text(alert, "summary", v->summary);
    return alert;
}

static void print_json(const struct backtest *b) {
    cJSON *all = cJSON_CreateObject();
    add_text(all, "source", b->source);
    add_text(all, "run", judge_run(b->judge));
    add_number(all, "steps", (double)judge_steps(b->judge));
    cJSON *alerts = cJSON_AddArrayToObject(all, "alerts");
    for (size_t i = 0; i < judge_count(b->judge); i++) {
        cJSON_AddItemToArray(alerts, verdict_json(judge_verdict(b->judge, i)));
    }
    tree_tell(all);
}

static void print_text(const struct cli *cli, const struct backtest *b) {
    static const char *const columns[] = {"severity", "rule",      "layer",   ">since",
                                          ">fired",   ">resolved", "summary", NULL};
    struct buf safe;
    buf_init(&safe, 65536);
    text_put(&safe, judge_run(b->judge), 200);
    printf("%s: %llu steps, %zu alerts\n", buf_str(&safe),
           (unsigned long long)judge_steps(b->judge), judge_count(b->judge));
    buf_free(&safe);
    struct table *table = table_create(columns);
    for (size_t i = 0; i < judge_count(b->judge); i++) {
        const struct verdict *v = judge_verdict(b->judge, i);
        table_cell(table, severity_name(v->severity));
        table_cell(table, v->rule);
        table_cell(table, v->layer ? v->layer : "whole run");
        table_cell(table, text_count((double)v->since).s);
        table_cell(table, text_count((double)v->step).s);
        table_cell(table, v->resolved >= 0 ? text_count((double)v->resolved).s : "-");
        table_cell(table, v->summary);
    }
    if (table_rows(table)) {
        table_print(table, cli, 2);
    }
    table_destroy(table);
}

static int backtest_source(const struct cli *cli, struct ruleset *rules, const char *source) {
    struct backtest b = {.judge = judge_create(rules), .source = source};
    buf_init(&b.line, LINE_MAX_BYTES);
    bool is_file = strcmp(source, "-") == 0 || access(source, F_OK) == 0;
    int status = is_file ? read_file(&b) : read_run(&b, cli);
    progress_clear();
    if (status == CLI_OK && judge_steps(b.judge) == 0) {
        status = cli_fail("%s holds no run: no hello with steps behind it", source);
    }
    if (status == CLI_OK && cli->json) {
        print_json(&b);
    } else if (status == CLI_OK) {
        print_text(cli, &b);
    }
    buf_free(&b.line);
    judge_destroy(b.judge);
    return status;
}

void rules_say(struct buf *messages, cJSON *errors) {
    const char *line = buf_str(messages);
    while (*line) {
        size_t n = strcspn(line, "\n");
        fprintf(stderr, "%.*s\n", (int)n, line);
        if (errors) {
            char *text = must_copy_n(line, n);
            cJSON_AddItemToArray(errors, cJSON_CreateString(text));
            free(text);
        }
        line += n + (line[n] == '\n');
    }
}

struct ruleset *rules_load(const char *path, bool alerts_only, cJSON *errors) {
    const char *names[RULE_COUNT + 1];
    struct config config;
    struct buf messages;
    struct ruleset *rules = NULL;
    buf_init(&messages, LIMIT_CONFIG_MESSAGE_BYTES);
    int (*load)(struct config *, const char *, const char *const *, struct buf *) =
        alerts_only ? config_load_alerts : config_load;
    if (load(&config, path, rules_names(names), &messages) == 0) {
        rules = rules_from_config(&config, &messages);
        config_free(&config);
    }
    if (!rules) {
        rules_say(&messages, errors);
    }
    buf_free(&messages);
    return rules;
}

static struct ruleset *load_rules(const char *path, cJSON *errors) {
    return strcmp(path, "default") == 0 ? ruleset_default() : rules_load(path, false, errors);
}

static void count_rules(const struct ruleset *rules, size_t *own, size_t *off) {
    *own = *off = 0;
    for (size_t i = 0; i < ruleset_count(rules); i++) {
        *own += ruleset_rule(rules, i)->id == RULE_COUNT;
        *off += !ruleset_rule(rules, i)->enabled;
    }
}

// What no thermometer and no statistic of the protocol is called may be one of the job's own.
static bool is_doubtful(const struct rule *r) {
    return r->metric && metric_source(r->metric).kind == METRIC_KIND_COLUMN;
}

static void print_check(const char *file, const struct ruleset *rules) {
    size_t own, off;
    for (size_t i = 0; i < ruleset_count(rules); i++) {
        const struct rule *r = ruleset_rule(rules, i);
        if (is_doubtful(r)) {
            printf("note: rule %s: \"%s\" is no metric that pyrometer knows; it fires only where "
                   "the job sends a statistic of that name\n",
                   r->name, r->metric);
        }
    }
    count_rules(rules, &own, &off);
    printf("%s is good: %zu rules, %zu of them its own, %zu switched off\n", file,
           ruleset_count(rules), own, off);
}

// `rules` NULL: they are not good.
static void print_check_json(const char *file, const struct ruleset *rules, cJSON *errors) {
    cJSON *told = cJSON_CreateObject();
    add_text(told, "file", file);
    cJSON_AddBoolToObject(told, "ok", rules != NULL);
    cJSON_AddItemToObject(told, "errors", errors);
    if (rules) {
        size_t own, off;
        count_rules(rules, &own, &off);
        add_number(told, "rules", (double)ruleset_count(rules));
        add_number(told, "own", (double)own);
        add_number(told, "off", (double)off);
        cJSON *list = cJSON_AddArrayToObject(told, "unknown_metrics");
        for (size_t i = 0; i < ruleset_count(rules); i++) {
            const struct rule *r = ruleset_rule(rules, i);
            if (is_doubtful(r)) {
                cJSON *one = cJSON_CreateObject();
                add_text(one, "rule", r->name);
                add_text(one, "metric", r->metric);
                cJSON_AddItemToArray(list, one);
            }
        }
    }
    tree_tell(told);
}

static int check(const struct cli *cli, int count, char **words) {
    if (count != 1) {
        cli_fail("rules check wants: FILE");
        return CLI_USAGE;
    }
    cJSON *errors = cli->json ? cJSON_CreateArray() : NULL;
    struct ruleset *rules = load_rules(words[0], errors);
    if (cli->json) {
        print_check_json(words[0], rules, errors);
    } else if (rules) {
        print_check(words[0], rules);
    }
    int status = rules ? CLI_OK : CLI_FAILED;
    ruleset_release(rules);
    return status;
}

static int backtest(const struct cli *cli, int count, char **words) {
    if (count < 2) {
        cli_fail("rules backtest wants: RULES RUN|FILE.ndjson[.gz]..., where RULES is a file or "
                 "default");
        return CLI_USAGE;
    }
    struct ruleset *rules = load_rules(words[0], NULL);
    if (!rules) {
        return CLI_FAILED;
    }
    int status = CLI_OK;
    for (int i = 1; i < count; i++) {
        int one = backtest_source(cli, rules, words[i]);
        status = one != CLI_OK ? one : status;
    }
    ruleset_release(rules);
    return status;
}

int command_rules(const struct cli *cli, int count, char **words) {
    if (strcmp(words[0], "backtest") == 0) {
        return backtest(cli, count - 1, words + 1);
    }
    if (strcmp(words[0], "check") == 0) {
        return check(cli, count - 1, words + 1);
    }
    if (strcmp(words[0], "test") == 0) {
        return rules_test(cli, count - 1, words + 1);
    }
    cli_fail("rules has no '%s'; it has: check, test, backtest", words[0]);
    return CLI_USAGE;
}
