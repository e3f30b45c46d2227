// The C client: what it puts on the wire, what it counts, what it refuses to take.
#include "tests/unit/fake_daemon.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include "clients/c/reply.h"

// --- the ordinary way ---

START_TEST(hello_says_the_configuration) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer_layer layer = {.name = "a \"b\"\\\n",
                                    .n = 7850,
                                    .kind = "linear",
                                    .activation = "relu",
                                    .init_distribution = "normal",
                                    .init = {0, 0.05}};
    struct pyrometer_tag tag = {"k", "v"};
    struct pyrometer_config config = {
        .server = f.address,
        .token = "secret",
        .run = "resnet-7",
        .project = "vision",
        .loss = "mse",
        .optimizer = {.name = "adam", .lr = 0.1, .betas = {0.9, 0.99}},
        .batch_size = 64,
        .dataset_size = 60000,
        .tags = &tag,
        .tag_count = 1,
        .layers = &layer,
        .layer_count = 1};
    struct pyrometer *p = pyrometer_open(&config);
    fake_accept(&f);
    char text[LINE_MAX_BYTES];
    cJSON_Delete(fake_read_text(&f, text));
    ck_assert_str_eq(
        text,
        "{\"type\":\"hello\",\"protocol\":1,\"run\":\"resnet-7\",\"token\":\"secret\","
        "\"project\":\"vision\",\"tags\":{\"k\":\"v\"},\"loss\":\"mse\","
        "\"optimizer\":{\"name\":\"adam\",\"lr\":0.1,\"momentum\":0,\"betas\":[0.9,0.99],"
        "\"weight_decay\":0},\"batch_size\":64,\"dataset_size\":60000,\"resume\":\"continue\","
        "\"layers\":[{\"name\":\"a \\\"b\\\"\\\\\\u000a\",\"n\":7850,\"kind\":\"linear\","
        "\"activation\":\"relu\",\"init\":{\"distribution\":\"normal\",\"mean\":0,"
        "\"std\":0.05}}]}");
    pyrometer_close(p);
    fake_close(&f);
}
END_TEST

START_TEST(steps_are_sent_and_acknowledged) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    put_steps(p, 0, 2);
    fake_welcome(&f, -1);
    for (int step = 0; step <= 2; step++) {
        fake_expect_step(&f, step);
    }
    fake_ack(&f, 1);
    fake_ack(&f, 2);
    finish_well(&f, p);
}
END_TEST

START_TEST(counters_tell_what_happened) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    put_steps(p, 0, 9);
    ck_assert_int_eq(counters_of(p).lag, 10);
    ck_assert_uint_eq(counters_of(p).queued, 10);
    ck_assert_uint_gt(counters_of(p).queued_bytes, 10 * sizeof(double));
    fake_welcome(&f, -1);
    for (int step = 0; step <= 9; step++) {
        fake_expect_step(&f, step);
    }
    ck_assert(counters_of(p).connected);
    fake_ack(&f, 6);
    // The pong is read after the ack, so that once the event is settled the ack is too.
    ck_assert_int_eq(pyrometer_event(p, 9, "epoch", "{\"number\":1}"), 0);
    fake_expect(&f, "event");
    fake_expect(&f, "ping");
    fake_say(&f, "{\"type\":\"pong\"}");
    ck_assert_int_eq(pyrometer_finish(p, "completed", 0), -ETIMEDOUT);
    fake_expect(&f, "end");
    fake_expect(&f, "ping"); // only after the pong to the first
    struct pyrometer_counters c = counters_of(p);
    ck_assert_int_eq(c.last_step, 9);
    ck_assert_int_eq(c.last_acked_step, 6);
    ck_assert_int_eq(c.lag, 3);
    ck_assert_uint_eq(c.sent, 12);
    ck_assert_uint_eq(c.acked, 8);
    ck_assert_uint_eq(c.queued, 4);
    ck_assert_uint_eq(c.dropped, 0);
    fake_ack(&f, 9);
    fake_say(&f, "{\"type\":\"pong\"}");
    ck_assert_int_eq(pyrometer_finish(p, "ignored", PATIENCE_MS), 0);
    ck_assert_int_eq(put_step(p, 10), -ESHUTDOWN);
    pyrometer_close(p);
    fake_close(&f);
}
END_TEST

START_TEST(numbers_arrive_bit_for_bit) {
    static const double values[] = {0.1, 1.0 / 3.0, -0.0, 5e-324, 1.7976931348623157e308, 1e22, -7};
    enum { COUNT = sizeof values / sizeof values[0] };
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    for (int i = 0; i < COUNT; i++) {
        pyrometer_step(p, &(struct pyrometer_step){.step = i, .time = 5, .loss = values[i]});
    }
    fake_welcome(&f, -1);
    for (int i = 0; i < COUNT; i++) {
        char text[LINE_MAX_BYTES];
        cJSON_Delete(fake_read_text(&f, text));
        const char *at = strstr(text, "\"loss\":");
        ck_assert_ptr_nonnull(at);
        double back = strtod(at + strlen("\"loss\":"), NULL);
        ck_assert_mem_eq(&back, &values[i], sizeof back);
    }
    pyrometer_close(p);
    fake_close(&f);
}
END_TEST

START_TEST(not_finite_and_not_measured) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    double none = pyrometer_not_measured(), after = (double)INFINITY;
    double z[] = {(double)NAN, none}, a[] = {-(double)INFINITY, 0.1};
    struct pyrometer_stats stats[2];
    const float w[] = {1, 3};
    pyrometer_stats(&stats[0], 2, w, NULL, NULL, NULL);
    pyrometer_stats(&stats[1], 0, NULL, NULL, NULL, NULL);
    struct pyrometer_column columns[] = {{"z_mean", z}, {"a_mean", a}, {"mine", NULL}};
    struct pyrometer_scalar scalars[] = {{"accuracy", 0.5}, {"nothing", none}};
    struct pyrometer_step step = {.step = 3,
                                  .time = 12.5,
                                  .loss = (double)NAN,
                                  .lr = none,
                                  .batch_size = 8,
                                  .loss_after = &after,
                                  .stats = stats,
                                  .columns = columns,
                                  .column_count = 3,
                                  .scalars = scalars,
                                  .scalar_count = 2};
    ck_assert_int_eq(pyrometer_step(p, &step), 0);
    z[0] = a[0] = 99; // the arguments were copied
    stats[0].w_mean = 99;
    fake_welcome(&f, -1);
    char text[LINE_MAX_BYTES];
    cJSON_Delete(fake_read_text(&f, text));
    ck_assert_str_eq(text, "{\"type\":\"step\",\"step\":3,\"time\":12.5,\"loss\":\"NaN\","
                           "\"loss_after\":\"Infinity\",\"batch_size\":8,"
                           "\"stats\":{\"w_mean\":[2,null],\"w_var\":[1,null],\"w_min\":[1,null],"
                           "\"w_max\":[3,null],\"z_mean\":[\"NaN\",null],"
                           "\"a_mean\":[\"-Infinity\",0.1]},"
                           "\"scalars\":{\"accuracy\":0.5,\"nothing\":null}}");
    pyrometer_close(p);
    fake_close(&f);
}
END_TEST

// --- the edges ---

START_TEST(wrong_arguments) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer_config config = config_for(&f);
    config.run = "no spaces";
    ck_assert_ptr_null(pyrometer_open(&config));
    ck_assert_int_eq(errno, EINVAL);
    expect_error(NULL, "run: expected");
    config.run = "r";
    config.layer_count = 0;
    ck_assert_ptr_null(pyrometer_open(&config));
    expect_error(NULL, "layers");
    config = config_for(&f);
    config.token_file = "/nonexistent/token";
    ck_assert_ptr_null(pyrometer_open(&config));
    expect_error(NULL, "token_file /nonexistent/token: No such file");
    static const char *const servers[] = {":1",    "host:",    "host:x", "[::1",
                                          "unix:", "h:123456", "[::1]x"};
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        config = config_for(&f);
        config.server = servers[i];
        ck_assert_msg(!pyrometer_open(&config), "%s was taken", servers[i]);
        expect_error(NULL, "expected host:port");
    }
    config = config_for(&f);
    config.server = "tls://h:1";
    ck_assert_ptr_null(pyrometer_open(&config));
    expect_error(NULL, "server tls://h:1: this library speaks no TLS; expected the plain address");
    ck_assert_int_eq(put_step(NULL, 0), -EINVAL);
    ck_assert_int_eq(pyrometer_event(NULL, 0, "x", NULL), -EINVAL);
    ck_assert_int_eq(pyrometer_finish(NULL, "completed", 0), -EINVAL);
    pyrometer_close(NULL);

    struct pyrometer *p = open_for(&f);
    put_steps(p, 5, 5);
    ck_assert_int_eq(put_step(p, 5), -EINVAL);
    ck_assert_int_eq(put_step(p, -1), -EINVAL);
    ck_assert_uint_eq(counters_of(p).dropped, 2);
    expect_error(p, "steps must rise");
    ck_assert_int_eq(pyrometer_event(p, 5, "x", "{\n}"), -EINVAL);
    ck_assert_int_eq(pyrometer_step(p, NULL), -EINVAL);
    pyrometer_close(p);
    fake_close(&f);
}
END_TEST

START_TEST(no_descriptor_is_said_to_be_none) {
    struct fake f = {.address = "127.0.0.1:1"};
    struct pyrometer_config config = config_for(&f);
    struct rlimit files = {0};
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = files.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct pyrometer *p = pyrometer_open(&config);
    int why = errno;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    ck_assert_ptr_null(p);
    ck_assert_int_eq(why, EMFILE);
    expect_error(NULL, "open files");
}
END_TEST

START_TEST(forked_child_is_refused) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    fake_welcome(&f, -1);
    pid_t child = fork();
    if (child == 0) {
        bool good = put_step(p, 0) == -ECHILD && pyrometer_finish(p, "failed", 1000) == -ECHILD;
        pyrometer_close(p);
        // Not by exit(): there a leak checker would find what the parent's other thread holds.
        const char *end = good ? "/bin/true" : "/bin/false";
        execl(end, end, (char *)NULL);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    put_steps(p, 0, 0);
    fake_expect_step(&f, 0);
    fake_ack(&f, 0);
    finish_well(&f, p);
}
END_TEST

static void *shout(void *context) {
    for (int i = 0; i < 200; i++) {
        struct pyrometer_counters c;
        pyrometer_event(context, i, "tick", NULL);
        pyrometer_counters(context, &c);
    }
    return NULL;
}

static void note_length(void *context, const char *json) {
    *(_Atomic size_t *)context = strlen(json);
}

// A rule has room for this much: 16 labels and 16 annotations of 4 KiB.
START_TEST(a_long_alert_reaches_the_job) {
    enum { ALERT_BYTES = 150000 };
    static const char head[] = "{\"type\":\"alert\",\"summary\":\"";
    static char alert[ALERT_BYTES];
    memset(alert, 'x', sizeof alert);
    memcpy(alert, head, sizeof head - 1);
    memcpy(alert + sizeof alert - 3, "\"}\n", 3);
    struct fake f;
    fake_listen(&f);
    _Atomic size_t length = 0;
    struct pyrometer_config config = config_for(&f);
    config.on_alert = note_length;
    config.alert_context = &length;
    struct pyrometer *p = pyrometer_open(&config);
    fake_welcome(&f, -1);
    for (size_t sent = 0; sent < ALERT_BYTES;) {
        ssize_t n = send(f.peer, alert + sent, ALERT_BYTES - sent, MSG_NOSIGNAL);
        ck_assert_int_gt(n, 0);
        sent += (size_t)n;
    }
    finish_well(&f, p);
    ck_assert_uint_eq(length, ALERT_BYTES - 1);
}
END_TEST

START_TEST(many_threads_at_once) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    fake_welcome(&f, -1);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, shout, p);
    }
    put_steps(p, 0, 199);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    struct counts counts = finish_whatever_comes(&f, p);
    ck_assert_int_eq(counts.steps, 200);
    ck_assert_int_eq(counts.events, 800);
}
END_TEST

#ifndef __SANITIZE_ADDRESS__ // which takes the stack of a cancelled thread for damaged

static void *finish_slowly(void *p) {
    (void)pyrometer_finish(p, "completed", PATIENCE_MS);
    return NULL;
}

START_TEST(a_cancelled_finish_holds_nobody_up) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    fake_welcome(&f, -1);
    put_steps(p, 0, 0);
    fake_expect_step(&f, 0);
    pthread_t thread;
    void *result = NULL;
    pthread_create(&thread, NULL, finish_slowly, p);
    fake_expect(&f, "end");
    fake_expect(&f, "ping");
    pthread_cancel(thread);
    pthread_join(thread, &result);
    ck_assert_ptr_eq(result, PTHREAD_CANCELED);
    ck_assert_uint_eq(counters_of(p).queued, 2);
    fake_ack(&f, 0);
    fake_say(&f, "{\"type\":\"pong\"}");
    ck_assert_int_eq(pyrometer_finish(p, "completed", PATIENCE_MS), 0);
    pyrometer_close(p);
    fake_close(&f);
}
END_TEST

#endif

// As programs do that become daemons. What is left of the connection is noticed without a word.
START_TEST(descriptors_that_the_job_closes) {
    struct fake f;
    fake_listen(&f);
    int first = dup(f.listener); // what the client opens has higher numbers
    struct pyrometer *p = open_for(&f);
    fake_welcome(&f, -1);
    put_steps(p, 0, 0);
    fake_expect_step(&f, 0);
    for (int fd = first; fd < first + 8; fd++) {
        if (fd != f.peer) {
            close(fd);
        }
    }
    put_steps(p, 1, 1);
    fake_welcome(&f, 0);
    fake_expect_step(&f, 1);
    fake_ack(&f, 1);
    finish_well(&f, p);
}
END_TEST

START_TEST(a_status_that_no_daemon_takes) {
    ck_assert_int_eq(pyrometer_finish(NULL, "completed", 0), -EINVAL);
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    fake_welcome(&f, -1);
    ck_assert_int_eq(pyrometer_finish(p, "done", 0), -EINVAL);
    finish_well(&f, p);
}
END_TEST

START_TEST(replies_are_read_with_care) {
    static const char good[] = "{ \"x\":[1,{\"type\":\"no\"}], \"type\":\"error\",\"line\": 12 ,"
                               "\"fatal\":true,\"last_step\":-1,\"message\":\"a\\\"b\\u00e4\"}";
    struct pyr_reply reply;
    ck_assert(pyr_reply_parse(&reply, good, strlen(good)));
    ck_assert_str_eq(reply.type, "error");
    ck_assert_int_eq(reply.line, 12);
    ck_assert_int_eq(reply.last_step, -1);
    ck_assert_int_eq(reply.step, INT64_MIN);
    ck_assert_str_eq(reply.message, "a\"b?");
    ck_assert(reply.fatal);
    for (size_t n = 0; n < strlen(good); n++) { // no prefix is taken, none is read beyond its end
        char *cut = malloc(n + 1);
        memcpy(cut, good, n);
        ck_assert_msg(!pyr_reply_parse(&reply, cut, n), "%zu bytes were taken", n);
        free(cut);
    }
    static const char *const bad[] = {"[]",
                                      "{}",
                                      "{\"type\":7}",
                                      "{\"step\":99999999999999999999}",
                                      "{\"type\":\"\"}",
                                      "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(!pyr_reply_parse(&reply, bad[i], strlen(bad[i])), "%s was taken", bad[i]);
    }
}
END_TEST

START_TEST(statistics_by_hand) {
    const float w[] = {1, 2, 3, 6}, g[] = {0.5F, -1, 0, 2}, u[] = {-1, 1, 0, -2};
    const float u_prev[] = {2, 2, 2, -1};
    struct pyrometer_stats s;
    pyrometer_stats(&s, 4, w, g, u, u_prev);
    ck_assert_double_eq(s.w_mean, 3);
    ck_assert_double_eq(s.w_var, 3.5); // (4 + 1 + 0 + 9) / 4
    ck_assert_double_eq(s.w_min, 1);
    ck_assert_double_eq(s.w_max, 6);
    ck_assert_double_eq(s.g_mean, 0.375);
    ck_assert_double_eq(s.g_var, 1.171875); // 5.25 / 4 - 0.375^2
    ck_assert_double_eq(s.u_mean, -0.5);
    ck_assert_double_eq(s.u_var, 1.25); // 6 / 4 - 0.25
    ck_assert_double_eq(s.gw, 10.5);
    ck_assert_double_eq(s.gu, -5.5);
    ck_assert_double_eq(s.gu_prev, -3);

    const float near[] = {10000000, 10000001, 10000002}; // squares would cancel
    pyrometer_stats(&s, 3, near, NULL, NULL, NULL);
    ck_assert_double_eq_tol(s.w_var, 2.0 / 3.0, 1e-15);
    ck_assert(!pyrometer_is_measured(s.g_mean));
    ck_assert(!pyrometer_is_measured(s.gw));

    const float sick[] = {1, NAN, 0};
    pyrometer_stats(&s, 3, sick, NULL, NULL, NULL);
    ck_assert_double_nan(s.w_mean);
    ck_assert_double_nan(s.w_max);
    ck_assert(pyrometer_is_measured(s.w_max));
}
END_TEST

// Every length up to some blocks and a rest, against the definitions; sums are of whole numbers, which
// are exact in any order.
START_TEST(statistics_of_every_length) {
    enum { MOST = 2100 };
    static float w[MOST], g[MOST], u[MOST], u_prev[MOST];
    for (size_t i = 0; i < MOST; i++) {
        w[i] = (float)(i * 7 % 31) - 11;
        g[i] = (float)(i * 5 % 17) - 8;
        u[i] = (float)(i * 3 % 13) - 5;
        u_prev[i] = (float)(i * 11 % 19) - 9;
    }
    for (size_t n = 1; n <= MOST; n = n < 40 || n > 1000 ? n + 1 : n + 61) {
        double sum = 0, squares = 0, gw = 0, gu = 0, gu_prev = 0, low = 99, high = -99;
        for (size_t i = 0; i < n; i++) {
            double x = (double)w[i];
            sum += x;
            squares += x * x;
            gw += (double)g[i] * x;
            gu += (double)g[i] * (double)u[i];
            gu_prev += (double)g[i] * (double)u_prev[i];
            low = x < low ? x : low;
            high = x > high ? x : high;
        }
        struct pyrometer_stats s;
        pyrometer_stats(&s, n, w, g, u, u_prev);
        double size = (double)n, mean = sum / size;
        ck_assert_double_eq_tol(s.w_mean, mean, 1e-13);
        ck_assert_double_eq_tol(s.w_var, squares / size - mean * mean, 1e-11);
        ck_assert_double_eq(s.gw, gw);
        ck_assert_double_eq(s.gu, gu);
        ck_assert_double_eq(s.gu_prev, gu_prev);
        ck_assert_double_eq(s.w_min, low);
        ck_assert_double_eq(s.w_max, high);
    }
}
END_TEST

START_TEST(statistics_of_equal_values_and_of_one_nan) {
    enum { N = 1500 };
    static float w[N];
    for (size_t i = 0; i < N; i++) {
        w[i] = 0.1F;
    }
    struct pyrometer_stats s;
    pyrometer_stats(&s, N, w, w, w, NULL);
    ck_assert_double_eq(s.w_var, 0);
    ck_assert_double_eq(s.g_var, 0);
    ck_assert_double_eq(s.u_var, 0);
    ck_assert_double_eq(s.w_mean, (double)0.1F);
    ck_assert_double_eq(s.w_min, s.w_max);
    for (size_t i = 0; i < N; i += 7) {
        w[i] = NAN;
        pyrometer_stats(&s, N, w, NULL, NULL, NULL);
        ck_assert_double_nan(s.w_mean);
        ck_assert_double_nan(s.w_var);
        ck_assert_double_nan(s.w_min);
        ck_assert_double_nan(s.w_max);
        w[i] = 0.1F;
    }
    w[N - 1] = -INFINITY;
    pyrometer_stats(&s, N, w, NULL, NULL, NULL);
    ck_assert_double_eq(s.w_mean, (double)-INFINITY);
    ck_assert_double_eq(s.w_min, (double)-INFINITY);
    ck_assert_double_eq(s.w_max, (double)0.1F);
}
END_TEST

int main(void) {
    without_spool();
    TCase *test = tcase_create("client");
    tcase_add_test(test, hello_says_the_configuration);
    tcase_add_test(test, steps_are_sent_and_acknowledged);
    tcase_add_test(test, counters_tell_what_happened);
    tcase_add_test(test, numbers_arrive_bit_for_bit);
    tcase_add_test(test, not_finite_and_not_measured);
    tcase_add_test(test, wrong_arguments);
    tcase_add_test(test, no_descriptor_is_said_to_be_none);
    tcase_add_test(test, forked_child_is_refused);
    tcase_add_test(test, a_long_alert_reaches_the_job);
    tcase_add_test(test, many_threads_at_once);
#ifndef __SANITIZE_ADDRESS__
    tcase_add_test(test, a_cancelled_finish_holds_nobody_up);
#endif
    tcase_add_test(test, descriptors_that_the_job_closes);
    tcase_add_test(test, a_status_that_no_daemon_takes);
    tcase_add_test(test, replies_are_read_with_care);
    tcase_add_test(test, statistics_by_hand);
    tcase_add_test(test, statistics_of_every_length);
    tcase_add_test(test, statistics_of_equal_values_and_of_one_nan);
    return run_tests("client", test);
}
