#include "probes/phase.h"

const char *phase_what_name(enum phase_what what) {
    return what == PHASE_LOSS ? "loss" : "outputs";
}
