// Sets up libmicrohttpd: one internal thread with epoll, which takes requests and sends answers;
// what could make it wait is done by the workers.
#include "api/server.h"

#include "api/ingest.h"
#include "api/metrics.h"
#include "api/reading.h"
#include "api/relay.h"
#include "api/request.h"
#include "api/routes.h"
#include "api/shelf.h"
#include "api/workers.h"
#include "base/log.h"
#include "config/limits.h"
#include "config/units.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTION_MEMORY (32 * 1024) // headers and address of a request
#define CONNECTION_TIMEOUT_S 30
// Bytes that the kernel takes ahead of what it can send. Without it a client that reads slowly has
// megabytes made for it that lie there, and streams of it grow old.
#define UNSENT_BYTES (64 * 1024)

__attribute__((format(printf, 2, 0))) static void take_log(void *context, const char *format,
                                                           va_list args) {
    (void)context;
    char text[512];
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\r\n")] = '\0';
    log_debug("http: %s", text);
}

static void panic(void *context, const char *file, unsigned line, const char *reason) {
    (void)context;
    log_error("bug: libmicrohttpd gave up: %s (%s:%u)", reason ? reason : "no reason", file, line);
    abort();
}

// The address as it came: the library's own decoding would cut it at %00 and turn %2F into a slash.
static void *begin_request(void *context, const char *address, struct MHD_Connection *connection) {
    struct request *q = request_create(context, address);
    q->connection = connection;
    return q;
}

static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text) {
    (void)context;
    (void)connection;
    return strlen(text);
}

static void end_request(void *context, struct MHD_Connection *connection, void **request,
                        enum MHD_RequestTerminationCode why) {
    (void)context;
    (void)connection;
    (void)why;
    if (*request) {
        ingest_end(*request);
    }
    request_destroy(*request);
    *request = NULL;
}

static void begin_connection(void *context, struct MHD_Connection *connection, void **own,
                             enum MHD_ConnectionNotificationCode what) {
    (void)context;
    (void)own;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        int bytes = UNSENT_BYTES;
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        setsockopt(info->connect_fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
    }
}

static enum MHD_Result begin_body(struct request *q) {
    const char *length = request_header(q, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (length && strtoull(length, NULL, 10) > LIMIT_HTTP_BODY_BYTES) {
        return answer_problem(q, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than %llu bytes",
                              (unsigned long long)LIMIT_HTTP_BODY_BYTES);
    }
    return routes_begin(q);
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request) {
    (void)connection;
    (void)url;
    (void)version;
    struct api *a = context;
    struct request *q = *request;
    q->method = method;
    if (!q->seen) { // headers only; the body, if any, comes next
        q->seen = true;
        return begin_body(q);
    }
    if (*upload_size) {
        if (q->session) {
            *upload_size -= ingest_take(q, upload, *upload_size);
        } else {
            buf_put(&q->upload, upload, *upload_size);
            *upload_size = 0;
        }
        return MHD_YES;
    }
    if (q->status) { // a worker has made the answer
        return answer_send(q);
    }
    atomic_store(&a->busy, true);
    q->arrived = board_version(a->board);
    enum MHD_Result rc =
        q->upload.failed ? answer_problem(q, MHD_HTTP_CONTENT_TOO_LARGE,
                                          "the body is larger than %d bytes", LIMIT_HTTP_FORM_BYTES)
                         : routes_answer(q);
    atomic_store(&a->busy, false);
    atomic_fetch_add_explicit(&a->beats, 1, memory_order_relaxed);
    return rc;
}

static void *herald(void *context) {
    struct api *a = context;
    board_herald(a->board);
    return NULL;
}

static int bind_to(const struct addrinfo *where) {
    int fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, where->ai_addr, where->ai_addrlen) || listen(fd, SOMAXCONN)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

// A listening socket, or -1 with a message.
static int listen_on(const char *text, struct buf *error) {
    struct units_address address;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[8];
    if (!units_parse_address(text, &address) || address.is_unix) {
        buf_printf(error, "http.listen is \"%s\"; expected HOST:PORT or [IPV6]:PORT", text);
        return -1;
    }
    snprintf(port, sizeof port, "%u", address.port);
    int rc = getaddrinfo(address.host, port, &hints, &found);
    if (rc) {
        buf_printf(error, "cannot listen on %s: %s", text, gai_strerror(rc));
        return -1;
    }
    int fd = bind_to(found);
    if (fd < 0) {
        buf_printf(error, "cannot listen on %s: %s", text, strerror(errno));
    }
    freeaddrinfo(found);
    return fd;
}

static bool name_address(int fd, char *text, size_t size) {
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    char host[INET6_ADDRSTRLEN + 32], port[8];
    if (getsockname(fd, (struct sockaddr *)&at, &len) ||
        getnameinfo((struct sockaddr *)&at, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV)) {
        return false;
    }
    snprintf(text, size, at.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return true;
}

static struct MHD_Daemon *start_daemon(struct api *a, int fd) {
    const struct api_config *c = &a->config;
    bool tls = c->tls_cert_pem != NULL;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                     (tls ? MHD_USE_TLS : 0u);
    struct MHD_OptionItem tls_options[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)c->tls_cert_pem},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)c->tls_key_pem},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)LIMIT_TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    return MHD_start_daemon(
        flags, 0, NULL, NULL, handle, a, MHD_OPTION_EXTERNAL_LOGGER, take_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, c->max_connections,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT,
        1, MHD_OPTION_URI_LOG_CALLBACK, begin_request, a, MHD_OPTION_UNESCAPE_CALLBACK,
        keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED, end_request, a,
        MHD_OPTION_NOTIFY_CONNECTION, begin_connection, NULL, MHD_OPTION_ARRAY,
        tls ? tls_options : none, MHD_OPTION_END);
}

static void copy_origins(struct api *a) {
    a->origins = must_alloc((a->config.n_origins + 1) * sizeof(char *));
    for (size_t i = 0; i < a->config.n_origins; i++) {
        a->origins[i] = must_copy(a->config.origins[i]);
    }
    a->config.origins = a->origins;
}

void api_set_token(struct api *a, const char *token) {
    char *copy = must_copy(token);
    pthread_mutex_lock(&a->token_lock);
    free(a->token);
    a->token = copy;
    pthread_mutex_unlock(&a->token_lock);
}

static struct api *create(const struct api_config *config) {
    struct api *a = NEW(struct api);
    a->config = *config;
    a->config.token = NULL; // the copy is what counts
    a->board = config->board;
    pthread_mutex_init(&a->token_lock, NULL);
    api_set_token(a, config->token);
    copy_origins(a);
    a->readings = reading_cache_create();
    a->shelf = shelf_create();
    a->metrics = metrics_watch_create();
    // Streams stay open: they may not take every connection that there is.
    a->max_streams =
        config->max_connections / 2 < LIMIT_STREAMS ? config->max_connections / 2 : LIMIT_STREAMS;
    return a;
}

static void destroy(struct api *a) {
    workers_stop(a->workers);
    workers_destroy(a->workers);
    relay_destroy(a->relay);
    reading_cache_destroy(a->readings);
    shelf_destroy(a->shelf);
    metrics_watch_destroy(a->metrics);
    for (size_t i = 0; i < a->config.n_origins; i++) {
        free(a->origins[i]);
    }
    free(a->origins);
    pthread_mutex_destroy(&a->token_lock);
    free(a->token);
    free(a);
}

int api_start(struct api **out, const struct api_config *config, struct buf *error) {
    *out = NULL;
    MHD_set_panic_func(panic, NULL);
    struct api *a = create(config);
    if (workers_start(&a->workers, LIMIT_HTTP_WORKERS, config->data, error)) {
        goto fail;
    }
    int fd = listen_on(config->listen, error);
    if (fd < 0) {
        goto fail;
    }
    a->relay = relay_start(error);
    if (!a->relay) {
        goto fail_socket;
    }
    if (!name_address(fd, a->address, sizeof a->address)) {
        buf_printf(error, "cannot find out the address of %s: %s", config->listen, strerror(errno));
        goto fail_relay;
    }
    if (pthread_create(&a->herald, NULL, herald, a)) {
        buf_puts(error, "cannot start a thread for HTTP");
        goto fail_relay;
    }
    a->daemon = start_daemon(a, fd);
    if (!a->daemon) {
        buf_printf(error, "cannot serve HTTP on %s%s", a->address,
                   config->tls_cert_pem ? ": are http.tls.cert and http.tls.key a pair in PEM?"
                                        : "");
        atomic_store(&a->stopping, true);
        board_close(a->board);
        pthread_join(a->herald, NULL);
        goto fail_relay;
    }
    *out = a;
    return 0;
fail_relay:
    relay_stop(a->relay);
fail_socket:
    close(fd);
fail:
    destroy(a);
    return -1;
}

const char *api_address(const struct api *a) {
    return a->address;
}

bool api_progress(struct api *a) {
    workers_progress();
    return !atomic_load_explicit(&a->stopping, memory_order_relaxed);
}

uint64_t api_heartbeat(struct api *a) {
    uint64_t beats = atomic_load(&a->beats);
    // Nothing to do is no reason to worry.
    bool well = !atomic_load(&a->busy) || beats != a->seen_beats;
    a->seen_beats = beats;
    a->heartbeat += workers_are_well(a->workers) && well;
    return a->heartbeat;
}

void api_stop(struct api *a) {
    if (!a) {
        return;
    }
    atomic_store(&a->stopping, true);
    board_close(a->board); // wakes the streams: none may be suspended when the daemon stops
    pthread_join(a->herald, NULL);
    workers_stop(a->workers); // likewise those that wait for them
    relay_stop(a->relay);
    MHD_stop_daemon(a->daemon);
    destroy(a);
}
