// Page-Hinkley's test for a mean that has begun to rise, in the form of River (theory 6.4 [L]): the
// sum of what lies more than delta above the running mean, with forgetting. The mean takes the
// drift in, so that it heals by itself, slowly. Flat; zero it before use.
#ifndef ALERTS_PAGE_HINKLEY_H
#define ALERTS_PAGE_HINKLEY_H

#include <stdbool.h>
#include <stdint.h>

struct page_hinkley {
    double mean, sum;
    uint32_t count;
};

struct page_hinkley_settings {
    double delta, lambda, keep; // keep: what is left of the sum from one value to the next
    uint32_t least;             // values before it may fire
};
// River's: 0.005, 50, 1 - 1e-4, 30.
extern const struct page_hinkley_settings page_hinkley_river;

// Takes x in. True when the sum has reached lambda.
bool page_hinkley_add(struct page_hinkley *p, const struct page_hinkley_settings *s, double x);

#endif
