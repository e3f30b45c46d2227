#include "base/stat.h"

#include <string.h>

static const char *const names[STAT_COUNT] = {
    NULL,      "w_mean",  "w_var",      "w_min",       "w_max",       "g_mean",
    "g_var",   "u_mean",  "u_var",      "gw",          "gu",          "z_mean",
    "z_var",   "a_mean",  "a_var",      "a_active",    "a_saturated", "g_noise",
    "w_alpha", "gu_prev", "g_small_sq", "batch_small",
};

const char *stat_name(unsigned id) {
    return id < STAT_COUNT ? names[id] : NULL;
}

enum statistic stat_find(const char *name, size_t n) {
    for (unsigned id = 1; id < STAT_COUNT; id++) {
        if (strlen(names[id]) == n && memcmp(names[id], name, n) == 0) {
            return (enum statistic)id;
        }
    }
    return STAT_NONE;
}
