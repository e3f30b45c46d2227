"""Where a run's course breaks: events of the run, told once whatever happens to the daemon."""

import math
import random
import unittest

from harness import Job, TestCase, line

LAYERS = [{"name": "w", "n": 1000}]
JUMP = 700


class Phases(TestCase):
    def steps(self):
        """The loss jumps, and from there on the entropy rises by 5 nats a step instead of 1."""
        dice = random.Random(11)
        return [line({"type": "step", "step": step, "time": 1.7e9 + step, "lr": 0.1,
                      "loss": (1 if step < JUMP else 3) * dice.lognormvariate(0, 0.1),
                      "stats": {"w_var": [0.01 * math.exp(2e-3 * (step + 4 * max(step - JUMP, 0)))],
                                "w_mean": [0], "u_mean": [0], "u_var": [1e-6]}}) for step in range(1400)]

    def feed(self, daemon, lines):
        with Job(daemon) as job:
            job.hello("broken", LAYERS)
            job.raw(b"".join(lines))
            job.ping()
            job.half_close()
            job.drain()

    def changes(self, daemon):
        events = daemon.get_json("/api/v1/runs/broken/events?limit=1000")["events"]
        return [(e["step"], e["after_step"], e["data"]) for e in events if e["name"] == "phase_change"]

    def test_a_broken_course(self):
        lines = self.steps()
        whole, broken, replayed = self.daemon(), self.daemon(), self.daemon()
        self.feed(whole, lines)
        changes = {data["what"]: (step, after, data) for step, after, data in self.changes(whole)}
        self.assertEqual(sorted(changes), ["entropy", "heat_capacity", "loss"])
        self.assertEqual(len(changes), len(self.changes(whole)))
        for what, (step, after, data) in changes.items():
            self.assertLessEqual(abs(step - JUMP), 128 if what == "heat_capacity" else 16)
            self.assertEqual(after, data["found"])
        loss, entropy, peak = (changes[what][2] for what in ("loss", "entropy", "heat_capacity"))
        self.assertGreater(loss["probability"], 0.9)
        self.assertAlmostEqual(loss["before"], 1, 1)
        self.assertAlmostEqual(loss["after"], 3, delta=0.3)
        self.assertAlmostEqual(entropy["before"], 1, 6)
        self.assertAlmostEqual(entropy["after"], 5, 6)
        self.assertGreater(peak["after"], 10 * abs(peak["before"]))
        self.assertIsNone(peak["probability"])
        data = loss
        for cut in (300, JUMP + 20, data["found"], data["found"] + 1, data["found"] + 2, peak["found"] - 5, len(lines)):
            self.feed(broken, lines[:cut])  # all over again: what is there already is dropped
            broken.kill9()
            broken.start()
        self.assertEqual(self.changes(broken), self.changes(whole))
        with Job(replayed) as job:
            job.raw(whole.export("broken"))
            job.half_close()
            job.drain()
        self.assertEqual(self.changes(replayed), self.changes(whole))


if __name__ == "__main__":
    unittest.main()
