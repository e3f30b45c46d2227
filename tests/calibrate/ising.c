// A 4 x 4 Ising model, J = 1, periodic, by Metropolis, while its bath's temperature goes evenly
// from `temperature` to `temperature_to`.
//
// The loss is the energy of 16 lattices averaged over `sweeps` sweeps: noisy, like a batch's. Its
// entropy cannot be measured from a few states, so the exact one of the present temperature, by
// enumeration of all 65,536 states, is streamed as the variance of a layer of 16 parameters:
// S = (n/2) ln(2 pi e var). So dE/dS has to come out as the bath's temperature.
#include "tests/calibrate/simulate.h"

enum { SIDE = 4, SPINS = SIDE * SIDE, STATES = 1 << SPINS, LATTICES = 16 };
enum { ENERGY_MAX = 2 * SPINS, SETTLE = 512 };

// How many of the states have the energy e - ENERGY_MAX.
static void count_states(double counts[2 * ENERGY_MAX + 1]) {
    for (int i = 0; i <= 2 * ENERGY_MAX; i++) {
        counts[i] = 0;
    }
    for (int state = 0; state < STATES; state++) {
        int energy = 0;
        for (int i = 0; i < SPINS; i++) {
            int right = i - i % SIDE + (i + 1) % SIDE, below = (i + SIDE) % SPINS;
            energy += ((state >> i ^ state >> right) & 1) ? 1 : -1;
            energy += ((state >> i ^ state >> below) & 1) ? 1 : -1;
        }
        counts[energy + ENERGY_MAX]++;
    }
}

static double entropy_at(const double counts[2 * ENERGY_MAX + 1], double temperature) {
    double z = 0, energy = 0; // relative to the ground state
    for (int i = 0; i <= 2 * ENERGY_MAX; i++) {
        double weight = counts[i] * exp(-i / temperature);
        z += weight;
        energy += weight * i;
    }
    return log(z) + energy / z / temperature;
}

struct lattice {
    int spin[SPINS]; // -1 or 1
};

// Returns the change of energy.
static int sweep(struct lattice *l, const double accept[5], struct random *r) {
    int change = 0;
    for (int k = 0; k < SPINS; k++) {
        uint64_t bits = random_bits(r);
        int i = (int)(bits % SPINS), column = i % SIDE, row = i - column;
        int field = l->spin[row + (column + 1) % SIDE] + l->spin[row + (column + SIDE - 1) % SIDE] +
                    l->spin[(i + SIDE) % SPINS] + l->spin[(i + SPINS - SIDE) % SPINS];
        int cost = 2 * l->spin[i] * field;
        if (cost <= 0 || (double)(bits >> 11) * 0x1p-53 < accept[cost / 4 + 2]) {
            l->spin[i] = -l->spin[i];
            change += cost;
        }
    }
    return change;
}

// Sweeps all lattices and returns their mean energy.
static double measure(struct lattice *lattices, int *energies, int sweeps, double temperature,
                      struct random *r) {
    double accept[5], sum = 0;
    for (int i = 0; i < 5; i++) {
        accept[i] = exp(-4 * (i - 2) / temperature);
    }
    for (int l = 0; l < LATTICES; l++) {
        for (int k = 0; k < sweeps; k++) {
            energies[l] += sweep(&lattices[l], accept, r);
            sum += energies[l];
        }
    }
    return sum / (LATTICES * sweeps);
}

void simulate_ising(const struct settings *s, struct random *r, int number) {
    static double counts[2 * ENERGY_MAX + 1];
    struct lattice lattices[LATTICES];
    struct settings spins = *s;
    struct pyrometer_stats stats;
    int energies[LATTICES];
    count_states(counts);
    for (int l = 0; l < LATTICES; l++) {
        energies[l] = -ENERGY_MAX;
        for (int i = 0; i < SPINS; i++) {
            lattices[l].spin[i] = 1;
        }
    }
    spins.size = SPINS;
    struct stream *stream =
        stream_open(&spins, number, 1, &(struct pyrometer_optimizer){.name = "other"});
    stats_clear(&stats, 1);
    measure(lattices, energies, SETTLE, s->temperature, r);
    for (int64_t step = 0; step < (int64_t)s->steps; step++) {
        double share = s->steps > 1 ? (double)step / (s->steps - 1) : 0;
        double t = s->temperature + (s->temperature_to - s->temperature) * share;
        double energy = measure(lattices, energies, (int)s->sweeps, t, r);
        stats.w_var = exp(2 * entropy_at(counts, t) / SPINS) / (2 * M_PI * exp(1));
        stream_step(stream, step, energy, 0, &stats, NULL, 0);
    }
    stream_close(stream);
}
