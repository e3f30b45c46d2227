"""Retention: the store stays as small as it is told while steps go on being taken, and what went is drawn from tiers."""

import contextlib
import sqlite3
import unittest

from harness import TestCase, eventually, make_step, new_run

MIB = 1 << 20
LIMIT = 8 * MIB
STEPS, LAYERS, RUNS = 150, 100, 8


class Retention(TestCase):
    def send_run(self, daemon, number):
        """A whole run, each step of it acknowledged."""
        job = self.job(daemon)
        run = job.hello(new_run("sized"), layers=LAYERS)["run"]
        for i in range(STEPS):
            job.send(make_step(i, layers=LAYERS, seed=number, loss=1000.0 * number + i))
        job.send({"type": "end", "status": "completed"})
        job.wait_ack(STEPS - 1)
        job.close()
        return run

    def exact(self, daemon, run):
        return daemon.series(run, "loss", points=1000)["series"][0]["step"] == list(range(STEPS))

    def packed(self, daemon):
        database = f"file:{daemon.data / 'pyrometer.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(database, uri=True)) as db:
            return db.execute("SELECT count(*) FROM step").fetchone()[0] == 0

    def test_a_small_store_goes_on_taking_steps(self):
        daemon = self.daemon(f"storage: {{ max_size: {LIMIT // MIB}MiB }}\n")
        runs = []
        for number in range(RUNS):
            runs.append(self.send_run(daemon, number))
            self.assertTrue(self.exact(daemon, runs[-1]), "the newest run is not there to the step")
            if number == 0:
                eventually(lambda: self.packed(daemon), "the first run to be packed")
                path = f"/api/v1/runs/{runs[0]}/series?metric=loss&points=1000"
                headers, whole = daemon.get(path)
                known = {"If-None-Match": headers["etag"]}
                daemon.get(path, expect=304, headers=known)
        file = daemon.data / "pyrometer.db"
        eventually(lambda: self.packed(daemon) and file.stat().st_size <= LIMIT, "the store to be small enough")
        self.assertTrue(self.exact(daemon, runs[-1]))
        self.assertFalse(self.exact(daemon, runs[0]))
        self.assertNotEqual(daemon.get(path, headers=known)[1], whole)
        self.check_drawn(daemon, runs)
        daemon.restart()
        self.check_drawn(daemon, runs)
        self.assertEqual(daemon.temperature(runs[0])["step"], STEPS - 1)
        runs.append(self.send_run(daemon, RUNS))
        self.check_drawn(daemon, runs)

    def test_a_run_that_goes_on_is_bounded(self):
        daemon = self.daemon(f"storage: {{ max_size: {LIMIT // MIB}MiB }}\n")
        job = self.job(daemon)
        run, n = job.hello(new_run("long"), layers=LAYERS)["run"], 900
        for i in range(n):
            job.send(make_step(i, layers=LAYERS, loss=float(i)))
        job.wait_ack(n - 1)
        file = daemon.data / "pyrometer.db"
        eventually(lambda: file.stat().st_size <= LIMIT, "the store to be small enough")
        daemon.kill9()
        daemon.start()
        s = daemon.series(run, "loss", points=1000)["series"][0]
        self.assertEqual((s["min"][0], s["value"][-1]), (0, n - 1))
        self.assertLess(len(s["step"]), n)
        job = self.job(daemon)
        self.assertEqual(job.hello(run, layers=LAYERS)["last_step"], n - 1)
        job.send(make_step(n, layers=LAYERS))
        job.wait_ack(n)

    def check_drawn(self, daemon, runs):
        """Every run from its first steps to its last, whatever is left of it."""
        for number, run in enumerate(runs):
            s = daemon.series(run, "loss", points=1000)["series"][0]
            self.assertEqual(s["step"][-1], STEPS - 1)
            self.assertEqual(s["value"][-1], 1000.0 * number + STEPS - 1)
            self.assertEqual(min(s.get("min", s["value"])), 1000.0 * number)


if __name__ == "__main__":
    unittest.main()
