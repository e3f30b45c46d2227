#include "cli/load.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/link.h"
#include "cli/tree.h"
#include "cli/workload.h"
#include "wire/frame.h"

#define SECOND_NS UINT64_C(1000000000)
#define PATTERN_BYTES ((size_t)64 << 20)

enum {
    UNANSWERED_MAX = 512, // steps of a run that wait for their acknowledgement
    QUEUE_MAX = 1 << 16,  // bytes of a run that wait for the socket
    PATTERN_STEPS = 256,
    STALL_TIMEOUT_S = 60, // without a word of the daemon
    PUMP_NS = 100000000,
    NAME_BYTES = 256
};

// A run and its connection.
struct job {
    struct load *load;
    struct link *link;
    char name[NAME_BYTES];
    bool welcomed, ponged;
    bool lost; // the daemon hung up or refused something; nothing more is said to it
    int64_t sent, acknowledged;
    uint64_t due_ns[UNANSWERED_MAX]; // of the steps between these two, by step
};

struct load {
    const struct load_options *o;
    struct load_result *result;
    struct job *jobs;
    struct link **links; // of the jobs
    // The steps that all runs send over and over under new numbers, so that making them takes no
    // time that the daemon could have had. A line begins behind its step and time.
    struct buf *pattern;
    size_t pattern_steps;
    uint64_t began_ns, acknowledged_ns, heard_ns, shown_ns;
    char said[64]; // the code of the error that was said last
};

void load_name(const struct load_options *o, size_t i, char *name, size_t size) {
    snprintf(name, size, "%s%zu", o->prefix, i);
}

static double own_cpu_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

// A descriptor a run.
static void raise_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

// -- what is sent --------------------------------------------------------------------------------

static void make_pattern(struct load *load, const struct workload *work) {
    size_t bytes = work->layers * work->stats * (load->o->lines ? 24 : sizeof(float)) + 1;
    size_t most = PATTERN_BYTES / bytes;
    load->pattern_steps = most < 2 ? 2 : most < PATTERN_STEPS ? most : PATTERN_STEPS;
    load->pattern = must_alloc(load->pattern_steps * sizeof *load->pattern);
    struct walk walk;
    walk_init(&walk, work, 0);
    for (size_t i = 0; i < load->pattern_steps; i++) {
        struct buf *message = &load->pattern[i];
        buf_init(message, SIZE_MAX / 4);
        walk_next(&walk);
        if (load->o->lines) {
            step_print(&walk.step, "step", message);
            buf_drop(message, (size_t)(strstr(buf_str(message), ",\"loss\"") - message->data));
        } else {
            frame_print(&walk.step, message);
        }
        CHECK(!message->failed);
    }
    walk_free(&walk);
}

static void send_bytes(struct job *job, const char *bytes, size_t n) {
    link_queue(job->link, bytes, n);
    job->load->result->bytes += n;
}

static void send_hello(struct job *job, const struct workload *work) {
    struct buf hello;
    buf_init(&hello, SIZE_MAX / 4);
    workload_put_hello(&hello, work, job->name, job->load->o->token);
    CHECK(!hello.failed);
    send_bytes(job, hello.data, hello.len);
    buf_free(&hello);
}

static void send_step(struct job *job, uint64_t due_ns) {
    struct load *load = job->load;
    if (load->result->sent == load->result->acknowledged) {
        load->heard_ns = clock_monotonic_ns(); // nothing was owed to us until now
    }
    struct buf *message = &load->pattern[(size_t)job->sent % load->pattern_steps];
    if (load->o->lines) {
        char head[128];
        int n = snprintf(head, sizeof head, "{\"type\":\"step\",\"step\":%lld,\"time\":%.3f",
                         (long long)job->sent, clock_wall_s());
        send_bytes(job, head, (size_t)n);
    } else {
        workload_renumber(message->data, job->sent, clock_wall_s());
    }
    send_bytes(job, message->data, message->len);
    job->due_ns[job->sent++ % UNANSWERED_MAX] = due_ns;
    load->result->sent++;
}

// -- what is heard -------------------------------------------------------------------------------

static void show_progress(struct load *load) {
    uint64_t now_ns = clock_monotonic_ns();
    if (load->o->progress && now_ns - load->shown_ns > SECOND_NS / 5) {
        load->shown_ns = now_ns;
        fprintf(stderr, "\r%llu steps sent, %llu acknowledged\033[K",
                (unsigned long long)load->result->sent,
                (unsigned long long)load->result->acknowledged);
    }
}

static void clear_progress(struct load *load) {
    if (load->shown_ns) {
        fputs("\r\033[K", stderr);
    }
    load->shown_ns = 0;
}

static void lose(struct job *job) {
    job->lost = true;
    job->load->links[job - job->load->jobs] = NULL;
}

// A latency counts from the moment at which the step was due, whenever it could be sent.
static void take_ack(struct job *job, double step) {
    struct load *load = job->load;
    uint64_t now_ns = clock_monotonic_ns();
    while (job->acknowledged < job->sent && (double)job->acknowledged <= step) {
        uint64_t due_ns = job->due_ns[job->acknowledged++ % UNANSWERED_MAX];
        latencies_add(&load->result->latencies, (double)(now_ns - due_ns) * 1e-9);
        load->result->acknowledged++;
        load->acknowledged_ns = now_ns;
    }
}

static void take_error(struct job *job, const cJSON *message) {
    struct load *load = job->load;
    const char *code = tree_text(message, "code", "error");
    bool is_busy = strcmp(code, "overloaded") == 0;
    load->result->busy += is_busy;
    load->result->errors += !is_busy;
    if (strcmp(load->said, code) != 0) { // hundreds of runs may be told the same
        clear_progress(load);
        cli_fail("%s: %s: %s", job->name, code, tree_text(message, "message", ""));
        snprintf(load->said, sizeof load->said, "%s", code);
    }
    if (cJSON_IsTrue(tree_member(message, "fatal")) || tree_number(message, "line") >= 1) {
        lose(job);
    }
}

static void take_line(void *context, const char *line) {
    struct job *job = context;
    cJSON *message = cJSON_Parse(line);
    const char *type = tree_text(message, "type", "");
    job->load->heard_ns = clock_monotonic_ns();
    if (strcmp(type, "ack") == 0) {
        take_ack(job, tree_number(message, "step"));
    } else if (strcmp(type, "welcome") == 0) {
        job->welcomed = true;
    } else if (strcmp(type, "pong") == 0) {
        job->ponged = true;
    } else if (strcmp(type, "error") == 0) {
        take_error(job, message);
    } else if (!job->lost) {
        clear_progress(job->load);
        cli_fail("%s: the other side does not speak the protocol: %.80s", job->name, line);
        lose(job);
    }
    cJSON_Delete(message);
}

static void pump(struct load *load, uint64_t timeout_ns) {
    link_pump_all(load->links, load->o->runs, timeout_ns);
    for (size_t i = 0; i < load->o->runs; i++) {
        struct job *job = &load->jobs[i];
        if (load->links[i] && !link_is_open(job->link)) {
            const char *why = link_error(job->link);
            clear_progress(load);
            cli_fail("%s: the daemon closed the connection%s%s", job->name, why[0] ? ": " : "",
                     why);
            load->result->errors++;
            lose(job);
        }
    }
    show_progress(load);
}

static bool has_stalled(struct load *load) {
    if (clock_monotonic_ns() - load->heard_ns <= STALL_TIMEOUT_S * SECOND_NS) {
        return false;
    }
    clear_progress(load);
    cli_fail("the daemon has answered nothing for %d s", STALL_TIMEOUT_S);
    return true;
}

// Pumps until each job is done or lost. False when the daemon fell silent.
static bool wait_for(struct load *load, bool (*is_done)(const struct job *job)) {
    load->heard_ns = clock_monotonic_ns();
    for (size_t i = 0; i < load->o->runs;) {
        if (load->jobs[i].lost || is_done(&load->jobs[i])) {
            i++;
        } else if (has_stalled(load)) {
            return false;
        } else {
            pump(load, PUMP_NS);
        }
    }
    return true;
}

// -- the three parts of it -----------------------------------------------------------------------

static bool is_welcomed(const struct job *job) {
    return job->welcomed;
}

static bool open_all(struct load *load, const struct workload *work) {
    for (size_t i = 0; i < load->o->runs; i++) {
        struct job *job = &load->jobs[i];
        char reason[256] = "";
        job->load = load;
        load_name(load->o, i, job->name, sizeof job->name);
        job->link = link_open(load->o->ingest, take_line, job, reason, sizeof reason);
        if (!job->link) {
            cli_fail("cannot reach the daemon's ingest at %s (%s); is pyrometerd running there?",
                     load->o->ingest, reason);
            return false;
        }
        load->links[i] = job->link;
        send_hello(job, work);
    }
    return wait_for(load, is_welcomed);
}

// When the job's next step is due. The runs of a pace take turns.
static uint64_t next_due_ns(const struct job *job, uint64_t now_ns) {
    const struct load *load = job->load;
    if (load->o->rate <= 0) {
        return now_ns;
    }
    double turn = (double)(job - load->jobs) / (double)load->o->runs;
    return load->began_ns + (uint64_t)(((double)job->sent + turn) / load->o->rate * 1e9);
}

static bool has_more(const struct job *job) {
    return !job->lost && job->sent < job->load->o->steps;
}

static bool may_send(const struct job *job) {
    return has_more(job) && job->sent - job->acknowledged < UNANSWERED_MAX &&
           link_pending(job->link) < QUEUE_MAX;
}

// Sends what is due. False once there is nothing more to send; *due_ns is when the next step is.
static bool send_due(struct load *load, uint64_t *due_ns) {
    bool more = false;
    *due_ns = UINT64_MAX;
    for (size_t i = 0; i < load->o->runs; i++) {
        struct job *job = &load->jobs[i];
        uint64_t now_ns = clock_monotonic_ns();
        uint64_t next_ns = UINT64_MAX;
        while (may_send(job) && (next_ns = next_due_ns(job, now_ns)) <= now_ns) {
            send_step(job, next_ns);
        }
        if (may_send(job)) { // but not yet
            *due_ns = next_ns < *due_ns ? next_ns : *due_ns;
        }
        more = more || has_more(job);
    }
    return more;
}

// Until there are no more, time is up, or someone wants it to end. False when the daemon fell
// silent.
static bool send_steps(struct load *load) {
    load->began_ns = load->heard_ns = clock_monotonic_ns();
    uint64_t end_ns = load->began_ns + (uint64_t)(fmin(load->o->seconds, 1e9) * 1e9);
    uint64_t now_ns = load->began_ns, due_ns;
    while (now_ns < end_ns && !*load->o->stop && send_due(load, &due_ns)) {
        now_ns = clock_monotonic_ns();
        uint64_t until_ns = due_ns < end_ns ? due_ns : end_ns;
        uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
        pump(load, left_ns < PUMP_NS ? left_ns : PUMP_NS);
        if (load->result->acknowledged < load->result->sent && has_stalled(load)) {
            return false;
        }
        now_ns = clock_monotonic_ns();
    }
    return true;
}

static bool has_ended(const struct job *job) {
    return job->ponged && job->acknowledged == job->sent;
}

// The pong says that everything was read, so that all errors are known.
static bool end_all(struct load *load) {
    static const char last_words[] = "{\"type\":\"end\",\"status\":\"completed\"}\n"
                                     "{\"type\":\"ping\"}\n";
    for (size_t i = 0; i < load->o->runs; i++) {
        if (!load->jobs[i].lost) {
            send_bytes(&load->jobs[i], last_words, sizeof last_words - 1);
        }
    }
    bool whole = wait_for(load, has_ended);
    for (size_t i = 0; i < load->o->runs; i++) {
        whole = whole && !load->jobs[i].lost;
    }
    return whole;
}

static void free_load(struct load *load) {
    for (size_t i = 0; i < load->o->runs; i++) {
        link_close(load->jobs[i].link);
    }
    for (size_t i = 0; i < load->pattern_steps; i++) {
        buf_free(&load->pattern[i]);
    }
    free(load->pattern);
    free(load->jobs);
    free(load->links);
}

void load_drive(const struct load_options *o, struct load_result *result) {
    const struct workload work = {.runs = o->runs, .layers = o->layers, .stats = LOAD_STATS};
    struct load load = {.o = o, .result = result};
    *result = (struct load_result){0};
    load.jobs = calloc(o->runs, sizeof *load.jobs); // most of it is touched by long queues only
    load.links = calloc(o->runs, sizeof(struct link *));
    result->welcomed = calloc(o->runs, sizeof *result->welcomed);
    CHECK(load.jobs && load.links && result->welcomed);
    raise_limit();
    make_pattern(&load, &work);
    if (open_all(&load, &work)) {
        double cpu_s = own_cpu_s();
        result->whole = send_steps(&load) && end_all(&load);
        result->cpu_s = own_cpu_s() - cpu_s;
        if (load.acknowledged_ns) {
            result->seconds = (double)(load.acknowledged_ns - load.began_ns) * 1e-9;
        }
    }
    for (size_t i = 0; i < o->runs; i++) {
        result->welcomed[i] = load.jobs[i].welcomed;
        result->begun += load.jobs[i].welcomed;
    }
    clear_progress(&load);
    free_load(&load);
}
