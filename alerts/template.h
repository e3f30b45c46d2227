// Annotations that name what they are about, as those of Prometheus' rules do:
//
//     layer {{ $labels.layer }} is at {{ $value }}
//
// Substitution only: no functions, no conditions.
#ifndef ALERTS_TEMPLATE_H
#define ALERTS_TEMPLATE_H

#include "base/buf.h"
#include "base/check.h"

#include <stdint.h>

// What an annotation may name. Texts may be NULL, for nothing.
struct template_facts {
    const char *alertname, *run, *project, *layer, *severity; // $labels.alertname, ...
    const char *labels; // the rule's own, as lines of base/words.h: $labels.NAME as well
    double value, threshold;
    int64_t step;
};

// Appends the text with its names replaced. -1 with a reason when it names what is not there: what
// was appended is then of no use.
int template_fill(const char *text, const struct template_facts *facts, struct buf *out,
                  struct buf *error) WARN_UNUSED;

#endif
