// The demo's training job: a small network learns handwritten digits and streams every step to
// pyrometerd.
//
// 64-32-32-10, ReLU, softmax cross entropy with smoothed labels, SGD with momentum 0.9 in PyTorch's
// form (v = mu v + g, w -= lr v), batches of 192 drawn with replacement. Single precision, one
// thread, its own random numbers: the same seed gives the same run on the same build.
//
// With --ramp the learning rate stays at its start for a healthy phase and then grows by a constant
// factor every step until the training fails. 'Fails' is decided here without Pyrometer's help: the
// smoothed loss exceeds three times its minimum, or the loss is no longer a number.
#include "clients/c/pyrometer.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    PIXELS = 64,
    HIDDEN = 32,
    CLASSES = 10,
    LAYERS = 3,
    BATCH = 192,
    WEIGHTS_MAX = PIXELS * HIDDEN + HIDDEN, // of one layer
    IMAGES_MAX = 2000,
    VALIDATION = 297,      // the last images of the file are never trained on
    VALIDATION_EVERY = 50, // steps
    HEALTHY_STEPS = 1000,  // before the ramp
    REPORT_EVERY = 250,    // steps
    FINISH_TIMEOUT_MS = 10000,
};

static const float momentum = 0.9F;
static const double smoothing = 0.02; // weight of a new loss in the smoothed loss
static const double failed_ratio = 3; // of the smoothed loss to its minimum
static const double label_smoothing = 0.1;
static const double ramp_factor = 1.002; // of the learning rate, a step

struct options {
    const char *server;
    const char *run;
    const char *data;
    int64_t steps;
    uint64_t seed;
    double lr; // at the start
    bool ramp;
    double steps_per_second; // 0: as fast as it goes
};

struct images {
    size_t count;
    float pixels[IMAGES_MAX][PIXELS]; // 0 to 1
    int digits[IMAGES_MAX];
};

// Weights and biases of a layer lie in one array: in * out weights, then out biases.
struct layer {
    size_t in, out, n;
    float w[WEIGHTS_MAX], g[WEIGHTS_MAX], velocity[WEIGHTS_MAX];
    float update[WEIGHTS_MAX], update_prev[WEIGHTS_MAX];
    float z[BATCH][PIXELS], a[BATCH][PIXELS], delta[BATCH][PIXELS]; // the first `out` of each row
};

struct network {
    struct layer layers[LAYERS];
    uint64_t random; // the state of draw()
};

struct batch {
    const float *pixels[BATCH];
    int digits[BATCH];
};

// The loss as a person judges it: smoothed, and against the best so far.
struct verdict {
    double weight, smoothed, minimum;
    bool failed;
};

// SplitMix64.
static uint64_t draw(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static float draw_uniform(uint64_t *state, float low, float high) {
    return low + (high - low) * ((float)(draw(state) >> 40) / 16777216.0F);
}

// --- the data ---

static bool parse_image(const char *line, float pixels[PIXELS], int *digit) {
    for (int i = 0; i <= PIXELS; i++) {
        char *end;
        long value = strtol(line, &end, 10);
        long highest = i < PIXELS ? 16 : CLASSES - 1;
        char stop = i < PIXELS ? ',' : '\n';
        if (end == line || *end != stop || value < 0 || value > highest) {
            return false;
        }
        if (i < PIXELS) {
            pixels[i] = (float)value / 16.0F;
        } else {
            *digit = (int)value;
        }
        line = end + 1;
    }
    return true;
}

static bool read_images(const char *path, struct images *set) {
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "pyrometer-demo: %s: %s\n", path, strerror(errno));
        return false;
    }
    char line[512];
    bool good = true;
    while (good && set->count < IMAGES_MAX && fgets(line, sizeof line, file)) {
        good = parse_image(line, set->pixels[set->count], &set->digits[set->count]);
        set->count++;
    }
    fclose(file);
    if (!good) {
        fprintf(stderr, "pyrometer-demo: %s:%zu: expected 64 pixels of 0 to 16 and a digit\n", path,
                set->count);
    } else if (set->count < VALIDATION + BATCH) {
        fprintf(stderr, "pyrometer-demo: %s: only %zu images\n", path, set->count);
        good = false;
    }
    return good;
}

static void draw_batch(struct network *net, const struct images *set, struct batch *batch) {
    for (int b = 0; b < BATCH; b++) {
        size_t i = (size_t)(draw(&net->random) % (set->count - VALIDATION));
        batch->pixels[b] = set->pixels[i];
        batch->digits[b] = set->digits[i];
    }
}

// --- the network ---

static float init_bound(size_t in) {
    return sqrtf(6.0F / (float)in);
}

static void init_layer(struct layer *l, size_t in, size_t out, uint64_t *random) {
    l->in = in;
    l->out = out;
    l->n = in * out + out;
    for (size_t i = 0; i < l->n; i++) {
        l->w[i] = draw_uniform(random, -init_bound(in), init_bound(in));
    }
}

static void forward_layer(struct layer *l, const float *x, float *z, float *a) {
    for (size_t o = 0; o < l->out; o++) {
        float sum = l->w[l->in * l->out + o];
        const float *row = &l->w[o * l->in];
        for (size_t i = 0; i < l->in; i++) {
            sum += row[i] * x[i];
        }
        z[o] = sum;
        a[o] = sum > 0 ? sum : (isnan(sum) ? sum : 0);
    }
}

// Softmax cross entropy of one row of scores; delta gets its derivative. Returns the loss.
static double softmax_loss(const float *scores, int digit, float *delta, bool *correct) {
    int best = 0;
    for (int c = 1; c < CLASSES; c++) {
        best = scores[c] > scores[best] ? c : best;
    }
    double sum = 0, loss = 0;
    for (int c = 0; c < CLASSES; c++) {
        sum += exp((double)scores[c] - (double)scores[best]);
    }
    for (int c = 0; c < CLASSES; c++) {
        double target = label_smoothing / CLASSES + (c == digit ? 1 - label_smoothing : 0);
        double log_share = (double)scores[c] - (double)scores[best] - log(sum);
        delta[c] = (float)(exp(log_share) - target);
        loss -= target * log_share;
    }
    *correct = best == digit;
    return loss;
}

// Returns the mean loss; *accuracy gets the share of right answers.
static double forward(struct network *net, const struct batch *batch, int count, double *accuracy) {
    double loss = 0;
    int right = 0;
    struct layer *top = &net->layers[LAYERS - 1];
    for (int b = 0; b < count; b++) {
        const float *x = batch->pixels[b];
        for (int l = 0; l < LAYERS; l++) {
            struct layer *layer = &net->layers[l];
            forward_layer(layer, x, layer->z[b], layer->a[b]);
            x = layer->a[b];
        }
        bool correct;
        loss += softmax_loss(top->z[b], batch->digits[b], top->delta[b], &correct);
        right += correct;
    }
    *accuracy = (double)right / count;
    return loss / count;
}

// delta of the layer below: the weights' transpose times delta, where its ReLU was open.
static void backward_delta(const struct layer *l, struct layer *below) {
    for (int b = 0; b < BATCH; b++) {
        for (size_t i = 0; i < l->in; i++) {
            float sum = 0;
            for (size_t o = 0; o < l->out; o++) {
                sum += l->w[o * l->in + i] * l->delta[b][o];
            }
            below->delta[b][i] = below->z[b][i] > 0 ? sum : 0;
        }
    }
}

static const float *input_of(const struct network *net, const struct batch *batch, int l, int b) {
    return l == 0 ? batch->pixels[b] : net->layers[l - 1].a[b];
}

static void backward(struct network *net, const struct batch *batch) {
    for (int l = LAYERS - 1; l >= 0; l--) {
        struct layer *layer = &net->layers[l];
        memset(layer->g, 0, layer->n * sizeof *layer->g);
        for (int b = 0; b < BATCH; b++) {
            const float *x = input_of(net, batch, l, b);
            for (size_t o = 0; o < layer->out; o++) {
                float d = layer->delta[b][o] / BATCH;
                for (size_t i = 0; i < layer->in; i++) {
                    layer->g[o * layer->in + i] += d * x[i];
                }
                layer->g[layer->in * layer->out + o] += d;
            }
        }
        if (l > 0) {
            backward_delta(layer, &net->layers[l - 1]);
        }
    }
}

// Computes the update of every layer without applying it: the statistics want both sides of it.
static void plan_update(struct network *net, float lr) {
    for (int l = 0; l < LAYERS; l++) {
        struct layer *layer = &net->layers[l];
        memcpy(layer->update_prev, layer->update, sizeof layer->update);
        for (size_t i = 0; i < layer->n; i++) {
            layer->velocity[i] = momentum * layer->velocity[i] + layer->g[i];
            layer->update[i] = -lr * layer->velocity[i];
        }
    }
}

static void apply_update(struct network *net) {
    for (int l = 0; l < LAYERS; l++) {
        struct layer *layer = &net->layers[l];
        for (size_t i = 0; i < layer->n; i++) {
            layer->w[i] += layer->update[i];
        }
    }
}

// --- what is streamed ---

struct readings {
    struct pyrometer_stats stats[LAYERS];
    double z_mean[LAYERS], z_var[LAYERS], a_mean[LAYERS], a_var[LAYERS], a_active[LAYERS];
    double g_noise[LAYERS];
};

static void measure_rows(float rows[BATCH][PIXELS], size_t width, double *mean, double *var,
                         double *active) {
    double sum = 0, squares = 0, above = 0, count = (double)width * BATCH;
    for (int b = 0; b < BATCH; b++) {
        for (size_t i = 0; i < width; i++) {
            sum += (double)rows[b][i];
            above += rows[b][i] > 0;
        }
    }
    *mean = sum / count;
    for (int b = 0; b < BATCH; b++) {
        for (size_t i = 0; i < width; i++) {
            double d = (double)rows[b][i] - *mean;
            squares += d * d;
        }
    }
    *var = squares / count;
    *active = above / count;
}

static double squared_norm(const float *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    return sum;
}

// The variance of the gradient across the batch's samples, averaged over the layer's parameters.
// One sample's gradient is the outer product of its delta with its input and a 1 for the biases, so
// that its squared norm needs no loop over the parameters.
static double gradient_noise(const struct network *net, const struct batch *batch, int l) {
    const struct layer *layer = &net->layers[l];
    double sum = 0;
    for (int b = 0; b < BATCH; b++) {
        const float *x = input_of(net, batch, l, b);
        sum += squared_norm(layer->delta[b], layer->out) * (squared_norm(x, layer->in) + 1);
    }
    double variance = sum / BATCH - squared_norm(layer->g, layer->n);
    return variance * BATCH / (BATCH - 1) / (double)layer->n;
}

static void measure(struct network *net, const struct batch *batch, int64_t step,
                    struct readings *r) {
    for (int l = 0; l < LAYERS; l++) {
        struct layer *layer = &net->layers[l];
        double unused;
        pyrometer_stats(&r->stats[l], layer->n, layer->w, layer->g, layer->update,
                        step > 0 ? layer->update_prev : NULL);
        measure_rows(layer->z, layer->out, &r->z_mean[l], &r->z_var[l], &unused);
        measure_rows(layer->a, layer->out, &r->a_mean[l], &r->a_var[l], &r->a_active[l]);
        r->g_noise[l] = gradient_noise(net, batch, l);
    }
    // The scores go into the softmax: the output layer has no activation of its own.
    r->a_mean[LAYERS - 1] = r->a_var[LAYERS - 1] = pyrometer_not_measured();
    r->a_active[LAYERS - 1] = pyrometer_not_measured();
}

static struct pyrometer *open_client(const struct options *o, const struct network *net,
                                     size_t train_count) {
    static const char *const names[LAYERS] = {"fc1", "fc2", "fc3"};
    struct pyrometer_layer layers[LAYERS];
    for (int l = 0; l < LAYERS; l++) {
        double bound = (double)init_bound(net->layers[l].in);
        layers[l] = (struct pyrometer_layer){
            .name = names[l],
            .n = net->layers[l].n,
            .kind = "linear",
            .activation = l < LAYERS - 1 ? "relu" : "linear",
            .init_distribution = "uniform",
            .init = {-bound, bound},
        };
    }
    struct pyrometer *p = pyrometer_open(&(struct pyrometer_config){
        .server = o->server,
        .run = o->run,
        .project = "demo",
        .loss = "cross_entropy",
        .optimizer = {.name = "sgd", .lr = o->lr, .momentum = 0.9},
        .batch_size = BATCH,
        .dataset_size = train_count,
        .layers = layers,
        .layer_count = LAYERS,
    });
    if (!p) {
        char text[256];
        pyrometer_last_error(NULL, text, sizeof text);
        fprintf(stderr, "pyrometer-demo: %s\n", text);
    }
    return p;
}

static void stream(struct pyrometer *p, int64_t step, double loss, double lr, double accuracy,
                   const double *val_loss, const struct readings *r) {
    const struct pyrometer_column columns[] = {
        {"z_mean", r->z_mean}, {"z_var", r->z_var},       {"a_mean", r->a_mean},
        {"a_var", r->a_var},   {"a_active", r->a_active}, {"g_noise", r->g_noise},
    };
    const struct pyrometer_scalar scalars[] = {{"accuracy", accuracy}};
    pyrometer_step(p, &(struct pyrometer_step){
                          .step = step,
                          .loss = loss,
                          .lr = lr,
                          .batch_size = BATCH,
                          .val_loss = val_loss,
                          .stats = r->stats,
                          .columns = columns,
                          .column_count = sizeof columns / sizeof columns[0],
                          .scalars = scalars,
                          .scalar_count = 1,
                      });
}

// --- the run ---

static double validate(struct network *net, const struct images *set) {
    double sum = 0;
    size_t first = set->count - VALIDATION;
    for (size_t i = first; i < set->count; i += BATCH) {
        struct batch batch;
        int count = 0;
        for (; count < BATCH && i + (size_t)count < set->count; count++) {
            batch.pixels[count] = set->pixels[i + (size_t)count];
            batch.digits[count] = set->digits[i + (size_t)count];
        }
        double accuracy;
        sum += forward(net, &batch, count, &accuracy) * count;
    }
    return sum / VALIDATION;
}

static void judge(struct verdict *v, double loss) {
    v->weight += smoothing * (1 - v->weight);
    v->smoothed += smoothing / v->weight * (loss - v->smoothed);
    v->minimum = v->minimum > 0 && v->minimum < v->smoothed ? v->minimum : v->smoothed;
    v->failed = !isfinite(loss) || v->smoothed > failed_ratio * v->minimum;
}

static void wait_until(const struct timespec *start, double seconds) {
    struct timespec at = *start;
    at.tv_sec += (time_t)seconds;
    at.tv_nsec += (long)((seconds - floor(seconds)) * 1e9);
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static double learning_rate(const struct options *o, int64_t step) {
    return o->ramp && step > HEALTHY_STEPS
               ? o->lr * pow(ramp_factor, (double)(step - HEALTHY_STEPS))
               : o->lr;
}

static void train_step(struct network *net, const struct images *set, struct pyrometer *p,
                       int64_t step, double lr, struct verdict *verdict) {
    double val_loss = step % VALIDATION_EVERY == 0 ? validate(net, set) : 0;
    struct batch batch;
    struct readings readings;
    double accuracy;
    draw_batch(net, set, &batch);
    double loss = forward(net, &batch, BATCH, &accuracy);
    backward(net, &batch);
    plan_update(net, (float)lr);
    measure(net, &batch, step, &readings);
    stream(p, step, loss, lr, accuracy, step % VALIDATION_EVERY == 0 ? &val_loss : NULL, &readings);
    apply_update(net);
    judge(verdict, loss);
    if (step % REPORT_EVERY == 0) {
        printf("step %" PRId64 " loss %.4f lr %.4f accuracy %.2f\n", step, verdict->smoothed, lr,
               accuracy);
        fflush(stdout);
    }
}

// Returns whether the training went well.
static bool train(const struct options *o, struct network *net, const struct images *set,
                  struct pyrometer *p) {
    struct verdict verdict = {0};
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int64_t step = 0; step < o->steps && !verdict.failed; step++) {
        if (o->steps_per_second > 0) {
            wait_until(&start, (double)step / o->steps_per_second);
        }
        if (o->ramp && step == HEALTHY_STEPS) {
            pyrometer_event(p, step, "lr_change", "{\"to\":\"ramp\"}");
            printf("ramp from step %" PRId64 ": the learning rate grows by %.2f%% a step\n", step,
                   100 * (ramp_factor - 1));
        }
        train_step(net, set, p, step, learning_rate(o, step), &verdict);
        if (verdict.failed) {
            printf("failed at step %" PRId64 ": smoothed loss %.4f, minimum %.4f\n", step,
                   verdict.smoothed, verdict.minimum);
        }
    }
    return !verdict.failed;
}

static int finish(struct pyrometer *p, bool good) {
    int rc = pyrometer_finish(p, good ? "completed" : "failed", FINISH_TIMEOUT_MS);
    struct pyrometer_counters c;
    pyrometer_counters(p, &c);
    printf("%s: %" PRIu64 " messages stored, %" PRIu64 " dropped, %" PRIu64 " waiting\n",
           good ? "completed" : "ended as failed", c.acked, c.dropped + c.refused, c.queued);
    if (rc < 0) {
        char text[256];
        pyrometer_last_error(p, text, sizeof text);
        fprintf(stderr, "pyrometer-demo: not everything was stored: %s\n", text);
    }
    pyrometer_close(p);
    return rc < 0 ? 1 : 0;
}

// --- the command line ---

static const char usage[] =
    "usage: pyrometer-demo [options]\n"
    "  --server ADDRESS       where pyrometerd listens, host:port or unix:/path (default\n"
    "                         $PYROMETER_SERVER, else 127.0.0.1:27315)\n"
    "  --run NAME             the run's name (default digits)\n"
    "  --data FILE            the images (default examples/data/digits.csv)\n"
    "  --steps N              at most so many steps (default 3000; with --ramp 6000)\n"
    "  --seed N               of the random numbers (default 1)\n"
    "  --lr X                 learning rate (default 0.05)\n"
    "  --ramp                 after 1000 steps let the learning rate grow until the training "
    "fails\n"
    "  --steps-per-second N   pace (default: as fast as it goes)\n"
    "Exit: 0 the run was streamed, failed training included; 1 it was not; 2 bad usage.\n";

// A number in [low, high], or the end of the program.
static double parse_number(const char *flag, const char *text, double low, double high) {
    char *end;
    double x = strtod(text, &end);
    if (end == text || *end || !(x >= low && x <= high)) {
        fprintf(stderr, "pyrometer-demo: --%s %s: expected a number from %g to %g\n", flag, text,
                low, high);
        exit(2);
    }
    return x;
}

static struct options parse_options(int argc, char **argv) {
    static const struct option flags[] = {{"server", required_argument, NULL, 's'},
                                          {"run", required_argument, NULL, 'r'},
                                          {"data", required_argument, NULL, 'd'},
                                          {"steps", required_argument, NULL, 'n'},
                                          {"seed", required_argument, NULL, 'x'},
                                          {"lr", required_argument, NULL, 'l'},
                                          {"steps-per-second", required_argument, NULL, 'p'},
                                          {"ramp", no_argument, NULL, 'R'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct options o = {.run = "digits", .data = "examples/data/digits.csv", .seed = 1, .lr = 0.05};
    int flag, index = 0;
    while ((flag = getopt_long(argc, argv, "", flags, &index)) != -1) {
        const char *name = flag == '?' ? "" : flags[index].name;
        switch (flag) {
        case 's':
            o.server = optarg;
            break;
        case 'r':
            o.run = optarg;
            break;
        case 'd':
            o.data = optarg;
            break;
        case 'n':
            o.steps = (int64_t)parse_number(name, optarg, 1, 1e12);
            break;
        case 'x':
            o.seed = (uint64_t)parse_number(name, optarg, 0, 1e15);
            break;
        case 'l':
            o.lr = parse_number(name, optarg, 1e-9, 1e3);
            break;
        case 'R':
            o.ramp = true;
            break;
        case 'p':
            o.steps_per_second = parse_number(name, optarg, 0.001, 1e9);
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "pyrometer-demo: unexpected '%s'\n%s", argv[optind], usage);
        exit(2);
    }
    o.steps = o.steps ? o.steps : (o.ramp ? 6000 : 3000);
    return o;
}

int main(int argc, char **argv) {
    struct options o = parse_options(argc, argv);
    static struct images set;
    static struct network net;
    if (!read_images(o.data, &set)) {
        return 1;
    }
    net.random = o.seed;
    init_layer(&net.layers[0], PIXELS, HIDDEN, &net.random);
    init_layer(&net.layers[1], HIDDEN, HIDDEN, &net.random);
    init_layer(&net.layers[2], HIDDEN, CLASSES, &net.random);
    struct pyrometer *p = open_client(&o, &net, set.count - VALIDATION);
    return p ? finish(p, train(&o, &net, &set, p)) : 1;
}
