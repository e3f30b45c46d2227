// Any bytes as a segment that an earlier process left in the C client's spool: it is adopted, read
// twice alike and removed, whatever is in it. gzopen() takes plain text for what it is, so that the
// fuzzer need not find a checksum.
#include "clients/c/spool.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint64_t lines, bytes;
};

static bool see(void *context, const char *line, size_t n, bool adopted) {
    struct seen *seen = context;
    CHECK(adopted && n > 0 && line[n - 1] == '\n' && strlen(line) == n);
    CHECK(strncmp(line, "{\"type\":\"", 9) == 0);
    seen->lines++;
    seen->bytes += n;
    return true;
}

static void write_segment(const char *root, const uint8_t *data, size_t size) {
    char path[128];
    snprintf(path, sizeof path, "%s/r.1.1", root);
    CHECK(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s/r.1.1/000001.ndjson.gz", root);
    FILE *file = fopen(path, "we");
    CHECK(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char root[] = "/tmp/pyrometer-fuzz-XXXXXX";
    CHECK(mkdtemp(root) != NULL);
    write_segment(root, data, size);
    struct pyr_text hello = {0};
    struct pyr_spool *s = pyr_spool_new(root, "r", &hello, &hello, UINT64_C(1) << 30);
    CHECK(s != NULL);
    pyr_spool_adopt(s);
    struct seen first = {0}, second = {0};
    CHECK(pyr_spool_read(s, see, &first) && pyr_spool_read(s, see, &second));
    CHECK(first.lines == second.lines && first.bytes == second.bytes);
    CHECK(first.lines == pyr_spool_lines(s));
    pyr_spool_remove(s);
    CHECK(pyr_spool_is_empty(s));
    pyr_spool_free(s);
    CHECK(rmdir(root) == 0);
    return 0;
}
