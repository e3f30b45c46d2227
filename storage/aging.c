#include "storage/aging.h"

#include <math.h>

double aging_now(struct aging *a, double wall_s, double counted_s, double *leap) {
    double offset = wall_s - counted_s;
    *leap = 0;
    if (!a->known || fabs(offset - a->offset) <= AGING_LEAP_S) {
        a->known = true;
        a->is_leapt = false;
        a->offset = offset;
        return wall_s;
    }
    if (!a->is_leapt) {
        a->is_leapt = true;
        a->leapt = counted_s;
        *leap = offset - a->offset;
    } else if (counted_s - a->leapt >= AGING_DAY_S) {
        a->is_leapt = false;
        a->offset = offset;
        return wall_s;
    }
    return fmin(wall_s, counted_s + a->offset);
}
