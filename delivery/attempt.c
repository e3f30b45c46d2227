#include "delivery/attempt.h"

#include "base/clock.h"
#include "delivery/environment.h"
#include "delivery/payload.h"

#include <stdio.h>
#include <string.h>

extern char **environ;

void attempt_post(struct receiver *r, struct poster *poster, const struct buf *body,
                  const struct alert_record *a, post_done_fn *done) {
    char authorization[LIMIT_TOKEN_BYTES + 32], signature[160], key[96], key_text[64];
    const char *headers[6] = {"Content-Type: application/json"};
    size_t n = 1;
    if (r->token) {
        snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", r->token);
        headers[n++] = authorization;
    }
    if (r->secret) {
        char text[128];
        payload_signature(r->secret, clock_wall_s(), body, text);
        snprintf(signature, sizeof signature, "X-Pyrometer-Signature: %s", text);
        headers[n++] = signature;
    }
    if (a) {
        payload_idempotency_key(a, key_text);
        snprintf(key, sizeof key, "Idempotency-Key: %s", key_text);
        headers[n++] = key;
    }
    headers[n] = NULL;
    struct post p = {.url = r->url, .headers = headers, .body = body->data, .size = body->len};
    poster_send(poster, &p, done, r);
    explicit_bzero(authorization, sizeof authorization);
}

void attempt_command(struct receiver *r, uv_loop_t *loop, const struct buf *body,
                     const struct alert_record *a, spawn_done_fn *done) {
    char **env = environment_of(a);
    char *argv[] = {r->url, NULL};
    r->spawned = spawn(loop, argv, env, body->data, body->len, done, r);
    environment_free(env);
}

void attempt_mail(struct receiver *r, uv_loop_t *loop, const struct buf *body,
                  spawn_done_fn *done) {
    char at_once[] = "-t", no_dots[] = "-i";
    char *argv[] = {r->program, at_once, no_dots, NULL};
    r->spawned = spawn(loop, argv, environ, body->data, body->len, done, r);
}
