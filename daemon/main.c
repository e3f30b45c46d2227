// pyrometerd: wires the rooms together, runs the loop, and takes everything down again in order.
#include "base/clock.h"
#include "base/log.h"
#include "daemon/app.h"
#include "daemon/alarm.h"
#include "daemon/certificate.h"
#include "daemon/command.h"
#include "daemon/conn.h"
#include "daemon/ingest.h"
#include "daemon/live.h"
#include "daemon/local.h"
#include "daemon/notify.h"
#include "daemon/options.h"
#include "daemon/ranks.h"
#include "daemon/trouble.h"
#include "delivery/receiver.h"
#include "runs/rules.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <gmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGE_BYTES 65536
#define STEP_BLOB_BYTES_MAX (256u << 20)
#define TICK_MS 1000
#define PUBLISH_TICK_MS 20
#define STOP_TIMEOUT_S 10

static void wake_written(void *context) {
    uv_async_send(context);
}

// A silence is in force once it is durable.
static void reload_silences(struct app *app) {
    if (app->silences_sequence && app->silences_sequence <= app->durable) {
        app->silences_sequence = 0;
        if (delivery_load_silences(app->delivery, app->reader)) {
            log_error("silences cannot be read: %s", reader_error(app->reader));
        }
    }
}

static void take_written(struct app *app) {
    struct written w;
    writer_collect(app->writer, &w);
    trouble_note(app, w.trouble);
    live_written(app, &w);
    written_free(&w);
    reload_silences(app);
    conn_acknowledge_all(app);
    commands_answer(app);
    conn_apply_pressure(app);
}

static void on_written(uv_async_t *async) {
    struct app *app = async->data;
    if (app->writer) { // a last wake-up may come after the writer has gone
        take_written(app);
    }
}

static void on_command(uv_async_t *async) {
    commands_take(async->data);
    local_take(async->data);
}

static void on_publish(uv_timer_t *timer) {
    struct app *app = timer->data;
    memory_reserve();
    conn_apply_pressure(app);
    ranks_tick(app);
    conn_resume_ranks(app);
    live_publish_due(app);
}

// The watchdog is fed only while the other threads get on with their work too.
static void feed_watchdog(struct app *app) {
    static uint64_t writer_beat, api_beat;
    uint64_t writer_now = writer_heartbeat(app->writer), api_now = api_heartbeat(app->api);
    if (writer_now != writer_beat && api_now != api_beat) {
        writer_beat = writer_now;
        api_beat = api_now;
        notify_send("WATCHDOG=1");
    }
}

static void on_tick(uv_timer_t *timer) {
    struct app *app = timer->data;
    live_tick(app);
    delivery_tick(app->delivery);
    feed_watchdog(app);
}

static void close_handle(uv_handle_t *handle, void *context) {
    (void)context;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

// Finishes what was read: stores and acknowledges it, tells the jobs, then lets the loop run out.
static void begin_stop(struct app *app) {
    app->draining = true;
    notify_send("STOPPING=1");
    ingest_close(app);
    for (struct conn *c = app->conns; c; c = c->next) {
        uv_read_stop(&c->stream);
        c->reading = false;
    }
    app->paused = true;
    commands_refuse_all(app);
    local_refuse_all(app);
    live_checkpoint_all(app);
    uv_close((uv_handle_t *)&app->tick, NULL);
    uv_close((uv_handle_t *)&app->publish, NULL);
    uv_stop(&app->loop);
}

static void on_stop_signal(uv_signal_t *signal, int number) {
    (void)number;
    struct app *app = signal->data;
    if (app->draining) {
        _exit(1); // a second signal does not wait
    }
    log_info("stopping");
    begin_stop(app);
}

// A token's file is named with the setting that names it.
static int read_token(struct app *app, const char *key, const char *path, char **token,
                      struct buf *messages) {
    struct buf why;
    buf_init(&why, MESSAGE_BYTES);
    int rc = path ? config_read_token(path, token, &why) : 0;
    if (why.len) {
        const char *file = app->config_path ? app->config_path : "settings";
        buf_printf(messages, "%s: %s: %s", file, key, buf_str(&why));
    }
    buf_free(&why);
    return rc;
}

// Both or neither. The API has its own copy; before it runs it is given the token when it starts.
static int read_tokens(struct app *app, const struct config *config, struct buf *messages) {
    char *ingest = NULL, *http = NULL;
    if (read_token(app, "ingest.token_file", config->ingest.token_file, &ingest, messages) ||
        read_token(app, "http.token_file", config->http.token_file, &http, messages)) {
        free(ingest);
        return -1;
    }
    free(app->ingest_token);
    app->ingest_token = ingest;
    if (app->api) {
        api_set_token(app->api, http);
    }
    free(http);
    return 0;
}

static int set_rules(struct app *app, const struct config *config, struct buf *messages) {
    struct ruleset *rules = rules_from_config(config, messages);
    if (!rules) {
        return -1;
    }
    ruleset_release(app->rules);
    app->rules = rules;
    return 0;
}

// Who the daemon is to jobs that come over TLS; NULL where the file does not ask for TLS.
static int load_identity(const struct config *config, struct tls_identity **out,
                         struct buf *messages) {
    struct certificate certificate;
    *out = NULL;
    if (certificate_load(&certificate, config, "ingest.tls", &config->ingest.tls, messages)) {
        return -1;
    }
    if (certificate.cert) {
        *out = tls_identity_create(&certificate);
        certificate_free(&certificate);
        if (!*out) {
            buf_puts(messages, "ingest.tls: there is no memory for the certificate\n");
            return -1;
        }
    }
    return 0;
}

static int load_config(struct app *app, const struct options *options, struct buf *messages) {
    struct config config;
    app->config_path = options->config;
    if (options_load_config(options, &config, messages)) {
        return -1;
    }
    if (load_identity(&config, &app->identity, messages) || set_rules(app, &config, messages) ||
        read_tokens(app, &config, messages)) {
        config_free(&config);
        return -1;
    }
    config_free(&app->config);
    app->config = config;
    config_warnings(&app->config, messages);
    return 0;
}

// One log line for each line of a message.
static void log_lines(void (*log)(const char *, ...), struct buf *messages) {
    char *at = messages->data;
    while (at && *at) {
        size_t n = strcspn(at, "\n");
        log("%.*s", (int)n, at);
        at += n + (at[n] == '\n');
    }
}

static const struct options *reload_options; // of main(), for SIGHUP

static void on_reload(uv_signal_t *signal, int number) {
    (void)number;
    struct app *app = signal->data;
    struct buf messages, restart;
    buf_init(&messages, MESSAGE_BYTES);
    buf_init(&restart, MESSAGE_BYTES);
    struct config config;
    notify_send("RELOADING=1");
    if (options_load_config(reload_options, &config, &messages)) {
        log_error("the new configuration is not used, the running one stays in force:");
        log_lines(log_error, &messages);
    } else {
        config_reloadable_diff(&app->config, &config, &restart);
        struct tls_identity *identity;
        if (load_identity(&config, &identity, &messages) || remote_check(&config, &messages) ||
            set_rules(app, &config, &messages) || read_tokens(app, &config, &messages) ||
            delivery_configure(app->delivery, &config, api_address(app->api), &messages) ||
            remote_configure(app->remote, &config, &messages)) {
            tls_identity_release(identity);
            log_error("the new configuration is not used, the running one stays in force:");
            log_lines(log_error, &messages);
        } else {
            tls_identity_release(app->identity); // connections there are keep theirs
            app->identity = identity;
            app->config.ingest.handshake_wait_ms = config.ingest.handshake_wait_ms;
            app->config.alerts.stall_after_s = config.alerts.stall_after_s;
            live_set_rules(app);
            log_info("configuration reloaded");
            if (restart.len) {
                log_warning("a restart is needed for: %s", buf_str(&restart));
            }
        }
        config_free(&config);
    }
    notify_send("READY=1");
    buf_free(&messages);
    buf_free(&restart);
}

static int start_api(struct app *app, struct buf *error) {
    struct api_config c = {
        .listen = app->config.http.listen,
        .max_connections = (unsigned)app->config.http.max_connections,
        .max_points = app->config.http.max_points,
        .origins = app->config.http.cors_origins,
        .n_origins = app->config.http.n_cors_origins,
        .data = app->config.data,
        .board = app->board,
        .command = commands_submit,
        .open_session = local_connect,
        .context = app,
    };
    char *token = NULL;
    struct certificate certificate = {0};
    int rc = read_token(app, "http.token_file", app->config.http.token_file, &token, error);
    rc =
        rc ? rc
           : certificate_load(&certificate, &app->config, "http.tls", &app->config.http.tls, error);
    c.token = token;
    c.tls_cert_pem = certificate.cert;
    c.tls_key_pem = certificate.key;
    rc = rc ? rc : api_start(&app->api, &c, error);
    free(token);
    certificate_free(&certificate);
    return rc;
}

static void start_handles(struct app *app) {
    uv_async_init(&app->loop, &app->written, on_written);
    uv_async_init(&app->loop, &app->command, on_command);
    uv_timer_init(&app->loop, &app->tick);
    uv_timer_init(&app->loop, &app->publish);
    uv_signal_init(&app->loop, &app->sigterm);
    uv_signal_init(&app->loop, &app->sigint);
    uv_signal_init(&app->loop, &app->sighup);
    app->written.data = app->command.data = app->tick.data = app->publish.data = app;
    app->sigterm.data = app->sigint.data = app->sighup.data = app;
    uv_signal_start(&app->sigterm, on_stop_signal, SIGTERM);
    uv_signal_start(&app->sigint, on_stop_signal, SIGINT);
    uv_signal_start(&app->sighup, on_reload, SIGHUP);
    uint64_t watchdog_ms = notify_watchdog_interval_ms();
    uint64_t tick_ms = watchdog_ms && watchdog_ms < TICK_MS ? watchdog_ms : TICK_MS;
    uv_timer_start(&app->tick, on_tick, tick_ms, tick_ms);
    uv_timer_start(&app->publish, on_publish, PUBLISH_TICK_MS, PUBLISH_TICK_MS);
}

// DATA/endpoints.json: where this daemon can be reached, for programs that start it on free ports.
// Without it the daemon serves all the same: a full disk must not keep anybody from looking at runs
// and deleting some.
static void write_endpoints(struct app *app) {
    struct buf path, temporary, text;
    buf_init(&path, 8192);
    buf_init(&temporary, 8192);
    buf_init(&text, MESSAGE_BYTES);
    buf_printf(&path, "%s/endpoints.json", app->config.data);
    buf_printf(&temporary, "%s/endpoints.json.new", app->config.data);
    buf_puts(&text, "{\"ingest\":");
    ingest_print_addresses(app, &text);
    buf_printf(&text, ",\"http\":\"%s\"}\n", api_address(app->api));
    int fd = open(buf_str(&temporary), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool ok = fd >= 0 && write(fd, text.data, text.len) == (ssize_t)text.len;
    if (fd >= 0) {
        close(fd);
    }
    ok = ok && rename(buf_str(&temporary), buf_str(&path)) == 0;
    if (!ok) {
        log_warning("%s cannot be written, nobody finds this daemon's addresses there: %s",
                    buf_str(&path), strerror(errno));
        unlink(buf_str(&temporary));
        unlink(buf_str(&path)); // of a daemon before this one
    }
    buf_free(&path);
    buf_free(&temporary);
    buf_free(&text);
}

static int load_delivery(struct app *app, struct buf *error) {
    if (delivery_load(app->delivery, app->reader) ||
        reader_newest_silence(app->reader, &app->next_silence)) {
        buf_printf(error, "the outbox of alerts cannot be read: %s", reader_error(app->reader));
        return -1;
    }
    app->next_silence++;
    return 0;
}

static int start(struct app *app, struct buf *error) {
    struct store *store;
    app->board = board_create();
    board_set_beat(app->board, app->config.http.heartbeat_ms * UINT64_C(1000000));
    app->figures = board_figures(app->board);
    app->commands = commands_create(app);
    app->local = local_create(app);
    board_set_rules(app->board, app->rules);
    app->delivery = delivery_create(&app->loop, app->board, alarm_delivered, app);
    app->remote = remote_create(app->board, app->config.data);
    start_handles(app);
    if (store_open(&store, app->config.data,
                   app->config.storage.durability == CONFIG_DURABILITY_FULL, error)) {
        return -1;
    }
    store_limit(store, app->config.storage.retention_s, app->config.storage.max_size_bytes);
    app->figures->unclean_starts = store_was_unclean(store);
    if (store_was_unclean(store)) {
        log_warning(
            "the last daemon on %s did not stop as it should; what it acknowledged is there",
            app->config.data);
    }
    if (store_next_ids(store, &app->next_run, &app->next_attempt)) {
        buf_puts(error, store_error(store));
        store_close(store);
        return -1;
    }
    app->writer = writer_start(store, app->config.ingest.ack_interval_ms, app->figures,
                               wake_written, &app->written);
    if (reader_open(&app->reader, app->config.data, error) || live_restore_all(app, error) ||
        ingest_listen(app, error) || start_api(app, error)) {
        return -1;
    }
    if (delivery_configure(app->delivery, &app->config, api_address(app->api), error) ||
        load_delivery(app, error) || remote_configure(app->remote, &app->config, error)) {
        return -1;
    }
    write_endpoints(app);
    return 0;
}

// The order matters: nothing may be acknowledged before the writer is done, and readers close
// before the store does.
static bool stop(struct app *app) {
    uint64_t deadline = clock_monotonic_ns() + STOP_TIMEOUT_S * UINT64_C(1000000000);
    while (app->writer && writer_queued_bytes(app->writer) && clock_monotonic_ns() < deadline) {
        uv_run(&app->loop, UV_RUN_ONCE);
    }
    if (app->writer) {
        take_written(app);
    }
    remote_finish(app->remote); // the board has the last readings
    conn_end_all(app);
    if (app->api) {
        api_stop(app->api);
    }
    delivery_destroy(app->delivery);
    ranks_destroy_all(app);
    live_destroy_all(app);
    reader_close(app->reader);
    bool all_written = !app->writer || writer_stop(app->writer, 0);
    app->writer = NULL;
    if (!all_written) {
        log_error(
            "not everything could be stored; what was not acknowledged is lost here and still with "
            "the jobs");
    }
    uv_unref((uv_handle_t *)&app->written);
    uv_unref((uv_handle_t *)&app->command);
    uv_unref((uv_handle_t *)&app->sigterm);
    uv_unref((uv_handle_t *)&app->sigint);
    uv_unref((uv_handle_t *)&app->sighup);
    uv_run(&app->loop, UV_RUN_DEFAULT); // until the jobs have their goodbye
    remote_destroy(app->remote);
    uv_walk(&app->loop, close_handle, NULL);
    uv_run(&app->loop, UV_RUN_DEFAULT);
    return all_written;
}

static void release(struct app *app) {
    int rc = uv_loop_close(&app->loop);
    if (rc) {
        log_error("bug: the loop still has handles: %s", uv_strerror(rc));
    }
    commands_destroy(app->commands);
    local_destroy(app->local);
    board_destroy(app->board);
    ruleset_release(app->rules);
    tls_identity_release(app->identity);
    config_free(&app->config);
    step_free(&app->step);
    buf_free(&app->blob);
    free(app->ingest_token);
    free(app->trouble);
    free(app);
}

static void *grow_number(void *old, size_t old_size, size_t size) {
    (void)old_size;
    return must_grow(old, size);
}

static void free_number(void *number, size_t size) {
    (void)size;
    free(number);
}

// What libraries allocate for us is tried again from the reserve, like our own.
static void share_memory(void) {
    mp_set_memory_functions(must_alloc, grow_number, free_number); // GMP, below GnuTLS, would abort
    cJSON_Hooks hooks = {.malloc_fn = try_alloc, .free_fn = free};
    cJSON_InitHooks(&hooks);
    CHECK(uv_replace_allocator(try_alloc, try_grow, try_calloc, free) == 0);
    memory_reserve();
}

static int run(struct app *app) {
    struct buf error;
    buf_init(&error, MESSAGE_BYTES);
    CHECK(uv_loop_init(&app->loop) == 0);
    int code = 0;
    if (start(app, &error)) {
        log_error("%s", buf_str(&error));
        code = 1;
        begin_stop(app);
    } else {
        struct buf where;
        buf_init(&where, MESSAGE_BYTES);
        ingest_print_addresses(app, &where);
        log_info("pyrometerd " PYROMETER_VERSION " is ready ingest=%s http=%s data=%s",
                 buf_str(&where), api_address(app->api), app->config.data);
        buf_free(&where);
        notify_send("READY=1\nSTATUS=ready");
        uv_run(&app->loop, UV_RUN_DEFAULT);
    }
    if (!stop(app)) {
        code = 1;
    }
    release(app);
    memory_release();
    buf_free(&error);
    if (code == 0) {
        log_info("stopped");
    }
    return code;
}

static int check_certificate(const struct config *config, struct buf *messages) {
    struct certificate c;
    int rc = certificate_load(&c, config, "http.tls", &config->http.tls, messages);
    certificate_free(&c);
    return rc;
}

// A job is a descriptor: take as many as the system lets this user have.
static void raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            log_debug("the limit of open files stays at %llu", (unsigned long long)limit.rlim_cur);
        }
    }
}

int main(int argc, char **argv) {
    struct options options;
    if (!options_parse(argc, argv, &options)) {
        return 2;
    }
    if (options.help || options.version) {
        options.help ? options_print_help() : (void)puts("pyrometerd " PYROMETER_VERSION);
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a limit of file sizes is a write that fails, not an end
    raise_file_limit();
    umask(077); // losses and layers are nobody else's business
    log_set_level(options.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    share_memory();
    struct app *app = NEW(struct app);
    step_init(&app->step);
    buf_init(&app->blob, STEP_BLOB_BYTES_MAX);
    struct buf messages;
    buf_init(&messages, MESSAGE_BYTES);
    int rc = load_config(app, &options, &messages);
    if (options.check_config) {
        rc = rc ? rc : check_certificate(&app->config, &messages);
        rc = rc ? rc : receivers_check(&app->config, &messages);
        rc = rc ? rc : remote_check(&app->config, &messages);
        fputs(buf_str(&messages), stderr);
    } else {
        log_lines(rc ? log_error : log_warning, &messages);
    }
    buf_free(&messages);
    if (rc || options.check_config) {
        if (rc == 0) {
            puts("the configuration is good");
        }
        ruleset_release(app->rules);
        tls_identity_release(app->identity);
        config_free(&app->config);
        free(app->ingest_token);
        free(app);
        return rc ? 2 : 0;
    }
    reload_options = &options;
    return run(app);
}
