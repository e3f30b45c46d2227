#include "wire/init.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

static const char not_stated[] = "the hello states no init",
                  not_understood[] = "its init is not understood";

// Numbers as they stand; what is not finite describes nothing.
static bool number(const cJSON *item, const char *key, double fallback, double *out) {
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(item, key);
    *out = cJSON_IsNumber(n) ? n->valuedouble : fallback;
    return (cJSON_IsNumber(n) || !n) && isfinite(*out);
}

static bool read_part(const cJSON *item, struct init_part *p) {
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "distribution"));
    if (!name || !number(item, "weight", 1, &p->share) || !(p->share > 0)) {
        return false;
    }
    if (strcmp(name, "normal") == 0) {
        p->draw = INIT_NORMAL;
        return number(item, "mean", 0, &p->a) && number(item, "std", (double)NAN, &p->b) &&
               p->b > 0;
    }
    if (strcmp(name, "uniform") == 0) {
        p->draw = INIT_UNIFORM;
        return number(item, "low", (double)NAN, &p->a) &&
               number(item, "high", (double)NAN, &p->b) && p->a < p->b;
    }
    p->draw = INIT_CONSTANT;
    p->b = 0;
    return strcmp(name, "constant") == 0 && number(item, "value", 0, &p->a);
}

static bool read_parts(const cJSON *item, struct init *init) {
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "distribution"));
    if (!name || strcmp(name, "mixed") != 0) {
        init->n_parts = 1;
        return read_part(item, &init->parts[0]);
    }
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(item, "components"), *part;
    cJSON_ArrayForEach(part, list) {
        if (init->n_parts == INIT_PARTS_MAX || !read_part(part, &init->parts[init->n_parts++])) {
            return false;
        }
    }
    return init->n_parts > 0;
}

static void read_layer(const cJSON *layer, struct init *init) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(layer, "init");
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "distribution"));
    *init = (struct init){.reason = not_stated};
    if (!cJSON_IsObject(item) || !name || strcmp(name, "unknown") == 0) {
        return;
    }
    init->reason = NULL;
    if (!read_parts(item, init)) {
        init->n_parts = 0;
        init->reason = not_understood;
    }
}

void init_read(const char *facts, struct init *inits, size_t n) {
    cJSON *root = cJSON_Parse(facts);
    const cJSON *layer = cJSON_GetObjectItemCaseSensitive(root, "layers");
    layer = layer ? layer->child : NULL;
    for (size_t i = 0; i < n; i++) {
        read_layer(layer, &inits[i]);
        layer = layer ? layer->next : NULL;
    }
    cJSON_Delete(root);
}
