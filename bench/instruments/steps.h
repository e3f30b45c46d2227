// Made-up steps that carry everything a job can send, for the benchmarks of instruments and rules.
#ifndef BENCH_INSTRUMENTS_STEPS_H
#define BENCH_INSTRUMENTS_STEPS_H

#include "probes/thermo.h"

#include <stdint.h>

// CPU time of this process.
double cpu_seconds(void);
// Owns its columns; ends the program where there is no memory for them.
struct thermo_step make_step(size_t layers, uint64_t *random);
void free_step(const struct thermo_step *s);

#endif
