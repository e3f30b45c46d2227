#include "delivery/spawn.h"

#include "base/check.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 30000

struct spawned {
    uv_process_t process;
    uv_pipe_t input;
    uv_timer_t timer;
    uv_write_t write;
    char *text;
    spawn_done_fn *done; // NULL: nobody waits any longer
    void *context;
    int open_handles;
    bool timed_out;
    char error[160];
};

static void on_close(uv_handle_t *handle) {
    struct spawned *s = handle->data;
    if (--s->open_handles == 0) {
        free(s->text);
        free(s);
    }
}

static void close_once(uv_handle_t *handle) {
    if (!uv_is_closing(handle)) {
        uv_close(handle, on_close);
    }
}

static void finish(struct spawned *s, const char *error) {
    spawn_done_fn *done = s->done;
    s->done = NULL;
    close_once((uv_handle_t *)&s->process);
    close_once((uv_handle_t *)&s->input);
    close_once((uv_handle_t *)&s->timer);
    if (done) {
        done(s->context, error);
    }
}

static void on_process_end(uv_process_t *process, int64_t status, int signal) {
    struct spawned *s = process->data;
    if (s->timed_out) {
        snprintf(s->error, sizeof s->error, "it did not end within %d s and was killed",
                 TIMEOUT_MS / 1000);
    } else if (signal) {
        snprintf(s->error, sizeof s->error, "it ended by signal %d", signal);
    } else {
        snprintf(s->error, sizeof s->error, "it ended with status %lld", (long long)status);
    }
    finish(s, status || signal || s->timed_out ? s->error : NULL);
}

static void on_timer(uv_timer_t *timer) {
    struct spawned *s = timer->data;
    s->timed_out = true;
    uv_process_kill(&s->process, SIGKILL);
}

// A program need not read what it is told; how it ends is what counts.
static void on_write(uv_write_t *write, int status) {
    (void)status;
    struct spawned *s = write->data;
    close_once((uv_handle_t *)&s->input);
}

static void on_late_failure(uv_timer_t *timer) {
    struct spawned *s = timer->data;
    finish(s, s->error);
}

struct spawned *spawn(uv_loop_t *loop, char *const *argv, char *const *env, const char *text,
                      size_t size, spawn_done_fn *done, void *context) {
    struct spawned *s = NEW(struct spawned);
    *s = (struct spawned){.done = done, .context = context, .open_handles = 3};
    s->text = must_alloc(size + 1);
    memcpy(s->text, text, size);
    uv_pipe_init(loop, &s->input, 0);
    uv_timer_init(loop, &s->timer);
    s->process.data = s->input.data = s->timer.data = s->write.data = s;
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&s->input},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
    };
    uv_process_options_t options = {.file = argv[0],
                                    .args = (char **)(uintptr_t)argv,
                                    .env = (char **)(uintptr_t)env,
                                    .exit_cb = on_process_end,
                                    .stdio_count = 3,
                                    .stdio = stdio};
    int rc = uv_spawn(loop, &s->process, &options);
    s->process.data = s;
    if (rc) {
        snprintf(s->error, sizeof s->error, "it cannot be started: %s", uv_strerror(rc));
        uv_timer_start(&s->timer, on_late_failure, 0, 0);
        return s;
    }
    uv_timer_start(&s->timer, on_timer, TIMEOUT_MS, 0);
    uv_buf_t piece = uv_buf_init(s->text, (unsigned)size);
    if (uv_write(&s->write, (uv_stream_t *)&s->input, &piece, 1, on_write)) {
        close_once((uv_handle_t *)&s->input);
    }
    return s;
}

void spawn_abandon(struct spawned *s) {
    s->done = NULL;
    if (uv_is_active((uv_handle_t *)&s->process)) { // one that never started has no process id
        uv_process_kill(&s->process, SIGKILL);
    }
    finish(s, NULL);
}
