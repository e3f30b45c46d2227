// Text tables with aligned columns: filled cell by cell, then printed whole. Text stands left,
// numbers right; a header line is printed above the rows.
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stddef.h>

#include "cli/cli.h"

struct table;

// `columns` names the columns, ending with NULL; a name that begins with '>' is aligned right (and
// the
// '>' not shown).
struct table *table_create(const char *const *columns);
void table_destroy(struct table *table);
// The next cell, row by row; the text is copied and made safe for a terminal.
void table_cell(struct table *table, const char *text);
size_t table_rows(const struct table *table);
// On standard output, `indent` spaces before every line.
void table_print(const struct table *table, const struct cli *cli, int indent);

#endif
