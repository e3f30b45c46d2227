// Runs a program with a text as its standard input, on the loop, for a bounded time. Loop thread.
#ifndef DELIVERY_SPAWN_H
#define DELIVERY_SPAWN_H

#include <stddef.h>
#include <uv.h>

// `error` NULL: it ended with status 0; else what went wrong.
typedef void spawn_done_fn(void *context, const char *error);

struct spawned;

// argv and env end with NULL; env is the whole environment. Output goes where the daemon's goes.
// `done` is called once, later, also when the program cannot be started.
struct spawned *spawn(uv_loop_t *loop, char *const *argv, char *const *env, const char *text,
                      size_t size, spawn_done_fn *done, void *context);
// Kills it; `done` is not called any more.
void spawn_abandon(struct spawned *s);

#endif
