"""Questions to a daemon: how long /series takes cold and warm, how many /temperature a second."""

import http.client
import os
import re
import shutil
import statistics
import subprocess
import time

QUESTIONS = (("loss", "metric=loss"), ("w_var of one layer", "metric=w_var&layer=layer0"),
             ("temperature.kinetic", "metric=temperature.kinetic"))
SETTLE_S = 60


def settle(daemon):
    """Waits until the daemon has nothing left to do: it uses no CPU for a while. It packs what is left of runs that have
    gone quiet for a second, and empties its log, so the while is longer."""
    deadline = time.monotonic() + SETTLE_S
    quiet = 0
    while quiet < 30 and time.monotonic() < deadline:
        before = daemon.cpu_s()
        time.sleep(0.1)
        quiet = quiet + 1 if daemon.cpu_s() - before < 0.003 else 0


def ask(daemon, path):
    """Milliseconds from the request to the last byte, and the bytes; over a connection that is there already."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=120)
    connection.connect()
    try:
        before = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        ms = (time.perf_counter() - before) * 1e3
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status} {body[:300]!r}")
        return ms, len(body)
    finally:
        connection.close()


def forget_pages(daemon):
    """The kernel drops what it has cached of the store's files; they are clean, the daemon being stopped."""
    os.sync()
    for path in (daemon.home / "data").rglob("*"):
        if path.is_file():
            with open(path, "rb") as f:
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def series(daemon, load, points=1000):
    """Cold: the first question to a daemon that was just started, nothing of the store in memory."""
    rows = []
    for title, query in QUESTIONS:
        path = f"/api/v1/runs/run0/series?{query}&points={points}"
        daemon.stop()
        forget_pages(daemon)
        daemon.start()
        cold, size = ask(daemon, path)
        warm = [ask(daemon, path)[0] for _ in range(21)]
        rows.append({"title": title, "path": path, "cold_ms": cold, "warm_ms": statistics.median(warm), "bytes": size})
    return rows


def wrk(daemon, path, seconds, connections=8):
    if not shutil.which("wrk"):
        return {"requests": None, "p50": "-", "p99": "-"}
    done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
                           f"http://127.0.0.1:{daemon.port}{path}"], capture_output=True, text=True, check=True)
    found = {key: re.search(pattern, done.stdout) for key, pattern in
             (("requests", r"Requests/sec:\s+([\d.]+)"), ("p50", r"50%\s+(\S+)"), ("p99", r"99%\s+(\S+)"))}
    if "Non-2xx" in done.stdout:
        raise RuntimeError(done.stdout)
    return {"requests": float(found["requests"][1]), "p50": found["p50"][1], "p99": found["p99"][1]}
