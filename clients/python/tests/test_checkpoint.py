"""A PyTorch job that is killed (`kill -9`) and goes on from its checkpoint."""
from __future__ import annotations

import unittest

from tests.real import JobTest

STEPS, HANG, REWIND = 100, 53, 39  # it hangs behind the checkpoint of step 39


class Killed(JobTest):
    def train(self, run, *hang):
        return self.start("checkpoint_job.py", self.server, run, f"{self.home}/{run}.pt", STEPS, *hang)

    def test_is_one_run_with_two_attempts_and_the_curve_of_one_that_was_not(self):
        from harness import eventually
        self.finish(self.train("whole"))
        job = self.train("killed", HANG)
        eventually(lambda: sum(run["steps"] for run in self.daemon.get_json("/api/v1/runs")["runs"] if run["run"] == "killed")
                   == HANG, "all steps before it hangs")
        job.kill()
        job.wait()
        self.finish(self.train("killed"))
        run = self.daemon.run("killed")
        self.assertEqual(len(run["attempts"]), 2)
        self.assertEqual(run["attempts"][1]["rewind_step"], REWIND)
        self.assertEqual((run["status"], run["first_step"], run["last_step"], run["steps"]), ("completed", 0, STEPS - 1, STEPS))
        killed, whole = (self.daemon.series(name, "loss")["series"][0] for name in ("killed", "whole"))
        self.assertEqual(whole["step"], list(range(STEPS)))
        self.assertEqual(killed, whole)


if __name__ == "__main__":
    unittest.main()
