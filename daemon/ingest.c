#include "daemon/ingest.h"

#include "base/log.h"
#include "base/memory.h"
#include "config/units.h"
#include "daemon/conn.h"
#include "wire/json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 512

struct listener {
    struct listener *next;
    struct app *app;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    struct units_address address; // with the port really bound
    bool bound;                   // a Unix socket of ours stands at its path
};

static void on_connection(uv_stream_t *server, int status) {
    struct listener *l = server->data;
    if (status < 0) {
        log_warning("cannot accept a connection: %s", uv_strerror(status));
        return;
    }
    conn_accept(l->app, server, l->address.is_unix);
}

static int resolve(struct app *app, const struct units_address *a, struct sockaddr_storage *out) {
    char port[8];
    snprintf(port, sizeof port, "%u", a->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    uv_getaddrinfo_t request;
    int rc = uv_getaddrinfo(&app->loop, &request, NULL, a->host, port,
                            &hints); // without a callback: waits
    if (rc == 0) {
        memcpy(out, request.addrinfo->ai_addr, request.addrinfo->ai_addrlen);
        uv_freeaddrinfo(request.addrinfo);
    }
    return rc;
}

static int listen_tcp(struct listener *l) {
    struct sockaddr_storage to = {0};
    uv_tcp_init(&l->app->loop, &l->tcp);
    l->handle.data = l;
    int rc = resolve(l->app, &l->address, &to);
    if (rc == 0) {
        rc = uv_tcp_bind(&l->tcp, (const struct sockaddr *)&to, 0);
    }
    if (rc == 0) {
        rc = uv_listen(&l->stream, BACKLOG, on_connection);
    }
    int size = sizeof to;
    if (rc == 0) {
        rc = uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&to, &size);
    }
    if (rc == 0) {
        in_port_t port = to.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&to)->sin6_port
                                                  : ((struct sockaddr_in *)&to)->sin_port;
        l->address.port = ntohs(port);
    }
    return rc;
}

// Whether somebody answers on the socket: then it is not a leftover and must not be taken away.
static bool socket_is_alive(const char *path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    memcpy(a.sun_path, path, n < sizeof a.sun_path ? n : sizeof a.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool alive = fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return alive;
}

// Makes room for a socket: what an earlier daemon left goes, anything else is not ours to take.
static int make_room(const char *path) {
    struct stat st;
    if (lstat(path, &st)) {
        return errno == ENOENT ? 0 : uv_translate_sys_error(errno);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return UV_EEXIST;
    }
    return socket_is_alive(path) ? UV_EADDRINUSE : uv_translate_sys_error(unlink(path) ? errno : 0);
}

static bool directory_is_missing(const char *path) {
    char *copy = must_copy(path);
    bool missing = access(dirname(copy), F_OK) != 0 && errno == ENOENT;
    free(copy);
    return missing;
}

static int listen_unix(struct listener *l) {
    uv_pipe_init(&l->app->loop, &l->pipe, 0);
    l->handle.data = l;
    if (directory_is_missing(l->address.path)) {
        return UV_ENOENT; // which libuv would call a missing permission
    }
    int rc = make_room(l->address.path);
    rc = rc ? rc : uv_pipe_bind(&l->pipe, l->address.path);
    l->bound = rc == 0;
    // Jobs are other users' processes. Who may connect is for the socket's directory to say.
    if (rc == 0 && chmod(l->address.path, 0666)) {
        rc = uv_translate_sys_error(errno);
    }
    return rc ? rc : uv_listen(&l->stream, BACKLOG, on_connection);
}

int ingest_listen(struct app *app, struct buf *error) {
    for (size_t i = 0; i < app->config.ingest.n_listen; i++) {
        const char *text = app->config.ingest.listen[i];
        struct listener *l = NEW(struct listener);
        l->app = app;
        l->next = app->listeners;
        if (!units_parse_address(text, &l->address)) {
            buf_printf(error, "ingest.listen: %s is not an address", text);
            free(l);
            return -1;
        }
        app->listeners = l;
        int rc = l->address.is_unix ? listen_unix(l) : listen_tcp(l);
        if (rc) {
            buf_printf(error, "cannot listen for jobs on %s: %s", text, uv_strerror(rc));
            return -1;
        }
    }
    return 0;
}

static void print_address(const struct units_address *a, struct buf *out) {
    if (a->is_unix) {
        buf_printf(out, "unix:%s", a->path);
    } else {
        bool v6 = strchr(a->host, ':') != NULL;
        buf_printf(out, v6 ? "[%s]:%u" : "%s:%u", a->host, a->port);
    }
}

void ingest_print_addresses(const struct app *app, struct buf *out) {
    buf_putc(out, '[');
    for (const struct listener *l = app->listeners; l; l = l->next) {
        struct buf text;
        buf_init(&text, 1024);
        print_address(&l->address, &text);
        json_put_string(out, buf_str(&text), text.len);
        buf_puts(out, l->next ? "," : "");
        buf_free(&text);
    }
    buf_putc(out, ']');
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

void ingest_close(struct app *app) {
    while (app->listeners) {
        struct listener *l = app->listeners;
        app->listeners = l->next;
        if (l->bound) {
            unlink(l->address.path);
        }
        uv_close(&l->handle, on_closed);
    }
}
