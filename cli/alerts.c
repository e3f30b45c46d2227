#include "cli/alerts.h"

#include <stdio.h>

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
    snprintf(text, sizeof text, "%.40s%s%s%s", tree_text(alert, "state", "?"),
             tree_member(alert, "acknowledged") ? ", acknowledged" : "",
             cJSON_IsTrue(tree_member(alert, "silenced")) ? ", silenced" : "",
             cJSON_IsTrue(tree_member(alert, "inhibited")) ? ", held back" : "");
    table_cell(table, text);
}

static void add_row(struct table *table, const cJSON *alert, bool of_one_run) {
    table_cell(table, text_count(tree_number(alert, "id")).s);
    table_cell(table, tree_text(alert, "severity", "?"));
    put_state(table, alert);
    if (!of_one_run) {
        table_cell(table, tree_text(alert, "run", "?"));
    }
    table_cell(table, tree_text(alert, "rule", "?"));
    table_cell(table, tree_text(alert, "layer", "whole run"));
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
    const cJSON *alert;
    cJSON_ArrayForEach(alert, tree_member(list, "alerts")) {
        add_row(table, alert, of_one_run);
    }
    if (table_rows(table)) {
        table_print(table, cli, indent);
    } else {
        printf("%*sno alerts\n", indent, "");
    }
    table_destroy(table);
}

int command_alerts(const struct cli *cli, int count, char **words) {
    if (count) {
        return alert_action(cli, count, words);
    }
    struct http_answer answer;
    http_answer_init(&answer);
    struct alert_filter filter = {.run = cli->run, .state = cli->state, .severity = cli->severity};
    cJSON *list = alerts_get(cli, &filter, &answer);
    int status = CLI_OK;
    if (!list) {
        status = cli_fail("%s", answer.error);
    } else if (cli->json) {
        tree_print(list);
    } else {
        alerts_print(cli, list, false, 0);
    }
    cJSON_Delete(list);
    http_answer_free(&answer);
    return status;
}
