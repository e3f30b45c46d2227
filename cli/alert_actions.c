#include "cli/alert_actions.h"

#include "base/clock.h"
#include "cli/alert_show.h"
#include "cli/http.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/tree.h"
#include "config/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TEST_WAIT_S 30 // a receiver that has not taken a test by then is said to have failed
#define POLL_MS 100

// Prints the answer for scripts, or the sentence for people.
static int report(const struct cli *cli, int failed, struct http_answer *answer,
                  const char *sentence) {
    int status = CLI_OK;
    if (failed) {
        status = cli_fail("%s", answer->error);
    } else if (cli->json && answer->body.len) {
        printf("%s\n", buf_str(&answer->body));
    } else if (!cli->json) {
        printf("%s\n", sentence);
    }
    http_answer_free(answer);
    return status;
}

static int act_on(const struct cli *cli, const char *method, const char *before, const char *id,
                  const char *after, const char *sentence) {
    struct http_answer answer;
    struct buf path;
    http_answer_init(&answer);
    buf_init(&path, 4096);
    buf_puts(&path, before);
    http_put_escaped(&path, id);
    buf_puts(&path, after);
    int rc = http_send(cli, method, buf_str(&path), NULL, &answer);
    buf_free(&path);
    return report(cli, rc, &answer, sentence);
}

static int acknowledge(const struct cli *cli, int count, char **words) {
    (void)count;
    return act_on(cli, "POST", "/api/v1/alerts/", words[0], "/acknowledge", "acknowledged");
}

static int unsilence(const struct cli *cli, int count, char **words) {
    (void)count;
    return act_on(cli, "DELETE", "/api/v1/silences/", words[0], "", "the silence has ended");
}

// run=x, run!=x, run=~x.*, run!~x.*
static int add_matcher(cJSON *list, const char *word) {
    size_t name = strcspn(word, "=!");
    const char *sign = word + name;
    bool is_equal = *sign == '=';
    bool is_regex = strncmp(sign, "=~", 2) == 0 || strncmp(sign, "!~", 2) == 0;
    size_t length = is_regex || !is_equal ? 2 : 1;
    if (name == 0 || !*sign || (!is_equal && sign[1] != '=' && sign[1] != '~')) {
        cli_fail("\"%s\" is no matcher; expected one such as run=resnet-7, layer!=fc1 or "
                 "run=~resnet-.*",
                 word);
        return CLI_USAGE;
    }
    cJSON *matcher = cJSON_CreateObject();
    char *label = strndup(word, name);
    cJSON_AddStringToObject(matcher, "name", label);
    cJSON_AddStringToObject(matcher, "value", sign + length);
    cJSON_AddBoolToObject(matcher, "is_regex", is_regex);
    cJSON_AddBoolToObject(matcher, "is_equal", is_equal);
    cJSON_AddItemToArray(list, matcher);
    free(label);
    return CLI_OK;
}

static int silence(const struct cli *cli, int count, char **words) {
    uint64_t ms;
    if (cli->duration && !(units_parse_duration(cli->duration, &ms) && ms > 0)) {
        cli_fail("--for is a time such as 30m or 2h, not %s", cli->duration);
        return CLI_USAGE;
    }
    cJSON *body = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(body, "matchers");
    int status = CLI_OK;
    for (int i = 0; i < count && status == CLI_OK; i++) {
        status = add_matcher(list, words[i]);
    }
    const char *user = getenv("USER");
    cJSON_AddStringToObject(body, "duration", cli->duration ? cli->duration : "2h");
    cJSON_AddStringToObject(body, "created_by", user ? user : "");
    cJSON_AddStringToObject(body, "comment", cli->comment ? cli->comment : "");
    if (status == CLI_OK) {
        struct http_answer answer;
        char *text = cJSON_PrintUnformatted(body);
        char sentence[160] = "silenced";
        http_answer_init(&answer);
        int rc = http_send(cli, "POST", "/api/v1/silences", text, &answer);
        cJSON *made = rc ? NULL : cJSON_Parse(buf_str(&answer.body));
        if (made) {
            snprintf(sentence, sizeof sentence, "silence %s is in force until %s",
                     text_count(tree_number(made, "id")).s, text_time(tree_number(made, "ends")).s);
        }
        status = report(cli, rc, &answer, sentence);
        cJSON_Delete(made);
        cJSON_free(text);
    }
    cJSON_Delete(body);
    return status;
}

static void put_matchers(struct table *table, const cJSON *list) {
    struct buf text;
    buf_init(&text, 16384);
    const cJSON *m;
    cJSON_ArrayForEach(m, list) {
        bool is_equal = cJSON_IsTrue(tree_member(m, "is_equal"));
        bool is_regex = cJSON_IsTrue(tree_member(m, "is_regex"));
        buf_printf(&text, "%s%s%s%s", text.len ? " " : "", tree_text(m, "name", "?"),
                   is_regex ? (is_equal ? "=~" : "!~") : (is_equal ? "=" : "!="),
                   tree_text(m, "value", ""));
    }
    table_cell(table, buf_str(&text));
    buf_free(&text);
}

static void print_silences(const struct cli *cli, const cJSON *list) {
    static const char *const columns[] = {">id",  "state", "matchers", "starts",
                                          "ends", "by",    "comment",  NULL};
    struct table *table = table_create(columns);
    const cJSON *s;
    cJSON_ArrayForEach(s, tree_member(list, "silences")) {
        table_cell(table, text_count(tree_number(s, "id")).s);
        table_cell(table, tree_text(s, "state", "?"));
        put_matchers(table, tree_member(s, "matchers"));
        table_cell(table, text_time(tree_number(s, "starts")).s);
        table_cell(table, text_time(tree_number(s, "ends")).s);
        table_cell(table, tree_text(s, "created_by", ""));
        table_cell(table, tree_text(s, "comment", ""));
    }
    if (table_rows(table)) {
        table_print(table, cli, 0);
    } else {
        printf("no silences\n");
    }
    table_destroy(table);
}

static int silences(const struct cli *cli, int count, char **words) {
    (void)count, (void)words;
    struct http_answer answer;
    http_answer_init(&answer);
    cJSON *list = tree_get_list(cli, "/api/v1/silences?", "silences", &answer);
    return tree_show(cli, list, &answer, print_silences);
}

static const cJSON *find_receiver(const cJSON *state, const char *name) {
    const cJSON *r;
    cJSON_ArrayForEach(r, tree_member(state, "receivers")) {
        if (strcmp(tree_text(r, "receiver", ""), name) == 0) {
            return r;
        }
    }
    return NULL;
}

// Whether the receiver counts one more than before.
static bool has_grown(const cJSON *before, const cJSON *now, const char *count) {
    return tree_number(now, count) > tree_number(before, count);
}

static void tell_receiver(const struct cli *cli, const char *name, bool taken, const char *error) {
    if (!cli->json) {
        printf("%s: %s\n", name, taken ? "taken" : error);
        return;
    }
    cJSON *told = cJSON_CreateObject();
    cJSON_AddStringToObject(told, "receiver", name);
    cJSON_AddBoolToObject(told, "ok", taken);
    if (!taken) {
        cJSON_AddStringToObject(told, "error", error);
    }
    tree_tell(told);
}

// Follows each receiver until it has taken the test or failed.
static int follow(const struct cli *cli, const cJSON *before, struct http_answer *answer) {
    int status = CLI_OK;
    const cJSON *r;
    cJSON_ArrayForEach(r, tree_member(before, "receivers")) {
        const char *name = tree_text(r, "receiver", "?");
        uint64_t deadline = clock_monotonic_ns() + TEST_WAIT_S * UINT64_C(1000000000);
        bool taken = false, failed = false;
        cJSON *state = NULL;
        while (!taken && !failed && clock_monotonic_ns() < deadline) {
            cJSON_Delete(state);
            state = tree_get(cli, "/api/v1/receivers", answer);
            const cJSON *now = find_receiver(state, name);
            taken = has_grown(r, now, "delivered");
            failed = !taken && (!now || has_grown(r, now, "failures"));
            if (!taken && !failed && progress_due()) {
                progress_say("waiting for %s", name);
            }
            if (!taken && !failed) {
                usleep(POLL_MS * 1000);
            }
        }
        const cJSON *now = find_receiver(state, name);
        progress_clear();
        tell_receiver(cli, name, taken,
                      now ? tree_text(now, "last_error", "no answer yet") : "gone");
        status = taken ? status : CLI_FAILED;
        cJSON_Delete(state);
    }
    return status;
}

static int test(const struct cli *cli, int count, char **words) {
    (void)count, (void)words;
    struct http_answer answer;
    http_answer_init(&answer);
    int status = CLI_OK;
    cJSON *before = tree_get(cli, "/api/v1/receivers", &answer);
    if (!before || http_send(cli, "POST", "/api/v1/alerts/test", NULL, &answer)) {
        status = cli_fail("%s", answer.error);
    } else if (cJSON_GetArraySize(tree_member(before, "receivers")) == 0) {
        status = cli_fail("the daemon's configuration names no receiver: alerts.webhooks, "
                          "alerts.command or alerts.mail_to");
    } else {
        status = follow(cli, before, &answer);
    }
    cJSON_Delete(before);
    http_answer_free(&answer);
    return status;
}

static const struct action {
    const char *name;
    int min, max;
    int (*run)(const struct cli *cli, int count, char **words);
    const char *words;
} actions[] = {
    {"show", 1, 1, alert_show, " ID"}, {"test", 0, 0, test, ""},
    {"ack", 1, 1, acknowledge, " ID"}, {"silence", 1, 16, silence, " MATCHER..."},
    {"silences", 0, 0, silences, ""},  {"unsilence", 1, 1, unsilence, " ID"},
};

int alert_action(const struct cli *cli, int count, char **words) {
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        const struct action *a = &actions[i];
        if (strcmp(a->name, words[0]) == 0) {
            if (count - 1 < a->min || count - 1 > a->max) {
                cli_fail("usage: pyrometer alerts %s%s", a->name, a->words);
                return CLI_USAGE;
            }
            return a->run(cli, count - 1, words + 1);
        }
    }
    cli_fail(
        "alerts %s is not known; expected show ID, test, ack ID, silence MATCHER..., silences or "
        "unsilence ID",
        words[0]);
    return CLI_USAGE;
}
