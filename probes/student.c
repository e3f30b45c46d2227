#include "probes/student.h"

#include <math.h>

double student_t975(unsigned freedom) {
    static const double exact[] = {HUGE_VAL, 12.706205, 4.302653, 3.182446, 2.776445,
                                   2.570582, 2.446912,  2.364624, 2.306004, 2.262157,
                                   2.228139, 2.200985,  2.178813, 2.160369, 2.144787};
    if (freedom < sizeof exact / sizeof *exact) {
        return exact[freedom];
    }
    // Fisher's expansion around the normal quantile.
    double z = NORMAL_975, z2 = z * z, v = freedom;
    double g1 = z * (z2 + 1) / 4;
    double g2 = z * ((5 * z2 + 16) * z2 + 3) / 96;
    double g3 = z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
    double g4 = z * ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / 92160;
    return z + (g1 + (g2 + (g3 + g4 / v) / v) / v) / v;
}
