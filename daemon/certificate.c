#include "daemon/certificate.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1 << 20)

static char *read_file(const char *name, const char *path, struct buf *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = must_alloc(FILE_BYTES_MAX);
    ssize_t n = fd >= 0 ? read(fd, text, FILE_BYTES_MAX - 1) : -1;
    if (n < 0) {
        buf_printf(error, "%s: %s: %s\n", name, path, strerror(errno));
        free(text);
        text = NULL;
    } else {
        text[n] = '\0';
    }
    if (fd >= 0) {
        close(fd);
    }
    return text;
}

static int check_pair(const struct config *config, const char *cert, const char *key,
                      struct buf *error) {
    gnutls_certificate_credentials_t credentials;
    gnutls_datum_t cert_pem = {(unsigned char *)(uintptr_t)cert, (unsigned)strlen(cert)};
    gnutls_datum_t key_pem = {(unsigned char *)(uintptr_t)key, (unsigned)strlen(key)};
    int rc = gnutls_certificate_allocate_credentials(&credentials);
    if (rc == 0) {
        rc = gnutls_certificate_set_x509_key_mem(credentials, &cert_pem, &key_pem,
                                                 GNUTLS_X509_FMT_PEM);
        gnutls_certificate_free_credentials(credentials);
    }
    if (rc < 0) {
        buf_printf(error, "http.tls: %s and %s are no certificate with its key in PEM: %s\n",
                   config->http.tls.cert, config->http.tls.key, gnutls_strerror(rc));
        return -1;
    }
    return 0;
}

int certificate_load(const struct config *config, char **cert, char **key, struct buf *error) {
    *cert = *key = NULL;
    if (!config->http.tls.cert) {
        return 0;
    }
    *cert = read_file("http.tls.cert", config->http.tls.cert, error);
    *key = *cert ? read_file("http.tls.key", config->http.tls.key, error) : NULL;
    if (!*key || check_pair(config, *cert, *key, error)) {
        free(*cert);
        free(*key);
        *cert = *key = NULL;
        return -1;
    }
    return 0;
}
