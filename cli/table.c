#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "cli/text.h"

enum { TABLE_COLUMNS_MAX = 16, GAP = 2 };

struct table {
    const char *names[TABLE_COLUMNS_MAX];
    bool right[TABLE_COLUMNS_MAX];
    size_t width[TABLE_COLUMNS_MAX];
    size_t columns;
    struct buf *cells; // row by row
    size_t count;
    size_t capacity;
};

struct table *table_create(const char *const *columns) {
    struct table *table = NEW(struct table);
    for (; columns[table->columns]; table->columns++) {
        size_t i = table->columns;
        CHECK(i < TABLE_COLUMNS_MAX);
        table->right[i] = columns[i][0] == '>';
        table->names[i] = columns[i] + table->right[i];
        table->width[i] = text_columns(table->names[i]);
    }
    return table;
}

void table_destroy(struct table *table) {
    if (!table) {
        return;
    }
    for (size_t i = 0; i < table->count; i++) {
        buf_free(&table->cells[i]);
    }
    free(table->cells);
    free(table);
}

void table_cell(struct table *table, const char *text) {
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? 2 * table->capacity : 64;
        table->cells = realloc(table->cells, table->capacity * sizeof *table->cells);
        CHECK(table->cells != NULL);
    }
    struct buf *cell = &table->cells[table->count];
    buf_init(cell, (size_t)1 << 20);
    size_t used = text_put(cell, text, (size_t)1 << 16);
    size_t column = table->count % table->columns;
    if (used > table->width[column]) {
        table->width[column] = used;
    }
    table->count++;
}

size_t table_rows(const struct table *table) {
    return table->count / table->columns;
}

static void print_cell(const struct table *table, size_t column, const char *text) {
    int space = (int)(table->width[column] - text_columns(text));
    bool last = column + 1 == table->columns;
    if (table->right[column]) {
        printf("%*s%s", space, "", text);
    } else {
        printf("%s%*s", text, last ? 0 : space, "");
    }
    printf("%*s", last ? 0 : GAP, "");
}

void table_print(const struct table *table, const struct cli *cli, int indent) {
    printf("%*s%s", indent, "", cli->colour ? "\033[2m" : "");
    for (size_t i = 0; i < table->columns; i++) {
        print_cell(table, i, table->names[i]);
    }
    printf("%s\n", cli->colour ? "\033[0m" : "");
    for (size_t row = 0; row < table_rows(table); row++) {
        printf("%*s", indent, "");
        for (size_t i = 0; i < table->columns; i++) {
            print_cell(table, i, buf_str(&table->cells[row * table->columns + i]));
        }
        putchar('\n');
    }
}
