// Pyrometer's C client: a training job streams its steps to pyrometerd with a few lines.
//
//     struct pyrometer_layer layers[] = {{.name = "fc1", .n = 2080, .activation = "relu"}, ...};
//     struct pyrometer *p = pyrometer_open(&(struct pyrometer_config){
//         .run = "digits-1", .loss = "cross_entropy", .layers = layers, .layer_count = 3,
//         .optimizer = {.name = "sgd", .lr = 0.1, .momentum = 0.9}, .batch_size = 32});
//     each step, for every layer l:
//         pyrometer_stats(&stats[l], n[l], w[l], g[l], u[l], u_prev[l]);
//     and once:
//         pyrometer_step(p, &(struct pyrometer_step){.step = k, .loss = loss, .lr = lr, .stats =
//         stats});
//     pyrometer_finish(p, "completed", 5000);
//     pyrometer_close(p);
//
// It never hurts the job. A call copies its arguments and appends the copy to a bounded queue;
// connecting, writing numbers as text, sending and waiting are done by a thread of the library's
// own. Only pyrometer_finish() (up to its timeout) and pyrometer_close() (up to two seconds) wait.
// No signal is raised, nothing is printed, the process is never ended, the locale is left alone.
// While a daemon is absent or refuses, steps go to a spool on disk (clients/c/spool.h): the run's
// next start or `pyrometer sync` delivers what this process could not. What fits nowhere is
// counted.
//
// Steps go as binary frames to a daemon that reads them: statistics as float32, but for w_var and
// what float32 cannot hold, which go as float64, as do loss, lr and time. A step with loss_after,
// val_loss or a statistic of the job's own goes as a line, with all its digits.
//
// What was queued stays queued until the daemon acknowledged that it is on disk; after a reconnect
// the rest is sent again. Steps are stored once, and so are events: the daemon knows one that is
// sent again by its time.
//
// Threads: every function may be called from any thread at any time, pyrometer_close() only once
// and last. Steps are stored in the order of the calls and their numbers must rise. Processes: a
// handle belongs to the process that opened it. In a forked child every call returns -ECHILD and
// touches nothing; pyrometer_close() there closes the child's descriptors and no more. Ownership:
// all arguments stay the caller's and may be changed as soon as a call returned. Errors: 0, or a
// negative errno value; pyrometer_last_error() has the words. Every function takes NULL for the
// handle and returns -EINVAL, so a job may ignore a pyrometer_open() that failed. Strings are
// UTF-8.
#ifndef PYROMETER_H
#define PYROMETER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PYROMETER_API __attribute__((visibility("default")))

struct pyrometer;

// A number that was not measured, told from every other NaN by its bits. It goes out as null; any
// other NaN and the infinities go out as what they are and are kept.
#define PYROMETER_NOT_MEASURED_BITS UINT64_C(0x7FF80000A0A70000)

static inline double pyrometer_not_measured(void) {
    uint64_t bits = PYROMETER_NOT_MEASURED_BITS;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline bool pyrometer_is_measured(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits != PYROMETER_NOT_MEASURED_BITS;
}

struct pyrometer_layer {
    const char *name;              // required, unique in the run
    uint64_t n;                    // required: the number of parameters
    const char *kind;              // "linear", "conv", ... or NULL
    const char *activation;        // "relu", "tanh", ... or NULL
    const char *init_distribution; // "normal", "uniform", "constant" or NULL
    double init[2]; // normal: mean, standard deviation; uniform: low, high; else unused
};

// The optimizer's facts; a zero is sent as a zero, betas only when betas[1] is not 0.
struct pyrometer_optimizer {
    const char *name; // "sgd", "adam", "adamw" or other; NULL: nothing is said of the optimizer
    double lr;
    double momentum;
    double betas[2];
    double weight_decay;
    bool nesterov;
};

struct pyrometer_tag {
    const char *key;
    const char *value;
};

// An alert of the run that fires or resolves: one JSON object, as the REST API shows it, valid
// during the call. Called by the library's thread; it should not take long, and may call nothing
// here but pyrometer_event(), pyrometer_counters() and pyrometer_last_error().
typedef void pyrometer_alert(void *context, const char *json);

// Everything but run, layers and layer_count may be left zero.
struct pyrometer_config {
    const char *server; // "host:port", "[::1]:port" or "unix:/path"; NULL: $PYROMETER_SERVER, else
                        // 127.0.0.1:27315
    const char *token;  // what the daemon wants when it has a token configured
    const char *token_file; // read once, by pyrometer_open(), when token is NULL
    const char *run;        // required: 1 to 128 of A-Z a-z 0-9 . _ : -
    const char *project;
    const char *loss; // "cross_entropy", "mse", "mae" or "other"
    struct pyrometer_optimizer optimizer;
    uint64_t batch_size;
    uint64_t dataset_size;
    const struct pyrometer_tag *tags;
    size_t tag_count;
    const struct pyrometer_layer *layers;
    size_t layer_count;
    bool rewind; // the job went back to a checkpoint: steps after rewind_step are superseded.
    int64_t rewind_step;  // Without rewind, steps that the daemon has already are skipped.
    size_t queue_bytes;   // bound of the queue in memory, 0: 16 MiB
    const char *spool;    // where what cannot be sent waits on disk; NULL: $PYROMETER_SPOOL, else
                          // ~/.local/state/pyrometer/spool; "", of either: in memory only
    uint64_t spool_bytes; // bound of this run's spool, 0: 1 GiB
    pyrometer_alert *on_alert; // NULL: the daemon is not asked for alerts
    void *alert_context;       // handed to on_alert
    bool lines_only; // steps as lines of JSON, with every digit, even to a daemon that reads
                     // frames
};

// Eleven per-layer statistics, named as on the wire. pyrometer_not_measured() where not known.
struct pyrometer_stats {
    double w_mean, w_var, w_min, w_max; // parameters before the update
    double g_mean, g_var;               // gradient that the optimizer used
    double u_mean, u_var;               // update: parameters after minus before
    double gw, gu, gu_prev;             // gradient . parameters, . this update, . the update before
};

// A per-layer statistic by its name, with one value a layer in the order of the layers.
struct pyrometer_column {
    const char *name;
    const double *values; // NULL: not measured this time
};

struct pyrometer_scalar {
    const char *name;
    double value;
};

// State k: the weights before the update, the loss and the gradient there, the update that follows.
struct pyrometer_step {
    int64_t step;
    double time; // seconds since the epoch, 0: now
    double loss;
    double lr;
    uint32_t batch_size;                 // 0: as in the configuration
    const double *loss_after;            // the same batch after the update; NULL: not measured
    const double *val_loss;              // NULL: not measured
    const struct pyrometer_stats *stats; // one entry a layer, or NULL
    const struct pyrometer_column *columns;
    size_t column_count;
    const struct pyrometer_scalar *scalars; // of the whole run
    size_t scalar_count;
};

// Steps, events and the end all count as messages.
struct pyrometer_counters {
    uint64_t sent;           // messages put on the wire, those sent again included
    uint64_t acked;          // messages that the daemon has taken
    uint64_t refused;        // messages that the daemon refused; the reason is in the last error
    uint64_t dropped;        // messages that were not queued: queue full, wrong order, stopped
    uint64_t reconnects;     // connections made after the first
    uint64_t spooled;        // messages waiting on disk, now
    uint64_t queued;         // messages waiting for the daemon, now
    uint64_t queued_bytes;   // memory they take, now
    int64_t last_step;       // the newest step queued, -1: none
    int64_t last_acked_step; // every step up to this one is on disk, -1: none
    int64_t lag;             // steps between those two, 0 when nothing waits
    bool connected;          // the daemon has said welcome and the connection stands
    bool stopped;            // the daemon refused for good; the reason is in the last error
};

// Starts the client and returns at once, whether a daemon is there or not. NULL when the
// configuration is wrong, or memory, descriptors or threads are short: then errno is set and
// pyrometer_last_error(NULL, ...) says why.
PYROMETER_API struct pyrometer *pyrometer_open(const struct pyrometer_config *config);

// Queues a step. -ENOBUFS: the queue is full, this step was dropped and counted. -EINVAL: its
// number does not rise. -ECONNABORTED: the daemon refused for good. -ESHUTDOWN: after
// pyrometer_finish(). -ENOMEM.
PYROMETER_API int pyrometer_step(struct pyrometer *p, const struct pyrometer_step *step);

// Queues an annotation: "data_refresh", "checkpoint", "lr_change", "epoch" or any other name.
// data_json is one JSON value on one line, or NULL. Errors as above; -EINVAL: the name is missing
// or data_json has a line break.
PYROMETER_API int pyrometer_event(struct pyrometer *p, int64_t step, const char *name,
                                  const char *data_json);

// Queues the end ("completed", "failed" or "stopped") and waits until the daemon has everything.
// -ETIMEDOUT: it does not yet; the client goes on trying and the call may be repeated (status is
// then ignored). -ECONNABORTED: the daemon refused for good. -EINVAL: another status.
PYROMETER_API int pyrometer_finish(struct pyrometer *p, const char *status, int timeout_ms);

// Stops the thread and frees the handle. What is still queued goes to the spool; without one it is
// lost: call pyrometer_finish() first.
PYROMETER_API void pyrometer_close(struct pyrometer *p);

PYROMETER_API int pyrometer_counters(struct pyrometer *p, struct pyrometer_counters *out);

// Copies the newest error's text, "" when there was none, cut to size. NULL for the handle: the
// error of this thread's last pyrometer_open().
PYROMETER_API int pyrometer_last_error(struct pyrometer *p, char *text, size_t size);

// Computes a layer's statistics from its n parameters w, gradient g, update u and the update
// before, u_prev, each a float array or NULL for not measured. Sums are kept in double and the
// variance is divided by n; of equal values it is exactly 0. A NaN among the values makes NaN of what
// depends on it.
PYROMETER_API void pyrometer_stats(struct pyrometer_stats *out, size_t n, const float *w,
                                   const float *g, const float *u, const float *u_prev);

#ifdef __cplusplus
}
#endif

#endif
