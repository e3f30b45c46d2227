// A message on its way to the daemon. A step is kept as a copy of its numbers, in one allocation,
// and becomes text only when it is sent, by the client's own thread: the job pays for a copy and no
// more.
#ifndef CLIENTS_C_MESSAGE_H
#define CLIENTS_C_MESSAGE_H

#include "clients/c/pyrometer.h"
#include "clients/c/text.h"

enum pyr_kind { PYR_STEP, PYR_EVENT, PYR_END };

struct pyr_step_copy;

struct pyr_message {
    struct pyr_message *next; // the queue's
    enum pyr_kind kind;
    int64_t step;       // of a step
    uint64_t index;     // 1, 2, 3, ... in the order of queueing
    uint64_t line;      // its number on the present connection, 0: not written yet
    bool is_line;       // a step that is kept as its line, not as a copy of its numbers
    bool scalars_apart; // of a step written as a frame: its scalars went before it, as line - 1
    size_t bytes;       // memory taken, this struct included
    union {
        struct pyr_step_copy *copy; // of a step, in the same allocation
        char *text;                 // else: the line, in the same allocation
    };
};

// NULL when memory is short. Free with free().
struct pyr_message *pyr_message_step(const struct pyrometer_step *step, size_t layer_count);
// `time_us`, microseconds since the epoch, tells it from all other events.
struct pyr_message *pyr_message_event(int64_t step, int64_t time_us, const char *name,
                                      const char *data_json);
struct pyr_message *pyr_message_end(const char *status);
// A line that was written before, with its line feed.
struct pyr_message *pyr_message_line(const char *line, size_t n);

// Whether the step can go as a frame (clients/c/frame.h): it has no loss_after, no val_loss and no
// statistic of the job's own. Its scalars, where it has some, then go before it in a line.
bool pyr_message_fits_frame(const struct pyr_message *m);
bool pyr_message_has_scalars(const struct pyr_message *m);
// Appends the message as a line, or as a frame behind the line of its scalars.
void pyr_message_write(const struct pyr_message *m, bool frame, struct pyr_text *out);

#endif
