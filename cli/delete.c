// `pyrometer delete`: forgets runs.
#include <stdio.h>

#include "cli/cli.h"
#include "cli/delete.h"
#include "cli/http.h"
#include "cli/tree.h"

static int ask_to_delete(const struct cli *cli, const char *run, struct http_answer *answer) {
    struct buf path;
    http_begin_run(&path, run, "");
    int rc = http_send(cli, "DELETE", buf_str(&path), NULL, answer);
    buf_free(&path);
    return rc ? cli_fail("%s", answer->error) : CLI_OK;
}

int delete_run(const struct cli *cli, const char *run) {
    struct http_answer answer;
    http_answer_init(&answer);
    int status = ask_to_delete(cli, run, &answer);
    http_answer_free(&answer);
    return status;
}

static int delete_and_tell(const struct cli *cli, const char *run) {
    struct http_answer answer;
    http_answer_init(&answer);
    int status = ask_to_delete(cli, run, &answer);
    if (cli->json) {
        cJSON *told = cJSON_CreateObject();
        cJSON_AddStringToObject(told, "run", run);
        cJSON_AddBoolToObject(told, "ok", status == CLI_OK);
        if (status != CLI_OK) {
            cJSON_AddStringToObject(told, "error", answer.error);
        }
        tree_tell(told);
    } else if (status == CLI_OK) {
        printf("deleted %s\n", run);
    }
    http_answer_free(&answer);
    return status;
}

int command_delete(const struct cli *cli, int count, char **words) {
    int status = CLI_OK;
    for (int i = 0; i < count; i++) {
        status |= delete_and_tell(cli, words[i]);
    }
    return status;
}
