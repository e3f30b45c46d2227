// GET /api/v1/openapi.json: OpenAPI 3.1, made from the table of routes.
#include "api/emit.h"
#include "api/routes.h"

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

static void emit_content(struct emit *e, const char *type, const char *schema) {
    emit_object(e, "content");
    emit_object(e, type);
    if (schema) {
        emit_object(e, "schema");
        emit_text(e, "$ref", schema);
        emit_end(e);
    }
    emit_end(e);
    emit_end(e);
}

static void emit_responses(struct emit *e, const struct route *route) {
    emit_object(e, "responses");
    emit_object(e, route->type ? "200" : "204");
    emit_text(e, "description", route->summary);
    if (route->type) {
        emit_content(e, route->type, NULL);
    }
    emit_end(e);
    emit_object(e, "default");
    emit_text(e, "description", "What was wrong, where, and what was expected");
    emit_content(e, TYPE_PROBLEM, "#/components/schemas/Problem");
    emit_end(e);
    emit_end(e);
}

static void emit_operation(struct emit *e, const struct route *route) {
    emit_object(e, route->method[0] == 'G' ? "get" : route->method[0] == 'P' ? "post" : "delete");
    emit_text(e, "summary", route->summary);
    emit_array(e, "parameters");
    emit_open_part(e, route->pattern);
    for (const struct parameter *p = route->parameters; p && p->name; p++) {
        emit_parameter(e, p);
    }
    emit_end(e);
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

// Routes of one pattern stand side by side in the table.
static void emit_paths(struct emit *e) {
    emit_object(e, "paths");
    for (size_t i = 0; i < routes_count;) {
        const char *pattern = routes[i].pattern;
        emit_object(e, pattern);
        for (; i < routes_count && strcmp(routes[i].pattern, pattern) == 0; i++) {
            emit_operation(e, &routes[i]);
        }
        emit_end(e);
    }
    emit_end(e);
}

static void emit_components(struct emit *e) {
    static const char *const members[] = {"type", "title", "detail", "instance"};
    emit_object(e, "components");
    emit_object(e, "securitySchemes");
    emit_object(e, "bearer");
    emit_text(e, "type", "http");
    emit_text(e, "scheme", "bearer");
    emit_end(e);
    emit_end(e);
    emit_object(e, "schemas");
    emit_object(e, "Problem");
    emit_text(e, "type", "object");
    emit_object(e, "properties");
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        emit_object(e, members[i]);
        emit_text(e, "type", "string");
        emit_end(e);
    }
    emit_object(e, "status");
    emit_text(e, "type", "integer");
    emit_end(e);
    emit_end(e);
    emit_end(e);
    emit_end(e);
    emit_end(e);
}

enum MHD_Result openapi_get(struct request *q) {
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
    emit_paths(&e);
    emit_components(&e);
    emit_end(&e);
    return answer_json(q, &json);
}
