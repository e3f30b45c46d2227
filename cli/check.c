// `pyrometer check`: whether a store on this machine's disk is sound.
#include "cli/cli.h"
#include "cli/stored.h"

int command_check(const struct cli *cli, int count, char **words) {
    struct buf path;
    cJSON *answer = NULL;
    buf_init(&path, (size_t)1 << 16);
    int status = stored_path(count ? words[0] : NULL, &path);
    if (status == CLI_OK) {
        status = stored_check(cli, buf_str(&path), &answer);
    }
    if (answer) {
        stored_print(answer);
    }
    cJSON_Delete(answer);
    buf_free(&path);
    return status;
}
