#include "cli/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "config/limits.h"

enum { HANDSHAKE_MS = 10000, END_MS = 1000 };

struct tls {
    int fd;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
};

static bool wants_more(ssize_t rc) {
    return rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED;
}

// Waits for what the session wants of the socket. False once the time is over.
static bool await(const struct tls *tls, uint64_t deadline_ns) {
    uint64_t now = clock_monotonic_ns();
    if (now >= deadline_ns) {
        return false;
    }
    short wanted = gnutls_record_get_direction(tls->session) ? POLLOUT : POLLIN;
    struct pollfd waiting = {.fd = tls->fd, .events = wanted};
    poll(&waiting, 1, (int)((deadline_ns - now) / 1000000 + 1));
    return true;
}

static uint64_t from_now(int ms) {
    return clock_monotonic_ns() + (uint64_t)ms * 1000000;
}

// What is trusted. False with the reason.
static bool trust(struct tls *tls, char *reason, size_t size) {
    const char *file = getenv("PYROMETER_CA");
    if (!file || !*file) {
        return gnutls_certificate_set_x509_system_trust(tls->credentials) >= 0;
    }
    int n = gnutls_certificate_set_x509_trust_file(tls->credentials, file, GNUTLS_X509_FMT_PEM);
    if (n <= 0) {
        snprintf(reason, size, "PYROMETER_CA=%s: %s", file,
                 n < 0 ? gnutls_strerror(n) : "holds no certificate in PEM");
    }
    return n > 0;
}

static bool is_number(const char *host) {
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static bool prepare(struct tls *tls, const char *host, char *reason, size_t size) {
    int rc = gnutls_certificate_allocate_credentials(&tls->credentials);
    if (rc >= 0 && !trust(tls, reason, size)) {
        return false;
    }
    rc = rc < 0 ? rc : gnutls_init(&tls->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK);
    rc = rc < 0 ? rc : gnutls_priority_set_direct(tls->session, LIMIT_TLS_PRIORITIES, NULL);
    rc = rc < 0 ? rc
                : gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE, tls->credentials);
    if (rc >= 0 && !is_number(host)) {
        rc = gnutls_server_name_set(tls->session, GNUTLS_NAME_DNS, host, strlen(host));
    }
    if (rc < 0) {
        snprintf(reason, size, "%s", gnutls_strerror(rc));
        return false;
    }
    gnutls_session_set_verify_cert(tls->session, host, 0);
    gnutls_transport_set_int(tls->session, tls->fd);
    return true;
}

// What is wrong with the server's certificate, in GnuTLS's words.
static void explain_certificate(struct tls *tls, char *reason, size_t size) {
    gnutls_datum_t text = {0};
    unsigned status = gnutls_session_get_verify_cert_status(tls->session);
    if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) == 0) {
        snprintf(reason, size,
                 "the server's certificate is not accepted: %s (PYROMETER_CA=FILE names a CA to "
                 "trust in place of the system's)",
                 (const char *)text.data);
        gnutls_free(text.data);
    }
}

static bool shake(struct tls *tls, char *reason, size_t size) {
    uint64_t deadline = from_now(HANDSHAKE_MS);
    int rc;
    do {
        rc = gnutls_handshake(tls->session);
    } while (rc < 0 && !gnutls_error_is_fatal(rc) && (!wants_more(rc) || await(tls, deadline)));
    if (rc < 0 && !wants_more(rc)) {
        gnutls_alert_send_appropriate(tls->session, rc); // for the daemon's log
    }
    if (rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) {
        explain_certificate(tls, reason, size);
    } else if (rc == GNUTLS_E_UNEXPECTED_PACKET_LENGTH || rc == GNUTLS_E_UNEXPECTED_PACKET ||
               rc == GNUTLS_E_UNSUPPORTED_VERSION_PACKET) {
        snprintf(reason, size,
                 "the server does not speak TLS at this address; where ingest.tls is not set the "
                 "address is HOST:PORT, without " TLS_SCHEME);
    } else if (rc < 0) {
        snprintf(reason, size, "%s",
                 wants_more(rc) ? "the TLS handshake took too long" : gnutls_strerror(rc));
    }
    return rc >= 0;
}

struct tls *tls_open(int fd, const char *host, char *reason, size_t reason_size) {
    struct tls *tls = NEW(struct tls);
    tls->fd = fd;
    snprintf(reason, reason_size, "no TLS session can be made");
    if (!prepare(tls, host, reason, reason_size) || !shake(tls, reason, reason_size)) {
        tls_close(tls);
        return NULL;
    }
    return tls;
}

void tls_close(struct tls *tls) {
    if (tls) {
        if (tls->session) {
            gnutls_deinit(tls->session);
        }
        if (tls->credentials) {
            gnutls_certificate_free_credentials(tls->credentials);
        }
        free(tls);
    }
}

static ssize_t result(ssize_t rc) {
    if (rc >= 0) {
        return rc;
    }
    errno = wants_more(rc) || !gnutls_error_is_fatal((int)rc)        ? EAGAIN
            : rc == GNUTLS_E_PREMATURE_TERMINATION                   ? ECONNABORTED
            : rc == GNUTLS_E_PUSH_ERROR || rc == GNUTLS_E_PULL_ERROR ? ECONNRESET
                                                                     : EPROTO;
    return -1;
}

ssize_t tls_send(struct tls *tls, const void *bytes, size_t n) {
    return result(gnutls_record_send(tls->session, bytes, n));
}

ssize_t tls_receive(struct tls *tls, void *to, size_t n) {
    return result(gnutls_record_recv(tls->session, to, n));
}

void tls_end(struct tls *tls) {
    uint64_t deadline = from_now(END_MS);
    while (wants_more(gnutls_bye(tls->session, GNUTLS_SHUT_WR)) && await(tls, deadline)) {
    }
}
