// What an endpoint is told in one go: a sample each series that there is, the end of each that
// there is no longer, in messages of a bounded size.
#include "base/clock.h"
#include "base/memory.h"
#include "remote/endpoint.h"
#include "remote/message.h"
#include "remote/packer.h"

#include <stdlib.h>

#define SAMPLES_A_MESSAGE 2000
#define MESSAGE_BYTES_MAX ((size_t)4 << 20)
#define SERIES_BYTES_MAX ((size_t)1 << 20)

struct round {
    struct endpoint *e;
    struct series_set *set; // of the run, or the daemon, whose samples come
    struct buf message, series;
    uint64_t n; // samples in the message
};

static void round_begin(struct round *r, struct endpoint *e) {
    *r = (struct round){.e = e};
    buf_init(&r->message, MESSAGE_BYTES_MAX);
    buf_init(&r->series, SERIES_BYTES_MAX);
    e->round++;
    // A clock that is put back does not put samples before those that were written.
    int64_t now_ms = (int64_t)(clock_wall_s() * 1e3);
    e->time_ms = now_ms > e->time_ms ? now_ms : e->time_ms + 1;
}

static void hand_over(struct round *r) {
    size_t size;
    char *packed = r->n && !r->message.failed ? packer_pack(&r->message, &size) : NULL;
    if (packed) {
        queue_push(&r->e->queue, packed, size, r->n);
    } else {
        r->e->n_dropped += r->n; // there is no memory
    }
    buf_clear(&r->message);
    r->n = 0;
}

static void round_end(struct round *r) {
    hand_over(r);
    buf_free(&r->message);
    buf_free(&r->series);
}

static void count(struct round *r) {
    if (++r->n == SAMPLES_A_MESSAGE || r->message.len > MESSAGE_BYTES_MAX / 2) {
        hand_over(r);
    }
}

static void put_sample(void *context, const struct metrics_sample *s) {
    struct round *r = context;
    struct endpoint *e = r->e;
    buf_clear(&r->series);
    message_series(&r->series, s, e->labels, e->n_labels);
    if (series_set_note(r->set, r->series.data, r->series.len, e->round)) {
        message_put(&r->message, r->series.data, r->series.len, s->value, e->time_ms);
        count(r);
    }
}

static void put_end(void *context, const void *series, size_t len) {
    struct round *r = context;
    message_put_end(&r->message, series, len, r->e->time_ms);
    count(r);
}

static struct series_group *find_group(struct round *r, const char *run) {
    struct series_group *group = series_groups_find(&r->e->groups, run);
    group->round = r->e->round;
    r->set = &group->set;
    return group;
}

static void put_run(struct round *r, const struct snapshot *s) {
    struct series_group *group = find_group(r, s->record.name);
    samples_of_run(s, &(struct metrics_sink){.put = put_sample, .context = r});
    series_set_sweep(&group->set, r->e->round, put_end, r);
}

// Runs that have gone without a last word.
static void end_others(struct round *r) {
    struct series_groups *g = &r->e->groups;
    for (size_t i = g->n; i-- > 0;) {
        if (g->at[i]->round != r->e->round) {
            series_groups_end(g, g->at[i], put_end, r);
        }
    }
}

void endpoint_write(struct endpoint *e, struct board *board,
                    const uint64_t firing[SAMPLE_SEVERITIES], struct snapshot *const *runs,
                    size_t n) {
    struct round r;
    round_begin(&r, e);
    struct series_group *own = find_group(&r, "");
    samples_of_daemon(board, firing, &(struct metrics_sink){.put = put_sample, .context = &r});
    series_set_sweep(&own->set, e->round, put_end, &r);
    for (size_t i = 0; i < n; i++) {
        put_run(&r, runs[i]);
    }
    end_others(&r);
    round_end(&r);
}

void endpoint_write_ends(struct endpoint *e, struct snapshot *const *last, size_t n) {
    struct round r;
    round_begin(&r, e);
    for (size_t i = 0; i < n; i++) {
        put_run(&r, last[i]);
    }
    e->time_ms++;
    for (size_t i = 0; i < n; i++) {
        series_groups_end(&e->groups, find_group(&r, last[i]->record.name), put_end, &r);
    }
    round_end(&r);
}

void endpoint_write_all_ends(struct endpoint *e) {
    struct round r;
    round_begin(&r, e);
    end_others(&r);
    round_end(&r);
}
