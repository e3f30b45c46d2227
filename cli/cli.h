// The command `pyrometer`: what its parts share. One thread; everything a command needs stands in
// struct cli, filled once by main.c from the command line and the environment.
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>

// Exit statuses, and what every command returns.
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

// The words of the command line. Strings are the caller's (argv or the environment), NULL when
// absent.
struct cli {
    const char *url; // of the daemon's HTTP port, without a slash at its end
    const char *token;
    long answer_timeout_s; // for a whole answer of the daemon; 0: the usual
    bool json;
    bool colour;      // standard output takes colour
    bool true_colour; // ... of 24 bits
    const char *project;
    const char *status;
    const char *run;
    const char *state;
    const char *severity;
    const char *ingest;
    const char *speed;
    const char *output;
    const char *duration;
    const char *comment;
    bool keep;
    bool once;
    const char *loss;
    const char *init;
    const char *data;
    const char *entropy;
    const char *target;
    bool no_intercept;
    const char *runs;
    const char *layers;
    const char *seconds;
    const char *steps;
    const char *rate;
    bool lines;
};

// Each takes the words behind the command's name and returns an exit status; what went wrong has
// been said on standard error.
int command_runs(const struct cli *cli, int count, char **words);
int command_show(const struct cli *cli, int count, char **words);
int command_watch(const struct cli *cli, int count, char **words);
int command_alerts(const struct cli *cli, int count, char **words);
int command_replay(const struct cli *cli, int count, char **words);
int command_sync(const struct cli *cli, int count, char **words);
int command_export(const struct cli *cli, int count, char **words);
int command_delete(const struct cli *cli, int count, char **words);
int command_rules(const struct cli *cli, int count, char **words);
int command_reference(const struct cli *cli, int count, char **words);
int command_check(const struct cli *cli, int count, char **words);
int command_bench(const struct cli *cli, int count, char **words);
int command_backup(const struct cli *cli, int count, char **words);

// "pyrometer: ..." and a newline on standard error. Returns CLI_FAILED, so that a command can end
// with it.
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
