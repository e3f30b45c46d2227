#include "cli/tree.h"

#include <stdio.h>

#include "base/num.h"
#include "cli/text.h"

// A list is not followed for ever: a daemon whose cursor never ends must not fill our memory.
enum { PAGES_MAX = 10000, PAGE_LIMIT = 100 };

const cJSON *tree_member(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(item) ? NULL : item;
}

const char *tree_text(const cJSON *object, const char *key, const char *otherwise) {
    const cJSON *item = tree_member(object, key);
    return cJSON_IsString(item) ? item->valuestring : otherwise;
}

double tree_value(const cJSON *item) {
    double x;
    if (cJSON_IsNumber(item)) {
        return item->valuedouble;
    }
    if (cJSON_IsString(item) && num_parse_string(item->valuestring, &x)) {
        return x;
    }
    return num_missing();
}

double tree_number(const cJSON *object, const char *key) {
    return tree_value(tree_member(object, key));
}

double tree_figure(const cJSON *object, const char *key) {
    const cJSON *item = tree_member(object, key);
    return cJSON_IsObject(item) ? tree_number(item, "value") : tree_value(item);
}

double tree_loss(const cJSON *run) {
    double loss = tree_number(run, "loss");
    return num_is_missing(loss) ? tree_number(tree_member(run, "temperature"), "energy") : loss;
}

cJSON *tree_get(const struct cli *cli, const char *path, struct http_answer *answer) {
    if (http_get(cli, path, answer) < 0) {
        return NULL;
    }
    cJSON *tree = cJSON_Parse(buf_str(&answer->body));
    if (!tree) {
        snprintf(answer->error, sizeof answer->error, "%s%s answered something that is not JSON",
                 cli->url, path);
    }
    return tree;
}

static void join_page(cJSON *list, cJSON *page, const char *key) {
    cJSON *to = cJSON_GetObjectItemCaseSensitive(list, key);
    cJSON *from = cJSON_GetObjectItemCaseSensitive(page, key);
    if (cJSON_IsArray(to) && cJSON_IsArray(from)) {
        while (from->child) {
            cJSON_AddItemToArray(to, cJSON_DetachItemViaPointer(from, from->child));
        }
    }
    cJSON *cursor = cJSON_DetachItemFromObjectCaseSensitive(page, "next_cursor");
    if (cursor) {
        cJSON_ReplaceItemInObjectCaseSensitive(list, "next_cursor", cursor);
    }
}

// The next page's path; false at the end of the list.
static bool next_path(struct buf *path, const char *base, const cJSON *list) {
    const cJSON *cursor = tree_member(list, "next_cursor");
    buf_clear(path);
    buf_printf(path, "%slimit=%d&cursor=", base, PAGE_LIMIT);
    if (cJSON_IsString(cursor)) {
        http_put_escaped(path, cursor->valuestring);
    } else if (cJSON_IsNumber(cursor)) {
        buf_puts(path, text_count(cursor->valuedouble).s);
    } else {
        return false;
    }
    return true;
}

cJSON *tree_get_list(const struct cli *cli, const char *base, const char *key,
                     struct http_answer *answer) {
    struct buf path;
    buf_init(&path, (size_t)1 << 20);
    buf_printf(&path, "%slimit=%d", base, PAGE_LIMIT);
    cJSON *list = tree_get(cli, buf_str(&path), answer);
    for (int pages = 1; list && pages < PAGES_MAX && next_path(&path, base, list); pages++) {
        cJSON *page = tree_get(cli, buf_str(&path), answer);
        if (!page) {
            cJSON_Delete(list);
            list = NULL;
            break;
        }
        join_page(list, page, key);
        cJSON_Delete(page);
    }
    buf_free(&path);
    return list;
}

// cJSON prints some doubles a bit short; as raw text they keep every bit.
static void make_numbers_exact(cJSON *item) {
    for (; item; item = item->next) {
        if (cJSON_IsNumber(item)) {
            char text[NUM_TEXT_MAX];
            num_format(text, item->valuedouble);
            cJSON *raw = cJSON_CreateRaw(text);
            item->valuestring = raw->valuestring;
            item->type = cJSON_Raw;
            raw->valuestring = NULL;
            cJSON_Delete(raw);
        }
        make_numbers_exact(item->child);
    }
}

static void print_tree(const cJSON *tree, bool laid_out) {
    cJSON *copy = cJSON_Duplicate(tree, true);
    make_numbers_exact(copy);
    char *text = laid_out ? cJSON_Print(copy) : cJSON_PrintUnformatted(copy);
    if (text) {
        fputs(text, stdout);
    }
    cJSON_free(text);
    cJSON_Delete(copy);
}

void tree_print(const cJSON *tree) {
    print_tree(tree, true);
    putchar('\n');
}

void tree_put_line(const cJSON *tree) {
    print_tree(tree, false);
}

void tree_tell(cJSON *tree) {
    tree_put_line(tree);
    putchar('\n');
    fflush(stdout);
    cJSON_Delete(tree);
}

int tree_show(const struct cli *cli, cJSON *tree, struct http_answer *answer,
              void (*print)(const struct cli *cli, const cJSON *tree)) {
    int status = CLI_OK;
    if (!tree) {
        status = cli_fail("%s", answer->error);
    } else if (cli->json) {
        tree_print(tree);
    } else {
        print(cli, tree);
    }
    cJSON_Delete(tree);
    http_answer_free(answer);
    return status;
}
