// A run made up of a hello and series of numbers, as lines of the protocol.
#ifndef CLI_MADE_UP_H
#define CLI_MADE_UP_H

#include <stddef.h>

#include <cjson/cJSON.h>

#include "base/buf.h"

struct made_up;

// `hello` is as in the protocol, NULL or with what it lacks filled in: the run is then "test", with
// one layer "model" of 1000 parameters. `series` maps a step's members (loss, lr, ...),
// scalar.NAME, statistics (of every layer) and LAYER.STATISTIC to cli/series.h's notation.
// NULL with a message.
struct made_up *made_up_create(const cJSON *hello, const cJSON *series, struct buf *message);
void made_up_destroy(struct made_up *m);

size_t made_up_steps(const struct made_up *m); // as many as the longest series has values
// Lines without a newline; steps count from 0 and are a second apart.
void made_up_hello(const struct made_up *m, struct buf *line);
void made_up_step(const struct made_up *m, size_t step, struct buf *line);

#endif
