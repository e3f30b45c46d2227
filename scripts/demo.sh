#!/bin/bash
# The demo: a daemon of its own, a real training run whose learning rate creeps up until it fails, and what
# Pyrometer said of it before. Exit: 0 the rule `unstable` fired before the loss blew up, 1 it did not.
# At a terminal the daemon stays up afterwards until Ctrl-C.
set -eu
cd "$(dirname "$0")/.."

run=digits
live=false
[ -t 1 ] && live=true
steps_per_second=400
$live && steps_per_second=115

place=$(mktemp -d "${TMPDIR:-/tmp}/pyrometer-demo.XXXXXX")
daemon="" trainer="" watcher="" terminal=""

end() { # PID: ends a process of ours and waits for it
    [ -n "$1" ] || return 0
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}
clean_up() {
    end "$watcher"
    end "$trainer"
    end "$daemon"
    [ -z "$terminal" ] || stty "$terminal" 2>/dev/null || true
    rm -rf "$place"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
    echo "demo: $1" >&2
    [ ! -s "$place/pyrometerd.log" ] || tail -n 20 "$place/pyrometerd.log" >&2
    exit 1
}

# The daemon's own ports where they are free, others where not.
read -r ingest http < <(python3 - 27315 27316 <<'PYTHON'
import socket, sys
sockets = []
for port in map(int, sys.argv[1:]):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        s.bind(("127.0.0.1", port))
    except OSError:
        s.bind(("127.0.0.1", 0))
    sockets.append(s)
print(*(s.getsockname()[1] for s in sockets))
PYTHON
)
url=http://127.0.0.1:$http

build/pyrometerd --data "$place/data" --ingest "127.0.0.1:$ingest" --http "127.0.0.1:$http" \
    >"$place/pyrometerd.log" 2>&1 &
daemon=$!
tries=0
until python3 -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1] + "/readyz", timeout=1)' \
    "$url" 2>/dev/null; do
    kill -0 "$daemon" 2>/dev/null || fail "pyrometerd ended"
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || fail "pyrometerd was not ready after $tries questions to $url/readyz"
    sleep 0.1
done
echo "pyrometerd answers at $url, jobs stream to 127.0.0.1:$ingest"
echo "training a 64-32-32-10 network on 1,500 handwritten digits as run '$run'"

build/pyrometer-demo --server "127.0.0.1:$ingest" --run "$run" --ramp \
    --steps-per-second "$steps_per_second" >"$place/trainer.log" 2>&1 &
trainer=$!

if $live; then
    terminal=$(stty -g 2>/dev/null || true)
    build/pyrometer --url "$url" watch "$run" &
    watcher=$!
else
    python3 - "$url" "$run" "$trainer" 300 <<'PYTHON' || true
import json, os, sys, time, urllib.error, urllib.request
url, run, trainer, every = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def training():
    try:
        with open(f"/proc/{trainer}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

def number(x):
    return f"{x:.3g}" if isinstance(x, (int, float)) else "-" if x is None else str(x)

due = 0
while training():
    time.sleep(0.1)
    try:
        with urllib.request.urlopen(f"{url}/api/v1/runs/{run}/temperature", timeout=5) as answer:
            reading = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code != 404:  # 404: the run's first step is still on its way
            raise
        continue
    if (reading.get("step") or 0) < due:
        continue
    due = reading["step"] - reading["step"] % every + every
    warm = reading.get("global", {})
    print(f"step {reading['step']:5}  loss {number(reading.get('energy')):8}",
          *(f"{name} {number(warm.get(name, {}).get('value')):9}" for name in ("kinetic", "configurational", "noise")),
          "stability", *(f"{l['name']} {number(l.get('stability')):8}" for l in reading.get("layers", [])), flush=True)
PYTHON
fi
trained=0
wait "$trainer" || trained=$?
trainer=""
end "$watcher"
watcher=""
[ -z "$terminal" ] || stty "$terminal" 2>/dev/null || true
[ "$trained" = 0 ] || { cat "$place/trainer.log" >&2; fail "the training job ended with $trained"; }

echo
verdict=0
python3 - "$url" "$run" "$place/trainer.log" <<'PYTHON' || verdict=1
import json, re, sys, time, urllib.request
url, run, log = sys.argv[1:]
said = open(log).read()
ramp, failed = (re.search(p, said) for p in (r"ramp from step (\d+)", r"failed at step (\d+): (.*)"))
if not ramp or not failed:
    sys.exit("demo: the training did not fail:\n" + said)
ramp, failed, how = int(ramp[1]), int(failed[1]), failed[2]

def get(path):
    with urllib.request.urlopen(url + path, timeout=10) as answer:
        return json.load(answer)

def alerts():
    found, cursor = [], ""
    while cursor is not None:
        page = get(f"/api/v1/alerts?run={run}&limit=100" + (f"&cursor={cursor}" if cursor else ""))
        found += page["alerts"]
        cursor = page.get("next_cursor")
    return sorted((a for a in found if a["state"] != "pending" and a["step"] is not None), key=lambda a: a["step"])

# Every step is stored by now; the newest readings may be a moment behind.
deadline = time.monotonic() + 5
while get(f"/api/v1/runs/{run}")["last_step"] < failed and time.monotonic() < deadline:
    time.sleep(0.05)
fired = alerts()
print(f"step {ramp:5}  the learning rate began to creep up")
marks = [(a["step"], f"{a['rule']} ({a['severity']}) fired on {a['layer'] or 'the whole run'}: {a['summary']}") for a in fired]
marks.append((failed, f"the loss blew up ({how})"))
for step, what in sorted(marks):
    print(f"step {step:5}  {what}")
unstable = [a for a in fired if a["rule"] == "unstable" and ramp <= a["step"] < failed]
early = [a for a in fired if a["rule"] == "unstable" and a["step"] < ramp]
if early:
    print(f"\nThe rule 'unstable' also fired at step {early[0]['step']}, in the healthy phase: a false alarm.")
if not unstable:
    sys.exit("\ndemo: the rule 'unstable' did not fire between the ramp's start and the failure")
first = unstable[0]
print(f"\nThe alert 'unstable' on layer {first['layer']} came at step {first['step']}: "
      f"{failed - first['step']} steps before the loss blew up at step {failed}.")
PYTHON

if $live; then
    echo "The dashboard is at $url/ ; Ctrl-C ends it and removes the demo's data."
    trap 'exit $verdict' INT
    wait "$daemon" || true
fi
exit "$verdict"
