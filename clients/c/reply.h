// What the daemon says: one flat JSON object a line. Only the members below are kept.
#ifndef CLIENTS_C_REPLY_H
#define CLIENTS_C_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PYR_REPLY_WORD_MAX = 64, PYR_REPLY_MESSAGE_MAX = 384 };

struct pyr_reply {
    char type[PYR_REPLY_WORD_MAX]; // strings too long are cut
    char code[PYR_REPLY_WORD_MAX];
    char message[PYR_REPLY_MESSAGE_MAX];
    int64_t step;      // INT64_MIN: absent
    int64_t last_step; // INT64_MIN: absent
    int64_t line;      // INT64_MIN: absent
    int64_t frames;    // version of binary frames that the daemon reads; INT64_MIN: none
    bool fatal;
    bool unstored; // of a pong: something that came before its ping is not on disk
};

// Reads the line [text, text + n). False when it is no JSON object with a type.
bool pyr_reply_parse(struct pyr_reply *reply, const char *text, size_t n);

#endif
