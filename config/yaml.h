// A small part of YAML, safely: one document in UTF-8, without anchors, aliases and tags. Reading
// is libyaml's work; this refuses what a configuration has no use for and gives every error its
// line.
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

// Errors about one file: 'FILE:LINE: KEY: text', at most LIMIT_CONFIG_ERRORS of them.
struct yaml_errors {
    const char *file;
    struct buf *messages;
    size_t count;
};

// Starts an error line and ends it. Line 0 and key NULL are left out. False: enough has been said,
// write nothing more.
bool yaml_error_begin(struct yaml_errors *errors, size_t line, const char *key);
void yaml_error_end(struct yaml_errors *errors);
void yaml_error(struct yaml_errors *errors, size_t line, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// Text from a file in quotes: shortened, and with '?' for every byte that is not visible ASCII.
void yaml_error_quote(struct yaml_errors *errors, const char *text);

// Reads the file into a document. *has_document is false for a file with nothing in it; when it is
// true the caller deletes the document with yaml_document_delete(). Returns 0, or -1 with its
// errors told and no document.
int yaml_read_file(const char *path, yaml_document_t *document, bool *has_document,
                   struct yaml_errors *errors);

static inline size_t yaml_line(const yaml_node_t *node) {
    return node->start_mark.line + 1;
}
// Nothing, '~' or 'null', without quotes.
bool yaml_is_null(const yaml_node_t *node);
// The scalar's text; NULL when it is no scalar or holds a NUL byte.
const char *yaml_text(const yaml_node_t *node);
bool yaml_is_plain(const yaml_node_t *node);

#endif
