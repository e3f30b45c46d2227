"""The results as docs/benchmarks.md."""

import os
import platform
import statistics
import subprocess
import time
from pathlib import Path

from programs import PEERS, Pyrometer, version_of

HEAD = """# Benchmarks

    make bench            # everything below, into this file; a quarter of an hour with the peers
    make bench-peers      # installs Debian's packages of the peers, and wrk

{machine}

Every load is {stats} a layer and step, made-up random walks of float32 values. All thermometers and alert rules are on and
every commit is synced (`synchronous=FULL`). The load generator (`bench/loadgen.c`, one thread, messages made beforehand)
runs on the same cores. A rate counts from the first byte sent to the last acknowledgement, which the daemon sends when
the step is on disk and can be read; `counted` is the share of samples that the API then gave back. CPU is the daemon's
alone, user and system, all threads: until all samples could be read, and, where a second figure is given, until the daemon had
nothing left to do. In between it packs what waits; packing gives way to a load like these (docs/architecture.md, "The store").
"""


def mega(x):
    return f"{x / 1e6:.2f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"


def sqlite_version():
    import ctypes.util
    import ctypes
    library = ctypes.CDLL(ctypes.util.find_library("sqlite3"))
    library.sqlite3_libversion.restype = ctypes.c_char_p
    return library.sqlite3_libversion().decode()


def machine(began, load_before):
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // (1 << 20)
    where = subprocess.run(["df", "--output=fstype", os.environ.get("BENCH_DIR", "/tmp")], capture_output=True, text=True)
    system = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    gcc = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True).stdout.strip()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return (f"Measured {time.strftime('%Y-%m-%d', time.gmtime(began))} with that command at commit {commit} on "
            f"{os.cpu_count()} cores of {cpu}, {memory} GiB, {where.stdout.split()[-1]}, "
            f"{system['PRETTY_NAME'].strip(chr(34))}, kernel {platform.release()}, gcc {gcc}, SQLite {sqlite_version()}. "
            f"The load average was {load_before:.1f} before it and {os.getloadavg()[0]:.1f} behind it (its own is 2 to 3): what other "
            "work took from the two cores is missing here.")


def ingest(rows):
    return "## Ingest\n\n50 runs of 50 layers, 200 steps each unless said, over 4 connections.\n\n" + table(
        ["messages", "M samples/s (lowest to highest)", "CPU, ns a sample", "CPU with all packing", "counted", "bytes a sample on the wire",
         "bytes a sample on disk", "peak memory", "idle memory"],
        [[r["title"], f"{mega(r['rate'])} ({mega(r['low'])} to {mega(r['high'])})", f"{r['cpu_ns']:.0f}",
          f"{r['settled_cpu_ns']:.0f}", f"{r['counted']:.0%}", f"{r['wire_bytes']:.1f}", f"{r['disk_bytes']:.2f}", f"{r['peak_mb']:.0f} MB",
          f"{r['idle_mb']:.1f} MB"] for r in rows])


def latency(rows):
    return ("## Acknowledgement\n\n`pyrometer bench`: one connection, one step of 50 layers a message, 1,000 steps a second for 10 s. A latency "
            "counts from the moment at which the step was due.\n\n" +
            table(["messages", "p50", "p99", "highest"],
                  [[r["title"], *(f"{r[k]:.2f} ms" for k in ("p50_ms", "p99_ms", "max_ms"))] for r in rows]))


def growth(tables):
    text = "## How cost grows\n\nFrames. One thing grows, the rest stays; what it stays at is in the third column.\n"
    for dimension, rows in tables.items():
        text += f"\n### With {dimension}\n\n" + table(
            [dimension, "M samples/s", "runs x layers x steps", "CPU, ns a sample", "CPU with all packing", "CPU, us a step", "peak memory",
             "bytes a sample on disk"],
            [[f"{r['n']:,}", mega(r["rate"]), f"{r['load'].runs:,} x {r['load'].layers:,} x {r['load'].steps:,}",
              f"{r['cpu_ns']:.0f}", f"{r['settled_cpu_ns']:.0f}", f"{r['cpu_ns'] * r['load'].layers * r['load'].stats / 1e3:.1f}",
              f"{r['peak_mb']:.0f} MB", f"{r['disk_bytes']:.2f}"] for r in rows])
    return text


def reads(result):
    load = result["load"]
    text = (f"## Reads\n\n`/series` of one metric over {load.steps:,} steps to 1,000 points. Cold: the first request after a "
            "start, nothing of the store in the kernel's cache. Warm: the median of the next 21.\n\n")
    text += table(["metric", "cold", "warm", "bytes"], [[r["title"], f"{r['cold_ms']:.1f} ms", f"{r['warm_ms']:.2f} ms",
                                                         f"{r['bytes']:,}"] for r in result["series"]])
    text += (f"\nThat store takes {result['bytes']:.2f} bytes a sample ({load.layers} layers).\n\n`/temperature` of a run of "
             "50 layers, 8 connections kept alive (`wrk -t1 -c8`), which runs on the same cores:\n\n")
    return text + table(["beside", "bytes", "requests/s", "p50", "p99", "the HTTP thread's CPU a request"],
                        [[r["title"] + (f" ({mega(r['ingest'])} of {mega(result['limit'])} M samples/s)" if r["ingest"] else ""),
                          f"{r['bytes']:,}", *(["wrk is not installed", "-", "-", "-"] if r["requests"] is None else
                                               [f"{r['requests']:,.0f}", r["p50"], r["p99"], f"{r['cpu_us']:.1f} us"])]
                         for r in result["temperature"]])


def streams(rows):
    return ("## Many readers\n\nA job sends 1,000 steps of 50 layers a second for 10 s; its acknowledgements are timed as above. One reader asks for its "
            "`/temperature` 50 times a second. Beside them: event streams of that run, and readers of a long run's export that "
            "take 1 KiB each 250 ms. All clients run on the same cores.\n\n" +
            table(["streams", "slow readers", "acknowledgement p50", "p99", "highest", "`/temperature` p50", "p99",
                   "readings a stream and second", "MB/s to the streams", "the daemon's CPU, cores", "peak memory"],
                  [[f"{r['streams']:,}" + ("" if r["open"] == r["streams"] else f" ({r['open']} stayed open)"), r["slow"],
                    *(f"{r[k]:.2f} ms" for k in ("p50_ms", "p99_ms", "max_ms", "read_p50", "read_p99")),
                    f"{r['readings']:.1f}" if r["streams"] else "-", f"{r['mb']:.0f}", f"{r['cpu']:.2f}", f"{r['memory']:.0f} MB"]
                   for r in rows]))


def peers(rows):
    text = "## Peers\n\nThe same samples in the same run on the same machine. " + " ".join(
        f"{p.name} {version_of(p)} (Debian), {p.durability}." for p in PEERS if any(r["peer"] is p for r in rows))
    text += (" Settings are the packages' own but for retention and InfluxDB's monitoring. Bulk: HTTP posts of 1 MiB (4 MiB for "
             "ClickHouse) over 4 connections. A step a message: 500 samples a post over 50 connections, the next after the "
             "answer to the last. Accepted: until the last answer. Queryable: until a count over the API finds "
             "all samples.\n\n")
    text += table(["program", "how", "connections", "M samples", "accepted, M/s", "queryable, M/s", "counted",
                   "CPU, ns a sample", "peak memory", "bytes a sample on disk"],
                  [[r["peer"].name, r["title"], r["connections"], f"{r['load'].samples / 1e6:g}", mega(r["rate"]),
                    mega(r["queryable_rate"]), f"{r['counted']:.0%}", f"{r['cpu_ns']:.0f}", f"{r['peak_mb']:.0f} MB",
                    f"{r['disk_bytes']:.2f}"] for r in rows])
    own = {title: [r["rate"] for r in rows if r["peer"] is Pyrometer and title in r["title"]]
           for title in ("frames", "lines")}
    for peer in PEERS:
        for how in ("bulk", "a step a message"):
            theirs = [r["rate"] for r in rows if r["peer"] is peer and r["title"] == how]
            if theirs:
                times = [f"{statistics.median(own[t]) / theirs[0]:.1f} times by {t}" for t in own if own[t]]
                text += f"\n- Against what {peer.name} accepts ({how}): {', '.join(times)}."
    return text + "\n"


def profiles(rows):
    text = ("## Where the time goes\n\nThe daemon's CPU time by `perf` under the load of the first table with 1,000 steps a run, in "
            "shares of all of it: functions by the room that they are in (docs/architecture.md), libraries, the kernel.\n")
    for r in rows:
        text += f"\n### {r['title']}\n\n" + table(
            ["what", "share", "loop", "writer", "other threads"],
            [[what, f"{share:.0%}", *(f"{by[t]:.0%}" for t in ("loop", "writer", "others"))]
             for what, share, by in r["places"] if share >= 0.005])
        text += "\nThe largest functions: " + ", ".join(f"`{s}` ({w.rstrip('/')}) {n:.1%}" for s, w, n in r["top"]) + ".\n"
    return text


WHY = {
    "rate": "Both threads share two cores with the load generator; what they do is under \"Where the time goes\".",
    "cpu": "What it is spent on is under \"Where the time goes\".",
    "times": "The peer's rate is that of the same run; ours is bounded as said above.",
    "latency": "It is that of the disk's sync when other work keeps the cores or the disk busy.",
    "disk": "Noisy mantissas do not pack; the newest steps, not packed yet, and the tiers come on top.",
    "memory": "Each run keeps the windows of its instruments, each connection its read buffer.",
    "idle": "Most of it are pages of shared libraries: SQLite, GnuTLS, libcurl with OpenSSL and Kerberos.",
    "series": "The answer is drawn from tiers; what is not in one yet is read step by step.",
    "temperature": "The clients (`wrk`), the load generator and the daemon share two cores.",
}


def judged(what, target, is_met, measured, why):
    return [what, target, measured, "yes" if is_met else f"no. {WHY[why]}"]


def own_times(rows, title):
    """Of the peers' section: our median rate by that kind of message over what VictoriaMetrics accepted in bulk."""
    theirs = [r["rate"] for r in rows if r["peer"].name == "VictoriaMetrics" and r["title"] == "bulk"]
    own = [r["rate"] for r in rows if r["peer"] is Pyrometer and title in r["title"]]
    return statistics.median(own) / theirs[0] if theirs and own else None


def ingest_targets(rows):
    by = {r["title"]: r for r in rows}
    frames, lines, long = by["frames"], by["lines, 9 digits"], by["frames, 1,000 steps a run"]
    return [
        judged("ingest by frames", "12 M samples/s (mark 15)", frames["rate"] >= 12e6, f"{mega(frames['rate'])} M/s", "rate"),
        judged("ingest by lines", "5 M samples/s", lines["rate"] >= 5e6, f"{mega(lines['rate'])} M/s", "rate"),
        judged("the daemon's CPU a sample, frames, all packing included", "100 ns", frames["settled_cpu_ns"] <= 100,
               f"{frames['settled_cpu_ns']:.0f} ns; {frames['cpu_ns']:.0f} ns until all could be read", "cpu"),
        judged("bytes a sample on disk, 1,000 steps a run", "3.3", long["disk_bytes"] <= 3.3, f"{long['disk_bytes']:.2f}",
               "disk"),
        judged("peak memory", "80 MB", max(r["peak_mb"] for r in rows) <= 80, f"{max(r['peak_mb'] for r in rows):.0f} MB",
               "memory"),
        judged("memory when idle", "12 MB", frames["idle_mb"] <= 12, f"{frames['idle_mb']:.1f} MB", "idle")]


def targets(results):
    rows = ingest_targets(results["ingest"]) if "ingest" in results else []
    for title, least in (("frames", 5), ("lines", 2)):
        times = own_times(results.get("peers", []), title)
        if times:
            rows.append(judged(f"{title}, against what VictoriaMetrics accepts in bulk in the same run", f"{least} times",
                               times >= least, f"{times:.1f} times", "times"))
    if "latency" in results:
        p50, p99 = (max(r[k] for r in results["latency"]) for k in ("p50_ms", "p99_ms"))
        rows.append(judged("acknowledgement at 1,000 steps/s, p50 and p99", "2 ms, 10 ms", p50 <= 2 and p99 <= 10,
                           f"{p50:.2f} ms, {p99:.2f} ms", "latency"))
    if "reads" in results:
        read = results["reads"]
        cold, warm = (max(r[k] for r in read["series"]) for k in ("cold_ms", "warm_ms"))
        rows.append(judged("`/series` to 1,000 points, the slowest metric, cold and warm", "10 ms, 2 ms", cold <= 10 and warm <= 2,
                           f"{cold:.1f} ms, {warm:.2f} ms", "series"))
        busy = read["temperature"][1]["requests"]
        rows.append(judged("`/temperature` with ingest at half its limit", "20,000 requests/s", (busy or 0) >= 20000,
                           "wrk is not installed" if busy is None else f"{busy:,.0f}/s", "temperature"))
    return "## Targets\n\n" + table(["what", "target", "measured", "met"], rows) if rows else ""


WRITERS = {"ingest": ingest, "latency": latency, "profile": profiles, "growth": growth, "reads": reads, "streams": streams,
           "peers": peers}


def markdown(results, failures, rounds, began, load_before):
    text = HEAD.format(machine=machine(began, load_before), stats="10 statistics")
    text += f"\nRates are medians of {rounds} rounds, each against a fresh daemon, where a spread is given.\n"
    parts = [targets(results), *(WRITERS[name](result) for name, result in results.items()),
             *(f"## {name}\n\nFailed: {why}\n" for name, why in failures.items())]
    return text + "".join("\n" + part for part in parts if part)
