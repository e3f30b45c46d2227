"""Stops, kill -9 and restarts: what was acknowledged is there, and instruments read on as if nothing had happened.

PYROMETER_CRASH_ROUNDS sets how often a daemon is killed under load (default 3).
"""

import os
import shutil
import signal
import sqlite3
import tempfile
import threading
import unittest
from pathlib import Path

from harness import SLOW, Job, TestCase, comparable, line, make_step, measured, new_run, recording, replay

ROUNDS = int(os.environ.get("PYROMETER_CRASH_ROUNDS", "3"))
RUNS = [f"load-{i}" for i in range(4)]
PER_ROUND = 300 if SLOW else 1200  # acknowledged steps of all runs together before the daemon is killed
BATCH = 50  # steps a write
AHEAD = 500  # steps that may wait for their ack
METRICS = ["loss", "stability", "coherence", "entropy", "temperature.kinetic", "temperature.transition",
           "temperature.differential"]


def integrity(directory):
    """What SQLite says of a copy of the store, so that the check itself changes nothing."""
    with tempfile.TemporaryDirectory(prefix="pyro-copy-") as copy:
        for path in Path(directory).glob("pyrometer.db*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, copy)
        connection = sqlite3.connect(Path(copy) / "pyrometer.db")
        try:
            return [row[0] for row in connection.execute("PRAGMA integrity_check")]
        finally:
            connection.close()


class Sender(threading.Thread):
    """A job that goes on from the last durable step until the connection breaks or `until` is acknowledged."""

    def __init__(self, daemon, run, until=None, progress=None):
        super().__init__()
        self.daemon_address, self.run_name, self.until, self.progress = daemon.ingest[0], run, until, progress
        self.acked, self.last_step, self.problem = -1, None, None

    def run(self):
        try:
            with Job(self.daemon_address) as job:
                self.converse(job)
        except OSError:
            pass  # the daemon is gone
        except AssertionError as problem:
            self.problem = str(problem)

    def converse(self, job):
        self.last_step = job.hello(self.run_name)["last_step"]
        step = self.last_step + 1
        while self.until is None or job.acked < self.until:
            if step - max(job.acked, self.last_step) < AHEAD and (self.until is None or step <= self.until):
                job.raw(b"".join(line(make_step(s, seed=self.run_name)) for s in range(step, step + BATCH)
                                 if self.until is None or s <= self.until))
                step += BATCH
            message = self.next_ack(job)
            if message is None:
                return
            if message["type"] == "error":
                if message["code"] != "shutting_down":
                    raise AssertionError(str(message))
                return
            self.acked = job.acked
            if self.progress:
                self.progress()

    def next_ack(self, job):
        try:
            return job.recv()
        except AssertionError as problem:
            if "inside a message" in str(problem):  # killed while it wrote an ack
                return None
            raise


class UnderLoad(TestCase):
    def load_until_broken(self, daemon, break_it):
        """Four jobs send; after enough acks `break_it` ends the daemon. Returns the last acked step of each run."""
        enough = threading.Event()
        lock, counts = threading.Lock(), {}

        def progress():
            with lock:
                if sum(s.acked - (s.last_step if s.last_step is not None else s.acked) for s in senders) >= PER_ROUND:
                    enough.set()

        senders = [Sender(daemon, run, progress=progress) for run in RUNS]
        for sender in senders:
            sender.start()
        self.assertTrue(enough.wait(120), "acks did not come")
        break_it()
        for sender in senders:
            sender.join()
            self.assertIsNone(sender.problem)
            counts[sender.run_name] = sender.acked
        return counts

    def judge_store(self, daemon, acked, least):
        """Every acknowledged step is there as it was sent, and no step is torn or out of order."""
        for run, last in acked.items():
            steps = daemon.steps(run)
            self.assertEqual([m["step"] for m in steps], list(range(len(steps))))
            self.assertGreaterEqual(len(steps), last + 1, f"{run}: acknowledged {last}")
            self.assertGreaterEqual(len(steps), least.get(run, 0))
            self.assertEqual(daemon.run(run)["last_step"], len(steps) - 1)
            for message in steps:
                if message["step"] >= least.get(run, 0) or message["step"] % 50 == 0:
                    self.assertEqual(measured(message), measured(make_step(message["step"], seed=run)))
            least[run] = len(steps)

    def rounds(self, break_it, rounds):
        daemon = self.daemon()
        stored = {}
        for _ in range(rounds):
            acked = self.load_until_broken(daemon, lambda: break_it(daemon))
            self.assertEqual(integrity(daemon.data), ["ok"])
            daemon.start()
            self.judge_store(daemon, acked, stored)
        self.assert_reads_as_uninterrupted(daemon, max(stored.values()) + 200)

    def assert_reads_as_uninterrupted(self, daemon, until):
        """Brings every run to the same step, and another daemon there in one go: both read the same to the last bit."""
        reference = self.daemon()
        for one in (daemon, reference):
            senders = [Sender(one, run, until=until) for run in RUNS]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join()
                self.assertEqual((sender.problem, sender.acked), (None, until))
        for run in RUNS:
            wanted = reference.reading_at(run, until)
            self.assertEqual(comparable(daemon.reading_at(run, until)), comparable(wanted))
            for metric in METRICS:
                self.assertEqual(daemon.series(run, metric, points=200), reference.series(run, metric, points=200),
                                 metric)
            self.assertEqual(daemon.export(run), reference.export(run))
        daemon.stop()
        self.assertEqual(integrity(daemon.data), ["ok"])

    def test_kill_9(self):
        self.rounds(lambda daemon: daemon.kill9(), ROUNDS)

    def test_sigterm(self):
        self.rounds(lambda daemon: daemon.stop(), min(ROUNDS, 3))

    def test_sigint(self):
        self.rounds(lambda daemon: daemon.stop(signal.SIGINT), 1)


class Restart(TestCase):
    def test_readings_are_the_same_after_it(self):
        for name in ("sgd-momentum", "adamw", "nan-gradient"):
            with self.subTest(name):
                daemon = self.daemon()
                last = replay(daemon, recording(name))
                before = daemon.reading_at(name, last)
                run, export = daemon.run(name), daemon.export(name)
                for again in (daemon.restart, lambda: (daemon.kill9(), daemon.start())):
                    again()
                    self.assertEqual(daemon.reading_at(name, last), before)
                    self.assertEqual(daemon.export(name), export)
                    self.assertEqual({k: v for k, v in daemon.run(name).items() if k != "temperature"},
                                     {k: v for k, v in run.items() if k != "temperature"})

    def test_interrupted_recording(self):
        """A recording in five pieces with a restart after each, clean or not, against the same one uninterrupted."""
        for name in ("sgd-momentum", "adamw"):
            with self.subTest(name):
                lines = recording(name)
                hello, steps = lines[0], lines[1:-1]
                broken, whole = self.daemon(), self.daemon()
                for piece, cut in enumerate((37, 150, 301, 302, len(steps))):
                    with Job(broken) as job:
                        job.raw(hello)
                        first = job.expect("welcome")["last_step"] + 1
                        job.raw(b"".join(steps[first:cut]))
                        job.wait_ack(cut - 1)
                    broken.kill9() if piece % 2 else broken.stop()
                    broken.start()
                replay(whole, [hello, *steps])
                self.assertEqual(comparable(broken.reading_at(name, len(steps) - 1)),
                                 comparable(whole.reading_at(name, len(steps) - 1)))
                self.assertEqual(broken.export(name), whole.export(name))
                for metric in METRICS:
                    self.assertEqual(broken.series(name, metric, points=100), whole.series(name, metric, points=100),
                                     metric)
                self.assertEqual([(a["rule"], a["layer"], a["since"], a["step"], a["value"])
                                  for a in broken.alerts(run=name)],
                                 [(a["rule"], a["layer"], a["since"], a["step"], a["value"])
                                  for a in whole.alerts(run=name)])

    def test_empty_store(self):
        daemon = self.daemon()
        daemon.restart()
        self.assertEqual(daemon.get_json("/api/v1/runs"), {"runs": [], "next_cursor": None})
        daemon.kill9()
        daemon.start()
        self.assert_served(daemon)

    def test_run_without_steps(self):
        daemon = self.daemon()
        with Job(daemon) as job:
            job.hello("bare")
            job.send({"type": "event", "step": 0, "name": "epoch"})
            job.half_close()
            job.drain()
        daemon.restart()
        self.assertEqual(daemon.run("bare")["steps"], 0)
        with Job(daemon) as job:
            self.assertEqual(job.hello("bare")["last_step"], -1)
            job.step(0)
            job.wait_ack(0)

    def test_jobs_are_told(self):
        """Connected jobs get their acks, perhaps the reason, and the end of the connection."""
        daemon = self.daemon()
        jobs = [self.job(daemon) for _ in range(5)]
        for job in jobs:
            job.hello()
            for step in range(50):
                job.step(step)
            job.ping()  # all of it was read
        daemon.stop()
        for job in jobs:
            rest = job.drain()
            self.assertEqual([m["code"] for m in rest if m["type"] != "ack"],
                             ["shutting_down"] * (len(rest) - sum(m["type"] == "ack" for m in rest)))
            self.assertEqual(job.acked, 49)

    def test_statuses_survive(self):
        daemon = self.daemon()
        for status in ("completed", "failed", "stopped", None):
            with Job(daemon) as job:
                job.hello(f"was-{status}")
                job.step(0)
                if status:
                    job.send({"type": "end", "status": status})
                job.half_close()
                job.drain()
        daemon.kill9()
        daemon.start()
        for status in ("completed", "failed", "stopped"):
            self.assertEqual(daemon.run(f"was-{status}")["status"], status)
        self.assertIn(daemon.run("was-None")["status"], ("running", "stalled"))

    def test_events_survive(self):
        daemon = self.daemon()
        with Job(daemon) as job:
            job.hello("events")
            for step in range(5):
                job.step(step)
                job.send({"type": "event", "step": step, "name": f"e{step}", "data": {"n": step}})
            job.step(5)
            job.wait_ack(5)
        daemon.kill9()
        daemon.start()
        events = daemon.get_json("/api/v1/runs/events/events")["events"]
        self.assertEqual([(e["step"], e["name"], e["data"]) for e in events],
                         [(s, f"e{s}", {"n": s}) for s in range(5)])

    def test_a_pong_says_that_events_are_stored(self):
        daemon, sent = self.daemon(), []
        for n in range(8):
            sent.append({"type": "event", "step": n, "time": 1732345678 + n, "name": "mark"})
            with Job(daemon) as job:
                job.hello("pongs")
                job.send(sent[-1])
                job.ping()
                daemon.kill9()
            daemon.start()
        self.assertEqual(daemon.messages("pongs", "event"), sent)

    def test_the_ack_of_a_repeated_step_says_so_too(self):
        daemon, sent = self.daemon(), []
        with Job(daemon) as job:
            job.hello("acks")
            job.step(0)
            job.wait_ack(0)
        for n in range(8):
            sent.append({"type": "event", "step": 0, "time": 1732345678 + n, "name": "mark"})
            with Job(daemon) as job:
                job.hello("acks")
                job.send(sent[-1])
                job.step(0)
                job.wait_ack(0)
                daemon.kill9()
            daemon.start()
        self.assertEqual(daemon.messages("acks", "event"), sent)

    def test_a_run_that_had_hardly_begun_can_be_taken_up(self):
        """It and its first attempt are stored together: one without the other could never be read again."""
        daemon, runs = self.daemon(), [new_run("young") for _ in range(8)]
        for run in runs:
            with Job(daemon) as job:
                job.hello(run)
                daemon.kill9()
            daemon.start()
        for run in runs:
            with Job(daemon) as job:
                self.assertEqual(job.hello(run)["run"], run)

    def test_events_that_come_again_behind_a_restart_are_there_once(self):
        """The first half is behind a checkpoint, which the clean stop made; the rest is observed again."""
        daemon = self.daemon()
        events = [{"type": "event", "step": s, "time": 1732345678 + s / 8, "name": "data_refresh"} for s in range(6)]
        for known, again in ((3, daemon.restart), (6, lambda: (daemon.kill9(), daemon.start())), (6, daemon.restart)):
            with Job(daemon) as job:
                last = job.hello("again")["last_step"]
                for event in events[:known]:
                    job.send(event)
                job.step(last + 1)
                job.wait_ack(last + 1)
            self.assertEqual(daemon.messages("again", "event"), events[:known])
            before = daemon.reading_at("again", last + 1)
            again()
            self.assertEqual(daemon.reading_at("again", last + 1), before)

    def test_the_store_is_private(self):
        daemon = self.daemon()
        self.assert_served(daemon)
        for path in daemon.data.iterdir():
            if path.name.startswith("pyrometer.db"):
                self.assertEqual(path.stat().st_mode & 0o007, 0, path.name)


if __name__ == "__main__":
    unittest.main()
