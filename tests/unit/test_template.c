// Annotations that name what they are about.
#include "alerts/template.h"

#include "base/num.h"
#include "tests/unit/support/support.h"

#include <math.h>

static struct template_facts facts = {.alertname = "hot",
                                      .run = "resnet-7",
                                      .layer = "fc1",
                                      .severity = "warning",
                                      .labels = "team=vi=sion\nteams=both\n",
                                      .value = 0.25,
                                      .threshold = INFINITY,
                                      .step = 812};

static void check(const char *text, const char *wanted) {
    struct buf out, error;
    buf_init(&out, 4096);
    buf_init(&error, 4096);
    int rc = template_fill(text, &facts, &out, &error);
    if (wanted) {
        ck_assert_msg(rc == 0, "%s: %s", text, buf_str(&error));
        ck_assert_str_eq(buf_str(&out), wanted);
    } else {
        ck_assert_msg(rc == -1 && error.len > 0, "%s: %s", text, buf_str(&out));
    }
    buf_free(&out);
    buf_free(&error);
}

START_TEST(test_names) {
    check("", "");
    check("as it stands: }} $value {", "as it stands: }} $value {");
    check("{{ $labels.layer }} of {{$labels.run}} is at {{  $value  }}!",
          "fc1 of resnet-7 is at 0.25!");
    check("{{$labels.alertname}}{{$labels.severity}}{{$labels.project}}", "hotwarning");
    check("{{ $threshold }} {{ $step }}", "Infinity 812");
    check("{{ $labels.team }}, {{ $labels.teams }}", "vi=sion, both");
}
END_TEST

START_TEST(test_what_is_no_name) {
    static const char *const bad[] = {"{{",
                                      "{{ $value",
                                      "{{}}",
                                      "{{ value }}",
                                      "{{ $labels }}",
                                      "{{ $labels. }}",
                                      "{{ $labels.lyer }}",
                                      "{{ $labels.tea }}",
                                      "{{ $value | humanize }}",
                                      "{{ $values }}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        check(bad[i], NULL);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_names, test_what_is_no_name};
    return run_suite(suite_of("template", tests, COUNT(tests)));
}
