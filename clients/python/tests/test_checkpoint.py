"""A PyTorch job that is killed (`kill -9`) and goes on from its checkpoint, against the real daemon."""
from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKOUT = ROOT.parents[1]
STEPS, HANG, REWIND = 100, 53, 39  # it hangs behind the checkpoint of step 39

try:
    import torch
except ImportError:
    torch = None
sys.path.append(str(CHECKOUT / "tests" / "e2e"))  # behind this folder: both have a test_frames


@unittest.skipIf(torch is None, "torch is not installed")
@unittest.skipUnless((CHECKOUT / "build" / "pyrometerd").exists(), "the daemon is not built")
class Killed(unittest.TestCase):
    def start(self, daemon, run, *hang):
        job = subprocess.Popen([sys.executable, ROOT / "tests" / "checkpoint_job.py", "%s:%d" % daemon.ingest[0], run,
                                f"{self.home.name}/{run}.pt", str(STEPS), *map(str, hang)],
                               env={**os.environ, "PYTHONPATH": str(ROOT), "PYROMETER_SPOOL": f"{self.home.name}/spool"},
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(job.communicate)
        self.addCleanup(job.kill)
        return job

    def finish(self, job):
        _, said = job.communicate(timeout=300)
        self.assertEqual((job.returncode, said), (0, ""))

    def test_is_one_run_with_two_attempts_and_the_curve_of_one_that_was_not(self):
        from harness import Daemon, eventually
        self.home = tempfile.TemporaryDirectory(prefix="pyro-killed-")
        self.addCleanup(self.home.cleanup)
        daemon = Daemon()
        self.addCleanup(daemon.stop)
        daemon.start()
        self.finish(self.start(daemon, "whole"))
        job = self.start(daemon, "killed", HANG)
        eventually(lambda: sum(run["steps"] for run in daemon.get_json("/api/v1/runs")["runs"] if run["run"] == "killed")
                   == HANG, "all steps before it hangs")
        job.kill()
        job.wait()
        self.finish(self.start(daemon, "killed"))
        run = daemon.run("killed")
        self.assertEqual(len(run["attempts"]), 2)
        self.assertEqual(run["attempts"][1]["rewind_step"], REWIND)
        self.assertEqual((run["status"], run["first_step"], run["last_step"], run["steps"]), ("completed", 0, STEPS - 1, STEPS))
        killed, whole = (daemon.series(name, "loss")["series"][0] for name in ("killed", "whole"))
        self.assertEqual(whole["step"], list(range(STEPS)))
        self.assertEqual(killed, whole)


if __name__ == "__main__":
    unittest.main()
