"""Jobs of torch, processes of their own, against the real daemon."""
from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKOUT = ROOT.parents[1]

try:
    import torch
except ImportError:
    torch = None
sys.path.append(str(CHECKOUT / "tests" / "e2e"))  # behind this folder: both have a test_frames


@unittest.skipIf(torch is None, "torch is not installed")
@unittest.skipUnless((CHECKOUT / "build" / "pyrometerd").exists(), "the daemon is not built")
class JobTest(unittest.TestCase):
    def setUp(self):
        from harness import Daemon
        home = tempfile.TemporaryDirectory(prefix="pyro-job-")
        self.addCleanup(home.cleanup)
        self.home = home.name
        self.daemon = Daemon()
        self.addCleanup(self.daemon.stop)
        self.daemon.start()
        self.server = "%s:%d" % self.daemon.ingest[0]

    def start(self, script, *words):
        job = subprocess.Popen([sys.executable, ROOT / "tests" / script, *map(str, words)],
                               env={**os.environ, "PYTHONPATH": str(ROOT), "PYROMETER_SPOOL": f"{self.home}/spool",
                                    "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(job.communicate)
        self.addCleanup(job.kill)
        return job

    def finish(self, job):
        """What it printed; nothing of it may be a complaint."""
        printed, said = job.communicate(timeout=300)
        self.assertEqual((job.returncode, said), (0, ""))
        return printed
