#include "clients/c/spool.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "clients/c/clock.h"

enum {
    SEGMENT_BYTES = 8 << 20, // before compression
    MEMBER_BYTES = 256 << 10,
    LINE_MAX_BYTES = 512 << 20, // a text of the longest message that a daemon can take, and more
    CHUNK_BYTES = 4 << 10,
    DIRECTORIES_MAX = 64, // left behind, that one process takes over
    FAULT_MAX = 256,
    RETRY_MS = 30000, // after which a disk that took nothing is asked again
};

struct segment {
    struct segment *next;
    uint64_t lines, size;
    bool adopted;
    char path[]; // of the file
};

struct directory {
    char *path;
    int lock_fd;
};

struct pyr_spool {
    char *root, *run;
    struct pyr_text first, again; // hellos
    bool said;
    uint64_t bytes_max, bytes, lines, dropped;
    struct segment *head, *tail;
    bool writing;    // the tail is being written
    bool delivering; // the head was read, and it is being sent
    unsigned number;
    size_t plain;           // bytes of the tail, before compression
    struct pyr_text buffer; // of the tail, not on disk yet
    size_t buffered;        // lines in it
    struct directory own;   // path NULL: not made yet
    struct directory adopted[DIRECTORIES_MAX];
    size_t adopted_count;
    char fault[FAULT_MAX];
    int64_t fault_ms; // when that was
};

static bool fail(struct pyr_spool *s, const char *path) {
    snprintf(s->fault, sizeof s->fault,
             "%.120s: %s; steps stay in memory, and the newest are dropped when that is full", path,
             strerror(errno));
    s->fault_ms = pyr_clock_ms();
    s->lines -= s->buffered;
    if (s->tail && s->writing) {
        s->tail->lines -= s->buffered;
    }
    s->buffered = 0; // what the buffer holds is for pyr_spool_take_back()
    return false;
}

struct pyr_spool *pyr_spool_new(const char *root, const char *run, const struct pyr_text *first,
                                const struct pyr_text *again, uint64_t bytes_max) {
    struct pyr_spool *s = calloc(1, sizeof *s);
    if (!s) {
        return NULL;
    }
    s->own.lock_fd = -1;
    s->bytes_max = bytes_max;
    s->root = strdup(root);
    s->run = strdup(run);
    pyr_text_add(&s->first, first->data, first->length);
    pyr_text_add(&s->again, again->data, again->length);
    if (!s->root || !s->run || s->first.failed || s->again.failed) {
        pyr_spool_free(s);
        return NULL;
    }
    return s;
}

// False when that is too long for a path.
static bool join(char out[PATH_MAX], const char *directory, const char *name) {
    int n = snprintf(out, PATH_MAX, "%s/%s", directory, name);
    return n > 0 && n < PATH_MAX;
}

static bool has_segments(const char *path) {
    DIR *directory = opendir(path);
    bool found = !directory; // cannot be looked into: left alone
    for (struct dirent *e; directory && !found && (e = readdir(directory));) {
        found = e->d_name[0] != '.' && strcmp(e->d_name, "lock") != 0;
    }
    if (directory) {
        closedir(directory);
    }
    return found;
}

static void close_directory(struct directory *d) {
    char lock[PATH_MAX];
    if (d->lock_fd >= 0 && d->path && !has_segments(d->path) && join(lock, d->path, "lock")) {
        unlink(lock);
        rmdir(d->path);
    }
    if (d->lock_fd >= 0) {
        close(d->lock_fd);
    }
    free(d->path);
}

void pyr_spool_free(struct pyr_spool *s) {
    if (!s) {
        return;
    }
    (void)pyr_spool_flush(s);
    while (s->head) {
        struct segment *next = s->head->next;
        free(s->head);
        s->head = next;
    }
    close_directory(&s->own);
    for (size_t i = 0; i < s->adopted_count; i++) {
        close_directory(&s->adopted[i]);
    }
    pyr_text_free(&s->buffer);
    pyr_text_free(&s->first);
    pyr_text_free(&s->again);
    free(s->root);
    free(s->run);
    free(s);
}

void pyr_spool_after_fork(struct pyr_spool *s) {
    if (s && s->own.lock_fd >= 0) {
        close(s->own.lock_fd);
    }
    for (size_t i = 0; s && i < s->adopted_count; i++) {
        close(s->adopted[i].lock_fd);
    }
}

void pyr_spool_hello_said(struct pyr_spool *s) {
    s->said = true;
}

void pyr_spool_try_again(struct pyr_spool *s, bool at_once) {
    if (s->fault[0] && s->buffer.length == 0 &&
        (at_once || pyr_clock_ms() - s->fault_ms >= RETRY_MS)) {
        s->fault[0] = '\0';
        s->writing = s->buffer.failed = false;
    }
}

const char *pyr_spool_fault(const struct pyr_spool *s) {
    return s->fault[0] ? s->fault : NULL;
}

bool pyr_spool_is_empty(const struct pyr_spool *s) {
    return !s->head;
}

uint64_t pyr_spool_lines(const struct pyr_spool *s) {
    return s->lines;
}

uint64_t pyr_spool_dropped(const struct pyr_spool *s) {
    return s->dropped;
}

// --- writing ---

static int take_lock(const char *directory) {
    char path[PATH_MAX];
    int fd = join(path, directory, "lock") ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

// mkdir -p
static bool make_directories(char *path) {
    for (char *at = path + 1; *at; at++) {
        if (*at == '/') {
            *at = '\0';
            int rc = mkdir(path, 0700);
            *at = '/';
            if (rc != 0 && errno != EEXIST) {
                return false;
            }
        }
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static bool make_own(struct pyr_spool *s) {
    char path[PATH_MAX], name[NAME_MAX];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(name, sizeof name, "%.128s.%lld.%d", s->run,
             (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000, (int)getpid());
    errno = ENAMETOOLONG;
    if (!join(path, s->root, name) || !make_directories(path)) {
        return fail(s, path);
    }
    s->own = (struct directory){.path = strdup(path), .lock_fd = take_lock(path)};
    if (s->own.path && s->own.lock_fd >= 0) {
        return true;
    }
    bool failed = fail(s, path);
    close_directory(&s->own);
    s->own = (struct directory){.lock_fd = -1};
    return failed;
}

static struct segment *add_segment(struct pyr_spool *s, const char *path) {
    size_t n = strlen(path) + 1;
    struct segment *g = calloc(1, sizeof *g + n);
    if (!g) {
        return NULL;
    }
    memcpy(g->path, path, n);
    if (s->tail) {
        s->tail->next = g;
    } else {
        s->head = g;
    }
    s->tail = g;
    return g;
}

static bool begin_segment(struct pyr_spool *s) {
    if (!pyr_spool_flush(s) || (!s->own.path && !make_own(s))) {
        return false;
    }
    char path[PATH_MAX], name[32];
    snprintf(name, sizeof name, "%06u.ndjson.gz", ++s->number);
    errno = ENOMEM;
    if (!join(path, s->own.path, name) || !add_segment(s, path)) {
        return fail(s, path);
    }
    const struct pyr_text *hello = s->said ? &s->again : &s->first;
    s->said = s->writing = true;
    s->plain = 0;
    pyr_text_add(&s->buffer, hello->data, hello->length);
    return true;
}

bool pyr_spool_append(struct pyr_spool *s, const char *line, size_t n) {
    if (s->fault[0] || ((!s->writing || s->plain >= SEGMENT_BYTES) && !begin_segment(s))) {
        return false;
    }
    pyr_text_add(&s->buffer, line, n);
    if (s->buffer.failed) {
        errno = ENOMEM;
        return fail(s, s->tail->path);
    }
    s->plain += n;
    s->tail->lines++;
    s->buffered++;
    s->lines++;
    if (s->buffer.length < MEMBER_BYTES || pyr_spool_flush(s)) {
        return true;
    }
    s->buffer.length -= n; // this line stays the caller's
    return false;
}

static void remove_at(struct pyr_spool *s, struct segment **at) {
    struct segment *g = *at;
    *at = g->next;
    s->bytes -= g->size;
    s->lines -= g->lines;
    unlink(g->path);
    free(g);
}

// The oldest that is not being sent goes when it gets too much: what a monitor is for is the
// present.
static void bound(struct pyr_spool *s) {
    struct segment **oldest = s->delivering ? &s->head->next : &s->head;
    while (s->bytes > s->bytes_max && *oldest && *oldest != s->tail) {
        s->dropped += (*oldest)->lines;
        remove_at(s, oldest);
    }
}

bool pyr_spool_flush(struct pyr_spool *s) {
    if (s->fault[0] || s->buffer.length == 0) {
        return !s->fault[0];
    }
    gzFile file = gzopen(s->tail->path, "abe3");
    if (!file) {
        return fail(s, s->tail->path);
    }
    bool whole = !s->buffer.failed &&
                 gzwrite(file, s->buffer.data, (unsigned)s->buffer.length) == (int)s->buffer.length;
    if (gzclose(file) != Z_OK || !whole) {
        bool failed = fail(s, s->tail->path);
        (void)!truncate(s->tail->path, (off_t)s->tail->size); // what is there of it comes back
        return failed;
    }
    s->buffer.length = s->buffered = 0;
    struct stat now;
    if (stat(s->tail->path, &now) == 0) {
        s->bytes += (uint64_t)now.st_size - s->tail->size;
        s->tail->size = (uint64_t)now.st_size;
    }
    bound(s);
    return true;
}

// --- reading ---

static const char head[] = "{\"type\":\"";

// What a damaged disk made of a line goes to no daemon, which could take it for a frame.
static bool is_message(const char *line) {
    return strncmp(line, head, sizeof head - 1) == 0;
}

static bool is_kind(const char *line, const char *kind) {
    size_t n = strlen(kind);
    return is_message(line) && strncmp(line + sizeof head - 1, kind, n) == 0 &&
           line[sizeof head - 1 + n] == '"';
}

void pyr_spool_take_back(struct pyr_spool *s, pyr_spool_line *take, void *context) {
    while (s->fault[0] && s->buffer.length > 0) {
        const char *text = s->buffer.data;
        size_t end = s->buffer.length, begin = end - 1;
        while (begin > 0 && text[begin - 1] != '\n') {
            begin--;
        }
        if (!is_kind(text + begin, "hello")) {
            (void)take(context, text + begin, end - begin, false);
        }
        s->buffer.length = begin;
    }
}

// The next line, with its NUL. False: it is cut off, there is none, or memory is short.
static bool read_line(gzFile file, struct pyr_text *line) {
    char chunk[CHUNK_BYTES];
    bool whole = false;
    line->length = 0;
    while (!whole && line->length < LINE_MAX_BYTES && gzgets(file, chunk, sizeof chunk)) {
        size_t n = strlen(chunk);
        whole = n > 0 && chunk[n - 1] == '\n';
        pyr_text_add(line, chunk, n + whole);
        if (!whole && n < sizeof chunk - 1) {
            break;
        }
    }
    return whole && !line->failed;
}

// False: not now. A file that somebody has removed has no lines.
static bool read_lines(const struct segment *g, pyr_spool_line *take, void *context) {
    errno = 0;
    gzFile file = gzopen(g->path, "rbe");
    struct pyr_text line = {0};
    bool whole = file || errno == ENOENT;
    while (file && whole && read_line(file, &line)) {
        if (is_message(line.data) && !is_kind(line.data, "hello") && !is_kind(line.data, "end")) {
            whole = take(context, line.data, line.length - 1, g->adopted);
        }
    }
    whole = whole && !line.failed;
    pyr_text_free(&line);
    if (file) {
        gzclose(file);
    }
    return whole;
}

bool pyr_spool_read(struct pyr_spool *s, pyr_spool_line *take, void *context) {
    if (s->writing && s->head == s->tail) {
        (void)pyr_spool_flush(s);
        s->writing = false; // complete; the next line begins another
    }
    s->delivering = s->head && read_lines(s->head, take, context);
    return !s->head || s->delivering;
}

void pyr_spool_keep(struct pyr_spool *s) {
    s->delivering = false;
}

void pyr_spool_remove(struct pyr_spool *s) {
    if (!s->head) {
        return;
    }
    remove_at(s, &s->head);
    s->delivering = false;
    if (!s->head) {
        s->tail = NULL;
        s->writing = false;
    }
}

// --- what earlier processes left ---

static bool count_line(void *segment, const char *line, size_t n, bool adopted) {
    (void)line, (void)n, (void)adopted;
    ((struct segment *)segment)->lines++;
    return true;
}

static int is_segment(const struct dirent *e) {
    size_t n = strlen(e->d_name);
    return n > 10 && strcmp(e->d_name + n - 10, ".ndjson.gz") == 0;
}

static void adopt_directory(struct pyr_spool *s, const char *path) {
    int lock_fd = s->adopted_count < DIRECTORIES_MAX ? take_lock(path) : -1;
    struct dirent **files = NULL;
    int count = lock_fd < 0 ? 0 : scandir(path, &files, is_segment, alphasort);
    for (int i = 0; i < count; i++) {
        char file[PATH_MAX];
        struct segment *g = join(file, path, files[i]->d_name) ? add_segment(s, file) : NULL;
        struct stat now;
        if (g) {
            g->adopted = true;
            g->size = stat(file, &now) == 0 ? (uint64_t)now.st_size : 0;
            (void)read_lines(g, count_line, g);
            s->bytes += g->size;
            s->lines += g->lines;
        }
        free(files[i]);
    }
    free(files);
    if (lock_fd >= 0) {
        s->adopted[s->adopted_count++] =
            (struct directory){.path = strdup(path), .lock_fd = lock_fd};
    }
}

// RUN.MICROSECONDS.PID: where the last two begin, NULL: no spool of this run.
static const char *of_run(const char *name, const char *run) {
    size_t n = strlen(run);
    const char *at = name + n + 1;
    if (strncmp(name, run, n) != 0 || name[n] != '.' || !isdigit((unsigned char)*at)) {
        return NULL;
    }
    at += strspn(at, "0123456789");
    return *at == '.' && at[1] && at[1 + strspn(at + 1, "0123456789")] == '\0' ? name + n + 1
                                                                               : NULL;
}

void pyr_spool_adopt(struct pyr_spool *s) {
    struct dirent **found = NULL;
    // In the order of their names, which for one run is that of their times.
    int count = scandir(s->root, &found, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        if (of_run(found[i]->d_name, s->run) && join(path, s->root, found[i]->d_name)) {
            adopt_directory(s, path);
        }
        free(found[i]);
    }
    free(found);
}
