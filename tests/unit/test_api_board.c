// The board: what is published is found, what is forgotten is gone, and streams get their letters,
// also with several threads at it.
#include "api/board.h"

#include "base/check.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct snapshot *make(const char *run, int64_t step) {
    struct snapshot *s = NEW(struct snapshot);
    s->refs = 1;
    s->step = step;
    s->version = (uint64_t)step + 1;
    s->record.name = strdup(run);
    return s;
}

static int64_t step_of(struct board *b, const char *run) {
    struct snapshot *s = board_find(b, run);
    int64_t step = s ? s->step : -1;
    snapshot_unref(s);
    return step;
}

START_TEST(test_publish_find_forget) {
    struct board *b = board_create();
    for (int i = 0; i < 100; i++) {
        char name[20];
        snprintf(name, sizeof name, "run-%d", (i * 37) % 100);
        board_publish(b, make(name, i));
    }
    board_publish(b, make("run-37", 1000));
    ck_assert_int_eq(step_of(b, "run-0"), 0);
    ck_assert_int_eq(step_of(b, "run-37"), 1000);
    ck_assert_int_eq(step_of(b, "run-100"), -1);
    ck_assert_int_eq(step_of(b, ""), -1);
    struct snapshot **all;
    size_t n = board_all(b, &all);
    ck_assert_uint_eq(n, 100);
    for (size_t i = 0; i < n; i++) {
        ck_assert(i == 0 || strcmp(all[i - 1]->record.name, all[i]->record.name) < 0);
        snapshot_unref(all[i]);
    }
    free(all);
    board_forget(b, "run-37");
    board_forget(b, "never");
    ck_assert_int_eq(step_of(b, "run-37"), -1);
    board_destroy(b);
}
END_TEST

START_TEST(test_reference_outlives_the_board) {
    struct board *b = board_create();
    board_publish(b, make("a", 7));
    struct snapshot *s = board_find(b, "a");
    board_publish(b, make("a", 8));
    board_destroy(b);
    ck_assert_int_eq(s->step, 7);
    ck_assert_uint_eq(s->refs, 1);
    snapshot_unref(s);
}
END_TEST

START_TEST(test_trouble) {
    struct board *b = board_create();
    char text[16] = "x";
    struct board_trouble trouble;
    ck_assert(board_ready(b, text, sizeof text));
    ck_assert_str_eq(text, "");
    board_set_trouble(b, NULL);
    ck_assert(!board_trouble(b, &trouble));
    board_set_trouble(b, "the disk is full and more");
    ck_assert(!board_ready(b, text, sizeof text));
    ck_assert_str_eq(text, "the disk is ful");
    ck_assert(board_trouble(b, &trouble));
    double began = trouble.began;
    ck_assert_double_eq(trouble.ended, 0);
    board_set_trouble(b, "still");
    ck_assert(board_trouble(b, &trouble));
    ck_assert_str_eq(trouble.reason, "still");
    ck_assert_double_eq(trouble.began, began);
    board_set_trouble(b, NULL);
    ck_assert(board_ready(b, text, sizeof text));
    ck_assert_str_eq(text, "");
    ck_assert(board_trouble(b, &trouble));
    ck_assert_double_ge(trouble.ended, began);
    board_set_trouble(b, NULL); // changes nothing
    ck_assert_double_ge(trouble.ended, began);
    board_destroy(b);
}
END_TEST

START_TEST(test_rules) {
    struct board *b = board_create();
    char glob[] = "fc*";
    struct rule rule = rule_default(RULE_STALLED);
    rule.for_steps = 77;
    rule.layer_glob = glob;
    struct ruleset *mine = ruleset_create(&rule, 1);
    board_set_rules(b, mine);
    ruleset_release(mine);
    glob[0] = '?'; // the configuration's text may go at any time
    struct ruleset *got = board_rules(b);
    board_destroy(b);
    ck_assert_uint_eq(ruleset_count(got), 1);
    ck_assert_uint_eq(ruleset_rule(got, 0)->for_steps, 77);
    ck_assert_str_eq(ruleset_rule(got, 0)->layer_glob, "fc*");
    ruleset_release(got);
}
END_TEST

START_TEST(test_fired) {
    struct board *b = board_create();
    ck_assert_uint_eq(board_fired(b, "overheating"), 0);
    board_count_fired(b, "overheating");
    board_count_fired(b, "a_rule_of_my_own");
    board_count_fired(b, "overheating");
    ck_assert_uint_eq(board_fired(b, "overheating"), 2);
    ck_assert_uint_eq(board_fired(b, "a_rule_of_my_own"), 1);
    board_destroy(b);
}
END_TEST

// A subscriber that only counts how often it slept and was woken.
struct sleeper {
    int slept, woken;
};

static void fall_asleep(void *context) {
    struct sleeper *s = context;
    ck_assert_int_eq(s->slept, s->woken);
    s->slept++;
}

static void wake_up(void *context) {
    struct sleeper *s = context;
    s->woken++;
    ck_assert_int_eq(s->slept, s->woken);
}

static struct subscriber_calls calls_of(struct sleeper *s) {
    return (struct subscriber_calls){.sleep = fall_asleep, .wake = wake_up, .context = s};
}

static int take_kind(struct board *b, struct subscriber *s) {
    struct board_letter letter;
    board_take(b, s, true, &letter);
    snapshot_unref(letter.snapshot);
    free(letter.event);
    free(letter.data);
    return (int)letter.kind;
}

START_TEST(test_letters) {
    struct board *b = board_create();
    struct sleeper me = {0};
    struct subscriber_calls calls = calls_of(&me);
    struct board_letter letter;
    ck_assert_ptr_null(board_subscribe(b, "a", &calls, 0));
    board_publish(b, make("a", 1));
    struct subscriber *s = board_subscribe(b, "a", &calls, 0);
    board_publish(b, make("a", 2));
    board_publish(b, make("a", 3));
    board_publish(b, make("b", 9));
    board_announce(b);
    board_take(b, s, true, &letter);
    ck_assert_int_eq(letter.kind, LETTER_SNAPSHOT);
    ck_assert_int_eq(letter.snapshot->step, 3); // only the newest
    snapshot_unref(letter.snapshot);
    ck_assert_int_eq(take_kind(b, s), LETTER_NONE);
    ck_assert_int_eq(me.slept, 1);
    board_stream(b, "b", "alert", "{}");
    board_announce(b);
    ck_assert_int_eq(me.woken, 0);
    board_stream(b, "a", "alert", "{\"x\":1}");
    board_stream(b, "a", "status", "{}");
    board_announce(b);
    ck_assert_int_eq(me.woken, 1);
    board_take(b, s, true, &letter);
    ck_assert_int_eq(letter.kind, LETTER_EVENT);
    ck_assert_str_eq(letter.event, "alert");
    ck_assert_str_eq(letter.data, "{\"x\":1}");
    free(letter.event);
    free(letter.data);
    ck_assert_int_eq(take_kind(b, s), LETTER_EVENT);
    board_beat(b); // awake: no beat for it
    board_announce(b);
    ck_assert_int_eq(take_kind(b, s), LETTER_NONE);
    board_beat(b);
    board_announce(b);
    ck_assert_int_eq(take_kind(b, s), LETTER_BEAT);
    ck_assert_int_eq(take_kind(b, s), LETTER_NONE);
    board_publish(b, make("a", 4));
    board_forget(b, "a");
    ck_assert_int_eq(take_kind(b, s), LETTER_SNAPSHOT);
    ck_assert_int_eq(take_kind(b, s), LETTER_END);
    ck_assert_int_eq(take_kind(b, s), LETTER_END);
    board_unsubscribe(b, s);
    board_destroy(b);
}
END_TEST

START_TEST(test_gap) {
    struct board *b = board_create();
    struct sleeper me = {0};
    struct subscriber_calls calls = calls_of(&me);
    struct board_letter letter;
    board_publish(b, make("a", 1));
    struct subscriber *s = board_subscribe(b, "a", &calls, 0);
    for (int i = 0; i < BOARD_RING + 5; i++) {
        char data[20];
        snprintf(data, sizeof data, "%d", i);
        board_stream(b, "a", "alert", data);
    }
    board_take(b, s, true, &letter);
    ck_assert_int_eq(letter.kind, LETTER_GAP);
    ck_assert_uint_eq(letter.dropped, 5);
    for (int i = 5; i < BOARD_RING + 5; i++) {
        board_take(b, s, true, &letter);
        ck_assert_int_eq(letter.kind, LETTER_EVENT);
        ck_assert_int_eq((int)strtol(letter.data, NULL, 10), i);
        free(letter.event);
        free(letter.data);
    }
    ck_assert_int_eq(take_kind(b, s), LETTER_SNAPSHOT);
    ck_assert_int_eq(take_kind(b, s), LETTER_NONE);
    board_close(b);
    ck_assert_int_eq(me.woken, 1);
    ck_assert_int_eq(take_kind(b, s), LETTER_END);
    board_unsubscribe(b, s);
    board_destroy(b);
}
END_TEST

START_TEST(test_take_up_again) {
    struct board *b = board_create();
    struct sleeper me = {0};
    struct subscriber_calls calls = calls_of(&me);
    struct board_letter letter;
    board_publish(b, make("a", 1));
    struct subscriber *s = board_subscribe(b, "a", &calls, 0);
    board_stream(b, "a", "alert", "1");
    board_stream(b, "b", "alert", "other");
    board_stream(b, "a", "alert", "2");
    ck_assert_int_eq(take_kind(b, s), LETTER_EVENT);
    ck_assert_int_eq(take_kind(b, s), LETTER_EVENT);
    board_take(b, s, true, &letter);
    ck_assert_int_eq(letter.kind, LETTER_SNAPSHOT);
    snapshot_unref(letter.snapshot);
    uint64_t known = letter.id;
    board_unsubscribe(b, s);
    board_stream(b, "a", "alert", "3");
    s = board_subscribe(b, "a", &calls, known);
    board_take(b, s, true, &letter);
    ck_assert_int_eq(letter.kind, LETTER_EVENT);
    ck_assert_str_eq(letter.data, "3");
    free(letter.event);
    free(letter.data);
    ck_assert_int_eq(take_kind(b, s), LETTER_SNAPSHOT);
    board_unsubscribe(b, s);
    s = board_subscribe(b, "a", &calls, 1); // of a life long ago
    board_take(b, s, true, &letter);
    ck_assert_int_eq(letter.kind, LETTER_GAP);
    ck_assert_uint_eq(letter.dropped, 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(take_kind(b, s), LETTER_EVENT);
    }
    board_unsubscribe(b, s);
    board_destroy(b);
}
END_TEST

// Many who listen have their turns in small groups, for events and for readings by turns.
#define CROWD 20

struct crowd {
    struct board *board;
    struct sleeper state[CROWD];
    struct subscriber *subscriber[CROWD];
    int events[CROWD], readings[CROWD];
};

// Those that are awake take what there is. Returns how many were.
static int crowd_take(struct crowd *c) {
    int awake = 0;
    for (size_t i = 0; i < CROWD; i++) {
        bool was_awake = c->state[i].slept == c->state[i].woken;
        awake += was_awake;
        while (was_awake && c->state[i].slept == c->state[i].woken) {
            int kind = take_kind(c->board, c->subscriber[i]);
            c->events[i] += kind == LETTER_EVENT;
            c->readings[i] += kind == LETTER_SNAPSHOT;
        }
    }
    return awake;
}

START_TEST(test_turns) {
    struct crowd c = {.board = board_create()};
    board_publish(c.board, make("a", 1));
    for (size_t i = 0; i < CROWD; i++) {
        struct subscriber_calls calls = calls_of(&c.state[i]);
        c.subscriber[i] = board_subscribe(c.board, "a", &calls, 0);
    }
    ck_assert_int_eq(crowd_take(&c), CROWD); // the first reading is everybody's at once
    board_announce(c.board);
    ck_assert_int_eq(crowd_take(&c), 0);
    board_publish(c.board, make("a", 2));
    int rounds = 0;
    for (int woken = 0; woken < CROWD; rounds++) {
        board_announce(c.board);
        int group = crowd_take(&c);
        ck_assert_int_gt(group, 0);
        ck_assert_int_lt(group, CROWD);
        woken += group;
    }
    board_publish(c.board, make("a", 3));
    board_stream(c.board, "a", "alert", "{}");
    board_announce(c.board);
    ck_assert_int_gt(crowd_take(&c), 0);
    for (size_t i = 0; i < CROWD; i++) {
        ck_assert_int_eq(c.readings[i], 2); // events come first, and bring no reading with them
    }
    for (int i = 0; i < 3 * rounds; i++) {
        board_announce(c.board);
        crowd_take(&c);
    }
    for (size_t i = 0; i < CROWD; i++) {
        ck_assert_int_eq(c.readings[i], 3);
        ck_assert_int_eq(c.events[i], 1);
        board_unsubscribe(c.board, c.subscriber[i]);
    }
    board_destroy(c.board);
}
END_TEST

// One publishes, several look and subscribe; steps of one run never go backwards for anybody.
#define STEPS 20000

struct reader_thread {
    pthread_t thread;
    struct board *board;
    int64_t last;
    bool in_order;
};

static void *look(void *context) {
    struct reader_thread *t = context;
    while (t->last < STEPS) {
        struct snapshot *s = board_find(t->board, "a");
        t->in_order = t->in_order && s->step >= t->last;
        t->last = s->step;
        snapshot_unref(s);
    }
    return NULL;
}

struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    bool asleep;
};

static void bell_sleep(void *context) {
    struct bell *bell = context;
    pthread_mutex_lock(&bell->lock);
    bell->asleep = true;
    pthread_mutex_unlock(&bell->lock);
}

static void bell_wake(void *context) {
    struct bell *bell = context;
    pthread_mutex_lock(&bell->lock);
    bell->asleep = false;
    pthread_cond_signal(&bell->rung);
    pthread_mutex_unlock(&bell->lock);
}

static void bell_wait(struct bell *bell) {
    pthread_mutex_lock(&bell->lock);
    while (bell->asleep) {
        pthread_cond_wait(&bell->rung, &bell->lock);
    }
    pthread_mutex_unlock(&bell->lock);
}

static void *subscribe(void *context) {
    struct reader_thread *t = context;
    struct bell bell = {.lock = PTHREAD_MUTEX_INITIALIZER, .rung = PTHREAD_COND_INITIALIZER};
    struct subscriber_calls calls = {.sleep = bell_sleep, .wake = bell_wake, .context = &bell};
    struct subscriber *s = board_subscribe(t->board, "a", &calls, 0);
    while (t->last < STEPS) {
        struct board_letter letter;
        board_take(t->board, s, true, &letter);
        if (letter.kind == LETTER_SNAPSHOT) {
            t->in_order = t->in_order && letter.snapshot->step > t->last;
            t->last = letter.snapshot->step;
            snapshot_unref(letter.snapshot);
        } else if (letter.kind == LETTER_NONE) {
            bell_wait(&bell);
        }
    }
    board_unsubscribe(t->board, s);
    return NULL;
}

static void *herald(void *context) {
    board_herald(context);
    return NULL;
}

START_TEST(test_threads) {
    struct board *b = board_create();
    pthread_t herald_thread;
    ck_assert_int_eq(pthread_create(&herald_thread, NULL, herald, b), 0);
    struct reader_thread threads[6];
    board_publish(b, make("a", 0));
    for (size_t i = 0; i < 6; i++) {
        threads[i] = (struct reader_thread){.board = b, .last = -1, .in_order = true};
        ck_assert_int_eq(
            pthread_create(&threads[i].thread, NULL, i % 2 ? look : subscribe, &threads[i]), 0);
    }
    for (int64_t step = 1; step <= STEPS; step++) {
        board_publish(b, make("a", step));
    }
    for (size_t i = 0; i < 6; i++) {
        pthread_join(threads[i].thread, NULL);
        ck_assert(threads[i].in_order);
        ck_assert_int_eq(threads[i].last, STEPS);
    }
    board_close(b);
    pthread_join(herald_thread, NULL);
    board_destroy(b);
}
END_TEST

// The herald's beats come by themselves.
static void hear_beats(struct board *b) {
    struct bell bell = {.lock = PTHREAD_MUTEX_INITIALIZER, .rung = PTHREAD_COND_INITIALIZER};
    struct subscriber_calls calls = {.sleep = bell_sleep, .wake = bell_wake, .context = &bell};
    struct subscriber *s = board_subscribe(b, "a", &calls, 0);
    for (int beats = 0; beats < 3;) {
        int kind = take_kind(b, s);
        beats += kind == LETTER_BEAT;
        if (kind == LETTER_NONE) {
            bell_wait(&bell);
        }
    }
    board_unsubscribe(b, s);
}

START_TEST(test_beats) {
    struct board *b = board_create();
    pthread_t herald_thread;
    ck_assert_int_eq(pthread_create(&herald_thread, NULL, herald, b), 0);
    board_set_beat(b, 1000000);
    board_publish(b, make("a", 1));
    hear_beats(b); // hangs if none comes
    board_close(b);
    pthread_join(herald_thread, NULL);
    board_destroy(b);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("board");
    TCase *cases = tcase_create("board");
    tcase_set_timeout(cases, 300);
    tcase_add_test(cases, test_publish_find_forget);
    tcase_add_test(cases, test_reference_outlives_the_board);
    tcase_add_test(cases, test_trouble);
    tcase_add_test(cases, test_rules);
    tcase_add_test(cases, test_fired);
    tcase_add_test(cases, test_letters);
    tcase_add_test(cases, test_gap);
    tcase_add_test(cases, test_take_up_again);
    tcase_add_test(cases, test_turns);
    tcase_add_test(cases, test_beats);
    tcase_add_test(cases, test_threads);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
