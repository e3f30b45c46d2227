// `pyrometer show RUN`: what the run is, its temperatures, its layers and its alerts.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "cli/alerts.h"
#include "cli/cli.h"
#include "cli/engines.h"
#include "cli/progress.h"
#include "cli/states.h"
#include "cli/table.h"
#include "cli/thermometer.h"
#include "cli/tree.h"

enum { FACT_WIDTH = 12, REASONS_MAX = 24 };

static void print_fact(const char *name, const char *value) {
    struct buf safe;
    buf_init(&safe, (size_t)1 << 16);
    text_put(&safe, value, 4096);
    printf("  %-*s  %s\n", FACT_WIDTH, name, buf_str(&safe));
    buf_free(&safe);
}

static void print_fact_if(const char *name, const char *value) {
    if (value && value[0]) {
        print_fact(name, value);
    }
}

static void print_title(const struct cli *cli, const char *title) {
    printf("\n%s%s%s\n", cli->colour ? "\033[1m" : "", title, cli->colour ? "\033[0m" : "");
}

// "sgd, lr 0.1, momentum 0.9": whatever the job told of it.
static void print_optimizer(const cJSON *optimizer) {
    struct buf line;
    buf_init(&line, 4096);
    buf_puts(&line, tree_text(optimizer, "name", "not said"));
    const cJSON *item;
    cJSON_ArrayForEach(item, optimizer) {
        if (!item->string || strcmp(item->string, "name") == 0) {
            continue;
        }
        double x = tree_value(item);
        char *text = num_is_missing(x) ? cJSON_PrintUnformatted(item) : NULL;
        buf_printf(&line, ", %s %s", item->string, text ? text : text_number(x).s);
        cJSON_free(text);
    }
    print_fact("optimizer", buf_str(&line));
    buf_free(&line);
}

static void print_steps(const cJSON *run) {
    char text[256];
    snprintf(text, sizeof text, "%s (%s to %s)", text_count(tree_number(run, "steps")).s,
             text_count(tree_number(run, "first_step")).s,
             text_count(tree_number(run, "last_step")).s);
    print_fact("steps", text);
}

static void print_tags(const cJSON *tags) {
    struct buf line;
    buf_init(&line, 4096);
    const cJSON *tag;
    cJSON_ArrayForEach(tag, tags) {
        buf_printf(&line, "%s%s=%s", line.len ? ", " : "", tag->string ? tag->string : "",
                   cJSON_IsString(tag) ? tag->valuestring : text_number(tree_value(tag)).s);
    }
    print_fact_if("tags", buf_str(&line));
    buf_free(&line);
}

static void print_batch(const cJSON *run) {
    double size = tree_number(run, "batch_size");
    double of = tree_number(run, "dataset_size");
    char text[192];
    if (num_is_missing(size) && num_is_missing(of)) {
        return;
    }
    snprintf(text, sizeof text, "%s samples%s%s", text_count(size).s,
             num_is_missing(of) ? "" : " of a data set of ",
             num_is_missing(of) ? "" : text_count(of).s);
    print_fact("batch", text);
}

static void print_facts(const struct cli *cli, const cJSON *run) {
    const cJSON *reading = tree_member(run, "temperature");
    const cJSON *loss = tree_member(run, "loss");
    printf("%s%s%s\n", cli->colour ? "\033[1m" : "", tree_text(run, "run", "?"),
           cli->colour ? "\033[0m" : "");
    print_fact("status", tree_text(run, "status", "?"));
    print_fact_if("project", tree_text(run, "project", NULL));
    print_steps(run);
    print_fact("loss", text_number(tree_loss(run)).s);
    bool is_kind = cJSON_IsString(loss) && num_is_missing(tree_value(loss));
    print_fact_if("loss kind", is_kind ? loss->valuestring : tree_text(run, "loss_function", NULL));
    print_optimizer(tree_member(run, "optimizer"));
    print_batch(run);
    print_fact("started", text_time(tree_number(run, "started")).s);
    print_fact("last seen", text_time(tree_number(run, "last_seen")).s);
    print_tags(tree_member(run, "tags"));
    print_fact_if("quadrant", tree_text(reading, "quadrant", NULL));
    print_fact_if("state", tree_text(reading, "state", NULL));
}

static void print_temperatures(const struct cli *cli, const cJSON *reading) {
    static const char *const columns[] = {"thermometer", ">value", "95% interval", "meaning", NULL};
    char title[96];
    snprintf(title, sizeof title, "temperatures of the whole run at step %s",
             text_count(tree_number(reading, "step")).s);
    print_title(cli, title);
    struct table *table = table_create(columns);
    for (size_t i = 0; i < THERMOMETER_COUNT; i++) {
        struct thermometer_reading t =
            thermometer_read(tree_member(reading, "global"), thermometers[i].name);
        table_cell(table, thermometers[i].name);
        table_cell(table, text_number(t.value).s);
        table_cell(table, t.reason ? t.reason : thermometer_interval(t).s);
        table_cell(table, thermometers[i].meaning);
    }
    table_print(table, cli, 2);
    table_destroy(table);
}

static void print_figures(const struct cli *cli, const cJSON *reading) {
    static const char *const columns[] = {"figure", ">value", "meaning", NULL};
    static const char *const figures[][2] = {
        {"energy", "the loss, smoothed"},
        {"entropy", "nats"},
        {"free_energy", "loss units"},
        {"heat_capacity", "nats"},
        {"stability", "share of the way to instability; 1 is the edge"},
        {"coherence", "1: updates all drift; falls with noise and oscillation"},
        {"drift", "of the weights' norm; 0 is stationary"},
        {"equilibrium", "configurational over kinetic; 1 in equilibrium"},
        {"noise_scale", "samples"},
    };
    print_title(cli, "figures of the whole run");
    struct table *table = table_create(columns);
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        table_cell(table, figures[i][0]);
        table_cell(table, text_number(tree_figure(reading, figures[i][0])).s);
        table_cell(table, figures[i][1]);
    }
    table_print(table, cli, 2);
    table_destroy(table);
}

// Why cells of a column are empty, one line a reason with the number of layers.
struct reason {
    const char *thermometer;
    const char *text;
    int layers;
};

struct reasons {
    struct reason list[REASONS_MAX];
    size_t count;
};

static void note_reason(struct reasons *reasons, const char *thermometer, const char *text) {
    for (size_t i = 0; i < reasons->count; i++) {
        struct reason *known = &reasons->list[i];
        if (strcmp(known->thermometer, thermometer) == 0 && strcmp(known->text, text) == 0) {
            known->layers++;
            return;
        }
    }
    if (reasons->count < REASONS_MAX) {
        reasons->list[reasons->count++] = (struct reason){thermometer, text, 1};
    }
}

// The number of parameters stands in the run's layers, in the same order as the reading's. Takes
// the one at *at and moves on, so that many layers do not cost their square.
static double take_layer_size(const cJSON **at, const char *name) {
    const cJSON *layer = *at;
    *at = layer ? layer->next : NULL;
    return strcmp(tree_text(layer, "name", ""), name) == 0 ? tree_number(layer, "n")
                                                           : num_missing();
}

static void add_layer(struct table *table, struct reasons *reasons, double size,
                      const cJSON *layer) {
    static const char *const shown[] = {"kinetic", "configurational", "transition"};
    static const char *const figures[] = {"stability", "coherence", "drift", "update_ratio",
                                          "entropy"};
    table_cell(table, tree_text(layer, "name", "?"));
    table_cell(table, text_count(size).s);
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        struct thermometer_reading t = thermometer_read(layer, shown[i]);
        table_cell(table, text_number(t.value).s);
        if (t.reason) {
            note_reason(reasons, shown[i], t.reason);
        }
    }
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        table_cell(table, text_number(tree_figure(layer, figures[i])).s);
    }
}

static void print_layers(const struct cli *cli, const cJSON *run, const cJSON *reading) {
    static const char *const columns[] = {
        "layer",      ">n",     ">kinetic",      ">configurational", ">transition", ">stability",
        ">coherence", ">drift", ">update ratio", ">entropy",         NULL};
    struct table *table = table_create(columns);
    struct reasons reasons = {.count = 0};
    const cJSON *layer;
    const cJSON *sizes = tree_member(run, "layers");
    const cJSON *at = cJSON_IsArray(sizes) ? sizes->child : NULL;
    cJSON_ArrayForEach(layer, tree_member(reading, "layers")) {
        double size = take_layer_size(&at, tree_text(layer, "name", "?"));
        add_layer(table, &reasons, size, layer);
    }
    print_title(cli, "layers");
    table_print(table, cli, 2);
    for (size_t i = 0; i < reasons.count; i++) {
        printf("  no %s for %d layer%s: %s\n", reasons.list[i].thermometer, reasons.list[i].layers,
               reasons.list[i].layers == 1 ? "" : "s", reasons.list[i].text);
    }
    table_destroy(table);
}

static void print_run(const struct cli *cli, const cJSON *run, const cJSON *engine,
                      const cJSON *alerts) {
    const cJSON *reading = tree_member(run, "temperature");
    print_facts(cli, run);
    if (reading) {
        print_temperatures(cli, reading);
        print_figures(cli, reading);
        print_layers(cli, run, reading);
        engines_print(cli, engine);
        states_show(cli, tree_text(run, "run", ""));
    } else {
        puts("\nno temperatures yet");
    }
    print_title(cli, "alerts");
    alerts_print(cli, alerts, true, 2);
}

int command_show(const struct cli *cli, int count, char **words) {
    (void)count;
    struct http_answer answer;
    struct buf path;
    http_answer_init(&answer);
    http_begin_run(&path, words[0], "");
    progress_stage("asking for the run");
    cJSON *run = tree_get(cli, buf_str(&path), &answer);
    progress_clear();
    cJSON *alerts = NULL, *engine = NULL;
    int status = CLI_OK;
    if (run && cli->json) {
        tree_print(run);
    } else if (run) {
        struct alert_filter filter = {.run = words[0]};
        progress_stage("asking for its layers as engines");
        engine = engines_get(cli, words[0], &answer);
        progress_stage("asking for its alerts");
        alerts = engine ? alerts_get(cli, &filter, &answer) : NULL;
        progress_clear();
    }
    if (alerts) {
        print_run(cli, run, engine, alerts);
    } else if (answer.error[0]) {
        status = cli_fail("%s", answer.error);
    }
    cJSON_Delete(alerts);
    cJSON_Delete(engine);
    cJSON_Delete(run);
    buf_free(&path);
    http_answer_free(&answer);
    return status;
}
