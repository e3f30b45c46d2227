#include "cli/latencies.h"

#include <math.h>
#include <stddef.h>

#include "base/num.h"

#define LEAST_S 1e-6

enum { COUNTS = LATENCIES_A_DOUBLING * LATENCIES_DOUBLINGS };

void latencies_add(struct latencies *l, double seconds) {
    double place = seconds > LEAST_S ? log2(seconds / LEAST_S) * LATENCIES_A_DOUBLING : 0;
    l->counts[place < COUNTS ? (size_t)place : COUNTS - 1]++;
    l->max_s = fmax(l->max_s, seconds);
    l->n++;
}

double latencies_quantile(const struct latencies *l, double part) {
    if (l->n == 0) {
        return num_missing();
    }
    double wanted = part * (double)l->n, seen = 0;
    size_t i = 0;
    while (i < COUNTS - 1 && (seen += (double)l->counts[i]) < wanted) {
        i++;
    }
    return fmin(l->max_s, LEAST_S * exp2((double)(i + 1) / LATENCIES_A_DOUBLING));
}
