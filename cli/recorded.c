#include "cli/recorded.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/num.h"

enum { PIECE_MAX = 1 << 20, READ_AHEAD = 1 << 17 };

struct recorded {
    gzFile file;
    double size; // of the file as it lies there; 0 where unknown
    bool inside; // the next piece continues a line
    char error[256];
    char piece[PIECE_MAX + 2];
};

struct recorded *recorded_open(const char *path, char *reason, size_t reason_size) {
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    struct stat about = {0};
    if (fd >= 0 && fstat(fd, &about) == 0 && S_ISDIR(about.st_mode)) {
        errno = EISDIR;
        close(fd);
        fd = -1;
    }
    if (fd < 0) {
        snprintf(reason, reason_size, "%s", strerror(errno));
        return NULL;
    }
    struct recorded *file = NEW(struct recorded);
    file->size = S_ISREG(about.st_mode) ? (double)about.st_size : 0;
    file->file = gzdopen(fd, "rb");
    CHECK(file->file != NULL);
    gzbuffer(file->file, READ_AHEAD);
    return file;
}

void recorded_close(struct recorded *file) {
    if (file) {
        gzclose(file->file);
        free(file);
    }
}

const char *recorded_error(const struct recorded *file) {
    return file->error;
}

double recorded_progress(const struct recorded *file) {
    return file->size > 0 ? (double)gzoffset(file->file) / file->size : -1;
}

// gzgets() would stop at a NUL byte of a broken file, hence byte by byte from zlib's buffer.
static size_t read_piece(struct recorded *file) {
    size_t n = 0;
    while (n < PIECE_MAX) {
        int c = gzgetc(file->file);
        if (c < 0) {
            break;
        }
        file->piece[n++] = (char)c;
        if (c == '\n') {
            break;
        }
    }
    return n;
}

// What is whole is handed out first, also of a file that breaks off.
static bool is_broken(struct recorded *file) {
    int code = Z_OK;
    const char *message = gzerror(file->file, &code);
    if (code == Z_OK || code == Z_STREAM_END) {
        return false;
    }
    message = code == Z_BUF_ERROR ? "the compressed file breaks off here" : message;
    snprintf(file->error, sizeof file->error, "%s", code == Z_ERRNO ? strerror(errno) : message);
    return true;
}

int recorded_next(struct recorded *file, struct recorded_line *line) {
    size_t n = read_piece(file);
    bool first = !file->inside;
    bool whole = n > 0 && file->piece[n - 1] == '\n';
    bool at_end = !whole && n < PIECE_MAX;
    if (at_end && is_broken(file)) {
        return -1;
    }
    if (n == 0 && first) {
        return 0;
    }
    if (at_end) {
        file->piece[n++] = '\n';
    }
    file->inside = !whole && !at_end;
    *line = (struct recorded_line){
        .text = file->piece, .len = n, .first = first, .last = !file->inside};
    return 1;
}

static const char *skip_space(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) {
        p++;
    }
    return p;
}

// Behind the string that begins at p.
static const char *skip_string(const char *p, const char *end) {
    for (p++; p < end && *p != '"'; p++) {
        p += *p == '\\' && p + 1 < end;
    }
    return p < end ? p + 1 : end;
}

// Behind the value that begins at p: up to the comma or bracket that ends it.
static const char *skip_value(const char *p, const char *end) {
    int depth = 0;
    while (p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
            continue;
        }
        if (depth == 0 && (*p == ',' || *p == '}' || *p == ']')) {
            break;
        }
        depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
        p++;
    }
    return p;
}

bool recorded_find(const struct recorded_line *line, const char *key, const char **value,
                   size_t *len) {
    const char *end = line->text + line->len;
    const char *p = skip_space(line->text, end);
    size_t n = strlen(key);
    if (p == end || *p != '{') {
        return false;
    }
    p = skip_space(p + 1, end);
    while (p < end && *p == '"') {
        const char *name = p + 1;
        p = skip_string(p, end);
        bool found = (size_t)(p - name) == n + 1 && memcmp(name, key, n) == 0;
        p = skip_space(p, end);
        if (p == end || *p != ':') {
            return false;
        }
        p = skip_space(p + 1, end);
        const char *behind = skip_value(p, end);
        if (found) {
            *value = p;
            *len = (size_t)(behind - p);
            return true;
        }
        p = behind < end && *behind == ',' ? skip_space(behind + 1, end) : end;
    }
    return false;
}

bool recorded_is(const struct recorded_line *line, const char *type) {
    const char *value;
    size_t len;
    size_t n = strlen(type);
    return line->first && recorded_find(line, "type", &value, &len) && len >= n + 2 &&
           memcmp(value + 1, type, n) == 0 && value[n + 1] == '"';
}

double recorded_number(const struct recorded_line *line, const char *key) {
    const char *value;
    size_t len;
    double x;
    if (line->first && recorded_find(line, key, &value, &len) &&
        num_parse(value, value + len, &x)) {
        return x;
    }
    return num_missing();
}

void recorded_put_with(struct buf *out, const struct recorded_line *line, const char *key,
                       const char *json) {
    const char *value;
    size_t len;
    const char *end = line->text + line->len;
    if (recorded_find(line, key, &value, &len)) {
        buf_put(out, line->text, (size_t)(value - line->text));
        buf_puts(out, json);
        buf_put(out, value + len, (size_t)(end - value) - len);
        return;
    }
    const char *brace = memchr(line->text, '{', line->len);
    if (!brace) {
        buf_put(out, line->text, line->len);
        return;
    }
    const char *rest = skip_space(brace + 1, end);
    buf_put(out, line->text, (size_t)(brace + 1 - line->text));
    buf_printf(out, "\"%s\":%s%s", key, json, rest < end && *rest == '}' ? "" : ",");
    buf_put(out, brace + 1, (size_t)(end - brace - 1));
}
