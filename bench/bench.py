#!/usr/bin/env python3
"""`make bench`: this build, and the peers that are installed, under the same loads; writes docs/benchmarks.md.

    bench/bench.py [--rounds N] [--out FILE] [--quick] [SECTION...]

Sections: ingest, latency, profile, growth, reads, streams, peers; all of them without a name. --quick makes every load a tenth, to see
that everything works; its numbers mean nothing. Without --out the tables go to the terminal alone.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from programs import BUILD, PEERS, Pyrometer  # noqa: E402
import cputime  # noqa: E402
import reads  # noqa: E402
import report  # noqa: E402
import streams  # noqa: E402

POST_BYTES = {"tsv": 4 << 20}  # of a bulk request; others 1 MiB
QUERYABLE_S = 60  # how long a program may take until everything can be read
QUICK = 10


@dataclasses.dataclass
class Load:
    runs: int = 50
    layers: int = 50
    stats: int = 10
    steps: int = 200

    @property
    def samples(self):
        return self.runs * self.layers * self.stats * self.steps

    @property
    def last_time(self):
        return 1700000000 + self.steps - 1

    def flags(self):
        return [f"--{name}={getattr(self, name)}" for name in ("runs", "layers", "stats", "steps")]


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def loadgen(address, *flags):
    done = subprocess.run([BUILD / "loadgen", "--address", address, *map(str, flags)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"loadgen {' '.join(map(str, flags))}: {done.stderr}{done.stdout}")
    return json.loads(done.stdout)


def acknowledgements(daemon, steps, *flags):
    """One job of 50 layers and 1,000 steps a second, by the command that users have."""
    done = subprocess.run([BUILD / "pyrometer", "--json", "--url", f"http://127.0.0.1:{daemon.port}", "bench", "--ingest",
                           daemon.ingest, "--runs=1", "--rate=1000", f"--steps={steps}", "--keep", *flags],
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"pyrometer bench: {done.stderr}{done.stdout}")
    return {f"{name}_ms": ms for name, ms in json.loads(done.stdout)["latency_ms"].items()}


def measure(program, address, load, *flags):
    """One run of the load: until the last answer, and until all of it can be read back."""
    cpu = program.cpu_s()
    result = loadgen(address, *load.flags(), *flags)
    deadline = time.monotonic() + QUERYABLE_S
    while (n := program.count(load)) < load.samples:
        if time.monotonic() > deadline:
            say(f"{program.name}: only {n} of {load.samples} samples can be read back")
            break
        time.sleep(0.05)
    queryable_s = time.monotonic() - result["started"]
    return {"rate": load.samples / result["seconds"], "queryable_rate": n / queryable_s, "counted": n / load.samples,
            "cpu_ns": (program.cpu_s() - cpu) / load.samples * 1e9, "peak_mb": program.memory_mb("VmHWM"),
            "loadgen_ns": result["cpu"] / load.samples * 1e9, "wire_bytes": result["bytes"] / load.samples}


def ingest_once(load, connections, *flags):
    """The load against a fresh daemon."""
    with Pyrometer() as daemon:
        idle = daemon.memory_mb()
        cpu = daemon.cpu_s()
        row = measure(daemon, daemon.ingest, load, f"--connections={connections}", *flags)
        reads.settle(daemon)
        settled = (daemon.cpu_s() - cpu) / load.samples * 1e9
        return {**row, "settled_cpu_ns": settled, "idle_mb": idle, "disk_bytes": daemon.disk_bytes() / load.samples}


def median_of(rounds, once):
    """Medians of what `once` gives, and the spread of its rate."""
    rows = [once() for _ in range(rounds)]
    row = {key: statistics.median(r[key] for r in rows) for key in rows[0]}
    row["low"], row["high"] = min(r["rate"] for r in rows), max(r["rate"] for r in rows)
    return row


def ingest(rounds, scale):
    rows = []
    for title, steps, flags in (("frames", 200, ["--format=frames"]),
                                ("lines, 9 digits", 200, ["--format=lines", "--digits=9"]),
                                ("lines, 17 digits", 200, ["--format=lines", "--digits=17"]),
                                ("frames, 1,000 steps a run", 1000, ["--format=frames"])):
        say(f"ingest: {title}")
        load = Load(steps=steps // scale)
        rows.append({"title": title, "load": load, **median_of(rounds, lambda: ingest_once(load, 4, *flags))})
    return rows


def latency(rounds, scale):
    rows = []
    for title, flags in (("frames", []), ("lines, 17 digits", ["--lines"])):
        say(f"latency: {title}")
        with Pyrometer() as daemon:
            rows.append({"title": title, **acknowledgements(daemon, 10000 // scale, *flags)})
    return rows


def profiles(rounds, scale):
    """Not part of any figure: looking costs time."""
    rows = []
    for title, flags in (("frames", ["--format=frames"]), ("lines, 9 digits", ["--format=lines", "--digits=9"])):
        say(f"profile: {title}")
        load = Load(steps=1000 // scale)
        with Pyrometer() as daemon:
            samples = cputime.record(daemon, lambda: loadgen(daemon.ingest, *load.flags(), "--connections=4", *flags))
        if samples:
            places, top = cputime.shares(samples)
            rows.append({"title": title, "places": places, "top": top})
        else:
            say("profile: perf is not installed or may not look")
    return rows


# How cost grows: one dimension at a time, 2 to 20 million samples a point, and never so few steps a run that beginning
# the run is what is measured.
GROWTH = (
    ("layers", [(n, Load(runs=1, layers=n, steps=max(200, 200000 // n)), 1) for n in (10, 100, 1000, 10000)]),
    ("runs", [(n, Load(runs=n, layers=10, steps=max(200, 40000 // n)), 4) for n in (1, 10, 100, 1000)]),
    ("steps", [(n, Load(runs=1, layers=5, steps=n), 1) for n in (1000, 10000, 100000, 1000000)]),
    ("connections", [(n, Load(runs=n, layers=10, steps=max(100, 40000 // n)), n) for n in (1, 10, 100, 1000, 2000)]),
)


def growth(rounds, scale):
    tables = {}
    for dimension, points in GROWTH:
        rows = []
        for n, load, connections in points:
            if scale > 1 and load.samples > 20_000_000:
                continue
            say(f"growth: {n} {dimension}")
            once = lambda: ingest_once(load, connections, "--format=frames")  # noqa: E731
            rows.append({"n": n, "load": load, **median_of(min(rounds, 3), once)})
        tables[dimension] = rows
    return tables


def read_speed(rounds, scale):
    say("reads: a run of 1,000,000 steps")
    load = Load(runs=1, layers=2, steps=1000000 // scale)
    with Pyrometer() as daemon:
        loadgen(daemon.ingest, *load.flags())
        reads.end_run(daemon, load)
        reads.settle(daemon)
        result = {"load": load, "series": reads.series(daemon, load), "bytes": daemon.disk_bytes() / load.samples}
    say("reads: /temperature, idle and under ingest at half its limit")
    load = Load(steps=200 // scale)
    result["limit"] = median_of(rounds, lambda: ingest_once(load, 4, "--format=frames"))["rate"]
    result["temperature"] = []
    for title, rate, query in (("idle", 0, ""), ("ingest at half its limit", result["limit"] / 2, ""),
                               ("the same, `detail=full`", result["limit"] / 2, "?detail=full")):
        with Pyrometer() as daemon:
            loadgen(daemon.ingest, *load.flags(), "--connections=4")
            with background_ingest(daemon, rate, 8 // (2 if scale > 1 else 1)) as beside:
                answer = reads.wrk(daemon, f"/api/v1/runs/run0/temperature{query}", seconds=4 if scale == 1 else 1)
            taken = beside["samples"] / beside["seconds"] if beside else 0
            result["temperature"].append({"title": title, "ingest": taken, **answer})
    return result


def many_readers(rounds, scale):
    rows = []
    with Pyrometer() as daemon:
        loadgen(daemon.ingest, *Load(runs=1, steps=4000 // scale).flags(), "--prefix=stored")
        for n, (listeners, slow) in enumerate(((0, 0), (1000, 0), (0, 200), (1000, 200))):
            say(f"streams: {listeners} streams, {slow} slow readers")
            load = lambda: acknowledgements(daemon, 10000 // scale, f"--run=job{n}-")  # noqa: E731
            rows.append(streams.measure(daemon, load, f"job{n}-0", listeners, slow))
            reads.settle(daemon)
    return rows


@contextlib.contextmanager
def background_ingest(daemon, rate, seconds):
    """Other runs of the same kind at that many samples a second, beginning before the block and ending behind it; what it came to
    is known then."""
    result = {}
    if not rate:
        yield result
        return
    load = Load(steps=int(rate * seconds / Load(steps=1).samples))
    thread = threading.Thread(target=lambda: result.update(loadgen(
        daemon.ingest, *load.flags(), "--prefix=other", "--connections=4", f"--samples-per-second={rate:.0f}")))
    thread.start()
    before = daemon.get_json("/api/v1/runs?limit=1000")["runs"]
    while len(daemon.get_json("/api/v1/runs?limit=1000")["runs"]) == len(before):  # its messages are being made
        time.sleep(0.05)
    yield result
    if not thread.is_alive():
        say("the background load ended too early: the figure is too good")
    thread.join()


def peers(rounds, scale):
    """Side by side: each peer in bulk and a step a message, this build before and after each."""
    rows = []
    bulk, single = Load(steps=200 // scale), Load(steps=40 // min(scale, 4))
    for peer in PEERS:
        if not peer.path():
            say(f"peers: {peer.name} is not installed (make bench-peers)")
            continue
        say(f"peers: {peer.name}")
        path, address = f"--path={peer.write}", "127.0.0.1:%d"
        for title, load, connections, batch in (("bulk", bulk, 4, POST_BYTES.get(peer.format, 1 << 20)),
                                                ("a step a message", single, 50, 0)):
            with peer() as program:
                row = measure(program, address % program.port, load, f"--format={peer.format}", path,
                              f"--batch={batch}", f"--connections={connections}")
                rows.append({"peer": peer, "title": title, "connections": connections, "load": load,
                             "disk_bytes": program.disk_bytes() / load.samples, **row})
        own = ingest_once(bulk, 4, "--format=frames")
        rows.append({"peer": Pyrometer, "title": "a step a message, frames", "connections": 4, "load": bulk, **own})
        own = ingest_once(bulk, 4, "--format=lines", "--digits=9")
        rows.append({"peer": Pyrometer, "title": "a step a message, lines", "connections": 4, "load": bulk, **own})
    return rows


SECTIONS = {"ingest": ingest, "latency": latency, "profile": profiles, "growth": growth, "reads": read_speed, "streams": many_readers,
            "peers": peers}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out")
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []])
    args = parser.parse_args()
    began, load_before = time.time(), os.getloadavg()[0]
    results, failures = {}, {}
    for name in args.sections or SECTIONS:
        try:
            results[name] = SECTIONS[name](1 if args.quick else args.rounds, QUICK if args.quick else 1)
        except (RuntimeError, OSError, ValueError, KeyError) as error:  # the other sections are still worth having
            say(f"{name} FAILED: {error}")
            failures[name] = str(error)
    text = report.markdown(results, failures, args.rounds, began, load_before)
    print(text)
    if args.out and not args.quick:
        with open(args.out, "w", encoding="utf-8") as out:
            out.write(text)
    say(f"took {time.time() - began:.0f} s")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
