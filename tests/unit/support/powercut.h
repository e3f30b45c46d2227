// A disk that loses what was not synced: a VFS above SQLite's own that records what is done to the
// database's files, and what is left of them when the power goes at any point of the record.
//
// The model. A file's bytes are safe up to its last sync; of the writes and truncations behind it
// any may have reached the disk, in any order, a write in sectors of 512 bytes. Where a file grew
// and its bytes did not come there are zeros, or what lay there before. A file is created or
// deleted for good once the directory is synced, whatever was synced of the file itself. The shared
// memory beside a WAL is gone.
#ifndef TESTS_SUPPORT_POWERCUT_H
#define TESTS_SUPPORT_POWERCUT_H

#include "tests/unit/support/support.h"

#include <sqlite3.h>

#define SECTOR 512
#define MAX_NAMES 4
#define MAX_FILES 64

enum op_kind { OP_CREATE, OP_DELETE, OP_WRITE, OP_TRUNCATE, OP_SYNC, OP_SYNC_DIRECTORY };

struct op {
    enum op_kind kind;
    int file, name;  // -1: of no file, of no name
    size_t at, size; // of a write; `at` is a truncation's new size
    unsigned char *bytes;
};

// What is recorded. Files are told apart by when they were created, not by their names.
static struct {
    struct op *ops;
    size_t n, capacity;
    char *names[MAX_NAMES];
    int files[MAX_NAMES]; // by name, -1 where there is none
    int n_names, n_files;
    bool is_on;
} record;

static inline void record_op(struct op op) {
    if (!record.is_on) {
        free(op.bytes);
        return;
    }
    if (record.n == record.capacity) {
        record.capacity = record.capacity ? 2 * record.capacity : 1024;
        record.ops = realloc(record.ops, record.capacity * sizeof op);
        CHECK(record.ops != NULL);
    }
    record.ops[record.n++] = op;
}

static inline int record_name(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    for (int i = 0; i < record.n_names; i++) {
        if (strcmp(record.names[i], name) == 0) {
            return i;
        }
    }
    CHECK(record.n_names < MAX_NAMES);
    record.names[record.n_names] = strdup(name);
    record.files[record.n_names] = -1;
    return record.n_names++;
}

static inline void record_free(void) {
    for (size_t i = 0; i < record.n; i++) {
        free(record.ops[i].bytes);
    }
    free(record.ops);
    for (int i = 0; i < record.n_names; i++) {
        free(record.names[i]);
    }
    memset(&record, 0, sizeof record);
}

// -- the VFS -------------------------------------------------------------------------------------

struct shim_file {
    sqlite3_file base;
    int file;
    sqlite3_file *real;
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs shim_vfs;
static sqlite3_syscall_ptr real_open_directory;

static inline sqlite3_file *real_of(sqlite3_file *f) {
    return ((struct shim_file *)(void *)f)->real;
}

static inline int shim_close(sqlite3_file *f) {
    return real_of(f)->pMethods->xClose(real_of(f));
}

static inline int shim_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at) {
    return real_of(f)->pMethods->xRead(real_of(f), to, n, at);
}

static inline int shim_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at) {
    int rc = real_of(f)->pMethods->xWrite(real_of(f), from, n, at);
    if (rc == SQLITE_OK) {
        record_op((struct op){.kind = OP_WRITE,
                              .file = ((struct shim_file *)(void *)f)->file,
                              .name = -1,
                              .at = (size_t)at,
                              .size = (size_t)n,
                              .bytes = (unsigned char *)exact_copy(from, (size_t)n)});
    }
    return rc;
}

static inline int shim_truncate(sqlite3_file *f, sqlite3_int64 size) {
    record_op((struct op){.kind = OP_TRUNCATE,
                          .file = ((struct shim_file *)(void *)f)->file,
                          .name = -1,
                          .at = (size_t)size});
    return real_of(f)->pMethods->xTruncate(real_of(f), size);
}

// The real one syncs the directory too where SQLite wants that: see shim_open_directory().
static inline int shim_sync(sqlite3_file *f, int flags) {
    record_op(
        (struct op){.kind = OP_SYNC, .file = ((struct shim_file *)(void *)f)->file, .name = -1});
    return real_of(f)->pMethods->xSync(real_of(f), flags);
}

static inline int shim_size(sqlite3_file *f, sqlite3_int64 *size) {
    return real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static inline int shim_lock(sqlite3_file *f, int level) {
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static inline int shim_unlock(sqlite3_file *f, int level) {
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static inline int shim_check_lock(sqlite3_file *f, int *out) {
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static inline int shim_control(sqlite3_file *f, int op, void *argument) {
    return real_of(f)->pMethods->xFileControl(real_of(f), op, argument);
}

static inline int shim_sector_size(sqlite3_file *f) {
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static inline int shim_characteristics(sqlite3_file *f) {
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static inline int shim_shm_map(sqlite3_file *f, int page, int size, int extend,
                               void volatile **out) {
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static inline int shim_shm_lock(sqlite3_file *f, int at, int n, int flags) {
    return real_of(f)->pMethods->xShmLock(real_of(f), at, n, flags);
}

static inline void shim_shm_barrier(sqlite3_file *f) {
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static inline int shim_shm_unmap(sqlite3_file *f, int remove) {
    return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
}

// Version 2: shared memory, and nothing is read or written by mapping the file.
static const sqlite3_io_methods shim_methods = {2,
                                                shim_close,
                                                shim_read,
                                                shim_write,
                                                shim_truncate,
                                                shim_sync,
                                                shim_size,
                                                shim_lock,
                                                shim_unlock,
                                                shim_check_lock,
                                                shim_control,
                                                shim_sector_size,
                                                shim_characteristics,
                                                shim_shm_map,
                                                shim_shm_lock,
                                                shim_shm_barrier,
                                                shim_shm_unmap,
                                                NULL,
                                                NULL};

static inline int shim_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags,
                            int *out_flags) {
    struct shim_file *shim = (struct shim_file *)(void *)f;
    (void)vfs;
    memset(shim, 0, sizeof *shim);
    shim->real = (sqlite3_file *)(void *)(shim + 1);
    CHECK(path != NULL);                      // no temporary files: they are kept in memory
    bool was_there = access(path, F_OK) == 0; // xAccess() takes an empty file for none
    int rc = real_vfs->xOpen(real_vfs, path, shim->real, flags, out_flags);
    if (rc != SQLITE_OK) {
        return rc;
    }
    shim->base.pMethods = &shim_methods;
    int name = record_name(path);
    if (!was_there || record.files[name] < 0) {
        CHECK(record.n_files < MAX_FILES);
        record.files[name] = record.n_files++;
        record_op((struct op){.kind = OP_CREATE, .file = record.files[name], .name = name});
    }
    shim->file = record.files[name];
    return SQLITE_OK;
}

static inline int shim_delete(sqlite3_vfs *vfs, const char *path, int sync_directory) {
    (void)vfs;
    int name = record_name(path);
    if (record.files[name] >= 0) {
        record_op((struct op){.kind = OP_DELETE, .file = record.files[name], .name = name});
        record.files[name] = -1;
    }
    return real_vfs->xDelete(real_vfs, path, sync_directory);
}

// SQLite's own VFS opens the directory to sync it, and for nothing else.
static inline int shim_open_directory(const char *path, int *fd) {
    record_op((struct op){.kind = OP_SYNC_DIRECTORY, .file = -1, .name = -1});
    return ((int (*)(const char *, int *))real_open_directory)(path, fd);
}

// From here on what SQLite does is recorded; the directory has nothing of SQLite's yet.
static inline void powercut_record(void) {
    real_vfs = sqlite3_vfs_find(NULL);
    CHECK(real_vfs != NULL && real_vfs != &shim_vfs);
    shim_vfs = *real_vfs;
    shim_vfs.pNext = NULL;
    shim_vfs.zName = "powercut";
    shim_vfs.szOsFile = (int)sizeof(struct shim_file) + real_vfs->szOsFile;
    shim_vfs.xOpen = shim_open;
    shim_vfs.xDelete = shim_delete;
    real_open_directory = real_vfs->xGetSystemCall(real_vfs, "openDirectory");
    CHECK(real_open_directory != NULL);
    CHECK(real_vfs->xSetSystemCall(real_vfs, "openDirectory",
                                   (sqlite3_syscall_ptr)shim_open_directory) == SQLITE_OK);
    CHECK(sqlite3_vfs_register(&shim_vfs, 1) == SQLITE_OK);
    record.is_on = true;
}

// The power is gone: what is done from now on does not count. Connections may be closed.
static inline void powercut_off(void) {
    record.is_on = false;
}

static inline void powercut_end(void) {
    CHECK(sqlite3_vfs_unregister(&shim_vfs) == SQLITE_OK);
    CHECK(real_vfs->xSetSystemCall(real_vfs, "openDirectory", real_open_directory) == SQLITE_OK);
}

// -- what is left --------------------------------------------------------------------------------

// Of what was not synced.
enum remains {
    REMAINS_NOTHING,
    REMAINS_SOME, // any sectors, truncations, names
    REMAINS_ALL,  // as after the end of the process alone
    REMAINS_COUNT
};

struct image {
    unsigned char *bytes;
    size_t size, capacity;
};

// The disk at some point of the record.
static struct {
    size_t at; // operations
    struct image files[MAX_FILES];
    size_t synced_at[MAX_FILES]; // by file: everything before is in its image
    int names[MAX_NAMES];        // files, -1
    size_t names_synced_at;
} disk;

static inline void image_resize(struct image *image, size_t size, uint64_t *seed) {
    if (size > image->capacity) {
        image->capacity = size + size / 2;
        image->bytes = realloc(image->bytes, image->capacity);
        CHECK(image->bytes != NULL);
    }
    if (size > image->size) {
        int filling = seed && random_below(seed, 4) == 0 ? (int)random_below(seed, 256) : 0;
        memset(image->bytes + image->size, filling, size - image->size);
    }
    image->size = size;
}

static inline bool reaches(enum remains remains, uint64_t *seed) {
    return remains == REMAINS_ALL || (remains == REMAINS_SOME && random_below(seed, 2));
}

static inline void image_apply(struct image *image, const struct op *op, enum remains remains,
                               uint64_t *seed) {
    if (op->kind == OP_TRUNCATE) {
        if (reaches(remains, seed)) {
            image_resize(image, op->at, NULL);
        }
        return;
    }
    // Sometimes the whole of a write, sometimes any of its sectors.
    bool whole = remains == REMAINS_SOME && random_below(seed, 2);
    bool comes = reaches(remains, seed);
    for (size_t done = 0, n; done < op->size; done += n) {
        n = SECTOR - (op->at + done) % SECTOR;
        n = n < op->size - done ? n : op->size - done;
        if (whole ? comes : reaches(remains, seed)) {
            if (op->at + done + n > image->size) {
                image_resize(image, op->at + done + n, remains == REMAINS_SOME ? seed : NULL);
            }
            memcpy(image->bytes + op->at + done, op->bytes + done, n);
        }
    }
}

// What is done to the file behind its last sync and before `end`.
static inline void image_catch_up(struct image *image, int file, size_t end, enum remains remains,
                                  uint64_t *seed) {
    for (size_t i = disk.synced_at[file]; i < end; i++) {
        const struct op *op = &record.ops[i];
        if (op->file == file && (op->kind == OP_WRITE || op->kind == OP_TRUNCATE)) {
            image_apply(image, op, remains, seed);
        }
    }
}

static inline void names_catch_up(int *names, size_t end, enum remains remains, uint64_t *seed) {
    for (size_t i = disk.names_synced_at; i < end; i++) {
        const struct op *op = &record.ops[i];
        if ((op->kind == OP_CREATE || op->kind == OP_DELETE) && reaches(remains, seed)) {
            names[op->name] = op->kind == OP_CREATE ? op->file : -1;
        }
    }
}

static inline void disk_begin(void) {
    memset(&disk, 0, sizeof disk);
    for (int i = 0; i < MAX_NAMES; i++) {
        disk.names[i] = -1;
    }
}

// Goes on to before operation `end`.
static inline void disk_advance(size_t end) {
    for (; disk.at < end; disk.at++) {
        const struct op *op = &record.ops[disk.at];
        if (op->kind == OP_SYNC) {
            image_catch_up(&disk.files[op->file], op->file, disk.at, REMAINS_ALL, NULL);
            disk.synced_at[op->file] = disk.at;
        } else if (op->kind == OP_SYNC_DIRECTORY) {
            names_catch_up(disk.names, disk.at, REMAINS_ALL, NULL);
            disk.names_synced_at = disk.at;
        }
    }
}

static inline void disk_free(void) {
    for (int i = 0; i < MAX_FILES; i++) {
        free(disk.files[i].bytes);
    }
}

// The power goes here: writes what is left into the directory.
static inline void disk_cut(const char *into, enum remains remains, uint64_t *seed) {
    int names[MAX_NAMES];
    memcpy(names, disk.names, sizeof names);
    names_catch_up(names, disk.at, remains, seed);
    for (int i = 0; i < record.n_names; i++) {
        if (names[i] < 0) {
            continue;
        }
        struct image left = {0};
        const struct image *safe = &disk.files[names[i]];
        image_resize(&left, safe->size, NULL);
        if (safe->size) {
            memcpy(left.bytes, safe->bytes, safe->size);
        }
        image_catch_up(&left, names[i], disk.at, remains, seed);
        struct buf path = new_buf();
        buf_printf(&path, "%s/%s", into, record.names[i]);
        write_file(buf_str(&path), left.bytes ? (const void *)left.bytes : "", left.size);
        buf_free(&path);
        free(left.bytes);
    }
}

#endif
