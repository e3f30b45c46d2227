#include "delivery/active.h"

#include "alerts/alerts.h"
#include "base/check.h"
#include "base/clock.h"
#include "delivery/receiver.h"

#include <stdlib.h>
#include <string.h>

// Whether receivers that know an alert by its labels take both for one.
static bool is_same(const struct alert_record *a, const struct alert_record *b) {
    return a->run == b->run && a->severity == b->severity && strcmp(a->rule, b->rule) == 0 &&
           strcmp(a->layer ? a->layer : "", b->layer ? b->layer : "") == 0 &&
           strcmp(a->labels ? a->labels : "", b->labels ? b->labels : "") == 0;
}

// An end would be taken for that of the alert which has begun since.
static void forget_end(struct actives *list, const struct alert_record *a) {
    for (struct active **at = &list->first; *at; at = &(*at)->next) {
        struct active *x = *at;
        if (x->alert.state == ALERT_RESOLVED && is_same(&x->alert, a)) {
            *at = x->next;
            alert_record_free(&x->alert);
            free(x);
            return;
        }
    }
}

static struct active *add(struct actives *list, const struct alert_record *a) {
    forget_end(list, a);
    struct active *x = NEW(struct active);
    x->alert = alert_copy(a);
    x->until_s = a->state == ALERT_RESOLVED ? clock_wall_s() + ACTIVE_RESOLVED_S : 0;
    x->next = list->first;
    list->first = x;
    return x;
}

static struct active *find(const struct actives *list, int64_t id) {
    for (struct active *x = list->first; x; x = x->next) {
        if (x->alert.id == id) {
            return x;
        }
    }
    return NULL;
}

const struct active *actives_find(const struct actives *list, int64_t id) {
    return find(list, id);
}

static void end(struct active *x, double now) {
    x->alert.state = ALERT_RESOLVED;
    x->alert.resolved = x->alert.changed = now;
    x->until_s = clock_wall_s() + ACTIVE_RESOLVED_S;
}

static void resolve(struct active *x, const struct alert_record *a) {
    end(x, a->resolved);
    x->alert.closed_by = a->closed_by;
    free(x->alert.summary);
    x->alert.summary = must_copy(a->summary); // what was, and until when
}

const struct alert_record *actives_note(struct actives *list, const struct alert_record *a) {
    struct active *x = find(list, a->id);
    bool is_again = x && x->alert.state == ALERT_RESOLVED && a->state == ALERT_FIRING;
    if (!x || is_again) { // of the daemon's own alert, which has one number
        return &add(list, a)->alert;
    }
    if (a->state == ALERT_RESOLVED) {
        resolve(x, a);
        return &x->alert;
    }
    double fired = x->alert.fired > 0 ? x->alert.fired : a->fired;
    if (x->alert.severity != a->severity) {
        end(x, a->changed);
        x = add(list, a);
    } else {
        alert_record_free(&x->alert);
        x->alert = alert_copy(a);
        x->until_s = 0;
    }
    x->alert.fired = fired;
    return &x->alert;
}

bool actives_inhibit(const struct actives *list, const struct alert_record *a) {
    const struct active *first = a->group && a->group != a->id ? find(list, a->group) : NULL;
    return first && first->alert.state == ALERT_FIRING && first->alert.severity > a->severity;
}

void actives_end_run(struct actives *list, int64_t run) {
    for (struct active *x = list->first; x; x = x->next) {
        if (x->alert.run == run && x->alert.state == ALERT_FIRING) {
            end(x, clock_wall_s());
        }
    }
}

void actives_expire(struct actives *list, double now) {
    for (struct active **at = &list->first; *at;) {
        struct active *x = *at;
        if (x->until_s > 0 && now > x->until_s) {
            *at = x->next;
            alert_record_free(&x->alert);
            free(x);
        } else {
            at = &x->next;
        }
    }
}

void actives_free(struct actives *list) {
    while (list->first) {
        struct active *x = list->first;
        list->first = x->next;
        alert_record_free(&x->alert);
        free(x);
    }
}
