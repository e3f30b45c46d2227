// The first two derivatives of the logarithm of the gamma function, for x > 0.
#ifndef PROBES_SPECIAL_H
#define PROBES_SPECIAL_H

double digamma(double x);
double trigamma(double x);

#endif
