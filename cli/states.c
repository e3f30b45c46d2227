#include "cli/states.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/text.h"

enum { REASONS_MAX = 8 };

static void print_title(const struct cli *cli, const char *title) {
    printf("\n%s%s%s\n", cli->colour ? "\033[1m" : "", title, cli->colour ? "\033[0m" : "");
}

static void add_number(struct table *table, double x) {
    table_cell(table, text_number(x).s);
}

static void add_span(struct table *table, const char *name, const cJSON *of) {
    table_cell(table, name);
    table_cell(table, text_count(tree_number(of, "from")).s);
    table_cell(table, text_count(tree_number(of, "to")).s);
}

static void add_state(struct table *table, const cJSON *state) {
    const cJSON *temperature = tree_member(state, "temperature");
    add_span(table, tree_text(state, "state", "?"), state);
    add_number(table, tree_number(tree_member(state, "energy"), "change"));
    add_number(table, tree_number(tree_member(state, "entropy"), "change"));
    add_number(table, tree_number(temperature, "value"));
    add_number(table, tree_number(state, "heat"));
    add_number(table, tree_number(state, "work"));
    table_cell(table, tree_text(state, "quadrant", tree_text(temperature, "reason", "–")));
}

// What moved between two states is the data: work, and no heat.
static void add_refresh(struct table *table, const cJSON *refresh) {
    add_span(table, "refresh", refresh);
    add_number(table, tree_number(refresh, "work"));
    table_cell(table, "–");
    table_cell(table, "–");
    add_number(table, tree_number(refresh, "heat"));
    add_number(table, tree_number(refresh, "work"));
    table_cell(table, "");
}

static void print_states(const struct cli *cli, const cJSON *course) {
    static const char *const columns[] = {"state", ">from", ">to",   ">dE", ">dS",
                                          ">T",    ">heat", ">work", "",    NULL};
    struct table *table = table_create(columns);
    const cJSON *refreshes = tree_member(course, "refreshes"), *state;
    const cJSON *refresh = cJSON_IsArray(refreshes) ? refreshes->child : NULL;
    cJSON_ArrayForEach(state, tree_member(course, "states")) {
        add_state(table, state);
        if (state->next && refresh) {
            add_refresh(table, refresh);
            refresh = refresh->next;
        }
    }
    print_title(cli, "states");
    table_print(table, cli, 2);
    table_destroy(table);
}

// Layers that cannot be compared, counted by the reason.
struct unsaid {
    const char *reasons[REASONS_MAX];
    int layers[REASONS_MAX];
    size_t n;
};

static void note(struct unsaid *u, const char *reason) {
    for (size_t i = 0; i < u->n; i++) {
        if (strcmp(u->reasons[i], reason) == 0) {
            u->layers[i]++;
            return;
        }
    }
    if (u->n < REASONS_MAX) {
        u->reasons[u->n] = reason;
        u->layers[u->n++] = 1;
    }
}

static void print_beginning(const struct cli *cli, const cJSON *layers) {
    static const char *const columns[] = {"layer",       ">stated",    ">expected", ">measured",
                                          ">difference", ">in errors", NULL};
    struct table *table = table_create(columns);
    struct unsaid unsaid = {.n = 0};
    const cJSON *layer;
    cJSON_ArrayForEach(layer, layers) {
        const char *reason = tree_text(layer, "reason", NULL);
        if (reason) {
            note(&unsaid, reason);
            continue;
        }
        double difference = tree_number(layer, "difference"), error = tree_number(layer, "error");
        table_cell(table, tree_text(layer, "layer", "?"));
        add_number(table, tree_number(layer, "stated"));
        add_number(table, tree_number(layer, "expected"));
        add_number(table, tree_number(layer, "measured"));
        add_number(table, difference);
        add_number(table, error > 0 ? difference / error : num_missing());
    }
    print_title(cli, "entropy at the first step beside the stated initialisation, nats");
    if (table_rows(table)) {
        table_print(table, cli, 2);
    }
    for (size_t i = 0; i < unsaid.n; i++) {
        printf("  not compared, %d layer%s: %s\n", unsaid.layers[i],
               unsaid.layers[i] == 1 ? "" : "s", unsaid.reasons[i]);
    }
    table_destroy(table);
}

void states_show(const struct cli *cli, const char *run) {
    struct http_answer answer;
    struct buf path;
    http_answer_init(&answer);
    http_begin_run(&path, run, "/states");
    fflush(stdout); // the line stands below what was printed
    progress_stage("asking for its states, which walks the whole run");
    cJSON *course = tree_get(cli, buf_str(&path), &answer);
    progress_clear();
    if (course) {
        print_states(cli, course);
        print_beginning(cli, tree_member(course, "initialisation"));
    } else {
        printf("\n  no states: %s\n", answer.error);
    }
    cJSON_Delete(course);
    buf_free(&path);
    http_answer_free(&answer);
}
