"""Two processes under DistributedDataParallel and the real daemon: replicas, and shards that it merges.

FSDP itself is not tested: in torch 1.13 it needs CUDA. What a rank sends is what `shards=True` is told here.
"""
from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKOUT = ROOT.parents[1]
WORLD, STEPS = 2, 12

try:
    import torch
except ImportError:
    torch = None
sys.path.append(str(CHECKOUT / "tests" / "e2e"))  # behind this folder: both have a test_frames


@unittest.skipIf(torch is None, "torch is not installed")
@unittest.skipUnless((CHECKOUT / "build" / "pyrometerd").exists(), "the daemon is not built")
class Ranks(unittest.TestCase):
    def test_replicas_and_shards(self):
        from harness import Daemon
        home = tempfile.TemporaryDirectory(prefix="pyro-ddp-")
        self.addCleanup(home.cleanup)
        daemon = Daemon()
        self.addCleanup(daemon.stop)
        daemon.start()
        server = "%s:%d" % daemon.ingest[0]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYROMETER_SPOOL": f"{home.name}/spool",
                       "OMP_NUM_THREADS": "1"}
        jobs = [subprocess.Popen([sys.executable, ROOT / "tests" / "ddp_job.py", str(rank), str(WORLD),
                                  f"{home.name}/rendezvous", server, str(STEPS)], env=environment,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for rank in range(WORLD)]
        for job in jobs:
            self.addCleanup(job.wait)
            self.addCleanup(job.kill)
        for job in jobs:
            _, said = job.communicate(timeout=300)
            self.assertEqual((job.returncode, said), (0, ""))
        stored = {name: daemon.steps(name) for name in ("replicas", "shards", "whole")}
        for name, steps in stored.items():
            self.assertEqual([step["step"] for step in steps], list(range(STEPS)), name)
        sizes = {name: [layer["n"] for layer in daemon.run(name)["layers"]] for name in stored}
        self.assertEqual(sizes, {name: [40, 27] for name in stored})
        for name in ("replicas", "shards"):
            for got, wanted in zip(stored[name], stored["whole"]):
                self.same(name, got["stats"], wanted["stats"])

    def same(self, name, got, wanted):
        """As far as float32 on the wire goes; inner products of few terms cancel to some of it."""
        extremes = {"w_min", "w_max"}  # watch() sends them at level="full"
        for key in {"w_mean", "w_var", "g_mean", "g_var", "u_mean", "u_var", "gw", "gu"} | (extremes & got.keys()):
            for one, other in zip(got[key], wanted[key]):
                self.assertAlmostEqual(one, other, delta=1e-5 * abs(other) + 1e-7, msg=f"{name}: {key}")


if __name__ == "__main__":
    unittest.main()
