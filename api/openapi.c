// GET /api/v1/openapi.json: OpenAPI 3.1, made from the table of routes.
#include "api/emit.h"
#include "api/routes.h"
#include "wire/json.h"

#include <string.h>

static void emit_schema(struct emit *e, const struct parameter *p) {
    bool is_list = p->kind == PARAMETER_LIST || p->kind == PARAMETER_TEXTS;
    emit_object(e, "schema");
    emit_text(e, "type", p->kind == PARAMETER_INTEGER ? "integer" : is_list ? "array" : "string");
    if (is_list) {
        emit_object(e, "items");
        emit_text(e, "type", "string");
        emit_end(e);
    }
    if (p->kind == PARAMETER_INTEGER) {
        emit_integer(e, "minimum", p->min);
        emit_integer(e, "maximum", p->max);
    }
    if (p->kind == PARAMETER_CHOICE) {
        emit_array(e, "enum");
        for (size_t i = 0; p->choices[i]; i++) {
            emit_text(e, NULL, p->choices[i]);
        }
        emit_end(e);
    }
    emit_end(e);
}

static void emit_parameter(struct emit *e, const struct parameter *p) {
    emit_object(e, NULL);
    emit_text(e, "name", p->name);
    emit_text(e, "in", "query");
    emit_text(e, "description", p->help);
    if (strcmp(p->name, "metric") == 0) {
        emit_bool(e, "required", true);
    }
    if (p->kind == PARAMETER_LIST) { // separated by commas
        emit_text(e, "style", "form");
        emit_bool(e, "explode", false);
    }
    emit_schema(e, p);
    emit_end(e);
}

static void emit_open_part(struct emit *e, const char *pattern) {
    const char *open = strchr(pattern, '{');
    if (open) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(open + 1, "}"), open + 1);
        emit_object(e, NULL);
        emit_text(e, "name", name);
        emit_text(e, "in", "path");
        emit_bool(e, "required", true);
        emit_object(e, "schema");
        emit_text(e, "type", strcmp(name, "id") == 0 ? "integer" : "string");
        emit_end(e);
        emit_end(e);
    }
}

// api/schemas.json: the schemas, and which of them each call's body and answer have.
extern const char api_schemas[];
__asm__(".pushsection .rodata\n"
        ".global api_schemas\n"
        "api_schemas: .incbin \"api/schemas.json\"\n"
        ".byte 0\n"
        ".popsection\n");

static bool schemas_member(const char *name, struct slice *out) {
    return json_member(api_schemas, strlen(api_schemas), name, out);
}

// What schemas.json has under `table` for the call: a text without its quotes.
static bool find_entry(const char *table, const struct route *route, struct slice *out) {
    struct slice entries;
    char call[128];
    snprintf(call, sizeof call, "%s %s", route->method, route->pattern);
    if (!schemas_member(table, &entries) || !json_member(entries.text, entries.len, call, out) ||
        out->len < 2) {
        return false;
    }
    *out = (struct slice){out->text + 1, out->len - 2};
    return true;
}

// `table`: where the schema's name is looked up; NULL: the content has no schema.
static void emit_content(struct emit *e, const char *type, const struct route *route,
                         const char *table) {
    struct slice name;
    char where[128];
    emit_object(e, "content");
    emit_object(e, type);
    if (table && find_entry(table, route, &name)) {
        emit_object(e, "schema");
        snprintf(where, sizeof where, "#/components/schemas/%.*s", (int)name.len, name.text);
        emit_text(e, "$ref", where);
        emit_end(e);
    }
    emit_end(e);
    emit_end(e);
}

static void emit_problem(struct emit *e) {
    emit_object(e, "default");
    emit_text(e, "description", "What was wrong, where, and what was expected");
    emit_object(e, "content");
    emit_object(e, TYPE_PROBLEM);
    emit_object(e, "schema");
    emit_text(e, "$ref", "#/components/schemas/Problem");
    emit_end(e);
    emit_end(e);
    emit_end(e);
    emit_end(e);
}

static void emit_responses(struct emit *e, const struct route *route) {
    struct slice entry;
    char status[8];
    snprintf(status, sizeof status, "%s", route->type ? "200" : "204");
    if (find_entry("statuses", route, &entry)) {
        snprintf(status, sizeof status, "%.*s", (int)entry.len, entry.text);
    }
    emit_object(e, "responses");
    emit_object(e, status);
    emit_text(e, "description", route->summary);
    if (route->type) {
        emit_content(e, route->type, route, "answers");
    }
    emit_end(e);
    if (*route->method == 'G' && route->type && strcmp(route->type, TYPE_JSON) == 0) {
        emit_object(e, "304");
        emit_text(e, "description", "The client has it: If-None-Match names its ETag");
        emit_end(e);
    }
    emit_problem(e);
    emit_end(e);
}

static void emit_body(struct emit *e, const struct route *route) {
    struct slice name;
    bool lines = strcmp(route->pattern, "/api/v1/ingest") == 0;
    if (lines || find_entry("bodies", route, &name)) {
        emit_object(e, "requestBody");
        emit_bool(e, "required", true);
        emit_content(e, lines ? "application/x-ndjson" : TYPE_JSON, route, "bodies");
        emit_end(e);
    }
}

// "get_api_v1_runs_run": one for each call, of letters, digits and underscores.
static void emit_operation_id(struct emit *e, const struct route *route) {
    char id[160];
    size_t n = 0;
    for (const char *p = route->method; *p; p++) {
        id[n++] = (char)(*p | 0x20);
    }
    bool word = false;
    for (const char *p = route->pattern; *p && n < sizeof id - 2; p++) {
        bool letter = strchr("/{}.", *p) == NULL;
        if (letter && !word) {
            id[n++] = '_';
        }
        if (letter) {
            id[n++] = *p;
        }
        word = letter;
    }
    id[n] = '\0';
    emit_text(e, "operationId", id);
}

static void emit_operation(struct emit *e, const struct route *route) {
    emit_object(e, route->method[0] == 'G' ? "get" : route->method[0] == 'P' ? "post" : "delete");
    emit_operation_id(e, route);
    emit_text(e, "summary", route->summary);
    emit_array(e, "parameters");
    emit_open_part(e, route->pattern);
    for (const struct parameter *p = route->parameters; p && p->name; p++) {
        emit_parameter(e, p);
    }
    emit_end(e);
    emit_body(e, route);
    emit_responses(e, route);
    emit_array(e, "security");
    if (!route->is_open) {
        emit_object(e, NULL);
        emit_array(e, "bearer");
        emit_end(e);
        emit_end(e);
    }
    emit_end(e);
    emit_end(e);
}

static bool is_first_of_pattern(size_t route) {
    for (size_t i = 0; i < route; i++) {
        if (strcmp(routes[i].pattern, routes[route].pattern) == 0) {
            return false;
        }
    }
    return true;
}

static void emit_paths(struct emit *e) {
    emit_object(e, "paths");
    for (size_t i = 0; i < routes_count; i++) {
        if (is_first_of_pattern(i)) {
            emit_object(e, routes[i].pattern);
            for (size_t j = i; j < routes_count; j++) {
                if (strcmp(routes[j].pattern, routes[i].pattern) == 0) {
                    emit_operation(e, &routes[j]);
                }
            }
            emit_end(e);
        }
    }
    emit_end(e);
}

static void emit_components(struct emit *e) {
    struct slice schemas;
    emit_object(e, "components");
    emit_object(e, "securitySchemes");
    emit_object(e, "bearer");
    emit_text(e, "type", "http");
    emit_text(e, "scheme", "bearer");
    emit_end(e);
    emit_end(e);
    CHECK(schemas_member("schemas", &schemas));
    emit_raw(e, "schemas", schemas.text, schemas.len);
    emit_end(e);
}

static enum MHD_Result make_document(struct request *q) {
    struct buf json;
    buf_init(&json, (size_t)1 << 20);
    struct emit e = emit_to(&json);
    emit_object(&e, NULL);
    emit_text(&e, "openapi", "3.1.0");
    emit_object(&e, "info");
    emit_text(&e, "title", "Pyrometer");
    emit_text(&e, "version", PYROMETER_VERSION);
    emit_text(&e, "description",
              "Temperatures of training runs. Numbers that are not finite are the "
              "strings \"NaN\", \"Infinity\" and \"-Infinity\".");
    emit_end(&e);
    emit_array(&e, "servers");
    emit_object(&e, NULL);
    emit_text(&e, "url", "/"); // the daemon that serves it
    emit_end(&e);
    emit_end(&e);
    emit_paths(&e);
    emit_components(&e);
    emit_end(&e);
    return answer_shelved(q, q->address, UINT64_MAX, &json, TYPE_JSON); // it never changes
}

enum MHD_Result openapi_get(struct request *q) {
    enum MHD_Result rc;
    return request_shelved(q, q->address, &rc) ? rc : make_document(q);
}
