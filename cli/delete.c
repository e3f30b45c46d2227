// `pyrometer delete`: forgets runs.
#include <stdio.h>

#include "cli/cli.h"
#include "cli/delete.h"
#include "cli/http.h"

int delete_run(const struct cli *cli, const char *run) {
    struct http_answer answer;
    struct buf path;
    http_answer_init(&answer);
    buf_init(&path, 4096);
    buf_puts(&path, "/api/v1/runs/");
    http_put_escaped(&path, run);
    int status = CLI_OK;
    if (http_send(cli, "DELETE", buf_str(&path), NULL, &answer)) {
        status = cli_fail("%s", answer.error);
    }
    buf_free(&path);
    http_answer_free(&answer);
    return status;
}

int command_delete(const struct cli *cli, int count, char **words) {
    int status = CLI_OK;
    for (int i = 0; i < count; i++) {
        int deleted = delete_run(cli, words[i]);
        if (deleted == CLI_OK && !cli->json) {
            printf("deleted %s\n", words[i]);
        }
        status |= deleted;
    }
    return status;
}
