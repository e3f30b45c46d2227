// The steps of one connection that were sent and not yet answered, in the order they were sent. A
// step leaves when an acknowledgement covers it or an error names its line.
#ifndef CLI_WINDOW_H
#define CLI_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// As many steps may be unanswered before sending waits.
enum { WINDOW_MAX = 1 << 15 };

struct window {
    struct {
        uint64_t line; // of the connection, from 1
        double step;
        bool refused;
    } entries[WINDOW_MAX]; // a ring
    size_t first;
    size_t count;
    uint64_t acknowledged, refused; // since the window was last cleared
};

void window_clear(struct window *window);
// The caller has seen that there is room (count < WINDOW_MAX).
void window_add(struct window *window, uint64_t line, double step);
// Every step up to this one is on disk.
void window_acknowledge(struct window *window, double step);
// The daemon dropped this line. Lines that hold no step are none of the window's business.
void window_refuse(struct window *window, uint64_t line);

#endif
