// `pyrometer delete`: forgets runs.
#include <stdio.h>

#include "cli/cli.h"
#include "cli/http.h"

static int delete_run(const struct cli *cli, const char *run) {
    struct http_answer answer;
    struct buf path;
    http_answer_init(&answer);
    buf_init(&path, 4096);
    buf_puts(&path, "/api/v1/runs/");
    http_put_escaped(&path, run);
    int status = CLI_OK;
    if (http_send(cli, "DELETE", buf_str(&path), NULL, &answer)) {
        status = cli_fail("%s", answer.error);
    } else if (!cli->json) {
        printf("deleted %s\n", run);
    }
    buf_free(&path);
    http_answer_free(&answer);
    return status;
}

int command_delete(const struct cli *cli, int count, char **words) {
    int status = CLI_OK;
    for (int i = 0; i < count; i++) {
        status |= delete_run(cli, words[i]);
    }
    return status;
}
