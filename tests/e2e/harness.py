"""What the end-to-end tests stand on: a real daemon, jobs that speak its protocol, HTTP calls.

The programs under test are taken from the directory in $PYROMETERD (default: build/ of the checkout). Nothing here
waits by sleeping for a fixed time: readiness comes over $NOTIFY_SOCKET, answers come over sockets, and `eventually`
asks again until a deadline that only a broken daemon reaches.
"""

import gzip
import http.client
import json
import os
import re
import random
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest
import urllib.parse
from pathlib import Path

from secure import SecureSocket

TESTS = Path(__file__).resolve().parent.parent
DATA = TESTS / "data"
BIN = Path(os.environ.get("PYROMETERD") or TESTS.parent / "build").resolve()
# Put in front of the daemon's command, for example valgrind with its options.
WRAPPER = shlex.split(os.environ.get("PYROMETERD_WRAPPER", ""))
SANITIZED = "asan" in BIN.name
SLOW = bool(WRAPPER) or SANITIZED
# Every wait ends here: far above what a healthy daemon needs, so that only a defect meets it.
TIMEOUT = 300 if WRAPPER else 60
SANITIZER_REPORTS = ("AddressSanitizer", "LeakSanitizer", "UndefinedBehaviorSanitizer", "runtime error:")

ERROR_CODES = {
    "bad_json", "too_large", "unknown_type", "no_hello", "bad_hello", "layers_differ", "wrong_shape", "bad_value",
    "step_order", "unauthorized", "unsupported_protocol", "overloaded", "shutting_down",
}
STATISTICS = (
    "w_mean w_var w_min w_max g_mean g_var u_mean u_var gw gu gu_prev z_mean z_var a_mean a_var a_active a_saturated"
).split()
THERMOMETERS = "transition differential kinetic configurational noise velocity".split()


def eventually(ask, what="the condition", timeout=TIMEOUT):
    """Asks until the answer is true and returns it; for what the contract promises 'soon' and nothing announces."""
    deadline = time.monotonic() + timeout
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come about in {timeout} s")
        time.sleep(0.02)


def program_environment():
    env = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID")}
    env["LC_ALL"] = "C.UTF-8"  # the programs write what the locale says
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    return env


def run_program(name, *args, timeout=TIMEOUT, **kwargs):
    """Runs one of the programs to its end; stdout and stderr are text."""
    return subprocess.run([str(BIN / name), *map(str, args)], capture_output=True, text=True, env=program_environment(),
                          timeout=timeout, stdin=subprocess.DEVNULL, **kwargs)


class Daemon:
    """One daemon on its own data directory. `start` returns once it says READY=1."""

    environment = {}  # added to the daemon's

    def __init__(self, config=None, args=(), home=None, ingest="127.0.0.1:0", http="127.0.0.1:0"):
        self.home = Path(home or tempfile.mkdtemp(prefix="pyro-"))
        self.data = self.home / "data"
        self.log_file = self.home / "stderr"
        self.config_file = self.home / "pyrometer.yaml"
        self.args = list(args)
        self.listen = ingest, http
        self.process = None
        if config is not None:
            self.configure(config)

    def configure(self, text):
        self.config_file.write_text(text)

    def command(self):
        flags = ["--data", self.data]
        for flag, value in zip(("--ingest", "--http"), self.listen):
            flags += [flag, value] if value else []
        if self.config_file.exists():
            flags += ["--config", self.config_file]
        return [*WRAPPER, *map(str, [BIN / "pyrometerd", *flags, *self.args])]

    def start(self):
        self.data.mkdir(exist_ok=True)
        endpoints = self.data / "endpoints.json"
        endpoints.unlink(missing_ok=True)
        notify_path = self.home / "notify"
        notify_path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, open(self.log_file, "ab") as log:
            notify.bind(str(notify_path))
            env = dict(program_environment(), NOTIFY_SOCKET=str(notify_path), **self.environment)
            self.process = subprocess.Popen(self.command(), env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self._await_readiness(notify)
        if endpoints.exists():
            where = json.loads(endpoints.read_text())
        else:  # it could not be written: the log says it too
            ingest, http_ = re.findall(r"is ready ingest=(\[.*?\]) http=(\S+)", self.log())[-1]
            where = {"ingest": json.loads(ingest), "http": http_}
        self.ingest = [address(text) for text in where["ingest"]]
        self.http = address(where["http"])
        return self

    def _await_readiness(self, notify):
        notify.settimeout(0.1)
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                if b"READY=1" in notify.recv(4096).split(b"\n"):
                    return
            except socket.timeout:
                if self.process.poll() is not None:
                    raise AssertionError(f"the daemon ended with {self.process.returncode}\n{self.log()}") from None
                if time.monotonic() > deadline:
                    self.process.kill()
                    raise AssertionError(f"the daemon was not ready in {TIMEOUT} s\n{self.log()}") from None

    def log(self):
        return self.log_file.read_text(errors="replace")[-20000:] if self.log_file.exists() else ""

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, sig=signal.SIGTERM):
        """Stops the daemon as systemd does; anything but exit 0 is a failure, and so is a sanitizer's report."""
        if self.process is None:
            return
        if self.running():
            self.process.send_signal(sig)
        process, self.process = self.process, None
        try:
            code = process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the daemon did not stop in {TIMEOUT} s\n{self.log()}") from None
        if code != 0:
            raise AssertionError(f"the daemon ended with {code}\n{self.log()}")
        self.check_log()

    def check_log(self):
        log = self.log()
        for report in SANITIZER_REPORTS:
            if report in log:
                raise AssertionError(f"{report} in the daemon's log\n{log}")

    def kill9(self):
        self.process.kill()
        self.process.wait()
        self.process = None
        self.check_log()

    def restart(self):
        self.stop()
        return self.start()

    def close(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.home, ignore_errors=True)

    def memory(self):
        """Resident bytes of the daemon."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS in the daemon's status")

    # HTTP

    def call(self, method, path, headers=None, body=None, timeout=TIMEOUT):
        """One request on a connection of its own: (status, headers in lower case, body as bytes)."""
        connection = http.client.HTTPConnection(*self.http, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def get(self, path, expect=200, headers=None):
        status, answer_headers, body = self.call("GET", path, headers)
        if status != expect:
            raise AssertionError(f"GET {path}: {status} instead of {expect}: {body[:500]!r}")
        return answer_headers, body

    def get_json(self, path, expect=200, headers=None):
        answer_headers, body = self.get(path, expect, headers)
        wanted = "application/json" if expect < 400 else "application/problem+json"
        if not answer_headers.get("content-type", "").startswith(wanted):
            raise AssertionError(f"GET {path}: content type {answer_headers.get('content-type')} instead of {wanted}")
        return json.loads(body, parse_constant=refuse_constant)

    def run(self, run):
        return self.get_json(f"/api/v1/runs/{quote(run)}")

    def temperature(self, run):
        return self.get_json(f"/api/v1/runs/{quote(run)}/temperature?detail=full")

    def reading_at(self, run, step):
        """The reading of that step, once it is published."""
        def ask():
            status, _, body = self.call("GET", f"/api/v1/runs/{quote(run)}/temperature?detail=full")
            if status != 200:
                return None
            reading = json.loads(body, parse_constant=refuse_constant)
            return reading if reading["step"] == step else None
        return eventually(ask, f"the reading of step {step} of {run}")

    def series(self, run, metric, **query):
        query = urllib.parse.urlencode({"metric": metric, **{k.rstrip("_"): v for k, v in query.items()}}, doseq=True)
        return self.get_json(f"/api/v1/runs/{quote(run)}/series?{query}")

    def export(self, run):
        return self.get(f"/api/v1/runs/{quote(run)}/export")[1]

    def messages(self, run, kind):
        """The messages of this type in an export, in its order."""
        return [m for m in map(json.loads, self.export(run).splitlines()) if m["type"] == kind]

    def steps(self, run):
        return self.messages(run, "step")

    def alerts(self, **query):
        return self.get_json("/api/v1/alerts?" + urllib.parse.urlencode(query))["alerts"]


class Job:
    """A training job as the daemon sees it: one connection that speaks the line protocol.

    With `tls`, an SSLContext, over TLS.
    """

    def __init__(self, where, timeout=TIMEOUT, receive_buffer=None, tls=None):
        target = where.ingest[0] if isinstance(where, Daemon) else where
        family = socket.AF_UNIX if isinstance(target, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(target)
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = SecureSocket(self.socket, tls)
        self.pending = b""
        self.acked = -1
        self.lines = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def raw(self, data):
        self.lines += data.count(b"\n")
        self.socket.sendall(data)

    def send(self, message):
        self.raw(line(message))

    def frame(self, data):
        """Bytes of one binary frame, which counts as one message."""
        self.lines += 1 - data.count(b"\n")
        self.raw(data)

    def recv(self):
        """The next message; None at the end of the connection (a reset after it counts as the end)."""
        while b"\n" not in self.pending:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                if self.pending:
                    raise AssertionError(f"the connection ended inside a message: {self.pending!r}")
                return None
            self.pending += data
        text, self.pending = self.pending.split(b"\n", 1)
        message = json.loads(text, parse_constant=refuse_constant)
        if message["type"] == "ack":
            if message["step"] < self.acked:
                raise AssertionError(f"ack {message['step']} after ack {self.acked}")
            self.acked = message["step"]
        return message

    def expect(self, kind):
        """The next message that is no ack, which must be of this kind."""
        while True:
            message = self.recv()
            if message is None:
                raise AssertionError(f"the connection ended, {kind} was expected")
            if message["type"] == kind:
                return message
            if message["type"] != "ack":
                raise AssertionError(f"{message} came, {kind} was expected")

    def hello(self, run=None, layers=None, **fields):
        self.send(hello(run, layers, **fields))
        return self.expect("welcome")

    def step(self, step, layers=3, **fields):
        self.send(make_step(step, layers, **fields))

    def ping(self):
        self.send({"type": "ping"})
        return self.expect("pong")

    def wait_ack(self, step):
        while self.acked < step:
            message = self.recv()
            if message is None or message["type"] != "ack":
                raise AssertionError(f"{message} came, the ack of step {step} was expected; last ack {self.acked}")

    def expect_closed(self):
        message = self.recv()
        if message is not None:
            raise AssertionError(f"{message} came, the end of the connection was expected")

    def expect_error(self, codes, number=None, fatal=None):
        """An error with one of these codes that says what the contract promises; `number` is the line it must name."""
        codes = {codes} if isinstance(codes, str) else set(codes)
        error = self.expect("error")
        problems = []
        if error["code"] not in codes:
            problems.append(f"code should be one of {sorted(codes)}")
        if not isinstance(error.get("message"), str) or len(error["message"]) < 8:
            problems.append("message should say what was wrong")
        if error.get("line") != (self.lines if number is None else number):
            problems.append(f"line should be {self.lines if number is None else number}")
        if not isinstance(error.get("fatal"), bool) or (fatal is not None and error["fatal"] != fatal):
            problems.append(f"fatal should be {'true or false' if fatal is None else fatal}")
        if problems:
            raise AssertionError(f"{error}: {'; '.join(problems)}")
        if error["fatal"]:
            self.expect_closed()
        return error

    def drain(self):
        """Every message until the daemon closes the connection."""
        messages = []
        while True:
            message = self.recv()
            if message is None:
                return messages
            messages.append(message)


class TestCase(unittest.TestCase):
    """A test that may start daemons of its own with `daemon()`; they are stopped and judged at its end."""

    maxDiff = 4000
    daemons = ()

    def daemon(self, config=None, **kwargs):
        daemon = Daemon(config, **kwargs)
        self.daemons = [*self.daemons, daemon]
        self.addCleanup(daemon.close)
        return daemon.start()

    def daemon_logs(self):
        """What the test's daemons said last, for the report of a failure."""
        return "".join(f"the log of daemon {i} ends:\n" + "\n".join(daemon.log().splitlines()[-30:]) + "\n"
                       for i, daemon in enumerate(self.daemons, 1))

    def job(self, daemon, **kwargs):
        job = Job(daemon, **kwargs)
        self.addCleanup(job.close)
        return job

    def assert_served(self, daemon):
        """The daemon still takes a step and makes it durable."""
        with Job(daemon) as job:
            job.hello()
            job.step(0)
            job.wait_ack(0)


class SharedDaemonCase(TestCase):
    """Tests that share one daemon, each with runs of its own."""

    config = None

    @classmethod
    def setUpClass(cls):
        cls.shared = Daemon(cls.config)
        cls.daemons = (cls.shared,)
        cls.addClassCleanup(cls.shared.close)
        cls.shared.start()

    def connect(self, **kwargs):
        return self.job(self.shared, **kwargs)

    def start_run(self, run=None, **fields):
        """A job after its hello, and the name of its run."""
        job = self.connect()
        return job, job.hello(run or self.run_name(), **fields)["run"]

    def run_name(self):
        return new_run(self._testMethodName)


# Messages

_run_counter = iter(range(1 << 30))


def new_run(stem="run"):
    return f"{stem[:100]}-{next(_run_counter)}"


def line(message):
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def make_layers(n=3):
    kinds = [("fc1", 7850), ("fc2", 1010), ("out", 110)] + [(f"more{i}", 100 + i) for i in range(3, n)]
    return [{"name": name, "n": size, "kind": "linear", "activation": "relu"} for name, size in kinds[:n]]


def hello(run=None, layers=None, **fields):
    """A hello message; a field given as None is left out."""
    message = {
        "type": "hello", "protocol": 1, "run": run or new_run(), "project": "tests", "loss": "cross_entropy",
        "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0}, "batch_size": 64,
        "layers": make_layers() if layers is None else make_layers(layers) if isinstance(layers, int) else layers,
    }
    message.update(fields)
    return {k: v for k, v in message.items() if v is not None}


def make_step(step, layers=3, seed=0, stats=STATISTICS, **fields):
    """A step with every statistic: made-up but plausible, and the same for the same step and seed."""
    rng = random.Random(f"{seed}/{step}")
    columns = {}
    for key in stats:
        scale = 0.01 if key in ("w_var", "g_var", "u_var", "z_var", "a_var") else 0.1
        positive = key.endswith("var") or key.startswith("a_")
        columns[key] = [abs(x) if positive else x for x in (rng.gauss(0, scale) for _ in range(layers))]
    message = {"type": "step", "step": step, "time": 1.7e9 + step * 0.25,
               "loss": 2 / (1 + step / 100) + rng.gauss(0, 0.05),
               "lr": 0.05, "batch_size": 64, "stats": columns}
    message.update(fields)
    return {k: v for k, v in message.items() if v is not None}


STATISTIC_IDS = {name: i for i, name in enumerate(
    "w_mean w_var w_min w_max g_mean g_var u_mean u_var gw gu z_mean z_var a_mean a_var a_active a_saturated g_noise "
    "w_alpha gu_prev".split(), 1)}
MISSING32, MISSING64 = struct.pack("<I", 0x7FC0A0A7), struct.pack("<Q", 0x7FF80000A0A70000)


def frame(message, wide=("w_var",), ids=None):
    """A step message as a binary frame; the statistics in `wide` are float64. Values may be bytes, taken as they are."""
    ids = {**STATISTIC_IDS, **(ids or {})}

    def value(x, is_wide):
        if isinstance(x, bytes):
            return x
        if x is None:
            return MISSING64 if is_wide else MISSING32
        return struct.pack("<d" if is_wide else "<f", x)

    stats = message.get("stats") or {}
    codes = bytes(ids[key] | (0x80 if key in wide else 0) for key in stats)
    columns = [b"".join(value(x, key in wide) for x in column) for key, column in stats.items()]
    body = b"".join(part + bytes(-len(part) % 8) for part in [
        struct.pack("<d", message.get("time", 0)), value(message.get("loss"), True), value(message.get("lr"), True),
        struct.pack("<IHH", message.get("batch_size", 0), len(stats), 0), codes, *columns])
    return struct.pack("<BBHIq", 0xA7, 1, 0, len(body), message["step"]) + body


def recording(name):
    """The lines of a recording in tests/data, as bytes."""
    return gzip.decompress((DATA / f"{name}.ndjson.gz").read_bytes()).splitlines(keepends=True)


def replay(daemon, lines):
    """Sends a recording or an export, a connection a hello; the last step's number once all is acknowledged."""
    attempts = []
    for text in lines:
        if json.loads(text)["type"] == "hello":
            attempts.append([])
        attempts[-1].append(text)
    for attempt in attempts:
        last = max([m["step"] for m in map(json.loads, attempt) if m["type"] == "step"], default=-1)
        with Job(daemon) as job:
            job.raw(b"".join(attempt))
            job.half_close()
            answers = job.drain()
        errors = [a for a in answers if a["type"] == "error"]
        if errors or job.acked < last:
            raise AssertionError(f"replay: {errors[:3]}, last ack {job.acked} of {last}")
    return last


def comparable(reading):
    """A reading without what may differ between two daemons that got the same steps."""
    return {k: v for k, v in reading.items() if k not in ("run", "time")}


def measured(step):
    """A step reduced to what was measured: null and absent are the same, and so are the spellings of a number."""
    def known(value):
        if isinstance(value, dict):
            return {k: known(v) for k, v in value.items() if not unmeasured(v)}
        if isinstance(value, list):
            return [known(v) for v in value]
        return float(value) if isinstance(value, (int, str)) and not isinstance(value,
                                                                                bool) and is_number(value) else value
    return {k: v if k in ("type", "step") else repr(known(v)) for k, v in step.items()
            if not unmeasured(v) and (k != "stats" or known(v))}


def unmeasured(value):
    return value is None or (isinstance(value, list) and all(v is None for v in value))


def is_number(text):
    try:
        float(text)
        return True
    except ValueError:
        return False


def refuse_constant(name):
    raise AssertionError(f"the bare token {name} in the daemon's JSON")


def quote(name):
    return urllib.parse.quote(name, safe="")


def address(text):
    """'127.0.0.1:41234' as a pair, 'unix:/path' as the path."""
    if text.startswith("unix:"):
        return text[len("unix:"):]
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)
