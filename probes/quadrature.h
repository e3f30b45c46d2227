// Numerical integration: Gauss-Legendre with 16 nodes on each of a few panels.
#ifndef PROBES_QUADRATURE_H
#define PROBES_QUADRATURE_H

#include <stddef.h>

enum { QUADRATURE_HALF = 8 }; // nodes on each side of a panel's middle

// Distances from the middle of [-1,1], and the weights of the two nodes there.
extern const double quadrature_node[QUADRATURE_HALF];
extern const double quadrature_weight[QUADRATURE_HALF];

// The integral over one panel: exact to rounding for what a polynomial of degree 31 describes
// there.
double quadrature_panel(double (*f)(const void *context, double x), const void *context, double low,
                        double high);

// Makes breakpoints into panels: sorts them, drops what is outside [low, high] or not finite, adds
// both ends and drops repetitions. `breaks` has room for n + 2; returns how many there are then.
size_t quadrature_breaks(double *breaks, size_t n, double low, double high);

#endif
