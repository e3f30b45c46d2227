// `pyrometer sync`: delivers what clients kept on disk while there was no daemon. A spool is a
// directory of recordings that one process wrote, in order; `lock` is held while that process
// lives.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "cli/cli.h"
#include "cli/replay.h"
#include "cli/tree.h"

#define SUFFIX ".ndjson.gz"

// Spools.
struct tally {
    unsigned delivered, busy, failed;
};

static bool ends_with(const char *text, const char *suffix) {
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

static int is_recording(const struct dirent *entry) {
    return ends_with(entry->d_name, SUFFIX);
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static char *join(const char *directory, const char *name) {
    struct buf path;
    buf_init(&path, 8192);
    buf_printf(&path, "%s/%s", directory, name);
    char *text = strdup(buf_str(&path));
    CHECK(text != NULL);
    buf_free(&path);
    return text;
}

static void free_entries(struct dirent **entries, int n) {
    for (int i = 0; i < n; i++) {
        free(entries[i]);
    }
    free(entries);
}

// The spool's lock; -1 while its process lives, or another sync has it.
static int take_lock(const char *directory) {
    char *path = join(directory, "lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(path);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        fd = -1;
        errno = EWOULDBLOCK;
    }
    return fd;
}

// In the order in which they were written; a later one must not overtake one that failed.
static bool deliver_recordings(const struct cli *cli, const char *directory,
                               struct dirent **entries, int n) {
    bool ok = true;
    for (int i = 0; i < n && ok; i++) {
        char *path = join(directory, entries[i]->d_name);
        ok = replay_file(cli, path, 0, true);
        if (ok && !cli->keep && unlink(path) != 0) {
            cli_fail("%s was delivered but cannot be removed: %s", path, strerror(errno));
        }
        free(path);
    }
    return ok;
}

static void deliver(const struct cli *cli, const char *directory, struct tally *tally) {
    int lock = take_lock(directory);
    if (lock < 0 && errno == ENOENT) {
        return; // another sync has delivered it meanwhile
    }
    if (lock < 0) {
        if (!cli->json) {
            printf("%s is in use: its own process, or another sync, delivers it\n", directory);
        }
        tally->busy++;
        return;
    }
    struct dirent **entries;
    int n = scandir(directory, &entries, is_recording, alphasort); // what is there under the lock
    bool ok = n <= 0 || deliver_recordings(cli, directory, entries, n);
    if (n >= 0) {
        free_entries(entries, n);
    }
    tally->delivered += ok && n > 0;
    tally->failed += !ok;
    if (ok && !cli->keep) {
        char *path = join(directory, "lock");
        unlink(path);
        free(path);
        rmdir(directory);
    }
    close(lock);
}

// A spool, or a directory of spools.
static void walk(const struct cli *cli, const char *directory, int depth, struct tally *tally) {
    struct dirent **entries;
    int n = scandir(directory, &entries, is_recording, alphasort);
    if (n < 0) {
        cli_fail("%s: %s", directory, strerror(errno));
        tally->failed++;
        return;
    }
    if (n > 0) {
        deliver(cli, directory, tally);
    }
    free_entries(entries, n);
    int m = depth == 0 ? scandir(directory, &entries, is_visible, alphasort) : -1;
    for (int i = 0; i < m; i++) {
        char *path = join(directory, entries[i]->d_name);
        struct stat st;
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            walk(cli, path, depth + 1, tally);
        }
        free(path);
    }
    if (m >= 0) {
        free_entries(entries, m);
    }
}

// Where clients put their spools unless told otherwise.
static char *default_directory(void) {
    const char *named = getenv("PYROMETER_SPOOL"), *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (named && *named) {
        return join(named, "");
    }
    return state && *state ? join(state, "pyrometer/spool")
                           : join(home ? home : "", ".local/state/pyrometer/spool");
}

int command_sync(const struct cli *cli, int count, char **words) {
    struct tally tally = {0};
    char *usual = count ? NULL : default_directory();
    // Where nobody ever spooled there is no such directory.
    if (usual && (access(usual, F_OK) == 0 || errno != ENOENT)) {
        walk(cli, usual, 0, &tally);
    }
    for (int i = 0; i < count; i++) {
        walk(cli, words[i], 0, &tally);
    }
    free(usual);
    if (cli->json) {
        cJSON *told = cJSON_CreateObject();
        cJSON_AddNumberToObject(told, "delivered", tally.delivered);
        cJSON_AddNumberToObject(told, "in_use", tally.busy);
        cJSON_AddNumberToObject(told, "failed", tally.failed);
        cJSON_AddBoolToObject(told, "ok", tally.failed == 0);
        tree_tell(told);
    } else if (tally.delivered + tally.busy + tally.failed == 0) {
        printf("nothing to deliver\n");
    }
    return tally.failed ? CLI_FAILED : CLI_OK;
}
