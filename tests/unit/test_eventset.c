// The set of an attempt's events: what it takes for one that was sent again.
#include "runs/eventset.h"
#include "tests/unit/support/support.h"

static struct eventset set;

static void start(void) {
    eventset_free(&set);
}

START_TEST(test_only_the_same_is_a_repeat) {
    start();
    for (int round = 0; round < 2; round++) {
        bool is_new = round == 0;
        ck_assert(eventset_add(&set, 4, 10.5, "epoch", "{\"k\":1}") == is_new);
        ck_assert(eventset_add(&set, 5, 10.5, "epoch", "{\"k\":1}") == is_new);
        ck_assert(eventset_add(&set, 4, 10.25, "epoch", "{\"k\":1}") == is_new);
        ck_assert(eventset_add(&set, 4, 10.5, "epoc", "{\"k\":1}") == is_new);
        ck_assert(eventset_add(&set, 4, 10.5, "epoch", "{\"k\":2}") == is_new);
        ck_assert(eventset_add(&set, 4, 10.5, "epoch", NULL) == is_new);
        ck_assert(eventset_add(&set, 4, 10.5, "epoch", "") == is_new);
    }
    ck_assert_uint_eq(set.n, 7);
    start();
}
END_TEST

// Microseconds apart, as the clients' are at least, and in any order.
START_TEST(test_any_order) {
    start();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1000; i++) {
            double time = 1732345678 + (i * 617 % 1000) * 1e-6;
            ck_assert(eventset_add(&set, 0, time, "mark", NULL) == (round == 0));
        }
    }
    for (size_t i = 1; i < set.n; i++) {
        ck_assert_double_lt(set.keys[i - 1].time, set.keys[i].time);
    }
    start();
}
END_TEST

START_TEST(test_the_earlier_half_is_forgotten) {
    start();
    for (size_t i = 0; i <= EVENTSET_MAX; i++) {
        ck_assert(eventset_add(&set, (int64_t)i, (double)i, "mark", NULL));
    }
    ck_assert_uint_eq(set.n, EVENTSET_MAX / 2 + 1);
    ck_assert_uint_le(set.cap, EVENTSET_MAX);
    ck_assert(!eventset_add(&set, (int64_t)EVENTSET_MAX, (double)EVENTSET_MAX, "mark", NULL));
    ck_assert(eventset_add(&set, 0, 0, "mark", NULL)); // rather twice than lost
    start();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_only_the_same_is_a_repeat, test_any_order,
                                  test_the_earlier_half_is_forgotten};
    return run_suite(suite_of("eventset", tests, COUNT(tests)));
}
