#include "daemon/tls.h"

#include "base/memory.h"
#include "config/limits.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HANDSHAKE_ROOM ((size_t)256 << 10) // what a handshake takes, and several times that
#define OUT_BYTES_MAX ((size_t)8 << 20) // the replies of a connection, sealed, with room to spare

struct tls_identity {
    size_t references;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priorities;
};

struct tls {
    struct tls_identity *identity;
    gnutls_session_t session;
    enum tls_state state;
    bool begun;
    bool end_said;
    const char *read; // what is being taken
    size_t read_len;
    const char *in; // of it: records not seen yet
    size_t in_len;
    struct buf out;
    char failure[160];
};

struct tls_identity *tls_identity_create(const struct certificate *c) {
    struct tls_identity *identity = NEW(struct tls_identity);
    gnutls_datum_t cert = {(unsigned char *)c->cert, (unsigned)strlen(c->cert)};
    gnutls_datum_t key = {(unsigned char *)c->key, (unsigned)strlen(c->key)};
    identity->references = 1;
    if (gnutls_certificate_allocate_credentials(&identity->credentials) < 0 ||
        gnutls_certificate_set_x509_key_mem(identity->credentials, &cert, &key,
                                            GNUTLS_X509_FMT_PEM) < 0 ||
        gnutls_priority_init(&identity->priorities, LIMIT_TLS_PRIORITIES, NULL) < 0) {
        tls_identity_release(identity);
        return NULL;
    }
    return identity;
}

void tls_identity_release(struct tls_identity *identity) {
    if (!identity || --identity->references > 0) {
        return;
    }
    if (identity->credentials) {
        gnutls_certificate_free_credentials(identity->credentials);
    }
    if (identity->priorities) {
        gnutls_priority_deinit(identity->priorities);
    }
    free(identity);
}

static ssize_t pull(gnutls_transport_ptr_t context, void *to, size_t n) {
    struct tls *t = context;
    if (t->in_len == 0) {
        gnutls_transport_set_errno(t->session, EAGAIN);
        return -1;
    }
    n = n < t->in_len ? n : t->in_len;
    memcpy(to, t->in, n);
    t->in += n;
    t->in_len -= n;
    return (ssize_t)n;
}

static ssize_t push(gnutls_transport_ptr_t context, const void *bytes, size_t n) {
    struct tls *t = context;
    buf_put(&t->out, bytes, n);
    if (t->out.failed) {
        gnutls_transport_set_errno(t->session, ENOMEM);
        return -1;
    }
    return (ssize_t)n;
}

struct tls *tls_create(struct tls_identity *identity) {
    struct tls *t = NEW(struct tls);
    t->identity = identity;
    identity->references++;
    buf_init(&t->out, OUT_BYTES_MAX);
    if (gnutls_init(&t->session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0) {
        t->session = NULL;
        tls_free(t);
        return NULL;
    }
    if (gnutls_priority_set(t->session, identity->priorities) < 0 ||
        gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, identity->credentials) < 0) {
        tls_free(t);
        return NULL;
    }
    gnutls_handshake_set_max_packet_length(t->session, LIMIT_HANDSHAKE_BYTES);
    gnutls_transport_set_ptr(t->session, t);
    gnutls_transport_set_pull_function(t->session, pull);
    gnutls_transport_set_push_function(t->session, push);
    return t;
}

void tls_free(struct tls *t) {
    if (t) {
        if (t->session) {
            gnutls_deinit(t->session);
        }
        buf_free(&t->out);
        tls_identity_release(t->identity);
        free(t);
    }
}

// Clients that do not trust our certificate say so in the clear, which TLS 1.3 takes for a record
// that cannot be decrypted.
static const char *alert_in_the_clear(const char *sealed, size_t n) {
    static const char head[] = {0x15, 3, 3, 0, 2};
    enum { ALERT_BYTES = sizeof head + 2 };
    if (n < ALERT_BYTES || memcmp(sealed + n - ALERT_BYTES, head, sizeof head) != 0) {
        return NULL;
    }
    return gnutls_alert_get_name((gnutls_alert_description_t)sealed[n - 1]);
}

static enum tls_state fail(struct tls *t, int rc) {
    const char *alert = NULL;
    if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        alert = gnutls_alert_get_name(gnutls_alert_get(t->session));
    } else if (t->state == TLS_HANDSHAKE && rc == GNUTLS_E_DECRYPTION_FAILED) {
        alert = alert_in_the_clear(t->read, t->read_len);
    }
    t->state = TLS_FAILED;
    if (alert) {
        snprintf(t->failure, sizeof t->failure, "the job's side ended it: %s", alert);
    } else {
        snprintf(t->failure, sizeof t->failure, "%s", gnutls_strerror(rc));
        gnutls_alert_send_appropriate(t->session, rc); // what cannot be told is not missed
    }
    return t->state;
}

static bool wants_more(int rc) {
    return rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED;
}

// Debian 12's libtasn1 does not look whether it was given memory for a signature.
static void shake(struct tls *t) {
    if (!memory_is_there(HANDSHAKE_ROOM)) {
        fail(t, GNUTLS_E_MEMORY_ERROR);
        return;
    }
    int rc;
    do {
        rc = gnutls_handshake(t->session);
    } while (rc < 0 && !wants_more(rc) && !gnutls_error_is_fatal(rc));
    if (rc == 0) {
        t->state = TLS_OPEN;
    } else if (!wants_more(rc)) {
        fail(t, rc);
    }
}

enum tls_state tls_receive(struct tls *t, const char *sealed, size_t n, char *plain, size_t size,
                           size_t *plain_n) {
    *plain_n = 0;
    if (!t->begun && n && !tls_begins_with(sealed[0])) {
        return t->state = TLS_NOT_TLS;
    }
    t->begun = true;
    t->read = t->in = sealed;
    t->read_len = t->in_len = n;
    if (t->state == TLS_HANDSHAKE) {
        shake(t);
    }
    while (t->state == TLS_OPEN) {
        ssize_t got = gnutls_record_recv(t->session, plain + *plain_n, size - *plain_n);
        if (got > 0) {
            *plain_n += (size_t)got;
        } else if (got == 0) {
            t->state = TLS_ENDED;
        } else if (wants_more((int)got)) {
            break;
        } else if (got == GNUTLS_E_REHANDSHAKE || gnutls_error_is_fatal((int)got)) {
            fail(t, (int)got);
        }
    }
    t->in_len = 0;
    return t->state;
}

enum tls_state tls_state(const struct tls *t) {
    return t->state;
}

bool tls_is_begun(const struct tls *t) {
    return t->begun;
}

const char *tls_failure(const struct tls *t) {
    return t->failure;
}

bool tls_send(struct tls *t, struct buf *plain) {
    if (t->state != TLS_OPEN && t->state != TLS_ENDED) {
        return true;
    }
    size_t sent = 0;
    while (sent < plain->len) {
        ssize_t n = gnutls_record_send(t->session, plain->data + sent, plain->len - sent);
        if (n <= 0) {
            return false; // it never has to wait: what it writes to grows
        }
        sent += (size_t)n;
    }
    buf_free(plain);
    return true;
}

bool tls_end(struct tls *t) {
    bool can = !t->end_said && (t->state == TLS_OPEN || t->state == TLS_ENDED);
    t->end_said = true;
    return can && gnutls_bye(t->session, GNUTLS_SHUT_WR) == 0;
}

struct buf *tls_out(struct tls *t) {
    return &t->out;
}
