// The notification module against a datagram socket that stands in for the service manager.
#include "daemon/notify.h"

#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char directory[] = "/tmp/pyrometer-notify-XXXXXX";

// Binds a socket of that name ('@' is the abstract namespace) and points NOTIFY_SOCKET at it.
static int listen_at(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    ck_assert_uint_lt(length, sizeof address.sun_path);
    memcpy(address.sun_path, name, length);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (*name == '@') {
        address.sun_path[0] = '\0';
    } else {
        size = sizeof address;
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static void assert_received(int fd, const char *expected) {
    char text[256] = {0};
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    ck_assert_int_eq(n, (ssize_t)strlen(expected));
    ck_assert_str_eq(text, expected);
}

START_TEST(test_path_socket) {
    char path[100];
    snprintf(path, sizeof path, "%s/socket", directory);
    int fd = listen_at(path);
    ck_assert_int_eq(notify_send("READY=1\nSTATUS=3 runs"), 0);
    ck_assert_int_eq(notify_send("WATCHDOG=1"), 0);
    assert_received(fd, "READY=1\nSTATUS=3 runs");
    assert_received(fd, "WATCHDOG=1");
    close(fd);
    ck_assert_int_eq(notify_send("STOPPING=1"), -ECONNREFUSED);
    unlink(path);
    ck_assert_int_eq(notify_send("STOPPING=1"), -ENOENT);
}
END_TEST

START_TEST(test_abstract_socket) {
    char name[100];
    snprintf(name, sizeof name, "@pyrometer-test-%d", (int)getpid());
    int fd = listen_at(name);
    ck_assert_int_eq(notify_send("READY=1"), 0);
    assert_received(fd, "READY=1");
    close(fd);
    ck_assert_int_eq(notify_send("READY=1"), -ECONNREFUSED);
}
END_TEST

START_TEST(test_longest_path) {
    char name[108] = "@";
    memset(name + 1, 'x', sizeof name - 2);
    snprintf(name + 1, 40, "pyrometer-test-long-%d", (int)getpid());
    name[strlen(name)] = '-';
    ck_assert_uint_eq(strlen(name), 107);
    int fd = listen_at(name);
    ck_assert_int_eq(notify_send("READY=1"), 0);
    assert_received(fd, "READY=1");
    close(fd);
}
END_TEST

START_TEST(test_nobody_listens) {
    unsetenv("NOTIFY_SOCKET");
    ck_assert_int_eq(notify_send("READY=1"), 0);
    setenv("NOTIFY_SOCKET", "", 1);
    ck_assert_int_eq(notify_send("READY=1"), 0);
}
END_TEST

START_TEST(test_bad_names) {
    char too_long[200] = "/";
    memset(too_long + 1, 'x', sizeof too_long - 2);
    const char *const names[] = {"relative", "vsock:2:1234", "/", "@", too_long};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        ck_assert_int_eq(notify_send("READY=1"), -EINVAL);
    }
}
END_TEST

static uint64_t interval_with(const char *usec, const char *pid) {
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    if (usec) {
        setenv("WATCHDOG_USEC", usec, 1);
    }
    if (pid) {
        setenv("WATCHDOG_PID", pid, 1);
    }
    return notify_watchdog_interval_ms();
}

START_TEST(test_watchdog_interval) {
    char me[32], other[32];
    snprintf(me, sizeof me, "%d", (int)getpid());
    snprintf(other, sizeof other, "%d", (int)getpid() + 1);
    ck_assert_uint_eq(interval_with("30000000", NULL), 15000);
    ck_assert_uint_eq(interval_with("30000000", me), 15000);
    ck_assert_uint_eq(interval_with("30000000", other), 0);
    ck_assert_uint_eq(interval_with("30000000", "x"), 0);
    ck_assert_uint_eq(interval_with("1", NULL), 1);
    ck_assert_uint_eq(interval_with(NULL, me), 0);
    const char *const bad[] = {"", "0", "-5", " 5", "5s", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_uint_eq(interval_with(bad[i], NULL), 0);
    }
}
END_TEST

int main(void) {
    if (!mkdtemp(directory)) {
        perror(directory);
        return 1;
    }
    Suite *suite = suite_create("notify");
    TCase *cases = tcase_create("notify");
    tcase_add_test(cases, test_path_socket);
    tcase_add_test(cases, test_abstract_socket);
    tcase_add_test(cases, test_longest_path);
    tcase_add_test(cases, test_nobody_listens);
    tcase_add_test(cases, test_bad_names);
    tcase_add_test(cases, test_watchdog_interval);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    rmdir(directory);
    return failed ? 1 : 0;
}
