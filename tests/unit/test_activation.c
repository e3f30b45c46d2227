// What activations let through: the figures at unit variance, closed forms, and integrals to 17
// digits (mpmath, 45 digits) from tiny to huge variances and far from the origin.
#include "probes/activation.h"
#include "base/num.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#define NOT_A_NUMBER ((double)NAN)
#define NEAR(x, y, tolerance) ck_assert_double_eq_tol((x), (y), (tolerance))

static struct activation_transfer transfer(const char *name, double mean, double variance) {
    struct activation_transfer t;
    const struct activation *a = activation_find(name);
    ck_assert_msg(a != NULL, "%s", name);
    ck_assert(activation_transfer(a, mean, variance, &t));
    return t;
}

struct expected {
    const char *name;
    double mean_in, variance_in;
    double mean, efficiency, variance, chi, gain, linearity,
        entropy; // entropy NOT_A_NUMBER: has none
};

static void expect_figure(const char *name, const char *figure, double x, double y,
                          double tolerance) {
    ck_assert_msg(fabs(x - y) <= tolerance, "%s: %s is %.17g, not %.17g", name, figure, x, y);
}

static void expect(const struct expected *e, double relative, double absolute_mean) {
    struct activation_transfer t = transfer(e->name, e->mean_in, e->variance_in);
    expect_figure(e->name, "mean", t.mean, e->mean, relative * fabs(e->mean) + absolute_mean);
    expect_figure(e->name, "efficiency", t.efficiency, e->efficiency, relative * e->efficiency);
    expect_figure(e->name, "variance", t.variance, e->variance, relative * e->variance);
    expect_figure(e->name, "chi", t.chi, e->chi, relative * e->chi);
    expect_figure(e->name, "gain", t.gain, e->gain, relative * fabs(e->gain));
    expect_figure(e->name, "linearity", t.linearity, e->linearity, relative * e->linearity);
    if (isnan(e->entropy)) {
        ck_assert(num_is_missing(t.entropy) && t.no_entropy != NULL);
    } else {
        ck_assert(t.no_entropy == NULL);
        expect_figure(e->name, "entropy", t.entropy, e->entropy, relative * fabs(e->entropy));
    }
}

// Columns: name, mean and variance of z; mean, efficiency, variance, chi, gain, linearity, entropy.
static const struct expected unit[] = {
    {"linear", 0, 1, 0, 1, 1, 1, 1, 1, 0},
    {"relu", 0, 1, 0.3989422804014327, 0.5, 0.3408450569081047, 0.5, 0.5, 0.73347110346213,
     NOT_A_NUMBER},
    {"leaky_relu", 0, 1, 0.3949528575974183, 0.50005, 0.34406224027563337, 0.50005, 0.505,
     0.7412176349130776, -2.302585092994046},
    {"tanh", 0, 1, 0, 0.3942944903978412, 0.3942944903978412, 0.46440290244826826,
     0.6057055096021588, 0.9304699236152949, -0.7491344149828759},
    {"sigmoid", 0, 1, 0.5, 0.29337903585809294, 0.04337903585809296, 0.04483624135019437,
     0.20662096414190703, 0.9841671668912024, -1.6121183666948795},
    {"softplus", 0, 1, 0.8060591833474398, 0.9212459088593002, 0.27151450180055875,
     0.29337903585809294, 0.5, 0.9207611318810432, -0.8060591833474398},
    {"elu", 0, 1, 0.16052057226655606, 0.6449454174929239, 0.6191785633721412, 0.6681020012231706,
     0.76157829186512338, 0.9367273496702181, -0.3989422804014327},
    {"gelu", 0, 1, 0.28209479177387814, 0.4252214825702987, 0.345644011024351, 0.4558508656492871,
     0.5, 0.7232875213405252, NOT_A_NUMBER},
    {"silu", 0, 1, 0.20662096414190703, 0.35577551981735217, 0.31308329699442095,
     0.3794823516328293, 0.5, 0.7985095417097736, NOT_A_NUMBER},
};

static const struct expected elsewhere[] = {
    {"leaky_relu", 0, 1e-12, 3.9495285759741835e-7, 0.50005, 3.4406224027563338e-13, 0.50005, 0.505,
     0.74121763491307758, -2.3025850929940457},
    {"leaky_relu", 0, 1e-4, 3.9495285759741835e-3, 0.50005, 3.4406224027563338e-5, 0.50005, 0.505,
     0.74121763491307758, -2.3025850929940457},
    {"leaky_relu", 0, 100, 3.9495285759741835, 0.50005, 34.406224027563338, 0.50005, 0.505,
     0.74121763491307758, -2.3025850929940457},
    {"leaky_relu", 0, 1e12, 3.9495285759741835e+5, 0.50005, 3.4406224027563338e+11, 0.50005, 0.505,
     0.74121763491307758, -2.3025850929940457},
    {"leaky_relu", 1.5, 0.5, 1.5042683178407665, 0.99927041291597346, 0.48517046345943776,
     0.9830542679803316, 0.98322204750527881, 0.99627416290696657, -0.078045784455166207},
    {"leaky_relu", -30, 4, -0.3, 1.0e-4, 4.0e-4, 1.0e-4, 0.01, 1.0, -4.6051701859880914},
    {"leaky_relu", -3, 1e4, 37.998057305487782, 0.47613379145735435, 3.3217707597055263e+3,
     0.48808472323322877, 0.49315319132002848, 0.73213983655719881, -2.3576927395921364},
    {"leaky_relu", 40, 64, 40.00000042341631, 0.99999999925610151, 63.999964888847903,
     0.99999971337709328, 0.99999971621494384, 0.99999998104170932, -1.3200792725846862e-6},
    {"relu", 0, 1e-12, 3.9894228040143268e-7, 0.5, 3.4084505690810466e-13, 0.5, 0.5,
     0.73347110346212993, NOT_A_NUMBER},
    {"relu", 0, 1e-4, 3.9894228040143268e-3, 0.5, 3.4084505690810466e-5, 0.5, 0.5,
     0.73347110346212993, NOT_A_NUMBER},
    {"relu", 0, 100, 3.9894228040143268, 0.5, 34.084505690810466, 0.5, 0.5, 0.73347110346212993,
     NOT_A_NUMBER},
    {"relu", 0, 1e12, 3.9894228040143268e+5, 0.5, 3.4084505690810466e+11, 0.5, 0.5,
     0.73347110346212993, NOT_A_NUMBER},
    {"relu", 1.5, 0.5, 1.5043114321623904, 0.99927033994996846, 0.48504054992795121,
     0.98305257323765536, 0.98305257323765536, 0.9961974951297633, NOT_A_NUMBER},
    {"relu", -30, 4, 4.8520501750579661e-52, 1.4127684964281555e-55, 1.2771427207710525e-52,
     3.6709661993127509e-51, 3.6709661993127509e-51, 4.220669348014859e-49, NOT_A_NUMBER},
    {"relu", -3, 1e4, 38.412179096452305, 0.47608139959731408, 3.2896032256315892e+3,
     0.48803352658588736, 0.48803352658588736, 0.72402872545861255, NOT_A_NUMBER},
    {"relu", 40, 64, 40.000000427693243, 0.99999999925602711, 63.999964546569509,
     0.99999971334842812, 0.99999971334842812, 0.99999998065677912, NOT_A_NUMBER},
    {"tanh", 0, 1e-12, -1.8054184599203036e-59, 0.999999999998, 9.99999999998e-13, 0.999999999998,
     0.999999999999, 1.0, -9.999999999995e-13},
    {"tanh", 0, 1e-4, -1.2209219716732031e-55, 0.99980005664600921, 9.9980005664600921e-5,
     0.99980006996868339, 0.9999000199943354, 0.99999999333733097, -9.9995000666525041e-5},
    {"tanh", 0, 100, 2.8790220660575518e-53, 9.2053686343051667e-3, 0.92053686343051667,
     0.053106787748115834, 0.079463136569483329, 0.68594646497141363, -14.636832780100255},
    {"tanh", 0, 1e12, -8.5233275138964365e-54, 9.999992021154392e-13, 0.9999992021154392,
     5.3192304053515781e-7, 7.9788456080253724e-7, 0.6366202803165505, -1.5957677353120258e+6},
    {"tanh", 1.5, 0.5, 0.81728201997674368, 0.26273331869216597, 0.05456672622618997,
     0.14634887200838426, 0.27748337359654357, 0.7055308971931993, -1.828762181691919},
    {"tanh", -30, 4, -1.0, 1.1061946902654867e-3, 2.4218404756786673e-38, 9.6873629532711185e-38,
     1.0441116278670814e-22, 1.80056300552455e-6, -58.613705638880109},
    {"tanh", -3, 1e4, -0.023931963005394604, 9.9113305196380428e-5, 0.99145233285728013,
     5.3167516445556794e-3, 7.9749282894282913e-3, 0.64147795223029464, -158.2689812211431},
    {"tanh", 40, 64, 0.99999932099767196, 6.0096127736387861e-4, 9.2353768904091677e-7,
     2.6322711553355667e-7, 4.3446650598905572e-7, 1.3080909866744394e-5, -78.613707691187515},
    {"sigmoid", 0, 1e-12, 0.5, 2.500000000000625e+11, 6.249999999996875e-14, 0.06249999999996875,
     0.2499999999999375, 1.0, -1.3862943611201406},
    {"sigmoid", 0, 1e-4, 0.5, 2.5000624968752213e+3, 6.2496875221333987e-6, 0.062496875273406905,
     0.24999375031247787, 0.99999999958339582, -1.386319360807401},
    {"sigmoid", 0, 100, 0.5, 4.6074043989063592e-3, 0.21074043989063592, 6.6066455035341533e-3,
     0.039259560109364077, 0.73137982476483293, -8.1086260623422973},
    {"sigmoid", 0, 1e12, 0.5, 4.999996010577196e-13, 0.2499996010577196, 6.6490380066862564e-8,
     3.9894228040077644e-7, 0.63662078826528303, -7.9788456080417782e+5},
    {"sigmoid", 1.5, 0.5, 0.79613087409549042, 0.23486288569844841, 0.012048566982683505,
     0.025661344267765872, 0.15025793842475729, 0.93693499368460229, -1.9778767585346182},
    {"sigmoid", -30, 4, 6.9144001066791751e-13, 2.8874768350744848e-26, 2.5624701300720893e-23,
     2.6102790481469662e-23, 6.9144001064181472e-13, 0.074629441757106904, -30.000000000001383},
    {"sigmoid", -3, 1e4, 0.48803549372221685, 4.836132689346594e-5, 0.24586987774401263,
     6.6456184218533413e-4, 3.9869728455162543e-3, 0.64651890734797717, -79.837475454348508},
    {"sigmoid", 40, 64, 0.9999994200133656, 6.0096097747231812e-4, 2.264868697584036e-7,
     3.9434666654494517e-8, 3.5349942825550871e-7, 3.5311354420930781e-5, -40.000001840391964},
    {"softplus", 0, 1e-12, 0.69314718056007031, 4.8045301391862471e+11, 2.5000000000003125e-13,
     0.2500000000000625, 0.5, 0.999999999999875, -0.69314718056007031},
    {"softplus", 0, 1e-4, 0.69315968040370052, 4.8049534284984462e+3, 2.5000312484376042e-5,
     0.25000624968752213, 0.5, 0.99998750078119076, -0.69315968040370052},
    {"softplus", 0, 100, 4.0543130311711487, 0.50093617027251567, 33.65616287252738,
     0.46074043989063592, 0.5, 0.74280600835833331, -4.0543130311711487},
    {"softplus", 0, 1e12, 3.9894228040208891e+5, 0.5, 3.4084505690758107e+11, 0.4999996010577196,
     0.5, 0.73347110346325667, -3.9894228040208891e+5},
    {"softplus", 1.5, 0.5, 1.7389383792673091, 1.2159152599162431, 0.31986027788085272,
     0.64587293567073313, 0.79613087409549042, 0.99078318334380341, -0.23893837926730908},
    {"softplus", -30, 4, 6.9144001068096891e-13, 2.8874768410260168e-26, 2.5624701354504694e-23,
     2.6102790589073343e-23, 6.9144001066791751e-13, 0.074629441606101558, -30.000000000000691},
    {"softplus", -3, 1e4, 38.418737727174254, 0.47608235671410976, 3.2891088998021222e+3,
     0.4840485208767006, 0.48803549372221685, 0.72414337861241735, -41.418737727174254},
    {"softplus", 40, 64, 40.000000920195982, 1.0000000005168661, 63.999927244385858,
     0.99999906651393735, 0.9999994200133656, 0.99999997683351222, -9.2019598176595068e-7},
    {"elu", 0, 1e-12, 2.4999986701930237e-13, 0.9999992021163142, 9.999992021162517e-13,
     0.9999992021164392, 0.9999996010579696, 0.99999999999984666, -3.9894228040143268e-7},
    {"elu", 0, 1e-4, 2.4867641590629788e-5, 0.99210786291819939, 9.9210167892221659e-5,
     0.99212010046144443, 0.9960354448375763, 0.99998480846293451, -3.9894228040143268e-3},
    {"elu", 0, 100, 3.5289294981157128, 0.50440884227445555, 37.987540824774339,
     0.51989761564832703, 0.539506694101386, 0.76621825646155275, -3.9894228040143268},
    {"elu", 0, 1e12, 3.9894178040183162e+5, 0.5000000000005, 3.4084545585031676e+11,
     0.5000001994711402, 0.5000003989422804, 0.73347141542126921, -3.9894228040143268e+5},
    {"elu", 1.5, 0.5, 1.5008232585198359, 0.99968427965001927, 0.49666131572345494,
     0.99416198689003066, 0.99651182635744547, 0.99971126060397865, -4.3114321623903882e-3},
    {"elu", -30, 4, -0.99999999999930856, 1.106194690263957e-3, 2.5624701408288501e-23,
     2.6102790696677048e-23, 6.914400106940203e-13, 0.074629441455096192, -30.0},
    {"elu", -3, 1e4, 37.904201048651048, 0.47613195246827273, 3.3288762551183826e+3,
     0.49002758982261698, 0.49202195219874268, 0.72722919956318022, -41.412179096452305},
    {"elu", 40, 64, 40.000000254739677, 0.99999999933408737, 63.999978512747143,
     0.99999978398513985, 0.99999982704643443, 0.99999998983122124, -4.276932427066252e-7},
    {"gelu", 0, 1e-12, 3.9894228040123321e-13, 0.25000000000047746, 2.5000000000031831e-13,
     0.25000000000063662, 0.5, 0.99999999999872676, NOT_A_NUMBER},
    {"gelu", 0, 1e-4, 3.989223347833215e-5, 0.25004773852647996, 2.5003182462356107e-5,
     0.25006364924733424, 0.5, 0.99987271770859977, NOT_A_NUMBER},
    {"gelu", 0, 100, 3.9696240574660719, 0.49981482730022822, 34.223567572409423,
     0.50539986418341693, 0.5, 0.73049076333452337, NOT_A_NUMBER},
    {"gelu", 0, 1e12, 3.9894228040123321e+5, 0.5, 3.4084505690826382e+11, 0.50000005626976976, 0.5,
     0.73347110346178744, NOT_A_NUMBER},
    {"gelu", 1.5, 0.5, 1.4114296399628425, 0.92371244239630689, 0.54807558802420465,
     1.1087453412635924, 1.0435306418455319, 0.99343614664192646, NOT_A_NUMBER},
    {"gelu", -30, 4, -1.4219635513993079e-40, 1.8536346391760627e-48, 1.6756857138151607e-45,
     1.9338696310746749e-44, -8.5291607261927697e-40, 1.7365209261729997e-33, NOT_A_NUMBER},
    {"gelu", -3, 1e4, 38.410185431857523, 0.47608121239814717, 3.2897545099833751e+3,
     0.48859514368542925, 0.4880329285762156, 0.72399365561134588, NOT_A_NUMBER},
    {"gelu", 40, 64, 40.000000306283388, 0.99999999911196109, 63.999974019632092,
     0.99999985905283617, 0.99999978758895595, 0.99999998112119792, NOT_A_NUMBER},
    {"silu", 0, 1e-12, 2.499999999999375e-13, 0.2500000000001875, 2.50000000000125e-13,
     0.25000000000025, 0.5, 0.9999999999995, NOT_A_NUMBER},
    {"silu", 0, 1e-4, 2.4999375031247787e-5, 0.25001874843765493, 2.500124987501354e-5,
     0.25002499750029163, 0.5, 0.99995000749883352, NOT_A_NUMBER},
    {"silu", 0, 100, 3.9259560109364077, 0.49877173107472021, 34.46404250766431,
     0.50715382912831717, 0.5, 0.72539371997467672, NOT_A_NUMBER},
    {"silu", 0, 1e12, 3.9894228040077644e+5, 0.5, 3.4084505690862826e+11, 0.50000008576382244, 0.5,
     0.73347110346100319, NOT_A_NUMBER},
    {"silu", 1.5, 0.5, 1.2693252803556143, 0.76335518710627023, 0.48804009719238434,
     0.98813807499937491, 0.98281308092657372, 0.98959241012897736, NOT_A_NUMBER},
    {"silu", -30, 4, -1.7977440277470266e-11, 1.4090886974208387e-23, 1.2414973465754372e-20,
     1.1615741795136252e-20, -1.7286000266228088e-11, 0.09627271649940048, NOT_A_NUMBER},
    {"silu", -3, 1e4, 38.405621973995893, 0.47608009116080368, 3.2900938332190078e+3,
     0.48888730492498335, 0.48803156080724681, 0.7239149289275092, NOT_A_NUMBER},
    {"silu", 40, 64, 39.999999424498032, 0.99999999421220828, 64.000036409271658, 1.000000827700592,
     1.0000002749817081, 0.99999998106863283, NOT_A_NUMBER},
};

START_TEST(unit_variance) {
    for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
        expect(&unit[i], 1e-13, 1e-16);
    }
}
END_TEST

START_TEST(any_variance_and_mean) {
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
        const struct expected *e = &elsewhere[i];
        expect(e, 1e-9, 1e-16 * sqrt(e->variance_in));
    }
}
END_TEST

static const double variances[] = {1e-12, 1e-6, 0.01, 0.3, 1, 7, 1e3, 1e8, 1e12};
enum { VARIANCES = sizeof variances / sizeof *variances };

// m 0: every piecewise linear activation is scale-free.
START_TEST(closed_forms) {
    for (int i = 0; i < VARIANCES; i++) {
        double q = variances[i], s = sqrt(q), half = sqrt(1 / (2 * M_PI));
        struct activation_transfer t = transfer("linear", 3 * s, q);
        NEAR(t.mean / s, 3, 1e-13);
        NEAR(t.efficiency, 1, 1e-13);
        NEAR(t.variance / q, 1, 1e-13);
        NEAR(t.linearity, 1, 1e-13);
        ck_assert_double_eq(t.entropy, 0);
        t = transfer("relu", 0, q);
        NEAR(t.mean / s, half, 1e-13);
        NEAR(t.efficiency, 0.5, 1e-13);
        NEAR(t.variance / q, 0.5 - half * half, 1e-13);
        NEAR(t.chi, 0.5, 1e-13);
        t = transfer("leaky_relu", 0, q);
        NEAR(t.mean / s, 0.99 * half, 1e-13);
        NEAR(t.efficiency, (1 + 1e-4) / 2, 1e-13);
        NEAR(t.entropy, log(0.01) / 2, 1e-12);
    }
}
END_TEST

// A rectified normal that is moved to m = x s: <a> = s (x P(x) + p(x)), <a^2> = s^2 ((1 + x^2) P +
// x p).
START_TEST(relu_anywhere) {
    for (double x = -30; x <= 30; x += 0.75) {
        double share = erfc(-x * M_SQRT1_2) / 2;
        double density = exp(-x * x / 2) / sqrt(2 * M_PI);
        struct activation_transfer t = transfer("relu", x * 0.02, 4e-4);
        NEAR(t.gain / share, 1, 1e-10);
        NEAR(t.chi / share, 1, 1e-10);
        if (x > -6) { // below, the closed forms themselves cancel
            NEAR(t.mean / (0.02 * (x * share + density)), 1, 1e-9);
            NEAR(t.efficiency * (1 + x * x) / ((1 + x * x) * share + x * density), 1, 1e-9);
        }
        ck_assert(t.mean > 0 && t.variance > 0 && t.linearity > 0 && t.linearity <= 1);
    }
}
END_TEST

// Small z: the derivatives at 0. Large z: a step of height h, or a ramp.
START_TEST(asymptotes) {
    NEAR(transfer("tanh", 0, 1e-8).efficiency, 1 - 2e-8, 1e-14);
    NEAR(transfer("tanh", 0, 1e-8).entropy / 1e-8, -1, 1e-7);
    NEAR(transfer("tanh", 0, 1e12).variance, 1, 1e-5);
    NEAR(transfer("tanh", 0, 1e12).linearity, 2 / M_PI, 1e-5);
    NEAR(transfer("tanh", 0, 1e12).chi * 1e6, 4.0 / 3 / sqrt(2 * M_PI), 1e-9);
    NEAR(transfer("sigmoid", 0, 1e-12).variance / 1e-12, 1.0 / 16, 1e-12);
    NEAR(transfer("sigmoid", 0, 1e12).variance, 0.25, 1e-5);
    NEAR(transfer("softplus", 0, 1e-12).gain, 0.5, 1e-14);
    NEAR(transfer("elu", 0, 1e12).efficiency, 0.5, 1e-6);
    NEAR(transfer("gelu", 0, 1e12).efficiency, 0.5, 1e-6);
    NEAR(transfer("silu", 0, 1e12).efficiency, 0.5, 1e-6);
    NEAR(transfer("silu", 0, 1e-10).efficiency, 0.25, 1e-9);
    // Saturated and dead: exact exponentials, not zeros.
    NEAR(transfer("softplus", -200, 1).mean / exp(-199.5), 1, 1e-9);
    NEAR(transfer("sigmoid", 200, 1).variance / (exp(-399) * expm1(1)), 1, 1e-9);
    NEAR(transfer("elu", -200, 1).variance / (exp(-399) * expm1(1)), 1, 1e-9);
}
END_TEST

START_TEST(squashing_loses_ever_more) {
    static const char *const names[] = {"tanh", "sigmoid"};
    for (int k = 0; k < 2; k++) {
        double before = HUGE_VAL, entropy = HUGE_VAL, linearity = 1 + 1e-12;
        for (double q = 1e-6; q < 1e12; q *= 3) {
            struct activation_transfer t = transfer(names[k], 0, q);
            ck_assert(t.efficiency < before && t.entropy < entropy && t.linearity < linearity);
            before = t.efficiency, entropy = t.entropy, linearity = t.linearity;
        }
    }
}
END_TEST

// What holds for every f: Schwarz (gain^2 <= chi), Poincare (var a <= q chi), R^2 within [0, 1].
START_TEST(inequalities) {
    static const double means[] = {0, 1e-9, -0.7518, 3, -50, 1e4, -1e12};
    for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
        for (int k = 0; k < VARIANCES * 7; k++) {
            double q = variances[k / 7];
            struct activation_transfer t = transfer(unit[i].name, means[k % 7], q);
            double slack = 1 + 1e-9;
            ck_assert(isfinite(t.mean) && isfinite(t.efficiency) && t.efficiency >= 0);
            ck_assert(t.gain * t.gain <= t.chi * slack);
            ck_assert_msg(t.variance >= 0 && t.variance <= q * t.chi * slack, "%s %g %g: %g %g",
                          unit[i].name, means[k % 7], q, t.variance, q * t.chi);
            ck_assert(num_is_missing(t.linearity) || (t.linearity >= 0 && t.linearity <= 1));
            ck_assert(t.no_entropy ? num_is_missing(t.entropy) : isfinite(t.entropy));
        }
    }
}
END_TEST

START_TEST(names) {
    static const char *const same[][2] = {{"none", "linear"},
                                          {"identity", "linear"},
                                          {"ReLU", "relu"},
                                          {"LeakyReLU", "leaky_relu"},
                                          {"leaky-relu", "leaky_relu"},
                                          {"swish", "silu"},
                                          {"SiLU", "silu"},
                                          {"logistic", "sigmoid"}};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        ck_assert_str_eq(activation_name(activation_find(same[i][0])), same[i][1]);
    }
    static const char *const unknown[] = {"", "_", "relu6", "rel", "softmax", "tanhh"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        ck_assert_msg(activation_find(unknown[i]) == NULL, "%s", unknown[i]);
    }
}
END_TEST

START_TEST(out_of_range) {
    struct activation_transfer t = {.mean = 42};
    const struct activation *a = activation_find("tanh");
    static const double bad[][2] = {{0, 0},    {0, -1},           {0, NOT_A_NUMBER}, {0, 9e-13},
                                    {0, 2e12}, {NOT_A_NUMBER, 1}, {HUGE_VAL, 1},     {0, HUGE_VAL}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert(!activation_transfer(a, bad[i][0], bad[i][1], &t));
    }
    ck_assert_double_eq(t.mean, 42);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("activation");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, unit_variance);
    tcase_add_test(tc, any_variance_and_mean);
    tcase_add_test(tc, closed_forms);
    tcase_add_test(tc, relu_anywhere);
    tcase_add_test(tc, asymptotes);
    tcase_add_test(tc, squashing_loses_ever_more);
    tcase_add_test(tc, inequalities);
    tcase_add_test(tc, names);
    tcase_add_test(tc, out_of_range);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
