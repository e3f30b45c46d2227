#include "cli/http.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_TIMEOUT_S = 5, ANSWER_TIMEOUT_S = 30, SILENCE_TIMEOUT_S = 60, DETAIL_MAX = 384 };

// One request under way.
struct request {
    CURL *curl;
    struct curl_slist *headers;
    struct buf url;
    struct buf *body;
    http_sink sink; // NULL: everything goes to the body
    void *context;
};

void http_answer_init(struct http_answer *answer) {
    *answer = (struct http_answer){.status = 0};
    buf_init(&answer->body, HTTP_ANSWER_MAX);
}

void http_answer_free(struct http_answer *answer) {
    buf_free(&answer->body);
}

void http_put_escaped(struct buf *path, const char *text) {
    char *escaped = curl_easy_escape(NULL, text, 0);
    CHECK(escaped != NULL);
    buf_puts(path, escaped);
    curl_free(escaped);
}

void http_begin_run(struct buf *path, const char *run, const char *what) {
    buf_init(path, (size_t)1 << 16);
    buf_puts(path, "/api/v1/runs/");
    http_put_escaped(path, run);
    buf_puts(path, what);
}

void http_put_filter(struct buf *path, const char *name, const char *value) {
    if (value) {
        buf_printf(path, "%s=", name);
        http_put_escaped(path, value);
        buf_putc(path, '&');
    }
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context) {
    struct request *request = context;
    size_t n = size * count;
    long status = 0;
    curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &status);
    bool wanted = status >= 200 && status < 300;
    if (request->sink && wanted) {
        return request->sink(request->context, bytes, n) ? n : 0;
    }
    if (!request->body) {
        return n;
    }
    buf_put(request->body, bytes, n);
    return request->body->failed ? 0 : n;
}

// A proxy that is right for the wide world is wrong for a daemon on this machine.
static bool is_loopback(const char *url) {
    return strstr(url, "://127.") || strstr(url, "://localhost") || strstr(url, "://[::1]");
}

static void request_open(struct request *request, const struct cli *cli, const char *path) {
    request->curl = curl_easy_init();
    CHECK(request->curl != NULL);
    buf_init(&request->url, (size_t)1 << 20);
    buf_printf(&request->url, "%s%s", cli->url, path);
    CURL *curl = request->curl;
    curl_easy_setopt(curl, CURLOPT_URL, buf_str(&request->url));
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "pyrometer/" PYROMETER_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, request);
    if (is_loopback(cli->url)) {
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    }
    if (cli->token) {
        struct buf header;
        buf_init(&header, (size_t)1 << 16);
        buf_printf(&header, "Authorization: Bearer %s", cli->token);
        request->headers = curl_slist_append(request->headers, buf_str(&header));
        buf_free(&header);
    }
}

static void request_close(struct request *request) {
    curl_easy_cleanup(request->curl);
    curl_slist_free_all(request->headers);
    buf_free(&request->url);
}

// What the daemon's problem+json says, or "" when the body is something else.
static void read_problem(struct buf *body, char detail[DETAIL_MAX]) {
    detail[0] = '\0';
    cJSON *problem = cJSON_Parse(buf_str(body));
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(problem, "detail");
    if (!cJSON_IsString(text)) {
        text = cJSON_GetObjectItemCaseSensitive(problem, "title");
    }
    if (cJSON_IsString(text)) {
        snprintf(detail, DETAIL_MAX, "%s", text->valuestring);
    }
    cJSON_Delete(problem);
}

static void describe_failure(const struct cli *cli, CURLcode code, const char *why,
                             struct http_answer *answer) {
    const char *reason = why[0] ? why : curl_easy_strerror(code);
    bool unreachable = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;
    if (unreachable) {
        snprintf(answer->error, sizeof answer->error,
                 "cannot reach the daemon at %s (%s); is pyrometerd running there? "
                 "--url or PYROMETER_URL says where it is",
                 cli->url, reason);
    } else {
        snprintf(answer->error, sizeof answer->error, "no whole answer from %s: %s", cli->url,
                 reason);
    }
}

static void describe_refusal(const struct cli *cli, struct http_answer *answer) {
    char detail[DETAIL_MAX];
    read_problem(&answer->body, detail);
    if (answer->status == 401) {
        snprintf(answer->error, sizeof answer->error, "%s at %s: 401 %s",
                 cli->token ? "the token was refused"
                            : "a token is needed (--token or PYROMETER_TOKEN)",
                 cli->url, detail);
    } else if (detail[0]) {
        snprintf(answer->error, sizeof answer->error, "%s (%ld)", detail, answer->status);
    } else {
        snprintf(answer->error, sizeof answer->error, "%s answered %ld without saying why",
                 cli->url, answer->status);
    }
}

static int request_perform(struct request *request, const struct cli *cli,
                           struct http_answer *answer) {
    char why[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(request->curl, CURLOPT_HTTPHEADER, request->headers);
    curl_easy_setopt(request->curl, CURLOPT_ERRORBUFFER, why);
    CURLcode code = curl_easy_perform(request->curl);
    curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    if (code != CURLE_OK) {
        describe_failure(cli, code, why, answer);
    } else if (answer->status < 200 || answer->status >= 300) {
        describe_refusal(cli, answer);
    }
    return answer->error[0] ? -1 : 0;
}

static void answer_reset(struct http_answer *answer) {
    answer->status = 0;
    answer->error[0] = '\0';
    buf_clear(&answer->body);
}

int http_get(const struct cli *cli, const char *path, struct http_answer *answer) {
    answer_reset(answer);
    struct request request = {.body = &answer->body};
    request_open(&request, cli, path);
    curl_easy_setopt(request.curl, CURLOPT_TIMEOUT,
                     cli->answer_timeout_s ? cli->answer_timeout_s : ANSWER_TIMEOUT_S);
    curl_easy_setopt(request.curl, CURLOPT_ACCEPT_ENCODING, "");
    int result = request_perform(&request, cli, answer);
    request_close(&request);
    return result;
}

int http_send(const struct cli *cli, const char *method, const char *path, const char *json,
              struct http_answer *answer) {
    answer_reset(answer);
    struct request request = {.body = &answer->body};
    request_open(&request, cli, path);
    curl_easy_setopt(request.curl, CURLOPT_TIMEOUT, (long)ANSWER_TIMEOUT_S);
    curl_easy_setopt(request.curl, CURLOPT_POSTFIELDS, json ? json : "");
    curl_easy_setopt(request.curl, CURLOPT_CUSTOMREQUEST, method);
    if (json) {
        request.headers = curl_slist_append(request.headers, "Content-Type: application/json");
    }
    int result = request_perform(&request, cli, answer);
    request_close(&request);
    return result;
}

int http_get_to(const struct cli *cli, const char *path, struct http_answer *answer, http_sink sink,
                void *context) {
    answer_reset(answer);
    struct request request = {.body = &answer->body, .sink = sink, .context = context};
    request_open(&request, cli, path);
    curl_easy_setopt(request.curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(request.curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_TIMEOUT_S);
    int result = request_perform(&request, cli, answer);
    request_close(&request);
    return result;
}

struct http_stream {
    struct request request;
};

struct http_stream *http_stream_create(const struct cli *cli, const char *path, http_sink sink,
                                       void *context) {
    struct http_stream *stream = NEW(struct http_stream);
    stream->request = (struct request){.sink = sink, .context = context};
    request_open(&stream->request, cli, path);
    stream->request.headers =
        curl_slist_append(stream->request.headers, "Accept: text/event-stream");
    curl_easy_setopt(stream->request.curl, CURLOPT_HTTPHEADER, stream->request.headers);
    return stream;
}

CURL *http_stream_handle(struct http_stream *stream) {
    return stream->request.curl;
}

void http_stream_destroy(struct http_stream *stream) {
    if (stream) {
        request_close(&stream->request);
        free(stream);
    }
}
