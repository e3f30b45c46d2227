"""Where the level of the loss breaks: an event of the run, told once whatever happens to the daemon."""

import random
import unittest

from harness import Job, TestCase, line

LAYERS = [{"name": "w", "n": 10}]
JUMP = 700


class Phases(TestCase):
    def steps(self):
        dice = random.Random(11)
        return [line({"type": "step", "step": step, "time": 1.7e9 + step,
                      "loss": (1 if step < JUMP else 3) * dice.lognormvariate(0, 0.1)}) for step in range(1000)]

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

    def test_a_jump_of_the_loss(self):
        lines = self.steps()
        whole, broken, replayed = self.daemon(), self.daemon(), self.daemon()
        self.feed(whole, lines)
        (step, after, data), = self.changes(whole)
        self.assertEqual(data["what"], "loss")
        self.assertLessEqual(abs(step - JUMP), 16)
        self.assertEqual(after, data["found"])
        self.assertGreater(data["probability"], 0.9)
        self.assertAlmostEqual(data["before"], 1, 1)
        self.assertAlmostEqual(data["after"], 3, delta=0.3)
        for cut in (300, JUMP + 20, data["found"], data["found"] + 1, data["found"] + 2, len(lines)):
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
