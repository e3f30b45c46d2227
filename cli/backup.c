// `pyrometer backup`: a verified copy of a store, which a daemon may be writing meanwhile. The copy
// is FILE.part until it is whole, on the disk and found sound.
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/stored.h"
#include "cli/text.h"
#include "storage/backup.h"

static void show_progress(void *context, int64_t done, int64_t total) {
    (void)context;
    stored_progress("copied", done, total);
}

// Of a backup that was cut off. SQLite would take a journal for one of the new file.
static int remove_leftovers(const char *part) {
    static const char *const ends[] = {"", "-journal", "-wal", "-shm"};
    int status = CLI_OK;
    for (size_t i = 0; i < sizeof ends / sizeof *ends && status == CLI_OK; i++) {
        struct buf path;
        buf_init(&path, (size_t)1 << 16);
        buf_printf(&path, "%s%s", part, ends[i]);
        if (unlink(buf_str(&path)) < 0 && errno != ENOENT) {
            status = cli_fail("cannot remove %s, which an earlier backup left: %s", buf_str(&path),
                              strerror(errno));
        }
        buf_free(&path);
    }
    return status;
}

static int copy(const char *from, const char *part) {
    struct buf error;
    buf_init(&error, 4096);
    int rc = backup_store(from, part, show_progress, NULL, &error);
    progress_clear();
    int status = rc ? cli_fail("%s", buf_str(&error)) : CLI_OK;
    if (rc) {
        unlink(part);
    }
    buf_free(&error);
    return status;
}

// Makes the name last through a power cut.
static int sync_directory(const char *path) {
    struct buf copy;
    buf_init(&copy, (size_t)1 << 16);
    buf_puts(&copy, path);
    int directory = open(dirname(copy.data), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = directory < 0 ? -1 : fsync(directory);
    if (directory >= 0) {
        close(directory);
    }
    buf_free(&copy);
    return rc;
}

static int give_name(const char *part, const char *path) {
    if (rename(part, path) < 0) {
        return cli_fail("cannot name the copy %s: %s; it is %s", path, strerror(errno), part);
    }
    return sync_directory(path) == 0
               ? CLI_OK
               : cli_fail("cannot sync the directory of %s: %s", path, strerror(errno));
}

static void say_done(const struct cli *cli, const char *from, const char *path, cJSON *checked) {
    struct stat s = {0};
    if (stat(path, &s) < 0) {
        s.st_size = 0;
    }
    if (cli->json) {
        cJSON_ReplaceItemInObject(checked, "store", cJSON_CreateString(from));
        cJSON_AddStringToObject(checked, "backup", path);
        cJSON_AddNumberToObject(checked, "bytes", (double)s.st_size);
        stored_print(checked);
    } else {
        printf("copied %s to %s: %s\n", from, path, text_bytes((double)s.st_size).s);
    }
}

static int back_up(const struct cli *cli, const char *from, const char *path, const char *part) {
    cJSON *checked = NULL;
    if (remove_leftovers(part) != CLI_OK || copy(from, part) != CLI_OK) {
        return CLI_FAILED;
    }
    if (stored_check(cli, part, &checked) != CLI_OK) {
        if (checked) {
            stored_print(checked);
        }
        cJSON_Delete(checked);
        return cli_fail("the copy is not sound, so it stays %s; see pyrometer check %s", part,
                        from);
    }
    int status = give_name(part, path);
    if (status == CLI_OK) {
        say_done(cli, from, path, checked);
    }
    cJSON_Delete(checked);
    return status;
}

int command_backup(const struct cli *cli, int count, char **words) {
    struct buf from, part;
    struct stat there;
    const char *path = words[count - 1];
    if (lstat(path, &there) == 0) {
        return cli_fail("%s is there already; name a new file for the copy", path);
    }
    buf_init(&from, (size_t)1 << 16);
    buf_init(&part, (size_t)1 << 16);
    buf_printf(&part, "%s.part", path);
    int status = stored_path(count > 1 ? words[0] : NULL, &from);
    if (status == CLI_OK) {
        status = back_up(cli, buf_str(&from), path, buf_str(&part));
    }
    buf_free(&from);
    buf_free(&part);
    return status;
}
