// `pyrometer runs`: one line a run.
#include <stdio.h>

#include "cli/cli.h"
#include "cli/table.h"
#include "cli/thermometer.h"
#include "cli/tree.h"

static void add_row(struct table *table, const cJSON *run) {
    const cJSON *reading = tree_member(run, "temperature"); // of live runs only
    struct thermometer_reading kinetic =
        thermometer_read(tree_member(reading, "global"), "kinetic");
    table_cell(table, tree_text(run, "run", "?"));
    table_cell(table, tree_text(run, "project", ""));
    table_cell(table, tree_text(run, "status", "?"));
    table_cell(table, text_count(tree_number(run, "last_step")).s);
    table_cell(table, text_number(tree_loss(run)).s);
    table_cell(table, reading ? text_number(kinetic.value).s : "");
    table_cell(table, text_count(tree_number(tree_member(run, "alerts"), "firing")).s);
    table_cell(table, text_time(tree_number(run, "started")).s);
}

static void print_runs(const struct cli *cli, const cJSON *list) {
    static const char *const columns[] = {"run",        "project", "status",  ">last step", ">loss",
                                          ">kinetic T", ">firing", "started", NULL};
    struct table *table = table_create(columns);
    const cJSON *run;
    cJSON_ArrayForEach(run, tree_member(list, "runs")) {
        add_row(table, run);
    }
    if (table_rows(table)) {
        table_print(table, cli, 0);
    } else {
        puts("no runs");
    }
    table_destroy(table);
}

int command_runs(const struct cli *cli, int count, char **words) {
    (void)count, (void)words;
    struct http_answer answer;
    struct buf path;
    http_answer_init(&answer);
    buf_init(&path, (size_t)1 << 16);
    buf_puts(&path, "/api/v1/runs?");
    http_put_filter(&path, "project", cli->project);
    http_put_filter(&path, "status", cli->status);
    cJSON *list = tree_get_list(cli, buf_str(&path), "runs", &answer);
    buf_free(&path);
    return tree_show(cli, list, &answer, print_runs);
}
