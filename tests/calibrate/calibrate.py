#!/usr/bin/env python3
"""Streams systems of known temperature through a daemon and sets its readings against the truth.

Stationary systems run twice: ten large copies for --steps steps, whose errors are reported, and --repetitions shorter, small
copies (--short steps), whose intervals are counted. Copies are layers of one run, each with random numbers of its own.
Systems that pass from one state to another run ten times with little noise in what they stream, for the errors, and
--repetitions times with more.
Writes the tables of docs/calibration.md and the plots in docs/calibration/, unless --only or --dry is given.
"""

import argparse
import concurrent.futures
import dataclasses
import os
import statistics
import subprocess
import sys
import time
import zlib

import report  # first: it finds the harness

import exact
import harness
import plots

SIMULATE = str(harness.BIN / "calibrate")
ERROR_GOAL = 2  # percent; points for what is a share already
SCALE_GOAL = 5  # percent of `noise_scale`, which is no thermometer and an average over some 99 steps
COVERAGE_GOAL = (0.93, 0.97)
SHARES = ("stability", "drift", "coherence", "equilibrium")
PLAIN = (*SHARES, "noise_scale")  # without an object of their own in a reading
COPIES = 10
LONG_SIZE, SHORT_SIZE = 256, 32  # coordinates a layer
PASSAGE_STEPS = 256


@dataclasses.dataclass
class System:
    label: str
    kind: str
    settings: dict
    truth: dict  # thermometer: value
    precise: dict = None  # settings of the ten runs of a system that passes from one state to another
    course: list = None  # its energy and entropy at every step

    def part(self):
        if not self.precise:
            return "stationary"
        return "passages" if len(self.course) == PASSAGE_STEPS else "short"


@dataclasses.dataclass
class Row:
    """One thermometer on one system."""
    label: str
    thermometer: str
    truth: float
    long: list  # (value, low, high) of the copies whose error is reported
    short: list  # of the repetitions
    source: str = ""  # what it was read from, where that may be several things

    def errors(self):
        scale = 100 if self.thermometer in SHARES else 100 / abs(self.truth)
        return [abs(value - self.truth) * scale for value, _, _ in self.long if value is not None]

    def covered(self):
        intervals = [(low, high) for _, low, high in self.short if low is not None]
        return sum(low <= self.truth <= high for low, high in intervals), len(intervals)

    def bias(self):
        """Of the mean of the repetitions, with its standard error."""
        values = [value for value, _, _ in self.short if value is not None]
        if len(values) < 2:
            return float("nan"), float("nan")
        scale = 100 if self.thermometer in SHARES else 100 / abs(self.truth)
        error = statistics.stdev(values) / len(values) ** 0.5
        return (statistics.fmean(values) - self.truth) * scale, error * scale

    def misses(self):
        hits, count = self.covered()
        missed = []
        goal = SCALE_GOAL if self.thermometer == "noise_scale" else ERROR_GOAL
        if not self.errors() or max(self.errors()) > goal:
            missed.append("error")
        if not count or not COVERAGE_GOAL[0] <= hits / count <= COVERAGE_GOAL[1]:
            missed.append("coverage")
        return missed

    def verdict(self):
        return "missed: " + ", ".join(self.misses()) if self.misses() else "met"

    def cells(self):
        hits, count = self.covered()
        low, high = exact.binomial_interval(hits, count) if count else (0, 0)
        value, bottom, top = self.long[0]
        bias, error = self.bias()
        unit = " points" if self.thermometer in SHARES else "%"
        return [self.label, f"`{self.thermometer}`", f"{self.truth:.6g}", number(value) + self.source,
                f"{number(bottom)} to {number(top)}" if bottom is not None else "none",
                f"{statistics.median(self.errors()):.2f}, {max(self.errors()):.2f}{unit}" if self.errors() else "none",
                f"{bias:+.2f} ± {error:.2f}{unit}",
                f"{100 * hits / count:.1f}% of {count} ({100 * low:.1f} to {100 * high:.1f})" if count else "none",
                self.verdict()]


HEAD = ["system", "reading", "truth", "first copy", "its 95% interval", "error: median, worst", "bias", "coverage",
        "goal"]


def number(x):
    return "none" if x is None else f"{x:.4g}"


def sgd_system(eta, curvature, noise, momentum, curvature2=0):
    settings = dict(eta=eta, curvature=curvature, noise=noise, momentum=momentum, curvature2=curvature2)
    name = "heavy ball" if momentum else "plain SGD"
    modes = f"{curvature:g} and {curvature2:g}" if curvature2 else f"{curvature:g}"
    label = f"{name}, η={eta:g} h={modes} s²={noise:g}" + (f" μ={momentum:g}" if momentum else "")
    return System(label, "sgd", settings, exact.sgd(**settings))


def pulled_system(eta, pull, noise, momentum, batch, tells):
    """A job that tells of its noise by `tells`, or leaves it to its optimizer's memory."""
    settings = dict(eta=eta, curvature=0, noise=noise, momentum=momentum, pull=pull, batch=batch,
                    tells=("", "g_noise", "g_small_sq").index(tells))
    label = f"constant pull {pull:g}, {'heavy ball' if momentum else 'plain SGD'}, η={eta:g} s²={noise:g} B={batch}"
    return System(label + (f" μ={momentum:g}" if momentum else "") + (f", {tells}" if tells else ""), "sgd", settings,
                  exact.pulled(eta, pull, noise, momentum, batch))


def ladder_system(label, kind, state, first, last, precise, steps=PASSAGE_STEPS, **settings):
    settings = dict(settings, temperature=first, temperature_to=last)
    course = exact.ladder(state, first, last, steps)
    short = f" in {steps} steps" if steps < PASSAGE_STEPS else ""
    return System(f"{label}, T {first:g} to {last:g}{short}", kind, settings, {"transition": exact.chord(course)}, precise,
                  course)


def systems():
    stationary = [sgd_system(*row) for row in ((.1, 1, 1, 0), (.01, 2, 4, 0), (.1, 1, 1, .9), (.01, 2, 4, .9),
                                               (.5, 3, .25, .5), (.1, 1, 1, .9, 10))]
    quadratic, well = dict(temperature=.3, curvature=2), dict(temperature=.5, barrier=1)
    stationary += [
        System("SGLD, quadratic, η=0.1 h=2, bath 0.3", "langevin", dict(eta=.1, **quadratic),
               exact.langevin(.1, **quadratic)),
        System("SGLD, double well, η=0.005, bath 0.5", "langevin", dict(eta=.005, **well),
               exact.langevin(.005, **well)),
        System("underdamped, quadratic, Δt=0.2 h=2, bath 0.3", "underdamped", dict(eta=.2, **quadratic),
               {"configurational": .3, "drift": 0}),
        System("underdamped, double well, Δt=0.1, bath 0.5", "underdamped", dict(eta=.1, **well),
               {"configurational": .5, "drift": 0}),
        System("SGLD, double well, η=0.02, bath 0.5", "langevin", dict(eta=.02, **well), exact.langevin(.02, **well))]
    stationary += [pulled_system(*row) for row in (
        (.1, 2, 1, 0, 1, ""), (.1, 2, 1, .9, 1, ""), (.1, 2, 1, 0, 2, "g_noise"), (.1, 2, 1, .9, 2, "g_noise"),
        (.1, 2, 1, 0, 2, "g_small_sq"), (.1, 2, 1, .9, 2, "g_small_sq"))]
    size = 1000
    passing = [ladder_system("4×4 Ising", "ising", exact.ising, middle * 1.25, middle * .75, dict(sweeps=6000))
               for middle in (1.8, 2.269185, 4)]
    passing += [ladder_system("Boltzmann ensemble", "ensemble", lambda t: exact.ensemble(t, size), *ends,
                              dict(size=100 * size), size=size, curvature=1) for ends in ((2, 1), (.5, .05))]
    passing += [ladder_system("Boltzmann ensemble", "ensemble", lambda t: exact.ensemble(t, size), *ends,
                              dict(size=100 * size), steps, size=size, curvature=1)
                for ends in ((2, 1), (1.1, .9)) for steps in (32, 64)]
    return stationary + passing


class Laboratory:
    """A daemon and the simulations that stream to it."""

    def __init__(self):
        self.daemon = harness.Daemon().start()
        self.server = "{}:{}".format(*self.daemon.ingest[0])

    def simulate(self, run, kind, **settings):
        arguments = [f"{k}={v!r}" for k, v in settings.items()]
        done = subprocess.run([SIMULATE, kind, self.server, run, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{kind} {' '.join(arguments)}: {done.stderr.strip()}")

    def reading(self, run, steps, keep=False):
        reading = self.daemon.reading_at(run, steps - 1)
        if not keep:
            self.daemon.call("DELETE", f"/api/v1/runs/{run}")
        return reading

    def series(self, run, metric):
        """A busy machine takes longer than the daemon lets an answer take: then coarser ones."""
        for points in (200, 100, 50, 25):
            try:
                return self.daemon.series(run, metric, points=points)["series"]
            except AssertionError as error:
                print(error, file=sys.stderr)
        raise SystemExit(f"the daemon does not draw {metric} of {run}")

    def close(self):
        self.daemon.close()


def take(where, thermometer):
    """(value, low, high) of a thermometer of a run or of a layer."""
    if thermometer in PLAIN:
        return where[thermometer], *where["intervals"].get(thermometer, (None, None))
    reading = where.get("global", where)[thermometer]
    return reading["value"], reading.get("low"), reading.get("high")


def source(where, thermometer):
    if thermometer in PLAIN:
        told = where.get("sources", {}).get(thermometer)
    else:
        told = where.get("global", where)[thermometer].get("source")
    return f" ({told})" if told else ""


def seed_of(options, *names):
    """Systems must not share random numbers, or one unlucky draw shows in all of them."""
    return zlib.crc32("/".join([str(options.seed), *names]).encode())


def measure_stationary(laboratory, system, name, options):
    wheres = []
    for part, steps, layers, size in (("long", options.steps, COPIES, LONG_SIZE),
                                      ("short", options.short, options.repetitions, SHORT_SIZE)):
        laboratory.simulate(f"{name}-{part}", system.kind, seed=seed_of(options, name, part), steps=steps, layers=layers,
                            size=size, burn=1000, **system.settings)
        wheres.append(laboratory.reading(f"{name}-{part}-0", steps)["layers"])
    return wheres


def measure_passage(laboratory, system, name, options):
    readings, steps = [], len(system.course)
    for part, repeat, more in (("long", COPIES, system.precise), ("short", options.repetitions, {})):
        laboratory.simulate(f"{name}-{part}", system.kind, seed=seed_of(options, name, part), steps=steps,
                            repeat=repeat, **{**system.settings, **more})
        readings.append([laboratory.reading(f"{name}-{part}-{i}", steps) for i in range(repeat)])
    return readings


def slope_of_window(system, readings):
    """The truth of `differential`: over the steps that the readings say they rest on."""
    held = {reading["global"]["differential"].get("steps") for part in readings for reading in part}
    if len(held) != 1 or None in held:
        raise SystemExit(f"{system.label}: readings over windows of {held} steps have no common truth")
    return exact.slope(system.course[-held.pop():])


def measure(laboratory, system, name, options):
    began = time.monotonic()
    wheres = (measure_passage if system.precise else measure_stationary)(laboratory, system, name, options)
    along = {"differential": slope_of_window(system, wheres)} if system.part() == "passages" else {}
    truths = dict(system.truth, **along)
    rows = [Row(system.label, thermometer, truth, *([take(where, thermometer) for where in part] for part in wheres),
                source(wheres[0][0], thermometer))
            for thermometer, truth in truths.items()]
    for row in rows:
        print(" | ".join(row.cells()), flush=True)
    print(f"  {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return rows


def measure_flow(laboratory, dry):
    """Gradient flow has no noise: its readings are wrong only by the window's lag."""
    size, rows = 1000, []
    step, steps = 1e-5, 256  # the run's middle lies at time 0
    laboratory.simulate("moment", "flow", eta=step, steps=steps, size=size, begin=-step * (steps - 1) / 2)
    reading = laboratory.reading("moment-0", steps)["global"]
    rows.append(["at its known moment", "`differential`", exact.flow_temperature(0), reading["differential"]["value"]])
    step, steps = 1e-5, 100001
    laboratory.simulate("flow", "flow", eta=step, steps=steps, size=size)
    laboratory.reading("flow-0", steps, keep=True)
    drawn = laboratory.series("flow-0", "temperature.differential")
    reading = laboratory.reading("flow-0", steps)["global"]
    chord = exact.chord([exact.flow(0, size), exact.flow(step * (steps - 1), size)])
    rows.append(["from time 0 to 1", "`transition`", chord, reading["transition"]["value"]])
    points = [(k * step, value) for k, value in zip(drawn[0]["step"], drawn[0]["value"])]
    later = [(t, value) for t, value in points if t >= .1]
    when, value = max(later, key=lambda p: abs(p[1] / exact.flow_temperature(p[0]) - 1))
    rows.append([f"worst between times 0.1 and 1 (at {when:.2f})", "`differential`", exact.flow_temperature(when), value])
    if not dry:
        truth = [(t / 100, exact.flow_temperature(t / 100)) for t in range(101)]
        title = "Gradient flow: dE/dS read from the stream (blue) on the closed form (red)"
        report.write_plot("flow.svg", plots.lines(title, "time", "temperature", [("truth", truth), ("dots", points[::4])],
                                                  (0, 1), (0, 1.2)))
    cells = [[name, thermometer, f"{truth:.6g}", f"{value:.6g}", f"{100 * (value / truth - 1):+.3f}%",
              "met" if abs(value / truth - 1) <= ERROR_GOAL / 100 else "missed: error"]
             for name, thermometer, truth, value in rows]
    print(*(" | ".join(row) for row in cells), sep="\n")
    return report.table(["gradient flow", "reading", "truth", "read", "error", "goal"], cells), \
        sum(row[-1] != "met" for row in cells)


def draw(rows, name, title, reach):
    chosen = [(f"{r.label}: {r.thermometer}"[-60:],
               [tuple(None if x is None else x / r.truth for x in reading) for reading in r.long
                if reading[0] is not None])
              for r in rows if r.thermometer not in SHARES and r.thermometer != "velocity"]
    if chosen:
        report.write_plot(name, plots.forest(title, chosen, reach))


def summary(rows, part, how, options):
    missed = sum(bool(row.misses()) for row in rows)
    return [f"Made by `make calibrate` (or `ARGS=\"--part {part}\"`) with {how}, seed {options.seed}. "
            f"{missed} of {len(rows)} rows miss a goal.", "", *report.table(HEAD, [r.cells() for r in rows])]


def publish(stationary, passing, short, flow, options):
    if stationary:
        how = (f"{options.steps} steps for the errors of {COPIES} layers of {LONG_SIZE} coordinates, {options.short} steps and "
               f"{options.repetitions} layers of {SHORT_SIZE} for bias and coverage")
        report.replace_part("stationary", summary(stationary, "stationary", how, options))
        draw(stationary, "stationary.svg", f"Stationary systems after {options.steps} steps, ten copies each", .2)
    if passing:
        how = f"{PASSAGE_STEPS} steps, {COPIES} runs for the errors and {options.repetitions} for bias and coverage"
        report.replace_part("passages", [*summary(passing, "passages", how, options), "", *flow])
        draw(passing, "passages.svg", "dE/dS of systems that pass between two temperatures, ten runs each", .1)
    if short:
        how = f"{COPIES} runs for the errors and {options.repetitions} for bias and coverage"
        report.replace_part("short", summary(short, "short", how, options))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100000)
    parser.add_argument("--short", type=int, default=2000)
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--only", help="systems whose name has this in it; writes nothing")
    parser.add_argument("--part", choices=["stationary", "passages", "short"], help="only these systems and their part of the page")
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a goal is missed")
    return parser.parse_args()


def main():
    options = parse()
    options.dry = options.dry or bool(options.only)
    chosen = [(f"system{i}", s) for i, s in enumerate(systems()) if (not options.only or options.only in s.label)
              and options.part in (None, s.part())]
    laboratory = Laboratory()
    try:
        with concurrent.futures.ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
            done = list(pool.map(lambda c: measure(laboratory, c[1], c[0], options), chosen))
        flow, flow_missed = measure_flow(laboratory, options.dry) if options.part in (None, "passages") else ([], 0)
    finally:
        laboratory.close()
    stationary, passing, short = ([row for (_, system), rows in zip(chosen, done) if system.part() == part for row in rows]
                                  for part in ("stationary", "passages", "short"))
    if not options.dry:
        publish(stationary, passing, short, flow, options)
    missed = flow_missed + sum(bool(row.misses()) for row in stationary + passing + short)
    print(f"{missed} rows miss a goal")
    return 1 if options.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main())
