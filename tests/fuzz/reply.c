// Any bytes as what the C client hears from a daemon, and as a line of its own that it reads back.
#include "clients/c/message.h"
#include "clients/c/reply.h"

#include "base/check.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_word(const char *word, size_t size) {
    CHECK(memchr(word, '\0', size) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *line = must_alloc(size + 1); // of this size, so that a read beyond it is seen
    memcpy(line, data, size);
    struct pyr_reply reply;
    bool taken = pyr_reply_parse(&reply, line, size);
    check_word(reply.type, sizeof reply.type);
    check_word(reply.code, sizeof reply.code);
    check_word(reply.message, sizeof reply.message);
    CHECK(!taken || (reply.type[0] && size >= sizeof "{\"type\":\"x\"}" - 1));
    line[size] = '\0';
    struct pyr_message *m = pyr_message_line(line, size);
    CHECK(m && (m->kind == PYR_STEP || m->step == 0) && strcmp(m->text, line) == 0);
    free(m);
    free(line);
    return 0;
}
