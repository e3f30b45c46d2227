"""kill -9 at random moments while runs are written, packed into segments and deleted: every step that a job saw
acknowledged is in the store once, and as it was sent. Then the same in a store of 1 MiB, out of which exact values go:
those that are left are the newest, none comes back, and plots still show all.

FAULTS=all kills 100 times (make torture), else 5, under a sanitizer 2. FAULTS_SEED brings the
moments back as far as time allows.
"""

import http.client
import json
import os
import random
import re
import shutil
import sqlite3
import struct
import tempfile
import threading
import unittest
from pathlib import Path

from faults import ALL
from harness import SLOW, Job, TestCase, frame

ROUNDS = 100 if ALL else 2 if SLOW else 5
WIDE, NARROW = 40, 3  # layers: 900 steps of a wide run fill a segment
VARIANTS = 8
BATCH, AHEAD = 20, 120
SHORT_RUN = 150  # steps; it ends, and what ended is packed at once
STATISTICS = "w_mean w_var w_min w_max g_mean g_var u_mean u_var gw gu z_mean z_var a_mean a_var".split()
NUMBER = re.compile(rb'"step":(\d+)')
BITS = 43  # of a step in the journal's key: storage/schema.h


def loss_of(step):
    return (step % 4096 + 1) / 1024


class Steps:
    """Frames of a run with so many layers; their values are float32 exactly, and differ from step to step."""

    def __init__(self, layers):
        self.layers = layers
        self.stats = [{key: [(97 * i + 31 * k + 7 * j + 1) % 4093 / 1024 for j in range(layers)]
                       for k, key in enumerate(STATISTICS, 1)} for i in range(VARIANTS)]
        self.frames = [frame({"step": 0, "loss": 1, "lr": 0.5, "batch_size": 8, "stats": stats}, wide=())
                       for stats in self.stats]

    def frame(self, step):
        whole = self.frames[step % VARIANTS]
        return whole[:8] + struct.pack("<qdd", step, 1.7e9 + step, loss_of(step)) + whole[32:]

    def problem(self, message):
        """What of a stored step is not as it was sent."""
        step = message["step"]
        if message["loss"] != loss_of(step) or message["time"] != 1.7e9 + step:
            return f"step {step}: {message['loss']} at {message['time']}"
        return None if message["stats"] == self.stats[step % VARIANTS] else f"step {step}: other statistics"


class Worker(threading.Thread):
    """Talks to the daemon until it is gone."""

    def __init__(self, owner):
        super().__init__()
        self.owner, self.problem = owner, None

    def run(self):
        try:
            self.work()
        except (OSError, http.client.HTTPException):
            pass
        except AssertionError as problem:
            if "inside a message" not in str(problem) and "the connection ended" not in str(problem) \
                    and not str(problem).startswith("None came"):
                self.problem = str(problem)

    def feed(self, job, run, steps, first, until=None):
        """Sends steps, keeps what is acknowledged."""
        step = first
        while until is None or job.acked < until - 1:
            if step - max(job.acked, first) < AHEAD and (until is None or step < until):
                end = step + BATCH if until is None else min(step + BATCH, until)
                job.raw(b"".join(steps.frame(s) for s in range(step, end)))
                step = end
            message = job.recv()
            if message is None:
                raise ConnectionError
            if message["type"] != "ack":
                raise AssertionError(str(message))
            self.owner.acked[run] = job.acked


class LongRun(Worker):
    """One run that goes on from what is stored."""

    def __init__(self, owner, run, steps):
        super().__init__(owner)
        self.run_name, self.steps = run, steps

    def work(self):
        with Job(self.owner.one) as job:
            last = job.hello(self.run_name, self.steps.layers)["last_step"]
            if last < self.owner.acked.get(self.run_name, -1):
                raise AssertionError(f"{self.run_name}: goes on from {last}")
            self.feed(job, self.run_name, self.steps, last + 1)


class ShortRuns(Worker):
    """Runs that end, and are deleted two later."""

    def work(self):
        while True:
            run = f"short-{next(self.owner.numbers)}"
            with Job(self.owner.one) as job:
                job.hello(run, NARROW)
                self.owner.acked[run] = -1
                self.feed(job, run, self.owner.narrow, 0, SHORT_RUN)
                job.send({"type": "end", "status": "completed"})
                job.half_close()
                job.drain()
            self.owner.ended.append(run)
            if len(self.owner.ended) > 2:
                self.delete(self.owner.ended.pop(0))

    def delete(self, run):
        self.owner.deleting.add(run)
        status = self.owner.one.call("DELETE", f"/api/v1/runs/{run}")[0]
        if status != 204:
            raise AssertionError(f"DELETE {run}: {status}")
        self.owner.deleted.add(run)


class KillNine(TestCase):
    config, rounds = None, ROUNDS

    def setUp(self):
        self.seed = os.environ.get("FAULTS_SEED") or str(random.randrange(1 << 30))
        self.random = random.Random(self.seed)
        self.numbers = iter(range(1 << 30))
        self.acked, self.judged, self.ended, self.deleting, self.deleted = {}, {}, [], set(), set()
        self.wide, self.narrow = Steps(WIDE), Steps(NARROW)
        self.segments = self.in_journal = self.half_deleted = self.checked = 0

    def load_and_kill(self, wide_run):
        workers = [LongRun(self, wide_run, self.wide), LongRun(self, wide_run + "-narrow", self.narrow),
                   ShortRuns(self), ShortRuns(self)]
        for worker in workers:
            worker.start()
        # Not for something to come about: the moment is to be any.
        threading.Event().wait(self.random.uniform(0, 4 if SLOW else 0.7))
        self.one.kill9()
        for worker in workers:
            worker.join()
            self.assertIsNone(worker.problem)

    def judge_files(self):
        """Of a copy of what was left: it is whole, and a step is in the journal or in a segment, never in both."""
        with tempfile.TemporaryDirectory(prefix="pyro-copy-") as copy:
            for path in Path(self.one.data).glob("pyrometer.db*"):
                if not path.name.endswith("-shm"):
                    shutil.copy(path, copy)
            store = sqlite3.connect(Path(copy) / "pyrometer.db")
            try:
                self.assertEqual(store.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
                self.assertEqual(store.execute(
                    f"SELECT key FROM step JOIN segment AS s ON s.attempt=key>>{BITS} AND s.kind=0 AND s.level=0 "
                    f"AND key&{(1 << BITS) - 1} BETWEEN s.first_step AND s.last_step").fetchall(), [])
                self.assertEqual(store.execute(
                    "SELECT a.id FROM segment AS a JOIN segment AS b USING (attempt, kind, level) "
                    "WHERE level=0 AND a.id<>b.id AND a.first_step<=b.last_step AND b.first_step<=a.last_step"
                ).fetchall(), [])
                names = {name for name, in store.execute("SELECT name FROM run")}
                self.assertFalse(self.deleted & names, "a deleted run came back")
                self.segments += store.execute("SELECT count(*) FROM segment").fetchone()[0]
                self.in_journal += store.execute("SELECT count(*) FROM step").fetchone()[0]
                self.half_deleted += store.execute("SELECT count(*) FROM garbage").fetchone()[0] > 0
            finally:
                store.close()

    def steps_of(self, run):
        return [line for line in self.one.export(run).splitlines() if line.startswith(b'{"type":"step"')]

    def judge_run(self, run):
        if run in self.deleting and self.one.call("GET", f"/api/v1/runs/{run}")[0] == 404:
            del self.acked[run]
            return
        self.assertNotIn(run, self.deleted)
        steps = self.narrow if run.startswith("short") or run.endswith("narrow") else self.wide
        # A run whose hello was the last that came may not be there.
        known = self.acked[run] >= 0 or self.one.call("GET", f"/api/v1/runs/{run}")[0] == 200
        n, judged, first = 0, self.judged.get(run, 0), None
        for line in self.steps_of(run) if known else []:
            if first is None and self.config:
                n = first = int(NUMBER.search(line)[1])
            self.assertEqual(int(NUMBER.search(line)[1]), n, run)
            if n >= judged or n % 16 == 0:  # what was right before is not read anew in full
                self.assertIsNone(steps.problem(json.loads(line)), run)
            n += 1
        if known and self.config:
            n = self.judge_aged(run, n, first)
        self.assertGreater(n, self.acked[run], f"{run}: acknowledged, seed {self.seed}")
        self.checked += n - judged
        self.judged[run] = n
        if run.startswith("short"):
            del self.acked[run]  # it is looked at once
            self.ended = [one for one in self.ended if one != run] + [run] * known

    def test_what_was_acknowledged_is_there_once(self):
        self.one = self.daemon(self.config)
        for number in range(self.rounds):
            wide_run = f"wide-{number // 2}"
            self.load_and_kill(wide_run)
            self.judge_files()
            self.one.start()
            for run in list(self.acked):
                self.judge_run(run)
            if number % 2:
                for run in (wide_run, wide_run + "-narrow"):
                    if self.acked.pop(run, None) is not None:
                        self.ended.append(run)
        self.assertGreater(self.checked, 0)
        if ALL:
            self.assertGreater(self.segments, 0)
            print(f"{self.rounds} kills, seed {self.seed}: {self.checked} steps judged, "
                  f"{self.segments} segments and {self.in_journal} steps of the journal left by them, "
                  f"{self.half_deleted} amid a deletion")


class KillNineInASmallStore(KillNine):
    config, rounds = "storage: { max_size: 1MiB }\n", ROUNDS if not ALL else ROUNDS // 2

    def setUp(self):
        super().setUp()
        self.first, self.aged = {}, 0

    def steps_of(self, run):
        """Steps may go while they are exported: what was written before lies below a gap then, which the next export lacks."""
        for _ in range(20):
            lines = super().steps_of(run)
            if not lines:
                return lines
            first, last = (int(NUMBER.search(line)[1]) for line in (lines[0], lines[-1]))
            if last - first + 1 == len(lines):
                return lines
        return lines

    def judge_aged(self, run, n, first):
        """How many steps the run has had; what went is the oldest, stays away, and is drawn from tiers."""
        last = self.one.get_json(f"/api/v1/runs/{run}")["last_step"]
        last = -1 if last is None else last  # a hello alone
        first = last + 1 if first is None else first
        self.assertGreaterEqual(first, self.first.get(run, 0), f"{run}: steps came back, seed {self.seed}")
        self.first[run] = first
        self.aged += first
        if first < last + 1:
            self.assertEqual(n, last + 1, run)
        if last >= 0:
            drawn = self.one.series(run, "loss", points=1000)["series"][0]
            self.assertEqual((min(drawn.get("min", drawn["value"])), drawn["step"][-1]), (loss_of(0), last), run)
        return last + 1

    def test_what_was_acknowledged_is_there_once(self):
        super().test_what_was_acknowledged_is_there_once()
        if ALL:
            self.assertGreater(self.aged, 0)


if __name__ == "__main__":
    unittest.main()
