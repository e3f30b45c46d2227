#!/usr/bin/env python3
"""How good are the alerts? Labelled recordings through the real daemon, and through other tools' detectors.

    tests/quality/quality.py DIRECTORY...      (default: those in $PYROMETER_CORPUS, else tests/data/labelled)
    --fast            judge with `pyrometer rules backtest` instead of a daemon: the same rules, in seconds
    --config FILE     rules to judge by instead of the defaults
    --runs            a line a run as well
    --no-baselines    the rules alone
    --ablation        what is left of the rules without some of them, and when each threshold is a fifth lower or higher
    --check           exit 1 unless the goals that docs/alerting.md names are met

Recordings are NAME.ndjson.gz beside NAME.label.json, which says what was done to the run and when.
"""

import argparse
import gzip
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import baselines  # noqa: E402
import harness  # noqa: E402
import judgement  # noqa: E402

SERIOUS = ("warning", "critical")
QUIET = 50  # steps without a sign after which a baseline's next one is another episode
GOALS = {"detected": (0.97, None), "delay": (None, 2), "layer": (0.9, None), "warned": (0.9, None), "lead": (0.5, None),
         "false": (None, 2)}


# What is left on; None: all that are on by default.
WITHOUT_PHYSICS = ("loss_nonfinite", "unaccounted", "freezing", "learning_rate", "shock", "loss_spike", "data_shift", "loss_rising")
ABLATIONS = {
    "all rules": None,
    "without stability, temperatures, entropy": WITHOUT_PHYSICS,
    "without `learning_rate` either": tuple(r for r in WITHOUT_PHYSICS if r != "learning_rate"),
    "the loss alone": ("loss_nonfinite", "loss_spike", "loss_rising"),
    "the robust z of the loss alone": ("loss_spike",),
}


class Recording:
    def __init__(self, label_file):
        self.label = json.loads(label_file.read_text())
        self.name = label_file.name.removesuffix(".label.json")
        self.path = label_file.with_name(self.name + ".ndjson.gz")
        self.lines = gzip.decompress(self.path.read_bytes()).splitlines(keepends=True)
        self.messages = None

    def load(self):
        """The columns that the baselines ask for."""
        messages = [json.loads(text) for text in self.lines]
        self.run = messages[0]["run"]
        self.layers = [layer["name"] for layer in messages[0]["layers"]]
        self.sizes = [layer["n"] for layer in messages[0]["layers"]]
        self.messages = [m for m in messages if m["type"] == "step"]
        self.steps = [m["step"] for m in self.messages]
        self.loss = [number(m.get("loss")) for m in self.messages]
        self.gradient = [self.norm(i) for i in range(len(self.steps))]

    def value(self, key, i, layer):
        column = self.messages[i].get("stats", {}).get(key)
        return None if column is None or column[layer] is None else number(column[layer])

    def scale(self, letter, i, layer):
        """The root mean square of weights, gradient or update."""
        mean, var = (self.value(f"{letter}_{part}", i, layer) for part in ("mean", "var"))
        return None if mean is None or var is None else math.sqrt(mean * mean + var) if var == var else var

    def norm(self, i):
        total = 0
        for layer, n in enumerate(self.sizes):
            g = self.scale("g", i, layer)
            total += n * g * g if g is not None else 0
        return math.sqrt(total)


def number(x):
    return math.nan if x is None else float(x)


def backtest(recordings, config):
    """{name: alerts} as `pyrometer rules backtest` finds them."""
    command = [str(harness.BIN / "pyrometer"), "--json", "rules", "backtest", config or "default",
               *(str(r.path) for r in recordings)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found = {}
    for recording, line in zip(recordings, output, strict=True):
        alerts = [dict(a, group=tuple(a["group"].values())) for a in json.loads(line)["alerts"]]
        found[recording.name] = [dict(a, leads=a["group"] == (a["rule"], a["layer"], a["since"])) for a in alerts]
    return found


def rules_of_the_program():
    """{name: entry} of the rules as the daemon has them by default."""
    with tempfile.TemporaryDirectory(prefix="pyro-quality-") as home:
        daemon = harness.Daemon(home=home)
        daemon.start()
        try:
            return {r["rule"]: r for r in daemon.get_json("/api/v1/rules")["rules"]}
        finally:
            daemon.stop()


def judged_by(recordings, entries):
    """Outcomes under a configuration of these rules."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write("alerts:\n  rules:\n" + "".join(f"    - {json.dumps(e)}\n" for e in entries))
        config.flush()
        found = backtest(recordings, config.name)
    return [outcome(r, found[r.name]) for r in recordings]


def print_ablation(recordings):
    rules = rules_of_the_program()
    print("\n| rules left on | detected | median delay, steps | layer right | warned before the failure | median lead | false alarms |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, kept in ABLATIONS.items():
        entries = [{"rule": r, "enabled": kept is None or r in kept} for r in rules if r != "exploding_tensor"]
        print(row(name, judgement.figures(judged_by(recordings, entries))))
    print("\n| threshold | detected | median delay, steps | layer right | warned before the failure | median lead | false alarms |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, rule in rules.items():
        threshold = rule.get("fire_above")
        if rule["severity"] != "info" and isinstance(threshold, (int, float)) and threshold > 0 and name != "stalled":
            for factor in (0.8, 1.2):
                entry = {"rule": name, "fire_above": round(threshold * factor, 6)}
                if isinstance(rule.get("clear_below"), (int, float)):
                    entry["clear_below"] = min(rule["clear_below"], entry["fire_above"])
                print(row(f"`{name}` {entry['fire_above']:g}", judgement.figures(judged_by(recordings, [entry]))))


def row(name, f):
    shown = [(f["detected"], 100, "%"), (f["delay"], 1, ""), (f["layer"], 100, "%"), (f["warned"], 100, "%"), (f["lead"], 100, "%"),
             (f["false"], 1, "")]
    return f"| {name} | " + " | ".join("–" if x is None else f"{scale * x:.3g}{unit}" for x, scale, unit in shown) + " |"


def warned(daemon, alert, recording):
    """The step from which on the alert was at least a warning."""
    if alert["severity"] not in SERIOUS:
        return None
    history = daemon.get_json(f"/api/v1/alerts/{alert['id']}")["history"]
    time = min(h["time"] for h in history if h["state"] == "firing" and h["severity"] in SERIOUS)
    return min(recording.messages, key=lambda m: abs(m["time"] - time))["step"]


def through_the_daemon(recordings, config):
    """{name: alerts} as the daemon's REST API tells them after `pyrometer replay`."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="pyro-quality-") as home:
        daemon = harness.Daemon(Path(config).read_text() if config else None, home=home)
        daemon.start()
        try:
            host, port = daemon.ingest[0]
            for recording in recordings:
                harness_run = harness.run_program("pyrometer", "replay", recording.path, "--ingest", f"{host}:{port}")
                if harness_run.returncode:
                    raise SystemExit(harness_run.stderr)
                daemon.reading_at(recording.run, recording.steps[-1])
                found[recording.name] = [dict(a, leads=a["group"] == a["id"], warned=warned(daemon, a, recording))
                                         for a in daemon.alerts(run=recording.run, limit=1000)
                                         if a["state"] != "pending"]
                print(f"\r{len(found)} of {len(recordings)}", end="", file=sys.stderr)
        finally:
            daemon.stop()
    print("\r", end="", file=sys.stderr)
    return found


def episodes(signs):
    """The steps at which a baseline speaks, as alerts: what follows within QUIET steps belongs to the one before."""
    alerts, last = [], None
    for step, layer in sorted(signs, key=lambda s: s[0]):
        if last is None or step - last > QUIET:
            group = step
        last = step
        alerts.append({"step": step, "layer": layer, "rule": "", "group": group})
    return alerts


def outcome(recording, alerts):
    """An alert counts from where it was at least a warning. Of alerts at one step the first of the group comes first, then
    what began earlier; the daemon and `rules backtest` list the rest in different orders."""
    serious = [dict(a, step=a.get("warned", a["step"])) for a in alerts if a.get("severity", "warning") in SERIOUS]
    return judgement.Outcome(recording.label, recording.steps, sorted(serious, key=lambda a: (
        a["step"], not a.get("leads", True), a.get("since", 0), a["rule"], a["layer"] or "")))


def text(figure, scale=1, unit=""):
    if figure is None:
        return "–"
    value, low, high = (f"{scale * x:.3g}{unit}" for x in figure)
    return f"{value} ({low} to {high})"


def print_judges(judges):
    print("| judge | sudden: detected within 50 steps | median delay, steps | layer right | slow: warned before the failure"
          " | median lead, of the way | false-alarm episodes a healthy 100,000 steps |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, outcomes in judges.items():
        f = judgement.with_intervals(outcomes)
        print(f"| {name} | {text(f['detected'], 100, '%')} | {text(f['delay'])} | {text(f['layer'], 100, '%')} |"
              f" {text(f['warned'], 100, '%')} | {text(f['lead'], 100, '%')} | {text(f['false'])} |")


def print_faults(outcomes):
    by_fault = defaultdict(list)
    for o in outcomes:
        if o.fault and (o.judged or o.slow):
            by_fault[o.fault].append(o)
    print("\n| fault | runs | detected | delays, steps | first told by | layer right | lead before the failure, steps |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for fault, runs in sorted(by_fault.items()):
        delays = sorted(o.delay for o in runs if o.delay is not None)
        rules = Counter(o.hits[0]["rule"] for o in runs if o.hits)
        layered = [o for o in runs if o.label["layer"] is not None]
        leads = sorted(o.failure - o.hits[0]["step"] for o in runs if o.hits and o.failure)
        failing = [o for o in runs if o.failure]
        print(f"| `{fault}` | {len(runs)} | {len(delays)} | {', '.join(map(str, delays)) or '–'} |"
              f" {', '.join(f'`{r}` {n}' for r, n in rules.most_common()) or '–'} |"
              f" {f'{sum(o.layer_is_right for o in layered)} of {len(layered)}' if layered else '–'} |"
              f" {', '.join(map(str, leads)) + f' ({len(leads)} of {len(failing)})' if failing else '–'} |")


def print_rules(outcomes, found):
    healthy = sum(o.healthy for o in outcomes)
    false = Counter(a["rule"] for o in outcomes for a in o.false)
    first = Counter(o.hits[0]["rule"] for o in outcomes if o.hits)
    fired = Counter((a["rule"], a["severity"] in SERIOUS) for alerts in found.values() for a in alerts)
    print(f"\n| rule | alerts of warning or above | of info | faults told first | false-alarm episodes ({healthy} healthy"
          " steps) |")
    print("| --- | --- | --- | --- | --- |")
    for rule in sorted({r for r, _ in fired}):
        print(f"| `{rule}` | {fired[rule, True]} | {fired[rule, False]} | {first[rule]} | {false[rule]} |")


def print_runs(recordings, outcomes):
    for r, o in zip(recordings, outcomes):
        for a in o.false:
            print(f"FALSE {r.name} {o.fault} step {a['step']} {a['rule']} {a['layer']}: {a.get('summary', '')}")
        if o.fault and o.judged:
            told = f"+{o.delay} {o.hits[0]['rule']} {o.hits[0]['layer']}" if o.hits else "MISSED"
            lead = f" lead {o.lead:.2f}" if o.failure and o.hits else ""
            wrong = "" if o.label["layer"] is None or o.layer_is_right else f" WRONG LAYER, is {o.label['layer']}"
            print(f"{r.name} {o.fault} effect {o.label['effect']}: {told}{lead}{wrong}")


def failed_goals(outcomes):
    missed = []
    for key, value in judgement.figures(outcomes).items():
        least, most = GOALS[key]
        if value is None or (least is not None and value < least) or (most is not None and value > most):
            missed.append(f"{key}: {value}")
    return missed


def corpus():
    named = os.environ.get("PYROMETER_CORPUS", "").split()
    return [Path(d) for d in named] or [harness.DATA / "labelled"]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("directories", nargs="*", type=Path, default=corpus())
    for flag in ("fast", "runs", "no-baselines", "check", "ablation"):
        parser.add_argument("--" + flag, action="store_true")
    parser.add_argument("--config")
    args = parser.parse_args()
    recordings = [Recording(f) for d in args.directories for f in sorted(d.glob("*.label.json"))]
    if not recordings:
        raise SystemExit(f"no NAME.label.json in {', '.join(map(str, args.directories))}")
    for recording in recordings:
        recording.load()
    if args.ablation:
        print_ablation(recordings)
        return 0
    found = (backtest if args.fast else through_the_daemon)(recordings, args.config)
    outcomes = [outcome(r, found[r.name]) for r in recordings]
    judges = {"Pyrometer": outcomes}
    if not args.no_baselines:
        for name, detector in baselines.BASELINES.items():
            judges[name] = [outcome(r, episodes(detector(r))) for r in recordings]
    print_judges(judges)
    print_faults(outcomes)
    print_rules(outcomes, found)
    if args.runs:
        print_runs(recordings, outcomes)
    missed = failed_goals(outcomes) if args.check else []
    for goal in missed:
        print(f"goal missed: {goal}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
