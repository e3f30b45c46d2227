// Loaded into a program before the C library (LD_PRELOAD): lets one allocation fail, the nth from
// now on. The test says which in a file that both map (FAULTMEM_CONTROL): three 64-bit numbers,
// `countdown` (0: none fails), `calls` so far, and how many have `failed`.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct control {
    _Atomic int64_t countdown, calls, failed;
};

static struct control unarmed;
static struct control *control = &unarmed;

// What dlsym() itself wants while the real functions are being looked up.
static _Alignas(16) char early[16384];
static _Atomic size_t early_used;

typedef void *malloc_fn(size_t);
typedef void *calloc_fn(size_t, size_t);
typedef void *realloc_fn(void *, size_t);
typedef void free_fn(void *);
static malloc_fn *real_malloc;
static calloc_fn *real_calloc;
static realloc_fn *real_realloc;
static free_fn *real_free;

// Other libraries allocate before our constructor runs. While this looks them up it is called
// again.
static bool is_found(void) {
    static bool looking;
    if (!real_free && !looking) {
        looking = true;
        *(void **)&real_malloc = dlsym(RTLD_NEXT, "malloc");
        *(void **)&real_calloc = dlsym(RTLD_NEXT, "calloc");
        *(void **)&real_realloc = dlsym(RTLD_NEXT, "realloc");
        *(void **)&real_free = dlsym(RTLD_NEXT, "free");
    }
    return real_free != NULL;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTMEM_CONTROL");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at = fd < 0 ? MAP_FAILED
                      : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) {
        control = at;
    }
    if (fd >= 0) {
        close(fd);
    }
}

static bool fails(void) {
    atomic_fetch_add_explicit(&control->calls, 1, memory_order_relaxed);
    if (atomic_load_explicit(&control->countdown, memory_order_relaxed) <= 0 ||
        atomic_fetch_sub(&control->countdown, 1) != 1) {
        return false;
    }
    atomic_fetch_add(&control->failed, 1);
    errno = ENOMEM;
    return true;
}

static bool is_early(const void *p) {
    return (const char *)p >= early && (const char *)p < early + sizeof early;
}

static void *take_early(size_t size) {
    size_t at = atomic_fetch_add(&early_used, (size + 15) & ~(size_t)15);
    return at + size <= sizeof early ? early + at : NULL;
}

void *malloc(size_t size) {
    return !is_found() ? take_early(size) : fails() ? NULL : real_malloc(size);
}

void *calloc(size_t n, size_t size) {
    return !is_found() ? take_early(n * size) : fails() ? NULL : real_calloc(n, size);
}

void *realloc(void *old, size_t size) {
    if (is_early(old) || !is_found()) {
        void *p = malloc(size);
        if (p && old) {
            size_t left = (size_t)(early + sizeof early - (char *)old);
            memcpy(p, old, size < left ? size : left);
        }
        return p;
    }
    return fails() ? NULL : real_realloc(old, size);
}

void free(void *p) {
    if (p && !is_early(p) && is_found()) {
        real_free(p);
    }
}
