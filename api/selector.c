#include "api/selector.h"

#include "base/memory.h"
#include "base/num.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 4096
#define REGEX_MAX 1024

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define SHAPE "pyrometer_loss{run=\"a\",layer=~\"fc.*\"}"

struct parser {
    const char *text, *at;
    struct buf *problem;
};

static int fail(const struct parser *p, const char *expected) {
    buf_printf(p->problem, "character %zu (\"%.40s\"): expected %s", (size_t)(p->at - p->text) + 1,
               p->at, expected);
    return -1;
}

static void skip_space(struct parser *p) {
    p->at += strspn(p->at, " \t\r\n");
}

// A name of letters, digits and underscores (and colons in a metric's). NULL when there is none.
static char *take_name(struct parser *p, bool colons) {
    skip_space(p);
    if (!*p->at || !strchr(colons ? LETTERS ":" : LETTERS, *p->at)) {
        return NULL;
    }
    size_t len = strspn(p->at, colons ? LETTERS "0123456789:" : LETTERS "0123456789");
    char *name = must_copy_n(p->at, len);
    p->at += len;
    return name;
}

// What stands behind a backslash; NUL for an escape that is not known.
static char unescape(char c) {
    static const char from[] = "\\\"'nt", to[] = "\\\"'\n\t";
    const char *found = c ? strchr(from, c) : NULL;
    return found ? to[found - from] : '\0';
}

// A text in ", ' or `; NULL with the problem told.
static char *take_text(struct parser *p) {
    skip_space(p);
    char quote = *p->at;
    if (quote == '\0' || !strchr("\"'`", quote)) {
        fail(p, "a text in quotes");
        return NULL;
    }
    char *text = must_alloc(strlen(p->at)), *to = text;
    for (p->at++; *p->at != quote; p->at++) {
        char c = *p->at;
        if (c == '\\' && quote != '`') {
            c = unescape(*++p->at);
        }
        if (c == '\0') {
            fail(p, *p->at ? "one of \\\\ \\\" \\' \\n \\t" : "the end of the quotes");
            free(text);
            return NULL;
        }
        *to++ = c;
    }
    *to = '\0';
    p->at++;
    return text;
}

static int take_op(struct parser *p, enum matcher_op *op) {
    static const char *const ops[] = {"=~", "!~", "!=", "="};
    static const enum matcher_op values[] = {MATCH_LIKE, MATCH_NOT_LIKE, MATCH_IS_NOT, MATCH_IS};
    skip_space(p);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (strncmp(p->at, ops[i], strlen(ops[i])) == 0) {
            p->at += strlen(ops[i]);
            *op = values[i];
            return 0;
        }
    }
    return fail(p, "one of =, !=, =~, !~");
}

// Counted repetitions can make a small text a huge automaton, and references back a slow one.
static bool is_tame(const char *regex) {
    for (const char *c = regex; *c; c++) {
        if (*c == '{') {
            return false;
        }
        if (*c == '\\' && (*++c == '\0' || strchr(LETTERS "0123456789", *c))) {
            return false;
        }
    }
    return strlen(regex) <= REGEX_MAX;
}

static int compile(struct parser *p, struct selector_matcher *m) {
    struct buf whole;
    buf_init(&whole, REGEX_MAX + 8);
    buf_printf(&whole, "^(%s)$", m->value);
    int rc = is_tame(m->value) ? regcomp(&m->regex, buf_str(&whole), REG_EXTENDED | REG_NOSUB) : -1;
    buf_free(&whole);
    if (rc) {
        m->op = MATCH_IS; // nothing to free
        return fail(p, "before it a POSIX extended regular expression of at most 1024 bytes "
                       "without {} and without escaped letters and digits");
    }
    return 0;
}

static struct selector_matcher *add(struct selector *s, struct parser *p, char *label) {
    if (s->n == SELECTOR_MATCHERS) {
        free(label);
        fail(p, "at most 16 matchers");
        return NULL;
    }
    struct selector_matcher *m = &s->at[s->n++];
    *m = (struct selector_matcher){.label = label, .op = MATCH_IS};
    return m;
}

static int take_matcher(struct selector *s, struct parser *p) {
    char *label = take_name(p, false);
    if (!label) {
        return fail(p, "a label's name");
    }
    struct selector_matcher *m = add(s, p, label);
    enum matcher_op op = MATCH_IS;
    if (!m || take_op(p, &op) || !(m->value = take_text(p))) {
        return -1;
    }
    m->op = op;
    return op == MATCH_LIKE || op == MATCH_NOT_LIKE ? compile(p, m) : 0;
}

static int take_matchers(struct selector *s, struct parser *p) {
    for (p->at++;; p->at++) {
        skip_space(p);
        if (*p->at != '}' && take_matcher(s, p)) {
            return -1;
        }
        skip_space(p);
        if (*p->at == '}') {
            p->at++;
            return 0;
        }
        if (*p->at != ',') {
            return fail(p, "a comma or }");
        }
    }
}

// Whether some matcher does not take "": else the selector means everything that there is.
static bool says_something(const struct selector *s) {
    for (size_t i = 0; i < s->n; i++) {
        if (!selector_admits(s, s->at[i].label, "")) {
            return true;
        }
    }
    return false;
}

int selector_parse(struct selector *s, const char *text, struct buf *problem) {
    struct parser p = {.text = text, .at = text, .problem = problem};
    *s = (struct selector){0};
    if (strlen(text) > TEXT_MAX) {
        buf_printf(problem, "a selector has at most %d bytes", TEXT_MAX);
        return -1;
    }
    char *name = take_name(&p, true);
    if (name) {
        struct selector_matcher *m = add(s, &p, must_copy(SELECTOR_NAME));
        CHECK(m != NULL);
        m->value = name;
    }
    skip_space(&p);
    if (*p.at == '{' && take_matchers(s, &p)) {
        return -1;
    }
    skip_space(&p);
    if (*p.at) {
        return fail(&p, "the end: only selectors such as " SHAPE " are understood here, no "
                        "functions, operators, ranges or offsets");
    }
    if (!says_something(s)) {
        buf_puts(problem, "expected a selector such as " SHAPE
                          ", with a name or a matcher that does not match an empty value");
        return -1;
    }
    return 0;
}

void selector_free(struct selector *s) {
    for (size_t i = 0; i < s->n; i++) {
        struct selector_matcher *m = &s->at[i];
        if (m->op == MATCH_LIKE || m->op == MATCH_NOT_LIKE) {
            regfree(&m->regex);
        }
        free(m->label);
        free(m->value);
    }
    s->n = 0;
}

static bool takes(const struct selector_matcher *m, const char *value) {
    switch (m->op) {
    case MATCH_IS:
        return strcmp(m->value, value) == 0;
    case MATCH_IS_NOT:
        return strcmp(m->value, value) != 0;
    case MATCH_LIKE:
        return regexec(&m->regex, value, 0, NULL, 0) == 0;
    case MATCH_NOT_LIKE:
        return regexec(&m->regex, value, 0, NULL, 0) != 0;
    }
    return false;
}

bool selector_admits(const struct selector *s, const char *label, const char *value) {
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->at[i].label, label) == 0 && !takes(&s->at[i], value)) {
            return false;
        }
    }
    return true;
}

bool selector_admits_rest(const struct selector *s, const char *const *labels, size_t n) {
    for (size_t i = 0; i < s->n; i++) {
        size_t j = 0;
        while (j < n && strcmp(labels[j], s->at[i].label) != 0) {
            j++;
        }
        if (j == n && !takes(&s->at[i], "")) {
            return false;
        }
    }
    return true;
}

bool selector_constant(const char *text, double *value) {
    const char *end = text + strlen(text);
    *value = 0;
    for (;; text++) {
        double x;
        text += strspn(text, " ");
        size_t len = num_parse(text, end, &x);
        if (len == 0) {
            return false;
        }
        *value += x;
        text += len;
        text += strspn(text, " ");
        if (*text != '+') {
            return *text == '\0';
        }
    }
}
