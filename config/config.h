// The configuration: one YAML file, checked key by key against one table (table.c), into a plain
// struct. Nothing here is global and nothing is created on disk. Any thread may call any function;
// a struct config belongs to whoever loaded it and is freed with config_free().
//
// A reload loads a second struct and swaps: a load that fails leaves the first one as it was.
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/check.h"
#include "config/limits.h"
#include "config/units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_DEFAULT_PATH "/etc/pyrometer/pyrometer.yaml"
#define CONFIG_UNSET UINT64_MAX // of a whole number that a rule leaves as it is

enum config_durability { CONFIG_DURABILITY_FULL, CONFIG_DURABILITY_NORMAL };
enum config_severity {
    CONFIG_SEVERITY_UNSET,
    CONFIG_SEVERITY_INFO,
    CONFIG_SEVERITY_WARNING,
    CONFIG_SEVERITY_CRITICAL
};
enum config_format { CONFIG_FORMAT_ALERTMANAGER, CONFIG_FORMAT_GENERIC };

// A change of a built-in rule, or a rule of the file's own, on `metric`. What the file does not
// name keeps the rule's own value: numbers are then 'not measured' (num_is_missing), counts
// CONFIG_UNSET, globs NULL (match everything), labels and annotations NULL.
struct config_rule {
    char *rule;        // never NULL
    char *metric;      // NULL for a built-in rule
    unsigned enabled;  // 0 or 1; naming a rule without saying switches it on
    unsigned severity; // enum config_severity
    double fire_above, clear_below, fire_below, clear_above;
    struct units_span for_span, keep_firing_for;
    uint64_t warmup_steps, window;
    char *layer, *run, *project; // globs
    char *labels, *annotations;  // a line "key=value" each
    size_t line;                 // of the file, where the entry begins
};

struct config_webhook {
    char *url;              // NULL: in url_file
    char *url_file;         // its URL comes before url; NULL: none
    unsigned format;        // enum config_format
    unsigned severity_from; // enum config_severity; unset: alerts.severity_from
    double resend_s;        // format alertmanager: what fires is sent again this often
    char *token_file;       // NULL: no Authorization header
    char *secret_file;      // NULL: not signed
};

struct config_remote_write {
    char *url;      // NULL: in url_file
    char *url_file; // its URL comes before url; NULL: none
    char *name;     // NULL: made of the URL
    uint64_t interval_ms;
    char *token_file;       // NULL: no Authorization header
    char *headers, *labels; // a line "key=value" each; NULL: none
    uint64_t queue_bytes;
    size_t line; // of the file, where the entry begins
};

struct config_tls {
    char *cert, *key; // paths of PEM files; both or neither
    size_t line;      // of the file, where the section begins; 0: there is none
};

struct config {
    char *data; // the store's directory
    struct {
        char **listen; // each one reads with units_parse_address(); at least one
        size_t n_listen;
        uint64_t max_message_bytes;
        uint64_t ack_interval_ms;
        uint64_t max_connections;
        uint64_t queue_bytes; // read but not yet stored; at least max_message_bytes
        uint64_t rank_wait_ms;
        char *token_file; // NULL: no token is wanted
        struct config_tls tls;
        uint64_t handshake_wait_ms;
    } ingest;
    struct {
        char *listen; // HOST:PORT, never a Unix socket
        char *token_file;
        uint64_t max_connections;
        uint64_t max_points;   // a request for series
        uint64_t heartbeat_ms; // of event streams
        char **cors_origins;   // of pages that may use the API; "*": all
        size_t n_cors_origins;
        struct config_tls tls;
    } http;
    struct {
        unsigned durability;     // enum config_durability
        uint64_t retention_s;    // 0: for ever
        uint64_t max_size_bytes; // 0: no limit
    } storage;
    struct {
        double stall_after_s;
        struct config_rule *rules;
        size_t n_rules;
        struct config_webhook *webhooks;
        size_t n_webhooks;
        unsigned severity_from; // enum config_severity: less severe alerts are not sent
        char *command;          // run for every change; NULL: none
        char *mail_to, *mail_from;
        char *sendmail;
        char *external_url; // NULL: made of http.listen
    } alerts;
    struct config_remote_write *remote_write;
    size_t n_remote_write;
    char *file; // that it was read from, for messages; NULL: none
};

// Fills *out from the defaults and then the file; path NULL means the defaults alone. rule_names is
// the list of built-in rules that alerts.rules may name, ended by NULL; others need a metric.
// Returns 0, or -1 with *out all zero and up to LIMIT_CONFIG_ERRORS lines 'FILE:LINE: KEY: what is
// wrong; expected ...' in *messages.
int config_load(struct config *out, const char *path, const char *const *rule_names,
                struct buf *messages) WARN_UNUSED;

// The same of a file in which only the key `alerts` at the top is the configuration's; what else
// stands there is somebody else's and is not looked at.
int config_load_alerts(struct config *out, const char *path, const char *const *rule_names,
                       struct buf *messages) WARN_UNUSED;

// Sets one key as if the file had said it, for command-line flags; a list gets this one entry.
// `flag` stands in the message in the file's place. Returns 0, or -1 with a message and *c as it
// was.
int config_set(struct config *c, const char *flag, const char *key, const char *value,
               struct buf *messages) WARN_UNUSED;

// Frees what *c owns and makes it all zero; an all-zero one is fine.
void config_free(struct config *c);

// One line for each listener that takes the network's connections without a token.
void config_warnings(const struct config *c, struct buf *messages);

// The effective configuration as YAML; config_load() of it gives the same struct.
void config_print(const struct config *c, struct buf *out);

// The changed keys that only a restart brings into force, as 'a.b, c.d'; empty when there is none.
void config_reloadable_diff(const struct config *old, const struct config *new, struct buf *names);

// The sample file (config/pyrometer.yaml) and the table of docs/configuration.md.
void config_print_sample(struct buf *out);
void config_print_reference(struct buf *out);

// Reads a token: a regular file of one line of visible ASCII, at most LIMIT_TOKEN_BYTES; its line
// end is dropped. Returns 0 with *token for the caller to free(), or -1 with a message. A file that
// others can read, or that its group can write, is used all the same: 0 with a warning in
// *messages.
int config_read_token(const char *path, char **token, struct buf *messages) WARN_UNUSED;

#endif
