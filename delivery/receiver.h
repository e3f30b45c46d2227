// One place that alerts are sent to, as the configuration names it. Loop thread.
#ifndef DELIVERY_RECEIVER_H
#define DELIVERY_RECEIVER_H

#include "api/emit.h"
#include "config/config.h"
#include "delivery/post.h"
#include "delivery/spawn.h"
#include "storage/record.h"

enum receiver_kind {
    RECEIVER_WEBHOOK,      // a POST a change, Alertmanager's webhook version 4
    RECEIVER_ALERTMANAGER, // everything that fires, again and again, to Alertmanager's API v2
    RECEIVER_COMMAND,      // a program, the webhook's body on its standard input
    RECEIVER_MAIL          // sendmail
};
const char *receiver_kind_name(enum receiver_kind kind);

// A change that waits to be sent.
struct notice {
    struct notice *next;
    int64_t id;   // in the outbox; 0: a test, which is not stored
    bool sending; // part of what is under way
    bool held;    // by a silence or a graver first alert, when last looked at
    struct alert_record alert;
};

struct receiver {
    struct receiver *next;
    struct delivery *delivery;
    enum receiver_kind kind;
    char *name;    // of the outbox's rows: kind and address, without what is secret; no two alike
    char *url;     // or the program, or the mail's address
    char *token;   // Authorization: Bearer; NULL: none
    char *secret;  // signs webhooks; NULL: they are not signed
    char *sender;  // of mails; NULL: sendmail's own
    char *program; // of mails
    int severity_from; // enum severity; less severe alerts are not sent
    double resend_s;   // Alertmanager
    struct notice *first, **last;
    size_t n_waiting;
    // What is under way.
    bool sending, gone; // gone: not in the configuration any more, freed when it is done
    struct spawned *spawned;
    double resend_at_s; // Alertmanager, monotonic
    // After failures.
    unsigned failures; // in a row
    double retry_at_s; // monotonic
    // For people.
    uint64_t n_delivered, n_failed, n_refused;
    double delivered_s, failed_s; // the newest, seconds since the epoch; 0: never
    char error[200];
};

// A receiver for each that the configuration names, in a list; files with secrets are read. 0, or
// -1 with a message.
int receivers_create(const struct config *config, struct receiver **first,
                     struct buf *messages) WARN_UNUSED;
// Whether that would do: the files are read, nothing is kept. 0, or -1 with a message.
int receivers_check(const struct config *config, struct buf *messages) WARN_UNUSED;
void receiver_destroy(struct receiver *r);
// The one of that name that the configuration still names; NULL when there is none.
struct receiver *receiver_find(struct receiver *first, const char *name, size_t len);
// Exchanges what the configuration says of two receivers of one name. The next try is at once.
void receiver_change(struct receiver *r, struct receiver *with);

struct notice *receiver_add_notice(struct receiver *r, int64_t id, const struct alert_record *a);
// Takes a notice out of the list and frees it; *at points to it.
void receiver_drop_notice(struct receiver *r, struct notice **at);

// After a failure: no try before a while, which grows with the failures in a row, or before what
// the answer asked for. now_s: monotonic.
void receiver_wait(struct receiver *r, double now_s, double retry_after_s);
// What people see of it.
void receiver_emit(struct emit *e, const struct receiver *r);

// A copy with strings of its own.
struct alert_record alert_copy(const struct alert_record *a);

#endif
