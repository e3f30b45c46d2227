#include "cli/window.h"

#include "base/check.h"

void window_clear(struct window *window) {
    window->first = window->count = 0;
    window->acknowledged = window->refused = 0;
}

void window_add(struct window *window, uint64_t line, double step) {
    CHECK(window->count < WINDOW_MAX);
    size_t i = (window->first + window->count) % WINDOW_MAX;
    window->entries[i].line = line;
    window->entries[i].step = step;
    window->entries[i].refused = false;
    window->count++;
}

static void drop_first(struct window *window) {
    window->first = (window->first + 1) % WINDOW_MAX;
    window->count--;
}

static void drop_refused(struct window *window) {
    while (window->count && window->entries[window->first].refused) {
        drop_first(window);
    }
}

void window_acknowledge(struct window *window, double step) {
    drop_refused(window);
    while (window->count && window->entries[window->first].step <= step) {
        window->acknowledged++;
        drop_first(window);
        drop_refused(window);
    }
}

void window_refuse(struct window *window, uint64_t line) {
    for (size_t k = 0; k < window->count; k++) {
        size_t i = (window->first + k) % WINDOW_MAX;
        if (window->entries[i].line == line && !window->entries[i].refused) {
            window->entries[i].refused = true;
            window->refused++;
            break;
        }
    }
    drop_refused(window);
}
