#include "delivery/receiver.h"

#include "alerts/alerts.h"
#include "base/memory.h"
#include "config/units.h"

#include <stdlib.h>
#include <string.h>

#define API_V2 "/api/v2/alerts"
#define BACKOFF_MAX_S 300.0

const char *receiver_kind_name(enum receiver_kind kind) {
    static const char *const names[] = {"webhook", "alertmanager", "command", "mail"};
    return names[kind];
}

static char *copy(const char *text) {
    char *c = must_copy(text);
    return c;
}

struct alert_record alert_copy(const struct alert_record *a) {
    struct alert_record c = *a;
    c.run_name = copy(a->run_name);
    c.project = copy(a->project);
    c.rule = copy(a->rule);
    c.layer = copy(a->layer);
    c.summary = copy(a->summary);
    c.labels = copy(a->labels);
    c.annotations = copy(a->annotations);
    c.group_rule = copy(a->group_rule);
    c.group_layer = copy(a->group_layer);
    c.receivers = NULL;
    return c;
}

// Alertmanager's own address is enough: the API's path is added.
static char *alertmanager_url(const char *url) {
    struct buf full;
    buf_init(&full, LIMIT_CONFIG_TEXT + sizeof API_V2);
    const char *at = strstr(url, "://");
    const char *path = at ? strchr(at + 3, '/') : NULL;
    buf_put(&full, url, strlen(url) - (path && !path[1]));
    if (!path || !path[1]) {
        buf_puts(&full, API_V2);
    }
    char *text = copy(buf_str(&full));
    buf_free(&full);
    return text;
}

static struct receiver *create(enum receiver_kind kind, const char *address, bool is_secret) {
    struct receiver *r = NEW(struct receiver);
    r->kind = kind;
    r->last = &r->first;
    r->url = kind == RECEIVER_ALERTMANAGER ? alertmanager_url(address) : copy(address);
    struct buf name;
    buf_init(&name, LIMIT_CONFIG_TEXT + 64);
    buf_printf(&name, "%s ", receiver_kind_name(kind));
    post_put_public_url(&name, r->url, is_secret);
    r->name = copy(buf_str(&name));
    buf_free(&name);
    return r;
}

static void drop_notices(struct receiver *r) {
    while (r->first) {
        receiver_drop_notice(r, &r->first);
    }
}

void receiver_destroy(struct receiver *r) {
    drop_notices(r);
    if (r->spawned) {
        spawn_abandon(r->spawned);
    }
    if (r->secret) {
        explicit_bzero(r->secret, strlen(r->secret));
    }
    free(r->name);
    free(r->url);
    free(r->token);
    free(r->secret);
    free(r->sender);
    free(r->program);
    free(r);
}

static void swap(char **a, char **b) {
    char *kept = *a;
    *a = *b;
    *b = kept;
}

void receiver_change(struct receiver *r, struct receiver *with) {
    swap(&r->url, &with->url);
    swap(&r->token, &with->token);
    swap(&r->secret, &with->secret);
    swap(&r->sender, &with->sender);
    swap(&r->program, &with->program);
    r->severity_from = with->severity_from;
    r->resend_s = with->resend_s;
    r->retry_at_s = 0;
}

static int severity_from(unsigned own, const struct config *config) {
    unsigned configured = own == CONFIG_SEVERITY_UNSET ? config->alerts.severity_from : own;
    return (int)(configured - CONFIG_SEVERITY_INFO);
}

static int read_secret(const char *path, size_t i, const char *key, char **text,
                       struct buf *messages) {
    struct buf why;
    buf_init(&why, 4096);
    int rc = path ? config_read_token(path, text, &why) : 0;
    if (why.len) {
        buf_printf(messages, "alerts.webhooks[%zu].%s: %s", i, key, buf_str(&why));
    }
    buf_free(&why);
    return rc;
}

// The entry's address, its own copy; from its file where that has it.
static int read_url(const struct config_webhook *w, size_t i, char **url, struct buf *messages) {
    if (!w->url_file) {
        *url = copy(w->url);
        return 0;
    }
    int rc = read_secret(w->url_file, i, "url_file", url, messages);
    if (rc == 0 && !units_is_url(*url)) {
        buf_printf(messages,
                   "alerts.webhooks[%zu].url_file: %s: is not one URL; expected one, such as "
                   "http://host:9093/path\n",
                   i, w->url_file);
        rc = -1;
    }
    if (rc) {
        free(*url);
    }
    return rc;
}

static int add_webhook(const struct config *c, size_t i, struct receiver ***last,
                       struct buf *messages) {
    const struct config_webhook *w = &c->alerts.webhooks[i];
    char *url;
    if (read_url(w, i, &url, messages)) {
        return -1;
    }
    struct receiver *r =
        create(w->format == CONFIG_FORMAT_GENERIC ? RECEIVER_WEBHOOK : RECEIVER_ALERTMANAGER, url,
               w->url_file != NULL);
    free(url);
    **last = r;
    *last = &r->next;
    r->severity_from = severity_from(w->severity_from, c);
    r->resend_s = w->resend_s;
    return read_secret(w->token_file, i, "token_file", &r->token, messages) ||
                   read_secret(w->secret_file, i, "secret_file", &r->secret, messages)
               ? -1
               : 0;
}

static void add_programs(const struct config *c, struct receiver ***last) {
    if (c->alerts.command) {
        struct receiver *r = create(RECEIVER_COMMAND, c->alerts.command, false);
        r->severity_from = severity_from(CONFIG_SEVERITY_UNSET, c);
        **last = r;
        *last = &r->next;
    }
    if (c->alerts.mail_to) {
        struct receiver *r = create(RECEIVER_MAIL, c->alerts.mail_to, false);
        free(r->name); // an address is no URL: nothing of it is left out
        struct buf name;
        buf_init(&name, LIMIT_CONFIG_TEXT + 64);
        buf_printf(&name, "mail %s", c->alerts.mail_to);
        r->name = copy(buf_str(&name));
        buf_free(&name);
        r->sender = copy(c->alerts.mail_from);
        r->program = copy(c->alerts.sendmail);
        r->severity_from = severity_from(CONFIG_SEVERITY_UNSET, c);
        **last = r;
        *last = &r->next;
    }
}

// Addresses that differ in what a name leaves out are told apart by a number.
static void number_names(struct receiver *first) {
    for (struct receiver *r = first; r; r = r->next) {
        unsigned n = 1;
        for (struct receiver *before = first; before != r; before = before->next) {
            n += strncmp(before->name, r->name, strlen(r->name)) == 0 &&
                 strchr(" ", before->name[strlen(r->name)]) != NULL;
        }
        if (n > 1) {
            struct buf name;
            buf_init(&name, LIMIT_CONFIG_TEXT + 80);
            buf_printf(&name, "%s #%u", r->name, n);
            free(r->name);
            r->name = copy(buf_str(&name));
            buf_free(&name);
        }
    }
}

static void destroy_all(struct receiver *first) {
    while (first) {
        struct receiver *next = first->next;
        receiver_destroy(first);
        first = next;
    }
}

int receivers_create(const struct config *config, struct receiver **first, struct buf *messages) {
    struct receiver **last = first;
    int rc = 0;
    *first = NULL;
    for (size_t i = 0; i < config->alerts.n_webhooks && rc == 0; i++) {
        rc = add_webhook(config, i, &last, messages);
    }
    if (rc == 0) {
        add_programs(config, &last);
        number_names(*first);
        return 0;
    }
    destroy_all(*first);
    *first = NULL;
    return -1;
}

int receivers_check(const struct config *config, struct buf *messages) {
    struct receiver *first;
    int rc = receivers_create(config, &first, messages);
    destroy_all(first);
    return rc;
}

struct notice *receiver_add_notice(struct receiver *r, int64_t id, const struct alert_record *a) {
    struct notice *n = NEW(struct notice);
    n->id = id;
    n->alert = alert_copy(a);
    *r->last = n;
    r->last = &n->next;
    r->n_waiting++;
    return n;
}

void receiver_drop_notice(struct receiver *r, struct notice **at) {
    struct notice *n = *at;
    *at = n->next;
    r->last = n->next ? r->last : at;
    r->n_waiting--;
    alert_record_free(&n->alert);
    free(n);
}

void receiver_wait(struct receiver *r, double now_s, double retry_after_s) {
    r->retry_at_s = now_s + post_pause_s(r->failures, BACKOFF_MAX_S, retry_after_s);
}

void receiver_emit(struct emit *e, const struct receiver *r) {
    emit_object(e, NULL);
    emit_text(e, "receiver", r->name);
    emit_text(e, "kind", receiver_kind_name(r->kind));
    emit_text(e, "severity_from", severity_name((enum severity)r->severity_from));
    emit_integer(e, "waiting", (int64_t)r->n_waiting);
    emit_integer(e, "delivered", (int64_t)r->n_delivered);
    emit_integer(e, "refused", (int64_t)r->n_refused);
    emit_integer(e, "failures", (int64_t)r->n_failed);
    emit_time(e, "last_delivered", r->delivered_s);
    emit_time(e, "last_failure", r->failed_s);
    emit_text(e, "last_error", *r->error ? r->error : NULL);
    emit_end(e);
}

struct receiver *receiver_find(struct receiver *first, const char *name, size_t len) {
    for (struct receiver *r = first; r; r = r->next) {
        if (!r->gone && strlen(r->name) == len && memcmp(r->name, name, len) == 0) {
            return r;
        }
    }
    return NULL;
}
