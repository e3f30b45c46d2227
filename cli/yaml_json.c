#include "cli/yaml_json.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/num.h"
#include "config/yaml.h"

struct reading {
    yaml_document_t *document;
    struct yaml_errors errors;
};

static cJSON *convert_scalar(struct reading *r, const yaml_node_t *node) {
    const char *text = yaml_text(node);
    double x;
    if (!text) {
        yaml_error(&r->errors, yaml_line(node), NULL, "a NUL byte in a text; expected none");
        return NULL;
    }
    if (yaml_is_null(node)) {
        return cJSON_CreateNull();
    }
    if (yaml_is_plain(node) && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)) {
        return cJSON_CreateBool(text[0] == 't');
    }
    if (yaml_is_plain(node) && num_parse_string(text, &x) && isfinite(x)) {
        return cJSON_CreateNumber(x);
    }
    return cJSON_CreateString(text);
}

static cJSON *convert(struct reading *r, int index);

static cJSON *convert_list(struct reading *r, const yaml_node_t *node) {
    cJSON *list = cJSON_CreateArray();
    const yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top; item++) {
        cJSON *value = convert(r, *item);
        if (!value) {
            cJSON_Delete(list);
            return NULL;
        }
        cJSON_AddItemToArray(list, value);
    }
    return list;
}

static cJSON *convert_mapping(struct reading *r, const yaml_node_t *node) {
    cJSON *object = cJSON_CreateObject();
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key_node = yaml_document_get_node(r->document, pair->key);
        const char *key = yaml_text(key_node);
        cJSON *value = NULL;
        if (!key) {
            yaml_error(&r->errors, yaml_line(key_node), NULL, "a key is no text; expected one");
        } else if (cJSON_GetObjectItemCaseSensitive(object, key)) {
            yaml_error(&r->errors, yaml_line(key_node), NULL,
                       "'%.60s' stands a second time; expected once", key);
        } else {
            value = convert(r, pair->value);
        }
        if (!value) {
            cJSON_Delete(object);
            return NULL;
        }
        cJSON_AddItemToObject(object, key, value);
    }
    return object;
}

// The depth is bounded by yaml_read_file().
static cJSON *convert(struct reading *r, int index) {
    const yaml_node_t *node = yaml_document_get_node(r->document, index);
    cJSON *value = node->type == YAML_MAPPING_NODE    ? convert_mapping(r, node)
                   : node->type == YAML_SEQUENCE_NODE ? convert_list(r, node)
                                                      : convert_scalar(r, node);
    return value;
}

cJSON *yaml_json_read(const char *path, struct buf *messages) {
    yaml_document_t document;
    bool has_document;
    struct reading r = {&document, {path, messages, 0}};
    if (yaml_read_file(path, &document, &has_document, &r.errors)) {
        return NULL;
    }
    if (!has_document) {
        yaml_error(&r.errors, 0, NULL, "is empty; expected a mapping of keys");
        return NULL;
    }
    cJSON *tree = convert(&r, 1);
    yaml_document_delete(&document);
    return tree;
}
