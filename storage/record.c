#include "storage/record.h"

#include <stdlib.h>
#include <string.h>

static const char *const status_names[] = {"running", "stalled", "completed", "failed", "stopped"};

const char *run_status_name(enum run_status s) {
    return status_names[s];
}

bool run_status_find(const char *name, enum run_status *s) {
    for (unsigned i = 0; i < sizeof status_names / sizeof *status_names; i++) {
        if (strcmp(name, status_names[i]) == 0) {
            *s = (enum run_status)i;
            return true;
        }
    }
    return false;
}

bool run_status_is_end(enum run_status s) {
    return s == RUN_COMPLETED || s == RUN_FAILED || s == RUN_STOPPED;
}

void run_record_free(struct run_record *r) {
    free(r->name);
    free(r->project);
    free(r->facts);
    *r = (struct run_record){0};
}

void attempt_record_free(struct attempt_record *a) {
    free(a->facts);
    *a = (struct attempt_record){0};
}

void event_record_free(struct event_record *e) {
    free(e->name);
    free(e->data);
    *e = (struct event_record){0};
}

void outputs_record_free(struct outputs_record *o) {
    free(o->line);
    *o = (struct outputs_record){0};
}

void alert_record_free(struct alert_record *a) {
    free(a->run_name);
    free(a->project);
    free(a->rule);
    free(a->layer);
    free(a->group_rule);
    free(a->group_layer);
    free(a->summary);
    free(a->labels);
    free(a->annotations);
    free(a->receivers);
    *a = (struct alert_record){0};
}
