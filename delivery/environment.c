#include "delivery/environment.h"

#include "alerts/alerts.h"
#include "base/buf.h"
#include "base/memory.h"
#include "delivery/receiver.h"

#include <stdlib.h>
#include <string.h>

#define N_VARIABLES 6
#define VARIABLE_BYTES_MAX 8192

extern char **environ;

static char *variable(const char *name, const char *value) {
    struct buf text;
    buf_init(&text, VARIABLE_BYTES_MAX);
    buf_printf(&text, "PYROMETER_%s=%s", name, value ? value : "");
    char *copy = must_copy(buf_str(&text));
    buf_free(&text);
    return copy;
}

// Ours stand first, so that they can be freed, and win over what the daemon was started with.
char **environment_of(const struct alert_record *a) {
    size_t n = 0;
    while (environ[n]) {
        n++;
    }
    char **env = must_alloc((n + N_VARIABLES + 1) * sizeof *env);
    env[0] = variable("RULE", a->rule);
    env[1] = variable("RUN", a->run_name);
    env[2] = variable("LAYER", a->layer);
    env[3] = variable("SEVERITY", severity_name((enum severity)a->severity));
    env[4] = variable("STATE", alert_state_name((enum alert_state)a->state));
    env[5] = variable("SUMMARY", a->summary);
    memcpy(env + N_VARIABLES, environ, n * sizeof *env);
    return env;
}

void environment_free(char **env) {
    for (size_t i = 0; i < N_VARIABLES; i++) {
        free(env[i]);
    }
    free(env);
}
