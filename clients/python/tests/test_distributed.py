"""Two processes under DistributedDataParallel: replicas, and shards that the daemon merges.

FSDP itself is not tested: in torch 1.13 it needs CUDA. What a rank sends is what `shards=True` is told here.
"""
from __future__ import annotations

import unittest

from tests.real import JobTest

WORLD, STEPS = 2, 12


class Ranks(JobTest):
    def test_replicas_and_shards(self):
        jobs = [self.start("ddp_job.py", rank, WORLD, f"{self.home}/rendezvous", self.server, STEPS) for rank in range(WORLD)]
        for rank, job in enumerate(jobs):
            self.assertEqual(self.finish(job).split(), [str(rank == 0), "True", str(rank == 0)])
        stored = {name: self.daemon.steps(name) for name in ("replicas", "shards", "whole")}
        for name, steps in stored.items():
            self.assertEqual([step["step"] for step in steps], list(range(STEPS)), name)
        sizes = {name: [layer["n"] for layer in self.daemon.run(name)["layers"]] for name in stored}
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
