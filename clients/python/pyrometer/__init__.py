"""Pyrometer's client for Python: streams a training job's per-layer statistics to the daemon.

    run = pyrometer.watch(model, optimizer, run="resnet-7")
    for batch in data:
        ...
        loss.backward()
        optimizer.step()
        run.step(loss)
    run.finish()

It never raises into the job, never waits for the network, and needs nothing but the standard
library (and torch, for watch).
"""
from __future__ import annotations

from ._run import Run, finish, init, log, log_layers
from ._watch import watch

__version__ = "0.1.0"
__all__ = ["Run", "finish", "init", "log", "log_layers", "watch", "__version__"]
