// `pyrometer replay`: recorded runs sent as jobs would send them. A connection for each hello; what
// was sent before the next one must be acknowledged first, as it was when the run was recorded.
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/num.h"
#include "cli/cli.h"
#include "cli/link.h"
#include "cli/progress.h"
#include "cli/recorded.h"
#include "cli/replay.h"
#include "cli/text.h"
#include "cli/tree.h"
#include "cli/window.h"

enum {
    QUEUE_MAX = 1 << 16,       // bytes of ours waiting for the socket
    STALL_TIMEOUT_MS = 60000,  // without a byte gone or a line come
    GOODBYE_TIMEOUT_MS = 2000, // for the daemon to hang up after us
    NAME_MAX_BYTES = 160,
};

struct session {
    const struct cli *cli;
    const char *path;
    char name[NAME_MAX_BYTES]; // of the run once a hello has told it, else of the file; for people
    bool is_named;
    double speed; // 0: as fast as possible
    struct recorded *file;
    bool cut_off_is_fine;

    // of the file
    uint64_t file_line;
    uint64_t sent, acknowledged, refused, errors, connections;
    bool failed; // something worse than a refused line, and already said

    // of the connection
    struct link *link;
    struct window window;
    uint64_t line; // lines sent
    uint64_t hello_file_line;
    bool welcomed, ponged, fatal;
    unsigned pings, unstored_pongs; // since the daemon's disk takes nothing
    uint64_t moved_ns;              // when something last went or came

    // of the pace: the recorded time that was due at that moment
    double pace_time_s;
    uint64_t pace_ns;
};

static void fail_session(struct session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void fail_session(struct session *session, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!session->failed) {
        cli_fail("%s: %s", session->path, text);
    }
    session->failed = true;
}

static void show_progress(const struct session *session) {
    if (!progress_due()) {
        return;
    }
    double part = recorded_progress(session->file);
    char of_file[32] = "";
    if (part >= 0) {
        snprintf(of_file, sizeof of_file, ", %.0f %% of the file", 100 * part);
    }
    progress_say("%s: %llu steps sent, %llu acknowledged%s", session->name,
                 (unsigned long long)session->sent,
                 (unsigned long long)(session->acknowledged + session->window.acknowledged),
                 of_file);
}

static void take_error(struct session *session, const cJSON *message) {
    double line = tree_number(message, "line");
    const char *code = tree_text(message, "code", "error");
    const char *text = tree_text(message, "message", "");
    bool is_fatal = cJSON_IsTrue(tree_member(message, "fatal"));
    if (!is_fatal && line < 1) { // no message's fault, and nothing was dropped
        cli_fail("%s: the daemon says: %s", session->path, text);
        return;
    }
    session->errors++;
    session->fatal = is_fatal || session->fatal;
    if (line >= 1 && line <= (double)session->line) {
        double of_file = (double)session->hello_file_line + line - 1;
        cli_fail("%s: line %.0f: %s: %s", session->path, of_file, code, text);
        window_refuse(&session->window, (uint64_t)line);
    } else {
        cli_fail("%s: %s: %s", session->path, code, text);
    }
    session->failed = session->failed || session->fatal;
}

static void take_line(void *context, const char *line) {
    struct session *session = context;
    cJSON *message = cJSON_Parse(line);
    const char *type = tree_text(message, "type", "");
    session->moved_ns = clock_monotonic_ns();
    if (strcmp(type, "ack") == 0) {
        window_acknowledge(&session->window, tree_number(message, "step"));
    } else if (strcmp(type, "welcome") == 0) {
        session->welcomed = true;
    } else if (strcmp(type, "pong") == 0) {
        session->ponged = !cJSON_IsFalse(tree_member(message, "stored"));
        session->unstored_pongs += !session->ponged;
    } else if (strcmp(type, "error") == 0) {
        take_error(session, message);
    } else if (strcmp(type, "alert") == 0) {
        // The recorded job asked to be told; nobody waits for it here.
    } else {
        fail_session(session, "the other side does not speak the protocol: %.80s", line);
        session->fatal = true;
    }
    cJSON_Delete(message);
}

// One round of sending and receiving; false once nothing more can be had from the connection.
static bool pump(struct session *session, int timeout_ms) {
    size_t pending = link_pending(session->link);
    bool open = link_pump(session->link, timeout_ms) && !session->fatal;
    uint64_t now_ns = clock_monotonic_ns();
    if (link_pending(session->link) != pending) {
        session->moved_ns = now_ns;
    }
    show_progress(session);
    if (now_ns - session->moved_ns > STALL_TIMEOUT_MS * UINT64_C(1000000)) {
        fail_session(session, "the daemon neither took nor answered anything for %d s",
                     STALL_TIMEOUT_MS / 1000);
        return false;
    }
    return open;
}

static void say_closed(struct session *session) {
    const char *why = link_error(session->link);
    if (!session->fatal) {
        fail_session(session, "the daemon closed the connection%s%s", why[0] ? ": " : "", why);
    }
}

static void close_link(struct session *session) {
    session->acknowledged += session->window.acknowledged;
    session->refused += session->window.refused;
    window_clear(&session->window);
    link_close(session->link);
    session->link = NULL;
}

static void ping(struct session *session) {
    static const char text[] = "{\"type\":\"ping\"}\n";
    link_queue(session->link, text, sizeof text - 1);
    session->pings++;
    session->moved_ns = clock_monotonic_ns();
}

// Another second for a daemon whose disk takes nothing. False when it had enough of them.
static bool ping_again(struct session *session) {
    if (session->pings > STALL_TIMEOUT_MS / 1000) {
        fail_session(session, "the daemon cannot store what was sent; try again once it can");
        return false;
    }
    const struct timespec pause = {.tv_sec = 1};
    nanosleep(&pause, NULL);
    ping(session);
    return true;
}

// The pong says that every line was read and stored, so that all errors are known; the window then
// empties as the last steps reach the disk. The daemon hangs up after us, so that no word of it is
// lost on the way.
static void finish_connection(struct session *session) {
    if (!session->link) {
        return;
    }
    ping(session);
    bool open = !session->failed;
    while (open && !(session->ponged && session->window.count == 0)) {
        open = pump(session, 1000);
        if (open && session->unstored_pongs == session->pings) {
            open = ping_again(session);
        }
    }
    if (open) {
        link_finish_sending(session->link);
    }
    // Acknowledgements may still come, also behind a fatal error.
    uint64_t end_ns = clock_monotonic_ns() + GOODBYE_TIMEOUT_MS * UINT64_C(1000000);
    while ((open || session->fatal) && clock_monotonic_ns() < end_ns &&
           link_pump(session->link, 100)) {
    }
    if (!open && session->window.count) {
        say_closed(session);
    }
    close_link(session);
}

static bool begin_connection(struct session *session) {
    char reason[256] = "";
    const char *address = session->cli->ingest;
    session->link = link_open(address, take_line, session, reason, sizeof reason);
    if (!session->link) {
        fail_session(session,
                     "cannot reach the daemon's ingest at %s (%s); is pyrometerd running there?",
                     address, reason);
        return false;
    }
    session->connections++;
    session->line = 0;
    session->hello_file_line = session->file_line;
    session->welcomed = session->ponged = session->fatal = false;
    session->pings = session->unstored_pongs = 0;
    session->moved_ns = clock_monotonic_ns();
    session->pace_ns = 0;
    return true;
}

// A text as a JSON string; cJSON_free() it.
static char *quote(const char *text) {
    cJSON *item = cJSON_CreateString(text);
    char *quoted = cJSON_PrintUnformatted(item);
    CHECK(quoted != NULL);
    cJSON_Delete(item);
    return quoted;
}

static void set_member(struct buf *line, const char *key, const char *text) {
    struct recorded_line now = {.text = line->data, .len = line->len, .first = true, .last = true};
    struct buf out;
    buf_init(&out, line->max);
    char *quoted = quote(text);
    recorded_put_with(&out, &now, key, quoted);
    cJSON_free(quoted);
    buf_free(line);
    *line = out;
}

static void remember_name(struct session *session, const struct recorded_line *line) {
    const char *value;
    size_t len;
    if (session->cli->run) {
        snprintf(session->name, sizeof session->name, "%s", session->cli->run);
        session->is_named = true;
    } else if (recorded_find(line, "run", &value, &len) && len >= 2) {
        snprintf(session->name, sizeof session->name, "%.*s", (int)(len - 2), value + 1);
        session->is_named = true;
    }
}

// The hello goes out and is answered before anything else is said.
static bool say_hello(struct session *session, const struct recorded_line *line) {
    finish_connection(session);
    remember_name(session, line);
    if (session->failed || !begin_connection(session)) {
        return false;
    }
    struct buf hello;
    buf_init(&hello, line->len + ((size_t)1 << 20));
    buf_put(&hello, line->text, line->len);
    if (session->cli->run) {
        set_member(&hello, "run", session->cli->run);
    }
    if (session->cli->token) {
        set_member(&hello, "token", session->cli->token);
    }
    link_queue(session->link, hello.data, hello.len);
    session->line = 1;
    buf_free(&hello);
    bool open = true;
    while (open && !session->welcomed) {
        open = pump(session, 1000);
    }
    if (!open) {
        say_closed(session);
    }
    return open;
}

// Waits until the step is due, dealing with the daemon's words meanwhile.
static bool keep_pace(struct session *session, const struct recorded_line *line) {
    double time_s = recorded_number(line, "time");
    if (session->speed <= 0 || !isfinite(time_s)) {
        return true;
    }
    uint64_t now_ns = clock_monotonic_ns();
    if (session->pace_ns == 0 || time_s < session->pace_time_s) {
        session->pace_ns = now_ns;
        session->pace_time_s = time_s;
        return true;
    }
    double wait_s = (time_s - session->pace_time_s) / session->speed;
    uint64_t due_ns = session->pace_ns + (uint64_t)(fmin(wait_s, 1e9) * 1e9);
    bool open = true;
    while (open && now_ns < due_ns) {
        uint64_t left_ms = (due_ns - now_ns) / 1000000 + 1;
        session->moved_ns = session->window.count ? session->moved_ns : now_ns;
        open = pump(session, left_ms < 200 ? (int)left_ms : 200);
        now_ns = clock_monotonic_ns();
    }
    return open;
}

static bool send_line(struct session *session, const struct recorded_line *line) {
    bool is_step = recorded_is(line, "step");
    bool open = !is_step || keep_pace(session, line);
    while (open &&
           (link_pending(session->link) > QUEUE_MAX || session->window.count == WINDOW_MAX)) {
        open = pump(session, 1000);
    }
    if (!open) {
        say_closed(session);
        return false;
    }
    session->line += line->first;
    if (is_step) {
        double step = recorded_number(line, "step");
        // A step without a number waits for the error that it will earn.
        window_add(&session->window, session->line, num_is_missing(step) ? HUGE_VAL : step);
        session->sent++;
    }
    link_queue(session->link, line->text, line->len);
    return true;
}

static void send_file(struct session *session) {
    struct recorded_line line;
    int got = 0;
    bool open = true;
    while (open && (got = recorded_next(session->file, &line)) > 0) {
        session->file_line += line.first;
        if (recorded_is(&line, "hello")) {
            open = say_hello(session, &line);
        } else {
            open = session->link || begin_connection(session);
            open = open && send_line(session, &line);
        }
    }
    finish_connection(session);
    if (got < 0 && session->cut_off_is_fine) {
        cli_fail("%s: cut off behind line %llu; what came before is sent", session->path,
                 (unsigned long long)session->file_line);
    } else if (got < 0) {
        fail_session(session, "line %llu: %s", (unsigned long long)session->file_line + 1,
                     recorded_error(session->file));
    } else if (session->file_line == 0 && !session->cut_off_is_fine) {
        fail_session(session, "is empty; a recording begins with a hello");
    }
}

static void print_json(const struct session *session, double seconds, bool ok) {
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddStringToObject(answer, "file", session->path);
    cJSON_AddItemToObject(
        answer, "run", session->is_named ? cJSON_CreateString(session->name) : cJSON_CreateNull());
    cJSON_AddNumberToObject(answer, "connections", (double)session->connections);
    cJSON_AddNumberToObject(answer, "sent", (double)session->sent);
    cJSON_AddNumberToObject(answer, "acknowledged", (double)session->acknowledged);
    cJSON_AddNumberToObject(answer, "refused", (double)session->refused);
    cJSON_AddNumberToObject(answer, "errors", (double)session->errors);
    cJSON_AddNumberToObject(answer, "seconds", seconds);
    cJSON_AddBoolToObject(answer, "ok", ok);
    tree_tell(answer);
}

static void print_summary(const struct session *session, double seconds, bool ok) {
    unsigned long long sent = session->sent;
    unsigned long long acknowledged = session->acknowledged;
    struct buf name;
    buf_init(&name, sizeof session->name * 4);
    text_put(&name, session->name, sizeof session->name);
    const char *run = buf_str(&name);
    if (ok) {
        printf("replayed %s: %llu steps acknowledged in %s\n", run, acknowledged,
               text_duration(seconds).s);
    } else if (session->connections) {
        printf("not all of %s: %llu of %llu steps acknowledged, %llu lines refused, in %s\n", run,
               acknowledged, sent, (unsigned long long)session->errors, text_duration(seconds).s);
    }
    buf_free(&name);
}

static bool replay(struct session *session, const char *path) {
    char reason[128];
    session->path = path;
    snprintf(session->name, sizeof session->name, "%s", path);
    session->file = recorded_open(path, reason, sizeof reason);
    uint64_t start_ns = clock_monotonic_ns();
    if (session->file) {
        send_file(session);
        progress_clear();
        recorded_close(session->file);
    } else {
        cli_fail("cannot read %s: %s", path, reason);
        session->failed = true;
    }
    double seconds = (double)(clock_monotonic_ns() - start_ns) * 1e-9;
    bool ok = !session->failed && session->acknowledged == session->sent && session->errors == 0;
    if (session->cli->json) {
        print_json(session, seconds, ok);
    } else {
        print_summary(session, seconds, ok);
    }
    fflush(stdout);
    return ok;
}

bool replay_file(const struct cli *cli, const char *path, double speed, bool cut_off_is_fine) {
    struct session *session = NEW(struct session);
    session->cli = cli;
    session->speed = speed;
    session->cut_off_is_fine = cut_off_is_fine;
    bool ok = replay(session, path);
    free(session);
    return ok;
}

static bool parse_speed(const char *text, double *speed) {
    *speed = 0;
    return !text || strcmp(text, "max") == 0 ||
           (num_parse_string(text, speed) && isfinite(*speed) && *speed > 0);
}

int command_replay(const struct cli *cli, int count, char **words) {
    double speed;
    if (!parse_speed(cli->speed, &speed)) {
        cli_fail("--speed is a number above 0 or max, not %s", cli->speed);
        return CLI_USAGE;
    }
    int status = CLI_OK;
    for (int i = 0; i < count; i++) {
        if (!replay_file(cli, words[i], speed, false)) {
            status = CLI_FAILED;
        }
    }
    return status;
}
