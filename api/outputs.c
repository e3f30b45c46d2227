#include "api/outputs.h"

#include "probes/output_probe.h"
#include "probes/student.h"
#include "runs/walk.h"
#include "wire/outputs.h"

#include <math.h>
#include <string.h>

#define LEAD "outputs."

static const char *const names[] = {"entropy", "total_variation", "jensen_shannon"};
#define COUNT (sizeof names / sizeof *names)

bool outputs_find(const char *name, unsigned *id) {
    if (strncmp(name, LEAD, strlen(LEAD)) != 0) {
        return false;
    }
    for (*id = 0; *id < COUNT; ++*id) {
        if (strcmp(name + strlen(LEAD), names[*id]) == 0) {
            return true;
        }
    }
    return false;
}

void outputs_print_metrics(struct buf *out) {
    for (size_t i = 0; i < COUNT; i++) {
        buf_printf(out, ", " LEAD "%s", names[i]);
    }
}

static bool add(struct selection *s, const struct output_probe *p) {
    const double values[] = {p->entropy.value, p->total_variation.value, p->jensen_shannon.value};
    for (size_t i = 0; i < COUNT; i++) {
        if (!select_add_output(s, (unsigned)i, p->step, values[i])) {
            return false;
        }
    }
    return true;
}

// What no daemon stores but a damaged store may have is left out.
static bool observe(struct output_probe *p, const struct outputs_record *record) {
    struct outputs o = {0};
    struct wire_error error;
    struct phase_change change;
    bool changed;
    bool good =
        outputs_parse(&o, record->line, strlen(record->line), &error) == 0 &&
        output_probe_add(p, o.step, o.bins, o.n_bins, o.counts, o.n_counts, &change, &changed);
    outputs_free(&o);
    return good;
}

int outputs_draw(struct selection *s, struct reader *reader, int64_t run, int64_t from,
                 int64_t to) {
    struct walk_options options = {.outputs = true, .no_steps = true};
    struct walk *w;
    if (walk_open(&w, reader, run, &options)) {
        return -1;
    }
    struct output_probe p = {0};
    enum walk_item item = WALK_END;
    int rc = 0;
    while (rc == 0 && (item = walk_next(w)) > WALK_END) {
        if (item == WALK_ATTEMPT) {
            output_probe_begin(&p);
        } else if (item == WALK_OUTPUTS && observe(&p, walk_outputs(w))) {
            bool shown = p.step >= from && p.step <= to && p.step <= walk_last_in_force(w);
            rc = shown && !add(s, &p) ? 1 : 0;
        }
    }
    output_probe_free(&p);
    walk_close(w);
    return item == WALK_ERROR ? -1 : rc;
}

static void emit_figure(struct emit *e, const char *name, const struct distribution_figure *f,
                        double most) {
    emit_object(e, name);
    if (f->reason) {
        emit_null(e, "value");
        emit_text(e, "reason", f->reason);
    } else {
        emit_number(e, "value", f->value);
        emit_number(e, "low", fmax(f->value - NORMAL_975 * f->error, 0));
        emit_number(e, "high", fmin(f->value + NORMAL_975 * f->error, most));
        if (f->floor > 0) {
            emit_number(e, "floor", f->floor);
        }
    }
    emit_end(e);
}

void outputs_emit(struct emit *e, const struct snapshot *s) {
    if (s->outputs.windows == 0) {
        emit_null(e, "outputs");
        return;
    }
    emit_object(e, "outputs");
    emit_step(e, "step", s->outputs.step);
    emit_integer(e, "windows", (int64_t)s->outputs.windows);
    emit_integer(e, "bins", (int64_t)s->outputs.n_counts);
    emit_figure(e, names[OUTPUTS_ENTROPY], &s->outputs.entropy, log((double)s->outputs.n_counts));
    emit_figure(e, names[OUTPUTS_TOTAL_VARIATION], &s->outputs.total_variation, 1);
    emit_figure(e, names[OUTPUTS_JENSEN_SHANNON], &s->outputs.jensen_shannon, M_LN2);
    emit_end(e);
}
