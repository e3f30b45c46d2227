#include "cli/made_up.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/num.h"
#include "cli/series.h"

enum { EVERY_LAYER = -1 };
enum kind { MEMBER, SCALAR, STATISTIC };

struct column {
    enum kind kind;
    const char *name; // of the member, scalar or statistic
    int layer;
    double *values;
    size_t n;
};

struct made_up {
    cJSON *hello, *series;
    size_t n_columns, steps;
    struct column *columns;
};

static void fill_hello(cJSON *hello) {
    cJSON_AddStringToObject(hello, "type", "hello");
    cJSON_AddNumberToObject(hello, "protocol", 1);
    if (!cJSON_GetObjectItemCaseSensitive(hello, "run")) {
        cJSON_AddStringToObject(hello, "run", "test");
    }
    if (!cJSON_GetObjectItemCaseSensitive(hello, "layers")) {
        cJSON *layer = cJSON_CreateObject();
        cJSON_AddStringToObject(layer, "name", "model");
        cJSON_AddNumberToObject(layer, "n", 1000);
        cJSON_AddItemToArray(cJSON_AddArrayToObject(hello, "layers"), layer);
    }
}

static const cJSON *layers_of(const struct made_up *m) {
    return cJSON_GetObjectItemCaseSensitive(m->hello, "layers");
}

static int find_layer(const struct made_up *m, const char *name, size_t len) {
    const cJSON *layer;
    int i = 0;
    cJSON_ArrayForEach(layer, layers_of(m)) {
        const cJSON *its = cJSON_GetObjectItemCaseSensitive(layer, "name");
        if (cJSON_IsString(its) && strlen(its->valuestring) == len &&
            memcmp(its->valuestring, name, len) == 0) {
            return i;
        }
        i++;
    }
    return EVERY_LAYER;
}

// Layers' names may have dots in them; statistics have none.
static int name_column(const struct made_up *m, struct column *c, const char *key,
                       struct buf *message) {
    static const char *const members[] = {"loss", "lr", "batch_size", "loss_after", "val_loss"};
    c->layer = EVERY_LAYER;
    c->name = key;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (strcmp(key, members[i]) == 0) {
            c->kind = MEMBER;
            return 0;
        }
    }
    if (strncmp(key, "scalar.", 7) == 0) {
        c->kind = SCALAR;
        c->name = key + 7;
        return 0;
    }
    c->kind = STATISTIC;
    const char *dot = strrchr(key, '.');
    if (!dot) {
        return 0;
    }
    c->name = dot + 1;
    c->layer = find_layer(m, key, (size_t)(dot - key));
    if (c->layer == EVERY_LAYER) {
        buf_printf(message, "series '%.60s': there is no layer '%.*s' in the hello", key,
                   (int)(dot - key), key);
        return -1;
    }
    return 0;
}

static int read_column(struct made_up *m, const cJSON *item, struct buf *message) {
    struct column *c = &m->columns[m->n_columns];
    if (name_column(m, c, item->string, message)) {
        return -1;
    }
    if (cJSON_IsNumber(item)) {
        c->values = must_alloc(sizeof *c->values);
        c->values[0] = item->valuedouble;
        c->n = 1;
    } else if (!cJSON_IsString(item)) {
        buf_printf(message, "series '%.60s' is no text; expected numbers such as '2+0.1x50 9x3'",
                   item->string);
        return -1;
    } else {
        struct buf why;
        buf_init(&why, 512);
        int bad = series_expand(item->valuestring, m->n_columns + 1, &c->values, &c->n, &why);
        if (bad) {
            buf_printf(message, "series '%.60s': %s", item->string, buf_str(&why));
        }
        buf_free(&why);
        if (bad) {
            return -1;
        }
    }
    m->steps = c->n > m->steps ? c->n : m->steps;
    m->n_columns++;
    return 0;
}

struct made_up *made_up_create(const cJSON *hello, const cJSON *series, struct buf *message) {
    struct made_up *m = NEW(struct made_up);
    m->hello = hello ? cJSON_Duplicate(hello, true) : cJSON_CreateObject();
    m->series = cJSON_Duplicate(series, true); // the columns' names are its
    CHECK(m->hello != NULL && m->series != NULL);
    fill_hello(m->hello);
    m->columns = must_alloc(((size_t)cJSON_GetArraySize(series) + 1) * sizeof *m->columns);
    const cJSON *item;
    cJSON_ArrayForEach(item, m->series) {
        if (read_column(m, item, message)) {
            made_up_destroy(m);
            return NULL;
        }
    }
    return m;
}

void made_up_destroy(struct made_up *m) {
    for (size_t i = 0; m && i < m->n_columns; i++) {
        free(m->columns[i].values);
    }
    if (m) {
        free(m->columns);
        cJSON_Delete(m->hello);
        cJSON_Delete(m->series);
        free(m);
    }
}

size_t made_up_steps(const struct made_up *m) {
    return m->steps;
}

void made_up_hello(const struct made_up *m, struct buf *line) {
    char *text = cJSON_PrintUnformatted(m->hello);
    CHECK(text != NULL);
    buf_puts(line, text);
    cJSON_free(text);
}

static double value_at(const struct column *c, size_t step) {
    return step < c->n ? c->values[step] : num_missing();
}

static void put_number(struct buf *line, double x) {
    char text[NUM_TEXT_MAX];
    buf_put(line, text, num_format(text, x));
}

static void put_name(struct buf *line, const char *name) {
    cJSON *string = cJSON_CreateString(name);
    char *text = cJSON_PrintUnformatted(string);
    CHECK(text != NULL);
    buf_puts(line, text);
    buf_putc(line, ':');
    cJSON_free(text);
    cJSON_Delete(string);
}

// A layer's own series goes before that of every layer.
static double of_layer(const struct made_up *m, const char *name, int layer, size_t step) {
    double x = num_missing();
    for (size_t i = 0; i < m->n_columns; i++) {
        const struct column *c = &m->columns[i];
        if (c->kind == STATISTIC && strcmp(c->name, name) == 0) {
            if (c->layer == layer) {
                return value_at(c, step);
            }
            x = c->layer == EVERY_LAYER ? value_at(c, step) : x;
        }
    }
    return x;
}

static bool is_told(const struct made_up *m, size_t column) {
    size_t i = 0;
    while (i < column && (m->columns[i].kind != STATISTIC ||
                          strcmp(m->columns[i].name, m->columns[column].name) != 0)) {
        i++;
    }
    return i < column;
}

static void put_statistics(const struct made_up *m, size_t step, struct buf *line) {
    int layers = cJSON_GetArraySize(layers_of(m));
    const char *between = "";
    buf_puts(line, ",\"stats\":{");
    for (size_t i = 0; i < m->n_columns; i++) {
        if (m->columns[i].kind != STATISTIC || is_told(m, i)) {
            continue;
        }
        buf_puts(line, between);
        between = ",";
        put_name(line, m->columns[i].name);
        for (int layer = 0; layer < layers; layer++) {
            buf_putc(line, layer ? ',' : '[');
            put_number(line, of_layer(m, m->columns[i].name, layer, step));
        }
        buf_putc(line, ']');
    }
    buf_putc(line, '}');
}

static void put_scalars(const struct made_up *m, size_t step, struct buf *line) {
    const char *between = "";
    buf_puts(line, ",\"scalars\":{");
    for (size_t i = 0; i < m->n_columns; i++) {
        if (m->columns[i].kind == SCALAR) {
            buf_puts(line, between);
            put_name(line, m->columns[i].name);
            put_number(line, value_at(&m->columns[i], step));
            between = ",";
        }
    }
    buf_putc(line, '}');
}

void made_up_step(const struct made_up *m, size_t step, struct buf *line) {
    buf_printf(line, "{\"type\":\"step\",\"step\":%zu,\"time\":%zu", step, step + 1);
    for (size_t i = 0; i < m->n_columns; i++) {
        if (m->columns[i].kind == MEMBER) {
            buf_putc(line, ',');
            put_name(line, m->columns[i].name);
            put_number(line, value_at(&m->columns[i], step));
        }
    }
    put_scalars(m, step, line);
    put_statistics(m, step, line);
    buf_putc(line, '}');
}
