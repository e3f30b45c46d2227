// Packed messages that wait to be sent to one receiver, oldest first, bounded by their bytes.
#ifndef REMOTE_QUEUE_H
#define REMOTE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queued {
    struct queued *next;
    char *bytes;
    size_t size;
    uint64_t n_samples;
};

struct queue {
    struct queued *first, **last;
    size_t bytes, max_bytes;
    uint64_t n_samples;
};

void queue_init(struct queue *q, size_t max_bytes);
// Takes the bytes over.
void queue_push(struct queue *q, char *bytes, size_t size, uint64_t n_samples);
// Drops the first, which must be there. Returns how many samples it had.
uint64_t queue_pop(struct queue *q);
// Drops the oldest until the rest is no more than may wait; the first stays where it is being sent.
// Returns how many samples went.
uint64_t queue_shed(struct queue *q, bool first_is_being_sent);
// Drops all. Returns how many samples went.
uint64_t queue_clear(struct queue *q);

#endif
