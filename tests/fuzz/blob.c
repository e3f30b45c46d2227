// Any bytes as a stored step: refused, or a step that is stored again the same.
#include "storage/blob.h"
#include "wire/json.h"

#include <string.h>

#define BUF_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_names(const struct step *s) {
    size_t bad;
    for (size_t i = 0; i < s->n_columns; i++) {
        CHECK(utf8_valid(s->columns[i].name, strlen(s->columns[i].name), &bad));
    }
    for (size_t i = 0; i < s->n_scalars; i++) {
        CHECK(utf8_valid(s->scalars[i].name, strlen(s->scalars[i].name), &bad));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct step s, again;
    struct buf first, second;
    buf_init(&first, BUF_MAX);
    buf_init(&second, BUF_MAX);
    step_init(&s);
    step_init(&again);
    if (blob_decode(data, size, &s)) {
        check_names(&s);
        CHECK(blob_encode(&s, &first));
        CHECK(blob_decode(first.data, first.len, &again));
        CHECK(blob_encode(&again, &second));
        CHECK(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    }
    step_free(&s);
    step_free(&again);
    buf_free(&first);
    buf_free(&second);
    return 0;
}
