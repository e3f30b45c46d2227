// What every unit test needs: buffers, files in a directory of their own, seeded random numbers,
// and a main() in three lines.
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include "base/buf.h"
#include "base/check.h"

#include <check.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static inline struct buf new_buf(void) {
    struct buf b;
    buf_init(&b, 64 << 20);
    return b;
}

// A copy on the heap of exactly n bytes, without a NUL: reading beyond its end is seen by the
// address sanitizer and by valgrind.
static inline char *exact_copy(const void *bytes, size_t n) {
    char *copy = malloc(n ? n : 1);
    ck_assert_ptr_nonnull(copy);
    if (n) {
        memcpy(copy, bytes, n);
    }
    return copy;
}

// -- numbers -------------------------------------------------------------------------------------

static inline uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double from_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// Equal to the last bit: tells -0 from 0 and one NaN from another.
#define ASSERT_SAME_BITS(a, b) ck_assert_uint_eq(bits_of(a), bits_of(b))

// splitmix64: the same numbers on every machine, from any seed.
static inline uint64_t random_next(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline size_t random_below(uint64_t *state, size_t n) {
    return (size_t)(random_next(state) % n);
}

// In [-1, 1).
static inline double random_unit(uint64_t *state) {
    return (double)(random_next(state) >> 11) * 0x1p-52 - 1;
}

// -- files ---------------------------------------------------------------------------------------
// These may stand outside of a test, where libcheck's assertions may not.

// A new directory for one test. The path is the caller's: remove_directory().
static inline char *make_directory(void) {
    const char *tmp = getenv("TMPDIR");
    struct buf path = new_buf();
    buf_printf(&path, "%s/pyrometer-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    CHECK(mkdtemp(path.data) != NULL);
    return path.data;
}

// With its files, which are all it may hold.
static inline void remove_directory(char *path) {
    DIR *d = opendir(path);
    CHECK(d != NULL);
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            CHECK(unlinkat(dirfd(d), e->d_name, 0) == 0);
        }
    }
    closedir(d);
    CHECK(rmdir(path) == 0);
    free(path);
}

static inline void write_file(const char *path, const void *bytes, size_t size) {
    FILE *f = fopen(path, "w");
    CHECK(f != NULL);
    CHECK(fwrite(bytes, 1, size, f) == size);
    CHECK(fclose(f) == 0);
}

static inline struct buf read_file(const char *path) {
    struct buf bytes = new_buf();
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;) {
        buf_put(&bytes, piece, n);
    }
    CHECK(!ferror(f));
    fclose(f);
    return bytes;
}

// -- running -------------------------------------------------------------------------------------

// Runs one suite of one case; for `return run_suite(suite_of("name", tests, COUNT(tests)))`.
static inline Suite *suite_of(const char *name, const TTest *const *tests, size_t n) {
    Suite *suite = suite_create(name);
    TCase *cases = tcase_create(name);
    tcase_set_timeout(cases, 60);
    for (size_t i = 0; i < n; i++) {
        tcase_add_test(cases, tests[i]);
    }
    suite_add_tcase(suite, cases);
    return suite;
}

static inline int run_suite(Suite *suite) {
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
