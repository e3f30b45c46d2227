// Differential entropies in nats of n parameters that are seen as independent draws from one
// distribution: blind to correlations and to the direction of the weights.
#ifndef PROBES_ENTROPY_H
#define PROBES_ENTROPY_H

#define ENTROPY_SIZE_MIN 8 // layers with fewer parameters have no entropy

// Of a normal distribution of this variance: the largest of all distributions that have it.
double entropy_normal(double n, double variance);
double entropy_uniform(double n, double low, double high);
// Of a histogram: shares[i] of the parameters in each of `bins` bins of that width.
double entropy_histogram(double n, const double *shares, unsigned bins, double width);
// The normal entropy's change between two variances above zero, safe against cancellation.
double entropy_change(double n, double from_variance, double to_variance);
// Bias and standard deviation of ln s^2 when s^2 comes from n normal draws; n >= 2.
double entropy_log_variance_bias(double n);
double entropy_log_variance_deviation(double n);
// The change of entropy that n parameters must show before anything is divided by it.
double entropy_resolution(double n);

#endif
