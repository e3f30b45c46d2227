// A disk that fails on demand: preloaded into the daemon, it makes writing calls on files below
// $FAULTFS_ROOT fail as the file $FAULTFS_CONTROL says, one rule a line:
//
//   CALL ERRNO [NAME]     CALL is write, sync, truncate, rename or all; NAME a part of the path
//
// An empty or missing control file is a healthy disk. A line `clock SECONDS` moves the wall clock,
// and the wall clock alone, by that much. While there is a line `hold`, the first of HTTP's long
// work (threads of the name `long work`) that reads those files waits in that call.
//
// $FAULTFS_COUNTER may name a file that the test maps too: three 64-bit numbers, `countdown` (the
// nth such call from now on fails once, with EIO; 0: none), `calls` so far, how many have `failed`;
// and a fourth: how many `reads` long work began.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_MAX = 4096 };

// The control file's content, read without the calls that are replaced here.
static void read_control(char text[TEXT_MAX]) {
    const char *path = getenv("FAULTFS_CONTROL");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd >= 0 ? read(fd, text, TEXT_MAX - 1) : 0;
    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0) {
        close(fd);
    }
}

struct counter {
    _Atomic int64_t countdown, calls, failed, reads;
};

static struct counter unarmed, *counter = &unarmed;

__attribute__((constructor)) static void map_counter(void) {
    const char *path = getenv("FAULTFS_COUNTER");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at = fd < 0 ? MAP_FAILED
                      : mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) {
        counter = at;
    }
    if (fd >= 0) {
        close(fd);
    }
}

static bool is_the_nth(void) {
    atomic_fetch_add(&counter->calls, 1);
    if (atomic_load(&counter->countdown) <= 0 || atomic_fetch_sub(&counter->countdown, 1) != 1) {
        return false;
    }
    atomic_fetch_add(&counter->failed, 1);
    return true;
}

// The error that the call on that file should end with, 0: none.
static int fault_of(const char *call, const char *file) {
    const char *root = getenv("FAULTFS_ROOT");
    char text[TEXT_MAX], *rest = text;
    if (!root || strncmp(file, root, strlen(root)) != 0) {
        return 0;
    }
    if (is_the_nth()) {
        return EIO;
    }
    read_control(text);
    for (char *line; (line = strsep(&rest, "\n"));) {
        char kind[16], name[256] = "";
        int error = 0;
        if (sscanf(line, "%15s %d %255s", kind, &error, name) >= 2 &&
            (strcmp(kind, call) == 0 || strcmp(kind, "all") == 0) && strstr(file, name)) {
            return error;
        }
    }
    return 0;
}

static void name_of(int fd, char file[TEXT_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, file, TEXT_MAX - 1);
    file[n > 0 ? n : 0] = '\0';
}

static bool is_below_root(int fd) {
    const char *root = getenv("FAULTFS_ROOT");
    char file[TEXT_MAX];
    name_of(fd, file);
    return root && strncmp(file, root, strlen(root)) == 0;
}

static bool fails(const char *call, int fd) {
    char file[TEXT_MAX];
    int kept = errno;
    name_of(fd, file);
    int error = fault_of(call, file);
    errno = error ? error : kept;
    return error != 0;
}

#define REAL(name, type) type real = (type)dlsym(RTLD_NEXT, name)

typedef ssize_t write_fn(int, const void *, size_t);
ssize_t write(int fd, const void *bytes, size_t n) {
    REAL("write", write_fn *);
    return fails("write", fd) ? -1 : real(fd, bytes, n);
}

typedef ssize_t pwrite_fn(int, const void *, size_t, off_t);
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
    REAL("pwrite", pwrite_fn *);
    return fails("write", fd) ? -1 : real(fd, bytes, n, at);
}

typedef ssize_t pwrite64_fn(int, const void *, size_t, off64_t);
ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) {
    REAL("pwrite64", pwrite64_fn *);
    return fails("write", fd) ? -1 : real(fd, bytes, n, at);
}

// SQLite reads by this call alone.
typedef ssize_t pread64_fn(int, void *, size_t, off64_t);
ssize_t pread64(int fd, void *bytes, size_t n, off64_t at) {
    REAL("pread64", pread64_fn *);
    static atomic_flag taken = ATOMIC_FLAG_INIT;
    char name[16] = "", text[TEXT_MAX];
    prctl(PR_GET_NAME, name);
    if (strcmp(name, "long work") == 0 && is_below_root(fd)) {
        atomic_fetch_add(&counter->reads, 1);
        read_control(text);
        bool holds = strstr(text, "hold") && !atomic_flag_test_and_set(&taken);
        for (; holds && strstr(text, "hold"); read_control(text)) {
            usleep(1000);
        }
    }
    return real(fd, bytes, n, at);
}

typedef int sync_fn(int);
int fsync(int fd) {
    REAL("fsync", sync_fn *);
    return fails("sync", fd) ? -1 : real(fd);
}

int fdatasync(int fd) {
    REAL("fdatasync", sync_fn *);
    return fails("sync", fd) ? -1 : real(fd);
}

typedef int truncate_fn(int, off_t);
int ftruncate(int fd, off_t size) {
    REAL("ftruncate", truncate_fn *);
    return fails("truncate", fd) ? -1 : real(fd, size);
}

typedef int truncate64_fn(int, off64_t);
int ftruncate64(int fd, off64_t size) {
    REAL("ftruncate64", truncate64_fn *);
    return fails("truncate", fd) ? -1 : real(fd, size);
}

typedef int clock_fn(clockid_t, struct timespec *);
int clock_gettime(clockid_t clock, struct timespec *out) {
    REAL("clock_gettime", clock_fn *);
    char text[TEXT_MAX], *line;
    int rc = real(clock, out);
    if (rc == 0 && clock == CLOCK_REALTIME) {
        read_control(text);
        line = strstr(text, "clock ");
        out->tv_sec += line ? strtol(line + 6, NULL, 10) : 0;
    }
    return rc;
}

typedef int rename_fn(const char *, const char *);
int rename(const char *from, const char *to) {
    REAL("rename", rename_fn *);
    int error = fault_of("rename", from);
    if (error) {
        errno = error;
        return -1;
    }
    return real(from, to);
}
