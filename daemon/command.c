#include "daemon/command.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/conn.h"
#include "daemon/live.h"
#include "daemon/ranks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

// Lives on the stack of the thread that waits.
struct pending {
    struct pending *next;
    const struct api_command *command;
    uint64_t sequence; // of the op that carries it out; 0: the loop has not seen it
    int result;
    bool answered;
    char *message;
};

struct commands {
    struct app *app;
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    struct pending *first;
    bool refusing;
};

struct commands *commands_create(struct app *app) {
    struct commands *c = NEW(struct commands);
    c->app = app;
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->answered, NULL);
    return c;
}

void commands_destroy(struct commands *c) {
    pthread_mutex_destroy(&c->mutex);
    pthread_cond_destroy(&c->answered);
    free(c);
}

int commands_submit(void *context, const struct api_command *command, char message[256]) {
    struct app *app = context;
    struct commands *c = app->commands;
    struct pending p = {.command = command, .message = message};
    pthread_mutex_lock(&c->mutex);
    if (c->refusing) {
        snprintf(message, 256, "the daemon is stopping");
        pthread_mutex_unlock(&c->mutex);
        return -1;
    }
    p.next = c->first;
    c->first = &p;
    uv_async_send(&c->app->command);
    while (!p.answered) {
        pthread_cond_wait(&c->answered, &c->mutex);
    }
    pthread_mutex_unlock(&c->mutex);
    return p.result;
}

// The mutex is held.
static void answer(struct commands *c, struct pending *p, int result) {
    struct pending **at = &c->first;
    while (*at != p) {
        at = &(*at)->next;
    }
    *at = p->next;
    p->result = result;
    p->answered = true;
    pthread_cond_broadcast(&c->answered);
}

static void end_connections(struct app *app, struct live_run *l) {
    struct conn *next;
    for (struct conn *c = app->conns; c; c = next) {
        next = c->next;
        if (c->run == l) {
            struct wire_error error;
            wire_fail(&error, WIRE_NO_HELLO, "the run was deleted; say hello to begin it anew");
            conn_error(c, &error);
        }
    }
}

static int delete_run(struct app *app, struct pending *p) {
    struct live_run *l;
    struct wire_error error;
    if (live_load(app, p->command->run, &l, &error)) {
        snprintf(p->message, 256, "%.255s", error.message);
        return -1;
    }
    if (!l) {
        snprintf(p->message, 256, "there is no run %.128s", p->command->run);
        return 1;
    }
    ranks_forget(app, l);
    end_connections(app, l);
    delivery_forget_run(app->delivery, l->run->record.id);
    log_info("deleting run=%s", p->command->run);
    p->sequence =
        writer_push(app->writer, op_create(OP_DELETE_RUN, l->run->record.id, 0, 0, NULL, 0));
    live_remove(l);
    return 0;
}

static int acknowledge(struct app *app, struct pending *p) {
    struct op *op = op_create(OP_ACKNOWLEDGE, 0, 0, 0, NULL, 0);
    op->alert = (struct alert_record){.id = p->command->alert, .changed = clock_wall_s()};
    p->sequence = writer_push(app->writer, op);
    return 0;
}

// The ids stay the caller's to read: it waits until all is durable.
static int put_silence(struct app *app, struct pending *p) {
    const struct silence_record *s = p->command->silence;
    struct op *op = op_create(OP_SILENCE, 0, 0, 0, NULL, 0);
    op->silence = *s;
    op->silence.id = *p->command->id = app->next_silence++;
    op->silence.created_by = op_text(s->created_by);
    op->silence.comment = op_text(s->comment);
    op->silence.matchers = op_text(s->matchers);
    p->sequence = app->silences_sequence = writer_push(app->writer, op);
    return 0;
}

static int end_silence(struct app *app, struct pending *p) {
    struct op *op = op_create(OP_END_SILENCE, 0, 0, 0, NULL, 0);
    op->silence = (struct silence_record){.id = *p->command->id, .ends = clock_wall_s()};
    p->sequence = app->silences_sequence = writer_push(app->writer, op);
    return 0;
}

// Answered at once: tests are not stored.
static int test_alerts(struct app *app, struct pending *p) {
    *p->command->id = (int64_t)delivery_test(app->delivery);
    return 0;
}

static int carry_out(struct app *app, struct pending *p) {
    switch (p->command->type) {
    case API_DELETE_RUN:
        return delete_run(app, p);
    case API_ACKNOWLEDGE_ALERT:
        return acknowledge(app, p);
    case API_PUT_SILENCE:
        return put_silence(app, p);
    case API_END_SILENCE:
        return end_silence(app, p);
    case API_TEST_ALERTS:
        return test_alerts(app, p);
    }
    return -1;
}

void commands_take(struct app *app) {
    struct commands *c = app->commands;
    pthread_mutex_lock(&c->mutex);
    struct pending *next;
    for (struct pending *p = c->first; p; p = next) {
        next = p->next;
        if (p->sequence == 0) {
            int rc = carry_out(app, p);
            if (rc || p->sequence == 0) {
                answer(c, p, rc);
            }
        }
    }
    pthread_mutex_unlock(&c->mutex);
}

void commands_answer(struct app *app) {
    struct commands *c = app->commands;
    pthread_mutex_lock(&c->mutex);
    struct pending *next;
    for (struct pending *p = c->first; p; p = next) {
        next = p->next;
        if (p->sequence && p->sequence <= app->durable) {
            answer(c, p, 0);
        }
    }
    pthread_mutex_unlock(&c->mutex);
}

void commands_refuse_all(struct app *app) {
    struct commands *c = app->commands;
    pthread_mutex_lock(&c->mutex);
    c->refusing = true;
    while (c->first) {
        snprintf(c->first->message, 256, "the daemon is stopping");
        answer(c, c->first, -1);
    }
    pthread_mutex_unlock(&c->mutex);
}
