#include "alerts/page_hinkley.h"

const struct page_hinkley_settings page_hinkley_river = {0.005, 50, 1 - 1e-4, 30};

bool page_hinkley_add(struct page_hinkley *p, const struct page_hinkley_settings *s, double x) {
    p->count += p->count < UINT32_MAX;
    p->mean += (x - p->mean) / p->count;
    double sum = s->keep * p->sum + x - p->mean - s->delta;
    p->sum = sum > 0 ? sum : 0;
    return p->sum >= s->lambda && p->count >= s->least;
}
