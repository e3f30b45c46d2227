#include "wire/silence.h"

#include "base/memory.h"
#include "base/num.h"
#include "base/words.h"
#include "config/units.h"
#include "wire/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <regex.h>
#include <string.h>

struct silence_matcher {
    enum silence_label label;
    char *own; // the label's name where it is a rule's
    char *value;
    bool is_regex, is_equal;
    regex_t regex; // with is_regex
};

static const char *const label_names[SILENCE_LABELS] = {"rule", "run", "project", "layer",
                                                        "severity"};

static int fail(struct buf *error, const char *what) {
    buf_puts(error, what);
    return -1;
}

static const cJSON *member(const cJSON *object, const char *name, const char *other) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return item ? item : cJSON_GetObjectItemCaseSensitive(object, other);
}

static enum silence_label find_label(const char *name) {
    int i = 0;
    while (i < SILENCE_LABELS && strcmp(name, label_names[i]) != 0) {
        i++;
    }
    return strcmp(name, "alertname") == 0 ? SILENCE_RULE : (enum silence_label)i;
}

// As the configuration takes labels' names.
static bool is_label_name(const char *name) {
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    return n > 0 && n <= LIMIT_RULE_NAME && !name[n] && !strchr("0123456789", name[0]);
}

// A whole value must match: the expression is put between ^( and )$.
static int compile(struct silence_matcher *m, struct buf *error) {
    struct buf whole;
    buf_init(&whole, LIMIT_SILENCE_VALUE + 8);
    buf_printf(&whole, "^(%s)$", m->value);
    int rc = regcomp(&m->regex, buf_str(&whole), REG_EXTENDED | REG_NOSUB);
    buf_free(&whole);
    if (rc) {
        char why[128];
        regerror(rc, &m->regex, why, sizeof why);
        buf_printf(error, "\"%s\" is no POSIX extended regular expression: %s", m->value, why);
        m->is_regex = false;
        return -1;
    }
    return 0;
}

static int read_flag(const cJSON *item, bool initial, bool *flag, struct buf *error) {
    *flag = item ? cJSON_IsTrue(item) : initial;
    if (item && !cJSON_IsBool(item)) {
        return fail(error, "is_regex and is_equal are true or false");
    }
    return 0;
}

static int read_matcher(struct silence_matcher *m, const cJSON *json, struct buf *error) {
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(json, "name");
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, "value");
    if (!cJSON_IsString(name) || !cJSON_IsString(value)) {
        return fail(error, "a matcher is an object with the strings \"name\" and \"value\"");
    }
    if (!is_label_name(name->valuestring)) {
        buf_printf(error,
                   "matcher name \"%.100s\" is no label; expected rule, run, project, layer, "
                   "severity or a label of a rule",
                   name->valuestring);
        return -1;
    }
    m->label = find_label(name->valuestring);
    m->own = m->label == SILENCE_LABELS ? must_copy(name->valuestring) : NULL;
    if (strlen(value->valuestring) > LIMIT_SILENCE_VALUE) {
        buf_printf(error, "a matcher's value has at most %d bytes", LIMIT_SILENCE_VALUE);
        return -1;
    }
    if (read_flag(member(json, "is_regex", "isRegex"), false, &m->is_regex, error) ||
        read_flag(member(json, "is_equal", "isEqual"), true, &m->is_equal, error)) {
        m->is_regex = false;
        return -1;
    }
    m->value = must_copy(value->valuestring);
    return m->is_regex ? compile(m, error) : 0;
}

static int read_matchers(struct silence *s, const cJSON *json, struct buf *error) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "matchers");
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (n < 1 || n > LIMIT_SILENCE_MATCHERS) {
        buf_printf(error, "\"matchers\" is a list of 1 to %d matchers", LIMIT_SILENCE_MATCHERS);
        return -1;
    }
    s->matchers = must_alloc((size_t)n * sizeof *s->matchers);
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        s->n_matchers++;
        if (read_matcher(&s->matchers[s->n_matchers - 1], item, error)) {
            return -1;
        }
    }
    return 0;
}

static int read_text(const cJSON *item, const char *what, char **text, struct buf *error) {
    const char *value = cJSON_IsString(item) ? item->valuestring : "";
    if ((item && !cJSON_IsString(item)) || strlen(value) > LIMIT_SILENCE_TEXT) {
        buf_printf(error, "%s is a text of at most %d bytes", what, LIMIT_SILENCE_TEXT);
        return -1;
    }
    *text = must_copy(value);
    return 0;
}

static bool read_duration(const cJSON *item, double *seconds) {
    uint64_t ms;
    if (cJSON_IsNumber(item)) {
        *seconds = item->valuedouble;
        return true;
    }
    if (!cJSON_IsString(item) || !units_parse_duration(item->valuestring, &ms)) {
        return false;
    }
    *seconds = (double)ms * 1e-3;
    return true;
}

static int read_times(struct silence *s, const cJSON *json, double now, struct buf *error) {
    const cJSON *starts = cJSON_GetObjectItemCaseSensitive(json, "starts");
    const cJSON *ends = cJSON_GetObjectItemCaseSensitive(json, "ends");
    const cJSON *duration = cJSON_GetObjectItemCaseSensitive(json, "duration");
    double seconds = 0;
    if (starts && !cJSON_IsNumber(starts)) {
        return fail(error, "\"starts\" is a time in seconds since the epoch");
    }
    s->starts = starts ? starts->valuedouble : now;
    if (duration ? !read_duration(duration, &seconds) : !cJSON_IsNumber(ends)) {
        return fail(error, "a silence needs \"ends\", a time in seconds since the epoch, or "
                           "\"duration\", seconds or a text such as \"2h\"");
    }
    s->ends = duration ? s->starts + seconds : ends->valuedouble;
    if (!isfinite(s->starts) || !isfinite(s->ends) || s->ends <= s->starts || s->ends <= now) {
        return fail(error, "a silence must end after it starts, and in the future");
    }
    return 0;
}

static int read_silence(struct silence *s, const cJSON *json, double now, struct buf *error) {
    if (!cJSON_IsObject(json)) {
        return fail(error, "the body is no JSON object");
    }
    return read_matchers(s, json, error) || read_times(s, json, now, error) ||
                   read_text(member(json, "created_by", "createdBy"), "\"created_by\"",
                             &s->created_by, error) ||
                   read_text(cJSON_GetObjectItemCaseSensitive(json, "comment"), "\"comment\"",
                             &s->comment, error)
               ? -1
               : 0;
}

int silence_parse(struct silence *out, const char *json, size_t len, double now,
                  struct buf *error) {
    *out = (struct silence){0};
    cJSON *tree = cJSON_ParseWithLength(json, len);
    int rc = read_silence(out, tree, now, error);
    cJSON_Delete(tree);
    if (rc) {
        silence_free(out);
    }
    return rc;
}

int silence_parse_matchers(struct silence *s, const char *json, size_t len, struct buf *error) {
    cJSON *tree = cJSON_ParseWithLength(json, len);
    int rc = read_matchers(s, tree, error);
    cJSON_Delete(tree);
    return rc;
}

void silence_free(struct silence *s) {
    for (size_t i = 0; i < s->n_matchers; i++) {
        struct silence_matcher *m = &s->matchers[i];
        if (m->is_regex) {
            regfree(&m->regex);
        }
        free(m->own);
        free(m->value);
    }
    free(s->matchers);
    free(s->created_by);
    free(s->comment);
    *s = (struct silence){0};
}

void silence_print_matchers(const struct silence *s, struct buf *out) {
    buf_puts(out, "{\"matchers\":[");
    for (size_t i = 0; i < s->n_matchers; i++) {
        const struct silence_matcher *m = &s->matchers[i];
        buf_printf(out, "%s{\"name\":\"%s\",\"value\":", i ? "," : "",
                   m->own ? m->own : label_names[m->label]);
        json_put_string(out, m->value, strlen(m->value));
        buf_printf(out, ",\"is_regex\":%s,\"is_equal\":%s}", m->is_regex ? "true" : "false",
                   m->is_equal ? "true" : "false");
    }
    buf_puts(out, "]}");
}

bool silence_is_active(const struct silence *s, double now) {
    return s->starts <= now && now < s->ends;
}

const char *silence_own_label(const struct silence *s, size_t i) {
    return s->matchers[i].own;
}

static bool agrees(const struct silence_matcher *m, const char *value) {
    bool same =
        m->is_regex ? regexec(&m->regex, value, 0, NULL, 0) == 0 : strcmp(m->value, value) == 0;
    return same == m->is_equal;
}

static bool agrees_with_own(const struct silence_matcher *m, const char *labels) {
    size_t n = 0;
    const char *found = words_find(labels, m->own, strlen(m->own), &n);
    char *value = must_copy_n(found ? found : "", n);
    bool does = agrees(m, value);
    free(value);
    return does;
}

bool silence_matches(const struct silence *s, const struct silence_subject *subject) {
    for (size_t i = 0; i < s->n_matchers; i++) {
        const struct silence_matcher *m = &s->matchers[i];
        if (!(m->own ? agrees_with_own(m, subject->own) : agrees(m, subject->label[m->label]))) {
            return false;
        }
    }
    return true;
}
