// The command line of `pyrometer`. One table of commands and one of options drive parsing, checking
// and every --help.
#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/term.h"
#include "cli/text.h"

enum {
    RUNS = 1,
    SHOW = 2,
    WATCH = 4,
    ALERTS = 8,
    REPLAY = 16,
    EXPORT = 32,
    REFERENCE = 64,
    RULES = 128,
    SYNC = 256,
    CHECK_STORE = 512,
    BACKUP = 1024,
    DELETE = 2048,
    BENCH = 4096,
    ASKING = RUNS | SHOW | WATCH | ALERTS | EXPORT | RULES | DELETE | BENCH, // by HTTP
    STREAMING = REPLAY | SYNC | BENCH,
    EVERY = ASKING | STREAMING | REFERENCE | CHECK_STORE | BACKUP
};

struct command {
    const char *name;
    unsigned mask;
    int words_min, words_max;
    int (*run)(const struct cli *cli, int count, char **words);
    const char *words;
    const char *summary;
    const char *more;
};

static const struct command commands[] = {
    {"runs", RUNS, 0, 0, command_runs, "", "list the runs",
     "One line a run: status, newest step, loss, temperature and firing alerts."},
    {"show", SHOW, 1, 1, command_show, "RUN", "everything about one run",
     "The run's facts, its temperatures with 95% intervals, its layers and its alerts.\n"
     "With --json: the daemon's answer for the run."},
    {"watch", WATCH, 1, 1, command_watch, "RUN", "a live view of one run",
     "Redrawn as the run goes on; ends with the run. q quits. Without a terminal: a line an "
     "update.\n"
     "With --json: the events, one JSON object a line, {\"event\":...,\"data\":...}."},
    {"alerts", ALERTS, 0, 17, command_alerts,
     "[show ID|test|ack ID|silence MATCHER...|silences|unsilence ID]",
     "list alerts, newest first, or do something about them",
     "Alerts of one cause stand together, the first of them on top. show tells all of one alert: "
     "what it\n"
     "means, what to do, its history and the readings around it.\n"
     "test sends every receiver a test and waits for it to be taken. ack says that someone has the "
     "alert.\n"
     "silence holds back what all matchers match, such as run=resnet-7 layer!=fc1 "
     "rule=~over.*"},
    {"replay", REPLAY, 1, 1 << 20, command_replay, "FILE.ndjson[.gz]...",
     "send recorded runs to a daemon",
     "Each file is sent as a job would, one after another; - is standard input. A file that holds "
     "several\n"
     "hellos (a run that was resumed or went back) takes a connection for each. Succeeds when "
     "every step\n"
     "was acknowledged, that is, is on the daemon's disk."},
    {"sync", SYNC, 0, 1 << 20, command_sync, "[DIR]...",
     "deliver what clients kept on disk while there was no daemon",
     "DIR is a spool, or holds spools; $PYROMETER_SPOOL, else ~/.local/state/pyrometer/spool. What "
     "was\n"
     "delivered is removed. A spool whose process still lives is left to it."},
    {"bench", BENCH, 0, 0, command_bench, "", "load a daemon with made-up runs and say how it did",
     "Each run has a connection of its own and sends as much as the daemon takes, unless there is "
     "a "
     "--rate.\n"
     "Says how many steps were acknowledged, how soon, and what the daemon complained of. Alerts "
     "of "
     "these\n"
     "runs are silenced meanwhile, and the runs are deleted afterwards. Ctrl-C ends it early."},
    {"export", EXPORT, 1, 1, command_export, "RUN", "write a run as NDJSON that replay reads",
     "Goes to standard output without --output."},
    {"delete", DELETE, 1, 1 << 20, command_delete, "RUN...",
     "forget runs, with all their steps, events and alerts", "There is no way back."},
    {"reference", REFERENCE, 0, 0, command_reference, "",
     "the transition temperature of a linear model, from its data",
     "Computed, not measured; asks no daemon. --init takes normal:MEAN,STD, uniform:LOW,HIGH,\n"
     "constant:VALUE, mixed:SHARE*PART+SHARE*PART (a mixture) or blocks:COUNT*PART+COUNT*PART.\n"
     "A column of ones (the intercept) stands before the file's columns."},
    {"rules", RULES, 1, 1 << 20, command_rules,
     "check FILE|test FILE...|backtest RULES RUN|FILE...", "check, test and try alert rules",
     "check says whether a configuration's rules are good. test runs unit tests of rules.\n"
     "backtest lists what would have fired when in recorded or stored runs, by the rules of a\n"
     "configuration, or by those named default. With --json: one object a run. Judges here, by "
     "the\n"
     "same thermometers and rules as the daemon; only stored runs are asked of one."},
    {"check", CHECK_STORE, 0, 1, command_check, "[DIR]", "whether a store on disk is sound",
     "Compares every checksum and asks SQLite of its pages; says which run, steps and column are "
     "damaged.\n"
     "DIR is the daemon's data directory, or a backup's file; without it, the one a daemon takes. "
     "Only\n"
     "reads, also beside a running daemon. Exit status 1 when something is damaged."},
    {"backup", BACKUP, 1, 2, command_backup, "[DIR] FILE", "copy a store, also while it is written",
     "The copy is of one moment, checked, and gets its name when it is found sound. To restore it, "
     "put it\n"
     "into an empty data directory as pyrometer.db."},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

// A value goes to the string at `offset` of struct cli; an option without one sets the bool there.
struct option_spec {
    const char *name;
    char letter; // 0: none
    const char *value;
    size_t offset;
    unsigned commands; // to which it means something
    bool everywhere;   // the others take it, too, so that scripts can give it to every command
    const char *help;
};

#define FIELD(member) offsetof(struct cli, member)
static const struct option_spec specs[] = {
    {"project", 0, "P", FIELD(project), RUNS, false, "only the runs of this project"},
    {"status", 0, "S", FIELD(status), RUNS, false,
     "running, stalled, completed, failed or stopped"},
    {"run", 0, "NAME", FIELD(run), ALERTS, false, "this run only"},
    {"run", 0, "NAME", FIELD(run), REPLAY, false, "this name instead of the recorded one"},
    {"state", 0, "S", FIELD(state), ALERTS, false, "pending, firing or resolved"},
    {"severity", 0, "S", FIELD(severity), ALERTS, false, "info, warning or critical"},
    {"for", 0, "TIME", FIELD(duration), ALERTS, false, "how long a silence lasts (2h)"},
    {"comment", 0, "TEXT", FIELD(comment), ALERTS, false, "why there is a silence"},
    {"run", 0, "NAME", FIELD(run), BENCH, false,
     "what the runs' names begin with (bench-, the time and -)"},
    {"runs", 0, "N", FIELD(runs), BENCH, false, "runs at a time (10)"},
    {"layers", 0, "N", FIELD(layers), BENCH, false, "layers a run, with 10 statistics each (50)"},
    {"seconds", 0, "N", FIELD(seconds), BENCH, false, "how long (10, without --steps)"},
    {"steps", 0, "N", FIELD(steps), BENCH, false, "no more steps a run than this"},
    {"rate", 0, "X", FIELD(rate), BENCH, false, "steps a second of each run"},
    {"lines", 0, NULL, FIELD(lines), BENCH, false, "lines of JSON instead of binary frames"},
    {"keep", 0, NULL, FIELD(keep), BENCH, false, "leave the runs there"},
    {"keep", 0, NULL, FIELD(keep), SYNC, false, "remove nothing"},
    {"ingest", 0, "ADDRESS", FIELD(ingest), STREAMING, false,
     "the daemon's ingest, HOST:PORT, tls://HOST:PORT or unix:PATH\n"
     "                            ($PYROMETER_SERVER, 127.0.0.1:27315)"},
    {"speed", 0, "X", FIELD(speed), REPLAY, false,
     "X times the recorded pace, or max (the default)"},
    {"output", 'o', "FILE", FIELD(output), EXPORT, false,
     "the file to write; compressed when it ends in .gz"},
    {"loss", 0, "L", FIELD(loss), REFERENCE, false, "mse, mae or cross_entropy"},
    {"init", 0, "I", FIELD(init), REFERENCE, false,
     "how the parameters were drawn, such as normal:0,1"},
    {"data", 0, "FILE.csv", FIELD(data), REFERENCE, false,
     "numbers, with or without a line of names; - is standard input"},
    {"entropy", 0, "E", FIELD(entropy), REFERENCE, false,
     "the convention: sampling (the default), layer or quantum:EPSILON"},
    {"target", 0, "COLUMN", FIELD(target), REFERENCE, false,
     "its name, or number where there are no names (the last)"},
    {"no-intercept", 0, NULL, FIELD(no_intercept), REFERENCE, false, "no column of ones"},
    {"once", 0, NULL, FIELD(once), WATCH, false, "draw one frame and end"},
    {"url", 0, "URL", FIELD(url), ASKING, true,
     "the daemon ($PYROMETER_URL, http://127.0.0.1:27316)"},
    {"token", 0, "T", FIELD(token), ASKING | STREAMING, true,
     "its token, or @FILE that holds it ($PYROMETER_TOKEN)"},
    {"json", 0, NULL, FIELD(json), EVERY, true, "JSON for scripts"},
};

enum {
    SPEC_COUNT = sizeof specs / sizeof specs[0],
    HELP_LETTER = 'h',
    VERSION_LETTER = 'V',
    FIRST_CODE = 256
};

int cli_fail(const char *format, ...) {
    va_list args;
    char line[2048];
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    // The daemon's words may be part of it.
    struct buf safe;
    buf_init(&safe, sizeof line * 4);
    text_put(&safe, line, sizeof line);
    fflush(stdout);
    progress_clear();
    fprintf(stderr, "pyrometer: %s\n", buf_str(&safe));
    buf_free(&safe);
    return CLI_FAILED;
}

static const struct command *find_command(const char *name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

// Of the commands in the mask; with 0 those that every command takes.
static void print_options(unsigned mask) {
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        if (mask ? (specs[i].commands & mask) != 0 : specs[i].everywhere) {
            char name[48];
            char letter[8] = "    ";
            if (specs[i].letter) {
                snprintf(letter, sizeof letter, "-%c, ", specs[i].letter);
            }
            snprintf(name, sizeof name, "%s--%s%s%s", letter, specs[i].name,
                     specs[i].value ? " " : "", specs[i].value ? specs[i].value : "");
            printf("  %-24s  %s\n", name, specs[i].help);
        }
    }
}

static void print_general_help(void) {
    puts("Usage: pyrometer [--url URL] [--token T] [--json] COMMAND ...\n\n"
         "Looks at training runs through the pyrometerd daemon: their temperatures, layers and "
         "alerts.\n\n"
         "Commands:");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        char usage[80];
        int n = snprintf(usage, sizeof usage, "%s %s", commands[i].name, commands[i].words);
        printf("  %-26s%s%s\n", usage, n > 26 ? "\n                              " : "  ",
               commands[i].summary);
    }
    puts("\nOptions for every command:");
    print_options(0);
    puts("  -h, --help                this; with a command: its own help\n"
         "  -V, --version             the version\n\n"
         "NO_COLOR=1 leaves colours out. Exit status: 0 done, 1 failed, 2 wrong usage.");
}

static void print_command_help(const struct command *command) {
    printf("Usage: pyrometer %s [OPTIONS]%s%s\n\n%c%s.\n", command->name,
           command->words[0] ? " " : "", command->words, command->summary[0] - 'a' + 'A',
           command->summary + 1);
    if (command->more[0]) {
        printf("%s\n", command->more);
    }
    puts("\nOptions:");
    print_options(command->mask);
}

static int fail_usage(const struct command *command, const char *what, const char *word) {
    fprintf(stderr, "pyrometer: %s%s%s; see pyrometer %s%s--help\n", what, word ? " " : "",
            word ? word : "", command ? command->name : "", command ? " " : "");
    return CLI_USAGE;
}

struct parsed {
    bool help;
    bool version;
    bool given[SPEC_COUNT];
};

static int take_option(struct cli *cli, struct parsed *parsed, int code, char **argv) {
    if (code == HELP_LETTER) {
        parsed->help = true;
        return CLI_OK;
    }
    if (code == VERSION_LETTER) {
        parsed->version = true;
        return CLI_OK;
    }
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        if (code == FIRST_CODE + (int)i || (specs[i].letter && code == specs[i].letter)) {
            char *field = (char *)cli + specs[i].offset;
            parsed->given[i] = true;
            if (specs[i].value) {
                memcpy(field, &optarg, sizeof optarg);
            } else {
                *(bool *)field = true;
            }
            return CLI_OK;
        }
    }
    return fail_usage(NULL, code == ':' ? "a value is missing behind" : "unknown option",
                      argv[optind - 1]);
}

static int parse_options(struct cli *cli, struct parsed *parsed, int argc, char **argv) {
    struct option options[SPEC_COUNT + 3] = {{0}};
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        options[i] =
            (struct option){specs[i].name, specs[i].value ? required_argument : no_argument, NULL,
                            FIRST_CODE + (int)i};
    }
    options[SPEC_COUNT] = (struct option){"help", no_argument, NULL, HELP_LETTER};
    options[SPEC_COUNT + 1] = (struct option){"version", no_argument, NULL, VERSION_LETTER};
    opterr = 0;
    for (int code; (code = getopt_long(argc, argv, ":hVo:", options, NULL)) != -1;) {
        int status = take_option(cli, parsed, code, argv);
        if (status != CLI_OK) {
            return status;
        }
    }
    return CLI_OK;
}

// Whether the command takes the option, of which there may be several specs of one name.
static bool takes(const struct command *command, const char *option) {
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        if (strcmp(specs[i].name, option) == 0 &&
            (specs[i].everywhere || (specs[i].commands & command->mask))) {
            return true;
        }
    }
    return false;
}

static int check_usage(const struct command *command, const struct parsed *parsed, int words) {
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        if (parsed->given[i] && !takes(command, specs[i].name)) {
            fprintf(stderr, "pyrometer: %s does not take --%s; see pyrometer %s --help\n",
                    command->name, specs[i].name, command->name);
            return CLI_USAGE;
        }
    }
    if (words < command->words_min) {
        return fail_usage(command, "missing:", command->words);
    }
    return words > command->words_max ? fail_usage(command, "too many words for", command->name)
                                      : CLI_OK;
}

// A token given as @FILE is the file's first line. The returned text is never freed: it lives as
// long as the program.
static int load_token(struct cli *cli) {
    if (!cli->token || cli->token[0] != '@') {
        return CLI_OK;
    }
    static char token[4096];
    const char *path = cli->token + 1;
    FILE *file = fopen(path, "re");
    if (!file || !fgets(token, sizeof token, file)) {
        cli_fail("cannot read the token from %s: %s", path, file ? "it is empty" : strerror(errno));
        if (file) {
            fclose(file);
        }
        return CLI_USAGE;
    }
    fclose(file);
    token[strcspn(token, "\r\n")] = '\0';
    cli->token = token;
    return CLI_OK;
}

static const char *environment(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && value[0] ? value : otherwise;
}

static char *without_slash(const char *url) {
    char *copy = strdup(url);
    CHECK(copy != NULL);
    for (size_t n = strlen(copy); n > 0 && copy[n - 1] == '/'; n--) {
        copy[n - 1] = '\0';
    }
    return copy;
}

static int run_command(struct cli *cli, const struct command *command, int count, char **words) {
    int status = load_token(cli);
    if (status != CLI_OK) {
        return status;
    }
    char *url = without_slash(cli->url);
    cli->url = url;
    cli->colour = term_has_colour();
    cli->true_colour = term_has_true_colour();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    status = command->run(cli, count, words);
    curl_global_cleanup();
    free(url);
    if (fflush(stdout) != 0) {
        return cli_fail("cannot write to standard output: %s", strerror(errno));
    }
    if (ferror(stdout)) { // at an earlier write, whose reason is gone
        return cli_fail("cannot write to standard output");
    }
    return status;
}

int main(int argc, char **argv) {
    struct cli cli = {
        .url = environment("PYROMETER_URL", "http://127.0.0.1:27316"),
        .token = environment("PYROMETER_TOKEN", NULL),
        .ingest = environment("PYROMETER_SERVER", "127.0.0.1:27315"),
    };
    struct parsed parsed = {0};
    int status = parse_options(&cli, &parsed, argc, argv);
    if (status != CLI_OK) {
        return status;
    }
    if (parsed.version) {
        puts("pyrometer " PYROMETER_VERSION);
        return CLI_OK;
    }
    if (optind == argc) {
        if (parsed.help) {
            print_general_help();
            return CLI_OK;
        }
        return fail_usage(NULL, "no command", NULL);
    }
    if (strcmp(argv[optind], "help") == 0) { // the same as --help
        parsed.help = true;
        if (++optind == argc) {
            print_general_help();
            return CLI_OK;
        }
    }
    const struct command *command = find_command(argv[optind]);
    if (!command) {
        return fail_usage(NULL, "there is no command", argv[optind]);
    }
    if (parsed.help) {
        print_command_help(command);
        return CLI_OK;
    }
    int words = argc - optind - 1;
    status = check_usage(command, &parsed, words);
    return status != CLI_OK ? status : run_command(&cli, command, words, argv + optind + 1);
}
