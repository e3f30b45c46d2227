// The process: what main.c wires together and the loop thread owns. Everything here belongs to the
// loop thread; what other threads touch (writer, board) says so in its own header.
#ifndef DAEMON_APP_H
#define DAEMON_APP_H

#include "alerts/alerts.h"
#include "api/api.h"
#include "base/buf.h"
#include "config/config.h"
#include "daemon/tls.h"
#include "daemon/writer.h"
#include "delivery/delivery.h"
#include "remote/remote.h"
#include "wire/step.h"

#include <uv.h>

struct live_run;
struct conn;
struct listener;
struct commands;
struct local;
struct rank_group;

#define APP_RUN_BUCKETS 1024
#define APP_READ_BYTES (256 * 1024)
#define APP_SEALED_BYTES TLS_SEALED_BYTES(APP_READ_BYTES)

struct app {
    uv_loop_t loop;
    struct config config;
    const char *config_path;       // NULL: defaults and flags alone
    char *ingest_token;            // NULL: none is wanted
    struct tls_identity *identity; // NULL: jobs' TCP connections are plain
    struct ruleset *rules;

    struct writer *writer;
    struct reader *reader; // the loop's own, for hellos of stored runs
    struct board *board;
    struct board_figures *figures; // the board's
    struct api *api;
    struct delivery *delivery;
    struct remote_write *remote;
    uint64_t silences_sequence; // of the newest op that changes silences; 0: all are in force
    int64_t next_run, next_attempt, next_silence;
    uint64_t durable; // sequence of the newest durable op

    struct live_run *runs[APP_RUN_BUCKETS];
    struct rank_group *rank_groups; // ranks.c
    size_t rank_bytes;              // that wait for other ranks
    bool ranks_moved;               // some of them wait no longer
    struct conn *conns;
    size_t n_conns;
    struct listener *listeners;
    struct commands *commands;
    struct local *local; // sessions over HTTP

    uv_async_t written, command;
    uv_timer_t tick, publish;
    uv_signal_t sigterm, sigint, sighup;
    char *trouble; // why nothing can be stored now; NULL: it can
    bool paused;   // reading is stopped until the writer catches up
    bool draining; // on the way out
    int exit_code;

    // Scratch of the loop thread, shared by all connections: a read's bytes, a step, a blob.
    char read_buffer[APP_READ_BYTES];
    char sealed_buffer[APP_SEALED_BYTES]; // a read's bytes under TLS, opened into read_buffer
    struct step step;
    struct buf blob;
};

#endif
