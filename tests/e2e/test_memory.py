"""Memory that is not there. Every allocation in turn fails (tests/e2e/faultmem.c) while jobs are served and requests are
answered, and while the daemon starts: it never ends by a signal, loses and leaks nothing (ASan's build), and no value is
another than without. And the system itself refuses (a limit of the address space): what is large is refused, the rest
goes on, and all goes on again once there is memory.

A small share of the allocations is tried here; all of them with FAULTS=all (`make torture`)."""

import http.client
import json
import mmap
import re
import resource
import unittest
from pathlib import Path

from faults import Control, chosen
from harness import (BIN, SANITIZED, SLOW, Daemon, Job, TestCase, eventually, frame, hello, make_step, program_environment)

SHARE = 25 if SLOW else 60  # allocations tried of each kind, without FAULTS=all
CONFIG = "alerts: { rules: [{ rule: hot, metric: loss, fire_above: 1.5, for: 2, warmup_steps: 0 }] }\n"


class Forgetful(Daemon):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.control = Control(self.home / "memory")
        self.environment = {"LD_PRELOAD": str(BIN / "faultmem.so"), "FAULTMEM_CONTROL": str(self.home / "memory")}
        if SANITIZED:
            self.environment["ASAN_OPTIONS"] = program_environment()["ASAN_OPTIONS"] + ":verify_asan_link_order=0"

    def patient(self, method, path):
        """What a client does whose connection ends or whose request cannot be served at the moment: asks again."""
        for _ in range(5):
            try:
                status, _, body = self.call(method, path)
            except (OSError, http.client.HTTPException):
                continue
            if status < 500:
                return status, body
        raise AssertionError(f"{method} {path} fails again and again")

    def ask(self, path):
        status, body = self.patient("GET", path)
        if status != 200:
            raise AssertionError(f"GET {path}: {status}: {body[:500]!r}")
        return body


class Sender:
    """A job that connects again and sends what is not acknowledged when its connection ends."""

    def __init__(self, daemon, greeting, messages):
        self.daemon, self.greeting, self.messages = daemon, greeting, messages
        self.job = None

    def begin(self):
        self.job = Job(self.daemon)
        self.job.send(self.greeting)
        for message in self.messages:
            self.job.raw(message)

    def finish(self, last):
        for _ in range(5):
            try:
                while self.job.acked < last:
                    message = self.job.recv()
                    if message is None:
                        raise ConnectionError
                    if message["type"] == "error" and not message["fatal"] and message["line"] != 0:
                        raise AssertionError(message)  # that would be a step refused although nothing is wrong with it
                return self.job.close()
            except OSError:
                self.job.close()
                self.begin()
        raise AssertionError(f"the job of {self.greeting['run']} gets no further than step {self.job.acked}")


def text(message):
    return json.dumps(message).encode() + b"\n"


def plain_messages():
    """Lines and frames, events and numbers beside the steps, a loss that a rule minds and one that is not finite."""
    for step in range(12):
        message = make_step(step, 3, time=1.7e9 + step, loss=2.0 if step in (5, 6, 7) else 0.5)
        yield frame(message) if step % 3 == 2 else text(message)
        if step == 4:
            yield text({"type": "event", "step": 4, "name": "epoch", "time": 1.7e9, "data": {"n": [1, 2, "x" * 300]}})
            yield text({"type": "scalars", "step": 4, "time": 1.7e9, "scalars": {"power_w": 200.5}})
    yield text(make_step(12, 3, time=1.7e9 + 12, loss=float("nan")))


def rank_messages(rank):
    for step in range(4):
        yield text(make_step(step, 3, time=1.7e9 + step, loss=0.5 + rank))


def rank_greeting(run, rank):
    return hello(run, 3, rank=rank, world_size=2, shards=True)


class Allocations(TestCase):
    def forgetful(self, config=CONFIG):
        daemon = Forgetful(config)
        self.daemons = [*self.daemons, daemon]
        self.addCleanup(daemon.close)
        return daemon

    def scenario(self, daemon, name):
        """What is served: one job, two ranks, reads of all kinds. Returns what was read, free of names and times."""
        senders = [Sender(daemon, hello(name, 3), list(plain_messages())),
                   *(Sender(daemon, rank_greeting(f"{name}-ranks", rank), list(rank_messages(rank))) for rank in (0, 1))]
        for sender in senders:
            try:
                sender.begin()
            except OSError:
                pass  # finish() begins again
        for sender, last in zip(senders, (12, 3, 3)):
            sender.finish(last)
        seen = {}
        for run, last in ((name, 12), (f"{name}-ranks", 3)):
            at = f"/api/v1/runs/{run}"
            eventually(lambda: json.loads(daemon.ask(f"{at}/temperature"))["step"] == last, "the newest reading")
            reading = json.loads(daemon.ask(f"{at}/temperature"))
            seen[f"{at}/temperature"] = {key: reading[key] for key in ("step", "global", "layers")}
            for path in ("export", "series?metric=loss&metric=temperature.kinetic", "states", "events"):
                seen[f"{at}/{path}"] = daemon.ask(f"{at}/{path}").decode()
        found = json.loads(daemon.ask(f"/api/v1/alerts?run={name}"))["alerts"]
        seen["alerts"] = sorted((a["rule"], a["state"], a["step"], str(a["value"])) for a in found)
        for path in ("/metrics", "/api/v1/runs", "/", "/healthz"):
            daemon.ask(path)
        for run in (name, f"{name}-ranks"):
            daemon.patient("DELETE", f"/api/v1/runs/{run}")
        return re.sub(r'(attempt\\?":)\d+', r"\1N", json.dumps(seen, sort_keys=True).replace(name, "NAME"))

    def test_while_serving(self):
        daemon = self.forgetful().start()
        reference = self.scenario(daemon, "warm")
        self.assertEqual(self.scenario(daemon, "again"), reference)
        before = daemon.control.calls
        self.scenario(daemon, "counted")
        total = daemon.control.calls - before
        tried = 0
        numbers, seed = chosen(total, SHARE)
        for n in numbers:
            with self.subTest(n=n, of=total, seed=seed):
                daemon.control.arm(n)
                self.assertEqual(self.scenario(daemon, f"n{n}"), reference)
                tried += daemon.control.failed
                daemon.control.arm(0)
                if not daemon.running():
                    self.fail(daemon.log())
        self.assertGreater(tried, 0)

    def test_while_starting(self):
        """It starts, or says why it does not and exits with 1 or 2."""
        daemon = self.forgetful().start()
        self.scenario(daemon, "kept")
        with Job(daemon) as job:
            job.hello("still-live", 3)
            job.step(0)
            job.wait_ack(0)
        calls = daemon.control.calls
        daemon.stop()
        daemon.control.arm(0)
        before = daemon.control.calls
        daemon.start()
        total = daemon.control.calls - before
        daemon.stop()
        self.assertGreater(calls, 0)
        started = 0
        numbers, seed = chosen(total, SHARE)
        for n in numbers:
            with self.subTest(n=n, of=total, seed=seed):
                daemon.log_file.unlink()
                daemon.control.arm(n)
                try:
                    daemon.start()
                except AssertionError as error:
                    self.assertRegex(str(error), r"the daemon ended with [12]\n")
                    self.assertGreater(len(daemon.log()), 20)
                    daemon.process = None
                else:
                    daemon.control.arm(0)
                    self.assertEqual([m["step"] for m in daemon.steps("still-live")], [0])
                    daemon.stop()
                    started += 1
        self.assertGreater(started, 0)


@unittest.skipIf(SLOW, "the sanitizer's own address space cannot be limited")
class Limit(TestCase):
    LAYERS = 20000

    def limit(self, daemon, room=None):
        """As much address space more as `room`; None: as much as it wants."""
        _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_AS)
        size = int(Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[0]) * mmap.PAGESIZE
        resource.prlimit(daemon.process.pid, resource.RLIMIT_AS, (hard if room is None else size + room, hard))

    def test_what_is_large_is_refused(self):
        daemon = self.daemon("ingest: { max_message: 32MiB }\n")
        small = self.job(daemon)
        small.hello("small")
        small.step(0)
        small.wait_ack(0)
        big = hello("big", self.LAYERS)
        step = frame(make_step(0, self.LAYERS, stats=("w_mean",)))
        for room in (2 << 20, 4 << 20, 8 << 20, 16 << 20, 32 << 20):
            with self.subTest(room=room):
                last = small.acked
                self.limit(daemon, room)
                with Job(daemon) as job:  # its hello, or a step of it, is refused so that it comes again
                    job.send(big)
                    job.raw(step)
                    job.half_close()
                    kinds = {(m["type"], m.get("code")) for m in job.drain()}
                self.assertIn(("error", "overloaded"), kinds)
                for number in range(last + 1, last + 20):
                    small.step(number)
                small.wait_ack(last + 19)
                daemon.temperature("small")
                self.limit(daemon)
        with Job(daemon) as job:
            job.send(big)
            job.expect("welcome")
            job.raw(step)
            job.wait_ack(0)
        self.assertEqual([m["step"] for m in daemon.steps("small")], list(range(small.acked + 1)))

    def test_ranks_whose_step_finds_no_room_come_again(self):
        """The one's large part waits in memory; what is merged of it is larger than there is room for."""
        daemon = self.daemon("ingest: { max_message: 32MiB }\n")
        small = self.job(daemon)
        small.hello("small")
        large = frame(make_step(0, self.LAYERS))
        greetings = [hello("ranks", self.LAYERS, rank=rank, world_size=2, shards=True) for rank in (0, 1)]
        with Job(daemon) as one, Job(daemon) as other:
            for job, greeting in zip((one, other), greetings):
                job.send(greeting)
                job.expect("welcome")
            one.raw(large)
            one.ping()  # it was taken
            self.limit(daemon, 2 << 20)
            other.send({"type": "step", "step": 0, "loss": 1.0})
            for job in (one, other):
                self.assertEqual([m.get("code") for m in job.drain()], ["overloaded"])
        small.step(0)
        small.wait_ack(0)
        self.limit(daemon)
        with Job(daemon) as one, Job(daemon) as other:
            for job, greeting in zip((one, other), greetings):
                job.send(greeting)
                job.expect("welcome")
                job.raw(large)
            for job in (one, other):
                job.wait_ack(0)
        self.assertEqual([m["step"] for m in daemon.steps("ranks")], [0])


if __name__ == "__main__":
    unittest.main()
