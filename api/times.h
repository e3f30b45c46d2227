// When a run's steps were. Every step of the store has its time, but a tier has none: of a long
// range the times are those of the steps whose readings were kept. What lies between two of them is
// taken to have gone evenly, but the longest pauses are looked into.
#ifndef API_TIMES_H
#define API_TIMES_H

#include "storage/reader.h"

struct step_time {
    int64_t step;
    double time; // never less than an earlier step's: a clock that was put back does not lead back
};

struct step_times {
    struct step_time *at;
    size_t n, cap;
};

// Of the steps in force within from..to: of all, where they are not many or no readings were kept.
// 0, -1 for an error of the store, -2 when memory is gone; *out is to be freed all the same.
int times_read(struct step_times *out, struct reader *r, const struct attempt_record *attempts,
               size_t n, int64_t from, int64_t to) WARN_UNUSED;
void times_free(struct step_times *t);
// The time of a step, between those that are known. There is at least one.
double times_at(const struct step_times *t, int64_t step);
// The first whose time is later; n when none is.
size_t times_after(const struct step_times *t, double time);

#endif
