#include "clients/c/backlog.h"

#include <stdio.h>
#include <stdlib.h>

static bool take_line(void *client, const char *line, size_t n, bool adopted) {
    struct pyrometer *p = client;
    struct pyr_message *m = pyr_message_line(line, n);
    if (!m) {
        return false;
    }
    // What an earlier process left behind the step to which this one goes back is superseded.
    bool superseded = adopted && m->kind == PYR_STEP && m->step > p->rewind_step;
    if (superseded || !pyr_queue_append(&p->flight, m)) {
        free(m);
    }
    return true;
}

static bool put_back(void *client, const char *line, size_t n, bool adopted) {
    struct pyrometer *p = client;
    struct pyr_message *m = pyr_message_line(line, n);
    (void)adopted;
    if (m) {
        pthread_mutex_lock(&p->lock);
        pyr_queue_push_front(&p->queue, m);
        pthread_mutex_unlock(&p->lock);
    }
    return m;
}

// With or without the lock: only this thread changes what is read here.
static void tell_counters(struct pyrometer *p) {
    pthread_mutex_lock(&p->lock);
    p->counters.spooled = pyr_spool_lines(p->spool);
    p->spool_dropped = pyr_spool_dropped(p->spool);
    p->spooling = !pyr_spool_is_empty(p->spool);
    const char *fault = pyr_spool_fault(p->spool);
    if (fault && !p->spool_failed) {
        snprintf(p->error, sizeof p->error, "spool: %s", fault);
    }
    p->spool_failed = fault != NULL;
    if (p->queue.count == 0 && !p->spooling) {
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
}

void pyr_backlog_adopt(struct pyrometer *p) {
    pyr_spool_adopt(p->spool);
    tell_counters(p);
}

struct pyr_queue *pyr_backlog_source(struct pyrometer *p) {
    while (p->spool && p->flight.count == 0 && !pyr_spool_is_empty(p->spool)) {
        bool whole = pyr_spool_read(p->spool, take_line, p);
        pyr_spool_take_back(p->spool, put_back, p);
        if (!whole) { // memory or files are short: later, and nothing may overtake it
            pyr_queue_clear(&p->flight);
            return &p->flight;
        }
        pthread_mutex_lock(&p->lock);
        int64_t durable = p->counters.last_acked_step;
        pthread_mutex_unlock(&p->lock);
        (void)pyr_queue_drop_steps(&p->flight, durable);
        p->in_flight = p->flight.count > 0;
        if (!p->in_flight) { // nothing in it that the daemon does not have
            pyr_spool_remove(p->spool);
            tell_counters(p);
        }
    }
    return p->flight.count > 0 ? &p->flight : &p->queue;
}

void pyr_backlog_rewind(struct pyrometer *p) {
    if (p->in_flight) {
        pyr_spool_keep(p->spool);
    }
    pyr_queue_clear(&p->flight);
    p->in_flight = false;
}

void pyr_backlog_settled(struct pyrometer *p) {
    if (p->in_flight && p->flight.count == 0) {
        p->in_flight = false;
        pyr_spool_remove(p->spool);
        tell_counters(p);
    }
}

bool pyr_backlog_can_spill(const struct pyrometer *p) {
    return p->spool && !pyr_spool_fault(p->spool);
}

void pyr_backlog_spill(struct pyrometer *p, bool last) {
    struct pyr_text line = {0};
    if (p->spool) {
        pyr_spool_try_again(p->spool, last);
    }
    while (pyr_backlog_can_spill(p)) {
        pthread_mutex_lock(&p->lock);
        struct pyr_message *m = p->queue.head;
        bool mine = m && (last || m->kind != PYR_END);
        if (mine) {
            m = pyr_queue_pop(&p->queue);
        }
        pthread_mutex_unlock(&p->lock);
        if (!mine) {
            break;
        }
        line.length = 0;
        pyr_message_write(m, false, &line);
        bool kept = !line.failed && pyr_spool_append(p->spool, line.data, line.length);
        if (kept) {
            free(m);
            continue;
        }
        pthread_mutex_lock(&p->lock);
        pyr_queue_push_front(&p->queue, m);
        pthread_mutex_unlock(&p->lock);
        break; // the disk does not take it, or memory is short: then later
    }
    pyr_text_free(&line);
    if (p->spool) {
        (void)pyr_spool_flush(p->spool);
        pyr_spool_take_back(p->spool, put_back, p);
        tell_counters(p);
    }
}
