#include "daemon/alarm.h"

#include "api/alerts.h"
#include "daemon/conn.h"
#include "daemon/live.h"

#include <string.h>

#define MESSAGE_BYTES_MAX (ALERT_BYTES_MAX + 64)
// A job that does not take its replies is not told of further alerts; the API has them all.
#define UNREAD_BYTES_MAX 262144

static bool is_told(const struct conn *c, const char *run) {
    return c->notify && c->run && !c->ending && c->out.len < UNREAD_BYTES_MAX &&
           strcmp(c->run->run->record.name, run) == 0;
}

// {"type":"alert", and the alert's members as the API shows them}
static void tell_jobs(struct app *app, const struct alert_record *a) {
    struct buf json;
    buf_init(&json, MESSAGE_BYTES_MAX);
    buf_puts(&json, "{\"type\":\"alert\",");
    size_t start = json.len;
    alert_json(a, &json);
    memmove(json.data + start, json.data + start + 1, json.len - start - 1); // its brace
    json.len--;
    buf_putc(&json, '\n');
    struct conn *next;
    for (struct conn *c = app->conns; c && !json.failed; c = next) {
        next = c->next;
        if (is_told(c, a->run_name)) {
            conn_send(c, json.data, json.len);
        }
    }
    buf_free(&json);
}

void alarm_written(struct app *app, const struct alert_record *a) {
    delivery_alert(app->delivery, a);
    if (a->id && a->state != ALERT_PENDING) {
        tell_jobs(app, a);
    }
}

void alarm_delivered(void *context, int64_t notice) {
    struct app *app = context;
    struct op *op = op_create(OP_NOTICE_DONE, 0, 0, 0, NULL, 0);
    op->notice = notice;
    writer_push(app->writer, op);
}
