#include "config/yaml.h"
#include "config/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE ((size_t)4096)
#define QUOTE_MAX 60 // bytes of a value that an error repeats

bool yaml_error_begin(struct yaml_errors *errors, size_t line, const char *key) {
    errors->count++;
    if (errors->count == LIMIT_CONFIG_ERRORS + 1) {
        buf_printf(errors->messages, "%s: more errors follow; these come first\n", errors->file);
    }
    if (errors->count > LIMIT_CONFIG_ERRORS) {
        return false;
    }
    buf_puts(errors->messages, errors->file);
    if (line) {
        buf_printf(errors->messages, ":%zu", line);
    }
    buf_puts(errors->messages, ": ");
    if (key) {
        buf_printf(errors->messages, "%s: ", key);
    }
    return true;
}

void yaml_error_end(struct yaml_errors *errors) {
    buf_putc(errors->messages, '\n');
}

void yaml_error(struct yaml_errors *errors, size_t line, const char *key, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (yaml_error_begin(errors, line, key)) {
        buf_puts(errors->messages, text);
        yaml_error_end(errors);
    }
}

void yaml_error_quote(struct yaml_errors *errors, const char *text) {
    buf_putc(errors->messages, '"');
    for (size_t i = 0; i < QUOTE_MAX && text[i]; i++) {
        buf_putc(errors->messages, text[i] >= 0x20 && text[i] < 0x7F ? text[i] : '?');
    }
    buf_puts(errors->messages, strlen(text) > QUOTE_MAX ? "...\"" : "\"");
}

// -- the file ------------------------------------------------------------------------------------

// Reads until the end or the limit. Returns 0 or an errno.
static int read_all(int fd, struct buf *text) {
    for (;;) {
        char *to = buf_reserve(text, READ_SIZE);
        if (!to) {
            return EFBIG;
        }
        ssize_t n = read(fd, to, READ_SIZE);
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        if (n == 0) {
            return 0;
        }
        text->len += n > 0 ? (size_t)n : 0;
    }
}

static int read_open_file(int fd, struct buf *text, struct yaml_errors *errors) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
        yaml_error(errors, 0, NULL, "cannot be read: %s", strerror(errno));
        return -1;
    }
    if (!S_ISREG(st.st_mode)) {
        yaml_error(errors, 0, NULL, "is %s; expected a file",
                   S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
        return -1;
    }
    int problem = read_all(fd, text);
    if (problem == EFBIG || text->len > LIMIT_CONFIG_BYTES) {
        yaml_error(errors, 0, NULL, "is too large; expected at most %d bytes", LIMIT_CONFIG_BYTES);
        return -1;
    }
    if (problem) {
        yaml_error(errors, 0, NULL, "cannot be read: %s", strerror(problem));
        return -1;
    }
    return 0;
}

// O_NONBLOCK so that a FIFO without a writer is refused instead of waited for.
static int read_file(const char *path, struct buf *text, struct yaml_errors *errors) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        yaml_error(errors, 0, NULL, "cannot be opened: %s", strerror(errno));
        return -1;
    }
    int result = read_open_file(fd, text, errors);
    close(fd);
    return result;
}

// -- the document --------------------------------------------------------------------------------

static size_t line_of_offset(const struct buf *text, size_t offset) {
    size_t line = 1;
    for (size_t i = 0; i < offset && i < text->len; i++) {
        line += text->data[i] == '\n';
    }
    return line;
}

static void tell_parser_error(const yaml_parser_t *parser, const struct buf *text,
                              struct yaml_errors *errors) {
    const char *problem = parser->problem ? parser->problem : "out of memory";
    if (parser->error == YAML_READER_ERROR) {
        yaml_error(errors, line_of_offset(text, parser->problem_offset), "encoding",
                   "%s; expected UTF-8 text", problem);
    } else {
        yaml_error(errors, parser->problem_mark.line + 1, "syntax", "%s%s%s; expected YAML",
                   problem, parser->context ? " " : "", parser->context ? parser->context : "");
    }
}

_Static_assert(LIMIT_CONFIG_DEPTH == 16, "the message below says 16");

static bool is_named(const yaml_event_t *event) {
    return event->type == YAML_ALIAS_EVENT ||
           (event->type == YAML_SCALAR_EVENT && event->data.scalar.anchor) ||
           (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.anchor) ||
           (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.anchor);
}

static bool is_tagged(const yaml_event_t *event) {
    return (event->type == YAML_SCALAR_EVENT && event->data.scalar.tag) ||
           (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.tag) ||
           (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.tag);
}

// What is told about one event, and NULL when there is nothing to tell. Aliases go before libyaml
// follows them, and depth before it costs libyaml quadratic time.
static const char *find_event_problem(const yaml_event_t *event, size_t depth, size_t documents,
                                      const char **key) {
    if (event->type == YAML_DOCUMENT_START_EVENT && documents > 0) {
        *key = "document";
        return "a second one starts here; expected one in a file";
    }
    if (is_named(event)) {
        *key = "alias";
        return "is of no use here; expected every value written out";
    }
    if (is_tagged(event)) {
        *key = "tag";
        return "is of no use here; expected plain values";
    }
    *key = "nesting";
    return depth > LIMIT_CONFIG_DEPTH ? "is too deep; expected at most 16 levels" : NULL;
}

static void count_event(const yaml_event_t *event, size_t *depth, size_t *documents) {
    if (event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT) {
        ++*depth;
    } else if (event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT) {
        --*depth;
    } else if (event->type == YAML_DOCUMENT_END_EVENT) {
        ++*documents;
    }
}

// Reads all events and keeps none. -1 at the first that a configuration has no use for.
static int check_events(yaml_parser_t *parser, const struct buf *text, bool *has_document,
                        struct yaml_errors *errors) {
    size_t depth = 0, documents = 0;
    bool ended = false;
    while (!ended) {
        yaml_event_t event;
        const char *key;
        if (!yaml_parser_parse(parser, &event)) {
            tell_parser_error(parser, text, errors);
            return -1;
        }
        count_event(&event, &depth, &documents);
        const char *problem = find_event_problem(&event, depth, documents, &key);
        ended = event.type == YAML_STREAM_END_EVENT;
        size_t line = event.start_mark.line + 1;
        yaml_event_delete(&event);
        if (problem) {
            yaml_error(errors, line, key, "%s", problem);
            return -1;
        }
    }
    *has_document = documents > 0;
    return 0;
}

static bool start_parser(yaml_parser_t *parser, const struct buf *text,
                         struct yaml_errors *errors) {
    if (!yaml_parser_initialize(parser)) {
        yaml_error(errors, 0, NULL, "out of memory");
        return false;
    }
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(parser, (const unsigned char *)text->data, text->len);
    return true;
}

// Twice over the text: first to refuse, then to build.
static int parse_text(const struct buf *text, yaml_document_t *document, bool *has_document,
                      struct yaml_errors *errors) {
    yaml_parser_t parser;
    if (!start_parser(&parser, text, errors)) {
        return -1;
    }
    int result = check_events(&parser, text, has_document, errors);
    yaml_parser_delete(&parser);
    if (result != 0 || !*has_document) {
        return result;
    }
    *has_document = start_parser(&parser, text, errors);
    if (!*has_document) {
        return -1;
    }
    *has_document = yaml_parser_load(&parser, document);
    if (!*has_document) {
        tell_parser_error(&parser, text, errors);
    }
    yaml_parser_delete(&parser);
    return *has_document ? 0 : -1;
}

int yaml_read_file(const char *path, yaml_document_t *document, bool *has_document,
                   struct yaml_errors *errors) {
    struct buf text;
    *has_document = false;
    buf_init(&text, LIMIT_CONFIG_BYTES + READ_SIZE);
    int result = read_file(path, &text, errors);
    if (result == 0) {
        buf_puts(&text, ""); // allocates, also for an empty file
        result = parse_text(&text, document, has_document, errors);
    }
    buf_free(&text);
    return result;
}

bool yaml_is_plain(const yaml_node_t *node) {
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

bool yaml_is_null(const yaml_node_t *node) {
    const char *text = yaml_text(node);
    return text && yaml_is_plain(node) &&
           (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

const char *yaml_text(const yaml_node_t *node) {
    if (node->type != YAML_SCALAR_NODE) {
        return NULL;
    }
    const char *text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL;
}
