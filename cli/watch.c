// `pyrometer watch RUN`: follows a run by its event stream, and by asking while there is none,
// until the run ends or the user leaves. Signals come through a descriptor, so that the screen is
// always given back.
#include <curl/curl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "cli/alerts.h"
#include "cli/canvas.h"
#include "cli/sse.h"
#include "cli/text.h"
#include "cli/tree.h"
#include "cli/view.h"

enum mode { MODE_SCREEN, MODE_LINES, MODE_EVENTS };

enum {
    ASK_ALONE_MS = 1000,    // without a stream
    ASK_BESIDE_MS = 10000,  // with one, in case it missed something
    REFRESH_MS = 1000,      // of the loss curve and the alerts, at most this often
    RETRY_STREAM_MS = 2000, // after it broke
    DRAW_MS = 100,
    ANSWER_TIMEOUT_S = 5,
    STATUS_MAX = 32,
};

struct watch {
    const struct cli *cli;
    const char *name;
    enum mode mode;
    struct view view;
    char status[STATUS_MAX];
    struct http_answer answer;
    CURLM *multi;
    struct http_stream *stream; // NULL between two of them
    bool stream_live;           // it has said something
    struct sse sse;
    int signals;
    bool keys; // standard input is a terminal
    bool stale, dirty, quit;
    bool chose; // other layers or another metric: the picture's series are not those drawn
    uint64_t asked_ns, refreshed_ns, drawn_ns, stream_tried_ns;
};

static bool is_past(uint64_t since_ns, int ms) {
    return clock_monotonic_ns() - since_ns >= (uint64_t)ms * 1000000;
}

static bool has_ended(const struct watch *watch) {
    const char *status = watch->status;
    return status[0] && strcmp(status, "running") != 0 && strcmp(status, "stalled") != 0;
}

static void replace(cJSON **slot, cJSON *tree) {
    cJSON_Delete(*slot);
    *slot = tree;
}

// The daemon's word as an event, on one line whatever its layout.
static void print_event(const char *event, const char *data) {
    printf("{\"event\":\"%s\",\"data\":", event);
    for (; *data; data++) {
        putchar(*data == '\n' || *data == '\r' ? ' ' : *data);
    }
    puts("}");
    fflush(stdout);
}

static void print_event_tree(const char *event, const cJSON *tree) {
    printf("{\"event\":\"%s\",\"data\":", event);
    tree_put_line(tree);
    puts("}");
    fflush(stdout);
}

static void print_line(const char *kind, const char *text) {
    struct buf safe;
    buf_init(&safe, (size_t)1 << 20);
    text_put(&safe, text, 4096);
    printf("%s%s\n", kind, buf_str(&safe));
    buf_free(&safe);
    fflush(stdout);
}

static bool set_status(struct watch *watch, const char *status) {
    bool changed = strcmp(watch->status, status) != 0;
    snprintf(watch->status, sizeof watch->status, "%s", status);
    watch->view.status = watch->status;
    watch->dirty = true;
    if (changed && watch->mode == MODE_LINES) {
        print_line("status ", status);
    }
    return changed;
}

// Takes the reading over; false when it says nothing new.
static bool set_reading(struct watch *watch, cJSON *reading) {
    const cJSON *known = watch->view.reading;
    if (known && cJSON_Compare(known, reading, true)) {
        cJSON_Delete(reading);
        return false;
    }
    replace(&watch->view.reading, reading);
    watch->dirty = watch->stale = true;
    if (watch->mode == MODE_LINES) {
        view_print_line(&watch->view);
        fflush(stdout);
    }
    return true;
}

// Asks for the run. False when the daemon did not answer or does not know it.
static bool ask_run(struct watch *watch) {
    struct buf path;
    http_begin_run(&path, watch->name, "");
    cJSON *run = tree_get(watch->cli, buf_str(&path), &watch->answer);
    buf_free(&path);
    watch->asked_ns = clock_monotonic_ns();
    if (!run) {
        return false;
    }
    cJSON *reading = cJSON_DetachItemFromObjectCaseSensitive(run, "temperature");
    if (!cJSON_IsObject(reading)) {
        cJSON_Delete(reading);
    } else if (set_reading(watch, reading) && watch->mode == MODE_EVENTS) {
        print_event_tree("temperature", watch->view.reading);
    }
    replace(&watch->view.run, run);
    if (set_status(watch, tree_text(run, "status", "running")) && watch->mode == MODE_EVENTS) {
        print_event_tree("status", run);
    }
    return true;
}

static void refresh_picture(struct watch *watch) {
    struct buf path;
    if (!watch->view.layers.picture || !watch->view.layers.shown) {
        return;
    }
    http_begin_run(&path, watch->name, "");
    layers_put_query(&watch->view.layers, watch->view.reading, term_size().columns, &path);
    cJSON *history = tree_get(watch->cli, buf_str(&path), &watch->answer);
    buf_free(&path);
    if (history) {
        replace(&watch->view.layers.history, history);
    }
}

// The loss curve and the alerts are the screen's alone. When they cannot be had the old ones stay.
static void refresh(struct watch *watch) {
    struct buf path;
    char query[64];
    watch->refreshed_ns = clock_monotonic_ns();
    watch->stale = false;
    if (watch->mode != MODE_SCREEN && !watch->cli->once) {
        return;
    }
    snprintf(query, sizeof query, "/series?metric=loss&points=%d", 2 * term_size().columns);
    http_begin_run(&path, watch->name, query);
    cJSON *loss = tree_get(watch->cli, buf_str(&path), &watch->answer);
    buf_free(&path);
    if (loss) {
        replace(&watch->view.loss, loss);
    }
    struct alert_filter filter = {.run = watch->name, .state = "firing"};
    refresh_picture(watch);
    cJSON *alerts = alerts_get(watch->cli, &filter, &watch->answer);
    if (alerts) {
        replace(&watch->view.alerts, alerts);
    }
    watch->dirty = true;
}

static void take_alert(struct watch *watch, const cJSON *alert) {
    char text[1024];
    watch->stale = true;
    if (watch->mode == MODE_LINES) {
        snprintf(text, sizeof text, "%s %s, %s, %s, since step %s: %s",
                 tree_text(alert, "state", "?"), tree_text(alert, "severity", "?"),
                 tree_text(alert, "rule", "?"), tree_text(alert, "layer", "whole run"),
                 text_count(tree_number(alert, "since")).s, tree_text(alert, "summary", ""));
        print_line("alert ", text);
    }
}

static void take_event(void *context, const char *event, const char *data) {
    struct watch *watch = context;
    cJSON *tree = cJSON_Parse(data);
    if (watch->mode == MODE_EVENTS && tree) {
        print_event(event, data);
    }
    if (strcmp(event, "temperature") == 0 && tree_member(tree, "global")) {
        set_reading(watch, tree);
        tree = NULL;
    } else if (strcmp(event, "alert") == 0) {
        take_alert(watch, tree);
    } else if (strcmp(event, "status") == 0) {
        set_status(watch, tree_text(tree, "status", watch->status));
    }
    cJSON_Delete(tree);
}

static bool take_stream(void *context, const char *bytes, size_t n) {
    struct watch *watch = context;
    watch->stream_live = true;
    watch->view.note = "";
    return sse_feed(&watch->sse, bytes, n);
}

static void open_stream(struct watch *watch) {
    struct buf path;
    http_begin_run(&path, watch->name, "/stream");
    sse_reset(&watch->sse);
    watch->stream_tried_ns = clock_monotonic_ns();
    watch->stream = http_stream_create(watch->cli, buf_str(&path), take_stream, watch);
    curl_multi_add_handle(watch->multi, http_stream_handle(watch->stream));
    buf_free(&path);
}

static void close_stream(struct watch *watch) {
    if (watch->stream) {
        curl_multi_remove_handle(watch->multi, http_stream_handle(watch->stream));
        http_stream_destroy(watch->stream);
        watch->stream = NULL;
        watch->stream_live = false;
    }
}

static void run_stream(struct watch *watch) {
    int running;
    int left;
    if (!watch->stream &&
        (!watch->stream_tried_ns || is_past(watch->stream_tried_ns, RETRY_STREAM_MS))) {
        open_stream(watch);
    }
    curl_multi_perform(watch->multi, &running);
    for (const CURLMsg *m; (m = curl_multi_info_read(watch->multi, &left));) {
        if (m->msg == CURLMSG_DONE) {
            close_stream(watch);
            watch->stream_tried_ns = clock_monotonic_ns();
            break;
        }
    }
}

static void draw(struct watch *watch, bool screen) {
    struct canvas canvas;
    struct term_size size = term_size();
    if (!screen) {
        size.rows = INT_MAX;
    }
    canvas_init(&canvas, watch->cli, size, screen);
    view_draw(&watch->view, &canvas);
    canvas_show(&canvas);
    canvas_free(&canvas);
    watch->dirty = false;
    watch->drawn_ns = clock_monotonic_ns();
}

static void take_signal(struct watch *watch) {
    struct signalfd_siginfo signal;
    if (read(watch->signals, &signal, sizeof signal) != sizeof signal) {
        return;
    }
    if (signal.ssi_signo == SIGTSTP) {
        term_restore();
        raise(SIGSTOP);
        if (watch->mode == MODE_SCREEN) {
            term_take();
        }
    } else if (signal.ssi_signo != SIGWINCH) {
        watch->quit = true;
    }
    watch->dirty = watch->stale = true;
}

// What a terminal sends, longest first: a letter may be the start of nothing.
static const struct {
    const char *bytes;
    enum layers_key key;
} layer_keys[] = {
    {"\033[5~", LAYERS_PAGE_UP},
    {"\033[6~", LAYERS_PAGE_DOWN},
    {"\033[A", LAYERS_UP},
    {"\033[B", LAYERS_DOWN},
    {"\033OA", LAYERS_UP},
    {"\033OB", LAYERS_DOWN},
    {"\033[H", LAYERS_FIRST},
    {"\033[F", LAYERS_LAST},
    {"\033[1~", LAYERS_FIRST},
    {"\033[4~", LAYERS_LAST},
    {"k", LAYERS_UP},
    {"j", LAYERS_DOWN},
    {" ", LAYERS_PAGE_DOWN},
    {"b", LAYERS_PAGE_UP},
    {"g", LAYERS_FIRST},
    {"G", LAYERS_LAST},
    {"m", LAYERS_METRIC},
    {"s", LAYERS_ORDER},
    {"p", LAYERS_PICTURE},
};

// How many bytes the key took.
static size_t take_key(struct watch *watch, const char *keys) {
    for (size_t i = 0; i < sizeof layer_keys / sizeof layer_keys[0]; i++) {
        size_t n = strlen(layer_keys[i].bytes);
        if (strncmp(keys, layer_keys[i].bytes, n) == 0) {
            layers_take_key(&watch->view.layers, layer_keys[i].key);
            watch->dirty = watch->chose = true;
            return n;
        }
    }
    watch->quit = watch->quit || *keys == 'q' || *keys == 'Q';
    return 1;
}

static void take_keys(struct watch *watch) {
    char keys[65] = "";
    ssize_t n = read(STDIN_FILENO, keys, sizeof keys - 1);
    watch->keys = n > 0;
    for (ssize_t i = 0; i < n;) {
        i += (ssize_t)take_key(watch, keys + i);
    }
}

static void wait_for_something(struct watch *watch) {
    struct curl_waitfd fds[2] = {{.fd = watch->signals, .events = CURL_WAIT_POLLIN},
                                 {.fd = STDIN_FILENO, .events = CURL_WAIT_POLLIN}};
    curl_multi_poll(watch->multi, fds, watch->keys ? 2 : 1, watch->dirty ? DRAW_MS : 5 * DRAW_MS,
                    NULL);
    if (fds[0].revents) {
        take_signal(watch);
    }
    if (watch->keys && fds[1].revents) {
        take_keys(watch);
    }
}

// False when the run is gone.
static bool keep_asking(struct watch *watch) {
    if (is_past(watch->asked_ns, watch->stream_live ? ASK_BESIDE_MS : ASK_ALONE_MS)) {
        bool known = ask_run(watch);
        if (!known && watch->answer.status == 404) {
            return false;
        }
        watch->view.note = known ? "" : "the daemon does not answer; trying again";
        watch->dirty = watch->dirty || !known;
    }
    if (watch->stale && is_past(watch->refreshed_ns, REFRESH_MS)) {
        refresh(watch);
    }
    return true;
}

static int follow(struct watch *watch) {
    while (!watch->quit && !has_ended(watch)) {
        run_stream(watch);
        if (!keep_asking(watch)) {
            term_restore();
            return cli_fail("%s", watch->answer.error);
        }
        if (watch->mode == MODE_SCREEN && watch->dirty && is_past(watch->drawn_ns, DRAW_MS)) {
            draw(watch, true);
        }
        if (watch->chose && !watch->dirty) {
            watch->chose = false;
            refresh_picture(watch);
            watch->dirty = true;
        }
        if (!has_ended(watch)) {
            wait_for_something(watch);
        }
    }
    return CLI_OK;
}

// The signals that would leave the terminal in disorder.
static int block_signals(void) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        sigaddset(&set, numbers[i]);
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int watch_live(struct watch *watch) {
    watch->signals = block_signals();
    watch->multi = curl_multi_init();
    CHECK(watch->signals >= 0 && watch->multi);
    if (watch->mode == MODE_SCREEN) {
        watch->keys = isatty(STDIN_FILENO);
        term_take();
    }
    int status = follow(watch);
    close_stream(watch);
    curl_multi_cleanup(watch->multi);
    close(watch->signals);
    term_restore();
    if (watch->mode == MODE_SCREEN && status == CLI_OK && has_ended(watch)) {
        refresh(watch);
        draw(watch, false);
    }
    return status;
}

static enum mode choose_mode(const struct cli *cli) {
    if (cli->json) {
        return MODE_EVENTS;
    }
    return isatty(STDOUT_FILENO) || cli->once ? MODE_SCREEN : MODE_LINES;
}

int command_watch(const struct cli *cli, int count, char **words) {
    (void)count;
    struct cli impatient = *cli;
    impatient.answer_timeout_s = ANSWER_TIMEOUT_S;
    struct watch *watch = NEW(struct watch);
    watch->cli = &impatient;
    watch->name = words[0];
    watch->mode = choose_mode(cli);
    watch->view.note = "";
    watch->view.status = watch->status;
    http_answer_init(&watch->answer);
    sse_init(&watch->sse, take_event, watch);
    int status = CLI_OK;
    if (!ask_run(watch)) {
        status = cli_fail("%s", watch->answer.error);
    } else {
        refresh(watch);
        bool still = cli->once || has_ended(watch);
        if (!still) {
            status = watch_live(watch);
        } else if (watch->mode == MODE_SCREEN) {
            draw(watch, false);
        }
    }
    cJSON_Delete(watch->view.run);
    cJSON_Delete(watch->view.reading);
    cJSON_Delete(watch->view.alerts);
    cJSON_Delete(watch->view.loss);
    cJSON_Delete(watch->view.layers.history);
    sse_free(&watch->sse);
    http_answer_free(&watch->answer);
    free(watch);
    return status;
}
