#include "daemon/options.h"

#include "runs/rules.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

void options_print_help(void) {
    puts(
        "Usage: pyrometerd [--config FILE] [--data DIR] [--ingest ADDRESS] [--http HOST:PORT]\n"
        "Watches training jobs: stores their statistics, computes their temperatures, raises "
        "alerts.\n"
        "\n"
        "  --config FILE     settings (default " CONFIG_DEFAULT_PATH " where it exists)\n"
        "  --data DIR        where the store lives (default: $STATE_DIRECTORY, else\n"
        "                    $XDG_STATE_HOME/pyrometer, else ~/.local/state/pyrometer)\n"
        "  --ingest ADDRESS  where jobs connect: HOST:PORT or unix:PATH (default 127.0.0.1:27315)\n"
        "  --http HOST:PORT  REST API and dashboard (default 127.0.0.1:27316)\n"
        "  --check-config    check the settings, say what is wrong, and exit\n"
        "  --verbose         log connections too\n"
        "  --version         print the version and exit\n"
        "  --help            print this and exit\n"
        "\n"
        "Port 0 takes any free port; the addresses in use are in DIR/endpoints.json.\n"
        "Signals: SIGTERM and SIGINT finish what was read and stop; SIGHUP reloads the settings.\n"
        "Exit status: 0 stopped, 1 failed, 2 bad usage or settings.");
}

bool options_parse(int argc, char **argv, struct options *out) {
    static const struct option known[] = {{"config", required_argument, NULL, 'c'},
                                          {"data", required_argument, NULL, 'd'},
                                          {"ingest", required_argument, NULL, 'i'},
                                          {"http", required_argument, NULL, 'l'},
                                          {"check-config", no_argument, NULL, 'k'},
                                          {"version", no_argument, NULL, 'V'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"verbose", no_argument, NULL, 'v'},
                                          {NULL, 0, NULL, 0}};
    *out = (struct options){0};
    const char **texts[] = {
        ['c'] = &out->config, ['d'] = &out->data, ['i'] = &out->ingest, ['l'] = &out->http};
    bool *switches[] = {['k'] = &out->check_config,
                        ['V'] = &out->version,
                        ['h'] = &out->help,
                        ['v'] = &out->verbose};
    int c;
    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == '?') {
            fprintf(stderr, "Try 'pyrometerd --help'.\n");
            return false;
        }
        if (c == 'c' || c == 'd' || c == 'i' || c == 'l') {
            *texts[c] = optarg;
        } else {
            *switches[c] = true;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "pyrometerd: '%s' is not an option. Try 'pyrometerd --help'.\n",
                argv[optind]);
        return false;
    }
    return true;
}

int options_load_config(const struct options *o, struct config *config, struct buf *errors) {
    const char *path = o->config;
    if (!path && access(CONFIG_DEFAULT_PATH, R_OK) == 0) {
        path = CONFIG_DEFAULT_PATH;
    }
    const char *names[RULE_COUNT + 1];
    if (config_load(config, path, rules_names(names), errors)) {
        return -1;
    }
    const struct {
        const char *flag, *key, *value;
    } flags[] = {{"--data", "data", o->data},
                 {"--ingest", "ingest.listen", o->ingest},
                 {"--http", "http.listen", o->http}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (flags[i].value &&
            config_set(config, flags[i].flag, flags[i].key, flags[i].value, errors)) {
            config_free(config);
            return -1;
        }
    }
    return 0;
}
