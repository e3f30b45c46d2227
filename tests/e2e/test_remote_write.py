"""Remote write: what a receiver is sent is what /metrics shows, and no receiver hurts the daemon."""

import json
import math
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.parse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import write_request
from harness import DATA, Job, TestCase, eventually, run_program
from receiver import Receiver
from write_request import STALE

FRONT = 'remote_write: [ { url: "%s", interval: 100ms, name: r%s } ]\n'


def remote(receiver, more=""):
    return FRONT % (receiver.url, more and ", " + more)


def metrics(daemon):
    """{series: value} of /metrics, a series being its labels in their order; an empty label is none."""
    found = {}
    for line in daemon.get("/metrics")[1].decode().splitlines():
        if not line.startswith("#"):
            name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
            pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or "")
            pairs = [(k, json.loads('"%s"' % v)) for k, v in pairs if v]
            found[tuple(sorted([("__name__", name), *pairs]))] = float(value)
    return found


def of(samples, name, **labels):
    wanted = {("__name__", name), *labels.items()}
    return [s for s in samples if wanted <= set(s.labels)]


class RemoteCase(TestCase):
    def receiver(self, *args, **kwargs):
        receiver = Receiver(*args, **kwargs)
        self.addCleanup(receiver.close)
        return receiver

    def samples(self, receiver):
        """All that came so far; each series' times must grow."""
        found = [s for _, _, body in list(receiver.posts) for s in write_request.samples(body)]
        newest = {}
        for s in found:
            self.assertGreater(s.ms, newest.get(s.labels, 0), s)
            newest[s.labels] = s.ms
        return found

    def state(self, daemon, name="r"):
        """{"sent": ...} of a receiver by /metrics; None where it is not there (it will soon be, after a start)."""
        found = {dict(labels)["__name__"]: value for labels, value in metrics(daemon).items()
                 if dict(labels).get("receiver") == name}
        if found:
            return {kind: found["pyrometer_remote_write_samples" + suffix] for kind, suffix in
                    (("sent", "_total"), ("failed", "_failed_total"), ("dropped", "_dropped_total"), ("waiting", "_waiting"))}
        return None

    def until_counted(self, daemon, kind, name="r"):
        """The receiver's state once it has samples of that kind."""
        return eventually(lambda: (s := self.state(daemon, name)) and s[kind] and s, f"samples {kind}")

    def start_run(self, daemon, run="live", steps=40, **fields):
        job = self.job(daemon)
        job.hello(run, **fields)
        for step in range(steps):
            job.step(step)
        job.wait_ack(steps - 1)
        daemon.reading_at(run, steps - 1)
        return job

    def end(self, job):
        job.send({"type": "end", "status": "completed"})
        job.half_close()
        job.drain()

    def until(self, receiver, name, what=None, after=None, **labels):
        """The first sample of that name and these labels, behind what came until now, that is as wanted."""
        after = len(receiver.posts) if after is None else after

        def ask():
            for _, _, body in receiver.posts[after:]:
                for s in of(write_request.samples(body), name, **labels):
                    if what is None or what(s):
                        return s
            return None
        return eventually(ask, f"a sample of {name} {labels}")


class Samples(RemoteCase):
    def test_the_same_as_metrics(self):
        receiver = self.receiver()
        daemon = self.daemon(remote(receiver))
        self.start_run(daemon, layers=[{"name": n, "n": 100} for n in ('fc1', 'a"b\\c', "ünï")])
        self.until(receiver, "pyrometer_run_step")
        shown = metrics(daemon)
        newest = self.until(receiver, "pyrometer_run_step").ms
        sent = {s.labels: s.value for s in self.samples(receiver) if s.ms == newest}
        self.assertEqual(shown.keys() - sent.keys(), {(("__name__", "pyrometer_temperatures_left_out"),)})
        self.assertEqual(sent.keys() - shown.keys(), set())
        still = [k for k in sent if dict(k)["__name__"].startswith(("pyrometer_run_", "pyrometer_temp", "pyrometer_build"))]
        self.assertGreater(len(still), 20)
        self.assertEqual({k: sent[k] for k in still}, {k: shown[k] for k in still})
        self.assertLess(abs(newest / 1e3 - time.time()), 60)

    def test_requests(self):
        receiver = self.receiver()
        home = Path(tempfile.mkdtemp(prefix="pyro-secret-"))
        self.addCleanup(shutil.rmtree, home)
        (home / "token").write_text("abc\n")
        (home / "url").write_text(receiver.url + "?key=s3cret\n")
        daemon = self.daemon("remote_write: [ { url_file: %s/url, token_file: %s/token, interval: 100ms, labels: { Zone: z, "
                             "instance: \"gpu-7\" }, headers: { X-Scope-OrgID: research } } ]\n" % (home, home))
        self.start_run(daemon)
        self.until(receiver, "pyrometer_run_step", run="live", instance="gpu-7", Zone="z")
        path, headers, _ = receiver.posts[0]
        self.assertEqual(path, "/hook?key=s3cret")
        wanted = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Scope-OrgID": "research",
                  "X-Prometheus-Remote-Write-Version": "0.1.0", "Authorization": "Bearer abc"}
        self.assertEqual({k: headers.get(k) for k in wanted}, wanted)
        self.assertRegex(headers["User-Agent"], r"^pyrometerd/\d")
        self.assertEqual(self.state(daemon, receiver.url.removesuffix("/hook"))["failed"], 0)
        self.assertNotIn("s3cret", daemon.log() + daemon.get("/metrics")[1].decode())

    def test_what_is_not_finite_and_what_is_not_there(self):
        receiver = self.receiver()
        daemon = self.daemon(remote(receiver))
        with Job(daemon) as job:
            job.hello("odd")
            job.step(0, loss="Infinity")
            self.until(receiver, "pyrometer_run_loss", lambda s: s.value == math.inf, run="odd")
            job.step(1, loss="NaN")
            self.until(receiver, "pyrometer_run_loss", lambda s: math.isnan(s.value) and s.bits != STALE, run="odd")
            job.step(2, loss=None)
            self.until(receiver, "pyrometer_run_step", lambda s: s.value == 2, run="odd")
            self.until(receiver, "pyrometer_run_step", run="odd")
            loss = of(self.samples(receiver), "pyrometer_run_loss", run="odd")
            self.assertEqual([s.bits == STALE for s in loss][-2:], [False, True])
            job.step(3, loss=4)
            self.until(receiver, "pyrometer_run_loss", lambda s: s.value == 4, run="odd")

    def test_a_run_that_ends_and_one_that_is_deleted(self):
        receiver = self.receiver()
        daemon = self.daemon('remote_write: [ { url: "%s", interval: 1h } ]\n' % receiver.url)
        for run in ("ends", "deleted"):
            job = self.start_run(daemon, run)
            if run == "ends":
                self.end(job)
            else:
                self.assertEqual(daemon.call("DELETE", "/api/v1/runs/deleted")[0], 204)
            last = self.until(receiver, "pyrometer_run_step", lambda s: s.bits == STALE, after=0, run=run)
            samples = [s for s in self.samples(receiver) if ("run", run) in s.labels]
            step = of(samples, "pyrometer_run_step")
            self.assertEqual((step[-2].value, step[-2].ms, step[-1].ms), (39, last.ms - 1, last.ms))
            for labels in {s.labels for s in samples}:
                self.assertEqual([s.bits == STALE for s in samples if s.labels == labels][-2:], [False, True], labels)
            self.assertTrue(of(samples, "pyrometer_temperature", layer="fc1", thermometer="kinetic"))

    def test_messages_are_of_a_bounded_size(self):
        receiver = self.receiver()
        daemon = self.daemon(remote(receiver))
        layers = [{"name": f"block.{i}.weight", "n": 100 + i} for i in range(500)]
        with Job(daemon) as job:
            job.hello("wide", layers=layers)
            for step in range(40):
                job.step(step, layers=500)
            job.wait_ack(39)
            self.until(receiver, "pyrometer_run_step", lambda s: s.value == 39)
            newest = self.until(receiver, "pyrometer_run_step").ms
            self.until(receiver, "pyrometer_run_step")
        sizes = [len(found) for found in (write_request.samples(body) for _, _, body in list(receiver.posts))
                 if found[0].ms == newest]
        self.assertEqual(sizes[:-1], [2000] * (len(sizes) - 1))
        self.assertGreater(len(sizes), 1)
        temperatures = of([s for s in self.samples(receiver) if s.ms == newest], "pyrometer_temperature", thermometer="kinetic")
        self.assertEqual(len(temperatures), 501)


class Receivers(RemoteCase):
    def test_failures_are_tried_again(self):
        for answer in (503, (429, {"Retry-After": "1"}, b"slow down\n")):
            with self.subTest(answer):
                receiver = self.receiver(lambda n, answer=answer: answer if n == 1 else 200)
                daemon = self.daemon(remote(receiver))
                eventually(lambda: len(receiver.posts) >= 2, "another try")
                self.assertEqual(receiver.posts[0][2], receiver.posts[1][2])
                state = self.until_counted(daemon, "sent")
                self.assertGreater(state["failed"], 0)
                self.assertEqual(state["dropped"], 0)
                self.assertIn("samples wait and are sent again", daemon.log())
                self.assertIn("it takes samples again", daemon.log())

    def test_what_is_refused_is_dropped(self):
        receiver = self.receiver(lambda n: 200 if n == 4 else (400, {}, b"out of order sample\nmore"))
        daemon = self.daemon(remote(receiver))
        eventually(lambda: len(receiver.posts) >= 6, "further tries")
        bodies = [body for _, _, body in receiver.posts]
        self.assertEqual(len(set(bodies)), len(bodies))
        state = self.state(daemon)
        self.assertGreater(state["dropped"], state["sent"])
        self.assertEqual(state["failed"], 0)
        warnings = re.findall(r"remote_write to r: .*", daemon.log())
        self.assertEqual(warnings, ["remote_write to r: it answered with status 400: out of order sample; these samples are "
                                    "not sent again"])

    def test_one_that_is_down_then_up(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        daemon = self.daemon('remote_write: [ { url: "http://127.0.0.1:%d/hook", interval: 100ms, name: r } ]\n' % port)
        self.start_run(daemon)
        self.until_counted(daemon, "failed")
        self.assertEqual(self.state(daemon)["sent"], 0)
        receiver = self.receiver(port=port)
        eventually(lambda: len(of(self.samples(receiver), "pyrometer_run_step")) >= 5, "what waited, in its order")
        self.assertEqual(self.state(daemon)["dropped"], 0)
        self.assertEqual(daemon.log().count("samples wait and are sent again"), 1)

    def test_one_that_hangs(self):
        """What waits is bounded, jobs and other receivers go on, and a stop does not wait for it."""
        bad, good = self.receiver(lambda n: "hang"), self.receiver()
        daemon = self.daemon('remote_write: [ { url: "%s", interval: 100ms, name: bad, max_queue: 64KiB }, { url: "%s", '
                             'interval: 100ms } ]\n' % (bad.url, good.url))
        job = self.job(daemon)
        job.hello("wide", layers=200)
        for step in range(40):
            job.step(step, layers=200)
        job.wait_ack(39)
        state = self.until_counted(daemon, "dropped", "bad")
        self.assertLess(state["waiting"], 64 * 1024)  # each takes some bytes
        self.assertEqual(daemon.log().count("the oldest samples are dropped"), 1)
        self.assertEqual(len(bad.posts), 1)
        self.until(good, "pyrometer_run_step", run="wide")
        job.step(40, layers=200)
        job.wait_ack(40)
        daemon.stop()
        self.assertIn("samples were not taken before the end", daemon.log())
        self.assertEqual(of(self.samples(good), "pyrometer_run_step", run="wide")[-1].bits, STALE)

    def test_a_stop(self):
        receiver = self.receiver()
        daemon = self.daemon('remote_write: [ { url: "%s", interval: 1h } ]\n' % receiver.url)
        self.start_run(daemon)
        daemon.stop()
        samples = self.samples(receiver)
        self.assertEqual([s.value for s in of(samples, "pyrometer_run_step", run="live")][-2], 39)
        for labels in {s.labels for s in samples}:
            self.assertEqual([s.bits == STALE for s in samples if s.labels == labels][-2:], [False, True], labels)

    def test_a_stop_while_it_is_down(self):
        daemon = self.daemon('remote_write: [ { url: "http://127.0.0.1:1/", name: r } ]\n')
        self.until_counted(daemon, "failed")
        daemon.stop()

    def test_reload(self):
        first, second = self.receiver(), self.receiver()
        daemon = self.daemon("{}\n")
        self.start_run(daemon)
        self.assertIsNone(self.state(daemon))

        def has_library():  # whose C++ an idle daemon should not pay for
            return "libsnappy" in Path(f"/proc/{daemon.process.pid}/maps").read_text()

        def reload(text):
            daemon.configure(text)
            daemon.process.send_signal(signal.SIGHUP)
        self.assertFalse(has_library())
        reload(remote(first))
        self.until(first, "pyrometer_run_step", run="live")
        self.assertTrue(has_library())
        reload(remote(first, "labels: { instance: a }") + "")
        self.until(first, "pyrometer_run_step", run="live", instance="a")
        samples = of(self.samples(first), "pyrometer_run_step", run="live")
        without = [s for s in samples if "instance" not in dict(s.labels)]
        self.assertEqual([s.bits == STALE for s in without][-2:], [False, True])
        reload('remote_write: [ { url: "%s", interval: 100ms, name: s } ]\n' % second.url)
        self.until(second, "pyrometer_run_step", run="live")
        eventually(lambda: self.state(daemon, "r") is None and self.state(daemon, "s"), "the other receiver alone")
        reload("remote_write: [ { url: http://h, token_file: /nowhere } ]\n")
        eventually(lambda: "the new configuration is not used" in daemon.log(), "a refusal")
        self.until(second, "pyrometer_run_step", run="live")

    def test_bad_configurations(self):
        home = Path(tempfile.mkdtemp(prefix="pyro-secret-"))
        self.addCleanup(shutil.rmtree, home)
        (home / "no-url").write_text("nothing\n")
        (home / "no-url").chmod(0o600)
        file = home / "pyrometer.yaml"
        for entry, wanted in [
                ("token_file: /nowhere", r"token_file: /nowhere: .*"),
                ("url_file: %s/no-url" % home, r"url_file: .*/no-url: is not one URL; expected one, such as http.*"),
                ("labels: { layer: a }", r'labels: "layer" is a name of pyrometer\'s own labels; expected another'),
                ("labels: { __name__: a }", r'labels: "__name__" is a name of Prometheus\' own; expected another'),
                ("headers: { content-type: a }", r'headers: "content-type" is what every request says of itself; .*')]:
            with self.subTest(entry):
                file.write_text("remote_write:\n  - url: http://h\n  - url: http://h\n    %s\n" % entry)
                done = run_program("pyrometerd", "--check-config", "--config", file)
                self.assertEqual(done.returncode, 2)
                self.assertRegex(done.stderr, r"^%s:3: remote_write\[1\]\.%s\n$" % (re.escape(str(file)), wanted))


@unittest.skipUnless(shutil.which("prometheus"), "Debian's prometheus is not installed")
class Prometheus(RemoteCase):
    """A real Prometheus that is written to."""

    def start_prometheus(self):
        home = Path(tempfile.mkdtemp(prefix="pyro-prom-"))
        self.addCleanup(shutil.rmtree, home, ignore_errors=True)
        (home / "prometheus.yml").write_text("{}\n")
        log = open(home / "log", "w+")
        self.addCleanup(log.close)
        process = subprocess.Popen(["prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data",
                                    "--web.listen-address=127.0.0.1:0", "--web.enable-remote-write-receiver"],
                                   stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def find():
            self.assertIsNone(process.poll(), "Prometheus ended")
            return re.search(r'msg="Listening on" address=([\d.]+:\d+)', (home / "log").read_text())
        return "http://" + eventually(find, "Prometheus's address")[1]

    def ask(self, url, query):
        """{series: value} now; nothing before it is ready."""
        try:
            with urlopen(f"{url}/api/v1/query?" + urllib.parse.urlencode({"query": query})) as answer:
                return {tuple(sorted(r["metric"].items())): float(r["value"][1])
                        for r in json.load(answer)["data"]["result"]}
        except HTTPError as e:
            self.assertEqual(e.code, 503)
            return {}

    def test_a_recorded_run(self):
        url = self.start_prometheus()
        daemon = self.daemon('remote_write: [ { url: "%s/api/v1/write", interval: 200ms, name: r } ]\n' % url)
        job = self.start_run(daemon, "live")
        done = run_program("pyrometer", "replay", DATA / "adamw.ndjson.gz", "--speed", "max", "--run", "recorded", "--ingest",
                           "%s:%d" % daemon.ingest[0])
        self.assertEqual(done.returncode, 0, done.stderr)
        last = daemon.run("recorded")["last_step"]
        eventually(lambda: self.ask(url, 'last_over_time(pyrometer_run_step{run="recorded"}[5m])') ==
                   {(("__name__", "pyrometer_run_step"), ("run", "recorded")): last}, "the last step")
        eventually(lambda: not self.ask(url, 'pyrometer_run_step{run="recorded"}'), "the end of the run")
        self.assertFalse(self.ask(url, '{run="recorded"}'))
        body = daemon.run("recorded")["temperature"]["global"]
        self.assertEqual(self.ask(url, 'last_over_time(pyrometer_temperature{run="recorded",layer=""}[5m])'),
                         {(("__name__", "pyrometer_temperature"), ("run", "recorded"), ("thermometer", name)): t["value"]
                          for name, t in body.items() if t["value"] is not None})
        self.assertEqual(self.ask(url, '{run="live"}'), {k: v for k, v in metrics(daemon).items() if ("run", "live") in k})
        self.assertTrue(self.ask(url, "histogram_quantile(0.9, pyrometer_commit_seconds_bucket)"))
        self.end(job)
        state = self.state(daemon)
        self.assertEqual((state["failed"], state["dropped"]), (0, 0), daemon.log())


if __name__ == "__main__":
    unittest.main()
