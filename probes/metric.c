#include "probes/metric.h"

#include <string.h>

#define TEMPERATURE "temperature."

static const char *const names[METRIC_COUNT] = {
    [METRIC_ENERGY] = "energy",
    [METRIC_ENTROPY] = "entropy",
    [METRIC_TRANSITION] = "transition",
    [METRIC_DIFFERENTIAL] = "differential",
    [METRIC_KINETIC] = "kinetic",
    [METRIC_CONFIGURATIONAL] = "configurational",
    [METRIC_NOISE] = "noise",
    [METRIC_VELOCITY] = "velocity",
    [METRIC_STABILITY] = "stability",
    [METRIC_COHERENCE] = "coherence",
    [METRIC_DRIFT] = "drift",
    [METRIC_EQUILIBRIUM] = "equilibrium",
    [METRIC_HEAT] = "heat",
    [METRIC_EFFICIENCY] = "efficiency",
    [METRIC_UPDATE_RATIO] = "update_ratio",
    [METRIC_FREE_ENERGY] = "free_energy",
    [METRIC_HEAT_CAPACITY] = "heat_capacity",
    [METRIC_NOISE_SCALE] = "noise_scale",
    [METRIC_RETENTION] = "retention",
    [METRIC_FIRST_LAW] = "first_law",
    [METRIC_ENTROPY_PRODUCTION] = "entropy_production",
    [METRIC_UPDATE_EQUILIBRIUM] = "update_equilibrium",
    [METRIC_SPECTRAL] = "spectral",
    [METRIC_QUADRANT] = "quadrant",
};

const char *metric_name(enum metric m) {
    return m < METRIC_COUNT ? names[m] : NULL;
}

bool metric_is_temperature(enum metric m) {
    return m >= METRIC_TRANSITION && m <= METRIC_VELOCITY;
}

bool metric_find(const char *name, enum metric *m) {
    size_t prefix = strlen(TEMPERATURE);
    bool temperature = strncmp(name, TEMPERATURE, prefix) == 0;
    const char *plain = temperature ? name + prefix : name;
    for (enum metric i = 0; i < METRIC_COUNT; i++) {
        if (strcmp(plain, names[i]) == 0 && metric_is_temperature(i) == temperature) {
            *m = i;
            return true;
        }
    }
    return false;
}

const char *quadrant_name(enum quadrant q) {
    static const char *const quadrants[] = {
        [QUADRANT_QUASI_STATIC] = "quasi-static", [QUADRANT_CONDENSING] = "condensing",
        [QUADRANT_SPONTANEOUS] = "spontaneous",   [QUADRANT_HEATING] = "heating",
        [QUADRANT_QUENCHING] = "quenching",
    };
    return q <= QUADRANT_QUENCHING ? quadrants[q] : NULL;
}
