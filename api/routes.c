#include "api/routes.h"

#include "api/ingest.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

const struct route routes[] = {
    {"GET", "/healthz", health_get, NULL, "Says that the daemon is alive", "text/plain", true,
     ROUTE_HERE},
    {"GET", "/readyz", ready_get, NULL, "Says whether the daemon can store, or why not",
     "text/plain", false, ROUTE_HERE},
    {"GET", "/metrics", metrics_get, NULL, "The daemon's figures and every live run's temperatures",
     "application/openmetrics-text", false, ROUTE_HERE},
    {"GET", "/", page_get, NULL, "The dashboard", "text/html", true, ROUTE_HERE},
    {"GET", "/assets/{file}", page_asset_get, NULL, "The dashboard's files", "text/javascript",
     true, ROUTE_HERE},
    {"GET", "/api/v1/openapi.json", openapi_get, NULL, "This document", TYPE_JSON, false,
     ROUTE_HERE},
    {"GET", "/api/v1/runs", runs_get, runs_parameters, "The runs, newest first", TYPE_JSON, false,
     ROUTE_HERE},
    {"GET", "/api/v1/runs/{run}", run_get, NULL, "One run with its facts and its newest reading",
     TYPE_JSON, false, ROUTE_BRIEF},
    {"DELETE", "/api/v1/runs/{run}", run_delete, NULL, "Forgets a run and all its steps", NULL,
     false, ROUTE_LONG},
    {"GET", "/api/v1/runs/{run}/temperature", temperature_get, reading_parameters,
     "The newest reading", TYPE_JSON, false, ROUTE_HERE},
    {"GET", "/api/v1/runs/{run}/engine", engine_get, NULL,
     "The layers as heat engines, and the run's energy balance sheet", TYPE_JSON, false,
     ROUTE_BRIEF},
    {"GET", "/api/v1/runs/{run}/states", states_get, NULL,
     "The run's states and the transitions between them", TYPE_JSON, false, ROUTE_LONG},
    {"GET", "/api/v1/runs/{run}/series", series_get, series_parameters, "Columns for plotting",
     TYPE_JSON, false, ROUTE_LONG},
    {"GET", "/api/v1/runs/{run}/events", events_get, events_parameters,
     "The run's annotations, in the order in which they came", TYPE_JSON, false, ROUTE_BRIEF},
    {"GET", "/api/v1/runs/{run}/export", export_get, NULL, "The run as line protocol",
     "application/x-ndjson", false, ROUTE_BRIEF},
    {"GET", "/api/v1/runs/{run}/stream", stream_get, reading_parameters,
     "Server-sent events: temperature, alert and status as they come", "text/event-stream", false,
     ROUTE_BRIEF},
    {"GET", "/api/v1/alerts", alerts_get, alerts_parameters, "Alerts, newest first", TYPE_JSON,
     false, ROUTE_BRIEF},
    {"POST", "/api/v1/alerts/{id}/acknowledge", alert_acknowledge, NULL, "Someone has the alert",
     TYPE_JSON, false, ROUTE_LONG},
    {"POST", "/api/v1/alerts/test", alerts_test, NULL, "Sends every receiver a test", TYPE_JSON,
     false, ROUTE_LONG},
    {"GET", "/api/v1/alerts/{id}", alert_get, NULL, "One alert with its history", TYPE_JSON, false,
     ROUTE_BRIEF},
    {"GET", "/api/v1/receivers", receivers_get, NULL, "Where alerts are sent, and how that goes",
     TYPE_JSON, false, ROUTE_HERE},
    {"GET", "/api/v1/silences", silences_get, silences_parameters, "Silences, newest first",
     TYPE_JSON, false, ROUTE_BRIEF},
    {"POST", "/api/v1/silences", silences_post, NULL, "Nobody wants to be told of these alerts",
     TYPE_JSON, false, ROUTE_LONG},
    {"DELETE", "/api/v1/silences/{id}", silence_delete, NULL, "Ends a silence now", NULL, false,
     ROUTE_LONG},
    {"POST", "/api/v1/ingest", ingest_post, NULL,
     "Takes the line protocol, answers when it is on disk", TYPE_JSON, false, ROUTE_HERE},
    {"GET", "/api/v1/rules", rules_get, NULL, "The rules in force, with what each has fired",
     TYPE_JSON, false, ROUTE_HERE},
    {"GET", "/prometheus/api/v1/query", prom_query, prom_query_parameters,
     "Prometheus: series at one time", TYPE_JSON, false, ROUTE_LONG},
    {"POST", "/prometheus/api/v1/query", prom_query, prom_query_parameters,
     "Prometheus: series at one time", TYPE_JSON, false, ROUTE_LONG},
    {"GET", "/prometheus/api/v1/query_range", prom_range, prom_range_parameters,
     "Prometheus: series at regular times", TYPE_JSON, false, ROUTE_LONG},
    {"POST", "/prometheus/api/v1/query_range", prom_range, prom_range_parameters,
     "Prometheus: series at regular times", TYPE_JSON, false, ROUTE_LONG},
    {"GET", "/prometheus/api/v1/series", prom_series, prom_match_parameters,
     "Prometheus: which series there are", TYPE_JSON, false, ROUTE_LONG},
    {"POST", "/prometheus/api/v1/series", prom_series, prom_match_parameters,
     "Prometheus: which series there are", TYPE_JSON, false, ROUTE_LONG},
    {"GET", "/prometheus/api/v1/labels", prom_labels, prom_match_parameters,
     "Prometheus: which labels they have", TYPE_JSON, false, ROUTE_LONG},
    {"POST", "/prometheus/api/v1/labels", prom_labels, prom_match_parameters,
     "Prometheus: which labels they have", TYPE_JSON, false, ROUTE_LONG},
    {"GET", "/prometheus/api/v1/label/{name}/values", prom_values, prom_match_parameters,
     "Prometheus: which values a label has", TYPE_JSON, false, ROUTE_LONG},
};
const size_t routes_count = sizeof routes / sizeof *routes;

static void free_parts(char *part[REQUEST_PARTS]) {
    for (size_t i = 0; i < REQUEST_PARTS; i++) {
        free(part[i]);
        part[i] = NULL;
    }
}

// An open part: not empty, decodable.
static bool take_part(const char *text, size_t len, char **part) {
    *part = must_copy_n(text, len);
    return len > 0 && percent_decode(*part, false);
}

bool route_matches(const char *pattern, const char *path, char *part[REQUEST_PARTS]) {
    size_t n = 0;
    memset(part, 0, REQUEST_PARTS * sizeof *part);
    for (;;) {
        size_t expected = strcspn(pattern, "/"), got = strcspn(path, "/");
        if (*pattern == '{') {
            if (!take_part(path, got, &part[n++])) {
                break;
            }
        } else if (expected != got || memcmp(pattern, path, got) != 0) {
            break;
        }
        pattern += expected;
        path += got;
        if (*pattern != *path) {
            break;
        }
        if (!*pattern) {
            return true;
        }
        pattern++;
        path++;
    }
    free_parts(part);
    return false;
}

bool token_matches(const char *token, const char *given) {
    size_t len = strlen(token), given_len = strlen(given);
    unsigned char differ = len != given_len;
    for (size_t i = 0; i < given_len; i++) {
        differ |= (unsigned char)((unsigned char)token[i % (len + 1)] ^ (unsigned char)given[i]);
    }
    return !differ;
}

static bool is_authorized(const struct request *q) {
    const char *header = request_header(q, MHD_HTTP_HEADER_AUTHORIZATION);
    struct api *a = q->api;
    pthread_mutex_lock(&a->token_lock);
    bool right = !a->token || (header && strncasecmp(header, "Bearer ", 7) == 0 &&
                               token_matches(a->token, header + 7));
    pthread_mutex_unlock(&a->token_lock);
    return right;
}

// A page of another site may not make a browser change anything here, unless the configuration
// names that site; "*" lets all read, but none change.
static bool is_foreign(const struct request *q) {
    const char *origin = request_header(q, MHD_HTTP_HEADER_ORIGIN),
               *host = request_header(q, MHD_HTTP_HEADER_HOST);
    const char *at = origin ? strstr(origin, "://") : NULL;
    bool same = at && host && strcasecmp(at + 3, host) == 0;
    const char *allowed = request_origin(q);
    return origin && !same && (!allowed || strcmp(allowed, "*") == 0);
}

// A browser asks beforehand, without a token, whether another site's page may make a request.
static bool is_preflight(const struct request *q) {
    return strcmp(q->method, MHD_HTTP_METHOD_OPTIONS) == 0 && request_origin(q) &&
           request_header(q, "Access-Control-Request-Method");
}

static bool method_is(const struct request *q, const char *method) {
    return strcmp(q->method, method) == 0 ||
           (strcmp(q->method, "HEAD") == 0 && strcmp(method, "GET") == 0);
}

static enum MHD_Result answer_route(struct request *q, const struct route *route) {
    struct buf problem;
    buf_init(&problem, 4000);
    if (query_read(&q->query, q->query_text, route->parameters, &problem)) {
        enum MHD_Result rc = answer_problem(q, MHD_HTTP_BAD_REQUEST, "%s", buf_str(&problem));
        buf_free(&problem);
        return rc;
    }
    buf_free(&problem);
    if (strcmp(route->method, "GET") != 0 && is_foreign(q)) {
        return answer_problem(
            q, MHD_HTTP_FORBIDDEN,
            "a page of another site may not change anything here (Origin and Host "
            "differ, and http.cors_origins does not name the site)");
    }
    return route->place == ROUTE_HERE
               ? route->handler(q)
               : request_defer(q, route->handler, route->place == ROUTE_LONG);
}

// The path is known, the method is not one of its own.
static enum MHD_Result answer_methods(struct request *q, const char *allow) {
    q->allow = allow;
    if (strcmp(q->method, "OPTIONS") == 0) {
        return answer_nothing(q, MHD_HTTP_NO_CONTENT);
    }
    return answer_problem(q, MHD_HTTP_METHOD_NOT_ALLOWED, "this address takes %s, not %s", allow,
                          q->method);
}

static enum MHD_Result answer_path(struct request *q, const char *path) {
    bool reads = false, deletes = false, posts = false;
    if (strcmp(path, "*") == 0 && strcmp(q->method, MHD_HTTP_METHOD_OPTIONS) == 0) {
        return answer_methods(q, "GET, HEAD, POST, OPTIONS, DELETE"); // of the whole server
    }
    for (size_t i = 0; i < routes_count; i++) {
        if (!route_matches(routes[i].pattern, path, q->part)) {
            continue;
        }
        if (method_is(q, routes[i].method)) {
            return answer_route(q, &routes[i]);
        }
        free_parts(q->part);
        reads = reads || *routes[i].method == 'G';
        posts = posts || *routes[i].method == 'P';
        deletes = deletes || *routes[i].method == 'D';
    }
    if (!reads && !posts && !deletes) {
        return answer_problem(
            q, MHD_HTTP_NOT_FOUND,
            "there is nothing at this address; /api/v1/openapi.json lists what there is");
    }
    char allow[64];
    snprintf(allow, sizeof allow, "%s%sOPTIONS%s", reads ? "GET, HEAD, " : "",
             posts ? "POST, " : "", deletes ? ", DELETE" : "");
    return answer_methods(q, allow);
}

static bool takes_body(const struct request *q) {
    for (size_t i = 0; i < routes_count; i++) {
        size_t len = strlen(routes[i].pattern);
        if (routes[i].handler == ingest_post && strcmp(q->method, routes[i].method) == 0 &&
            strncmp(q->address, routes[i].pattern, len) == 0 &&
            (q->address[len] == '\0' || q->address[len] == '?')) {
            return true;
        }
    }
    return false;
}

enum MHD_Result routes_begin(struct request *q) {
    if (!takes_body(q)) {
        return MHD_YES;
    }
    bool good = is_authorized(q) && !is_foreign(q) && !(q->query_text && *q->query_text);
    return good ? ingest_begin(q) : routes_answer(q);
}

enum MHD_Result routes_answer(struct request *q) {
    size_t len = strcspn(q->address, "?");
    char *path = must_copy_n(q->address, len);
    enum MHD_Result rc;
    bool is_open = false;
    for (size_t i = 0; i < routes_count && !is_open; i++) {
        is_open = routes[i].is_open && route_matches(routes[i].pattern, path, q->part);
        free_parts(q->part);
    }
    if (!is_open && !is_preflight(q) && !is_authorized(q)) {
        rc = answer_problem(q, MHD_HTTP_UNAUTHORIZED,
                            "this daemon wants a token: Authorization: Bearer TOKEN");
    } else {
        rc = answer_path(q, path);
    }
    free(path);
    return rc;
}
