#include "daemon/handshake.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <string.h>

#define CAUSES_MAX 32 // told of; the rest is only counted

// Whether this cause has not been told yet. Causes are few: what TLS finds wrong, not what jobs
// sent.
static bool is_news(const char *why) {
    static char told[CAUSES_MAX][160];
    size_t i = 0;
    while (i < CAUSES_MAX && told[i][0]) {
        if (strncmp(told[i], why, sizeof told[i] - 1) == 0) {
            return false;
        }
        i++;
    }
    if (i < CAUSES_MAX) {
        snprintf(told[i], sizeof told[i], "%s", why);
    }
    return i < CAUSES_MAX;
}

void handshake_print_peer(const uv_tcp_t *job, char *text, size_t size) {
    struct sockaddr_storage from = {0};
    int n = sizeof from;
    char host[INET6_ADDRSTRLEN] = "an address that is gone";
    unsigned port = 0;
    if (uv_tcp_getpeername(job, (struct sockaddr *)&from, &n) == 0) {
        uv_ip_name((const struct sockaddr *)&from, host, sizeof host);
        port = ntohs(from.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&from)->sin6_port
                                                : ((struct sockaddr_in *)&from)->sin_port);
    }
    snprintf(text, size, from.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, port);
}

void handshake_failed(const struct conn *c, const char *why) {
    char peer[sizeof c->peer];
    snprintf(peer, sizeof peer, "%s", c->peer);
    if (!peer[0] && c->handle.type == UV_TCP) {
        handshake_print_peer(&c->tcp, peer, sizeof peer);
    }
    c->app->figures->handshakes_failed++;
    if (is_news(why)) {
        log_warning("a job's TLS connection failed, it is closed: %s peer=%s (this cause is told "
                    "once; pyrometer_handshakes_failed counts on)",
                    why, peer);
    } else {
        log_debug("a job's TLS connection failed: %s peer=%s", why, peer);
    }
}

static void refuse(struct conn *c, const char *why) {
    handshake_failed(c, why);
    struct wire_error error;
    c->messages++;
    wire_fail(&error, WIRE_UNSUPPORTED_PROTOCOL, "%s; the connection closes", why);
    conn_error(c, &error);
}

void handshake_refuse_tls(struct conn *c) {
    refuse(c, "this looks like TLS, and this address takes plain connections only: leave out "
              "tls://, or set ingest.tls");
}

void handshake_refuse_plain(struct conn *c) {
    tls_free(c->tls);
    c->tls = NULL;
    refuse(c, "this address takes TLS only, and this is none: the client's server must be "
              "tls://HOST:PORT");
}
