#include "cli/thermometer.h"

#include <math.h>

#include <stdio.h>

#include "base/num.h"
#include "cli/tree.h"

const struct thermometer thermometers[THERMOMETER_COUNT] = {
    {"transition", "loss per nat of entropy, since the state began", "loss/nat"},
    {"differential", "loss per nat of entropy, over the newest steps", "loss/nat"},
    {"kinetic", "loss per degree of freedom, from the updates", "loss/param"},
    {"configurational", "loss per degree of freedom, from gradient and weights", "loss/param"},
    {"noise", "loss per degree of freedom, from the gradient's noise alone", "loss/param"},
    {"velocity", "mean square of the updates, weight units squared", "weight^2"},
};

struct thermometer_reading thermometer_read(const cJSON *owner, const char *name) {
    const cJSON *item = tree_member(owner, name);
    struct thermometer_reading reading = {
        .value = tree_number(item, "value"),
        .low = tree_number(item, "low"),
        .high = tree_number(item, "high"),
        .reason = NULL,
    };
    if (num_is_missing(reading.value)) {
        reading.reason = tree_text(item, "reason", "no reading yet");
    }
    return reading;
}

struct text thermometer_interval(struct thermometer_reading reading) {
    struct text t;
    if (num_is_missing(reading.low) && num_is_missing(reading.high)) {
        snprintf(t.s, sizeof t.s, "%s", text_number(reading.low).s);
    } else {
        snprintf(t.s, sizeof t.s, "%s to %s", text_number(reading.low).s,
                 text_number(reading.high).s);
    }
    return t;
}

enum canvas_style thermometer_stability_style(double stability) {
    static const double warning = 0.15, critical = 0.3;
    if (isnan(stability)) {
        return CANVAS_DIM;
    }
    return stability < warning ? CANVAS_GOOD : stability < critical ? CANVAS_WARN : CANVAS_BAD;
}
