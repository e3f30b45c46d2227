#include "wire/hello.h"

#include "base/num.h"
#include "wire/json.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static char *copy(const char *text) {
    return must_copy(text ? text : "");
}

static const char *text_of(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

// A number or one of the non-finite strings; num_missing() for null and for a key that is not
// there.
static int number_of(const cJSON *object, const char *key, double *x, struct wire_error *error) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    *x = num_missing();
    if (!item || cJSON_IsNull(item)) {
        return 0;
    }
    if (cJSON_IsNumber(item)) {
        *x = item->valuedouble;
        return 0;
    }
    if (cJSON_IsString(item) && num_parse_string(item->valuestring, x)) {
        return 0;
    }
    return wire_fail(error, WIRE_BAD_HELLO, "%s is not a number; expected a number or null", key);
}

// An optional text of at most max bytes, "" where it is not said.
static int optional_text(const cJSON *object, const char *key, size_t max, char **out,
                         struct wire_error *error) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (item && !cJSON_IsNull(item) && !cJSON_IsString(item)) {
        return wire_fail(error, WIRE_BAD_HELLO, "%s is not a string", key);
    }
    const char *text = text_of(object, key);
    if (text && strlen(text) > max) {
        return wire_fail(error, WIRE_BAD_HELLO, "%s has %zu bytes, the most is %zu", key,
                         strlen(text), max);
    }
    *out = copy(text);
    return 0;
}

static int parse_protocol(const cJSON *root, struct wire_error *error) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, "protocol");
    if (!cJSON_IsNumber(item)) {
        return wire_fail(error, WIRE_BAD_HELLO, "protocol is missing or not a number; expected 1");
    }
    if (item->valuedouble < 1 || item->valuedouble > 1) {
        return wire_fail(error, WIRE_UNSUPPORTED_PROTOCOL,
                         "protocol %.15g is not spoken here; this daemon speaks 1",
                         item->valuedouble);
    }
    return 0;
}

static int parse_run(const cJSON *root, struct hello *h, struct wire_error *error) {
    const char *run = text_of(root, "run");
    size_t n = run ? strlen(run) : 0;
    if (n == 0 || n > LIMIT_RUN_NAME) {
        return wire_fail(error, WIRE_BAD_HELLO,
                         "run is missing or not a string of 1 to %d characters", LIMIT_RUN_NAME);
    }
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)run[i]) && !strchr("._:-", run[i])) {
            return wire_fail(
                error, WIRE_BAD_HELLO,
                "run has a character it may not have at byte %zu; expected A-Z a-z 0-9 "
                ". _ : -",
                i);
        }
    }
    memcpy(h->run, run, n + 1);
    return 0;
}

static int parse_optimizer(const cJSON *root, struct hello *h, struct wire_error *error) {
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(root, "optimizer");
    h->optimizer.lr = h->optimizer.momentum = h->optimizer.weight_decay = num_missing();
    h->optimizer.beta1 = h->optimizer.beta2 = num_missing();
    if (!o || cJSON_IsNull(o)) {
        h->optimizer.name = copy("");
        return 0;
    }
    if (!cJSON_IsObject(o)) {
        return wire_fail(error, WIRE_BAD_HELLO, "optimizer is not an object");
    }
    const cJSON *betas = cJSON_GetObjectItemCaseSensitive(o, "betas");
    if (betas && !cJSON_IsNull(betas)) {
        const cJSON *b1 = cJSON_GetArrayItem(betas, 0), *b2 = cJSON_GetArrayItem(betas, 1);
        if (!cJSON_IsArray(betas) || !cJSON_IsNumber(b1) || !cJSON_IsNumber(b2)) {
            return wire_fail(error, WIRE_BAD_HELLO, "optimizer.betas is not a list of two numbers");
        }
        h->optimizer.beta1 = b1->valuedouble;
        h->optimizer.beta2 = b2->valuedouble;
    }
    h->optimizer.nesterov = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "nesterov"));
    return optional_text(o, "name", LIMIT_PROJECT_NAME, &h->optimizer.name, error) ||
                   number_of(o, "lr", &h->optimizer.lr, error) ||
                   number_of(o, "momentum", &h->optimizer.momentum, error) ||
                   number_of(o, "weight_decay", &h->optimizer.weight_decay, error)
               ? -1
               : 0;
}

static int parse_layer_size(const cJSON *layer, size_t i, bool is_shard, double *out,
                            struct wire_error *error) {
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(layer, "n");
    if (is_shard && (!n || cJSON_IsNull(n))) {
        *out = 0;
        return 0;
    }
    if (!cJSON_IsNumber(n) || !(n->valuedouble >= 1 && n->valuedouble <= 9007199254740992.0) ||
        n->valuedouble != floor(n->valuedouble)) {
        return wire_fail(error, WIRE_BAD_HELLO,
                         "layers[%zu].n is not a whole number of parameters from 1 on%s", i,
                         is_shard ? ", or null where this rank holds none" : "");
    }
    *out = n->valuedouble;
    return 0;
}

static int parse_layer(const cJSON *item, size_t i, bool is_shard, struct hello_layer *layer,
                       struct wire_error *error) {
    const char *name = text_of(item, "name");
    if (!name || !*name || strlen(name) > LIMIT_LAYER_NAME) {
        return wire_fail(error, WIRE_BAD_HELLO,
                         "layers[%zu].name is missing or not a string of 1 to "
                         "%d bytes",
                         i, LIMIT_LAYER_NAME);
    }
    if (parse_layer_size(item, i, is_shard, &layer->n, error)) {
        return -1;
    }
    const cJSON *init = cJSON_GetObjectItemCaseSensitive(item, "init");
    if (init && !cJSON_IsNull(init) && !cJSON_IsObject(init)) {
        return wire_fail(error, WIRE_BAD_HELLO, "layers[%zu].init is not an object", i);
    }
    layer->name = copy(name);
    return optional_text(item, "kind", LIMIT_LAYER_NAME, &layer->kind, error) ||
                   optional_text(item, "activation", LIMIT_LAYER_NAME, &layer->activation, error)
               ? -1
               : 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int refuse_twins(const struct hello *h, struct wire_error *error) {
    const char **names = must_alloc(h->n_layers * sizeof *names);
    for (size_t i = 0; i < h->n_layers; i++) {
        names[i] = h->layers[i].name;
    }
    qsort(names, h->n_layers, sizeof *names, by_name);
    int rc = 0;
    for (size_t i = 1; i < h->n_layers && rc == 0; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) {
            rc = wire_fail(error, WIRE_BAD_HELLO, "two layers are named \"%.100s\"", names[i]);
        }
    }
    free(names);
    return rc;
}

static int parse_layers(const cJSON *root, struct hello *h, struct wire_error *error) {
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(root, "layers");
    int n = cJSON_IsArray(layers) ? cJSON_GetArraySize(layers) : 0;
    if (n < 1 || n > LIMIT_LAYERS) {
        return wire_fail(error, WIRE_BAD_HELLO, "layers is missing or not a list of 1 to %d layers",
                         LIMIT_LAYERS);
    }
    h->layers = must_alloc((size_t)n * sizeof *h->layers);
    const cJSON *item;
    cJSON_ArrayForEach(item, layers) {
        if (parse_layer(item, h->n_layers, h->shards, &h->layers[h->n_layers], error)) {
            h->n_layers++; // what it has of names is freed with the rest
            return -1;
        }
        h->n_layers++;
    }
    return refuse_twins(h, error);
}

static int parse_resume(const cJSON *root, struct hello *h, struct wire_error *error) {
    const cJSON *resume = cJSON_GetObjectItemCaseSensitive(root, "resume");
    if (!resume || cJSON_IsNull(resume)) {
        return 0;
    }
    if (cJSON_IsString(resume) && strcmp(resume->valuestring, "continue") == 0) {
        return 0;
    }
    const cJSON *to = cJSON_GetObjectItemCaseSensitive(resume, "rewind");
    if (!cJSON_IsObject(resume) || !cJSON_IsNumber(to) || !(to->valuedouble >= -1) ||
        to->valuedouble > 8796093022207.0 || to->valuedouble != floor(to->valuedouble)) {
        return wire_fail(error, WIRE_BAD_HELLO,
                         "resume is neither \"continue\" nor {\"rewind\": STEP} with a whole STEP");
    }
    h->rewind = true;
    h->rewind_step = (int64_t)to->valuedouble;
    return 0;
}

static int parse_ranks(const cJSON *root, struct hello *h, struct wire_error *error) {
    if (number_of(root, "rank", &h->rank, error) ||
        number_of(root, "world_size", &h->world_size, error)) {
        return -1;
    }
    h->rank = num_is_missing(h->rank) ? 0 : h->rank;
    h->world_size = num_is_missing(h->world_size) ? 1 : h->world_size;
    if (!(h->rank >= 0 && h->rank < h->world_size) || h->rank != floor(h->rank) ||
        h->world_size != floor(h->world_size)) {
        return wire_fail(error, WIRE_BAD_HELLO,
                         "rank and world_size are not whole numbers with "
                         "0 <= rank < world_size");
    }
    const cJSON *shards = cJSON_GetObjectItemCaseSensitive(root, "shards");
    if (shards && !cJSON_IsNull(shards) && !cJSON_IsBool(shards)) {
        return wire_fail(error, WIRE_BAD_HELLO, "shards is neither true nor false");
    }
    h->shards = cJSON_IsTrue(shards) && h->world_size > 1;
    if (h->shards && h->world_size > LIMIT_RANKS) {
        return wire_fail(error, WIRE_BAD_HELLO,
                         "world_size %.15g is more than the %d ranks that a run of shards may have",
                         h->world_size, LIMIT_RANKS);
    }
    return 0;
}

// cJSON ends a string at \u0000, so that two names could look the same.
static bool has_nul_escape(const char *text, size_t len) {
    for (size_t i = 0; i + 6 <= len; i++) {
        if (text[i] == '\\') {
            if (memcmp(text + i, "\\u0000", 6) == 0) {
                return true;
            }
            i++; // the escaped character, which may be a backslash
        }
    }
    return false;
}

static int parse_notify(const cJSON *root, struct hello *h, struct wire_error *error) {
    const cJSON *notify = cJSON_GetObjectItemCaseSensitive(root, "notify");
    h->notify = cJSON_IsTrue(notify);
    return !notify || cJSON_IsNull(notify) || cJSON_IsBool(notify)
               ? 0
               : wire_fail(error, WIRE_BAD_HELLO, "notify is neither true nor false");
}

static int parse_tags(const cJSON *root, struct wire_error *error) {
    const cJSON *tags = cJSON_GetObjectItemCaseSensitive(root, "tags");
    return !tags || cJSON_IsNull(tags) || cJSON_IsObject(tags)
               ? 0
               : wire_fail(error, WIRE_BAD_HELLO, "tags is not an object");
}

static int parse_fields(const cJSON *root, struct hello *h, struct wire_error *error) {
    if (parse_protocol(root, error) || parse_run(root, h, error) ||
        optional_text(root, "project", LIMIT_PROJECT_NAME, &h->project, error) ||
        optional_text(root, "token", LIMIT_TOKEN_BYTES, &h->token, error) ||
        optional_text(root, "loss", LIMIT_PROJECT_NAME, &h->loss, error) ||
        number_of(root, "batch_size", &h->batch_size, error) ||
        number_of(root, "dataset_size", &h->dataset_size, error)) {
        return -1;
    }
    return parse_tags(root, error) || parse_optimizer(root, h, error) ||
                   parse_ranks(root, h, error) || parse_resume(root, h, error) ||
                   parse_notify(root, h, error) || parse_layers(root, h, error)
               ? -1
               : 0;
}

// Whether a member stays out of the facts: the secret, and what only this connection asks for. A
// key may be written with escapes.
static bool is_of_connection(struct slice key) {
    struct buf plain;
    buf_init(&plain, key.len + 1);
    bool is = json_unescape(key, &plain) &&
              (strcmp(buf_str(&plain), "token") == 0 || strcmp(buf_str(&plain), "resume") == 0 ||
               strcmp(buf_str(&plain), "notify") == 0);
    buf_free(&plain);
    return is;
}

// The other members of the line, as they came.
static char *facts_of(const char *line, size_t len) {
    struct buf out;
    buf_init(&out, len + 16);
    struct json j;
    struct slice key, value;
    json_init(&j, line, len);
    buf_putc(&out, '{');
    json_object(&j);
    while (json_key(&j, &key) && json_skip(&j, &value)) {
        if (is_of_connection(key)) {
            continue;
        }
        buf_puts(&out, out.len > 1 ? ",\"" : "\"");
        buf_put(&out, key.text, key.len);
        buf_puts(&out, "\":");
        buf_put(&out, value.text, value.len);
    }
    buf_putc(&out, '}');
    char *facts = copy(buf_str(&out));
    buf_free(&out);
    return facts;
}

int hello_parse(struct hello *out, const char *line, size_t len, struct wire_error *error) {
    *out = (struct hello){0};
    struct buf strict;
    buf_init(&strict, len + len / 2 + 16);
    json_quote_nonfinite(line, len, &strict);
    const char *text = buf_str(&strict);
    cJSON *root = cJSON_ParseWithLength(text, strict.len);
    int rc;
    if (strict.failed || (!root && memory_is_short())) {
        rc = wire_no_memory(error);
    } else if (!cJSON_IsObject(root)) {
        rc = wire_fail(error, WIRE_BAD_JSON, "the hello cannot be read as a JSON object");
    } else if (has_nul_escape(text, strict.len)) {
        rc = wire_fail(error, WIRE_BAD_HELLO, "a string with \\u0000 in it");
    } else {
        rc = parse_fields(root, out, error);
    }
    cJSON_Delete(root);
    if (rc == 0) {
        out->facts = facts_of(strict.data, strict.len);
    } else {
        hello_free(out);
    }
    buf_free(&strict);
    return rc;
}

void hello_free(struct hello *h) {
    for (size_t i = 0; i < h->n_layers; i++) {
        free(h->layers[i].name);
        free(h->layers[i].kind);
        free(h->layers[i].activation);
    }
    free(h->layers);
    free(h->project);
    free(h->token);
    free(h->loss);
    free(h->optimizer.name);
    free(h->facts);
    *h = (struct hello){0};
}

bool hello_same_names(const struct hello *a, const struct hello *b) {
    if (a->n_layers != b->n_layers) {
        return false;
    }
    for (size_t i = 0; i < a->n_layers; i++) {
        if (strcmp(a->layers[i].name, b->layers[i].name) != 0) {
            return false;
        }
    }
    return true;
}

bool hello_same_layers(const struct hello *a, const struct hello *b) {
    if (!hello_same_names(a, b)) {
        return false;
    }
    for (size_t i = 0; i < a->n_layers; i++) {
        if (a->layers[i].n < b->layers[i].n || a->layers[i].n > b->layers[i].n) {
            return false;
        }
    }
    return true;
}

void hello_print(const char *facts, int64_t rewind_step, struct buf *out) {
    size_t len = strlen(facts);
    if (rewind_step == HELLO_NO_REWIND) {
        buf_put(out, facts, len);
    } else {
        buf_put(out, facts, len - 1);
        buf_printf(out, ",\"resume\":{\"rewind\":%lld}}", (long long)rewind_step);
    }
    buf_putc(out, '\n');
}
