#!/bin/bash
# Every test of the checkout; the last line is `N passed, N failed`. What `make check` calls.
#
#   tests/run.sh            unit tests and end-to-end tests, plain and under ASan+UBSan, and the Python client's tests
#   tests/run.sh valgrind   unit tests and one module of the end-to-end tests under valgrind
#   tests/run.sh threads    the C client's unit tests and its end-to-end tests under ThreadSanitizer
#
# Quiet while all is well: a line a suite, which ends in `N passed, N failed, N skipped`; these are added up.

set -u
cd "$(dirname "$0")/.." || exit 1
results=$(mktemp -d "${TMPDIR:-/tmp}/pyrometer-check.XXXXXX")
trap 'rm -rf "$results"' EXIT
export PYTHONDONTWRITEBYTECODE=1
export ASAN_OPTIONS="detect_leaks=1:detect_stack_use_after_return=1"
export UBSAN_OPTIONS="print_stacktrace=1"
valgrind=(valgrind --quiet --error-exitcode=99 --leak-check=full)

# build MODE [TARGET...]: the programs and the unit tests; what the compiler said is shown when it fails.
build() {
    [ $# -gt 1 ] || set -- "$1" all unit-tests
    if ! make --no-print-directory -j2 MODE="$1" "${@:2}" >"$results/make.$1" 2>&1; then
        cat "$results/make.$1"
        echo "build, $1: 0 passed, 1 failed, 0 skipped"
        return 1
    fi
}

# report TITLE PASSED FAILED SKIPPED: the line that is added up; a suite in which nothing ran has failed.
report() {
    if [ $(($2 + $3 + $4)) -eq 0 ]; then
        echo "FAILED $1: no tests"
        set -- "$1" 0 1 0
    fi
    echo "$1: $2 passed, $3 failed, $4 skipped"
}

# counts FILE: the checks that passed and failed by libcheck's summary lines.
counts() {
    sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\).*/\1 \2 \3/p' "$1" |
        awk '{ all += $1; bad += $2 + $3 } END { print all - bad, bad + 0 }'
}

# units TITLE DIRECTORY [WRAPPER...]: runs each unit test program there; one that crashes or hangs is one failure more.
units() {
    local title=$1 directory=$2 passed=0 failed=0 good bad program output status
    shift 2
    for program in "$directory"/test_*; do
        if ! [ -f "$program" ] || ! [ -x "$program" ]; then
            continue # objects and dependency files lie there too
        fi
        output=$results/$title.$(basename "$program")
        timeout --foreground 600 "$@" "$program" >"$output" 2>&1 </dev/null
        status=$?
        read -r good bad < <(counts "$output")
        if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
            bad=1
        fi
        if [ "$bad" -ne 0 ]; then
            echo "FAILED $program (exit $status)"
            cat "$output"
        fi
        passed=$((passed + good)) failed=$((failed + bad))
    done
    report "unit tests, $title" "$passed" "$failed" 0
}

# suite TITLE DIRECTORY [MODULE...]: Python tests.
suite() {
    counted "$1" python3 tests/e2e/suite.py "$@"
}

# counted TITLE COMMAND...: tests that say their counts in their last line; a suite that dies before it is one failure.
counted() {
    local output last
    output=$results/suite.$(echo "$1" | tr -c 'a-z0-9\n' _)
    timeout --foreground 1500 "${@:2}" >"$output" 2>&1 </dev/null
    last=$(tail -n 1 "$output")
    if [[ $last =~ ' '([0-9]+)' passed, '([0-9]+)' failed, '([0-9]+)' skipped'$ ]]; then
        sed '$d' "$output"
        report "$1" "${BASH_REMATCH[@]:1}"
    else
        cat "$output"
        report "$1" 0 1 0
    fi
}

# python_with NAME: a Python that has that module; Debian's own has what scripts/deps.sh installs.
python_with() {
    local python
    for python in python3 /usr/bin/python3; do
        if "$python" -c "import $1" 2>/dev/null; then
            break
        fi
    done
    echo "$python"
}

plain() {
    build release || return
    units plain build/obj/tests
    PYROMETERD=build suite "end to end, plain" tests/e2e
    PYROMETERD=build PYTHONPATH=clients/python counted "Python client" "$(python_with torch)" tests/e2e/suite.py \
        "Python client" clients/python/tests
    PYROMETERD=build counted "dashboard, Chromium" node tests/web/main.mjs
}

sanitized() {
    build asan || return
    CK_FORK=no units "ASan+UBSan" build/asan/tests
    PYROMETERD=build/asan suite "end to end, ASan+UBSan" tests/e2e
}

under_valgrind() {
    build release || return
    CK_FORK=no CK_TIMEOUT_MULTIPLIER=50 units valgrind build/obj/tests "${valgrind[@]}"
    PYROMETERD=build PYROMETERD_WRAPPER="${valgrind[*]}" suite "end to end, valgrind" tests/e2e test_resume
}

# The daemon that the job talks to is a plain one. Without randomised addresses, which this sanitizer may not bear.
under_tsan() {
    build release all && build tsan client-tests || return
    CK_FORK=no CK_TIMEOUT_MULTIPLIER=10 units TSan build/tsan/tests setarch -R
    PYROMETERD=build CLIENT_JOB="setarch -R build/tsan/client-job" suite "C client, TSan" -k .C. tests/e2e test_clients
}

# in_background FUNCTION...: runs them side by side, each a process group of its own that an interrupt ends.
in_background() {
    local part groups=()
    set -m
    trap 'kill -- "${groups[@]/#/-}" 2>/dev/null; exit 130' INT TERM
    for part in "$@"; do
        "$part" >"$results/report.$part" 2>&1 &
        groups+=($!)
    done
    wait
    set +m
}

case "${1:-}" in
"")
    in_background plain sanitized
    ;;
valgrind)
    in_background under_valgrind
    ;;
threads)
    in_background under_tsan
    ;;
*)
    echo "usage: $0 [valgrind|threads]" >&2
    exit 2
    ;;
esac

cat "$results"/report.*
cat "$results"/report.* |
    sed -n 's/.*: \([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' |
    awk '{ passed += $1; failed += $2; skipped += $3 }
         END {
             printf "%d passed, %d failed%s\n", passed, failed, skipped ? ", " skipped " skipped" : ""
             exit failed || !passed
         }'
