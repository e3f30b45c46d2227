// A daemon and a job played by the C client's tests: the daemon listens on a loopback port of the
// kernel's choice. The client has a thread of its own, so a test reads, answers and hangs up in
// plain order, every wait bounded.
#ifndef TESTS_UNIT_FAKE_DAEMON_H
#define TESTS_UNIT_FAKE_DAEMON_H

#include <arpa/inet.h>
#include <check.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients/c/pyrometer.h"

enum { PATIENCE_MS = 20000, LINE_MAX_BYTES = 65536 };

// --- the daemon that the test plays ---

struct fake {
    int listener, peer;
    char address[128];
    char buffer[LINE_MAX_BYTES];
    size_t length;
};

// All tests are one run, each in a process of its own: none is to find another's steps.
static inline void without_spool(void) {
    (void)setenv("PYROMETER_SPOOL", "", 1);
}

static inline void fake_listen(struct fake *f) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    memset(f, 0, sizeof *f);
    f->peer = -1;
    f->listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(f->listener, (const struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(f->listener, 8), 0);
    ck_assert_int_eq(getsockname(f->listener, (struct sockaddr *)&at, &size), 0);
    snprintf(f->address, sizeof f->address, "127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
}

static inline void await_readable(int fd, const char *what) {
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    ck_assert_msg(poll(&polled, 1, PATIENCE_MS) == 1, "waited in vain for %s", what);
}

static inline void fake_accept(struct fake *f) {
    await_readable(f->listener, "a connection");
    f->peer = accept(f->listener, NULL, NULL);
    ck_assert_int_ge(f->peer, 0);
    f->length = 0;
}

static inline void fake_hang_up(struct fake *f) {
    close(f->peer);
    f->peer = -1;
}

// With a reset instead of an orderly end.
static inline void fake_reset(struct fake *f) {
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    setsockopt(f->peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    fake_hang_up(f);
}

static inline void fake_close(struct fake *f) {
    if (f->peer >= 0) {
        close(f->peer);
    }
    close(f->listener);
}

// The next line as JSON, to be deleted by the caller, and as text.
static inline cJSON *fake_read_text(struct fake *f, char text[LINE_MAX_BYTES]) {
    char *end;
    while (!(end = memchr(f->buffer, '\n', f->length))) {
        ck_assert_uint_lt(f->length, sizeof f->buffer);
        await_readable(f->peer, "a line");
        ssize_t n = recv(f->peer, f->buffer + f->length, sizeof f->buffer - f->length, 0);
        ck_assert_msg(n > 0, "the client hung up");
        f->length += (size_t)n;
    }
    size_t n = (size_t)(end - f->buffer);
    memcpy(text, f->buffer, n);
    text[n] = '\0';
    f->length -= n + 1;
    memmove(f->buffer, end + 1, f->length);
    cJSON *json = cJSON_ParseWithOpts(text, NULL, 1);
    ck_assert_msg(json != NULL, "not JSON: %s", text);
    return json;
}

static inline cJSON *fake_read(struct fake *f) {
    static char text[LINE_MAX_BYTES];
    return fake_read_text(f, text);
}

static const char *string_of(const cJSON *json, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));
    return text ? text : "(none)";
}

static inline double number_of(const cJSON *json, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    ck_assert_msg(cJSON_IsNumber(item), "no number %s", key);
    return item->valuedouble;
}

static inline void fake_expect(struct fake *f, const char *type) {
    cJSON *json = fake_read(f);
    ck_assert_str_eq(string_of(json, "type"), type);
    cJSON_Delete(json);
}

static inline void fake_expect_step(struct fake *f, int step) {
    cJSON *json = fake_read(f);
    ck_assert_str_eq(string_of(json, "type"), "step");
    ck_assert_double_eq(number_of(json, "step"), step);
    cJSON_Delete(json);
}

__attribute__((format(printf, 2, 3))) static inline void fake_say(struct fake *f,
                                                                  const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    line[n++] = '\n';
    ck_assert_int_eq(send(f->peer, line, (size_t)n, MSG_NOSIGNAL), n);
}

static inline void fake_welcome(struct fake *f, int last_step) {
    fake_accept(f);
    fake_expect(f, "hello");
    fake_say(f, "{\"type\":\"welcome\",\"protocol\":1,\"run\":\"r\",\"last_step\":%d}", last_step);
}

static inline void fake_ack(struct fake *f, int step) {
    fake_say(f, "{\"type\":\"ack\",\"step\":%d}", step);
}

// --- the job that the test plays ---

static const struct pyrometer_layer layers[] = {{.name = "fc1", .n = 6}, {.name = "fc2", .n = 2}};

static inline struct pyrometer_config config_for(const struct fake *f) {
    return (struct pyrometer_config){
        .server = f->address, .run = "r", .layers = layers, .layer_count = 2};
}

static inline struct pyrometer *open_for(const struct fake *f) {
    struct pyrometer_config config = config_for(f);
    struct pyrometer *p = pyrometer_open(&config);
    ck_assert_ptr_nonnull(p);
    return p;
}

static inline int put_step(struct pyrometer *p, int64_t step) {
    return pyrometer_step(p, &(struct pyrometer_step){.step = step, .loss = 1, .lr = 0.1});
}

static inline void put_steps(struct pyrometer *p, int64_t from, int64_t to) {
    for (int64_t step = from; step <= to; step++) {
        ck_assert_int_eq(put_step(p, step), 0);
    }
}

static inline struct pyrometer_counters counters_of(struct pyrometer *p) {
    struct pyrometer_counters c;
    ck_assert_int_eq(pyrometer_counters(p, &c), 0);
    return c;
}

static inline void expect_error(struct pyrometer *p, const char *part) {
    char text[512];
    ck_assert_int_eq(pyrometer_last_error(p, text, sizeof text), 0);
    ck_assert_msg(strstr(text, part) != NULL, "'%s' does not say '%s'", text, part);
}

// An error that the client's own thread will meet.
static inline void await_error(struct pyrometer *p, const char *part) {
    char text[512] = "";
    for (int waited_ms = 0; waited_ms < PATIENCE_MS && !strstr(text, part); waited_ms++) {
        poll(NULL, 0, 1);
        ck_assert_int_eq(pyrometer_last_error(p, text, sizeof text), 0);
    }
    expect_error(p, part);
}

struct finisher {
    struct pyrometer *p;
    int rc;
    pthread_t thread;
};

static inline void *finish_thread(void *context) {
    struct finisher *f = context;
    f->rc = pyrometer_finish(f->p, "completed", PATIENCE_MS);
    return NULL;
}

static inline void finish_start(struct finisher *f, struct pyrometer *p) {
    f->p = p;
    ck_assert_int_eq(pthread_create(&f->thread, NULL, finish_thread, f), 0);
}

static inline int finish_result(struct finisher *f) {
    pthread_join(f->thread, NULL);
    return f->rc;
}

struct counts {
    int steps, events;
};

// Reads everything up to the end while the job finishes, checks the steps' order, answers and
// closes.
static inline struct counts finish_whatever_comes(struct fake *f, struct pyrometer *p) {
    struct finisher finisher;
    struct counts counts = {0};
    finish_start(&finisher, p);
    for (bool ended = false; !ended;) {
        cJSON *json = fake_read(f);
        const char *type = string_of(json, "type");
        if (strcmp(type, "step") == 0) {
            ck_assert_double_eq(number_of(json, "step"), counts.steps);
            counts.steps++;
        } else if (strcmp(type, "ping") == 0) {
            fake_say(f, "{\"type\":\"pong\"}");
        }
        counts.events += strcmp(type, "event") == 0;
        ended = strcmp(type, "end") == 0;
        cJSON_Delete(json);
    }
    fake_ack(f, counts.steps - 1);
    fake_expect(f, "ping");
    fake_say(f, "{\"type\":\"pong\"}");
    ck_assert_int_eq(finish_result(&finisher), 0);
    pyrometer_close(p);
    fake_close(f);
    return counts;
}

// Plays the end of a run of which nothing is left but the end.
static inline void finish_well(struct fake *f, struct pyrometer *p) {
    struct finisher finisher;
    finish_start(&finisher, p);
    fake_expect(f, "end");
    fake_expect(f, "ping");
    fake_say(f, "{\"type\":\"pong\"}");
    ck_assert_int_eq(finish_result(&finisher), 0);
    ck_assert_uint_eq(counters_of(p).queued, 0);
    pyrometer_close(p);
    fake_close(f);
}

// Runs the one test case of a program. Returns its exit code.
static inline int run_tests(const char *name, TCase *test) {
    Suite *suite = suite_create(name);
    tcase_set_timeout(test, 60);
    suite_add_tcase(suite, test);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

#endif
