// The table of settings and the types of their values: what the loader, the printers and the
// documentation all read. Inside config/ only.
#ifndef CONFIG_TABLE_H
#define CONFIG_TABLE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct setting;

// How a value is read from text into its field, and back. read() gets a field of zeros and owns
// nothing when it fails. Before its first reset() a field is all zero; after it, 'not set'.
struct value_type {
    const char *noun;                  // 'a size'
    const char *example;               // 'such as 1MiB'; NULL when the noun says it all
    bool plain_only;                   // "12" in quotes is text, not a number
    bool (*is_name)(const char *text); // mappings of names to texts: which names are good
    size_t size;                       // of the field
    bool (*read)(const struct setting *s, const char *text, void *field);
    bool (*in_range)(const struct setting *s, const void *field);               // NULL: always
    bool (*print)(const void *field, const struct setting *s, struct buf *out); // false: not set
    void (*print_bound)(struct buf *out, uint64_t bound);
    void (*reset)(void *field); // frees, and makes it 'not set'
};

extern const struct value_type type_text;
extern const struct value_type type_glob;
extern const struct value_type type_url;
extern const struct value_type type_address;
extern const struct value_type type_tcp_address;
extern const struct value_type type_origin;
extern const struct value_type type_size;
extern const struct value_type type_duration_ms; // uint64_t milliseconds
extern const struct value_type type_duration_s;  // uint64_t seconds
extern const struct value_type type_seconds;     // double seconds
extern const struct value_type type_count;
extern const struct value_type type_number;
extern const struct value_type type_span;
extern const struct value_type type_choice; // unsigned: the place in `choices`
extern const struct value_type type_bool;   // the same, of false and true without quotes
extern const struct value_type type_rule;   // text: a name the caller knows, or another
extern const struct value_type type_name;   // of a receiver
// Mappings of names to texts, as lines "key=value": of labels and annotations, of HTTP headers.
extern const struct value_type type_words;
extern const struct value_type type_headers;

// A label's or annotation's name, as Prometheus has it.
bool value_is_word(const char *text);

struct setting {
    const char *key;               // 'ingest.listen'; of an entry of a list, the key inside it
    const struct value_type *type; // of the value, or of each entry; NULL for mappings in a list
    size_t offset;                 // of the field, or of the pointer to the entries
    const char *initial;           // the default as it is written; NULL: not set
    const char *example;           // what the sample file shows when there is no default
    uint64_t min, max;             // in the field's unit
    const char *const *choices;    // of type_choice, ended by NULL; an empty one means 'not set'
    size_t count_offset;           // lists: of the number of entries
    size_t max_entries;            // lists: 0 for everything else
    size_t entry_size;
    const struct setting *entry_settings; // of a list's mappings, ended by a NULL key
    bool required;
    const char *or_else; // the key of the same entry that may stand instead
    bool is_reloadable;
    const char *help;
};

// Ended by a NULL key. Lists of mappings refer to tables of their own, whose offsets are relative
// to the entry.
extern const struct setting config_table[];

static inline bool setting_is_list(const struct setting *s) {
    return s->max_entries > 0;
}
static inline void *setting_field(const struct setting *s, const void *base) {
    return (void *)((uintptr_t)base + s->offset);
}
static inline size_t *setting_count(const struct setting *s, const void *base) {
    return (size_t *)((uintptr_t)base + s->count_offset);
}
// A list's entries as bytes. By memcpy, because the field is a pointer to whatever the entries are.
static inline char *setting_entries(const struct setting *s, const void *base) {
    char *entries;
    memcpy(&entries, setting_field(s, base), sizeof entries);
    return entries;
}
static inline void setting_set_entries(const struct setting *s, void *base, char *entries) {
    memcpy(setting_field(s, base), &entries, sizeof entries);
}

const struct setting *setting_find(const struct setting *table, const char *key);
// Whether some key of the table lies below this one: 'ingest' for 'ingest.listen'.
bool setting_is_section(const struct setting *table, const char *key);

// Makes room for n entries that are all 'not set', with their defaults.
void setting_alloc_entries(const struct setting *s, void *base, size_t n);
void setting_reset(const struct setting *s, void *base);
// Every scalar of the table that has a default gets it; the rest is made 'not set'.
void setting_defaults(const struct setting *table, void *base);

// 'a size from 1KiB to 64MiB'
void setting_print_expected(const struct setting *s, struct buf *out);
// A scalar as YAML; false when it is not set.
bool setting_print_value(const struct setting *s, const void *field, struct buf *out);
// The default as YAML, else the example, else NULL.
const char *setting_sample_value(const struct setting *s);

#endif
