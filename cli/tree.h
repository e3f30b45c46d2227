// Answers of the daemon as cJSON trees, read without ceremony: whatever is absent, null or of
// another type comes out as "not there".
#ifndef CLI_TREE_H
#define CLI_TREE_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "cli/cli.h"
#include "cli/http.h"

const cJSON *tree_member(const cJSON *object, const char *key);
// The string, or `otherwise`.
const char *tree_text(const cJSON *object, const char *key, const char *otherwise);
// The number, also one of the strings "NaN", "Infinity" and "-Infinity"; num_missing() when there
// is none.
double tree_number(const cJSON *object, const char *key);
double tree_value(const cJSON *item);
// A figure of a reading that may stand bare or as {"value":...}.
double tree_figure(const cJSON *object, const char *key);
// A run's newest loss: its own, else the energy of its newest reading.
double tree_loss(const cJSON *run);

// GET and parse. NULL after a failure, with its reason in answer->error. cJSON_Delete() it.
cJSON *tree_get(const struct cli *cli, const char *path, struct http_answer *answer);

// The whole of a paged list: the pages' arrays called `key` joined into the first answer. `path`
// without limit and cursor, with its question mark. NULL after a failure, as above.
cJSON *tree_get_list(const struct cli *cli, const char *path, const char *key,
                     struct http_answer *answer);

// The tree on standard output, every number exactly as precise as it was read; laid out, with a
// newline behind it, or all on one line without.
void tree_print(const cJSON *tree);
void tree_put_line(const cJSON *tree);
// One object of several: a line of its own, sent at once. Deletes it.
void tree_tell(cJSON *tree);

// Shows what came, as JSON or by `print`, or says why nothing came, and releases both. Returns the
// command's exit status.
int tree_show(const struct cli *cli, cJSON *tree, struct http_answer *answer,
              void (*print)(const struct cli *cli, const cJSON *tree));

#endif
