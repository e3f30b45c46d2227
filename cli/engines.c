#include "cli/engines.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "cli/table.h"
#include "cli/text.h"

cJSON *engines_get(const struct cli *cli, const char *run, struct http_answer *answer) {
    struct buf path;
    http_begin_run(&path, run, "/engine");
    cJSON *engine = tree_get(cli, buf_str(&path), answer);
    buf_free(&path);
    return engine;
}

static void print_title(const struct cli *cli, const char *title) {
    printf("\n%s%s%s\n", cli->colour ? "\033[1m" : "", title, cli->colour ? "\033[0m" : "");
}

static void add_layer(struct table *table, const cJSON *layer) {
    static const char *const figures[] = {"efficiency", "reference", "ratio", "entropy_change",
                                          "dead",       "saturated", "heat",  "heat_share"};
    table_cell(table, tree_text(layer, "name", "?"));
    table_cell(table, tree_text(layer, "activation", "–"));
    table_cell(table, tree_text(layer, "class", "–"));
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        table_cell(table, text_number(tree_number(layer, figures[i])).s);
    }
}

static void print_layers(const struct cli *cli, const cJSON *engine) {
    static const char *const columns[] = {"layer",      "activation", "engine",     ">efficiency",
                                          ">reference", ">ratio",     ">dS a unit", ">dead",
                                          ">saturated", ">heat",      ">share",     NULL};
    char title[96];
    snprintf(title, sizeof title, "heat engines: the network is %.30s",
             tree_text(engine, "class", "of unknown class"));
    print_title(cli, title);
    struct table *table = table_create(columns);
    const cJSON *layer;
    cJSON_ArrayForEach(layer, tree_member(engine, "layers")) {
        add_layer(table, layer);
    }
    table_print(table, cli, 2);
    table_destroy(table);
}

static void print_balance(const struct cli *cli, const cJSON *balance) {
    static const char *const columns[] = {"", ">loss", "meaning", NULL};
    static const char *const rows[][3] = {
        {"in", "in", "what came in: the first loss, and the work of refreshes"},
        {"energy", "energy", "what is left of it: the newest loss"},
        {"kept", "kept", "what is gone for good: in less energy"},
        {"dissipated", "dissipated", "what the layers took from the batches they saw"},
        {"returned", "returned", "dissipated less kept: it came back on other batches"},
        {"kept_share", "kept share", "kept of what was dissipated"},
    };
    char title[96];
    snprintf(title, sizeof title, "energy balance since step %s",
             text_count(tree_number(balance, "since")).s);
    print_title(cli, title);
    struct table *table = table_create(columns);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        table_cell(table, rows[i][1]);
        table_cell(table, text_number(tree_number(balance, rows[i][0])).s);
        table_cell(table, rows[i][2]);
    }
    table_print(table, cli, 2);
    table_destroy(table);
}

void engines_print(const struct cli *cli, const cJSON *engine) {
    print_layers(cli, engine);
    print_balance(cli, tree_member(engine, "balance"));
}
