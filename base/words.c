#include "base/words.h"

#include <string.h>

const char *words_find(const char *lines, const char *key, size_t key_len, size_t *len) {
    for (const char *line = lines ? lines : ""; *line;) {
        size_t n = strcspn(line, "\n");
        if (n > key_len && memcmp(line, key, key_len) == 0 && line[key_len] == '=') {
            *len = n - key_len - 1;
            return line + key_len + 1;
        }
        line += n + (line[n] == '\n');
    }
    return NULL;
}
