#include "daemon/certificate.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Where the paths stand in the configuration, for messages.
struct place {
    const char *file, *section;
    size_t line;
    struct buf *error;
};

__attribute__((format(printf, 3, 4))) static int tell(const struct place *at, const char *key,
                                                      const char *format, ...) {
    char why[LIMIT_CONFIG_TEXT + 512];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    buf_printf(at->error, "%s:%zu: %s%s: %s\n", at->file, at->line, at->section, key, why);
    return -1;
}

static char *read_file(const struct place *at, const char *key, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text = must_alloc(LIMIT_TLS_FILE_BYTES);
    ssize_t n = fd >= 0 ? read(fd, text, LIMIT_TLS_FILE_BYTES - 1) : -1;
    if (n < 0) {
        tell(at, key, "%s: cannot be read: %s", path, strerror(errno));
        free(text);
        text = NULL;
    }
    if (fd >= 0) {
        close(fd);
    }
    return text;
}

static gnutls_datum_t datum(const char *text) {
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)text, (unsigned)strlen(text)};
}

static int check_cert(const struct place *at, const char *path, const char *text) {
    gnutls_x509_crt_t *chain;
    unsigned n;
    gnutls_datum_t pem = datum(text);
    int rc = gnutls_x509_crt_list_import2(&chain, &n, &pem, GNUTLS_X509_FMT_PEM, 0);
    if (rc < 0) {
        return tell(at, ".cert", "%s: %s; expected a certificate in PEM", path,
                    gnutls_strerror(rc));
    }
    for (unsigned i = 0; i < n; i++) {
        gnutls_x509_crt_deinit(chain[i]);
    }
    gnutls_free(chain);
    return 0;
}

static int check_key(const struct place *at, const char *path, const char *text) {
    gnutls_x509_privkey_t key;
    gnutls_datum_t pem = datum(text);
    int rc = gnutls_x509_privkey_init(&key);
    if (rc == 0) {
        rc = gnutls_x509_privkey_import2(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
        gnutls_x509_privkey_deinit(key);
    }
    if (rc == GNUTLS_E_DECRYPTION_FAILED) {
        return tell(at, ".key", "%s: is encrypted; expected a key without a passphrase", path);
    }
    return rc < 0 ? tell(at, ".key", "%s: %s; expected a private key in PEM", path,
                         gnutls_strerror(rc))
                  : 0;
}

static int check_pair(const struct place *at, const struct config_tls *tls,
                      const struct certificate *c) {
    gnutls_certificate_credentials_t credentials;
    gnutls_datum_t cert = datum(c->cert), key = datum(c->key);
    int rc = gnutls_certificate_allocate_credentials(&credentials);
    if (rc == 0) {
        rc = gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
        gnutls_certificate_free_credentials(credentials);
    }
    if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH) {
        return tell(at, ".key",
                    "%s: is not the key of %s; expected the key of its first certificate", tls->key,
                    tls->cert);
    }
    return rc < 0 ? tell(at, "", "%s and %s cannot be used: %s", tls->cert, tls->key,
                         gnutls_strerror(rc))
                  : 0;
}

int certificate_load(struct certificate *out, const struct config *config, const char *section,
                     const struct config_tls *tls, struct buf *error) {
    struct place at = {config->file ? config->file : "settings", section, tls->line, error};
    *out = (struct certificate){0};
    if (!tls->cert) {
        return 0;
    }
    out->cert = read_file(&at, ".cert", tls->cert);
    out->key = read_file(&at, ".key", tls->key);
    if (!out->cert || !out->key || check_cert(&at, tls->cert, out->cert) ||
        check_key(&at, tls->key, out->key) || check_pair(&at, tls, out)) {
        certificate_free(out);
        return -1;
    }
    return 0;
}

void certificate_free(struct certificate *c) {
    if (c->key) {
        explicit_bzero(c->key, strlen(c->key));
    }
    free(c->cert);
    free(c->key);
    *c = (struct certificate){0};
}
