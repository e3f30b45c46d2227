// Tables of numbers from CSV files: comma-separated, with a line of names on top or without.
#ifndef CLI_CSV_H
#define CLI_CSV_H

#include <stdbool.h>
#include <stddef.h>

enum { CSV_COLUMNS_MAX = 1024, CSV_ERROR_MAX = 512 };

struct csv {
    double *cells; // row by row, `columns` numbers each
    size_t rows, columns;
    char **names; // a string a column; "1", "2", ... where the file has none
};

// Reads a file ("-": standard input). The first line names the columns when one of its fields is
// not a number. Empty lines and those that begin with '#' are passed over; spaces around fields and
// double quotes around them do not count. Every field must be a finite number. False with where
// (file, line, column) and what in error; the table is then empty.
bool csv_read(struct csv *csv, const char *path, char error[CSV_ERROR_MAX]);
void csv_free(struct csv *csv);
// The column of this name (or, for a file without names, number); -1 when there is none.
int csv_find(const struct csv *csv, const char *name);

#endif
