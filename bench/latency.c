#define _GNU_SOURCE // ppoll

#include "bench/latency.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

struct probe {
    int fd;
    struct unit job;
    size_t *ends; // of each message in the job's bytes; 0 is the hello
    double *due, *latency_s;
    int64_t acked, last;
    char in[8192];
    size_t in_len;
};

// Where the messages end: the hello is a line, steps are lines or frames.
static void find_ends(struct probe *p, size_t steps, bool frames) {
    const char *at = memchr(p->job.bytes.data, '\n', p->job.bytes.len);
    for (size_t i = 0; i <= steps; i++) {
        p->ends[i] = (size_t)(at + 1 - p->job.bytes.data);
        const char *next = p->job.bytes.data + p->ends[i];
        size_t left = p->job.bytes.len - p->ends[i];
        if (left && frames) {
            uint32_t following;
            memcpy(&following, next + 4, sizeof following);
            at = next + 16 + following - 1;
        } else if (left) {
            at = memchr(next, '\n', left);
        }
    }
}

static bool take_acks(struct probe *p, double now) {
    char *line = p->in, *end;
    while ((end = strchr(line, '\n'))) {
        const char *step = strstr(line, "\"ack\",\"step\":");
        if (strncmp(line, "{\"type\":\"error\"", 15) == 0) {
            fprintf(stderr, "loadgen: %.*s\n", (int)(end - line), line);
            return false;
        }
        if (step && step < end) {
            int64_t acked = strtoll(step + 13, NULL, 10);
            for (; p->acked < acked; p->acked++) {
                p->latency_s[p->acked + 1] = now - p->due[p->acked + 1];
            }
        }
        line = end + 1;
    }
    p->in_len -= (size_t)(line - p->in);
    memmove(p->in, line, p->in_len + 1);
    return true;
}

static bool receive(struct probe *p) {
    ssize_t n = recv(p->fd, p->in + p->in_len, sizeof p->in - 1 - p->in_len, 0);
    double now = drive_now();
    if (n <= 0) {
        fprintf(stderr, "loadgen: the connection ended\n");
        return false;
    }
    p->in_len += (size_t)n;
    p->in[p->in_len] = '\0';
    return take_acks(p, now);
}

// Waits for an answer until then.
static bool wait_until(struct probe *p, double when) {
    double left;
    struct pollfd polled = {.fd = p->fd, .events = POLLIN};
    while ((left = when - drive_now()) > 0) {
        struct timespec t = {.tv_sec = (time_t)left,
                             .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)};
        if (ppoll(&polled, 1, &t, NULL) > 0 && !receive(p)) {
            return false;
        }
    }
    return true;
}

static bool send_all(int fd, const char *bytes, size_t n) {
    while (n) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent < 0) {
            perror("loadgen: sending failed");
            return false;
        }
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool measure(struct probe *p, double rate) {
    const char *bytes = p->job.bytes.data;
    bool good = send_all(p->fd, bytes, p->ends[0]) && wait_until(p, drive_now() + 0.2);
    double start = drive_now();
    for (int64_t i = 0; good && i <= p->last; i++) {
        p->due[i] = start + (double)i / rate;
        good = wait_until(p, p->due[i]) &&
               send_all(p->fd, bytes + p->ends[i], p->ends[i + 1] - p->ends[i]);
    }
    double deadline = drive_now() + 10;
    while (good && p->acked < p->last && drive_now() < deadline) {
        good = wait_until(p, drive_now() + 0.001);
    }
    return good && p->acked == p->last;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bool latency_measure(const struct workload *load, const struct format_options *format,
                     const struct drive_options *o, double rate, struct latency_result *out) {
    struct workload one = {
        .runs = 1, .layers = load->layers, .stats = load->stats, .steps = load->steps};
    struct units units = format_units(&one, format, 0, 1);
    struct probe p = {.job = units.list[0], .acked = -1, .last = (int64_t)load->steps - 1};
    p.ends = must_alloc((load->steps + 1) * sizeof *p.ends);
    p.due = must_alloc(load->steps * sizeof *p.due);
    p.latency_s = must_alloc(load->steps * sizeof *p.latency_s);
    find_ends(&p, load->steps, format->format == FORMAT_FRAMES);
    p.fd = drive_connect(o->host, o->port);
    bool good = p.fd >= 0 && measure(&p, rate);
    if (p.fd >= 0) {
        close(p.fd);
    }
    qsort(p.latency_s, load->steps, sizeof *p.latency_s, ascending);
    *out = (struct latency_result){p.latency_s[load->steps / 2] * 1e3,
                                   p.latency_s[load->steps * 99 / 100] * 1e3,
                                   p.latency_s[load->steps - 1] * 1e3};
    free(p.ends);
    free(p.due);
    free(p.latency_s);
    format_free(&units);
    return good;
}
