// `pyrometer reference`: the transition temperature of a linear model, from its initialisation, its
// loss and its data. Asks no daemon.
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/num.h"
#include "cli/cli.h"
#include "cli/csv.h"
#include "cli/initial.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/tree.h"
#include "probes/reference.h"

// The problem and what it was made of.
struct inquiry {
    struct reference_problem problem;
    struct csv csv;
    size_t target;
    bool intercept;
    double *x, *y;
};

static int usage(const char *option, const char *value, const char *expected) {
    fprintf(stderr, "pyrometer: --%s %s: expected %s; see pyrometer reference --help\n", option,
            value ? value : "is missing", expected);
    return CLI_USAGE;
}

// --- the command line ---

static bool parse_loss(const char *text, enum reference_loss *loss) {
    for (int i = REFERENCE_MSE; text && i <= REFERENCE_CROSS_ENTROPY; i++) {
        if (strcmp(text, reference_loss_name((enum reference_loss)i)) == 0) {
            *loss = (enum reference_loss)i;
            return true;
        }
    }
    return false;
}

static bool parse_entropy(const char *text, struct reference_problem *p) {
    static const char quantum[] = "quantum:";
    p->entropy = REFERENCE_SAMPLING;
    if (!text || strcmp(text, "sampling") == 0) {
        return true;
    }
    if (strcmp(text, "layer") == 0) {
        p->entropy = REFERENCE_LAYER;
        return true;
    }
    p->entropy = REFERENCE_QUANTUM;
    return strncmp(text, quantum, sizeof quantum - 1) == 0 &&
           num_parse_string(text + sizeof quantum - 1, &p->epsilon) && p->epsilon > 0 &&
           isfinite(p->epsilon);
}

static int parse_words(struct inquiry *q, const struct cli *cli) {
    char error[INITIAL_ERROR_MAX];
    if (!parse_loss(cli->loss, &q->problem.loss)) {
        return usage("loss", cli->loss, "mse, mae or cross_entropy");
    }
    if (!cli->init) {
        return usage("init", NULL, "how the parameters were drawn, such as normal:0,1");
    }
    if (!initial_parse(&q->problem.init, cli->init, error)) {
        fprintf(stderr, "pyrometer: --init %s: %s; see pyrometer reference --help\n", cli->init,
                error);
        return CLI_USAGE;
    }
    if (!parse_entropy(cli->entropy, &q->problem)) {
        return usage("entropy", cli->entropy, "sampling, layer or quantum:EPSILON (above 0)");
    }
    return cli->data ? CLI_OK : usage("data", NULL, "a CSV file, or - for standard input");
}

// --- the data ---

static const char *parameter_name(const struct inquiry *q, size_t j) {
    if (q->intercept && j == 0) {
        return "intercept";
    }
    j -= q->intercept;
    return q->csv.names[j + (j >= q->target)];
}

// Classes may be called -1 and 1, or 0 and 1.
static void rename_classes(double *y, size_t rows) {
    bool signs = false;
    for (size_t i = 0; i < rows; i++) {
        if (y[i] != -1 && y[i] != 1) {
            return;
        }
        signs |= y[i] == -1;
    }
    for (size_t i = 0; signs && i < rows; i++) {
        y[i] = y[i] > 0;
    }
}

static bool take_data(struct inquiry *q) {
    size_t rows = q->csv.rows, inputs = q->csv.columns - 1, columns = inputs + q->intercept;
    q->x = calloc(rows * columns + 1, sizeof *q->x);
    q->y = calloc(rows, sizeof *q->y);
    if (!q->x || !q->y) {
        return false;
    }
    for (size_t i = 0; i < rows; i++) {
        const double *row = q->csv.cells + i * q->csv.columns;
        double *x = q->x + i * columns;
        if (q->intercept) {
            *x++ = 1;
        }
        for (size_t j = 0; j < inputs; j++) {
            x[j] = row[j + (j >= q->target)];
        }
        q->y[i] = row[q->target];
    }
    if (q->problem.loss == REFERENCE_CROSS_ENTROPY) {
        rename_classes(q->y, rows);
    }
    q->problem.data = (struct linear_data){q->x, q->y, rows, columns};
    return true;
}

static int load_data(struct inquiry *q, const struct cli *cli) {
    char error[CSV_ERROR_MAX];
    bool is_read = csv_read(&q->csv, cli->data, error);
    progress_clear();
    if (!is_read) {
        return cli_fail("%s", error);
    }
    int target = cli->target ? csv_find(&q->csv, cli->target) : (int)q->csv.columns - 1;
    if (target < 0) {
        return cli_fail("%s: there is no column %s", cli->data, cli->target);
    }
    q->target = (size_t)target;
    q->intercept = !cli->no_intercept;
    return take_data(q) ? CLI_OK : cli_fail("not enough memory for %s", cli->data);
}

// --- what comes out ---

struct line {
    const char *symbol, *key;
    const struct reference_figure *figure;
};

enum { LINES = 6 };

static void list_lines(const struct reference_result *r, struct line lines[LINES]) {
    const struct line all[LINES] = {
        {"E_I", "E_I", &r->energy[0]},
        {"E_II", "E_II", &r->energy[1]},
        {"S_I", "S_I", &r->entropy[0]},
        {"S_II", "S_II", &r->entropy[1]},
        {"T", "temperature", &r->temperature},
        {"T, many rows", "temperature_asymptotic", &r->asymptotic},
    };
    memcpy(lines, all, sizeof all);
}

static void print_figures(const struct cli *cli, const struct reference_result *r) {
    static const char *const columns[] = {"", ">value", "unit", "how", NULL};
    struct table *table = table_create(columns);
    struct line lines[LINES];
    list_lines(r, lines);
    for (int i = 0; i < LINES; i++) {
        const struct reference_figure *f = lines[i].figure;
        char value[32], how[256];
        snprintf(value, sizeof value, "%.10g", f->value);
        snprintf(how, sizeof how, "%s%s", f->reason ? "no value: " : "",
                 f->reason ? f->reason : f->source);
        table_cell(table, lines[i].symbol);
        table_cell(table, f->reason ? text_number(f->value).s : value);
        table_cell(table, f->unit);
        table_cell(table, how);
    }
    table_print(table, cli, 0);
    table_destroy(table);
}

static void print_text(const struct cli *cli, const struct inquiry *q,
                       const struct reference_result *r) {
    const struct reference_problem *p = &q->problem;
    printf("linear model of %zu parameters, %zu rows, target %s, loss %s\n", p->data.columns,
           p->data.rows, q->csv.names[q->target], reference_loss_name(p->loss));
    printf("state I   parameters drawn %s\n", cli->init);
    printf("state II ");
    for (size_t j = 0; j < p->data.columns; j++) {
        struct buf name;
        buf_init(&name, 4096);
        text_put(&name, parameter_name(q, j), 40);
        printf("%s %s = %.6g", j ? "," : "", buf_str(&name), r->fit.coefficients[j]);
        buf_free(&name);
    }
    printf("\nentropy   %s: %s\n\n", reference_entropy_name(p->entropy),
           reference_entropy_words(p->entropy));
    print_figures(cli, r);
    if (r->note) {
        printf("\nnote: %s\n", r->note);
    }
    puts("\n[D]: derived by this project from T = dE/dS; not checked against arXiv:2404.13218.");
}

static void add_number(cJSON *object, const char *key, double x) {
    if (isfinite(x)) {
        cJSON_AddNumberToObject(object, key, x);
    } else {
        cJSON_AddNullToObject(object, key);
    }
}

static void print_json(const struct cli *cli, const struct inquiry *q,
                       const struct reference_result *r) {
    const struct reference_problem *p = &q->problem;
    struct line lines[LINES];
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "loss", reference_loss_name(p->loss));
    cJSON_AddStringToObject(tree, "init", cli->init);
    cJSON_AddStringToObject(tree, "entropy", reference_entropy_name(p->entropy));
    add_number(tree, "epsilon", p->entropy == REFERENCE_QUANTUM ? p->epsilon : num_missing());
    add_number(tree, "rows", (double)p->data.rows);
    add_number(tree, "parameters", (double)p->data.columns);
    cJSON_AddStringToObject(tree, "target", q->csv.names[q->target]);
    cJSON *weights = cJSON_AddArrayToObject(tree, "weights");
    for (size_t j = 0; j < p->data.columns; j++) {
        cJSON *weight = cJSON_CreateObject();
        cJSON_AddStringToObject(weight, "name", parameter_name(q, j));
        add_number(weight, "value", r->fit.coefficients[j]);
        cJSON_AddItemToArray(weights, weight);
    }
    list_lines(r, lines);
    for (int i = 0; i < LINES; i++) {
        const struct reference_figure *f = lines[i].figure;
        cJSON *figure = cJSON_AddObjectToObject(tree, lines[i].key);
        add_number(figure, "value", f->value);
        cJSON_AddStringToObject(figure, "unit", f->unit);
        cJSON_AddStringToObject(figure, f->reason ? "reason" : "source",
                                f->reason ? f->reason : f->source);
    }
    if (r->note) {
        cJSON_AddStringToObject(tree, "note", r->note);
    } else {
        cJSON_AddNullToObject(tree, "note");
    }
    tree_print(tree);
    cJSON_Delete(tree);
}

static int answer(struct inquiry *q, const struct cli *cli) {
    struct reference_result *result = NEW(struct reference_result);
    struct linear_error error;
    progress_stage("solving");
    bool solved = reference_solve(&q->problem, result, &error);
    progress_clear();
    int status = CLI_OK;
    if (!solved) {
        status = error.column >= 0 ? cli_fail("%s: column %s: %s", cli->data,
                                              parameter_name(q, (size_t)error.column), error.text)
                                   : cli_fail("%s: %s", cli->data, error.text);
    } else if (cli->json) {
        print_json(cli, q, result);
    } else {
        print_text(cli, q, result);
    }
    free(result);
    return status;
}

int command_reference(const struct cli *cli, int count, char **words) {
    (void)count, (void)words;
    struct inquiry *q = NEW(struct inquiry);
    int status = parse_words(q, cli);
    if (status == CLI_OK) {
        status = load_data(q, cli);
    }
    if (status == CLI_OK) {
        status = answer(q, cli);
    }
    csv_free(&q->csv);
    free(q->x);
    free(q->y);
    free(q);
    return status;
}
