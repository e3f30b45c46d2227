#include "remote/endpoint.h"

#include "base/memory.h"
#include "remote/packer.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES_MAX 8192

// -- from the configuration ----------------------------------------------------------------------

// Where an entry stands, for messages.
struct entry {
    const struct config *config;
    size_t i;
    struct buf *messages;
};

static const struct config_remote_write *settings_of(const struct entry *at) {
    return &at->config->remote_write[at->i];
}

__attribute__((format(printf, 3, 4))) static void tell(const struct entry *at, const char *key,
                                                       const char *format, ...) {
    char text[MESSAGE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *file = at->config->file;
    buf_printf(at->messages, "%s:%zu: remote_write[%zu].%s: %s", file ? file : "settings",
               settings_of(at)->line, at->i, key, text);
}

// path NULL: there is none, and none is wanted.
static int read_secret(const struct entry *at, const char *key, const char *path, char **text) {
    struct buf why;
    buf_init(&why, MESSAGE_BYTES_MAX);
    *text = NULL;
    int rc = path ? config_read_token(path, text, &why) : 0;
    if (why.len) { // a warning, where it was read
        tell(at, key, "%s", buf_str(&why));
    }
    buf_free(&why);
    return rc;
}

static int read_url(struct endpoint *e, const struct entry *at) {
    const struct config_remote_write *w = settings_of(at);
    if (!w->url_file) {
        e->url = must_copy(w->url);
        return 0;
    }
    if (read_secret(at, "url_file", w->url_file, &e->url)) {
        return -1;
    }
    if (!units_is_url(e->url)) {
        tell(at, "url_file",
             "%s: is not one URL; expected one, such as http://host:9090/api/v1/write\n",
             w->url_file);
        return -1;
    }
    return 0;
}

static void set_name(struct endpoint *e, const struct config_remote_write *w) {
    struct buf name;
    buf_init(&name, LIMIT_CONFIG_TEXT + 64);
    if (w->name) {
        buf_puts(&name, w->name);
    } else {
        post_put_public_url(&name, e->url, w->url_file != NULL);
    }
    // Room is left for a number.
    snprintf(e->name, sizeof e->name, "%.240s", buf_str(&name));
    buf_free(&name);
}

static void add_header(struct endpoint *e, const char *name, const char *value) {
    size_t n = 0, size = strlen(name) + strlen(value) + 3;
    while (e->headers[n]) {
        n++;
    }
    e->headers[n] = must_alloc(size);
    snprintf(e->headers[n], size, "%s: %s", name, value);
}

// Cuts lines "key=value" into their parts, in place. Returns how many there are.
static size_t cut_words(char *words, struct metrics_label parts[LIMIT_RULE_WORDS]) {
    size_t n = 0;
    for (char *at = words; at && *at; n++) {
        char *equals = strchr(at, '='), *end = strchr(at, '\n');
        *equals = *end = '\0';
        parts[n] = (struct metrics_label){at, equals + 1};
        at = end + 1;
    }
    return n;
}

// What every request says of itself.
static const struct {
    const char *name, *value;
} own_headers[] = {
    {"Content-Type", "application/x-protobuf"},
    {"Content-Encoding", "snappy"},
    {"X-Prometheus-Remote-Write-Version", "0.1.0"},
    {"User-Agent", "pyrometerd/" PYROMETER_VERSION},
};
#define OWN_HEADERS (sizeof own_headers / sizeof *own_headers)

static bool is_own_header(const char *name) {
    for (size_t i = 0; i < OWN_HEADERS; i++) {
        if (strcasecmp(own_headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static int set_headers(struct endpoint *e, const struct entry *at) {
    const struct config_remote_write *w = settings_of(at);
    struct metrics_label more[LIMIT_RULE_WORDS];
    char *words = must_copy(w->headers), *token;
    size_t n = cut_words(words, more);
    int rc = read_secret(at, "token_file", w->token_file, &token);
    for (size_t i = 0; i < OWN_HEADERS; i++) {
        add_header(e, own_headers[i].name, own_headers[i].value);
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        bool is_token = token && strcasecmp(more[i].name, "Authorization") == 0;
        if (is_own_header(more[i].name) || is_token) {
            tell(at, "headers", "\"%s\" is %s; expected it left out\n", more[i].name,
                 is_token ? "given by token_file" : "what every request says of itself");
            rc = -1;
        } else {
            add_header(e, more[i].name, more[i].value);
        }
    }
    if (token) {
        char bearer[LIMIT_TOKEN_BYTES + 16];
        snprintf(bearer, sizeof bearer, "Bearer %s", token);
        add_header(e, "Authorization", bearer);
        explicit_bzero(bearer, sizeof bearer);
        explicit_bzero(token, strlen(token));
    }
    free(token);
    free(words);
    return rc;
}

static int set_labels(struct endpoint *e, const struct entry *at) {
    e->words = must_copy(settings_of(at)->labels);
    e->n_labels = cut_words(e->words, e->labels);
    for (size_t i = 0; i < e->n_labels; i++) {
        const char *name = e->labels[i].name;
        if (samples_have_label(name) || strncmp(name, "__", 2) == 0) {
            tell(at, "labels", "\"%s\" is a name of %s; expected another\n", name,
                 *name == '_' ? "Prometheus' own" : "pyrometer's own labels");
            return -1;
        }
    }
    return 0;
}

static int create(struct endpoint **out, const struct entry *at) {
    const struct config_remote_write *w = settings_of(at);
    struct endpoint *e = *out = NEW(struct endpoint);
    queue_init(&e->queue, w->queue_bytes);
    e->interval_ns = w->interval_ms * UINT64_C(1000000);
    if (read_url(e, at)) {
        return -1;
    }
    set_name(e, w);
    return set_headers(e, at) || set_labels(e, at) ? -1 : 0;
}

// Those of one name are told apart by a number.
static void number_names(struct endpoint *first) {
    for (struct endpoint *e = first; e; e = e->next) {
        unsigned n = 1;
        for (const struct endpoint *before = first; before != e; before = before->next) {
            size_t len = strlen(e->name);
            n += strncmp(before->name, e->name, len) == 0 && strchr(" ", before->name[len]);
        }
        if (n > 1) {
            size_t len = strlen(e->name);
            snprintf(e->name + len, sizeof e->name - len, " #%u", n);
        }
    }
}

int endpoints_create(const struct config *config, struct endpoint **first, struct buf *messages) {
    struct endpoint **last = first;
    *first = NULL;
    if (config->n_remote_write && packer_load(messages)) {
        return -1;
    }
    for (size_t i = 0; i < config->n_remote_write; i++) {
        struct entry at = {config, i, messages};
        if (create(last, &at)) {
            endpoints_destroy(*first);
            *first = NULL;
            return -1;
        }
        last = &(*last)->next;
    }
    number_names(*first);
    return 0;
}

void endpoint_destroy(struct endpoint *e) {
    queue_clear(&e->queue);
    series_groups_free(&e->groups);
    for (size_t i = 0; e->headers[i]; i++) {
        explicit_bzero(e->headers[i], strlen(e->headers[i]));
        free(e->headers[i]);
    }
    free(e->url);
    free(e->words);
    free(e);
}

void endpoints_destroy(struct endpoint *first) {
    while (first) {
        struct endpoint *next = first->next;
        endpoint_destroy(first);
        first = next;
    }
}

#define SWAP(a, b)                                                                                 \
    do {                                                                                           \
        __typeof__(a) kept_;                                                                       \
        memcpy(&kept_, &(a), sizeof kept_);                                                        \
        memcpy(&(a), &(b), sizeof kept_);                                                          \
        memcpy(&(b), &kept_, sizeof kept_);                                                        \
    } while (0)

void endpoint_change(struct endpoint *e, struct endpoint *with) {
    SWAP(e->url, with->url);
    SWAP(e->headers, with->headers);
    SWAP(e->labels, with->labels);
    SWAP(e->n_labels, with->n_labels);
    SWAP(e->words, with->words);
    e->interval_ns = with->interval_ns;
    e->queue.max_bytes = with->queue.max_bytes;
    e->retry_at_ns = e->round_at_ns = 0;
}
