// The parts of the API that need no connection: queries, buckets, JSON, problems, routes, metrics.
#include "api/buckets.h"
#include "api/emit.h"
#include "api/metrics.h"
#include "api/problem.h"
#include "api/query.h"
#include "api/reading.h"
#include "api/routes.h"
#include "base/num.h"

#include <cjson/cJSON.h>
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const colours[] = {"red", "green", "blue", NULL};
static const struct parameter parameters[] = {
    {"limit", PARAMETER_INTEGER, 1, 1000, NULL, ""},
    {"colour", PARAMETER_CHOICE, 0, 0, colours, ""},
    {"cursor", PARAMETER_CURSOR, 0, 0, NULL, ""},
    {"name", PARAMETER_TEXT, 0, 0, NULL, ""},
    {"metric", PARAMETER_LIST, 0, 0, NULL, ""},
    {"layer", PARAMETER_TEXTS, 0, 0, NULL, ""},
    {0},
};

static void expect_problem(const char *text, const char *says) {
    struct query q;
    struct buf problem;
    buf_init(&problem, 4000);
    ck_assert_msg(query_read(&q, text, parameters, &problem) == -1, "%s was taken", text);
    ck_assert_msg(strstr(buf_str(&problem), says) != NULL, "%s: %s", text, buf_str(&problem));
    ck_assert_uint_eq(q.n, 0);
    buf_free(&problem);
}

static struct query expect_query(const char *text) {
    struct query q;
    struct buf problem;
    buf_init(&problem, 4000);
    ck_assert_msg(query_read(&q, text, parameters, &problem) == 0, "%s: %s", text,
                  buf_str(&problem));
    buf_free(&problem);
    return q;
}

START_TEST(test_query_values) {
    struct query q = expect_query("limit=17&&colour=blue&name=a+b%20%C3%A9%2Cc");
    ck_assert_int_eq(query_number(&q, "limit", 5), 17);
    ck_assert_int_eq(query_number(&q, "colour", -1), 2);
    ck_assert_int_eq(query_number(&q, "cursor", 99), 99);
    ck_assert_str_eq(query_text(&q, "name"), "a b \xC3\xA9,c");
    ck_assert_ptr_null(query_text(&q, "layer"));
    query_free(&q);
    q = expect_query("limit=1");
    ck_assert_int_eq(query_number(&q, "limit", 5), 1);
    query_free(&q);
    q = expect_query("limit=1000");
    ck_assert_int_eq(query_number(&q, "limit", 5), 1000);
    query_free(&q);
    q = expect_query(NULL);
    ck_assert_uint_eq(q.n, 0);
    query_free(&q);
}
END_TEST

START_TEST(test_query_lists) {
    struct query q = expect_query("metric=loss,lr&layer=a,b&metric=x%2Cy&layer=c*");
    const char *const metrics[] = {"loss", "lr", "x", "y", NULL};
    size_t at = 0;
    for (size_t i = 0; metrics[i]; i++) {
        ck_assert_str_eq(query_next(&q, "metric", &at), metrics[i]);
    }
    ck_assert_ptr_null(query_next(&q, "metric", &at));
    at = 0;
    ck_assert_str_eq(query_next(&q, "layer", &at), "a,b");
    ck_assert_str_eq(query_next(&q, "layer", &at), "c*");
    ck_assert_ptr_null(query_next(&q, "layer", &at));
    query_free(&q);
}
END_TEST

START_TEST(test_query_problems) {
    static const char *const bad_limits[] = {
        "limit=0",    "limit=-1", "limit=1001", "limit=x",
        "limit=1e3",  "limit=",   "limit",      "limit=1.5",
        "limit=%31x", "limit=+1", "limit=0x1",  "limit=99999999999999999999"};
    for (size_t i = 0; i < sizeof bad_limits / sizeof *bad_limits; i++) {
        expect_problem(bad_limits[i], "limit is \"");
        expect_problem(bad_limits[i], "expected a whole number from 1 to 1000");
    }
    expect_problem("colour=Red", "colour is \"Red\"; expected one of red, green, blue");
    expect_problem("cursor=nonsense!", "cursor is");
    expect_problem("cursor=p", "cursor is");
    expect_problem("cursor=12", "cursor is");
    expect_problem("cursor=pzzzzzzzzzzzzzz", "cursor is");
    expect_problem("cursor=%00", "cursor is not UTF-8");
    expect_problem("name=%ff", "name is not UTF-8");
    expect_problem("name=%4", "name is not UTF-8");
    expect_problem("name=%zz", "name is not UTF-8");
    expect_problem("name=a&name=b", "name is there twice");
    expect_problem("metric=a,,b", "metric is \"\"");
    expect_problem("other=1", "there is no parameter \"other\"; this call takes limit, colour");
    expect_problem("%00=1", "a parameter's name");
    struct query q;
    struct buf problem;
    buf_init(&problem, 100);
    ck_assert_int_eq(query_read(&q, "x=1", NULL, &problem), -1);
    ck_assert_str_eq(buf_str(&problem), "there is no parameter \"x\"; this call takes none");
    buf_free(&problem);
}
END_TEST

START_TEST(test_long_value_is_shortened) {
    char text[700] = "limit=", *to = text + 6;
    for (int i = 0; i < 100; i++, to += 6) {
        memcpy(to, "%C3%A9", 7);
    }
    struct query q;
    struct buf problem;
    buf_init(&problem, 4000);
    ck_assert_int_eq(query_read(&q, text, parameters, &problem), -1);
    ck_assert_uint_lt(problem.len, 200);
    ck_assert_ptr_nonnull(strstr(buf_str(&problem), "\xC3\xA9...\""));
    buf_free(&problem);
}
END_TEST

START_TEST(test_cursor_round_trip) {
    static const int64_t places[] = {0, 1, 35, 36, 123456789, INT64_C(1) << 53};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct buf json;
        buf_init(&json, 100);
        struct emit e = emit_to(&json);
        emit_object(&e, NULL);
        cursor_emit(&e, true, places[i]);
        char cursor[32], text[64];
        ck_assert_int_eq(sscanf(buf_str(&json), "{\"next_cursor\":\"%31[^\"]", cursor), 1);
        snprintf(text, sizeof text, "cursor=%s", cursor);
        struct query q = expect_query(text);
        ck_assert_int_eq(query_number(&q, "cursor", -1), places[i]);
        query_free(&q);
        buf_free(&json);
    }
}
END_TEST

static struct buckets gather(const double *values, size_t n, size_t points) {
    struct buckets b;
    buckets_init(&b, points);
    for (size_t i = 0; i < n; i++) {
        ck_assert(buckets_add(&b, (int64_t)i, values[i]));
    }
    return b;
}

START_TEST(test_buckets_every_step) {
    static const double values[] = {3, 1, 4, 1, 5};
    struct buckets b = gather(values, 5, 5);
    ck_assert_uint_eq(b.n, 5);
    ck_assert(!buckets_are_merged(&b));
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(b.at[i].step, (int64_t)i);
        ck_assert_double_eq(b.at[i].value, values[i]);
    }
    buckets_free(&b);
}
END_TEST

// Whatever the length and the points: never too many, in order, both ends and every spike there.
START_TEST(test_buckets_keep_ends_and_spikes) {
    enum { MOST = 700 };
    double values[MOST];
    for (size_t n = 1; n <= MOST; n += 23) {
        for (size_t points = 1; points <= 130; points += 3) {
            for (size_t i = 0; i < n; i++) {
                values[i] = (double)(i % 7);
            }
            values[n / 2] = -1e6;
            values[n / 3] = 1e6; // the same place when there are few
            struct buckets b = gather(values, n, points);
            double least = (double)INFINITY, greatest = -(double)INFINITY;
            uint64_t count = 0;
            ck_assert_uint_le(b.n, points);
            ck_assert_uint_ge(b.n, n < points ? n : (points + 2) / 3);
            ck_assert_int_eq(b.at[b.n - 1].step, (int64_t)n - 1);
            ck_assert_double_eq(b.at[b.n - 1].value, values[n - 1]);
            ck_assert(points == 1 || b.at[0].step == 0);
            for (size_t i = 0; i < b.n; i++) {
                ck_assert(i == 0 || b.at[i].step > b.at[i - 1].step);
                ck_assert(b.at[i].min <= b.at[i].value && b.at[i].value <= b.at[i].max);
                least = fmin(least, b.at[i].min);
                greatest = fmax(greatest, b.at[i].max);
                count += b.at[i].count;
            }
            ck_assert_uint_eq(count, n);
            ck_assert_double_eq(greatest, 1e6);
            ck_assert(n / 3 == n / 2 || least <= -1e6);
            buckets_free(&b);
        }
    }
}
END_TEST

START_TEST(test_buckets_missing) {
    double values[] = {num_missing(), 1, num_missing(), 2, num_missing()};
    struct buckets b = gather(values, 5, 100);
    ck_assert_uint_eq(b.n, 2);
    ck_assert_int_eq(b.at[0].step, 1);
    ck_assert_int_eq(b.at[1].step, 3);
    buckets_free(&b);
    b = gather(values, 1, 100);
    ck_assert_uint_eq(b.n, 0);
    buckets_free(&b);
}
END_TEST

START_TEST(test_buckets_nonfinite) {
    double inf = (double)INFINITY, nan = (double)NAN;
    double values[] = {1, nan, 2, nan, -inf, nan, nan, nan, nan};
    struct buckets b = gather(values, 9, 3); // 1; four; four
    ck_assert_uint_eq(b.n, 3);
    ck_assert_double_eq(b.at[1].min, -inf);
    ck_assert_double_eq(b.at[1].max, 2);
    ck_assert_uint_eq(b.at[1].nonfinite, 3);
    ck_assert(isnan(b.at[2].value) && isnan(b.at[2].min) && isnan(b.at[2].max));
    ck_assert(!num_is_missing(b.at[2].min));
    ck_assert_uint_eq(b.at[2].nonfinite, 4);
    buckets_free(&b);
}
END_TEST

START_TEST(test_buckets_same_step_again) {
    struct buckets b;
    buckets_init(&b, 10);
    ck_assert(buckets_add(&b, 5, 1) && buckets_add(&b, 5, 2) && buckets_add(&b, 6, 3));
    ck_assert_uint_eq(b.n, 2);
    ck_assert_double_eq(b.at[0].value, 2);
    ck_assert_double_eq(b.at[0].min, 2);
    ck_assert_uint_eq(b.at[0].count, 1);
    buckets_free(&b);
    buckets_init(&b, 1); // the same within a bucket that others share: its extremes stay
    ck_assert(buckets_add(&b, 5, 9) && buckets_add(&b, 6, 1) && buckets_add(&b, 6, 2));
    ck_assert_double_eq(b.at[0].value, 2);
    ck_assert_double_eq(b.at[0].max, 9);
    ck_assert_uint_eq(b.at[0].count, 2);
    buckets_free(&b);
}
END_TEST

START_TEST(test_emit_hostile_names) {
    static const char nasty[] = "</script>\"\\\n\t\x01\x1f{}[],:\xF0\x9F\x94\xA5";
    struct buf json;
    buf_init(&json, 4096);
    struct emit e = emit_to(&json);
    emit_object(&e, NULL);
    emit_text(&e, nasty, nasty);
    emit_array(&e, "list");
    emit_integer(&e, NULL, INT64_C(9007199254740993));
    emit_number(&e, NULL, (double)NAN);
    emit_number(&e, NULL, -(double)INFINITY);
    emit_number(&e, NULL, num_missing());
    emit_number(&e, NULL, 0.1);
    emit_object(&e, NULL);
    emit_end(&e);
    emit_array(&e, NULL);
    emit_end(&e);
    emit_end(&e);
    emit_bool(&e, "b", true);
    emit_text(&e, "t", NULL);
    emit_step(&e, "s", -1);
    emit_time(&e, "w", 0);
    emit_raw(&e, "r", "[1]", 3);
    emit_end(&e);
    cJSON *tree = cJSON_Parse(buf_str(&json));
    ck_assert_msg(tree != NULL, "%s", buf_str(&json));
    ck_assert_str_eq(cJSON_GetObjectItemCaseSensitive(tree, nasty)->valuestring, nasty);
    cJSON_Delete(tree);
    ck_assert_ptr_nonnull(strstr(buf_str(&json),
                                 "\"list\":[9007199254740993,\"NaN\",\"-Infinity\",null,0.1,{},[]],"
                                 "\"b\":true,\"t\":null,\"s\":null,\"w\":null,\"r\":[1]}"));
    buf_free(&json);
}
END_TEST

START_TEST(test_problem) {
    struct buf json;
    buf_init(&json, 4096);
    problem_print(&json, 404, "there is no run \"a\xff\"", "/api/v1/runs/a?x=\"");
    cJSON *tree = cJSON_Parse(buf_str(&json));
    ck_assert_ptr_nonnull(tree);
    ck_assert_str_eq(cJSON_GetObjectItem(tree, "type")->valuestring, "about:blank");
    ck_assert_str_eq(cJSON_GetObjectItem(tree, "title")->valuestring, "Not Found");
    ck_assert_double_eq(cJSON_GetObjectItem(tree, "status")->valuedouble, 404);
    ck_assert_str_eq(cJSON_GetObjectItem(tree, "detail")->valuestring, "there is no run \"a?\"");
    ck_assert_str_eq(cJSON_GetObjectItem(tree, "instance")->valuestring, "/api/v1/runs/a?x=\"");
    cJSON_Delete(tree);
    buf_free(&json);
}
END_TEST

START_TEST(test_route_matching) {
    static const struct {
        const char *pattern, *path, *part;
        bool matches;
    } cases[] = {
        {"/", "/", NULL, true},
        {"/", "", NULL, false},
        {"/", "//", NULL, false},
        {"/a/{x}", "/a/b", "b", true},
        {"/a/{x}", "/a/%41%2F", "A/", true},
        {"/a/{x}", "/a/", NULL, false},
        {"/a/{x}", "/a", NULL, false},
        {"/a/{x}", "/a/b/", NULL, false},
        {"/a/{x}", "/a/b%00", NULL, false},
        {"/a/{x}", "/a/%", NULL, false},
        {"/a/{x}", "/a/%ff", NULL, false},
        {"/a/{x}/c", "/a/../c", "..", true},
        {"/a/{x}/c", "/a/b/d", NULL, false},
        {"/a/{x}/c", "/a/b+/c", "b+", true},
        {"/healthz", "/healthz2", NULL, false},
        {"/healthz", "/health", NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *part[REQUEST_PARTS];
        bool matches = route_matches(cases[i].pattern, cases[i].path, part);
        ck_assert_msg(matches == cases[i].matches, "%s on %s", cases[i].path, cases[i].pattern);
        if (cases[i].part) {
            ck_assert_str_eq(part[0], cases[i].part);
        } else {
            ck_assert_ptr_null(part[0]);
        }
        free(part[0]);
    }
}
END_TEST

START_TEST(test_tokens) {
    ck_assert(token_matches("secret", "secret"));
    static const char *const wrong[] = {"",      "s", "secre", "secret ", "Secret", "secretsecret",
                                        "tecret"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_msg(!token_matches("secret", wrong[i]), "\"%s\"", wrong[i]);
    }
}
END_TEST

START_TEST(test_etags) {
    ck_assert(etag_matches("\"a\"", "\"a\""));
    ck_assert(etag_matches("\"b\", \"a\"", "\"a\""));
    ck_assert(etag_matches("W/\"a\" ,\"b\"", "\"a\""));
    ck_assert(etag_matches("*", "\"a\""));
    ck_assert(!etag_matches("\"b\"", "\"a\""));
    ck_assert(!etag_matches("", "\"a\""));
    ck_assert(!etag_matches("a", "\"a\""));
    ck_assert(!etag_matches(", ,W/", "\"a\""));
}
END_TEST

#define NAME_BYTES 40

static struct snapshot *make_snapshot(const char *run, size_t n_layers) {
    struct snapshot *s = NEW(struct snapshot);
    s->refs = 1;
    s->version = 1;
    s->record.name = strdup(run);
    s->step = 5;
    s->record.progress.loss = (double)NAN;
    s->n_layers = n_layers;
    s->layer_names = must_alloc(n_layers * (sizeof *s->layer_names + NAME_BYTES));
    reading_table_init(&s->layers, n_layers);
    s->engines = must_alloc(n_layers * sizeof *s->engines + 1);
    s->activations = must_alloc(n_layers * sizeof *s->activations + 1);
    s->named = must_alloc(n_layers * sizeof *s->named + 1);
    s->heat = must_alloc(n_layers * sizeof *s->heat + 1);
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        s->global[i].reason = "needs gw";
    }
    for (size_t i = 0; i < n_layers; i++) {
        s->layer_names[i] = (char *)(s->layer_names + n_layers) + i * NAME_BYTES;
        snprintf(s->layer_names[i], NAME_BYTES, "layer \"%zu\"\n\\", i);
    }
    return s;
}

static size_t count(const char *text, const char *of) {
    size_t n = 0;
    for (; (text = strstr(text, of)); text++) {
        n++;
    }
    return n;
}

START_TEST(test_metrics_shape) {
    struct board *board = board_create();
    struct board_figures *f = board_figures(board);
    f->commit_seconds_bucket[0] = 3;
    f->commit_seconds_bucket[2] = 2;
    f->commit_seconds_bucket[BOARD_COMMIT_BOUNDS] = 1;
    f->commit_nanoseconds = 1500000000;
    board_publish(board, make_snapshot("a", 2));
    struct snapshot *without_loss = make_snapshot("b", 0);
    without_loss->record.progress.loss = num_missing();
    board_publish(board, without_loss);
    struct buf out;
    buf_init(&out, (size_t)1 << 24);
    static const uint64_t firing[SAMPLE_SEVERITIES] = {[SEVERITY_CRITICAL] = 2};
    metrics_print(&out, board, firing);
    const char *text = buf_str(&out);
    ck_assert_str_eq(text + out.len - 6, "# EOF\n");
    ck_assert_uint_eq(count(text, "\n\n"), 0);
    static const char *const lines[] = {
        "# TYPE pyrometer_received_bytes counter\n# UNIT pyrometer_received_bytes bytes\n"
        "# HELP pyrometer_received_bytes ",
        "\npyrometer_received_bytes_total 0\n",
        "\npyrometer_build_info{version=\"" PYROMETER_VERSION "\"} 1\n",
        "\npyrometer_alerts_firing{severity=\"warning\"} 0\n"
        "pyrometer_alerts_firing{severity=\"critical\"} 2\n",
        "\npyrometer_ready 1\n",
        "\npyrometer_commit_seconds_bucket{le=\"0.0005\"} 3\n",
        "\npyrometer_commit_seconds_bucket{le=\"0.002\"} 5\n",
        "\npyrometer_commit_seconds_bucket{le=\"10\"} 5\n"
        "pyrometer_commit_seconds_bucket{le=\"+Inf\"} 6\n"
        "pyrometer_commit_seconds_sum 1.5\npyrometer_commit_seconds_count 6\n",
        "\npyrometer_messages_refused_total{code=\"bad_json\"} 0\n",
        "\npyrometer_run_loss{run=\"a\"} NaN\n",
        "\npyrometer_temperature{run=\"a\",layer=\"layer "
        "\\\"1\\\"\\n\\\\\",thermometer=\"kinetic\"} 0\n",
        "\npyrometer_temperatures_left_out 0\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        ck_assert_msg(strstr(text, lines[i]) != NULL, "no %s in\n%s", lines[i], text);
    }
    ck_assert_uint_eq(count(text, "pyrometer_temperature{run=\"a\",layer=\"\""), 0); // has reasons
    ck_assert_uint_eq(count(text, "\npyrometer_run_step{run=\"b\"} 5\n"), 1);
    ck_assert_uint_eq(count(text, "\npyrometer_run_loss{run=\"b\"}"), 0); // not measured
    buf_free(&out);
    board_destroy(board);
}
END_TEST

START_TEST(test_metrics_in_other_forms) {
    static const char open[] =
        "# TYPE a counter\n# UNIT a a\n# HELP a Of counter.\na_total{x=\"# EOF\"} 1\n# TYPE b "
        "gauge\n# UNIT b b\n# HELP b B.\nb 2\n# TYPE counter gauge\ncounter 3\n# EOF\n";
    struct buf out;
    buf_init(&out, 10000);
    metrics_convert(open, METRICS_COMMON, &out);
    ck_assert_str_eq(buf_str(&out),
                     "# HELP a_total Of counter.\na_total{x=\"# EOF\"} 1\n# TYPE b gauge\n# UNIT b "
                     "b\n# HELP b B.\nb 2\n# TYPE counter gauge\ncounter 3\n# EOF\n");
    buf_clear(&out);
    metrics_convert(open, METRICS_TEXT, &out);
    ck_assert_str_eq(buf_str(&out),
                     "# TYPE a_total counter\n# HELP a_total Of counter.\na_total{x=\"# EOF\"} 1\n"
                     "# TYPE b gauge\n# HELP b B.\nb 2\n# TYPE counter gauge\ncounter 3\n");
    buf_clear(&out);
    metrics_convert("", METRICS_TEXT, &out);
    ck_assert_uint_eq(out.len, 0);
    buf_free(&out);
}
END_TEST

START_TEST(test_metrics_are_capped) {
    struct board *board = board_create();
    board_publish(board, make_snapshot("a", METRICS_SAMPLES_MAX));
    struct buf out;
    char left_out[80];
    buf_init(&out, (size_t)1 << 26);
    metrics_print(&out, board, NULL);
    ck_assert_uint_eq(count(buf_str(&out), "\npyrometer_temperature{"), METRICS_SAMPLES_MAX);
    snprintf(left_out, sizeof left_out, "\npyrometer_temperatures_left_out %d\n",
             5 * METRICS_SAMPLES_MAX);
    ck_assert_ptr_nonnull(strstr(buf_str(&out), left_out));
    buf_free(&out);
    board_destroy(board);
}
END_TEST

START_TEST(test_metric_numbers) {
    static const struct {
        double x;
        const char *text;
    } cases[] = {{0, "0"}, {0.1, "0.1"}, {-1.5e300, "-1.5e+300"}};
    struct buf out;
    buf_init(&out, 100);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_clear(&out);
        metrics_put_number(&out, cases[i].x);
        ck_assert_str_eq(buf_str(&out), cases[i].text);
    }
    buf_clear(&out);
    metrics_put_number(&out, (double)INFINITY);
    metrics_put_number(&out, -(double)INFINITY);
    metrics_put_number(&out, (double)NAN);
    metrics_put_number(&out, num_missing());
    ck_assert_str_eq(buf_str(&out), "+Inf-InfNaNNaN");
    buf_free(&out);
}
END_TEST

START_TEST(test_reading_json) {
    struct snapshot *s = make_snapshot("a", 1);
    s->global[METRIC_KINETIC] =
        (struct reading){.value = 0.5, .low = 0.4, .high = 0.6, .has_interval = true};
    s->global[METRIC_VELOCITY] = (struct reading){.value = 2, .no_interval = "too few"};
    s->global[METRIC_STABILITY] =
        (struct reading){.value = 1, .low = 0.5, .high = 2, .has_interval = true};
    s->global[METRIC_QUADRANT] = (struct reading){.value = QUADRANT_HEATING};
    const struct reading layer[METRIC_COUNT] = {[METRIC_EFFICIENCY] = {.value = 0.5}};
    reading_table_put(&s->layers, 0, layer);
    s->engines[0] = (struct engine){.in2 = 2, .out2 = 1};
    s->activations[0] = activation_find("relu");
    s->state = 2;
    struct buf json;
    buf_init(&json, 65536);
    struct emit e = emit_to(&json);
    reading_emit(&e, NULL, s, READING_FULL);
    const char *text = buf_str(&json);
    static const char *const pieces[] = {
        "{\"run\":\"a\",\"step\":5,\"time\":null,\"state\":\"II\",\"state_number\":2",
        "\"kinetic\":{\"value\":0.5,\"low\":0.4,\"high\":0.6}",
        "\"velocity\":{\"value\":2,\"low\":null,\"high\":null,\"reason\":\"too few\"}",
        "\"transition\":{\"value\":null,\"reason\":\"needs gw\"}",
        "\"quadrant\":\"heating\"",
        "\"intervals\":{\"stability\":[0.5,2]}",
        "\"noise_scale\":\"needs gw\"",
        "\"efficiency\":0.5,\"engine\":\"dissipative\",\"activation\":{\"name\":\"relu\","
        "\"reference\":0.5",
    };
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        ck_assert_msg(strstr(text, pieces[i]) != NULL, "no %s in %s", pieces[i], text);
    }
    cJSON *tree = cJSON_Parse(text);
    ck_assert_ptr_nonnull(tree);
    cJSON_Delete(tree);
    buf_free(&json);
    snapshot_unref(s);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_query_values,
        test_query_lists,
        test_query_problems,
        test_long_value_is_shortened,
        test_cursor_round_trip,
        test_buckets_every_step,
        test_buckets_keep_ends_and_spikes,
        test_buckets_missing,
        test_buckets_nonfinite,
        test_buckets_same_step_again,
        test_emit_hostile_names,
        test_problem,
        test_route_matching,
        test_tokens,
        test_etags,
        test_metrics_shape,
        test_metrics_in_other_forms,
        test_metrics_are_capped,
        test_metric_numbers,
        test_reading_json,
    };
    Suite *suite = suite_create("api");
    TCase *cases = tcase_create("api");
    tcase_set_timeout(cases, 120);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        tcase_add_test(cases, tests[i]);
    }
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
