#!/usr/bin/env python3
"""Does the stability fraction warn of a creeping learning rate before the training fails, and only then?

Ten real training runs (pyrometer-demo, --ramp, seeds 1 to 10) whose learning rate grows until they fail by their own
judgement, without the daemon's help: the smoothed loss passes three times its minimum, or is not a number. And thirty
healthy ones at five constant learning rates. Two judges of the stability fraction x: the daemon's rule `unstable`, and x
above 0.15 for 20 steps in a row in any layer, taken from the series, with the first 256 steps left out as the rule does.
Writes its part of docs/calibration.md and docs/calibration/ramps.svg, unless --dry is given.
"""

import argparse
import collections
import re
import statistics
import subprocess
import sys

import report  # first: it finds the harness

import exact
import harness
import plots

THRESHOLD, FOR, WARM_UP = 0.15, 20, 256
RATES = (0.02, 0.05, 0.1, 0.2, 0.3)
GOAL = 0.9  # of the ramps
DRAWN = 1500  # steps before the failure


def train(daemon, run, *flags):
    """The step of the failure, None when it did not come, and how many steps there were."""
    server = "{}:{}".format(*daemon.ingest[0])
    done = subprocess.run([str(harness.BIN / "pyrometer-demo"), "--server", server, "--run", run,
                           "--data", str(report.ROOT / "examples/data/digits.csv"), *map(str, flags)],
                          capture_output=True, text=True)
    stored = re.search(r"(\d+) messages stored, 0 dropped, 0 waiting", done.stdout)
    if done.returncode != 0 or not stored:
        raise SystemExit(f"{run}: {done.stderr}{done.stdout[-300:]}")
    harness.eventually(lambda: daemon.run(run)["ended"], f"the end of {run}")
    failed = re.search(r"^failed at step (\d+)", done.stdout, re.MULTILINE)
    return int(failed[1]) if failed else None, daemon.run(run)["steps"]


def stability(daemon, run):
    """{step: the largest x of any layer}"""
    largest = {}
    for series in daemon.series(run, "stability", layer="*", points=20000)["series"]:
        for step, value in zip(series["step"], series["value"]):
            if isinstance(value, (int, float)):
                largest[step] = max(value, largest.get(step, value))
    return largest


def episodes(largest):
    """The steps at which x has been above the threshold for long enough."""
    found, above = [], 0
    for step in sorted(largest):
        above = above + 1 if step >= WARM_UP and largest[step] > THRESHOLD else 0
        if above == FOR:
            found.append(step)
    return found


def alerts(daemon, run):
    """{rule: the steps at which it fired}"""
    fired = collections.defaultdict(list)
    for alert in daemon.alerts(run=run):
        fired[alert["rule"]].append(alert["step"])
    return {rule: sorted(steps) for rule, steps in fired.items()}


def ramp(daemon, seed):
    run = f"ramp-{seed}"
    failure, steps = train(daemon, run, "--ramp", "--seed", seed)
    largest, fired = stability(daemon, run), alerts(daemon, run)
    first = {"unstable": fired.get("unstable", [None])[0], "x": next(iter(episodes(largest)), None),
             "loss_spike": fired.get("loss_spike", [None])[0]}
    print(f"ramp, seed {seed}: failure {failure}, first warnings {first}", flush=True)
    return failure, first, largest


def healthy(daemon, seed, rate):
    run = f"healthy-{seed}"
    failure, steps = train(daemon, run, "--seed", seed, "--lr", rate)
    counts = {rule: len(found) for rule, found in alerts(daemon, run).items()}
    counts["x"] = len(episodes(stability(daemon, run)))
    print(f"healthy, seed {seed}, lr {rate}: {dict(counts)}{' FAILED' if failure else ''}", flush=True)
    return rate, steps, counts, failure is not None


def lead(failure, step):
    return f"{step} ({failure - step:+d})" if failure is not None and step is not None else "none"


def leads(ramps, judge):
    return [failure - first[judge] for failure, first, _ in ramps
            if failure is not None and first[judge] is not None and first[judge] < failure]


def ramp_lines(ramps):
    names = {"unstable": "rule `unstable`", "x": "x > 0.15 for 20 steps", "loss_spike": "rule `loss_spike`"}
    rows = [[str(seed), str(failure)] + [lead(failure, first[judge]) for judge in names]
            for seed, (failure, first, _) in enumerate(ramps, 1)]
    head = ["seed", "failure at step", *(f"{n}: first at (steps ahead)" for n in names.values())]
    lines = report.table(head, rows)
    lines.append("")
    for judge, name in names.items():
        found = leads(ramps, judge)
        low, high = exact.binomial_interval(len(found), len(ramps))
        ahead = f", by {min(found)} to {max(found)} steps (median {statistics.median(found):g})" if found else ""
        lines.append(f"- {name} came first in {len(found)} of {len(ramps)} (95%: {100 * low:.0f} to {100 * high:.0f}%){ahead}.")
    return lines


def healthy_lines(runs):
    good = [r for r in runs if not r[3]]
    judges = ["x", *sorted({rule for r in good for rule in r[2]} - {"x"} | {"unstable"})]
    names = {"x": "x > 0.15 for 20 steps"}
    rows = []
    for rate in RATES:
        here = [r for r in good if r[0] == rate]
        rows.append([f"{rate:g}", str(len(here)), str(sum(r[1] for r in here))] +
                    [f"{sum(r[2].get(j, 0) > 0 for r in here)} ({sum(r[2].get(j, 0) for r in here)})" for j in judges])
    steps = sum(r[1] for r in good)
    head = ["learning rate", "healthy runs", "steps", *(f"{names.get(j, f'rule `{j}`')}: runs (alarms)" for j in judges)]
    quiet = [j for j in judges if not any(r[2].get(j) for r in good)]
    lines = report.table(head, rows)
    if quiet:
        bound = 3e6 / steps
        which = " and ".join(names.get(j, f"rule `{j}`") for j in quiet)
        lines += ["", f"No alarm in {steps} steps bounds the rate of false alarms at {bound:.0f} in a million steps "
                      f"(95%): {which}."]
    return lines


def draw(ramps):
    series = [("in", [(step - failure, x) for step, x in sorted(largest.items())
                      if step > failure - DRAWN and step % 5 == 0])
              for failure, _, largest in ramps if failure is not None]
    title = "Creeping learning rates: the largest stability fraction of any layer"
    report.write_plot("ramps.svg", plots.lines(title, "steps to the failure", "stability fraction x", series,
                                               (-DRAWN, 0), (-.5, 1.2), [(THRESHOLD, "0.15"), (1, "the edge")]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ramps", type=int, default=10)
    parser.add_argument("--healthy", type=int, default=30)
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    parser.add_argument("--strict", action="store_true", help="exit 1 when the goal is missed")
    options = parser.parse_args()
    daemon = harness.Daemon().start()
    try:
        ramps = [ramp(daemon, seed) for seed in range(1, options.ramps + 1)]
        runs = [healthy(daemon, 101 + i, RATES[i % len(RATES)]) for i in range(options.healthy)]
    finally:
        daemon.close()
    count = len(leads(ramps, "unstable"))
    verdict = "met" if count >= GOAL * len(ramps) else "missed"
    print(f"the rule led in {count} of {len(ramps)}: {verdict}")
    if not options.dry:
        report.replace_part("ramps", [f"Made by `make ramps`. Goal, the rule leads in at least 9 of 10: {verdict}.", "",
                                      *ramp_lines(ramps), "", *healthy_lines(runs)])
        draw(ramps)
    return 1 if options.strict and verdict == "missed" else 0


if __name__ == "__main__":
    sys.exit(main())
