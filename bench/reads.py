"""Questions to a daemon: how long /series takes cold and warm, how many /temperature a second."""

import http.client
import json
import os
import re
import shutil
import socket
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


def end_run(daemon, load):
    """The load generator leaves its runs running; of one that is over the pieces of tiers are merged."""
    hello = {"type": "hello", "protocol": 1, "run": "run0", "project": "bench", "loss": "cross_entropy", "batch_size": 64,
             "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
             "layers": [{"name": f"layer{i}", "n": 4096} for i in range(load.layers)]}
    host, port = daemon.ingest.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as job:
        job.sendall(b"".join(json.dumps(m).encode() + b"\n" for m in (hello, {"type": "end", "status": "completed"})))
        job.shutdown(socket.SHUT_WR)
        while job.recv(1 << 16):
            pass
    status = daemon.get_json("/api/v1/runs/run0")["status"]
    if status != "completed":
        raise RuntimeError(f"run0 is {status}")


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


HTTP_THREAD = "MHD-single"


def wrk(daemon, path, seconds, connections=8):
    size = ask(daemon, path)[1]
    if not shutil.which("wrk"):
        return {"requests": None, "p50": "-", "p99": "-", "bytes": size, "cpu_us": None}
    cpu = daemon.cpu_s(HTTP_THREAD)
    done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
                           f"http://127.0.0.1:{daemon.port}{path}"], capture_output=True, text=True, check=True)
    cpu = daemon.cpu_s(HTTP_THREAD) - cpu
    if "Non-2xx" in done.stdout:
        raise RuntimeError(done.stdout)
    n = int(re.search(r"(\d+) requests in", done.stdout)[1])
    requests = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])
    p50, p99 = (re.search(rf"^ +{percent}% +(\S+)$", done.stdout, re.MULTILINE)[1] for percent in (50, 99))
    return {"requests": requests, "p50": p50, "p99": p99, "bytes": size, "cpu_us": cpu / n * 1e6}
