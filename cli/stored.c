#include "cli/stored.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/progress.h"
#include "cli/text.h"
#include "config/config.h"
#include "storage/store.h"
#include "storage/verify.h"

// Lines of damage that are printed; --json has all.
enum { DAMAGES_SHOWN = 100 };

struct report {
    cJSON *list; // with --json
    int64_t shown;
};

static int default_directory(struct buf *path) {
    static const char *const no_rules[] = {NULL};
    struct config config;
    struct buf messages;
    buf_init(&messages, 4096);
    int rc = config_load(&config, NULL, no_rules, &messages);
    if (rc == 0) {
        buf_puts(path, config.data);
        config_free(&config);
    } else {
        cli_fail("%s", buf_str(&messages));
    }
    buf_free(&messages);
    return rc ? CLI_FAILED : CLI_OK;
}

int stored_path(const char *named, struct buf *path) {
    struct stat found;
    if (named) {
        buf_puts(path, named);
    } else if (default_directory(path) != CLI_OK) {
        return CLI_FAILED;
    }
    if (stat(buf_str(path), &found) < 0) {
        return cli_fail("no store at %s: %s", buf_str(path), strerror(errno));
    }
    if (!S_ISDIR(found.st_mode)) {
        return CLI_OK;
    }
    buf_puts(path, "/" STORE_FILE);
    return stat(buf_str(path), &found) == 0
               ? CLI_OK
               : cli_fail("no store at %s: %s", buf_str(path), strerror(errno));
}

void stored_progress(const char *what, int64_t done, int64_t total) {
    if (total > 0 && progress_due()) {
        progress_say("%s %d%%", what, (int)(done >= total ? 100 : done * 100 / total));
    }
}

void stored_print(const cJSON *answer) {
    char *text = cJSON_PrintUnformatted(answer);
    puts(text ? text : "null");
    free(text);
}

static void show_progress(void *context, int64_t done, int64_t total) {
    (void)context;
    stored_progress("checked", done, total);
}

static cJSON *damage_json(const struct damage *d) {
    static const char *const kinds[] = {"database", "journal", "segment", "state"};
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "kind", kinds[d->kind]);
    cJSON_AddStringToObject(o, "message", d->what);
    if (d->kind == DAMAGE_DATABASE) {
        return o;
    }
    if (d->run) {
        cJSON_AddStringToObject(o, "run", d->run);
    } else {
        cJSON_AddNullToObject(o, "run");
    }
    cJSON_AddNumberToObject(o, "attempt", (double)d->attempt);
    cJSON_AddStringToObject(o, "part", d->part);
    cJSON_AddNumberToObject(o, "first_step", (double)d->first_step);
    cJSON_AddNumberToObject(o, "last_step", (double)d->last_step);
    if (d->kind == DAMAGE_SEGMENT) {
        cJSON_AddNumberToObject(o, "segment", (double)d->segment);
        cJSON_AddNumberToObject(o, "tier", d->tier);
    }
    if (d->column) {
        cJSON_AddStringToObject(o, "column", d->column);
        cJSON_AddNumberToObject(o, "first_layer", (double)d->first_layer);
        cJSON_AddNumberToObject(o, "last_layer", (double)d->last_layer);
    }
    return o;
}

static void print_damage(const struct damage *d) {
    struct buf line, safe;
    buf_init(&line, 1 << 16);
    buf_init(&safe, 1 << 18);
    if (d->kind == DAMAGE_DATABASE) {
        buf_puts(&line, "damaged: the database");
    } else {
        buf_printf(&line, "damaged: %s%s, attempt %" PRId64 ", %s",
                   d->run ? "run " : "a run that was forgotten", d->run ? d->run : "", d->attempt,
                   d->part);
    }
    if (d->kind == DAMAGE_STATE) {
        buf_printf(&line, " behind step %" PRId64, d->first_step);
    } else if (d->kind != DAMAGE_DATABASE) {
        buf_printf(&line, " %" PRId64 " to %" PRId64, d->first_step, d->last_step);
    }
    if (d->kind == DAMAGE_SEGMENT) {
        buf_printf(&line, ", segment %" PRId64, d->segment);
    }
    if (d->kind == DAMAGE_SEGMENT && d->tier) {
        buf_printf(&line, " (tier %u)", d->tier);
    }
    if (d->column) {
        buf_printf(&line, ", column %s, layers %zu to %zu", d->column, d->first_layer,
                   d->last_layer);
    }
    buf_printf(&line, ": %s", d->what);
    text_put(&safe, buf_str(&line), line.len);
    printf("%s\n", buf_str(&safe));
    buf_free(&line);
    buf_free(&safe);
}

static void take_damage(void *context, const struct damage *d) {
    struct report *report = context;
    if (report->list) {
        cJSON_AddItemToArray(report->list, damage_json(d));
    } else if (report->shown++ < DAMAGES_SHOWN) {
        progress_clear();
        print_damage(d);
    }
}

static cJSON *whole_answer(const char *path, const struct verified *v, cJSON *list) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "store", path);
    cJSON_AddBoolToObject(o, "ok", v->damages == 0);
    cJSON_AddNumberToObject(o, "version", v->version);
    cJSON_AddNumberToObject(o, "segments", (double)v->segments);
    cJSON_AddNumberToObject(o, "chunks", (double)v->chunks);
    cJSON_AddNumberToObject(o, "journal_rows", (double)v->journal_rows);
    cJSON_AddNumberToObject(o, "states", (double)v->states);
    cJSON_AddItemToObject(o, "damage", list);
    return o;
}

static void print_sum(const char *path, const struct verified *v) {
    if (v->damages > DAMAGES_SHOWN) {
        printf("... and %" PRId64 " more; --json lists all\n", v->damages - DAMAGES_SHOWN);
    }
    printf("%s: ", path);
    if (v->damages) {
        printf("%" PRId64 " damaged", v->damages);
    } else {
        printf("sound");
    }
    printf("; %" PRId64 " segments with %" PRId64 " checksums, %" PRId64
           " rows of the journal, %" PRId64 " states of instruments\n",
           v->segments, v->chunks, v->journal_rows, v->states);
}

int stored_check(const struct cli *cli, const char *path, cJSON **answer) {
    struct report report = {.list = cli->json ? cJSON_CreateArray() : NULL};
    struct verified verified;
    struct buf error;
    *answer = NULL;
    buf_init(&error, 4096);
    stored_progress("checked", 0, 1); // SQLite's own check comes first, and tells nothing
    int rc = verify_store(path, &(struct verify_calls){&report, take_damage, show_progress},
                          &verified, &error);
    progress_clear();
    int status = rc || verified.damages ? CLI_FAILED : CLI_OK;
    if (rc) {
        cli_fail("cannot check %s: %s", path, buf_str(&error));
        cJSON_Delete(report.list);
    } else if (report.list) {
        *answer = whole_answer(path, &verified, report.list);
    } else {
        print_sum(path, &verified);
    }
    buf_free(&error);
    return status;
}
