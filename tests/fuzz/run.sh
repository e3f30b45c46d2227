#!/bin/bash
# libFuzzer over what reads other people's bytes: tests/fuzz/run.sh [SECONDS a target, 60] [TARGET...]
#
# Built with clang below build/fuzz, with ASan and UBSan. What the fuzzer finds out stays in
# build/fuzz/corpus; an input that breaks something is left in build/fuzz/bin and makes this exit 1.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-60}
shift
cc=${CLANG:-clang}
command -v "$cc" >/dev/null || { echo "fuzz: clang is missing; apt-get install clang libclang-rt-14-dev" >&2; exit 1; }
[ $# -gt 0 ] || set -- line frame blob segment config checkpoint reply spool

mkdir -p build
sanitizers=address,undefined,float-cast-overflow
rooms=$(ls {base,config,wire,probes,alerts,storage,runs,clients/c}/*.c) || exit 1
objects=$(for source in $rooms; do echo "build/fuzz/${source%.c}.o"; done)
targets=$(for target; do echo "build/fuzz/tests/fuzz/$target.o"; done)
# shellcheck disable=SC2086
make --no-print-directory -j2 MODE=fuzz CC="$cc" \
    CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,$sanitizers -fno-sanitize-recover=all" \
    $objects $targets >build/fuzz.log 2>&1 || { cat build/fuzz.log; exit 1; }

status=0
for target; do
    corpus=build/fuzz/corpus/$target
    mkdir -p "$corpus" build/fuzz/bin
    # shellcheck disable=SC2086,SC2046
    "$cc" -fsanitize=fuzzer,$sanitizers -pie -o "build/fuzz/bin/$target" "build/fuzz/tests/fuzz/$target.o" \
        $objects $(pkg-config --libs sqlite3 libzstd zlib libcjson yaml-0.1) -lm -pthread || exit 1
    seeds=()
    [ -d "tests/fuzz/corpus/$target" ] && seeds=("tests/fuzz/corpus/$target")
    dictionary=()
    [ -f "tests/fuzz/$target.dict" ] && dictionary=("-dict=tests/fuzz/$target.dict")
    log=build/fuzz/bin/$target.log
    if "build/fuzz/bin/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -max_len=65536 \
        -print_final_stats=1 -artifact_prefix="build/fuzz/bin/$target-" ${dictionary[@]+"${dictionary[@]}"} \
        "$corpus" ${seeds[@]+"${seeds[@]}"} >"$log" 2>&1; then
        echo "fuzz, $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs in $seconds s, nothing found"
    else
        tail -n 40 "$log"
        echo "fuzz, $target: FAILED; the input is in build/fuzz/bin, what was said in $log"
        status=1
    fi
done
exit $status
