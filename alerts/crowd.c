#include "alerts/state.h"

#define CROWD_MIN 2   // layers that make an alert of the whole run, and more than half of all
#define CROWD_CLEAR 4 // it holds until not more than one layer in four is still concerned

void crowd_add(struct crowd *c, const struct finding *f) {
    if (f->unknown) {
        return;
    }
    c->layers++;
    c->warm += !f->clear;
    if (f->fire) {
        c->hot++;
        c->value += (f->value - c->value) / c->hot;
        c->threshold += (f->threshold - c->threshold) / c->hot;
        c->severity = f->severity > c->severity ? f->severity : c->severity;
    }
}

struct finding crowd_finding(const struct crowd *c) {
    bool fire = c->hot >= CROWD_MIN && 2 * c->hot > c->layers;
    return (struct finding){
        .fire = fire,
        .unknown = c->layers == 0,
        .clear = CROWD_CLEAR * c->warm <= c->layers,
        .severity = (enum severity)c->severity,
        .value = c->value,
        .threshold = c->threshold,
    };
}
