// The C client's spool: what was appended comes back in order, whatever happened to the files.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clients/c/backlog.h"
#include "clients/c/spool.h"
#include "tests/unit/fake_daemon.h"

static char root[64];

static void make_root(void) {
    snprintf(root, sizeof root, "/tmp/pyrometer-spool-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void remove_root(void) {
    ck_assert_int_eq(rmdir(root), 0); // every test leaves nothing
}

static struct pyr_spool *open_spool(uint64_t bytes_max) {
    struct pyr_text hello = {0};
    pyr_text_literal(&hello, "{\"type\":\"hello\",\"run\":\"r\"}\n");
    struct pyr_spool *s = pyr_spool_new(root, "r", &hello, &hello, bytes_max);
    ck_assert_ptr_nonnull(s);
    pyr_text_free(&hello);
    return s;
}

static void append(struct pyr_spool *s, int step, size_t padding) {
    struct pyr_text line = {0};
    pyr_text_literal(&line, "{\"type\":\"step\",\"step\":");
    pyr_text_integer(&line, step);
    pyr_text_literal(&line, ",\"x\":\"");
    for (size_t i = 0; i < padding; i++) { // does not compress
        char c = (char)('0' + rand() % 75);
        pyr_text_add(&line, c == '\\' ? "a" : &c, 1);
    }
    pyr_text_literal(&line, "\"}\n");
    ck_assert(pyr_spool_append(s, line.data, line.length));
    pyr_text_free(&line);
}

struct seen {
    int first, last, count, adopted;
};

static bool see(void *context, const char *line, size_t n, bool adopted) {
    struct seen *seen = context;
    int step = -1;
    ck_assert_int_eq(line[n - 1], '\n');
    ck_assert_int_eq(sscanf(line, "{\"type\":\"step\",\"step\":%d", &step), 1);
    ck_assert(seen->count == 0 || step == seen->last + 1);
    seen->first = seen->count == 0 ? step : seen->first;
    seen->last = step;
    seen->count++;
    seen->adopted += adopted;
    return true;
}

static struct seen deliver(struct pyr_spool *s) {
    struct seen seen = {0};
    while (!pyr_spool_is_empty(s)) {
        ck_assert(pyr_spool_read(s, see, &seen));
        pyr_spool_remove(s);
    }
    ck_assert_uint_eq(pyr_spool_lines(s), 0);
    return seen;
}

START_TEST(what_went_in_comes_out_in_order) {
    struct pyr_spool *s = open_spool(1 << 30);
    ck_assert(pyr_spool_is_empty(s));
    for (int step = 0; step < 20; step++) { // more than one segment
        append(s, step, 1 << 20);
    }
    ck_assert_uint_eq(pyr_spool_lines(s), 20);
    struct seen seen = deliver(s);
    ck_assert(seen.first == 0 && seen.count == 20 && seen.adopted == 0);
    append(s, 20, 1); // and begins again
    ck_assert_int_eq(deliver(s).first, 20);
    pyr_spool_free(s);
}
END_TEST

START_TEST(the_oldest_gives_way) {
    struct pyr_spool *s = open_spool(12 << 20);
    for (int step = 0; step < 40; step++) {
        append(s, step, 1 << 20);
    }
    uint64_t dropped = pyr_spool_dropped(s);
    ck_assert_uint_gt(dropped, 0);
    struct seen seen = deliver(s);
    ck_assert_int_eq(seen.first, (int)dropped);
    ck_assert_int_eq(seen.last, 39);
    pyr_spool_free(s);
}
END_TEST

START_TEST(what_is_being_delivered_does_not_give_way) {
    struct pyr_spool *s = open_spool(12 << 20);
    struct seen seen = {0};
    for (int step = 0; step < 8; step++) {
        append(s, step, 1 << 20);
    }
    ck_assert(pyr_spool_read(s, see, &seen));
    ck_assert(seen.count == 8 && pyr_spool_dropped(s) == 0);
    for (int step = 8; step < 40; step++) {
        append(s, step, 1 << 20);
    }
    uint64_t dropped = pyr_spool_dropped(s);
    ck_assert_uint_gt(dropped, 0);
    pyr_spool_remove(s); // all of it arrived
    seen = deliver(s);
    ck_assert_int_eq(seen.first, 8 + (int)dropped);
    ck_assert_int_eq(seen.last, 39);
    pyr_spool_free(s);
}
END_TEST

START_TEST(a_long_line_comes_back_whole) {
    enum { LONG_BYTES = 20 << 20 };
    struct pyr_spool *s = open_spool(1 << 30);
    append(s, 0, 10);
    append(s, 1, LONG_BYTES);
    append(s, 2, 10);
    ck_assert_int_eq(deliver(s).count, 3);
    pyr_spool_free(s);
}
END_TEST

// The name of the only directory of the root, and of a file in it.
static void find(char path[512], const char *directory, const char *what) {
    DIR *d = opendir(directory);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (strstr(e->d_name, what)) {
            snprintf(path, 512, "%s/%s", directory, e->d_name);
        }
    }
    closedir(d);
}

// A process that is killed: what it flushed, but for what the disk did not get.
static void leave_behind(size_t cut) {
    pid_t child = fork();
    if (child == 0) {
        struct pyr_spool *s = open_spool(1 << 30);
        append(s, 0, 10);
        (void)pyr_spool_flush(s);
        append(s, 1, 1000);
        (void)pyr_spool_flush(s);
        _exit(0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    char directory[512] = "", file[512] = "";
    find(directory, root, "r.");
    find(file, directory, ".gz");
    struct stat now;
    ck_assert_int_eq(stat(file, &now), 0);
    ck_assert_int_eq(truncate(file, now.st_size - (off_t)cut), 0);
}

START_TEST(what_was_left_behind_is_adopted) {
    leave_behind(0);
    struct pyr_spool *s = open_spool(1 << 30);
    pyr_spool_adopt(s);
    ck_assert_uint_eq(pyr_spool_lines(s), 2);
    struct pyr_spool *late = open_spool(1 << 30); // it is somebody's now
    pyr_spool_adopt(late);
    ck_assert(pyr_spool_is_empty(late));
    pyr_spool_free(late);
    append(s, 2, 10);
    struct seen seen = deliver(s);
    ck_assert(seen.first == 0 && seen.count == 3 && seen.adopted == 2);
    pyr_spool_free(s);
}
END_TEST

START_TEST(a_torn_member_costs_its_own_lines) {
    leave_behind(100);
    struct pyr_spool *s = open_spool(1 << 30);
    pyr_spool_adopt(s);
    struct seen seen = deliver(s);
    ck_assert(seen.first == 0 && seen.count == 1);
    pyr_spool_free(s);
}
END_TEST

START_TEST(what_a_damaged_disk_made_of_a_line_is_left_out) {
    leave_behind(0);
    char directory[512] = "", file[512] = "";
    find(directory, root, "r.");
    find(file, directory, ".gz");
    FILE *f = fopen(file, "w"); // zlib takes plain text for what it is
    fputs("{\"type\":\"step\",\"step\":0}\n\xa7\x01\n", f);
    fputs("\n{\"type\":\"step\",\"step\":1}\n", f);
    fclose(f);
    struct pyr_spool *s = open_spool(1 << 30);
    pyr_spool_adopt(s);
    ck_assert_int_eq(deliver(s).count, 2);
    pyr_spool_free(s);
}
END_TEST

static bool refuse(void *context, const char *line, size_t n, bool adopted) {
    (void)line, (void)n, (void)adopted;
    ++*(int *)context;
    return false;
}

START_TEST(a_segment_that_cannot_be_read_now_stays) {
    struct pyr_spool *s = open_spool(1 << 30);
    append(s, 0, 10);
    append(s, 1, 10);
    int asked = 0;
    ck_assert(!pyr_spool_read(s, refuse, &asked)); // no memory for a line
    ck_assert_int_eq(asked, 1);
    struct rlimit files = {0};
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = files.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    bool whole = pyr_spool_read(s, see, &(struct seen){0});
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    ck_assert(!whole);
    ck_assert_int_eq(deliver(s).count, 2);
    pyr_spool_free(s);
}
END_TEST

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // these map what they like

enum { BIG_LINE_BYTES = 64 << 20 };

static struct pyr_message *big_step(void) {
    char *line = malloc(BIG_LINE_BYTES);
    ck_assert_ptr_nonnull(line);
    memset(line, ' ', BIG_LINE_BYTES);
    int n = snprintf(line, BIG_LINE_BYTES, "{\"type\":\"step\",\"step\":7,\"loss\":");
    line[n] = '1';
    memcpy(line + BIG_LINE_BYTES - 3, "}\n", 3);
    struct pyr_message *m = pyr_message_line(line, BIG_LINE_BYTES - 1);
    ck_assert_ptr_nonnull(m);
    free(line);
    return m;
}

// For no more than half a line.
static void leave_little_memory(struct rlimit *before) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%ld", &pages), 1);
    fclose(file);
    ck_assert_int_eq(getrlimit(RLIMIT_AS, before), 0);
    rlim_t most = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + BIG_LINE_BYTES / 2;
    ck_assert_int_eq(
        setrlimit(RLIMIT_AS, &(struct rlimit){.rlim_cur = most, .rlim_max = before->rlim_max}), 0);
}

START_TEST(what_there_is_no_memory_to_spill_waits) {
    struct pyrometer p = {.spool = open_spool(1 << 30),
                          .rewind_step = INT64_MAX,
                          .queue.bytes_max = 1 << 30,
                          .flight.bytes_max = 1 << 30,
                          .lock = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER};
    ck_assert(pyr_queue_append(&p.queue, big_step()));
    struct rlimit before;
    leave_little_memory(&before);
    pyr_backlog_spill(&p, true); // comes back
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
    ck_assert(p.queue.count == 1 && pyr_backlog_can_spill(&p));
    pyr_backlog_spill(&p, true); // the next time there is
    ck_assert(p.queue.count == 0 && p.counters.spooled == 1);
    pyr_spool_remove(p.spool);
    pyr_spool_free(p.spool);
}
END_TEST

#endif

START_TEST(a_disk_that_takes_something_again_is_used_again) {
    char file[96], inside[128];
    snprintf(file, sizeof file, "%s/file", root);
    snprintf(inside, sizeof inside, "%s/spool", file);
    fclose(fopen(file, "w"));
    struct pyr_text hello = {0};
    struct pyr_spool *s = pyr_spool_new(inside, "r", &hello, &hello, 1 << 30);
    ck_assert(!pyr_spool_append(s, "{}\n", 3));
    ck_assert_int_eq(unlink(file), 0);
    pyr_spool_try_again(s, false);
    ck_assert_ptr_nonnull(pyr_spool_fault(s)); // not yet
    pyr_spool_try_again(s, true);
    append(s, 7, 10);
    ck_assert(pyr_spool_flush(s));
    ck_assert_int_eq(deliver(s).first, 7);
    pyr_spool_free(s);
    ck_assert_int_eq(rmdir(inside), 0);
    ck_assert_int_eq(rmdir(file), 0);
}
END_TEST

static bool no_copies;

// In place of the C library's.
char *strdup(const char *text) {
    size_t n = strlen(text) + 1;
    char *copy = no_copies ? NULL : malloc(n);
    return copy ? memcpy(copy, text, n) : NULL;
}

START_TEST(a_directory_that_there_is_no_memory_to_name) {
    leave_behind(0);
    struct pyr_spool *s = open_spool(1 << 30);
    no_copies = true;
    ck_assert(!pyr_spool_append(s, "{}\n", 3));
    pyr_spool_adopt(s);
    no_copies = false;
    ck_assert_int_eq(deliver(s).count, 2);
    pyr_spool_free(s);
    s = open_spool(1 << 30); // what could not be tidied up then is now
    pyr_spool_adopt(s);
    pyr_spool_free(s);
}
END_TEST

START_TEST(a_disk_that_takes_nothing_is_told) {
    struct pyr_text hello = {0};
    struct pyr_spool *s = pyr_spool_new("/dev/null/spool", "r", &hello, &hello, 1 << 30);
    ck_assert_ptr_null(pyr_spool_fault(s));
    ck_assert(!pyr_spool_append(s, "{}\n", 3));
    ck_assert_ptr_nonnull(strstr(pyr_spool_fault(s), "Not a directory"));
    ck_assert(!pyr_spool_append(s, "{}\n", 3));
    pyr_spool_free(s);
}
END_TEST

int main(void) {
    TCase *test = tcase_create("client_spool");
    tcase_add_checked_fixture(test, make_root, remove_root);
    tcase_add_test(test, what_went_in_comes_out_in_order);
    tcase_add_test(test, the_oldest_gives_way);
    tcase_add_test(test, what_is_being_delivered_does_not_give_way);
    tcase_add_test(test, a_long_line_comes_back_whole);
    tcase_add_test(test, what_was_left_behind_is_adopted);
    tcase_add_test(test, a_torn_member_costs_its_own_lines);
    tcase_add_test(test, what_a_damaged_disk_made_of_a_line_is_left_out);
    tcase_add_test(test, a_segment_that_cannot_be_read_now_stays);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    tcase_add_test(test, what_there_is_no_memory_to_spill_waits);
#endif
    tcase_add_test(test, a_directory_that_there_is_no_memory_to_name);
    tcase_add_test(test, a_disk_that_takes_nothing_is_told);
    tcase_add_test(test, a_disk_that_takes_something_again_is_used_again);
    return run_tests("client_spool", test);
}
