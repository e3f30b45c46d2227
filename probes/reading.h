// What an instrument says: a value with its 95% interval, or the reason why it has none.
#ifndef PROBES_READING_H
#define PROBES_READING_H

#include <stdbool.h>

// Every thermometer and instrument, global and per layer. The names are those of the REST API's
// `metric` ("temperature." stands before the thermometers').
enum metric {
    METRIC_ENERGY,             // loss units
    METRIC_ENTROPY,            // nats
    METRIC_TRANSITION,         // loss units per nat
    METRIC_DIFFERENTIAL,       // loss units per nat
    METRIC_KINETIC,            // loss units per degree of freedom
    METRIC_CONFIGURATIONAL,    // loss units per degree of freedom
    METRIC_NOISE,              // loss units per degree of freedom
    METRIC_VELOCITY,           // weight units squared
    METRIC_STABILITY,          // share of the edge of stability; 1 is the edge
    METRIC_COHERENCE,          // 1 all drift, see coherence.h for the other anchors
    METRIC_DRIFT,              // norm drift D; 0 stationary
    METRIC_EQUILIBRIUM,        // configurational over kinetic; 1 in equilibrium
    METRIC_HEAT,               // loss units, summed since the state began
    METRIC_EFFICIENCY,         // second moment out over in, of the activation
    METRIC_UPDATE_RATIO,       // |update| / |weights|
    METRIC_FREE_ENERGY,        // loss units
    METRIC_HEAT_CAPACITY,      // nats
    METRIC_NOISE_SCALE,        // samples
    METRIC_RETENTION,          // share of the heat by which the loss fell
    METRIC_FIRST_LAW,          // measured change of the energy over the layers' work
    METRIC_ENTROPY_PRODUCTION, // nats a step
    METRIC_UPDATE_EQUILIBRIUM, // update ratio over the one at rotational equilibrium
    METRIC_SPECTRAL,           // 0.5 the most, 1.5 the least trained layer by its spectrum
    METRIC_QUADRANT,           // an enum quadrant
    METRIC_COUNT
};

enum quadrant {
    QUADRANT_QUASI_STATIC, // neither energy nor entropy moved significantly
    QUADRANT_CONDENSING,   // dE < 0, dS < 0
    QUADRANT_SPONTANEOUS,  // dE < 0, dS > 0
    QUADRANT_HEATING,      // dE > 0, dS > 0
    QUADRANT_QUENCHING     // dE > 0, dS < 0
};

struct reading {
    double value;     // num_missing() when there is a reason
    double low, high; // 95% interval; valid when has_interval
    double steps;     // the newest of those sent that it rests on; 0: not a window's
    bool has_interval;
    const char *reason; // NULL, or why there is no value ("needs gw"); a static string
    const char *source; // NULL, or what it was read from where that may be several things; static
    const char *note;   // NULL, or what the value says about the job itself ("broken: ..."); static
    const char *no_interval; // with a value but no interval: why; a static string or NULL
};

// Of the reading of METRIC_EQUILIBRIUM: reached only where its interval says so, that is, holds 1
// and is no wider than 0.3 to either side. False also means 'not told'.
bool equilibrium_is_reached(const struct reading *equilibrium);

#endif
