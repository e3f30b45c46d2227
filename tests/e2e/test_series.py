"""Series of steps that were packed: from tiers and columns, the same as from the journal."""

import contextlib
import math
import sqlite3
import unittest

from harness import SharedDaemonCase, eventually, make_step, new_run

N = 5000
SPIKE = 3210


def loss(step):
    return 1000.5 if step == SPIKE else float("nan") if step == 777 else 2 + math.sin(step / 50)


class Packed(SharedDaemonCase):
    def packed_run(self):
        job, run = self.start_run(new_run("packed"), layers=2)
        for i in range(N):
            job.send(make_step(i, layers=2, stats=("w_var",), loss=loss(i)))
        job.send({"type": "end", "status": "completed"})
        job.wait_ack(N - 1)
        database = f"file:{self.shared.data / 'pyrometer.db'}?mode=ro"

        def in_journal():
            with contextlib.closing(sqlite3.connect(database, uri=True)) as db:
                return db.execute("SELECT count(*) FROM step").fetchone()[0]

        eventually(lambda: in_journal() < N / 2, "the steps to be packed")
        return run

    def one(self, run, **query):
        return self.shared.series(run, "loss", **query)["series"][0]

    def check_exact(self, run):
        s = self.one(run, **{"from": SPIKE - 30, "to": SPIKE + 30})
        self.assertEqual(s["step"], list(range(SPIKE - 30, SPIKE + 31)))
        self.assertEqual(s["value"], [loss(i) for i in s["step"]])
        self.assertNotIn("min", s)

    def check_ends(self, s, points):
        self.assertEqual((s["step"][0], s["step"][-1]), (0, N - 1))
        self.assertLessEqual(len(s["step"]), points)
        self.assertGreater(len(s["step"]), points // 4)
        self.assertEqual(s["step"], sorted(set(s["step"])))

    def test_every_way_of_drawing(self):
        run = self.packed_run()
        self.check_exact(run)
        drawn = {agg: self.one(run, points=40, agg=agg) for agg in ("minmax", "mean", "last", "lttb")}
        for agg, s in drawn.items():
            with self.subTest(agg):
                self.check_ends(s, 40)
        s = drawn["minmax"]
        self.assertEqual(max(s["max"]), 1000.5)
        self.assertEqual(min(s["min"]), min(loss(i) for i in range(N) if i != 777))
        self.assertEqual(sum(s["nonfinite"]), 1)
        for step, value in zip(drawn["last"]["step"], drawn["last"]["value"]):
            self.assertEqual(value, "NaN" if step == 777 else loss(step))
        self.assertNotIn("min", drawn["last"])
        self.assertIn(1000.5, drawn["lttb"]["value"])
        edges = zip(drawn["mean"]["step"], drawn["mean"]["step"][1:], drawn["mean"]["value"][1:])
        for before, last, mean in edges:
            values = [loss(i) for i in range(before + 1, last + 1) if i != 777]
            self.assertAlmostEqual(mean, sum(values) / len(values), places=9)


if __name__ == "__main__":
    unittest.main()
