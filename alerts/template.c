#include "alerts/template.h"

#include "base/num.h"
#include "base/words.h"

#include <string.h>

#define LABELS "$labels."
#define SHOWN 80 // bytes of what is wrong

// What stands between the braces.
struct name {
    const char *text;
    size_t len;
};

static bool is(struct name name, const char *text) {
    return name.len == strlen(text) && memcmp(name.text, text, name.len) == 0;
}

static void put_number(struct buf *out, double x) {
    char text[NUM_TEXT_MAX];
    size_t n = num_format(text, x), quotes = text[0] == '"';
    buf_put(out, text + quotes, n - 2 * quotes);
}

static bool put_label(struct name name, const struct template_facts *facts, struct buf *out) {
    const struct {
        const char *name, *value;
    } all[] = {{"alertname", facts->alertname},
               {"run", facts->run},
               {"project", facts->project},
               {"layer", facts->layer},
               {"severity", facts->severity}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (is(name, all[i].name)) {
            buf_puts(out, all[i].value ? all[i].value : "");
            return true;
        }
    }
    size_t len;
    const char *own = words_find(facts->labels, name.text, name.len, &len);
    if (own) {
        buf_put(out, own, len);
    }
    return own != NULL;
}

static bool put_value(struct name name, const struct template_facts *facts, struct buf *out) {
    const size_t prefix = strlen(LABELS);
    if (name.len > prefix && memcmp(name.text, LABELS, prefix) == 0) {
        return put_label((struct name){name.text + prefix, name.len - prefix}, facts, out);
    }
    if (is(name, "$value")) {
        put_number(out, facts->value);
    } else if (is(name, "$threshold")) {
        put_number(out, facts->threshold);
    } else if (is(name, "$step")) {
        buf_printf(out, "%lld", (long long)facts->step);
    } else {
        return false;
    }
    return true;
}

static struct name trimmed(const char *from, const char *to) {
    while (from < to && *from == ' ') {
        from++;
    }
    while (to > from && to[-1] == ' ') {
        to--;
    }
    return (struct name){from, (size_t)(to - from)};
}

int template_fill(const char *text, const struct template_facts *facts, struct buf *out,
                  struct buf *error) {
    for (const char *open; (open = strstr(text, "{{"));) {
        const char *close = strstr(open + 2, "}}");
        if (!close) {
            buf_puts(error, "\"{{\" has no \"}}\" behind it");
            return -1;
        }
        buf_put(out, text, (size_t)(open - text));
        struct name name = trimmed(open + 2, close);
        if (!put_value(name, facts, out)) {
            buf_printf(error,
                       "\"{{ %.*s }}\" is not known; expected {{ $value }}, {{ $threshold }}, "
                       "{{ $step }} or {{ $labels.NAME }} of alertname, run, project, layer, "
                       "severity or a label of the rule",
                       (int)(name.len < SHOWN ? name.len : SHOWN), name.text);
            return -1;
        }
        text = close + 2;
    }
    buf_puts(out, text);
    return 0;
}
