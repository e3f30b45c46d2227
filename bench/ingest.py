#!/usr/bin/env python3
"""Ingest speed and idle memory of this build, on this machine.

Two loads of lines, each acknowledged after a commit with synchronous=FULL:
  one run   one connection, 100 layers x 10 statistics a step
  50 runs   four connections, 50 layers x 10 statistics a step, 200 steps a run
The lines are made before the clock starts. A rate counts steps from the first byte sent to the last
acknowledgement received. CPU is the daemon's own, user and system.
"""
import json, os, random, selectors, shutil, socket, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
DAEMON = os.path.join(HERE, "..", "build", "pyrometerd")
STATS = ["w_mean", "w_var", "g_mean", "g_var", "u_mean", "u_var", "gw", "gu", "z_var", "a_var"]


def columns(layers, rng):
    scale = {"w_mean": .02, "w_var": .01, "g_mean": 1e-5, "g_var": 1e-6, "u_mean": 1e-8, "u_var": 1e-11}
    out = {}
    for s in STATS:
        k = scale.get(s, .1)
        if s.endswith("var"):
            out[s] = [float("%.7g" % (k * rng.lognormvariate(0, .1))) for _ in range(layers)]
        else:
            out[s] = [float("%.7g" % (k * rng.gauss(0, 1))) for _ in range(layers)]
    return out


def hello(run, layers):
    return json.dumps({"type": "hello", "protocol": 1, "run": run, "loss": "cross_entropy", "batch_size": 64,
                       "optimizer": {"name": "sgd", "lr": .1, "momentum": .9},
                       "layers": [{"name": "layer%d" % i, "n": 4096} for i in range(layers)]}) + "\n"


def steps(layers, count, rng):
    """`count` lines; the statistics repeat after 50 steps, which only the making of them notices."""
    bodies = [json.dumps(columns(layers, rng)) for _ in range(50)]
    return ['{"type":"step","step":%d,"loss":%.6g,"lr":0.1,"batch_size":64,"stats":%s}\n'
            % (i, 1 + .1 * rng.gauss(0, 1), bodies[i % 50]) for i in range(count)]


class Daemon:
    def __init__(self):
        self.data = tempfile.mkdtemp(prefix="pyrometer-bench-")
        path = os.path.join(self.data, "notify")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(path)
        self.process = subprocess.Popen(
            [DAEMON, "--data", self.data, "--ingest", "127.0.0.1:0", "--http", "127.0.0.1:0"],
            env=dict(os.environ, NOTIFY_SOCKET=path), stderr=subprocess.DEVNULL)
        self.notify.settimeout(30)
        while b"READY=1" not in self.notify.recv(4096):
            pass
        host, port = json.load(open(os.path.join(self.data, "endpoints.json")))["ingest"][0].rsplit(":", 1)
        self.address = (host, int(port))

    def memory_mb(self, field):
        for line in open("/proc/%d/status" % self.process.pid):
            if line.startswith(field):
                return int(line.split()[1]) / 1024

    def cpu_s(self):
        fields = open("/proc/%d/stat" % self.process.pid).read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        self.process.wait()
        size = sum(os.path.getsize(os.path.join(self.data, f)) for f in os.listdir(self.data))
        shutil.rmtree(self.data)
        return size


def push(address, streams):
    """Sends each stream over a connection of its own, reading answers as it goes. A stream is a list of
    (hello, lines, last step) to send one after the other. Returns seconds to the last acknowledgement."""
    sel = selectors.DefaultSelector()
    started = time.monotonic()
    for runs in streams:
        s = socket.create_connection(address)
        s.setblocking(False)
        sel.register(s, selectors.EVENT_READ | selectors.EVENT_WRITE, {"runs": list(runs), "out": b"", "in": b""})
        load(sel.get_key(s).data)
    while sel.get_map():
        for key, mask in sel.select():
            serve(sel, key, mask, address)
    return time.monotonic() - started


def load(state):
    head, body, state["last"] = state["runs"].pop(0)
    state["out"] = memoryview(head + body)


def serve(sel, key, mask, address):
    s, state = key.fileobj, key.data
    if mask & selectors.EVENT_WRITE:
        state["out"] = state["out"][s.send(state["out"][:1 << 18]):]
        if not len(state["out"]):
            sel.modify(s, selectors.EVENT_READ, state)
    if mask & selectors.EVENT_READ:
        state["in"] = (state["in"] + s.recv(1 << 16))[-400:]
        if b'"ack","step":%d}' % state["last"] in state["in"]:
            sel.unregister(s)
            s.close()
            if state["runs"]:
                s = socket.create_connection(address)
                s.setblocking(False)
                load(state)
                state["in"] = b""
                sel.register(s, selectors.EVENT_READ | selectors.EVENT_WRITE, state)


def measure(name, layers, count, runs, connections):
    rng = random.Random(1)
    body = "".join(steps(layers, count, rng)).encode()
    jobs = [(hello("run%d" % i, layers).encode(), body, count - 1) for i in range(runs)]
    daemon = Daemon()
    idle = daemon.memory_mb("VmRSS")
    cpu = daemon.cpu_s()
    seconds = push(daemon.address, [jobs[i::connections] for i in range(connections)])
    cpu = daemon.cpu_s() - cpu
    peak = daemon.memory_mb("VmHWM")
    size = daemon.stop()
    samples = runs * count * layers * len(STATS)
    print("%-8s %7.0f steps/s  %6.2f M samples/s  %4.0f ns CPU/sample  %5.1f bytes/sample  peak %3.0f MB  idle %4.1f MB"
          % (name, runs * count / seconds, samples / seconds / 1e6, cpu / samples * 1e9, size / samples, peak, idle))


if __name__ == "__main__":
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        measure("one run", 100, 4000, 1, 1)
        measure("50 runs", 50, 200, 50, 4)
