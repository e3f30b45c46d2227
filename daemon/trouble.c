#include "daemon/trouble.h"

#include "daemon/op.h"

#include <stdlib.h>

void trouble_tell(struct conn *c) {
    if (!c->app->trouble) {
        return;
    }
    struct wire_error error;
    wire_fail(
        &error, WIRE_OVERLOADED,
        "steps cannot be stored at the moment: %.200s; they are kept and acknowledged once it "
        "works again",
        c->app->trouble);
    error.fatal = false;
    conn_warn(c, &error);
}

void trouble_note(struct app *app, const char *reason) {
    bool is_news = reason && !app->trouble, is_over = !reason && app->trouble;
    board_set_trouble(app->board, reason);
    if (is_news || is_over) {
        delivery_trouble(app->delivery);
    }
    free(app->trouble);
    app->trouble = op_text(reason);
    for (struct conn *c = app->conns; is_news && c; c = c->next) {
        if ((c->run || c->rank) && !c->ending && !uv_is_closing(&c->handle)) {
            trouble_tell(c);
        }
    }
}
