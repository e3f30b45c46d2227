// The table and a configuration as text: effective YAML, the sample file, the reference table, the
// warnings, and what a reload cannot change.
#include "config/config.h"
#include "config/table.h"

#include <string.h>

// Where the line being written stands in the tree of sections.
struct writer {
    struct buf *out;
    char section[64]; // the last one opened: 'http.tls'
    bool spaced;      // an empty line before every top section
};

static size_t depth_of(const char *key) {
    size_t depth = 0;
    for (; *key; key++) {
        depth += *key == '.';
    }
    return depth;
}

static void indent(struct buf *out, size_t depth) {
    for (size_t i = 0; i < depth; i++) {
        buf_puts(out, "  ");
    }
}

static const char *last_name(const char *key) {
    const char *dot = strrchr(key, '.');
    return dot ? dot + 1 : key;
}

// Opens the sections that the key lies in and the last one did not. Sections of one name stand
// together in the table, so each is opened once.
static void open_sections(struct writer *w, const char *key) {
    for (const char *dot = strchr(key, '.'); dot; dot = strchr(dot + 1, '.')) {
        char section[sizeof w->section];
        snprintf(section, sizeof section, "%.*s", (int)(dot - key), key);
        size_t length = strlen(section);
        if (strncmp(w->section, section, length) == 0 &&
            (w->section[length] == '\0' || w->section[length] == '.')) {
            continue;
        }
        if (w->spaced && depth_of(section) == 0) {
            buf_putc(w->out, '\n');
        }
        indent(w->out, depth_of(section));
        buf_printf(w->out, "%s:\n", last_name(section));
        memcpy(w->section, section, sizeof section);
    }
    if (!strchr(key, '.')) {
        w->section[0] = '\0';
    }
}

// -- the effective configuration -----------------------------------------------------------------

static void print_mapping_entry(const struct setting *s, const char *entry, size_t depth,
                                struct buf *out) {
    const char *lead = "- ";
    for (const struct setting *inner = s->entry_settings; inner->key; inner++) {
        struct buf value;
        buf_init(&value, 2 * LIMIT_CONFIG_TEXT + 2);
        if (setting_print_value(inner, setting_field(inner, entry), &value)) {
            indent(out, depth);
            buf_printf(out, "%s%s: %s\n", lead, inner->key, buf_str(&value));
            lead = "  ";
        }
        buf_free(&value);
    }
}

static void print_list(const struct setting *s, const void *base, size_t depth, struct buf *out) {
    const char *entries = setting_entries(s, base);
    size_t n = *setting_count(s, base);
    indent(out, depth);
    buf_printf(out, "%s:%s\n", last_name(s->key), n ? "" : " []");
    for (size_t i = 0; i < n; i++) {
        const char *entry = entries + i * s->entry_size;
        if (!s->type) {
            print_mapping_entry(s, entry, depth + 1, out);
            continue;
        }
        indent(out, depth + 1);
        buf_puts(out, "- ");
        setting_print_value(s, entry, out);
        buf_putc(out, '\n');
    }
}

static void print_setting(const struct setting *s, const void *base, size_t depth,
                          struct buf *out) {
    if (setting_is_list(s)) {
        print_list(s, base, depth, out);
        return;
    }
    struct buf value;
    buf_init(&value, 2 * LIMIT_CONFIG_TEXT + 2);
    bool is_set = setting_print_value(s, setting_field(s, base), &value);
    indent(out, depth);
    buf_printf(out, is_set ? "%s: %s\n" : "# %s: not set\n", last_name(s->key), buf_str(&value));
    buf_free(&value);
}

void config_print(const struct config *c, struct buf *out) {
    struct writer w = {.out = out};
    for (const struct setting *s = config_table; s->key; s++) {
        open_sections(&w, s->key);
        print_setting(s, c, depth_of(s->key), out);
    }
}

// -- the sample file -----------------------------------------------------------------------------

#define SAMPLE_WIDTH 96

// A comment, broken between words.
static void print_comment(struct buf *out, size_t depth, const char *text) {
    while (*text) {
        size_t room = SAMPLE_WIDTH - 2 * depth;
        size_t length = strlen(text);
        if (length > room) {
            length = room;
            while (length > 0 && text[length] != ' ') {
                length--;
            }
        }
        indent(out, depth);
        buf_printf(out, "# %.*s\n", (int)length, text);
        text += length + (text[length] == ' ');
    }
}

static void print_sample_help(const struct setting *s, size_t depth, struct buf *out) {
    struct buf help;
    buf_init(&help, 4096);
    buf_puts(&help, s->help);
    if (s->type && s->type != &type_text && s->type != &type_rule) {
        buf_puts(&help, " Takes ");
        setting_print_expected(s, &help);
        buf_putc(&help, '.');
    }
    print_comment(out, depth, buf_str(&help));
    buf_free(&help);
}

static void print_sample_entry(const struct setting *s, size_t depth, struct buf *out) {
    const char *lead = "- ";
    for (const struct setting *inner = s->entry_settings; inner->key; inner++) {
        print_sample_help(inner, depth + 1, out);
        indent(out, depth);
        buf_printf(out, "#%s%s: %s\n", lead, inner->key, setting_sample_value(inner));
        lead = "  ";
    }
}

static void print_sample_setting(const struct setting *s, struct buf *out) {
    size_t depth = depth_of(s->key);
    print_sample_help(s, depth, out);
    indent(out, depth);
    if (s->entry_settings) {
        buf_printf(out, "#%s:\n", last_name(s->key));
        print_sample_entry(s, depth, out);
    } else {
        buf_printf(out, "#%s: %s\n", last_name(s->key), setting_sample_value(s));
    }
}

void config_print_sample(struct buf *out) {
    struct writer w = {.out = out, .spaced = true};
    buf_puts(
        out,
        "# Pyrometer's configuration. Every key is here with its default, or with an example\n"
        "# where it has none ('#key: value'), below what it means ('# text'). Take away the '#'\n"
        "# of a key to set it. 'pyrometerd --check-config' says what is wrong with a file.\n\n");
    for (const struct setting *s = config_table; s->key; s++) {
        open_sections(&w, s->key);
        print_sample_setting(s, out);
    }
}

// -- the reference table -------------------------------------------------------------------------

static void print_reference_row(const struct setting *s, const char *parent, struct buf *out) {
    buf_printf(out, "| `%s%s%s` | ", parent, *parent ? "[]." : "", s->key);
    if (s->type) {
        setting_print_expected(s, out);
        buf_puts(out, setting_is_list(s) ? "; or a list of these" : "");
    } else {
        buf_puts(out, "a list of mappings");
    }
    buf_printf(out, " | %s%s%s | ", s->initial ? "`" : "", s->initial ? s->initial : "not set",
               s->initial ? "`" : "");
    buf_printf(out, "%s | %s", *parent ? "" : s->is_reloadable ? "reload" : "restart", s->help);
    buf_puts(out, " |\n");
}

void config_print_reference(struct buf *out) {
    buf_puts(out, "| key | takes | default | a change needs | meaning |\n"
                  "| --- | --- | --- | --- | --- |\n");
    for (const struct setting *s = config_table; s->key; s++) {
        print_reference_row(s, "", out);
        for (const struct setting *inner = s->entry_settings; inner && inner->key; inner++) {
            print_reference_row(inner, s->key, out);
        }
    }
}

// -- what to tell the operator -------------------------------------------------------------------

// Whether the setting says what it says without a file.
static bool is_changed(const struct setting *s, const void *a, const void *b) {
    struct buf text_a, text_b;
    buf_init(&text_a, LIMIT_CONFIG_BYTES * 8);
    buf_init(&text_b, LIMIT_CONFIG_BYTES * 8);
    print_setting(s, a, 0, &text_a);
    print_setting(s, b, 0, &text_b);
    bool changed = strcmp(buf_str(&text_a), buf_str(&text_b)) != 0;
    buf_free(&text_a);
    buf_free(&text_b);
    return changed;
}

static void warn_open(const char *key, const char *listen, const char *token_file,
                      struct buf *messages) {
    struct units_address address;
    if (!token_file && units_parse_address(listen, &address) && !units_address_is_local(&address)) {
        buf_printf(messages,
                   "%s: %s is open to the network and no token is wanted; set token_file\n", key,
                   listen);
    }
}

void config_warnings(const struct config *c, struct buf *messages) {
    for (size_t i = 0; i < c->ingest.n_listen; i++) {
        warn_open("ingest.listen", c->ingest.listen[i], c->ingest.token_file, messages);
    }
    warn_open("http.listen", c->http.listen, c->http.token_file, messages);
}

void config_reloadable_diff(const struct config *old, const struct config *new, struct buf *names) {
    for (const struct setting *s = config_table; s->key; s++) {
        if (!s->is_reloadable && is_changed(s, old, new)) {
            buf_printf(names, "%s%s", names->len ? ", " : "", s->key);
        }
    }
}
