// r1: the correlation of neighbouring differences of a series (theory 2.10). White noise gives
// -1/2, a smooth course 0, a zigzag of period two -1: the sign of training beyond the edge of
// stability that needs nothing but the loss. Flat; zero it before use.
#ifndef ALERTS_DIFFERENCES_H
#define ALERTS_DIFFERENCES_H

#include <stdbool.h>
#include <stdint.h>

#define DIFFERENCES_MEMORY 64 // values over which it forgets

struct differences {
    double last, difference; // the newest value and its distance from the one before
    double product, square;  // averages
    uint32_t count;
};

void differences_add(struct differences *d, double x);
// After a gap: the next value is no neighbour of the last.
void differences_break(struct differences *d);
bool differences_are_known(const struct differences *d);
double differences_correlation(const struct differences *d);

#endif
