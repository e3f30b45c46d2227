#include "cli/csv.h"
#include "cli/progress.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/num.h"

struct reader {
    struct csv *csv;
    const char *path;
    char *error;
    size_t line;
    size_t capacity; // rows there is room for
    char *fields[CSV_COLUMNS_MAX];
};

static bool fail(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool fail(struct reader *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = r->line > 0 ? snprintf(r->error, CSV_ERROR_MAX, "%s:%zu: ", r->path, r->line)
                        : snprintf(r->error, CSV_ERROR_MAX, "%s: ", r->path);
    if (n > 0 && n < CSV_ERROR_MAX) {
        vsnprintf(r->error + n, (size_t)(CSV_ERROR_MAX - n), format, args);
    }
    va_end(args);
    return false;
}

static char *trim(char *text, char *end) {
    while (end > text && isspace((unsigned char)end[-1])) {
        end--;
    }
    while (text < end && isspace((unsigned char)*text)) {
        text++;
    }
    if (end - text >= 2 && *text == '"' && end[-1] == '"') {
        text++;
        end--;
    }
    *end = '\0';
    return text;
}

// Cuts the line into fields; how many, or 0 when there are too many. A comma within quotes is text.
static size_t split(struct reader *r, char *line) {
    size_t count = 0;
    bool quoted = false, more = true;
    for (char *start = line, *p = line; more; p++) {
        quoted ^= *p == '"';
        if (*p == '\0' || (*p == ',' && !quoted)) {
            if (count == CSV_COLUMNS_MAX) {
                return 0;
            }
            more = *p != '\0';
            r->fields[count++] = trim(start, p);
            start = p + 1;
        }
    }
    return count;
}

static bool read_number(const char *text, double *x) {
    text += *text == '+';
    return num_parse_string(text, x);
}

static void set_names(struct reader *r, size_t count, bool given) {
    r->csv->columns = count;
    r->csv->names = must_alloc(count * sizeof *r->csv->names);
    for (size_t i = 0; i < count; i++) {
        char number[24];
        snprintf(number, sizeof number, "%zu", i + 1);
        r->csv->names[i] = strdup(given && r->fields[i][0] ? r->fields[i] : number);
        CHECK(r->csv->names[i] != NULL);
    }
}

static bool add_row(struct reader *r, size_t count) {
    struct csv *csv = r->csv;
    if (count != csv->columns) {
        return fail(r, "%zu fields, expected %zu as in the lines before", count, csv->columns);
    }
    if (csv->rows == r->capacity) {
        size_t capacity = r->capacity ? 2 * r->capacity : 256;
        double *cells = reallocarray(csv->cells, capacity, csv->columns * sizeof *cells);
        if (!cells) {
            return fail(r, "not enough memory for so many rows");
        }
        csv->cells = cells;
        r->capacity = capacity;
    }
    for (size_t i = 0; i < count; i++) {
        double *cell = &csv->cells[csv->rows * count + i];
        if (!read_number(r->fields[i], cell) || !isfinite(*cell)) {
            return fail(r, "column %zu (%s): '%.60s' is not a finite number", i + 1, csv->names[i],
                        r->fields[i]);
        }
    }
    csv->rows++;
    if (progress_due()) {
        progress_say("%zu rows read", csv->rows);
    }
    return true;
}

static bool take_line(struct reader *r, char *line) {
    if (r->line == 1 && strncmp(line, "\xEF\xBB\xBF", 3) == 0) {
        line += 3;
    }
    char *begin = line + strspn(line, " \t\r\n");
    if (*begin == '\0' || *begin == '#') {
        return true;
    }
    size_t count = split(r, line);
    if (count == 0) {
        return fail(r, "more than %d fields", CSV_COLUMNS_MAX);
    }
    if (r->csv->names) {
        return add_row(r, count);
    }
    bool named = false;
    double x;
    for (size_t i = 0; i < count; i++) {
        named |= !read_number(r->fields[i], &x);
    }
    set_names(r, count, named);
    return named ? true : add_row(r, count);
}

static bool read_lines(struct reader *r, FILE *file) {
    char *line = NULL;
    size_t room = 0;
    bool ok = true;
    errno = 0;
    for (ssize_t n; ok && (n = getline(&line, &room, file)) >= 0;) {
        r->line++;
        ok = strlen(line) == (size_t)n ? take_line(r, line)
                                       : fail(r, "there is a zero byte: is this a text file?");
    }
    free(line);
    if (ok && ferror(file)) {
        r->line = 0;
        return fail(r, "cannot read: %s", strerror(errno));
    }
    if (ok && r->csv->rows == 0) {
        r->line = 0;
        return fail(r, "no rows");
    }
    return ok;
}

bool csv_read(struct csv *csv, const char *path, char error[CSV_ERROR_MAX]) {
    bool standard = strcmp(path, "-") == 0;
    struct reader *r = NEW(struct reader);
    *csv = (struct csv){0};
    *r = (struct reader){.csv = csv, .path = standard ? "standard input" : path, .error = error};
    FILE *file = standard ? stdin : fopen(path, "re");
    bool ok = file ? read_lines(r, file) : fail(r, "cannot open: %s", strerror(errno));
    if (file && !standard) {
        fclose(file);
    }
    free(r);
    if (!ok) {
        csv_free(csv);
    }
    return ok;
}

void csv_free(struct csv *csv) {
    for (size_t i = 0; csv->names && i < csv->columns; i++) {
        free(csv->names[i]);
    }
    free(csv->names);
    free(csv->cells);
    *csv = (struct csv){0};
}

int csv_find(const struct csv *csv, const char *name) {
    for (size_t i = 0; i < csv->columns; i++) {
        if (strcmp(csv->names[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}
