// One receiver of remote write, as the configuration names it: what it was told of, what waits for
// it and how it gets on. Created on the loop thread, then the remote thread's.
#ifndef REMOTE_ENDPOINT_H
#define REMOTE_ENDPOINT_H

#include "api/board.h"
#include "api/samples.h"
#include "config/config.h"
#include "delivery/post.h"
#include "remote/queue.h"
#include "remote/series.h"

#define ENDPOINT_HEADERS (LIMIT_RULE_WORDS + 5)

struct remote_write;

struct endpoint {
    struct endpoint *next;
    struct remote_write *owner;
    char name[BOARD_REMOTE_NAME]; // no two alike
    char *url;
    char *headers[ENDPOINT_HEADERS + 1];           // "Name: value", ended by NULL
    struct metrics_label labels[LIMIT_RULE_WORDS]; // of every series; their texts are in words
    size_t n_labels;
    char *words;
    uint64_t interval_ns;
    // What it was told of.
    struct series_groups groups;
    uint32_t round;
    int64_t time_ms;      // of the newest samples: each later one's is greater
    uint64_t round_at_ns; // monotonic: the next is due
    // What waits.
    struct queue queue;
    bool sending, gone; // gone: not in the configuration any more, freed when it is done
    unsigned failures;  // in a row
    uint64_t retry_at_ns;
    // For people.
    uint64_t n_sent, n_failed, n_dropped; // samples
    bool is_shedding;                     // the log has it
    long told_status;                     // of the last failure that the log has
    uint64_t told_ns;                     // when, monotonic; 0: it has none
};

// One for each that the configuration names, in a list; files with secrets are read. 0, or -1 with
// a message and no list.
int endpoints_create(const struct config *config, struct endpoint **first,
                     struct buf *messages) WARN_UNUSED;
void endpoint_destroy(struct endpoint *e);
void endpoints_destroy(struct endpoint *first);
// Exchanges what the configuration says of two of one name. The next try is at once.
void endpoint_change(struct endpoint *e, struct endpoint *with);

// All of what is known now: the daemon's own samples, those of these runs, and the end of the
// series that are not there any more. firing: see samples_of_daemon().
void endpoint_write(struct endpoint *e, struct board *board,
                    const uint64_t firing[SAMPLE_SEVERITIES], struct snapshot *const *runs,
                    size_t n);
// Runs that are not live any more: their last samples, and their end.
void endpoint_write_ends(struct endpoint *e, struct snapshot *const *last, size_t n);
// The end of all series.
void endpoint_write_all_ends(struct endpoint *e);

#endif
