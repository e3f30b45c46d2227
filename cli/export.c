// `pyrometer export RUN`: a run as line protocol, to standard output or a file.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/cli.h"
#include "cli/http.h"
#include "cli/progress.h"
#include "cli/text.h"

struct sink {
    gzFile file;
    uint64_t bytes; // before compression
    bool failed;
    bool quiet; // what is written is on the terminal itself
};

static bool write_bytes(void *context, const char *bytes, size_t n) {
    struct sink *sink = context;
    if (n && gzwrite(sink->file, bytes, (unsigned)n) <= 0) {
        sink->failed = true;
        return false;
    }
    sink->bytes += n;
    if (!sink->quiet && progress_due()) {
        progress_say("%s exported", text_bytes((double)sink->bytes).s);
    }
    return true;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

// Compressed when the name says so; zlib's "T" writes plainly.
static gzFile open_output(const char *path, const char *part) {
    if (path) {
        return gzopen(part, ends_with(path, ".gz") ? "wbe" : "wbTe");
    }
    int out = dup(STDOUT_FILENO);
    gzFile file = out < 0 ? NULL : gzdopen(out, "wbT");
    if (!file && out >= 0) {
        close(out);
    }
    return file;
}

// `path` NULL: to standard output.
static int receive(const struct cli *cli, const char *run, gzFile file, const char *path) {
    struct sink sink = {.file = file, .quiet = !path && isatty(STDOUT_FILENO)};
    const char *name = path ? path : "standard output";
    struct http_answer answer;
    struct buf address;
    http_answer_init(&answer);
    http_begin_run(&address, run, "/export");
    bool complete = http_get_to(cli, buf_str(&address), &answer, write_bytes, &sink) == 0;
    progress_clear();
    int error = errno;
    sink.failed = gzclose(file) != Z_OK || sink.failed;
    int status = CLI_OK;
    if (sink.failed) {
        status = cli_fail("cannot write to %s: %s", name, strerror(error));
    } else if (!complete) {
        status = cli_fail("%s%s", answer.error, sink.bytes ? "; the export is not whole" : "");
    }
    buf_free(&address);
    http_answer_free(&answer);
    return status;
}

// Devices and pipes are written in place; a file gets its name when it is whole, so that one that
// broke off is never taken for a run.
static void choose_part(struct buf *part, const char *path) {
    struct stat about;
    bool in_place = stat(path, &about) == 0 && !S_ISREG(about.st_mode);
    buf_printf(part, "%s%s", path, in_place ? "" : ".part");
}

static int finish_file(const char *part, const char *path, int status) {
    if (strcmp(part, path) == 0) {
        return status;
    }
    if (status == CLI_OK && rename(part, path) < 0) {
        status = cli_fail("cannot name the export %s: %s", path, strerror(errno));
    }
    if (status != CLI_OK) {
        unlink(part);
    }
    return status;
}

int command_export(const struct cli *cli, int count, char **words) {
    (void)count;
    const char *path = cli->output && strcmp(cli->output, "-") != 0 ? cli->output : NULL;
    struct buf part;
    buf_init(&part, (size_t)1 << 16);
    if (path) {
        choose_part(&part, path);
    }
    gzFile file = open_output(path, buf_str(&part));
    int status = file ? receive(cli, words[0], file, path)
                      : cli_fail("cannot open %s for writing: %s", path ? path : "standard output",
                                 strerror(errno));
    if (path && file) {
        status = finish_file(buf_str(&part), path, status);
    }
    buf_free(&part);
    return status;
}
