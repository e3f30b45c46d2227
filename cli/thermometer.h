// The thermometers of a reading, as people read them: names, meanings, values with their interval
// or the reason why there is none.
#ifndef CLI_THERMOMETER_H
#define CLI_THERMOMETER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/canvas.h"
#include "cli/text.h"

struct thermometer {
    const char *name;
    const char *meaning;
    const char *unit;
};

enum { THERMOMETER_COUNT = 6 };
extern const struct thermometer thermometers[THERMOMETER_COUNT];

// Of one thermometer, {"value":...,"low":...,"high":...} or {"value":null,"reason":...}.
struct thermometer_reading {
    double value; // num_missing() when there is none
    double low, high;
    const char *reason; // of a missing value; lives as long as the tree
};

// Of `owner`'s member `name`; the owner is a reading's "global" or one of its "layers".
struct thermometer_reading thermometer_read(const cJSON *owner, const char *name);
// Good, warning, bad: the levels of the stability fraction at which the daemon's rules speak.
enum canvas_style thermometer_stability_style(double stability);
// "1.9e-04 to 2.3e-04", or an en dash.
struct text thermometer_interval(struct thermometer_reading reading);

#endif
