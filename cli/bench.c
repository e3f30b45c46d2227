// `pyrometer bench`: how much a daemon takes, and how soon it acknowledges it.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/num.h"
#include "cli/cli.h"
#include "cli/delete.h"
#include "cli/load.h"
#include "cli/text.h"
#include "cli/tree.h"
#include "cli/workload.h"
#include "config/limits.h"

#define USUAL_SECONDS 10
#define LONGEST_SECONDS 86400

static volatile sig_atomic_t stop;

static void take_signal(int signal) {
    (void)signal;
    stop = 1;
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = take_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

// -- the options ---------------------------------------------------------------------------------

static int take_count(const char *option, const char *text, double most, size_t *out) {
    double x;
    if (!text) {
        return CLI_OK;
    }
    if (!num_parse_string(text, &x) || !(x >= 1 && x <= most) || x != floor(x)) {
        cli_fail("--%s is a whole number from 1 to %.0f, not %s", option, most, text);
        return CLI_USAGE;
    }
    *out = (size_t)x;
    return CLI_OK;
}

static int take_amount(const char *option, const char *text, double most, double *out) {
    if (text && (!num_parse_string(text, out) || !(*out > 0 && *out <= most))) {
        cli_fail("--%s is a number above 0, at most %.0f, not %s", option, most, text);
        return CLI_USAGE;
    }
    return CLI_OK;
}

static int take_options(const struct cli *cli, struct load_options *o) {
    size_t steps = (size_t)1 << 40; // no end of them
    o->seconds = cli->steps ? LONGEST_SECONDS : USUAL_SECONDS;
    int status = take_count("runs", cli->runs, 4096, &o->runs);
    status |= take_count("layers", cli->layers, LIMIT_LAYERS, &o->layers);
    status |= take_count("steps", cli->steps, (double)steps, &steps);
    status |= take_amount("seconds", cli->seconds, LONGEST_SECONDS, &o->seconds);
    status |= take_amount("rate", cli->rate, 1e6, &o->rate);
    o->steps = (int64_t)steps;
    return status;
}

// -- what the daemon's API is asked to do --------------------------------------------------------

// What made-up runs do is nobody's emergency. Returns the silence's number, or -1 when it has been
// said why there is none. If nothing ends it, it ends an hour behind us.
static double silence(const struct cli *cli, const struct load_options *o) {
    char body[512];
    struct http_answer answer;
    double id = -1;
    snprintf(body, sizeof body,
             "{\"matchers\":[{\"name\":\"project\",\"value\":\"%s\",\"is_regex\":false,"
             "\"is_equal\":true}],\"duration\":\"%.0fs\",\"created_by\":\"pyrometer bench\","
             "\"comment\":\"made-up runs\"}",
             WORKLOAD_PROJECT, o->seconds + 3600);
    http_answer_init(&answer);
    if (http_send(cli, "POST", "/api/v1/silences", body, &answer)) {
        cli_fail("%s", answer.error);
    } else {
        cJSON *made = cJSON_Parse(buf_str(&answer.body));
        id = tree_number(made, "id");
        cJSON_Delete(made);
    }
    http_answer_free(&answer);
    return id;
}

static int end_silence(const struct cli *cli, double id) {
    char path[64];
    struct http_answer answer;
    snprintf(path, sizeof path, "/api/v1/silences/%.0f", id);
    http_answer_init(&answer);
    int status = CLI_OK;
    if (http_send(cli, "DELETE", path, NULL, &answer)) {
        status =
            cli_fail("the silence of project=%s stays for now: %s", WORKLOAD_PROJECT, answer.error);
    }
    http_answer_free(&answer);
    return status;
}

static int delete_runs(const struct cli *cli, const struct load_options *o,
                       const struct load_result *result) {
    int status = CLI_OK;
    for (size_t i = 0; i < o->runs; i++) {
        char name[256];
        load_name(o, i, name, sizeof name);
        if (result->welcomed[i] && delete_run(cli, name) != CLI_OK) {
            status = cli_fail("%s is still there; see pyrometer delete", name);
        }
    }
    return status;
}

// -- what came of it -----------------------------------------------------------------------------

static double a_second(const struct load_result *result, double amount) {
    return result->seconds > 0 ? amount / result->seconds : num_missing();
}

static double samples(const struct load_options *o, const struct load_result *result) {
    return (double)result->acknowledged * (double)o->layers * LOAD_STATS;
}

static double latency_ms(const struct load_result *result, double part) {
    double seconds = latencies_quantile(&result->latencies, part);
    return num_is_missing(seconds) ? seconds : seconds * 1e3;
}

static void add_number(cJSON *to, const char *key, double x) {
    if (num_is_missing(x)) {
        cJSON_AddNullToObject(to, key);
    } else {
        cJSON_AddNumberToObject(to, key, x);
    }
}

static void print_json(const struct cli *cli, const struct load_options *o,
                       const struct load_result *result, bool ok) {
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddStringToObject(answer, "ingest", o->ingest);
    cJSON_AddStringToObject(answer, "format", o->lines ? "lines" : "frames");
    cJSON_AddNumberToObject(answer, "runs", (double)o->runs);
    cJSON_AddNumberToObject(answer, "layers", (double)o->layers);
    cJSON_AddNumberToObject(answer, "seconds", result->seconds);
    cJSON_AddNumberToObject(answer, "sent", (double)result->sent);
    cJSON_AddNumberToObject(answer, "acknowledged", (double)result->acknowledged);
    add_number(answer, "steps_per_second", a_second(result, (double)result->acknowledged));
    add_number(answer, "samples_per_second", a_second(result, samples(o, result)));
    cJSON_AddNumberToObject(answer, "bytes", (double)result->bytes);
    cJSON *latency = cJSON_AddObjectToObject(answer, "latency_ms");
    add_number(latency, "p50", latency_ms(result, 0.5));
    add_number(latency, "p99", latency_ms(result, 0.99));
    add_number(latency, "max", latency_ms(result, 1));
    cJSON_AddNumberToObject(answer, "errors", (double)result->errors);
    cJSON_AddNumberToObject(answer, "busy", (double)result->busy);
    cJSON_AddNumberToObject(answer, "cpu_seconds", result->cpu_s);
    cJSON_AddBoolToObject(answer, "kept", cli->keep);
    cJSON_AddBoolToObject(answer, "ok", ok);
    tree_put_line(answer);
    putchar('\n');
    cJSON_Delete(answer);
}

static struct word whole(double x) {
    return text_count(num_is_missing(x) ? x : round(x));
}

static void print_text(const struct load_options *o, const struct load_result *result) {
    double p50 = latency_ms(result, 0.5), p99 = latency_ms(result, 0.99);
    printf("%zu %s of %zu %s for %s, as %s\n", o->runs, o->runs == 1 ? "run" : "runs", o->layers,
           o->layers == 1 ? "layer" : "layers", text_duration(result->seconds).s,
           o->lines ? "lines of JSON" : "frames");
    printf("  %-9s %llu of %llu acknowledged, %s a second\n", "steps",
           (unsigned long long)result->acknowledged, (unsigned long long)result->sent,
           whole(a_second(result, (double)result->acknowledged)).s);
    printf("  %-9s %.0f acknowledged, %s a second\n", "samples", samples(o, result),
           whole(a_second(result, samples(o, result))).s);
    printf("  %-9s %s\n", "sent", text_bytes((double)result->bytes).s);
    printf("  %-9s p50 %s ms, p99 %s ms, max %s ms\n", "latency", text_number(p50).s,
           text_number(p99).s, text_number(latency_ms(result, 1)).s);
    printf("  %-9s %llu errors, %llu times busy\n", "answers", (unsigned long long)result->errors,
           (unsigned long long)result->busy);
    if (result->seconds > 0 && result->cpu_s > 0.9 * result->seconds) {
        printf("The daemon may take more: this command itself had no more of its core to give.\n");
    }
}

static int run_bench(const struct cli *cli, const struct load_options *o) {
    double silence_id = silence(cli, o);
    if (silence_id < 0 || num_is_missing(silence_id)) {
        return CLI_FAILED;
    }
    struct load_result *result = NEW(struct load_result);
    catch_signals();
    load_drive(o, result);
    int status = result->whole && result->errors + result->busy == 0 ? CLI_OK : CLI_FAILED;
    if (!cli->keep) {
        status |= delete_runs(cli, o, result);
    }
    status |= end_silence(cli, silence_id);
    if (cli->json) {
        print_json(cli, o, result, status == CLI_OK);
    } else if (result->begun) {
        print_text(o, result);
    }
    free(result->welcomed);
    free(result);
    return status;
}

int command_bench(const struct cli *cli, int count, char **words) {
    (void)count, (void)words;
    char prefix[LIMIT_RUN_NAME + 1];
    struct load_options o = {.ingest = cli->ingest,
                             .token = cli->token,
                             .prefix = cli->run ? cli->run : prefix,
                             .runs = 10,
                             .layers = 50,
                             .lines = cli->lines,
                             .progress = isatty(STDERR_FILENO),
                             .stop = &stop};
    snprintf(prefix, sizeof prefix, "bench-%.0f-%d-", clock_wall_s(), (int)getpid());
    int status = take_options(cli, &o);
    return status == CLI_OK ? run_bench(cli, &o) : status;
}
