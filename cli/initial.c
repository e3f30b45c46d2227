#include "cli/initial.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"

struct cursor {
    const char *at;
    const char *expected; // what was not found at `at`; NULL while all is well
};

static bool take(struct cursor *c, const char *word) {
    size_t n = strlen(word);
    if (strncmp(c->at, word, n) != 0) {
        return false;
    }
    c->at += n;
    return true;
}

static void need(struct cursor *c, const char *word, const char *expected) {
    if (!c->expected && !take(c, word)) {
        c->expected = expected;
    }
}

static double need_number(struct cursor *c, const char *expected) {
    double x = 0;
    if (c->expected) {
        return x;
    }
    size_t n = num_parse(c->at, c->at + strlen(c->at), &x);
    if (n == 0) {
        c->expected = expected;
    }
    c->at += n;
    return x;
}

static void parse_part(struct cursor *c, struct reference_part *part) {
    if (c->expected) {
        return;
    }
    if (take(c, "constant:")) {
        part->draw = REFERENCE_CONSTANT;
        part->a = need_number(c, "a number");
        return;
    }
    bool uniform = take(c, "uniform:");
    part->draw = uniform ? REFERENCE_UNIFORM : REFERENCE_NORMAL;
    if (!uniform) {
        need(c, "normal:", "normal:MEAN,STD, uniform:LOW,HIGH or constant:VALUE");
    }
    part->a = need_number(c, uniform ? "the low end, a number" : "the mean, a number");
    need(c, ",", "a comma and a second number");
    part->b =
        need_number(c, uniform ? "the high end, a number" : "the standard deviation, a number");
}

static void parse_parts(struct cursor *c, struct reference_init *init) {
    do {
        if (init->count == REFERENCE_PARTS_MAX) {
            c->expected = "at most 8 parts";
            return;
        }
        struct reference_part *part = &init->parts[init->count++];
        part->weight =
            need_number(c, init->mixing == REFERENCE_BLOCKS ? "how many parameters the block has"
                                                            : "the share of a part, a number");
        need(c, "*", "'*' and a part such as normal:0,1");
        parse_part(c, part);
    } while (!c->expected && take(c, "+"));
}

bool initial_parse(struct reference_init *init, const char *text, char error[INITIAL_ERROR_MAX]) {
    struct cursor c = {.at = text};
    *init = (struct reference_init){.mixing = REFERENCE_MIXTURE};
    if (take(&c, "mixed:")) {
        parse_parts(&c, init);
    } else if (take(&c, "blocks:")) {
        init->mixing = REFERENCE_BLOCKS;
        parse_parts(&c, init);
    } else {
        init->count = 1;
        init->parts[0].weight = 1;
        parse_part(&c, &init->parts[0]);
    }
    if (!c.expected && *c.at) {
        c.expected = "the end";
    }
    if (c.expected) {
        snprintf(error, INITIAL_ERROR_MAX, "expected %s at character %td, found '%.40s'",
                 c.expected, c.at - text + 1, c.at);
        return false;
    }
    const char *wrong = reference_init_check(init);
    if (wrong) {
        snprintf(error, INITIAL_ERROR_MAX, "%s", wrong);
    }
    return !wrong;
}
