#!/usr/bin/env python3
"""Many who listen and many who hardly read: what that does to jobs and to other readers.

As a program: bench/streams.py PORT RUN STREAMS SLOW, the clients alone. Prints a line once all are connected and, when its
input ends, how many readings and bytes came.
"""

import http.client
import json
import selectors
import socket
import statistics
import subprocess
import sys
import threading
import time

SLOW_READS_S = 0.25  # a slow reader takes 1 KiB so often
PROBES_A_SECOND = 50
STORED = "stored0"  # the run that slow readers export


class Clients:
    def __init__(self, port, run, streams, slow):
        self.port = port
        self.selector = selectors.DefaultSelector()
        self.readings = self.bytes = 0
        self.buffer = bytearray(1 << 20)
        self.streams = [self.ask(f"/api/v1/runs/{run}/stream", 1 << 20) for _ in range(streams)]
        for s in self.streams:
            self.selector.register(s, selectors.EVENT_READ)
        self.slow = [self.ask(f"/api/v1/runs/{STORED}/export", 4096) for _ in range(slow)]

    def ask(self, path, room):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        s.connect(("127.0.0.1", self.port))
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return s

    def read_streams(self, seconds):
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for key, _ in self.selector.select(left):
                n = key.fileobj.recv_into(self.buffer)
                self.bytes += n
                self.readings += self.buffer.count(b"event: temperature", 0, n)
                if n == 0:
                    self.selector.unregister(key.fileobj)

    def read_slow(self):
        for s in self.slow:
            s.recv(1024, socket.MSG_DONTWAIT) if self.has_bytes(s) else None

    @staticmethod
    def has_bytes(s):
        try:
            return s.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
        except BlockingIOError:
            return b""


def be_clients(port, run, streams, slow):
    clients = Clients(int(port), run, int(streams), int(slow))
    stopped = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
    print("connected", flush=True)
    began = time.monotonic()
    while not stopped.is_set():
        clients.read_streams(SLOW_READS_S)
        clients.read_slow()
    open_streams = len(clients.selector.get_map())
    print(json.dumps({"readings": clients.readings, "bytes": clients.bytes, "open": open_streams,
                      "seconds": time.monotonic() - began}))


def probe(port, path, stopped, found):
    """Another reader: milliseconds of each answer, over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not stopped.is_set():
        before = time.perf_counter()
        connection.request("GET", path)
        connection.getresponse().read()
        found.append((time.perf_counter() - before) * 1e3)
        stopped.wait(1 / PROBES_A_SECOND)
    connection.close()


def measure(daemon, load, run, streams, slow):
    """`load()` gives a job's acknowledgements; beside it the clients, and one reader who wants to be served."""
    result, stopped, answers = {}, threading.Event(), []
    job = threading.Thread(target=lambda: result.update(load()))
    job.start()
    while run not in [r["run"] for r in daemon.get_json("/api/v1/runs")["runs"]]:
        time.sleep(0.02)
    clients = subprocess.Popen([sys.executable, __file__, str(daemon.port), run, str(streams), str(slow)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    clients.stdout.readline()
    if not job.is_alive():
        raise RuntimeError("the job was over before all clients were connected: this machine has too much else to do")
    reader = threading.Thread(target=probe, args=[daemon.port, f"/api/v1/runs/{run}/temperature", stopped, answers])
    cpu = daemon.cpu_s()
    began = time.monotonic()
    reader.start()
    job.join()
    stopped.set()
    reader.join()
    seconds = time.monotonic() - began
    used = (daemon.cpu_s() - cpu) / seconds
    memory = daemon.memory_mb("VmHWM")
    told = json.loads(clients.communicate("")[0].splitlines()[-1])
    answers.sort()
    return {**result, "streams": streams, "slow": slow, "open": told["open"], "cpu": used, "memory": memory,
            "readings": told["readings"] / max(streams, 1) / told["seconds"], "mb": told["bytes"] / told["seconds"] / 1e6,
            "read_p50": statistics.median(answers), "read_p99": answers[int(0.99 * (len(answers) - 1))]}


if __name__ == "__main__":
    be_clients(*sys.argv[1:])
