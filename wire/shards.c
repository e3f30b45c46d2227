#include "wire/shards.h"

#include "base/num.h"
#include "wire/json.h"

#include <cjson/cJSON.h>
#include <string.h>

#define ABSENT "absent_ranks"

// A key may stand twice in what a peer sent.
static void delete_all(cJSON *object, const char *key) {
    while (cJSON_GetObjectItemCaseSensitive(object, key)) {
        cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    }
}

static void put_number(cJSON *object, const char *key, double x) {
    delete_all(object, key);
    if (!num_is_missing(x)) {
        CHECK(cJSON_AddNumberToObject(object, key, x) != NULL);
    }
}

static void merge(cJSON *root, const struct shards *s) {
    static const char *const of_one_rank[] = {"rank", "world_size", "shards", ABSENT};
    for (size_t i = 0; i < sizeof of_one_rank / sizeof *of_one_rank; i++) {
        delete_all(root, of_one_rank[i]);
    }
    put_number(root, "batch_size", s->batch_size);
    put_number(root, "sharded_over", (double)s->world_size);
    if (s->n_absent) {
        cJSON *absent = cJSON_AddArrayToObject(root, ABSENT);
        for (size_t i = 0; i < s->n_absent; i++) {
            CHECK(cJSON_AddItemToArray(absent, cJSON_CreateNumber((double)s->absent[i])));
        }
    }
    cJSON *layer;
    size_t i = 0;
    cJSON_ArrayForEach(layer, cJSON_GetObjectItemCaseSensitive(root, "layers")) {
        put_number(layer, "n", s->n[i++]);
    }
}

int shards_hello(const struct shards *s, struct hello *out, struct wire_error *error) {
    *out = (struct hello){0};
    cJSON *root = cJSON_Parse(s->facts);
    CHECK(root != NULL); // hello_parse has taken these facts
    merge(root, s);
    char *line = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    CHECK(line != NULL);
    int rc = hello_parse(out, line, strlen(line), error);
    cJSON_free(line);
    return rc;
}

bool shards_were_absent(const struct hello *h) {
    struct slice absent;
    return json_member(h->facts, strlen(h->facts), ABSENT, &absent);
}
