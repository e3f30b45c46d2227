"""The moments of a small model on a CPU, where a step is as short as a few calls of torch.

The job's thread only copies: the weights before and after the update and the gradient. Whoever
wants the statistics, as a rule the sender's thread, computes them with NumPy in float64, for
several steps at once: a call of NumPy costs a fraction of one of torch, keeps to one thread and
gives up the interpreter's lock. So many copies may wait; when there is no room the job's thread
computes as well.

Nine steps of ten are not sent, and the job's own code has filled the caches by the tenth: what
counts in before() and after() is how little they touch, of code too. Weights are copied through
memoryviews, which are the interpreter's own; a call of torch that does the same costs three times
as much.
"""
from __future__ import annotations

import ctypes
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor

from ._moments import KEYS, check_dtypes, count, flat_gradients

CHUNK = 1 << 14  # elements that are computed at once: ten rows of them fit a cache
STEPS_AT_ONCE = 16  # what follows from their sums, too, is computed at once
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

    may_lack_gradients = True

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
        self._weight_rows = [[memoryview(row).cast("B") for at, row in enumerate(step) if at != 2]
                             for step in self._kept]
        self._gradients = [_places(step[2], self._params) for step in torch.from_numpy(self._kept)]
        self._slot = 0  # of the step that comes
        self._last: Optional[memoryview] = None  # the row with the weights of the step before
        self._find_weights()
        self._lock = threading.Lock()  # of what follows; held for STEPS_AT_ONCE at most
        self._waiting: deque[Snapshot] = deque()
        # 0 weights  1 update  2 gradient  3-5 their squares
        # 6, 7 gradient times rows 0, 1  8 times row 9  9 update before
        self._table = np.zeros((10, max(1, CHUNK // size), size))
        self.with_extremes = True  # without them theirs are NaN

    def before(self, follows: bool, is_sent: bool = True) -> None:
        """Keeps the weights. If it `follows` the last call, those kept give the update before."""
        rows = self._weight_rows[self._slot]
        row = rows[0 if is_sent else -1]
        if self._with_previous:
            if is_sent and follows and self._last is not None and self._last is not rows[-1]:
                rows[-1][:] = self._last
            self._last = row
        self._copy_weights(row)

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
                self._compute_waiting()
        return made

    def compute(self, wanted: Snapshot) -> None:
        while wanted.found is None:
            with self._lock:  # whoever had it may have computed what is wanted
                if wanted.found is None and not self._compute_waiting():
                    raise RuntimeError("a step's copies are gone")

    def _copy_weights(self, row: memoryview) -> None:
        if list(map(Tensor.data_ptr, self._params)) != self._pointers:
            self._find_weights()
        if self._weights:
            for place, weights in self._weights:
                row[place] = weights
        else:
            kept = torch.frombuffer(row, dtype=self._gradients[0][0].dtype)
            torch.cat([param.detach().reshape(-1).to(kept.dtype) for param in self._params],
                      out=kept)

    def _find_weights(self) -> None:
        """Where the parameters' memory is now, where it can be copied as it is: the bytes of a row
        that it goes to, and itself. (Tensor.numpy() would do, but forbids the job to resize it.)"""
        for param, place in zip(self._params, self._gradients[0]):
            if param.shape != place.shape:
                raise RuntimeError(f"a parameter of shape {tuple(place.shape)} is now "
                                   f"{tuple(param.shape)}")
        check_dtypes(self._params, self._gradients[0][0].dtype)
        self._pointers = [param.data_ptr() for param in self._params]
        self._held = [param.detach() for param in self._params]  # so that it stays
        self._weights: list[tuple[slice, memoryview]] = []
        dtype = self._gradients[0][0].dtype
        if all(param.is_contiguous() and param.dtype == dtype for param in self._params):
            begin = 0
            for param, pointer in zip(self._params, self._pointers):
                size = param.numel() * param.element_size()
                memory = (ctypes.c_char * size).from_address(pointer)
                self._weights.append((slice(begin, begin + size), memoryview(memory).cast("B")))
                begin += size

    def _compute_waiting(self) -> int:
        """The oldest that wait; how many those were."""
        chunk = [self._waiting[at] for at in range(min(len(self._waiting), STEPS_AT_ONCE))]
        if chunk:
            with np.errstate(all="ignore"):  # what is not finite is told as it is
                sums = self._sum([snapshot.slot for snapshot in chunk])
                for _ in chunk:  # not before: what waits no longer the job's thread takes for free
                    self._waiting.popleft()
                found = self._statistics(*sums)
            for snapshot, columns in zip(chunk, found.transpose(1, 0, 2).tolist()):
                snapshot.found = columns
        return len(chunk)

    def _sum(self, slots: Sequence[int]) -> tuple[Any, Any]:
        """The sums of the table's rows, and the least and the greatest weight, by step and layer."""
        rows = 9 if self._with_previous else 8
        sums = np.empty((rows, len(slots), len(self._counts)))
        extremes = np.full((2, len(slots), len(self._counts)), np.nan)
        most = self._table.shape[1]
        for begin in range(0, len(slots), most):
            few = slots[begin:begin + most]
            table = self._table[:, :len(few)]
            for at, slot in enumerate(few):
                kept = self._kept[slot]
                table[:3, at] = kept[:3]
                table[9, at] = kept[-1]
            table[1] -= table[0]
            np.multiply(table[:3], table[:3], out=table[3:6])
            np.multiply(table[:2], table[2], out=table[6:8])
            if self._with_previous:
                np.subtract(table[0], table[9], out=table[9])
                np.multiply(table[9], table[2], out=table[8])
            here = slice(begin, begin + len(few))
            np.add.reduceat(table[:rows], self._starts, axis=2, out=sums[:, here])
            if self.with_extremes:
                np.minimum.reduceat(table[0], self._starts, axis=1, out=extremes[0, here])
                np.maximum.reduceat(table[0], self._starts, axis=1, out=extremes[1, here])
        return sums, extremes

    def _statistics(self, sums: Any, extremes: Any) -> Any:
        """By key, in the order of KEYS, step and layer."""
        means, variances = sums[:3] / self._counts, sums[3:6] / self._counts
        variances -= means * means
        variances[variances < 0] = 0.0
        # Equal weights: exactly none, not a rounding error.
        variances[0][extremes[0] == extremes[1]] = 0.0
        # Without the update before its product is not told: any row stands for it.
        found = np.concatenate((means, variances, sums[-1:], sums[6:8], extremes))
        assert len(found) == len(KEYS)
        return found


def _places(row: Tensor, params: Sequence[Tensor]) -> list[Tensor]:
    """Where in the row each parameter goes, in its shape."""
    pieces = torch.split(row, [param.numel() for param in params])
    return [piece.view(param.shape) for piece, param in zip(pieces, params)]
