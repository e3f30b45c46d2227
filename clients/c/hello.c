#include "clients/c/hello.h"

enum { RUN_MAX = 128 };

static bool run_name_good(const char *run) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
    size_t n = strspn(run, allowed);
    return n > 0 && n <= RUN_MAX && run[n] == '\0';
}

const char *pyr_config_fault(const struct pyrometer_config *config) {
    if (!config->run || !run_name_good(config->run)) {
        return "run: expected 1 to 128 characters of A-Z a-z 0-9 . _ : -";
    }
    if (!config->layers || config->layer_count == 0) {
        return "layers: expected at least one";
    }
    for (size_t l = 0; l < config->layer_count; l++) {
        if (!config->layers[l].name || !config->layers[l].name[0]) {
            return "layers: each needs a name";
        }
        if (config->layers[l].n == 0) {
            return "layers: each needs n, its number of parameters";
        }
    }
    for (size_t i = 0; i < config->tag_count; i++) {
        if (!config->tags[i].key || !config->tags[i].value) {
            return "tags: each needs a key and a value";
        }
    }
    return NULL;
}

static void write_string(struct pyr_text *out, const char *key, const char *value) {
    if (value) {
        pyr_text_key(out, key);
        pyr_text_string(out, value);
    }
}

static void write_number(struct pyr_text *out, const char *key, double value) {
    pyr_text_key(out, key);
    pyr_text_number(out, value);
}

static void write_count(struct pyr_text *out, const char *key, uint64_t value) {
    if (value > 0) {
        pyr_text_key(out, key);
        pyr_text_unsigned(out, value);
    }
}

static void write_optimizer(struct pyr_text *out, const struct pyrometer_optimizer *o) {
    pyr_text_key(out, "optimizer");
    pyr_text_literal(out, "{");
    write_string(out, "name", o->name);
    write_number(out, "lr", o->lr);
    write_number(out, "momentum", o->momentum);
    if (o->betas[1] != 0) {
        pyr_text_key(out, "betas");
        pyr_text_literal(out, "[");
        pyr_text_number(out, o->betas[0]);
        pyr_text_literal(out, ",");
        pyr_text_number(out, o->betas[1]);
        pyr_text_literal(out, "]");
    }
    write_number(out, "weight_decay", o->weight_decay);
    if (o->nesterov) {
        pyr_text_key(out, "nesterov");
        pyr_text_literal(out, "true");
    }
    pyr_text_literal(out, "}");
}

static void write_init(struct pyr_text *out, const struct pyrometer_layer *layer) {
    pyr_text_key(out, "init");
    pyr_text_literal(out, "{");
    write_string(out, "distribution", layer->init_distribution);
    if (strcmp(layer->init_distribution, "normal") == 0) {
        write_number(out, "mean", layer->init[0]);
        write_number(out, "std", layer->init[1]);
    } else if (strcmp(layer->init_distribution, "uniform") == 0) {
        write_number(out, "low", layer->init[0]);
        write_number(out, "high", layer->init[1]);
    }
    pyr_text_literal(out, "}");
}

static void write_layers(struct pyr_text *out, const struct pyrometer_config *config) {
    pyr_text_key(out, "layers");
    for (size_t l = 0; l < config->layer_count; l++) {
        const struct pyrometer_layer *layer = &config->layers[l];
        pyr_text_literal(out, l == 0 ? "[{" : ",{");
        write_string(out, "name", layer->name);
        write_count(out, "n", layer->n);
        write_string(out, "kind", layer->kind);
        write_string(out, "activation", layer->activation);
        if (layer->init_distribution) {
            write_init(out, layer);
        }
        pyr_text_literal(out, "}");
    }
    pyr_text_literal(out, "]");
}

static void write_tags(struct pyr_text *out, const struct pyrometer_config *config) {
    pyr_text_key(out, "tags");
    pyr_text_literal(out, "{");
    for (size_t i = 0; i < config->tag_count; i++) {
        write_string(out, config->tags[i].key, config->tags[i].value);
    }
    pyr_text_literal(out, "}");
}

void pyr_hello_write(struct pyr_text *out, const struct pyrometer_config *config, const char *token,
                     bool first) {
    pyr_text_literal(out, "{\"type\":\"hello\",\"protocol\":1");
    write_string(out, "run", config->run);
    write_string(out, "token", token);
    write_string(out, "project", config->project);
    if (config->tag_count > 0) {
        write_tags(out, config);
    }
    write_string(out, "loss", config->loss);
    if (config->optimizer.name) {
        write_optimizer(out, &config->optimizer);
    }
    write_count(out, "batch_size", config->batch_size);
    write_count(out, "dataset_size", config->dataset_size);
    if (config->on_alert) {
        pyr_text_key(out, "notify");
        pyr_text_literal(out, "true");
    }
    pyr_text_key(out, "resume");
    if (config->rewind && first) {
        pyr_text_literal(out, "{\"rewind\":");
        pyr_text_integer(out, config->rewind_step);
        pyr_text_literal(out, "}");
    } else {
        pyr_text_literal(out, "\"continue\"");
    }
    write_layers(out, config);
    pyr_text_literal(out, "}\n");
}
