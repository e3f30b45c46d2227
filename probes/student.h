// Quantiles for two-sided 95% intervals.
#ifndef PROBES_STUDENT_H
#define PROBES_STUDENT_H

#define NORMAL_975 1.959963984540054

// Student's t at 97.5% for a whole number of degrees of freedom, correct to 1e-6; 0 of them:
// infinity.
double student_t975(unsigned freedom);

#endif
