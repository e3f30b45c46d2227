// Any bytes as a configuration: refused with a message, or one that prints as what loads the same.
#define _GNU_SOURCE // memfd_create
#include "base/check.h"
#include "config/config.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BUF_MAX ((size_t)4 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const rules[] = {"loss_nonfinite", "loss_spike", "unstable",
                                    "overheating",    "stalled",    NULL};

static int load(struct config *c, const void *bytes, size_t size, struct buf *messages) {
    char path[40];
    int fd = memfd_create("configuration", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int rc = config_load(c, path, rules, messages);
    close(fd);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct config c, again;
    struct buf messages, first, second;
    buf_init(&messages, BUF_MAX);
    buf_init(&first, BUF_MAX);
    buf_init(&second, BUF_MAX);
    if (load(&c, data, size, &messages) == 0) {
        config_print(&c, &first);
        CHECK(load(&again, buf_str(&first), first.len, &messages) == 0);
        config_print(&again, &second);
        CHECK(strcmp(buf_str(&first), buf_str(&second)) == 0);
        config_free(&again);
        config_free(&c);
    } else {
        CHECK(messages.len > 0);
    }
    buf_free(&messages);
    buf_free(&first);
    buf_free(&second);
    return 0;
}
