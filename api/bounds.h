// The 95% intervals of instruments: at some of a walk's steps, every so many and the last, or at
// some of those that were kept with a run's readings. An interval is always that of one step;
// where there are more than are wanted, those between are left out.
#ifndef API_BOUNDS_H
#define API_BOUNDS_H

#include "api/emit.h"
#include "api/select.h"
#include "storage/range.h"

#define BOUNDS_MOST 1000    // intervals a series
#define BOUNDS_TOTAL 100000 // of all series of a request

struct bound {
    int64_t step;
    double low, high; // num_missing() where there is none
};

// Those of one series, its newest step among them whether it is its turn or not.
struct bounds_series {
    struct bound *at;
    size_t n;
    int64_t due;
    bool is_early; // the newest was not due: it gives way to the next
    size_t paired; // those before have both ends
};

struct bounds {
    size_t most; // of a series; the last step comes on top. 0: none are wanted
    int64_t stride, due, last;
    size_t n_series;
    struct bounds_series *series;
};

// For the selection's series over the steps first..last, which the walk visits. most 0: none.
void bounds_init(struct bounds *b, const struct selection *s, size_t most, int64_t first,
                 int64_t last);
void bounds_free(struct bounds *b);
// Looks at one step of a walk; the selection has been given it before.
void bounds_add(struct bounds *b, const struct selection *s, int64_t step,
                const struct thermo *thermo);
// One interval of a series, behind all that it has.
void bounds_take(struct bounds *b, size_t series, const struct bound *one);

// What was kept of the attempt and the steps of `readings`, of layers as the selection has them
// indexed. `width`: of how many entries one may be taken. `go_on` is asked at every interval; false
// ends it. 0, or -1 for an error of the store.
typedef bool bounds_go_on_fn(void *context);
int bounds_read(struct bounds *b, const struct selection *s, struct reader *r,
                const struct range *readings, int64_t width, bounds_go_on_fn *go_on,
                void *context) WARN_UNUSED;

// "interval":{"step":[...],"low":[...],"high":[...]} of the series' instrument; nothing for others.
void bounds_emit(const struct bounds *b, const struct selection *s, size_t series, struct emit *e);

#endif
