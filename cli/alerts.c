#include "cli/alerts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/alert_actions.h"
#include "cli/table.h"
#include "cli/text.h"

cJSON *alerts_get(const struct cli *cli, const struct alert_filter *filter,
                  struct http_answer *answer) {
    struct buf path;
    buf_init(&path, (size_t)1 << 16);
    buf_puts(&path, "/api/v1/alerts?");
    http_put_filter(&path, "run", filter->run);
    http_put_filter(&path, "state", filter->state);
    http_put_filter(&path, "severity", filter->severity);
    cJSON *list = tree_get_list(cli, buf_str(&path), "alerts", answer);
    buf_free(&path);
    return list;
}

// "firing", what people have done about it, and whether a graver alert holds it back.
static void put_state(struct table *table, const cJSON *alert) {
    char text[96];
    snprintf(text, sizeof text, "%.40s%s%s%s%s", tree_text(alert, "state", "?"),
             tree_member(alert, "acknowledged") ? ", acknowledged" : "",
             cJSON_IsTrue(tree_member(alert, "silenced")) ? ", silenced" : "",
             cJSON_IsTrue(tree_member(alert, "inhibited")) ? ", held back" : "",
             cJSON_IsTrue(tree_member(alert, "no_data")) ? ", no data" : "");
    table_cell(table, text);
}

// An alert and its cause: the number of the cause's first alert, and the newest of its alerts.
struct placed {
    const cJSON *alert;
    double id, cause, newest;
};

static int by_cause(const void *a, const void *b) {
    const struct placed *x = a, *y = b;
    return x->cause != y->cause ? (x->cause > y->cause) - (x->cause < y->cause)
                                : (x->id > y->id) - (x->id < y->id);
}

// The cause with the newest alert first; of a cause, the first alert first.
static int by_newest(const void *a, const void *b) {
    const struct placed *x = a, *y = b;
    return x->newest != y->newest ? (x->newest < y->newest) - (x->newest > y->newest)
                                  : by_cause(a, b);
}

// The alerts in the order in which they are shown. free() it.
static struct placed *place(const cJSON *list, size_t *count) {
    size_t n = 0, room = (size_t)cJSON_GetArraySize(list);
    struct placed *all = must_alloc((room + 1) * sizeof *all);
    const cJSON *alert;
    cJSON_ArrayForEach(alert, list) {
        double id = tree_number(alert, "id");
        all[n++] = (struct placed){alert, id, tree_number(alert, "group"), id};
    }
    qsort(all, n, sizeof *all, by_cause);
    for (size_t i = n; i-- > 0;) {
        bool goes_on = i + 1 < n && all[i + 1].cause == all[i].cause;
        all[i].newest = goes_on ? all[i + 1].newest : all[i].id;
    }
    qsort(all, n, sizeof *all, by_newest);
    *count = n;
    return all;
}

// What is not the first of its cause stands below it, with a plus sign.
static void put_rule(struct table *table, const struct placed *p) {
    char text[96];
    snprintf(text, sizeof text, "%s%.80s", p->cause == p->id ? "" : "+ ",
             tree_text(p->alert, "rule", "?"));
    table_cell(table, text);
}

static void add_row(struct table *table, const struct placed *p, bool of_one_run) {
    const cJSON *alert = p->alert;
    table_cell(table, text_count(tree_number(alert, "id")).s);
    table_cell(table, tree_text(alert, "severity", "?"));
    put_state(table, alert);
    if (!of_one_run) {
        table_cell(table, tree_text(alert, "run", "the daemon"));
    }
    put_rule(table, p);
    table_cell(table, tree_text(alert, "layer", tree_text(alert, "run", NULL) ? "whole run" : ""));
    table_cell(table, text_count(tree_number(alert, "since")).s);
    table_cell(table, text_count(tree_number(alert, "step")).s);
    table_cell(table, text_time(tree_number(alert, "started")).s);
    table_cell(table, tree_text(alert, "summary", ""));
}

void alerts_print(const struct cli *cli, const cJSON *list, bool of_one_run, int indent) {
    static const char *const of_all[] = {">id",     "severity", "state",  "run",
                                         "rule",    "layer",    ">since", ">fired",
                                         "started", "summary",  NULL};
    static const char *const of_one[] = {">id",    "severity", "state",   "rule",    "layer",
                                         ">since", ">fired",   "started", "summary", NULL};
    struct table *table = table_create(of_one_run ? of_one : of_all);
    size_t n;
    struct placed *all = place(tree_member(list, "alerts"), &n);
    for (size_t i = 0; i < n; i++) {
        add_row(table, &all[i], of_one_run);
    }
    free(all);
    if (table_rows(table)) {
        table_print(table, cli, indent);
    } else {
        printf("%*sno alerts\n", indent, "");
    }
    table_destroy(table);
}

static void print_all(const struct cli *cli, const cJSON *list) {
    alerts_print(cli, list, false, 0);
}

// The list takes some options, `silence` others; whoever gives one elsewhere expects something.
static int check_options(const struct cli *cli, const char *action) {
    const bool silences = strcmp(action, "silence") == 0;
    const struct {
        const char *name, *value;
        bool taken;
    } options[] = {
        {"run", cli->run, !*action},           {"state", cli->state, !*action},
        {"severity", cli->severity, !*action}, {"for", cli->duration, silences},
        {"comment", cli->comment, silences},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (options[i].value && !options[i].taken) {
            cli_fail("alerts%s%s does not take --%s; see pyrometer alerts --help",
                     *action ? " " : "", action, options[i].name);
            return CLI_USAGE;
        }
    }
    return CLI_OK;
}

int command_alerts(const struct cli *cli, int count, char **words) {
    int status = check_options(cli, count ? words[0] : "");
    if (status != CLI_OK) {
        return status;
    }
    if (count) {
        return alert_action(cli, count, words);
    }
    struct http_answer answer;
    http_answer_init(&answer);
    struct alert_filter filter = {.run = cli->run, .state = cli->state, .severity = cli->severity};
    return tree_show(cli, alerts_get(cli, &filter, &answer), &answer, print_all);
}
