// A recorded run judged here and now, by the same thermometers and rules as in the daemon: what
// would have fired, and when. Fed line by line; asks no daemon.
#ifndef CLI_JUDGE_H
#define CLI_JUDGE_H

#include "alerts/alerts.h"
#include "base/buf.h"
#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// An alert that fired. Strings belong to the judge.
struct verdict {
    const char *rule, *layer, *group_rule, *group_layer; // layers: NULL for the whole run
    enum severity severity;                              // the highest it had
    int64_t since, step, group_since;
    int64_t warned;   // the step from which on it was at least a warning, -1 where it never was
    int64_t resolved; // the step, -1 while it fires
    double value, threshold;
    char *summary;
};

struct judge;

// Holds the ruleset.
struct judge *judge_create(struct ruleset *rules);
void judge_destroy(struct judge *j);
// One message of the line protocol, without its newline. 0, or -1 with a message: the line is then
// left out and the next may be given.
WARN_UNUSED int judge_line(struct judge *j, const char *line, size_t len, struct buf *message);

const char *judge_run(const struct judge *j); // its name, "" before the hello
uint64_t judge_steps(const struct judge *j);
int64_t judge_last(const struct judge *j); // the newest step, -1 before the first
// What fired so far, in the order of firing.
size_t judge_count(const struct judge *j);
const struct verdict *judge_verdict(const struct judge *j, size_t i);

#endif
