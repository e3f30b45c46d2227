// From the file, and from single flags, into struct config: walks the YAML beside the table.
#include "base/check.h"
#include "base/num.h"
#include "config/config.h"
#include "config/table.h"
#include "config/yaml.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    yaml_document_t *document;
    const char *const *rule_names; // NULL: any name
    struct yaml_errors errors;
    bool alerts_only; // of the keys at the top
};

// Where a mapping of the file belongs: the table, the struct it fills, and its names in both.
struct place {
    const struct setting *table;
    void *base;
    const char *section; // in the table: 'ingest', or "" at its top
    const char *name;    // in messages: 'ingest', 'alerts.rules[0]', or ""
};

#define KEY_MAX 256 // of a full key in a message; longer ones are cut

static void join_key(char out[KEY_MAX], const char *section, const char *key) {
    snprintf(out, KEY_MAX, "%s%s%.100s", section, *section ? "." : "", key);
}

// A key comes from the file and goes to a terminal.
static void make_visible(char *key) {
    for (; *key; key++) {
        if (*key < 0x21 || *key > 0x7E) {
            *key = '?';
        }
    }
}

// -- single values -------------------------------------------------------------------------------

static bool is_known_rule(const struct reader *r, const char *name) {
    for (size_t i = 0; r->rule_names && r->rule_names[i]; i++) {
        if (strcmp(r->rule_names[i], name) == 0) {
            return true;
        }
    }
    return !r->rule_names;
}

static void print_expected(struct reader *r, const struct setting *s) {
    setting_print_expected(s, r->errors.messages);
    if (s->type->example) {
        buf_printf(r->errors.messages, ", such as %s", s->type->example);
    }
    for (size_t i = 0; s->type == &type_rule && r->rule_names && r->rule_names[i]; i++) {
        buf_printf(r->errors.messages, "%s%s", i ? ", " : ": ", r->rule_names[i]);
    }
}

static void tell_bad_value(struct reader *r, const struct setting *s, size_t line, const char *key,
                           const char *text, const char *problem) {
    if (!yaml_error_begin(&r->errors, line, key)) {
        return;
    }
    if (text) {
        yaml_error_quote(&r->errors, text);
        buf_putc(r->errors.messages, ' ');
    }
    buf_printf(r->errors.messages, "%s; expected ", problem);
    print_expected(r, s);
    yaml_error_end(&r->errors);
}

// Text into a field; on any error the field is as it was.
static void read_text_into(struct reader *r, const struct setting *s, void *field, const char *text,
                           size_t line, const char *key) {
    union {
        char *text;
        uint64_t whole;
        double real;
        unsigned choice;
        struct units_span span;
    } value;
    memset(&value, 0, sizeof value);
    CHECK(s->type->size <= sizeof value);
    if (!s->type->read(s, text, &value)) {
        tell_bad_value(r, s, line, key, text, "is not valid");
    } else if (s->type->in_range && !s->type->in_range(s, &value)) {
        tell_bad_value(r, s, line, key, text, "is out of range");
    } else {
        s->type->reset(field);
        memcpy(field, &value, s->type->size);
    }
}

// A mapping into lines "key=value".
static void read_words_into(struct reader *r, const struct setting *s, char **field,
                            const yaml_node_t *node, const char *key) {
    if (node->type != YAML_MAPPING_NODE) {
        tell_bad_value(r, s, yaml_line(node), key, NULL, "is not a mapping");
        return;
    }
    struct buf lines;
    buf_init(&lines, (size_t)LIMIT_RULE_WORDS * (LIMIT_CONFIG_TEXT + LIMIT_RULE_NAME + 2));
    size_t n = 0;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++, n++) {
        const yaml_node_t *value = yaml_document_get_node(r->document, pair->value);
        const char *word = yaml_text(yaml_document_get_node(r->document, pair->key));
        const char *text = value->type == YAML_SCALAR_NODE ? yaml_text(value) : NULL;
        if (n == LIMIT_RULE_WORDS || !word || !s->type->is_name(word) || !text ||
            strchr(text, '\n') || strlen(text) > LIMIT_CONFIG_TEXT) {
            tell_bad_value(r, s, yaml_line(value), key, word,
                           n == LIMIT_RULE_WORDS ? "is one too many"
                                                 : "is no name with a text of one line");
            buf_free(&lines);
            return;
        }
        buf_printf(&lines, "%s=%s\n", word, text);
    }
    s->type->reset(field);
    *field = must_copy(buf_str(&lines));
    buf_free(&lines);
}

static void read_scalar(struct reader *r, const struct setting *s, void *field,
                        const yaml_node_t *node, const char *key) {
    const char *text = yaml_text(node);
    if (s->type->is_name) {
        read_words_into(r, s, field, node, key);
    } else if (node->type != YAML_SCALAR_NODE) {
        tell_bad_value(r, s, yaml_line(node), key, NULL,
                       node->type == YAML_MAPPING_NODE ? "is a mapping" : "is a list");
    } else if (!text) {
        tell_bad_value(r, s, yaml_line(node), key, NULL, "holds a NUL byte");
    } else if (yaml_is_null(node)) {
        tell_bad_value(r, s, yaml_line(node), key, NULL, "has no value");
    } else if (s->type->plain_only && !yaml_is_plain(node)) {
        tell_bad_value(r, s, yaml_line(node), key, text, "is text in quotes");
    } else {
        read_text_into(r, s, field, text, yaml_line(node), key);
    }
}

// -- lists and mappings --------------------------------------------------------------------------

static void read_mapping(struct reader *r, const struct place *place, const yaml_node_t *node);

static void check_required(struct reader *r, const struct setting *s, char *entry, size_t line,
                           const char *name) {
    for (const struct setting *inner = s->entry_settings; inner->key; inner++) {
        if (!inner->required) {
            continue;
        }
        const struct setting *other =
            inner->or_else ? setting_find(s->entry_settings, inner->or_else) : NULL;
        if (!*(char **)setting_field(inner, entry) &&
            !(other && *(char **)setting_field(other, entry))) {
            yaml_error(&r->errors, line, name, "has no valid %s%s%s; expected one", inner->key,
                       other ? " or " : "", other ? other->key : "");
        }
    }
}

static void read_entry(struct reader *r, const struct setting *s, char *entry,
                       const yaml_node_t *node, const char *name) {
    if (s->type) {
        read_scalar(r, s, entry, node, name);
        return;
    }
    if (node->type != YAML_MAPPING_NODE) {
        yaml_error(&r->errors, yaml_line(node), name, "is not a mapping; expected one with %s",
                   s->entry_settings->key);
        return;
    }
    size_t errors_before = r->errors.count;
    struct place place = {s->entry_settings, entry, "", name};
    read_mapping(r, &place, node);
    if (r->errors.count == errors_before) {
        check_required(r, s, entry, yaml_line(node), name);
    }
}

static void read_list(struct reader *r, const struct setting *s, void *base,
                      const yaml_node_t *node, const char *key) {
    const yaml_node_item_t *items = node->data.sequence.items.start;
    size_t n = (size_t)(node->data.sequence.items.top - items);
    if (n > s->max_entries || (n == 0 && s->required)) {
        yaml_error(&r->errors, yaml_line(node), key, "has %zu entries; expected %d to %zu", n,
                   s->required ? 1 : 0, s->max_entries);
        return;
    }
    setting_alloc_entries(s, base, n);
    for (size_t i = 0; i < n; i++) {
        char name[KEY_MAX + 32];
        snprintf(name, sizeof name, "%s[%zu]", key, i);
        read_entry(r, s, setting_entries(s, base) + i * s->entry_size,
                   yaml_document_get_node(r->document, items[i]), name);
    }
}

// A list; of scalars also a single one; of mappings also nothing, so that all of a sample's entries
// may stay commented out.
static void read_list_setting(struct reader *r, const struct setting *s, void *base,
                              const yaml_node_t *node, const char *key) {
    if (node->type == YAML_SEQUENCE_NODE) {
        read_list(r, s, base, node, key);
    } else if (s->type) {
        setting_alloc_entries(s, base, 1);
        read_scalar(r, s, setting_entries(s, base), node, key);
    } else if (!yaml_is_null(node)) {
        yaml_error(&r->errors, yaml_line(node), key, "is not a list; expected a list of mappings");
    }
}

static void tell_unknown(struct reader *r, const struct place *place, size_t line,
                         const char *key) {
    size_t length = strlen(place->section);
    const char *between = "";
    if (!yaml_error_begin(&r->errors, line, key)) {
        return;
    }
    buf_puts(r->errors.messages, "is not a key; expected one of ");
    for (const struct setting *s = place->table; s->key; s++) {
        const char *rest = s->key + length + (length > 0);
        if (strncmp(s->key, place->section, length) == 0 &&
            (length == 0 || s->key[length] == '.')) {
            buf_printf(r->errors.messages, "%s%s", between, rest);
            between = ", ";
        }
    }
    yaml_error_end(&r->errors);
}

static void read_section(struct reader *r, const struct place *place, const yaml_node_t *node) {
    if (node->type == YAML_MAPPING_NODE) {
        read_mapping(r, place, node);
    } else if (!yaml_is_null(node)) {
        yaml_error(&r->errors, yaml_line(node), place->name, "is a %s; expected a mapping of keys",
                   node->type == YAML_SEQUENCE_NODE ? "list" : "single value");
    }
}

static void read_key(struct reader *r, const struct place *place, const yaml_node_t *key_node,
                     const yaml_node_t *value) {
    char key[KEY_MAX], name[KEY_MAX];
    const char *text = yaml_text(key_node);
    size_t line = yaml_line(key_node);
    join_key(key, place->section, text ? text : "?");
    join_key(name, place->name, text ? text : "?");
    make_visible(name);
    // A dot in the file is never a level: 'ingest.listen:' at the top is no key.
    const struct setting *s = text && !strchr(text, '.') ? setting_find(place->table, key) : NULL;
    if (s && setting_is_list(s)) {
        read_list_setting(r, s, place->base, value, name);
    } else if (s) {
        read_scalar(r, s, setting_field(s, place->base), value, name);
    } else if (text && !strchr(text, '.') && setting_is_section(place->table, key)) {
        struct place inner = {place->table, place->base, key, name};
        read_section(r, &inner, value);
    } else {
        tell_unknown(r, place, line, name);
    }
}

static bool same_key(const struct reader *r, int a, int b) {
    const char *text_a = yaml_text(yaml_document_get_node(r->document, a));
    const char *text_b = yaml_text(yaml_document_get_node(r->document, b));
    return text_a && text_b && strcmp(text_a, text_b) == 0;
}

static void tell_duplicate(struct reader *r, const struct place *place, const yaml_node_t *key,
                           const yaml_node_t *first) {
    char name[KEY_MAX];
    join_key(name, place->name, yaml_text(key));
    make_visible(name);
    yaml_error(&r->errors, yaml_line(key), name,
               "stands a second time; expected once, as in line %zu", yaml_line(first));
}

static void read_mapping(struct reader *r, const struct place *place, const yaml_node_t *node) {
    const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
    size_t n = (size_t)(node->data.mapping.pairs.top - pairs);
    if (n > LIMIT_CONFIG_KEYS) {
        yaml_error(&r->errors, yaml_line(node), *place->name ? place->name : NULL,
                   "%zu keys; expected at most %d", n, LIMIT_CONFIG_KEYS);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const yaml_node_t *key = yaml_document_get_node(r->document, pairs[i].key);
        size_t first = 0;
        while (first < i && !same_key(r, pairs[first].key, pairs[i].key)) {
            first++;
        }
        if (first < i) {
            tell_duplicate(r, place, key, yaml_document_get_node(r->document, pairs[first].key));
        } else {
            read_key(r, place, key, yaml_document_get_node(r->document, pairs[i].value));
        }
    }
}

// -- what two keys say together ------------------------------------------------------------------

static const yaml_node_pair_t *find_pair(struct reader *r, const yaml_node_t *node,
                                         const char *key) {
    if (node->type != YAML_MAPPING_NODE) {
        return NULL;
    }
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const char *text = yaml_text(yaml_document_get_node(r->document, pair->key));
        if (text && strcmp(text, key) == 0) {
            return pair;
        }
    }
    return NULL;
}

// The line of section.key, else of section, else of the top; 0 without a file.
static size_t find_line(struct reader *r, const char *section, const char *key) {
    const yaml_node_t *node = r->document ? yaml_document_get_root_node(r->document) : NULL;
    size_t line = node ? yaml_line(node) : 0;
    const char *const path[] = {section, key};
    for (size_t i = 0; node && i < 2; i++) {
        const yaml_node_pair_t *pair = find_pair(r, node, path[i]);
        line = pair ? yaml_line(yaml_document_get_node(r->document, pair->key)) : line;
        node = pair ? yaml_document_get_node(r->document, pair->value) : NULL;
    }
    return line;
}

// The line at which an entry of section.key begins; key NULL: of a list at the top.
static size_t find_entry_line(struct reader *r, const char *section, const char *key, size_t i) {
    const yaml_node_t *node = yaml_document_get_root_node(r->document);
    const char *const path[] = {section, key};
    for (size_t level = 0; level < 2 && path[level]; level++) {
        const yaml_node_pair_t *pair = find_pair(r, node, path[level]);
        CHECK(pair);
        node = yaml_document_get_node(r->document, pair->value);
    }
    return yaml_line(yaml_document_get_node(r->document, node->data.sequence.items.start[i]));
}

static size_t find_rule_line(struct reader *r, size_t i) {
    return find_entry_line(r, "alerts", "rules", i);
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_scope(const struct config_rule *a, const struct config_rule *b) {
    return same_text(a->rule, b->rule) && same_text(a->layer, b->layer) &&
           same_text(a->run, b->run) && same_text(a->project, b->project);
}

// A rule is built in, or has a metric and a name that fits into a label.
static void check_rule_name(struct reader *r, const struct config_rule *rule, size_t i) {
    char name[64];
    snprintf(name, sizeof name, "alerts.rules[%zu].rule", i);
    if (!rule->rule || is_known_rule(r, rule->rule)) {
        return;
    }
    if (!rule->metric) {
        struct setting s = {.type = &type_rule};
        tell_bad_value(r, &s, find_rule_line(r, i), name, rule->rule, "is not a rule");
    } else if (!value_is_word(rule->rule)) {
        yaml_error(&r->errors, find_rule_line(r, i), name,
                   "is not valid; expected at most %d letters, digits and underscores, no digit "
                   "first",
                   LIMIT_RULE_NAME);
    }
}

static void check_rule(struct reader *r, struct config *c, size_t i) {
    struct config_rule *rule = &c->alerts.rules[i];
    char name[64];
    snprintf(name, sizeof name, "alerts.rules[%zu]", i);
    rule->line = find_rule_line(r, i);
    check_rule_name(r, rule, i);
    if (rule->clear_below > rule->fire_above) {
        yaml_error(&r->errors, find_rule_line(r, i), name,
                   "clear_below is above fire_above; expected at most the same");
    }
    for (size_t j = 0; j < i; j++) {
        if (same_scope(rule, &c->alerts.rules[j])) {
            yaml_error(&r->errors, find_rule_line(r, i), name,
                       "is for the same rule, layer, run and project as alerts.rules[%zu]; "
                       "expected one entry",
                       j);
            return;
        }
    }
}

static void check_tls(struct reader *r, struct config_tls *tls, const char *section,
                      const char *name) {
    tls->line = find_line(r, section, "tls");
    if (!tls->cert != !tls->key) {
        yaml_error(&r->errors, tls->line, name, "has no %s; expected both cert and key, or neither",
                   tls->cert ? "key" : "cert");
    }
}

static void check_together(struct reader *r, struct config *c) {
    if (c->ingest.queue_bytes < c->ingest.max_message_bytes) {
        yaml_error(&r->errors, find_line(r, "ingest", "max_queue"), "ingest.max_queue",
                   "is less than ingest.max_message; expected at least as much");
    }
    check_tls(r, &c->ingest.tls, "ingest", "ingest.tls");
    check_tls(r, &c->http.tls, "http", "http.tls");
    for (size_t i = 0; i < c->alerts.n_rules; i++) {
        check_rule(r, c, i);
    }
    for (size_t i = 0; i < c->n_remote_write; i++) {
        c->remote_write[i].line = find_entry_line(r, "remote_write", NULL, i);
    }
}

// -- the whole -----------------------------------------------------------------------------------

// The store's directory when nobody names one.
static void set_default_data(struct reader *r, struct config *c) {
    const struct setting *s = setting_find(config_table, "data");
    const char *state = getenv("STATE_DIRECTORY");
    const char *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    struct buf path;
    buf_init(&path, LIMIT_CONFIG_TEXT);
    if (state && *state) {
        buf_put(&path, state, strcspn(state, ":")); // systemd joins several with colons
    } else if (xdg && *xdg == '/') {
        buf_printf(&path, "%s/pyrometer", xdg);
    } else if (home && *home == '/') {
        buf_printf(&path, "%s/.local/state/pyrometer", home);
    }
    if (path.failed || path.len == 0) {
        yaml_error(
            &r->errors, 0, "data",
            "has no default without STATE_DIRECTORY, XDG_STATE_HOME or HOME; expected a path");
    } else {
        read_text_into(r, s, &c->data, buf_str(&path), 0, "data");
    }
    buf_free(&path);
}

static void read_root(struct reader *r, struct config *c) {
    struct place top = {config_table, c, "", ""};
    const yaml_node_t *root = yaml_document_get_root_node(r->document);
    const yaml_node_pair_t *alerts = r->alerts_only ? find_pair(r, root, "alerts") : NULL;
    if (alerts) {
        read_key(r, &top, yaml_document_get_node(r->document, alerts->key),
                 yaml_document_get_node(r->document, alerts->value));
    } else if (r->alerts_only) {
        return;
    } else if (root->type == YAML_MAPPING_NODE) {
        read_mapping(r, &top, root);
    } else if (!yaml_is_null(root)) {
        yaml_error(&r->errors, yaml_line(root), "document",
                   "is not a mapping; expected keys such as 'ingest:'");
    }
}

static void load_file(struct reader *r, struct config *c, const char *path) {
    yaml_document_t document;
    bool has_document;
    if (yaml_read_file(path, &document, &has_document, &r->errors) != 0) {
        return;
    }
    if (has_document) {
        r->document = &document;
        read_root(r, c);
        if (r->errors.count == 0) {
            check_together(r, c);
        }
        yaml_document_delete(&document);
        r->document = NULL;
    }
}

static int load(struct config *out, const char *path, const char *const *rule_names,
                bool alerts_only, struct buf *messages) {
    struct reader r = {.rule_names = rule_names,
                       .errors = {path ? path : "defaults", messages, 0},
                       .alerts_only = alerts_only};
    *out = (struct config){0};
    setting_defaults(config_table, out);
    if (path) {
        out->file = must_copy(path);
        load_file(&r, out, path);
    }
    if (r.errors.count == 0 && !out->data) {
        set_default_data(&r, out);
    }
    if (r.errors.count) {
        config_free(out);
        return -1;
    }
    return 0;
}

int config_load(struct config *out, const char *path, const char *const *rule_names,
                struct buf *messages) {
    return load(out, path, rule_names, false, messages);
}

int config_load_alerts(struct config *out, const char *path, const char *const *rule_names,
                       struct buf *messages) {
    return load(out, path, rule_names, true, messages);
}

int config_set(struct config *c, const char *flag, const char *key, const char *value,
               struct buf *messages) {
    struct reader r = {.errors = {flag, messages, 0}};
    const struct setting *s = setting_find(config_table, key);
    CHECK(s && s->type);
    if (!setting_is_list(s)) {
        read_text_into(&r, s, setting_field(s, c), value, 0, key);
        return r.errors.count ? -1 : 0;
    }
    char *entry = must_alloc(s->entry_size);
    read_text_into(&r, s, entry, value, 0, key);
    if (r.errors.count == 0) {
        setting_alloc_entries(s, c, 1);
        memcpy(setting_entries(s, c), entry, s->entry_size);
    }
    free(entry);
    return r.errors.count ? -1 : 0;
}

void config_free(struct config *c) {
    for (const struct setting *s = config_table; s->key; s++) {
        setting_reset(s, c);
    }
    free(c->file);
    *c = (struct config){0};
}
