// The per-layer statistics that thermometers know, by the ids that binary frames use.
#ifndef BASE_STAT_H
#define BASE_STAT_H

#include <stddef.h>

enum statistic {
    STAT_NONE = 0, // a statistic of the job's own: stored and drawn, read by no thermometer
    STAT_W_MEAN = 1,
    STAT_W_VAR,
    STAT_W_MIN,
    STAT_W_MAX,
    STAT_G_MEAN,
    STAT_G_VAR,
    STAT_U_MEAN,
    STAT_U_VAR,
    STAT_GW,
    STAT_GU,
    STAT_Z_MEAN,
    STAT_Z_VAR,
    STAT_A_MEAN,
    STAT_A_VAR,
    STAT_A_ACTIVE,
    STAT_A_SATURATED,
    STAT_G_NOISE,
    STAT_W_ALPHA,
    STAT_GU_PREV,
    STAT_G_SMALL_SQ,
    STAT_BATCH_SMALL,
    STAT_COUNT // one more than the largest id
};

// "w_mean" and so on; NULL for an id that is none.
const char *stat_name(unsigned id);
// The id of a key of n characters; STAT_NONE for a name of the job's own.
enum statistic stat_find(const char *name, size_t n);

#endif
