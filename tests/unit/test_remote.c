// Remote write without a network: the bytes of a request, which series end, what waits.
#include "base/num.h"
#include "remote/message.h"
#include "remote/packer.h"
#include "remote/queue.h"
#include "remote/series.h"
#include "tests/unit/support/support.h"

#include <math.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>

// -- messages ------------------------------------------------------------------------------------

static const struct metrics_family family = {"m", "counter", NULL, "M."};

static struct buf series_of(const struct metrics_sample *s, const struct metrics_label *more,
                            size_t n) {
    struct buf out;
    buf_init(&out, 10000);
    message_series(&out, s, more, n);
    return out;
}

static void assert_bytes(const struct buf *is, const char *bytes, size_t n) {
    ck_assert_uint_eq(is->len, n);
    ck_assert_mem_eq(is->data, bytes, n);
}

// Fields by hand: a key's low three bits are 2 for bytes, 1 for eight of them, 0 for a varint.
#define NAME "\x0A\x0F\x0A\x08__name__\x12\x03m_t"

START_TEST(test_series) {
    static const char wanted[] = "\x0A\x06\x0A\x01"
                                 "A\x12\x01z" NAME "\x0A\x06\x0A\x01"
                                 "b\x12\x01y\x0A\x08\x0A\x03run\x12\x01x";
    struct metrics_sample s = {.family = &family,
                               .suffix = "_t",
                               .labels = {{"run", "x"}, {"layer", ""}, {"b", "y"}},
                               .n_labels = 3};
    struct metrics_label more[] = {{"A", "z"}};
    struct buf is = series_of(&s, more, 1);
    assert_bytes(&is, wanted, sizeof wanted - 1);
    buf_free(&is);
    s.n_labels = 0;
    is = series_of(&s, NULL, 0);
    assert_bytes(&is, NAME, sizeof NAME - 1);
    buf_free(&is);
}
END_TEST

START_TEST(test_samples) {
    static const struct {
        double value;
        const char *bits; // little-endian
    } cases[] = {{1, "\0\0\0\0\0\0\xF0\x3F"},
                 {(double)INFINITY, "\0\0\0\0\0\0\xF0\x7F"},
                 {(double)NAN, "\1\0\0\0\0\0\xF8\x7F"}};
    struct buf is;
    buf_init(&is, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_clear(&is);
        message_put(&is, "ab", 2, cases[i].value, 300);
        static const char head[] = "\x0A\x10"
                                   "ab\x12\x0C\x09";
        ck_assert_uint_eq(is.len, 18);
        ck_assert_mem_eq(is.data, head, sizeof head - 1);
        ck_assert_mem_eq(is.data + 7, cases[i].bits, 8);
        ck_assert_mem_eq(is.data + 15, "\x10\xAC\x02", 3);
    }
    buf_clear(&is);
    message_put_end(&is, "ab", 2, 300);
    ck_assert_mem_eq(is.data + 7, "\2\0\0\0\0\0\xF0\x7F", 8);
    double marker;
    memcpy(&marker, is.data + 7, 8);
    buf_clear(&is);
    message_put(&is, "ab", 2, marker, 300); // a job's NaN
    ck_assert_mem_eq(is.data + 7, "\1\0\0\0\0\0\xF8\x7F", 8);
    buf_free(&is);
}
END_TEST

START_TEST(test_packed) {
    struct buf message;
    buf_init(&message, 1 << 20);
    for (int i = 0; i < 1000; i++) {
        message_put(&message, "much the same series", 20, i, 1732345678123 + i);
    }
    size_t size, back_size = message.len;
    struct buf why;
    buf_init(&why, 1000);
    ck_assert_msg(packer_load(&why) == 0, "%s", buf_str(&why));
    buf_free(&why);
    char *packed = packer_pack(&message, &size), *back = malloc(back_size);
    ck_assert_uint_lt(size, message.len / 2);
    ck_assert(snappy_uncompress(packed, size, back, &back_size) == SNAPPY_OK);
    assert_bytes(&message, back, back_size);
    free(packed);
    free(back);
    buf_free(&message);
}
END_TEST

// -- series --------------------------------------------------------------------------------------

static void count_ended(void *context, const void *key, size_t len) {
    size_t *sum = context, number;
    ck_assert_uint_eq(len, sizeof number);
    memcpy(&number, key, sizeof number);
    *sum += number;
}

START_TEST(test_series_end) {
    struct series_set s;
    series_set_init(&s);
    for (size_t i = 0; i < 10000; i++) {
        ck_assert(series_set_note(&s, &i, sizeof i, 1));
        ck_assert(!series_set_note(&s, &i, sizeof i, 1)); // twice in one round
    }
    for (size_t i = 0; i < 10000; i++) {
        if (i != 7 && i != 9000) {
            ck_assert(series_set_note(&s, &i, sizeof i, 2));
        }
    }
    size_t sum = 0;
    series_set_sweep(&s, 2, count_ended, &sum);
    ck_assert_uint_eq(sum, 9007);
    ck_assert_uint_eq(s.n, 9998);
    series_set_sweep(&s, 2, count_ended, &sum); // once
    ck_assert_uint_eq(sum, 9007);
    size_t again = 7;
    ck_assert(series_set_note(&s, &again, sizeof again, 2));
    series_set_sweep(&s, 0, count_ended, &sum);
    ck_assert_uint_eq(sum, 9007 + 9999 * 10000 / 2 - 9000);
    ck_assert_uint_eq(s.n, 0);
    series_set_free(&s);
}
END_TEST

START_TEST(test_groups) {
    struct series_groups g = {0};
    struct series_group *found[100];
    char name[8];
    for (size_t i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "%zu", i * 37 % 100);
        found[i * 37 % 100] = series_groups_find(&g, name);
    }
    size_t key = 5, sum = 0;
    series_set_note(&found[50]->set, &key, sizeof key, 1);
    series_groups_end(&g, found[50], count_ended, &sum);
    ck_assert_uint_eq(sum, 5);
    ck_assert_uint_eq(g.n, 99);
    ck_assert_ptr_eq(series_groups_find(&g, "51"), found[51]);
    ck_assert_uint_eq(series_groups_find(&g, "50")->set.n, 0);
    series_groups_free(&g);
}
END_TEST

// -- the queue -----------------------------------------------------------------------------------

START_TEST(test_queue) {
    struct queue q;
    queue_init(&q, 10);
    ck_assert_uint_eq(queue_shed(&q, false), 0);
    for (uint64_t i = 1; i <= 4; i++) {
        queue_push(&q, malloc(4), 4, i);
    }
    ck_assert_uint_eq(q.n_samples, 10);
    ck_assert_uint_eq(queue_shed(&q, true), 2 + 3); // the first is being sent
    ck_assert_uint_eq(q.bytes, 8);
    ck_assert_uint_eq(queue_pop(&q), 1);
    queue_push(&q, malloc(11), 11, 5);
    ck_assert_uint_eq(queue_shed(&q, false), 4 + 5); // too large by itself
    queue_push(&q, malloc(1), 1, 6);
    ck_assert_uint_eq(queue_clear(&q), 6);
    ck_assert_ptr_null(q.first);
    ck_assert_uint_eq(q.bytes + q.n_samples, 0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_series,     test_samples, test_packed,
                                  test_series_end, test_groups,  test_queue};
    return run_suite(suite_of("remote write", tests, COUNT(tests)));
}
