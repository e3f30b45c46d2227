#include "delivery/delivery.h"

#include "alerts/alerts.h"
#include "api/alerts.h"
#include "api/silences.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "delivery/active.h"
#include "delivery/attempt.h"
#include "delivery/payload.h"
#include "delivery/receiver.h"

#include <stdlib.h>
#include <string.h>

#define BODY_BYTES_MAX ((size_t)8 << 20)
#define TEST_ENDS_S 60 // Alertmanager lets a test resolve by itself

struct delivery {
    uv_loop_t *loop;
    struct poster *poster;
    struct board *board;
    delivery_done_fn *done;
    void *context;
    char *external_url;
    struct receiver *receivers;
    struct actives actives;
    struct silence_set silences;
    int64_t n_tests;
};

static void pump(struct receiver *r);

static double monotonic_s(void) {
    return (double)clock_monotonic_ns() * 1e-9;
}

// -- who hears of what ---------------------------------------------------------------------------

static bool is_held(const struct delivery *d, const struct alert_record *a) {
    bool is_test = a->id < 0;
    return a->state == ALERT_FIRING && !is_test &&
           (actives_inhibit(&d->actives, a) || silence_set_matches(&d->silences, a));
}

// Holds end here only, once a second: what ends together with its cause is then still held, and is
// dropped instead of told.
static void look_at_holds(const struct delivery *d) {
    for (const struct receiver *r = d->receivers; r; r = r->next) {
        for (struct notice *n = r->first; n; n = n->next) {
            n->held = is_held(d, &n->alert);
        }
    }
}

static bool wants(const struct receiver *r, const struct alert_record *a) {
    return !r->gone && a->severity >= r->severity_from;
}

char *delivery_receivers(const struct delivery *d, const struct alert_record *a) {
    struct buf names;
    buf_init(&names, (LIMIT_WEBHOOKS + 2) * (size_t)(LIMIT_CONFIG_TEXT + 80));
    if (a->state != ALERT_PENDING) {
        for (const struct receiver *r = d->receivers; r; r = r->next) {
            if (wants(r, a)) {
                buf_printf(&names, "%s%s", names.len ? "\n" : "", r->name);
            }
        }
    }
    char *text = names.len ? must_copy(buf_str(&names)) : NULL;
    buf_free(&names);
    return text;
}

// -- what people see of it -----------------------------------------------------------------------

static void publish(struct delivery *d) {
    struct buf json;
    struct board_figures *figures = board_figures(d->board);
    uint64_t waiting = 0;
    buf_init(&json, BODY_BYTES_MAX);
    struct emit e = emit_to(&json);
    emit_object(&e, NULL);
    emit_array(&e, "receivers");
    for (const struct receiver *r = d->receivers; r; r = r->next) {
        if (!r->gone) {
            receiver_emit(&e, r);
            waiting += r->n_waiting;
        }
    }
    emit_end(&e);
    emit_end(&e);
    figures->notices_waiting = waiting;
    board_set_receivers(d->board, buf_str(&json));
    buf_free(&json);
}

// -- the end of a try ----------------------------------------------------------------------------

static void leave_outbox(struct delivery *d, int64_t id) {
    if (id) {
        d->done(d->context, id);
    }
}

static void drop(struct receiver *r, struct notice **at) {
    leave_outbox(r->delivery, (*at)->id);
    receiver_drop_notice(r, at);
}

static void drop_sent(struct receiver *r) {
    for (struct notice **at = &r->first; *at;) {
        if ((*at)->sending) {
            drop(r, at);
        } else {
            at = &(*at)->next;
        }
    }
}

static void remove_receiver(struct delivery *d, struct receiver *r) {
    struct receiver **at = &d->receivers;
    while (*at != r) {
        at = &(*at)->next;
    }
    *at = r->next;
    receiver_destroy(r);
}

enum outcome { TAKEN, REFUSED_FOR_GOOD, FAILED };

static void finish(struct receiver *r, enum outcome outcome, double retry_after_s,
                   const char *error) {
    struct delivery *d = r->delivery;
    struct board_figures *figures = board_figures(d->board);
    r->sending = false;
    r->spawned = NULL;
    if (outcome == TAKEN) {
        r->n_delivered++;
        figures->notices_delivered++;
        r->delivered_s = clock_wall_s();
        r->failures = 0;
        r->retry_at_s = 0;
    } else {
        snprintf(r->error, sizeof r->error, "%s", error);
        r->failed_s = clock_wall_s();
        r->n_failed++;
        figures->notices_failed++;
        if (outcome == REFUSED_FOR_GOOD || r->failures == 0) {
            log_warning("alerts to %s: %s; %s", r->name, error,
                        outcome == FAILED ? "they wait and are sent again"
                                          : "it is not sent again");
        }
    }
    if (outcome == FAILED) {
        receiver_wait(r, monotonic_s(), retry_after_s);
        r->failures++;
        for (struct notice *n = r->first; n; n = n->next) {
            n->sending = false;
        }
    } else {
        r->n_refused += outcome == REFUSED_FOR_GOOD;
        drop_sent(r);
    }
    if (r->gone) {
        while (r->first) {
            drop(r, &r->first); // its last try was this one
        }
        remove_receiver(d, r);
    } else if (outcome != FAILED) {
        pump(r);
    }
    publish(d);
}

static void on_posted(void *context, long status, double retry_after_s, const char *error) {
    struct receiver *r = context;
    char text[160];
    if (status >= 200 && status < 300) {
        finish(r, TAKEN, 0, NULL);
    } else if (status) {
        snprintf(text, sizeof text, "it answered with status %ld", status);
        finish(r, post_is_final(status) ? REFUSED_FOR_GOOD : FAILED, retry_after_s, text);
    } else {
        finish(r, FAILED, 0, error);
    }
}

static void on_spawned(void *context, const char *error) {
    finish(context, error ? FAILED : TAKEN, 0, error);
}

// -- a try ---------------------------------------------------------------------------------------

static void send_one(struct receiver *r, struct notice *n) {
    struct delivery *d = r->delivery;
    struct buf body;
    buf_init(&body, BODY_BYTES_MAX);
    r->sending = n->sending = true;
    if (r->kind == RECEIVER_MAIL) {
        payload_mail(&n->alert, d->external_url, r->url, r->sender, &body);
        attempt_mail(r, d->loop, &body, on_spawned);
    } else {
        payload_webhook(&n->alert, d->external_url, &body);
        if (r->kind == RECEIVER_COMMAND) {
            attempt_command(r, d->loop, &body, &n->alert, on_spawned);
        } else {
            attempt_post(r, d->poster, &body, &n->alert, on_posted);
        }
    }
    buf_free(&body);
}

// An alert that has become more severe may have been told before.
static bool is_first_told(const struct alert_record *a) {
    return !(a->changed > a->fired);
}

static bool has_resolved(const struct notice *n) {
    const struct notice *end = n->next;
    while (end && (end->alert.id != n->alert.id || end->alert.state != ALERT_RESOLVED)) {
        end = end->next;
    }
    return end != NULL;
}

// Drops what is held of the alert at *at, which has resolved, and the end with it unless something
// of the alert has been told or will be.
static void settle(struct receiver *r, struct notice **at) {
    int64_t id = (*at)->alert.id;
    bool is_told = !is_first_told(&(*at)->alert);
    while ((*at)->alert.id != id || (*at)->alert.state != ALERT_RESOLVED) {
        struct notice *n = *at;
        if (n->alert.id == id && n->held) {
            drop(r, at);
        } else {
            is_told = is_told || n->alert.id == id;
            at = &n->next;
        }
    }
    if (!is_told) {
        drop(r, at);
    }
}

static void settle_held(struct receiver *r) {
    for (struct notice **at = &r->first; *at;) {
        if ((*at)->held && has_resolved(*at)) {
            settle(r, at);
        } else {
            at = &(*at)->next;
        }
    }
}

static void pump_one(struct receiver *r) {
    settle_held(r);
    for (struct notice *n = r->first; n; n = n->next) {
        if (!n->held) {
            send_one(r, n);
            return;
        }
    }
}

static void put_entry(const struct receiver *r, const struct alert_record *a, double ends,
                      struct buf *body) {
    buf_puts(body, body->len > 1 ? "," : "");
    payload_alertmanager(a, r->delivery->external_url, clock_wall_s(), ends, body);
}

// Whether its notice waits here to be told later. One that was taken before the hold began is told
// on: to Alertmanager silence would mean that it has resolved.
static bool is_held_back(const struct receiver *r, const struct alert_record *a) {
    const struct notice *n = r->first;
    while (n && !(n->held && n->alert.id == a->id && n->alert.severity == a->severity)) {
        n = n->next;
    }
    return n != NULL;
}

// Everything that fires and whatever resolved lately, so that what Alertmanager missed or forgot
// comes again.
static void put_actives(struct receiver *r, struct buf *body) {
    struct delivery *d = r->delivery;
    double now = clock_wall_s();
    for (const struct active *x = d->actives.first; x; x = x->next) {
        bool fires = x->alert.state == ALERT_FIRING;
        if (wants(r, &x->alert) && !(fires && is_held_back(r, &x->alert))) {
            put_entry(r, &x->alert, fires ? now + 3 * r->resend_s : x->alert.resolved, body);
        }
    }
}

// Notices that say something which what is active does not: tests, and ends of long ago.
static void put_waiting(struct receiver *r, struct buf *body) {
    struct delivery *d = r->delivery;
    for (struct notice *n = r->first; n; n = n->next) {
        n->sending = !n->held;
        bool is_told = actives_find(&d->actives, n->alert.id) != NULL;
        if (n->sending && !is_told && (n->id == 0 || n->alert.state == ALERT_RESOLVED)) {
            double ends = n->id ? n->alert.resolved : clock_wall_s() + TEST_ENDS_S;
            put_entry(r, &n->alert, ends, body);
        }
    }
}

static void pump_alertmanager(struct receiver *r) {
    struct buf body;
    buf_init(&body, (size_t)64 << 20);
    settle_held(r);
    buf_puts(&body, "[");
    put_waiting(r, &body);
    bool has_news = false;
    for (const struct notice *n = r->first; n; n = n->next) {
        has_news = has_news || n->sending;
    }
    bool is_due = monotonic_s() >= r->resend_at_s;
    if (has_news || is_due) {
        put_actives(r, &body);
    }
    if (body.len > 1) {
        buf_puts(&body, "]");
        r->sending = true;
        r->resend_at_s = monotonic_s() + r->resend_s;
        attempt_post(r, r->delivery->poster, &body, NULL, on_posted);
    } else if (has_news) {
        drop_sent(r); // about alerts that have resolved: their end is told, or was
    }
    buf_free(&body);
}

static void pump(struct receiver *r) {
    if (r->sending || r->gone || monotonic_s() < r->retry_at_s) {
        return;
    }
    if (r->kind == RECEIVER_ALERTMANAGER) {
        pump_alertmanager(r);
    } else if (r->first) {
        pump_one(r);
    }
}

// -- what happens --------------------------------------------------------------------------------

static void shed(struct receiver *r) {
    if (r->n_waiting <= LIMIT_NOTICES) {
        return;
    }
    struct notice **at = &r->first;
    while (*at && (*at)->sending) {
        at = &(*at)->next;
    }
    if (r->n_refused++ % 1000 == 0) {
        log_error("alerts to %s: over %d wait; the oldest are dropped", r->name, LIMIT_NOTICES);
    }
    drop(r, at);
}

static void enqueue(struct delivery *d, const char *name, size_t len, int64_t id,
                    const struct alert_record *a) {
    struct receiver *r = receiver_find(d->receivers, name, len);
    if (!r) {
        leave_outbox(d, id); // the configuration does not name it any more
        return;
    }
    struct notice *n = receiver_add_notice(r, id, a);
    n->held = is_held(d, a);
    shed(r);
}

static void pump_all(struct delivery *d) {
    for (struct receiver *r = d->receivers; r; r = r->next) {
        pump(r);
    }
    publish(d);
}

void delivery_trouble(struct delivery *d) {
    struct board_trouble trouble;
    if (!board_trouble(d->board, &trouble)) {
        return;
    }
    struct alert_record a = alert_of_trouble(&trouble);
    const struct alert_record *whole = actives_note(&d->actives, &a);
    for (struct receiver *r = d->receivers; r; r = r->next) {
        if (wants(r, &a)) {
            receiver_add_notice(r, 0, whole)->held = is_held(d, &a);
        }
    }
    pump_all(d);
}

void delivery_alert(struct delivery *d, const struct alert_record *a) {
    if (a->id == 0 || a->state == ALERT_PENDING) {
        return; // cancelled, or nothing to tell yet
    }
    const struct alert_record *whole = actives_note(&d->actives, a);
    int64_t id = a->notice;
    for (const char *at = a->notice ? a->receivers : NULL; at && *at; id++) {
        size_t len = strcspn(at, "\n");
        enqueue(d, at, len, id, whole);
        at += len + (at[len] == '\n');
    }
    pump_all(d);
}

void delivery_forget_run(struct delivery *d, int64_t run) {
    actives_end_run(&d->actives, run);
    for (struct receiver *r = d->receivers; r; r = r->next) {
        for (struct notice **at = &r->first; *at;) {
            if ((*at)->alert.run == run && !(*at)->sending && (*at)->id) {
                receiver_drop_notice(r, at); // the store forgets it with the run
            } else {
                at = &(*at)->next;
            }
        }
        r->resend_at_s = 0;
    }
}

size_t delivery_test(struct delivery *d) {
    static char rule[] = "PyrometerTest", run[] = "test",
                summary[] = "This is a test of pyrometer's alerts; nothing is wrong.";
    double now = clock_wall_s();
    struct alert_record a = {.id = --d->n_tests,
                             .run_name = run,
                             .rule = rule,
                             .severity = SEVERITY_WARNING,
                             .state = ALERT_FIRING,
                             .started = now,
                             .fired = now,
                             .changed = now,
                             .summary = summary};
    size_t n = 0;
    for (struct receiver *r = d->receivers; r; r = r->next) {
        if (!r->gone) {
            receiver_add_notice(r, 0, &a);
            r->retry_at_s = 0;
            n++;
            pump(r);
        }
    }
    publish(d);
    return n;
}

void delivery_tick(struct delivery *d) {
    actives_expire(&d->actives, clock_wall_s());
    look_at_holds(d);
    for (struct receiver *r = d->receivers; r; r = r->next) {
        pump(r);
    }
}

// -- beginning and end ---------------------------------------------------------------------------

struct delivery *delivery_create(uv_loop_t *loop, struct board *board, delivery_done_fn *done,
                                 void *context) {
    struct delivery *d = NEW(struct delivery);
    d->loop = loop;
    d->poster = poster_create(loop);
    d->board = board;
    d->done = done;
    d->context = context;
    return d;
}

// Takes the receiver of that name out of the list in force; NULL when there is none.
static struct receiver *take_receiver(struct delivery *d, const char *name) {
    struct receiver *r = receiver_find(d->receivers, name, strlen(name)), **at = &d->receivers;
    while (r && *at != r) {
        at = &(*at)->next;
    }
    if (r) {
        *at = r->next;
    }
    return r;
}

// Receivers that stay take their places in the new list, with what waits and what is under way.
static struct receiver *keep_receivers(struct delivery *d, struct receiver *list) {
    for (struct receiver **at = &list; *at; at = &(*at)->next) {
        struct receiver *new = *at, *old = take_receiver(d, new->name);
        if (old) {
            receiver_change(old, new);
            old->next = new->next;
            *at = old;
            receiver_destroy(new);
        }
        (*at)->delivery = d;
    }
    return list;
}

// What an earlier configuration named and this one does not.
static void retire(struct delivery *d, struct receiver *old) {
    struct receiver *next;
    for (struct receiver *r = old; r; r = next) {
        next = r->next;
        for (struct notice **at = &r->first; *at;) {
            if ((*at)->sending) {
                at = &(*at)->next;
            } else {
                drop(r, at);
            }
        }
        r->gone = true;
        if (r->sending) { // its answer is waited for
            r->next = d->receivers;
            d->receivers = r;
        } else {
            receiver_destroy(r);
        }
    }
}

int delivery_configure(struct delivery *d, const struct config *config, const char *http_address,
                       struct buf *messages) {
    struct receiver *new;
    if (receivers_create(config, &new, messages)) {
        return -1;
    }
    new = keep_receivers(d, new);
    struct receiver *old = d->receivers;
    free(d->external_url);
    d->external_url = payload_external_url(config->alerts.external_url, http_address);
    d->receivers = new;
    retire(d, old);
    publish(d);
    return 0;
}

static void load_notice(void *context, const struct notice_record *n) {
    struct delivery *d = context;
    enqueue(d, n->receiver, strlen(n->receiver), n->id, &n->alert);
}

static bool load_active(void *context, const struct alert_record *a) {
    struct delivery *d = context;
    actives_note(&d->actives, a);
    return true;
}

int delivery_load_silences(struct delivery *d, struct reader *r) {
    silence_set_free(&d->silences);
    int rc = silence_set_load(&d->silences, r);
    look_at_holds(d);
    return rc;
}

bool delivery_is_silenced(const struct delivery *d, const struct alert_record *a) {
    return silence_set_matches(&d->silences, a);
}

int delivery_load(struct delivery *d, struct reader *r) {
    double since = clock_wall_s() - ACTIVE_RESOLVED_S;
    if (reader_active_alerts(r, since, load_active, d) < 0 || delivery_load_silences(d, r) ||
        reader_notices(r, load_notice, d) < 0) {
        return -1;
    }
    delivery_tick(d);
    publish(d);
    return 0;
}

void delivery_destroy(struct delivery *d) {
    poster_close(d->poster);
    while (d->receivers) {
        remove_receiver(d, d->receivers);
    }
    actives_free(&d->actives);
    silence_set_free(&d->silences);
    free(d->external_url);
    free(d);
}
