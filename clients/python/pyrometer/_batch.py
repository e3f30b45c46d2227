"""The moments of a small model on a CPU, where a step is as short as a few calls of torch.

The job's thread only copies: the weights before and after the update and the gradient. Whoever
wants the statistics, as a rule the sender's thread, computes them with NumPy in float64, for
several steps at once: a call of NumPy costs a fraction of one of torch, keeps to one thread and
gives up the interpreter's lock. So many copies may wait; when there is no room the job's thread
computes as well.

Nine steps of ten are not sent, and the job's own code has filled the caches by the tenth: what
counts in before() and after() is how little they touch.
"""
from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor

from ._moments import KEYS, count, flat_gradients

CHUNK = 1 << 14  # elements that are computed at once: ten rows of them fit a cache
ROOM_BYTES = 8 << 20  # for copies that wait
ROOM_COPIES = 1 << 12  # of single parameters
ROOM_STEPS = 64
WIDE = (torch.float64,)


class Snapshot:
    """A step whose copies are kept until its statistics are computed."""

    __slots__ = ("_owner", "slot", "found")

    def __init__(self, owner: Batch, slot: int) -> None:
        self._owner = owner
        self.slot = slot
        self.found: Optional[list[list[float]]] = None

    def columns(self) -> list[list[float]]:
        """For each of KEYS a value a layer. Any thread."""
        if self.found is None:
            self._owner.compute(self)
        assert self.found is not None
        return self.found


class Batch:
    """Layers of one CPU; what Exact and Rows are to others."""

    def __init__(self, layers: Sequence[Sequence[Tensor]], with_previous: bool) -> None:
        counts = np.array([count(layer) for layer in layers])
        self._counts = counts
        self._starts = counts.cumsum() - counts
        self._params = [param for layer in layers for param in layer]
        self._with_previous = with_previous
        size = int(counts.sum())
        wide = any(param.dtype in WIDE for param in self._params)
        rows = 4 if with_previous else 3
        steps = min(ROOM_STEPS, ROOM_BYTES // (rows * size * (8 if wide else 4)),
                    ROOM_COPIES // len(self._params))
        # Of each step 0 weights, 1 weights after the update, 2 gradient, 3 weights a step before.
        self._kept = np.zeros((max(2, steps), rows, size), np.float64 if wide else np.float32)
        kept = torch.from_numpy(self._kept)
        self._weight_rows = [[row for at, row in enumerate(step) if at != 2] for step in kept]
        self._gradients = [_places(step[2], self._params) for step in kept]
        self._slot = 0  # of the step that comes
        self._last: Optional[Tensor] = None  # the row with the weights of the step before
        self._find_weights()
        self._lock = threading.Lock()  # of what follows; held for a chunk at most
        self._waiting: deque[Snapshot] = deque()
        # 0 weights  1 update  2 gradient  3-5 their squares
        # 6, 7 gradient times rows 0, 1  8 times row 9  9 update before
        self._table = np.zeros((10, max(1, CHUNK // size), size))
        self.with_extremes = True  # without them theirs are NaN

    def before(self, follows: bool, is_sent: bool = True) -> None:
        """Keeps the weights. If it `follows` the last call, those kept give the update before."""
        rows = self._weight_rows[self._slot]
        if self._with_previous:
            if is_sent and follows and self._last is not rows[-1]:
                rows[-1].copy_(self._last)
            self._last = rows[0 if is_sent else -1]
        self._copy_weights(rows[0 if is_sent else -1])

    def after(self) -> Snapshot:
        """Gradients are taken as the optimizer leaves them."""
        slot = self._slot
        self._copy_weights(self._weight_rows[slot][1])
        for place, param in zip(self._gradients[slot], self._params):
            gradient = param.grad
            if gradient is None or gradient.layout != torch.strided:
                gradient = flat_gradients([param])[0].view(place.shape)
            place.copy_(gradient)
        made = Snapshot(self, slot)
        self._waiting.append(made)
        self._slot = (slot + 1) % len(self._kept)
        while len(self._waiting) >= len(self._kept):
            with self._lock:
                self._compute_chunk()
        return made

    def compute(self, wanted: Snapshot) -> None:
        while wanted.found is None:
            with self._lock:  # whoever had it may have computed what is wanted
                if wanted.found is None and not self._compute_chunk():
                    raise RuntimeError("a step's copies are gone")

    def _copy_weights(self, row: Tensor) -> None:
        if [param.data_ptr() for param in self._params] != self._pointers:
            self._find_weights()
        torch.cat(self._weights or [param.detach().reshape(-1).to(row.dtype)
                                    for param in self._params], out=row)

    def _find_weights(self) -> None:
        """Where the parameters' memory is now, where it is what torch.cat can take as it is."""
        for param, place in zip(self._params, self._gradients[0]):
            if param.shape != place.shape:
                raise RuntimeError(f"a parameter of shape {tuple(place.shape)} is now "
                                   f"{tuple(param.shape)}")
        self._pointers = [param.data_ptr() for param in self._params]
        self._weights: list[Tensor] = []
        if all(param.is_contiguous() and param.dtype == self._gradients[0][0].dtype
               for param in self._params):
            self._weights = [param.detach().view(-1) for param in self._params]

    def _compute_chunk(self) -> int:
        size = min(len(self._waiting), self._table.shape[1])
        chunk = [self._waiting[at] for at in range(size)]
        if chunk:
            table = self._table[:, :size]
            for at, snapshot in enumerate(chunk):
                kept = self._kept[snapshot.slot]
                table[:3, at] = kept[:3]
                table[9, at] = kept[-1]
            for _ in chunk:  # not before: the job's thread takes what waits no longer for free
                self._waiting.popleft()
            with np.errstate(all="ignore"):  # what is not finite is told as it is
                found = self._statistics(table)
            for at, snapshot in enumerate(chunk):
                snapshot.found = found[:, at].tolist()
        return len(chunk)

    def _statistics(self, table: Any) -> Any:
        """By key, in the order of KEYS, step and layer."""
        table[1] -= table[0]
        np.multiply(table[:3], table[:3], out=table[3:6])
        np.multiply(table[:2], table[2], out=table[6:8])
        if self._with_previous:
            np.subtract(table[0], table[9], out=table[9])
            np.multiply(table[9], table[2], out=table[8])
        sums = np.add.reduceat(table[:9 if self._with_previous else 8], self._starts, axis=2)
        means, variances = sums[:3] / self._counts, sums[3:6] / self._counts
        variances -= means * means
        variances[variances < 0] = 0.0
        if self.with_extremes:
            low = np.minimum.reduceat(table[0], self._starts, axis=1)
            high = np.maximum.reduceat(table[0], self._starts, axis=1)
            variances[0][low == high] = 0.0  # equal weights: exactly none, not a rounding error
        else:
            low = high = np.full(means.shape[1:], np.nan)
        # Without the update before its product is not told: any row stands for it.
        found = np.concatenate((means, variances, sums[-1:], sums[6:8], [low, high]))
        assert len(found) == len(KEYS)
        return found


def _places(row: Tensor, params: Sequence[Tensor]) -> list[Tensor]:
    """Where in the row each parameter goes, in its shape."""
    pieces = torch.split(row, [param.numel() for param in params])
    return [piece.view(param.shape) for piece, param in zip(pieces, params)]
