// `pyrometer alerts show ID`: all that someone on call wants to know of one alert.
#include "cli/alert_show.h"

#include "cli/alerts.h"
#include "cli/http.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/tree.h"

#include <stdio.h>
#include <string.h>

// A text of the daemon's, safe for a terminal.
static void print_text(const char *title, const char *text) {
    struct buf safe;
    buf_init(&safe, (size_t)1 << 20);
    text_put(&safe, text, SIZE_MAX);
    printf("%-15s %s\n", title, buf_str(&safe));
    buf_free(&safe);
}

static void print_history(const struct cli *cli, const cJSON *alert) {
    static const char *const columns[] = {"state", "severity", ">step", ">value",
                                          "when",  "summary",  NULL};
    struct table *table = table_create(columns);
    const cJSON *change;
    cJSON_ArrayForEach(change, tree_member(alert, "history")) {
        table_cell(table, tree_text(change, "state", "?"));
        table_cell(table, tree_text(change, "severity", "?"));
        table_cell(table, text_count(tree_number(change, "step")).s);
        table_cell(table, text_number(tree_number(change, "value")).s);
        table_cell(table, text_time(tree_number(change, "time")).s);
        table_cell(table, tree_text(change, "summary", ""));
    }
    printf("\nhistory\n");
    table_print(table, cli, 2);
    table_destroy(table);
}

// One row a step, one column a series; of many layers the first few.
#define COLUMNS_MAX 6
#define ROWS "17"

static double value_at(const cJSON *series, double step) {
    const cJSON *steps = tree_member(series, "step"), *values = tree_member(series, "value");
    const cJSON *value = values ? values->child : NULL;
    const cJSON *at;
    cJSON_ArrayForEach(at, steps) {
        if (tree_value(at) == step) {
            return tree_value(value);
        }
        value = value ? value->next : NULL;
    }
    return tree_value(NULL);
}

static void print_series(const struct cli *cli, const cJSON *list) {
    const char *columns[COLUMNS_MAX + 2] = {">step"};
    char names[COLUMNS_MAX][160];
    const cJSON *series[COLUMNS_MAX], *one, *step;
    size_t n = 0;
    cJSON_ArrayForEach(one, list) {
        if (n < COLUMNS_MAX) {
            const char *layer = tree_text(one, "layer", NULL);
            snprintf(names[n], sizeof names[n], ">%.60s%s%.90s", tree_text(one, "metric", "?"),
                     layer ? " " : "", layer ? layer : "");
            columns[n + 1] = names[n];
            series[n++] = one;
        }
    }
    columns[n + 1] = NULL;
    struct table *table = table_create(columns);
    const cJSON *steps = n ? tree_member(series[0], "step") : NULL;
    cJSON_ArrayForEach(step, steps) {
        table_cell(table, text_count(tree_value(step)).s);
        for (size_t i = 0; i < n; i++) {
            table_cell(table, text_number(value_at(series[i], tree_value(step))).s);
        }
    }
    printf("\nreadings around it\n");
    table_print(table, cli, 2);
    table_destroy(table);
}

static void show_series(const struct cli *cli, const cJSON *alert) {
    struct http_answer answer;
    struct buf path;
    http_answer_init(&answer);
    buf_init(&path, (size_t)1 << 17);
    buf_printf(&path, "%s&agg=last&points=" ROWS,
               tree_text(tree_member(alert, "around"), "series", ""));
    cJSON *found = tree_get(cli, buf_str(&path), &answer);
    if (found) {
        print_series(cli, tree_member(found, "series"));
    } else {
        print_text("\nreadings", answer.error);
    }
    cJSON_Delete(found);
    buf_free(&path);
    http_answer_free(&answer);
}

static void show_advice(const struct cli *cli, const char *name) {
    static const char *const texts[][2] = {
        {"means", "what it means"}, {"causes", "usual causes"}, {"remedy", "what to do"}};
    struct http_answer answer;
    http_answer_init(&answer);
    cJSON *rules = tree_get(cli, "/api/v1/rules", &answer);
    const cJSON *rule = NULL, *r;
    cJSON_ArrayForEach(r, tree_member(rules, "rules")) {
        rule = strcmp(tree_text(r, "rule", ""), name) == 0 ? r : rule;
    }
    for (size_t i = 0; rule && tree_text(rule, "means", NULL) && i < 3; i++) {
        print_text(texts[i][1], tree_text(rule, texts[i][0], ""));
    }
    cJSON_Delete(rules);
    http_answer_free(&answer);
}

static void show(const struct cli *cli, cJSON *alert) {
    print_text(tree_text(alert, "rule", "?"), tree_text(alert, "summary", ""));
    show_advice(cli, tree_text(alert, "rule", ""));
    cJSON *list = cJSON_CreateObject(), *alerts = cJSON_AddArrayToObject(list, "alerts");
    cJSON_AddItemReferenceToArray(alerts, alert);
    printf("\n");
    alerts_print(cli, list, false, 2);
    cJSON_Delete(list);
    if (tree_number(alert, "group") != tree_number(alert, "id")) {
        printf("  of the cause that alert %s told first\n",
               text_count(tree_number(alert, "group")).s);
    }
    print_history(cli, alert);
    show_series(cli, alert);
}

int alert_show(const struct cli *cli, int count, char **words) {
    (void)count;
    struct http_answer answer;
    struct buf path;
    http_answer_init(&answer);
    buf_init(&path, 4096);
    buf_puts(&path, "/api/v1/alerts/");
    http_put_escaped(&path, words[0]);
    cJSON *alert = tree_get(cli, buf_str(&path), &answer);
    int status = CLI_OK;
    if (!alert) {
        status = cli_fail("%s", answer.error);
    } else if (cli->json) {
        tree_print(alert);
    } else {
        show(cli, alert);
    }
    cJSON_Delete(alert);
    buf_free(&path);
    http_answer_free(&answer);
    return status;
}
