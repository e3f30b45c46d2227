#include "api/problem.h"

#include "api/emit.h"
#include "base/check.h"
#include "wire/json.h"

#include <string.h>

const char *problem_title(unsigned status) {
    static const struct {
        unsigned status;
        const char *title;
    } titles[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) {
        if (titles[i].status == status) {
            return titles[i].title;
        }
    }
    return "Error";
}

static void emit_readable(struct emit *e, const char *key, const char *text) {
    char *copy = must_copy(text);
    size_t len = strlen(copy), bad;
    while (!utf8_valid(copy, len, &bad)) {
        copy[bad] = '?';
    }
    emit_text(e, key, copy);
    free(copy);
}

void problem_print(struct buf *out, unsigned status, const char *detail, const char *instance) {
    struct emit e = emit_to(out);
    emit_object(&e, NULL);
    emit_text(&e, "type", "about:blank");
    emit_text(&e, "title", problem_title(status));
    emit_integer(&e, "status", status);
    emit_readable(&e, "detail", detail);
    emit_readable(&e, "instance", instance);
    emit_end(&e);
}
