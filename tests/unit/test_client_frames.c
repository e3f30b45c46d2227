// The C client's binary frames, read by the daemon's own reader, and when it sends lines instead.
#include "tests/unit/fake_daemon.h"

#include <float.h>

#include "base/num.h"
#include "wire/frame.h"

static struct step step;

static void fake_welcome_frames(struct fake *f, int last_step, int frames) {
    fake_accept(f);
    fake_expect(f, "hello");
    fake_say(f, "{\"type\":\"welcome\",\"last_step\":%d,\"frames\":%d}", last_step, frames);
}

static void fake_read_bytes(struct fake *f, size_t n) {
    while (f->length < n) {
        await_readable(f->peer, "a frame");
        ssize_t got = recv(f->peer, f->buffer + f->length, sizeof f->buffer - f->length, 0);
        ck_assert_msg(got > 0, "the client hung up");
        f->length += (size_t)got;
    }
}

// The next message, which must be a frame for two layers, into `step`.
static void fake_read_frame(struct fake *f) {
    struct wire_error error;
    fake_read_bytes(f, FRAME_HEADER_BYTES);
    ck_assert_uint_eq((unsigned char)f->buffer[0], FRAME_MAGIC);
    ck_assert(frame_version_is_known(f->buffer));
    size_t n = frame_size(f->buffer);
    fake_read_bytes(f, n);
    ck_assert_msg(frame_parse(&step, f->buffer, n, 2, &error) == 0, "%s", error.message);
    f->length -= n;
    memmove(f->buffer, f->buffer + n, f->length);
}

static void fake_expect_frame(struct fake *f, int64_t number) {
    fake_read_frame(f);
    ck_assert_int_eq(step.step, number);
}

static uint64_t bits(double x) {
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

START_TEST(steps_go_as_frames) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    put_steps(p, 0, 2);
    fake_welcome_frames(&f, -1, 1);
    for (int i = 0; i <= 2; i++) {
        fake_expect_frame(&f, i);
        ck_assert_double_eq(step.loss, 1);
        ck_assert_double_eq(step.lr, 0.1);
        ck_assert(num_is_missing(step.batch_size));
        ck_assert_double_gt(step.time, 1e9);
        ck_assert_uint_eq(step.n_columns, 0);
    }
    fake_ack(&f, 2);
    finish_well(&f, p);
}
END_TEST

// Every statistic, every kind of value: float32 where it keeps the value, else float64.
START_TEST(values_and_widths) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    double none = pyrometer_not_measured();
    struct pyrometer_stats stats[2];
    for (size_t i = 0; i < sizeof stats / (sizeof(double)); i++) {
        memcpy((char *)stats + i * sizeof(double), &(double){1.0 / (double)(i + 3)},
               sizeof(double));
    }
    stats[0].g_mean = none;
    stats[1].g_mean = (double)NAN;
    stats[0].g_var = 1e-40; // a float32 would lose most of its digits
    stats[0].u_mean = 1e39;
    stats[0].u_var = 0;
    stats[1].u_var = (double)INFINITY;
    double z[] = {none, none}, alpha[] = {-0.0, (double)FLT_MIN};
    struct pyrometer_column columns[] = {{"z_mean", z}, {"w_alpha", alpha}, {"gone", NULL}};
    ck_assert_int_eq(pyrometer_step(p, &(struct pyrometer_step){.step = 1,
                                                                .time = 5,
                                                                .loss = (double)NAN,
                                                                .lr = none,
                                                                .batch_size = 7,
                                                                .stats = stats,
                                                                .columns = columns,
                                                                .column_count = 3}),
                     0);
    fake_welcome_frames(&f, -1, 1);
    fake_expect_frame(&f, 1);
    ck_assert_double_eq(step.time, 5);
    ck_assert(isnan(step.loss) && !num_is_missing(step.loss) && num_is_missing(step.lr));
    ck_assert_double_eq(step.batch_size, 7);
    ck_assert_uint_eq(step.n_columns, 13);
    const double *w_mean = step_stat(&step, STAT_W_MEAN), *w_var = step_stat(&step, STAT_W_VAR);
    ck_assert_double_eq(w_mean[1], (double)(float)stats[1].w_mean);
    ck_assert_double_eq(w_var[1], stats[1].w_var);
    const double *g_mean = step_stat(&step, STAT_G_MEAN), *u_var = step_stat(&step, STAT_U_VAR);
    ck_assert(num_is_missing(g_mean[0]) && isnan(g_mean[1]) && !num_is_missing(g_mean[1]));
    ck_assert(isinf(u_var[1]));
    ck_assert_double_eq(step_stat(&step, STAT_G_VAR)[0], 1e-40);
    ck_assert_double_eq(step_stat(&step, STAT_G_VAR)[1], stats[1].g_var);
    ck_assert_double_eq(step_stat(&step, STAT_U_MEAN)[0], 1e39);
    ck_assert_double_eq(step_stat(&step, STAT_GU_PREV)[1], (double)(float)stats[1].gu_prev);
    ck_assert(num_is_missing(step_stat(&step, STAT_Z_MEAN)[0]));
    ck_assert_uint_eq(bits(step_stat(&step, STAT_W_ALPHA)[0]), bits(-0.0));
    for (size_t i = 0; i < step.n_columns; i++) {
        enum statistic s = step.columns[i].stat;
        bool wide = s == STAT_W_VAR || s == STAT_G_VAR || s == STAT_U_MEAN;
        ck_assert_msg((step.columns[i].floats == NULL) == wide, "%s", stat_name(s));
    }
    fake_ack(&f, 1);
    finish_well(&f, p);
}
END_TEST

// What a frame has no field for: scalars go before it, the rest makes it a line.
START_TEST(beside_frames) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    double after = 0.5, own[] = {1, 2};
    struct pyrometer_scalar scalars[] = {{"accuracy", 0.5}, {"power", 310}};
    struct pyrometer_column column = {"own", own};
    pyrometer_step(
        p, &(struct pyrometer_step){.step = 0, .time = 7.5, .scalars = scalars, .scalar_count = 2});
    pyrometer_step(p, &(struct pyrometer_step){.step = 1, .loss_after = &after});
    pyrometer_step(p, &(struct pyrometer_step){.step = 2, .val_loss = &after});
    pyrometer_step(p, &(struct pyrometer_step){.step = 3, .columns = &column, .column_count = 1});
    put_steps(p, 4, 4);
    fake_welcome_frames(&f, -1, 1);
    char text[LINE_MAX_BYTES];
    cJSON_Delete(fake_read_text(&f, text));
    ck_assert_str_eq(text, "{\"type\":\"scalars\",\"step\":0,\"time\":7.5,\"scalars\":"
                           "{\"accuracy\":0.5,\"power\":310}}");
    fake_expect_frame(&f, 0);
    for (int i = 1; i <= 3; i++) {
        fake_expect_step(&f, i);
    }
    fake_expect_frame(&f, 4);
    fake_ack(&f, 4);
    finish_well(&f, p);
}
END_TEST

// The daemon counts messages: the frame that it refuses is the one that is dropped.
START_TEST(refusals_find_their_frame) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    struct pyrometer_scalar scalar = {"x", 1};
    put_steps(p, 0, 0);
    pyrometer_step(p, &(struct pyrometer_step){.step = 1, .scalars = &scalar, .scalar_count = 1});
    put_steps(p, 2, 3);
    fake_welcome_frames(&f, -1, 1);
    fake_expect_frame(&f, 0);
    fake_expect(&f, "scalars");
    fake_expect_frame(&f, 1);
    fake_expect_frame(&f, 2);
    fake_expect_frame(&f, 3);
    // hello 1, step 0: 2, scalars 3, step 1: 4, step 2: 5
    fake_say(&f, "{\"type\":\"error\",\"code\":\"bad_value\",\"message\":\"a\",\"line\":3}");
    fake_say(&f, "{\"type\":\"error\",\"code\":\"bad_value\",\"message\":\"b\",\"line\":5}");
    await_error(p, "bad_value: b");
    ck_assert_uint_eq(counters_of(p).refused, 2);
    ck_assert_uint_eq(counters_of(p).queued, 3); // steps 0, 1 and 3
    fake_ack(&f, 3);
    finish_well(&f, p);
}
END_TEST

// On each connection what its daemon reads.
START_TEST(another_daemon_on_reconnect) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    put_steps(p, 0, 1);
    fake_welcome_frames(&f, -1, 1);
    fake_expect_frame(&f, 0);
    fake_expect_frame(&f, 1);
    fake_reset(&f);
    fake_welcome(&f, 0); // an older one
    fake_expect_step(&f, 1);
    fake_reset(&f);
    fake_welcome_frames(&f, 0, 2); // frames of a version that we do not write
    fake_expect_step(&f, 1);
    fake_ack(&f, 1);
    finish_well(&f, p);
}
END_TEST

START_TEST(lines_where_they_are_wanted) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer_config config = config_for(&f);
    config.lines_only = true;
    struct pyrometer *p = pyrometer_open(&config);
    ck_assert_ptr_nonnull(p);
    put_steps(p, 0, 0);
    fake_welcome_frames(&f, -1, 1);
    fake_expect_step(&f, 0);
    fake_ack(&f, 0);
    finish_well(&f, p);
}
END_TEST

static void set_up(void) {
    step_init(&step);
}

static void tear_down(void) {
    step_free(&step);
}

int main(void) {
    without_spool();
    TCase *test = tcase_create("client frames");
    tcase_add_checked_fixture(test, set_up, tear_down);
    tcase_add_test(test, steps_go_as_frames);
    tcase_add_test(test, values_and_widths);
    tcase_add_test(test, beside_frames);
    tcase_add_test(test, refusals_find_their_frame);
    tcase_add_test(test, another_daemon_on_reconnect);
    tcase_add_test(test, lines_where_they_are_wanted);
    return run_tests("client frames", test);
}
