#!/usr/bin/env python3
"""Where does a run's course break? Labelled recordings through the real daemon, its events `phase_change` counted.

    tests/quality/phases.py DIRECTORY...
    --events          a line an event as well

Recordings are NAME.ndjson.gz beside NAME.label.json, which says what was done to the run and when. A change counts as at the
fault when it began at most 16 steps, a block, before the fault and 32 behind it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import harness  # noqa: E402

BEFORE, BEHIND = 16, 32  # steps
KINDS = ("loss", "entropy", "entropy_jump", "heat_capacity")


def changes_of(daemon, path):
    """(what, step, data) of every change of a recording, replayed into the daemon."""
    host, port = daemon.ingest[0]
    replay = harness.run_program("pyrometer", "replay", path, "--ingest", f"{host}:{port}")
    if replay.returncode:
        raise SystemExit(replay.stderr)
    run = json.loads(subprocess.run(["zcat", path], capture_output=True, check=True).stdout.split(b"\n", 1)[0])["run"]
    events = daemon.get_json(f"/api/v1/runs/{run}/events?limit=1000")["events"]
    return [(e["data"]["what"], e["step"], e["data"]) for e in events if e["name"] == "phase_change"]


def place(label, step):
    if label["fault"] is None:
        return "healthy"
    if step < label["step"] - BEFORE:
        return "before"
    return "at" if step <= label["step"] + BEHIND else "behind"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="+", metavar="DIRECTORY", type=Path)
    parser.add_argument("--events", action="store_true")
    options = parser.parse_args()
    labels = sorted(f for d in options.directories for f in d.rglob("*.label.json"))
    counts, found, runs = defaultdict(Counter), defaultdict(Counter), Counter()
    with tempfile.TemporaryDirectory(prefix="pyro-phases-") as home:
        daemon = harness.Daemon(None, home=home)
        daemon.start()
        try:
            for file in labels:
                label = json.loads(file.read_text())
                name = file.name.removesuffix(".label.json")
                changes = changes_of(daemon, file.with_name(name + ".ndjson.gz"))
                fault = label["fault"] or "none"
                runs[fault] += 1
                for what, step, data in changes:
                    counts[what][place(label, step)] += 1
                    if options.events:
                        print(f"{name} {fault} {label['step']} {place(label, step)}: {what} at {step}, found {data['found']},"
                              f" {data['before']:.4g} to {data['after']:.4g}")
                found[fault].update({what for what, step, _ in changes if place(label, step) == "at"})
        finally:
            daemon.stop()
    print("| change of | in healthy runs | before a fault | at it | later |\n| --- | --- | --- | --- | --- |")
    for kind in KINDS:
        print(f"| `{kind}` | {' | '.join(str(counts[kind][p]) for p in ('healthy', 'before', 'at', 'behind'))} |")
    print(f"\n| fault | runs | {' | '.join(f'`{k}`' for k in KINDS)} |\n| --- | --- {'| --- ' * len(KINDS)}|")
    for fault in sorted(runs):
        if fault != "none":
            print(f"| `{fault}` | {runs[fault]} | {' | '.join(str(found[fault][k]) for k in KINDS)} |")
    print(f"\n{runs['none']} healthy runs, {sum(runs.values()) - runs['none']} with a fault")


if __name__ == "__main__":
    main()
