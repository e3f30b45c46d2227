#include "delivery/post.h"

#include "base/check.h"
#include "base/clock.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 5000L
#define TIMEOUT_MS 15000L
#define RETRY_AFTER_MAX_S 3600.0
#define ANSWER_BYTES_MAX 65536u // a receiver has little to say; more breaks off

struct poster {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer;
    struct transfer *transfers;
    bool closing;
};

struct transfer {
    struct transfer *next;
    struct poster *poster;
    CURL *easy;
    struct curl_slist *headers;
    post_done_fn *done;
    void *context;
    size_t answer_bytes;
    char answer[200]; // its beginning
    char error[CURL_ERROR_SIZE];
};

// A socket of libcurl's that the loop watches.
struct watched {
    uv_poll_t poll;
    struct poster *poster;
    curl_socket_t fd;
};

static size_t take_answer(char *bytes, size_t size, size_t n, void *context) {
    struct transfer *t = context;
    for (size_t i = 0; i < size * n && t->answer_bytes + i < sizeof t->answer - 1; i++) {
        t->answer[t->answer_bytes + i] = bytes[i];
    }
    t->answer_bytes += size * n;
    return t->answer_bytes > ANSWER_BYTES_MAX ? 0 : size * n;
}

static void free_transfer(struct transfer *t) {
    curl_multi_remove_handle(t->poster->multi, t->easy);
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    free(t);
}

static void unlink_transfer(struct transfer *t) {
    struct transfer **at = &t->poster->transfers;
    while (*at != t) {
        at = &(*at)->next;
    }
    *at = t->next;
}

static void finish(struct transfer *t, CURLcode code) {
    long status = 0;
    curl_off_t retry_after = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after);
    if (code != CURLE_OK) {
        status = 0; // an answer that broke off is none
    }
    t->answer[strcspn(t->answer, "\r\n")] = '\0';
    const char *error = status ? t->answer : *t->error ? t->error : curl_easy_strerror(code);
    unlink_transfer(t);
    t->done(t->context, status, (double)retry_after, error);
    free_transfer(t);
}

static void take_finished(struct poster *p) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(p->multi, &left))) {
        if (message->msg == CURLMSG_DONE) {
            struct transfer *t;
            CURLcode code = message->data.result;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
            finish(t, code);
        }
    }
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct watched *w = poll->data;
    struct poster *p = w->poster;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    int running;
    curl_multi_socket_action(p->multi, w->fd, flags, &running); // may close the poll
    take_finished(p);
}

static void free_watched(uv_handle_t *handle) {
    free(handle->data);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *of_socket) {
    (void)easy;
    struct poster *p = context;
    struct watched *w = of_socket;
    if (what == CURL_POLL_REMOVE) {
        if (w) {
            uv_poll_stop(&w->poll);
            uv_close((uv_handle_t *)&w->poll, free_watched);
            curl_multi_assign(p->multi, fd, NULL);
        }
        return 0;
    }
    if (!w) {
        w = NEW(struct watched);
        *w = (struct watched){.poster = p, .fd = fd};
        CHECK(uv_poll_init_socket(p->loop, &w->poll, fd) == 0);
        w->poll.data = w;
        curl_multi_assign(p->multi, fd, w);
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    uv_poll_start(&w->poll, events, on_poll);
    return 0;
}

static void on_timer(uv_timer_t *timer) {
    struct poster *p = timer->data;
    int running;
    curl_multi_socket_action(p->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    take_finished(p);
}

static int on_timeout(CURLM *multi, long timeout_ms, void *context) {
    (void)multi;
    struct poster *p = context;
    if (p->closing || timeout_ms < 0) {
        uv_timer_stop(&p->timer);
    } else {
        uv_timer_start(&p->timer, on_timer, (uint64_t)timeout_ms, 0);
    }
    return 0;
}

bool post_is_final(long status) {
    return status == 400 || status == 410 || status == 413 || status == 415 || status == 422;
}

void post_put_public_url(struct buf *out, const char *url, bool is_secret) {
    const char *at = strstr(url, "://");
    const char *rest = at ? at + 3 : url;
    const char *host = rest + strcspn(rest, "/?#");
    const char *user = memchr(rest, '@', (size_t)(host - rest));
    buf_put(out, url, (size_t)(rest - url));
    rest = user ? user + 1 : rest;
    buf_put(out, rest, strcspn(rest, is_secret ? "/?#" : "?#"));
}

double post_pause_s(unsigned failures, double max_s, double retry_after_s) {
    double pause = failures < 16 ? (double)(1u << failures) : max_s;
    pause = pause > max_s ? max_s : pause;
    // So that many receivers of one failed host do not come together.
    pause *= 1 + 0.25 * (double)(clock_monotonic_ns() % 1000) / 1000;
    retry_after_s = retry_after_s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : retry_after_s;
    return retry_after_s > pause ? retry_after_s : pause;
}

struct poster *poster_create(uv_loop_t *loop) {
    struct poster *p = NEW(struct poster);
    p->loop = loop;
    uv_timer_init(loop, &p->timer);
    uv_unref((uv_handle_t *)&p->timer);
    p->timer.data = p;
    return p;
}

// libcurl and what it is made of are some megabytes: only for a daemon that has something to send.
static void begin(struct poster *p) {
    CHECK(curl_global_init_mem(CURL_GLOBAL_DEFAULT, try_alloc, free, try_grow, must_copy,
                               try_calloc) == 0);
    p->multi = curl_multi_init();
    CHECK(p->multi != NULL);
    curl_multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p);
    curl_multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(p->multi, CURLMOPT_TIMERDATA, p);
}

void poster_send(struct poster *p, const struct post *post, post_done_fn *done, void *context) {
    if (!p->multi) {
        begin(p);
    }
    struct transfer *t = NEW(struct transfer);
    *t = (struct transfer){.next = p->transfers, .poster = p, .done = done, .context = context};
    p->transfers = t;
    t->easy = curl_easy_init();
    CHECK(t->easy != NULL);
    for (const char *const *header = post->headers; *header; header++) {
        t->headers = curl_slist_append(t->headers, *header);
    }
    t->headers = curl_slist_append(t->headers, "Expect:"); // no round trip before the body
    curl_easy_setopt(t->easy, CURLOPT_URL, post->url);
    curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->size);
    curl_easy_setopt(t->easy, CURLOPT_COPYPOSTFIELDS, post->body);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->error);
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(t->easy, CURLOPT_USERAGENT, "pyrometerd/" PYROMETER_VERSION);
    curl_multi_add_handle(p->multi, t->easy);
}

static void free_poster(uv_handle_t *handle) {
    struct poster *p = handle->data;
    if (p->multi) {
        curl_global_cleanup();
    }
    free(p);
}

void poster_close(struct poster *p) {
    p->closing = true;
    while (p->transfers) {
        struct transfer *t = p->transfers;
        p->transfers = t->next;
        free_transfer(t);
    }
    if (p->multi) {
        curl_multi_cleanup(p->multi);
    }
    uv_timer_stop(&p->timer);
    uv_close((uv_handle_t *)&p->timer, free_poster);
}
