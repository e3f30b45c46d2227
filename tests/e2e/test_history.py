"""Readings over time: what instruments read is kept as a run goes, and drawn without working it out again.

Without its readings, as an older version left it, a copy of the store has the same series from the run's steps, every one: that is
what is compared with. With FAULTS=all, as in `make torture`, the run of the spike has a million steps.
"""

import contextlib
import json
import os
import random
import sqlite3
import struct
import unittest

from harness import TIMEOUT, Daemon, Job, SharedDaemonCase, TestCase, eventually, frame, make_layers, new_run, run_program

EVERY = 256  # steps between readings that are kept
WITH_INTERVALS = 4 * EVERY  # steps between those that have intervals
OUTWARD = 2e-7  # how much farther out the ends may lie, as a share of them: they are kept as float32
LAYERS = 400  # enough for a run of some 1,300 steps to be drawn from what was kept
LONG = (1000000, 2) if os.environ.get("FAULTS") == "all" else (1500, LAYERS)
STATS = ("w_mean", "w_var", "g_mean", "g_var", "u_mean", "u_var", "gu")
FACTS = {"optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9}, "batch_size": 32}
METRICS = ("stability", "coherence", "temperature.kinetic", "temperature.velocity", "entropy", "update_ratio", "energy")
POOL = 61  # different steps, sent in turn
WINDOW = 5000  # steps that may wait for their acks


def make_pool(layers, spike=1.0):
    """Frames of step 0 that differ; the gradient of layer 1 is so many times larger."""
    pool = []
    for seed in range(POOL):
        noise = random.Random(seed)
        stats = {name: [noise.uniform(0.5, 1.5) * 10.0 ** -(2 + name.endswith("mean")) for _ in range(layers)]
                 for name in STATS}
        stats["g_var"][1] *= spike
        pool.append(frame({"step": 0, "time": 1.7e9, "loss": 1 + 0.1 * noise.random(), "lr": 0.1, "batch_size": 32,
                           "stats": stats}))
    return pool


def at_step(data, step):
    return data[:8] + struct.pack("<q", step) + data[16:]


class HistoryCase(TestCase):
    def send(self, job, pool, steps):
        steps = list(steps)
        for at in range(0, len(steps), 500):
            batch = steps[at:at + 500]
            job.frame(b"".join(at_step(pool[i % POOL], i) for i in batch))
            job.wait_ack(batch[-1] - WINDOW)
        job.wait_ack(steps[-1])

    def hello(self, job, run, layers=LAYERS, **fields):
        return job.hello(run, make_layers(layers), **FACTS, **fields)

    def whole_run(self, daemon, run, n, layers=LAYERS):
        pool = make_pool(layers)
        with Job(daemon) as job:
            self.hello(job, run, layers)
            self.send(job, pool, range(n))
            job.send({"type": "end", "status": "completed"})
            eventually(lambda: daemon.run(run)["status"] == "completed", "the end")

    def kept(self, daemon, run, metric, **query):
        """Series of readings that were kept."""
        series = daemon.series(run, metric, **query)["series"]
        for one in series:
            self.assertEqual(one.get("every"), EVERY, one["metric"])
        return series

    def from_steps(self, daemon, run, metric, **query):
        """The same from the steps."""
        twin = Daemon()
        twin.data.mkdir()
        try:
            copied = run_program("pyrometer", "backup", daemon.data, twin.data / "pyrometer.db")
            self.assertEqual(copied.returncode, 0, copied.stderr)
            with contextlib.closing(sqlite3.connect(twin.data / "pyrometer.db")) as db:
                db.execute("DELETE FROM segment WHERE kind=2")
                db.execute("DELETE FROM reading")
                db.commit()
            series = twin.start().series(run, metric, **dict(query, points=10000, intervals=1000))["series"]
        finally:
            twin.close()
        for one in series:
            self.assertNotIn("every", one)
            self.assertNotIn("min", one)
        return series

    def exact(self, daemon, run, metric, **query):
        """{step: value} of each series, from the steps."""
        return [dict(zip(one["step"], one["value"])) for one in self.from_steps(daemon, run, metric, **query)]

    def check_intervals(self, kept, exact):
        """Those that were kept are those of their steps, if a hair wider. Returns their steps."""
        kept, exact = kept["interval"], exact["interval"]
        ends = dict(zip(exact["step"], zip(exact["low"], exact["high"])))
        for step, low, high in zip(kept["step"], kept["low"], kept["high"]):
            if step in ends:
                true_low, true_high = ends[step]
                self.assertLessEqual(low, true_low)
                self.assertGreaterEqual(low, true_low - OUTWARD * abs(true_low))
                self.assertGreaterEqual(high, true_high)
                self.assertLessEqual(high, true_high + OUTWARD * abs(true_high))
        return kept["step"]

    def check_same(self, daemon, run, metrics=METRICS, **query):
        """Every point that was kept has the value of its step, and extremes lie where those of all its steps do."""
        metric = ",".join(metrics)
        kept = self.kept(daemon, run, metric, intervals=1000, **query)
        steps = self.from_steps(daemon, run, metric, **query)
        self.assertEqual(len(kept), len(steps))
        exact = [dict(zip(one["step"], one["value"])) for one in steps]
        for one, walked, values in zip(kept, steps, exact):
            with self.subTest(metric=one["metric"], layer=one["layer"]):
                self.assertEqual(one["step"], sorted(set(one["step"])))
                self.assertEqual(one["value"], [values[step] for step in one["step"]])
                self.assertEqual(one["step"][-1], max(values))
                self.check_intervals(one, walked)
        return kept, exact

    def rows(self, daemon):
        """How many readings the store has: in the journal, in segments."""
        with contextlib.closing(sqlite3.connect(f"file:{daemon.data / 'pyrometer.db'}?mode=ro", uri=True)) as db:
            return db.execute("SELECT (SELECT count(*) FROM reading), (SELECT total(n) FROM segment WHERE kind=2 AND level=0)"
                              ).fetchone()

    def await_packed(self, daemon):
        eventually(lambda: self.rows(daemon)[0] == 0 and self.rows(daemon)[1] > 0, "the readings to be packed")


class Kept(HistoryCase, SharedDaemonCase):
    def test_a_spike_of_one_step(self):
        n, layers = LONG
        run, spike = new_run("spike"), n - n // 3
        calm, wild = make_pool(layers), make_pool(layers, spike=1e8)
        with Job(self.shared, timeout=20 * TIMEOUT) as job:
            self.hello(job, run, layers)
            self.send(job, calm, range(spike))
            self.send(job, wild, [spike])
            self.send(job, calm, range(spike + 1, n))
            job.send({"type": "end", "status": "completed"})
            eventually(lambda: self.shared.run(run)["status"] == "completed", "the end")
        near = self.shared.series(run, "stability", layer="fc2", intervals=1, points=10000,
                                  from_=spike - 20, to=spike + 20)["series"][0]
        usual = {"from": EVERY, "to": spike - EVERY, "layer": "fc2", "points": 1000}
        before = self.shared.series(run, "stability", **usual)["series"][0]
        extremes = before["min"] + before["max"] if "min" in before else before["value"]
        self.assertLess(max(map(abs, extremes)), 1)
        self.assertGreater(max(near["value"]), 1000)
        for points in (1000, 3):
            drawn = self.kept(self.shared, run, "stability", layer="fc2", points=points)[0]
            self.assertLessEqual(len(drawn["step"]), points)
            self.assertLessEqual(min(drawn["min"]), min(near["value"]))
            self.assertGreaterEqual(max(drawn["max"]), max(near["value"]))

    def test_live_and_packed(self):
        """In the journal, behind it what is published, and packed: the same values as from the steps."""
        run, n = new_run("live"), 1400
        pool = make_pool(LAYERS)
        with Job(self.shared) as job:
            self.hello(job, run)
            self.send(job, pool, range(n))
            reading = self.shared.reading_at(run, n - 1)
            kept, _ = self.check_same(self.shared, run, layer="fc[1-4]")
            whole, _ = self.check_same(self.shared, run)
            self.assertEqual(whole[0]["step"][-2:], [5 * EVERY, n - 1])
            self.assertEqual(whole[0]["value"][-1], reading["stability"])
            self.assertEqual(kept[0]["value"][-1], reading["layers"][0]["stability"])
            for one in kept + whole:
                if one["metric"] in ("stability", "temperature.kinetic"):
                    self.assertEqual(one["interval"]["step"], [WITH_INTERVALS, n - 1])
            job.send({"type": "end", "status": "completed"})
        eventually(lambda: self.shared.run(run)["status"] == "completed", "the end")
        self.await_packed(self.shared)
        self.check_same(self.shared, run)
        packed, exact = self.check_same(self.shared, run, layer="fc[1-4]")
        for one, values in zip(packed, exact):
            if one["metric"] in ("stability", "coherence"):
                self.assertEqual(min(one["min"]), min(values.values()))
                self.assertEqual(max(one["max"]), max(values.values()))
                self.assertEqual(one["interval"]["step"], [WITH_INTERVALS, n - 1])
        one = self.kept(self.shared, run, "stability", intervals=1)[0]
        self.assertEqual(one["interval"]["step"], [WITH_INTERVALS, n - 1])
        middle = self.kept(self.shared, run, "stability", from_=300, to=1350, intervals=10)[0]
        self.assertEqual(middle["interval"]["step"], [WITH_INTERVALS])
        self.assertEqual(middle["step"], [2 * EVERY, 3 * EVERY, 4 * EVERY, 5 * EVERY])

    def test_a_short_run_has_every_step(self):
        run = new_run("short")
        self.whole_run(self.shared, run, 300, layers=2)
        one = self.shared.series(run, "stability")["series"][0]
        self.assertNotIn("every", one)
        self.assertGreater(len(one["step"]), 250)

    def test_rewind_and_other_facts(self):
        """Of each attempt what is in force, at the steps that count from its own first."""
        run = new_run("rewound")
        pool, other = make_pool(LAYERS), make_pool(LAYERS, spike=3.0)
        with Job(self.shared) as job:
            self.hello(job, run)
            self.send(job, pool, range(900))
        with Job(self.shared) as job:
            self.hello(job, run, resume={"rewind": 600})
            self.send(job, other, range(601, 1200))
        with Job(self.shared) as job:
            job.hello(run, make_layers(LAYERS), **dict(FACTS, optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.8}))
            self.send(job, pool, range(1200, 1900))
            job.send({"type": "end", "status": "completed"})
        eventually(lambda: self.shared.run(run)["status"] == "completed", "the end")
        kept, _ = self.check_same(self.shared, run)
        energy = kept[-1]
        self.assertEqual(energy["step"], [0, 256, 512, 601, 857, 1113, 1199, 1200, 1456, 1712, 1899])


class Short(HistoryCase, SharedDaemonCase):
    """A short range of a long run has every step: it is worked out from the state that was kept before it."""

    def waypoints(self, run):
        with contextlib.closing(sqlite3.connect(f"file:{self.shared.data / 'pyrometer.db'}?mode=ro", uri=True)) as db:
            return db.execute("SELECT step FROM waypoint WHERE run=(SELECT id FROM run WHERE name=?) ORDER BY id", (run,)).fetchall()

    def check_range(self, run, first, last, **query):
        """The same as by a walk from the run's start."""
        metric = ",".join(METRICS)
        whole = self.exact(self.shared, run, metric, **query)
        drawn = self.shared.series(run, metric, from_=first, to=last, points=1000, **query)["series"]
        self.assertEqual(len(drawn), len(whole))
        for one, values in zip(drawn, whole):
            with self.subTest(metric=one["metric"], layer=one["layer"], first=first):
                self.assertNotIn("every", one)
                self.assertEqual(dict(zip(one["step"], one["value"])),
                                 {step: value for step, value in values.items() if first <= step <= last})
                self.assertGreater(len(one["step"]), (last - first) // 2)
        near = self.shared.series(run, metric, from_=first, to=last, intervals=5, **query)["series"]
        for one in near:
            self.assertGreater(len(one["interval"]["step"]), 3)

    def test_behind_a_waypoint(self):
        run, pool = new_run("zoomed"), make_pool(LAYERS)
        with Job(self.shared) as job:
            self.hello(job, run)
            self.send(job, pool, range(900))
            job.send({"type": "event", "name": "data_refresh", "step": 899})
            self.send(job, pool, range(900, 1600))
            self.assertEqual(self.waypoints(run), [(1023,)])
            self.check_range(run, 1300, 1420)  # live, of the journal
            self.check_range(run, 1024, 1030, layer="fc[12]")
            job.send({"type": "event", "name": "data_refresh", "step": 1599})
            self.send(job, pool, range(1600, 2200))
            job.send({"type": "end", "status": "completed"})
        eventually(lambda: self.shared.run(run)["status"] == "completed", "the end")
        self.await_packed(self.shared)
        self.check_range(run, 1590, 1610)  # packed; over a refresh
        self.check_range(run, 1000, 1030)  # over the waypoint, from the start
        self.kept(self.shared, run, "stability", from_=100, to=1900)

    def test_over_a_rewind(self):
        run, pool, other = new_run("zoomed-back"), make_pool(LAYERS), make_pool(LAYERS, spike=3.0)
        with Job(self.shared) as job:
            self.hello(job, run)
            self.send(job, pool, range(1300))
        with Job(self.shared) as job:
            self.hello(job, run, resume={"rewind": 1200})
            self.send(job, other, range(1201, 2400))
            job.send({"type": "end", "status": "completed"})
        eventually(lambda: self.shared.run(run)["status"] == "completed", "the end")
        self.assertEqual(self.waypoints(run), [(1023,), (1200 + 1024,)])
        self.check_range(run, 1150, 1260)
        self.check_range(run, 2300, 2350)
        self.check_range(run, 2000, 2020)


class Interrupted(HistoryCase):
    N = 1400

    def drawn(self, daemon, run):
        return [dict(one, run=None) for one in
                self.kept(daemon, run, ",".join(METRICS)) + self.kept(daemon, run, "stability", layer="fc[1-9]")]

    def test_as_if_nothing_had_happened(self):
        """A stop, a kill -9 and a kill -9 with packed readings leave the series of an undisturbed run."""
        daemon = self.daemon()
        self.whole_run(daemon, "calm", self.N)
        pool, done = make_pool(LAYERS), 0
        for until, end in ((300, daemon.kill9), (700, daemon.stop), (1030, daemon.kill9), (self.N, None)):
            with Job(daemon) as job:
                self.assertEqual(self.hello(job, "disturbed")["last_step"], done - 1)
                self.send(job, pool, range(done, until))
                if not end:
                    job.send({"type": "end", "status": "completed"})
            done = until
            if end:
                end()
                daemon.start()
        eventually(lambda: daemon.run("disturbed")["status"] == "completed", "the end")
        self.assertEqual(self.drawn(daemon, "disturbed"), self.drawn(daemon, "calm"))
        self.await_packed(daemon)
        self.assertEqual(self.drawn(daemon, "disturbed"), self.drawn(daemon, "calm"))
        daemon.kill9()
        daemon.start()
        self.assertEqual(self.drawn(daemon, "disturbed"), self.drawn(daemon, "calm"))

    def test_deleted_checked_and_of_an_older_version(self):
        daemon = self.daemon()
        for run in ("old", "gone"):
            self.whole_run(daemon, run, self.N)
        self.await_packed(daemon)
        daemon.stop()
        self.assertEqual(run_program("pyrometer", "check", daemon.data).returncode, 0)
        with contextlib.closing(sqlite3.connect(daemon.data / "pyrometer.db")) as db:
            # As an older version left it: without readings.
            old = "attempt IN (SELECT a.id FROM attempt AS a JOIN run AS r ON r.id=a.run WHERE r.name='old') AND kind=2"
            block = db.execute("SELECT first_block FROM segment WHERE kind=2 ORDER BY attempt DESC, level LIMIT 1").fetchone()[0]
            db.execute(f"DELETE FROM segment WHERE {old}")
            data = bytearray(db.execute("SELECT data FROM block WHERE id=?", (block,)).fetchone()[0])
            data[len(data) // 2] ^= 1
            db.execute("UPDATE block SET data=? WHERE id=?", (bytes(data), block))
            db.commit()
        checked = run_program("pyrometer", "check", daemon.data)
        self.assertEqual(checked.returncode, 1)
        self.assertIn("readings", checked.stdout + checked.stderr)
        daemon.start()
        self.assertNotIn("every", daemon.series("old", "stability")["series"][0])
        self.kept(daemon, "gone", "stability")
        for run in ("old", "gone"):
            self.assertEqual(daemon.call("DELETE", f"/api/v1/runs/{run}")[0], 204)
        eventually(lambda: self.rows(daemon) == (0, 0), "the readings to be deleted")


class Damaged(HistoryCase):
    """Checkpoints and waypoints that are no longer what was written."""

    N = 1100

    def change(self, path, sql, *values):
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute(sql, values)
            db.commit()

    def check(self, path, *words, expect=1):
        done = run_program("pyrometer", *words, "check", path)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout

    def test_states(self):
        """A flipped byte, garbage, nothing, and one of an attempt that is not the run's are named, and not used."""
        daemon, pool = self.daemon(), make_pool(LAYERS)
        for run in ("sound", "hurt"):
            with Job(daemon) as job:
                self.hello(job, run)
                self.send(job, pool, range(self.N))
        daemon.stop()  # makes checkpoints
        path, hurt = daemon.data / "pyrometer.db", "WHERE run=(SELECT id FROM run WHERE name='hurt')"
        self.assertIn("4 states", self.check(path, expect=0))
        for table, step in (("checkpoint", self.N - 1), ("waypoint", 1023)):
            with contextlib.closing(sqlite3.connect(path)) as db:
                (sound, attempt, at), = db.execute(f"SELECT state, attempt, step FROM {table} {hurt}").fetchall()
            self.assertEqual(at, step)
            flips = [bytearray(sound) for _ in range(4)]
            for flip, where in zip(flips, (0, 9, len(sound) // 2, len(sound) - 1)):
                flip[where] ^= 0x10
            for state in (*flips, os.urandom(1000), b"", sound[:len(sound) // 2]):
                self.change(path, f"UPDATE {table} SET state=? {hurt}", bytes(state))
                self.assertIn(f"damaged: run hurt, attempt {attempt}, {table} behind step {step}: its bytes", self.check(path))
            damage = json.loads(self.check(path, "--json"))["damage"]
            self.assertEqual([(d["kind"], d["part"], d["run"], d["first_step"]) for d in damage], [("state", table, "hurt", step)])
            self.change(path, f"UPDATE {table} SET state=?, attempt=attempt-1 {hurt}", sound)
            self.assertIn("no such attempt", self.check(path))
            self.change(path, f"UPDATE {table} SET attempt=? {hurt}", attempt)
            self.check(path, expect=0)
        for table in ("checkpoint", "waypoint"):
            self.change(path, f"UPDATE {table} SET state=? {hurt}", bytes(flips[2]))
        daemon.start()
        for query in ({"from_": 1060}, {}):
            hurt, sound = (daemon.series(run, "stability", **query)["series"] for run in ("hurt", "sound"))
            self.assertEqual(hurt, sound)
        self.assertEqual(*(daemon.reading_at(run, self.N - 1)["global"] for run in ("hurt", "sound")))


if __name__ == "__main__":
    unittest.main()
