// The C client when connections break, the daemon is away, or it refuses.
#include "tests/unit/fake_daemon.h"

#include <sys/un.h>

// --- broken connections ---

START_TEST(reconnect_sends_what_was_not_stored) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    put_steps(p, 0, 4);
    fake_welcome(&f, -1);
    for (int step = 0; step <= 4; step++) {
        fake_expect_step(&f, step);
    }
    fake_ack(&f, 1);
    if (_i == 0) {
        fake_hang_up(&f);
    } else {
        fake_reset(&f);
    }
    put_steps(p, 5, 5);
    fake_welcome(&f, 2); // step 2 had reached the disk, its ack was lost
    for (int step = 3; step <= 5; step++) {
        fake_expect_step(&f, step);
    }
    ck_assert_uint_eq(counters_of(p).reconnects, 1);
    fake_ack(&f, 5);
    finish_well(&f, p);
}
END_TEST

START_TEST(events_are_sent_until_the_daemon_read_them) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    put_steps(p, 0, 0);
    ck_assert_int_eq(pyrometer_event(p, 0, "checkpoint", NULL), 0);
    fake_welcome(&f, -1);
    fake_expect_step(&f, 0);
    fake_expect(&f, "event");
    fake_expect(&f, "ping");
    fake_ack(&f, 0);
    fake_reset(&f);
    fake_welcome(&f, 0);
    fake_expect(&f, "event"); // no pong had come: again, and only the event
    fake_expect(&f, "ping");
    fake_say(&f, "{\"type\":\"pong\"}");
    finish_well(&f, p);
}
END_TEST

// The welcome's step is on disk, perhaps from another life of the job; an event that was not sent
// is not.
START_TEST(welcome_settles_no_event) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    put_steps(p, 0, 1);
    ck_assert_int_eq(pyrometer_event(p, 2, "checkpoint", NULL), 0);
    put_steps(p, 2, 6);
    fake_welcome(&f, 5);
    fake_expect(&f, "event");
    fake_expect_step(&f, 6);
    fake_ack(&f, 6);
    finish_well(&f, p);
}
END_TEST

// Which a daemon says that had them from another connection of the run, or that is mistaken.
START_TEST(ack_beyond_what_was_sent_settles_no_more) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    put_steps(p, 0, 0);
    fake_welcome(&f, -1);
    fake_expect_step(&f, 0);
    fake_ack(&f, 100);
    fake_ack(&f, 3); // and goes back
    put_steps(p, 1, 1);
    ck_assert_int_eq(pyrometer_event(p, 2, "checkpoint", NULL), 0);
    put_steps(p, 2, 2);
    for (int step = 1; step <= 2; step++) {
        fake_expect_step(&f, step);
        if (step == 1) {
            fake_expect(&f, "event");
        }
    }
    fake_ack(&f, 100);
    finish_well(&f, p);
}
END_TEST

START_TEST(welcome_without_its_step_is_hung_up_on) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    put_steps(p, 0, 0);
    fake_accept(&f);
    fake_expect(&f, "hello");
    fake_say(&f, "{\"type\":\"welcome\",\"protocol\":1}");
    fake_welcome(&f, -1);
    fake_expect_step(&f, 0);
    ck_assert_int_eq(counters_of(p).last_acked_step, -1);
    fake_ack(&f, 0);
    finish_well(&f, p);
}
END_TEST

START_TEST(pong_of_a_full_disk_settles_no_event) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    ck_assert_int_eq(pyrometer_event(p, 0, "checkpoint", NULL), 0);
    fake_welcome(&f, -1);
    fake_expect(&f, "event");
    fake_expect(&f, "ping");
    fake_say(&f, "{\"type\":\"pong\",\"stored\":false}");
    fake_expect(&f, "ping"); // after a while
    ck_assert_uint_eq(counters_of(p).queued, 1);
    fake_say(&f, "{\"type\":\"pong\"}");
    finish_well(&f, p);
}
END_TEST

// As of a daemon that was killed when it had read all, and stored nothing.
START_TEST(orderly_close_amid_a_run_settles_no_event) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    ck_assert_int_eq(pyrometer_event(p, 0, "checkpoint", NULL), 0);
    fake_welcome(&f, -1);
    fake_expect(&f, "event");
    fake_expect(&f, "ping");
    fake_hang_up(&f);
    fake_welcome(&f, -1);
    fake_expect(&f, "event");
    fake_expect(&f, "ping");
    fake_say(&f, "{\"type\":\"pong\"}");
    finish_well(&f, p);
}
END_TEST

START_TEST(orderly_close_after_the_end_settles_nothing) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    fake_welcome(&f, -1);
    struct finisher finisher;
    finish_start(&finisher, p);
    fake_expect(&f, "end");
    fake_expect(&f, "ping");
    fake_hang_up(&f);
    fake_welcome(&f, -1);
    fake_expect(&f, "end");
    fake_expect(&f, "ping");
    fake_say(&f, "{\"type\":\"pong\"}");
    ck_assert_int_eq(finish_result(&finisher), 0);
    pyrometer_close(p);
    fake_close(&f);
}
END_TEST

START_TEST(shutting_down_is_waited_out) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    put_steps(p, 0, 0);
    fake_welcome(&f, -1);
    fake_expect_step(&f, 0);
    fake_say(&f,
             "{\"type\":\"error\",\"code\":\"shutting_down\",\"message\":\"m\",\"fatal\":true}");
    fake_hang_up(&f);
    fake_welcome(&f, -1);
    fake_expect_step(&f, 0);
    expect_error(p, "shutting_down: m");
    fake_ack(&f, 0);
    finish_well(&f, p);
}
END_TEST

START_TEST(nonsense_is_hung_up_on) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    put_steps(p, 0, 0);
    fake_accept(&f);
    fake_expect(&f, "hello");
    fake_say(&f, "HTTP/1.1 400 \xff\xa7 Bad Request");
    fake_welcome(&f, -1); // on a new connection
    fake_expect_step(&f, 0);
    expect_error(p, "HTTP/1.1 400 ?? Bad");
    ck_assert_uint_eq(counters_of(p).reconnects, 0); // the first was none
    fake_ack(&f, 0);
    finish_well(&f, p);
}
END_TEST

START_TEST(absent_daemon_costs_nothing) {
    enum { STEPS = 1000 };
    char directory[] = "/tmp/pyrometer-test-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(directory));
    struct fake f = {.peer = -1};
    snprintf(f.address, sizeof f.address, "unix:%s/socket", directory);
    struct pyrometer *p = open_for(&f);
    put_steps(p, 0, STEPS - 1);
    ck_assert_uint_eq(counters_of(p).queued, STEPS);
    ck_assert_int_eq(pyrometer_finish(p, "completed", 0), -ETIMEDOUT);
    await_error(p, "No such file");

    struct sockaddr_un at = {.sun_family = AF_UNIX};
    ck_assert_int_lt(snprintf(at.sun_path, sizeof at.sun_path, "%s/socket", directory), 100);
    f.listener = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(f.listener, (const struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(f.listener, 1), 0);
    fake_welcome(&f, -1);
    for (int step = 0; step < STEPS; step++) {
        fake_expect_step(&f, step);
    }
    fake_ack(&f, STEPS - 1);
    finish_well(&f, p);
    unlink(at.sun_path);
    rmdir(directory);
}
END_TEST

// Much more waits than is written in one go, and nothing else happens that would wake the client.
START_TEST(backlog_is_sent_whole) {
    enum { STEPS = 20000 };
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    put_steps(p, 0, STEPS - 1);
    fake_welcome(&f, -1);
    for (int step = 0; step < STEPS; step++) {
        fake_expect_step(&f, step);
    }
    fake_ack(&f, STEPS - 1);
    finish_well(&f, p);
}
END_TEST

// No daemon answers while the queue fills.
START_TEST(full_queue_drops_the_newest_and_counts) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer_config config = config_for(&f);
    config.queue_bytes = 4096;
    struct pyrometer *p = pyrometer_open(&config);
    int kept = 0, dropped = 0;
    for (int step = 0; step < 500; step++) {
        int rc = put_step(p, step);
        ck_assert(rc == 0 || rc == -ENOBUFS);
        ck_assert_msg(rc != 0 || dropped == 0, "step %d was kept after one was dropped", step);
        kept += rc == 0;
        dropped += rc != 0;
    }
    ck_assert_int_gt(kept, 1);
    struct pyrometer_counters c = counters_of(p);
    ck_assert_uint_eq(c.dropped, (uint64_t)dropped);
    ck_assert_uint_eq(c.queued, (uint64_t)kept);
    ck_assert_uint_le(c.queued_bytes, 4096);
    expect_error(p, "4096 bytes is full");
    fake_welcome(&f, -1);
    for (int step = 0; step < kept; step++) {
        fake_expect_step(&f, step);
    }
    fake_ack(&f, kept - 1);
    finish_well(&f, p);
}
END_TEST

// The daemon welcomes and then reads nothing: TCP and the queue fill, the job goes on; nothing that
// was kept is lost when the daemon reads again.
START_TEST(slow_daemon_holds_nobody_up) {
    enum { EVENTS = 1000, DATA_BYTES = 32000 };
    struct fake f;
    fake_listen(&f);
    struct pyrometer_config config = config_for(&f);
    config.queue_bytes = 1024 * 1024;
    struct pyrometer *p = pyrometer_open(&config);
    fake_welcome(&f, -1);
    static char data[DATA_BYTES + 1];
    memset(data, ' ', DATA_BYTES);
    data[0] = '1';
    int kept = 0;
    for (int i = 0; i < EVENTS; i++) {
        kept += pyrometer_event(p, i, "big", data) == 0;
    }
    ck_assert_int_lt(kept, EVENTS);
    ck_assert_uint_eq(counters_of(p).dropped, (uint64_t)(EVENTS - kept));
    ck_assert_int_eq(finish_whatever_comes(&f, p).events, kept);
}
END_TEST

// --- refusals ---

START_TEST(refused_for_good) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    put_steps(p, 0, 0);
    fake_accept(&f);
    fake_expect(&f, "hello");
    fake_say(&f, "{\"type\":\"error\",\"code\":\"unauthorized\",\"message\":\"no \\\"such\\\" "
                 "token\",\"fatal\":true}");
    fake_hang_up(&f);
    ck_assert_int_eq(pyrometer_finish(p, "completed", PATIENCE_MS), -ECONNABORTED);
    ck_assert_int_eq(put_step(p, 1), -ECONNABORTED);
    ck_assert(counters_of(p).stopped);
    ck_assert_uint_eq(counters_of(p).dropped, 1);
    expect_error(p, "unauthorized: no \"such\" token");
    pyrometer_close(p);
    fake_close(&f);
}
END_TEST

START_TEST(refused_hello_is_not_said_again) {
    static const char *const refusals[] = {
        "\"code\":\"bad_json\",\"message\":\"not UTF-8\",\"line\":1,\"fatal\":false",
        "\"code\":\"too_large\",\"message\":\"too long\",\"line\":1,\"fatal\":true"};
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    fake_accept(&f);
    fake_expect(&f, "hello");
    fake_say(&f, "{\"type\":\"error\",%s}", refusals[_i]);
    ck_assert_int_eq(pyrometer_finish(p, "completed", PATIENCE_MS), -ECONNABORTED);
    pyrometer_close(p);
    fake_close(&f);
}
END_TEST

START_TEST(refused_step_is_not_waited_for) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer *p = open_for(&f);
    put_steps(p, 0, 1);
    fake_welcome(&f, -1);
    fake_expect_step(&f, 0);
    fake_expect_step(&f, 1);
    fake_ack(&f, 0);
    fake_say(&f, "{\"type\":\"error\",\"code\":\"bad_value\",\"message\":\"m\",\"line\":3,"
                 "\"fatal\":false}"); // the hello was line 1
    struct finisher finisher;
    finish_start(&finisher, p);
    fake_expect(&f, "end");
    fake_expect(&f, "ping");
    fake_say(&f, "{\"type\":\"pong\"}");
    ck_assert_int_eq(finish_result(&finisher), 0);
    ck_assert_uint_eq(counters_of(p).refused, 1);
    ck_assert_uint_eq(counters_of(p).acked, 2);
    pyrometer_close(p);
    fake_close(&f);
}
END_TEST

START_TEST(rewind_is_said_once) {
    struct fake f;
    fake_listen(&f);
    struct pyrometer_config config = config_for(&f);
    config.rewind = true;
    config.rewind_step = 500;
    struct pyrometer *p = pyrometer_open(&config);
    put_steps(p, 501, 501);
    fake_accept(&f);
    cJSON *hello = fake_read(&f);
    ck_assert_double_eq(number_of(cJSON_GetObjectItem(hello, "resume"), "rewind"), 500);
    cJSON_Delete(hello);
    fake_say(&f, "{\"type\":\"welcome\",\"last_step\":1203}");
    fake_expect_step(&f, 501); // step 1203 was before the rewind
    fake_reset(&f);
    fake_accept(&f);
    hello = fake_read(&f);
    ck_assert_str_eq(string_of(hello, "resume"), "continue");
    cJSON_Delete(hello);
    fake_say(&f, "{\"type\":\"welcome\",\"last_step\":501}");
    finish_well(&f, p);
}
END_TEST

int main(void) {
    without_spool();
    TCase *test = tcase_create("client_link");
    tcase_add_loop_test(test, reconnect_sends_what_was_not_stored, 0, 2);
    tcase_add_test(test, events_are_sent_until_the_daemon_read_them);
    tcase_add_test(test, welcome_settles_no_event);
    tcase_add_test(test, ack_beyond_what_was_sent_settles_no_more);
    tcase_add_test(test, welcome_without_its_step_is_hung_up_on);
    tcase_add_test(test, pong_of_a_full_disk_settles_no_event);
    tcase_add_test(test, orderly_close_amid_a_run_settles_no_event);
    tcase_add_test(test, orderly_close_after_the_end_settles_nothing);
    tcase_add_test(test, shutting_down_is_waited_out);
    tcase_add_test(test, nonsense_is_hung_up_on);
    tcase_add_test(test, absent_daemon_costs_nothing);
    tcase_add_test(test, backlog_is_sent_whole);
    tcase_add_test(test, full_queue_drops_the_newest_and_counts);
    tcase_add_test(test, slow_daemon_holds_nobody_up);
    tcase_add_test(test, refused_for_good);
    tcase_add_loop_test(test, refused_hello_is_not_said_again, 0, 2);
    tcase_add_test(test, refused_step_is_not_waited_for);
    tcase_add_test(test, rewind_is_said_once);
    return run_tests("client_link", test);
}
