"""The moments of float32 layers on a CPU, by C that walks memory once (_native.c).

The package is complete without it: where it could not be compiled, _batch.py and _rows.py measure.
"""
from __future__ import annotations

import ctypes
import functools
import operator
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import torch
from torch import Tensor

from ._frame import Table
from ._moments import EXTREMES, KEYS, check_dtypes, count

CPU = torch.device("cpu")
# What is asked of torch in a step, at hand: its module is large.
DATA_PTR, GRADIENT, FLOAT32 = Tensor.data_ptr, operator.attrgetter("grad"), torch.float32
GU_PREV = KEYS.index("gu_prev")
MEASURED = KEYS[:-len(EXTREMES)]
WITHOUT_PREVIOUS = tuple(key for key in MEASURED if key != "gu_prev")
BRIEF = 1 << 16  # so many parameters take no longer than another thread that was given the lock


@functools.lru_cache(maxsize=None)
def _library(keeps_lock: bool) -> Optional[ctypes.CDLL]:
    for path in Path(__file__).parent.glob("_native*.so"):
        try:
            library = (ctypes.PyDLL if keeps_lock else ctypes.CDLL)(str(path))
            library.native_keep.restype = None
            return library
        except (OSError, AttributeError):
            pass  # of another machine
    return None


def can_measure(layer: Sequence[Tensor]) -> bool:
    return _library(True) is not None and all(
        type(param) in (Tensor, torch.nn.Parameter) and param.dtype == torch.float32
        and param.device == CPU for param in layer)


class Moments:
    """What was measured in one step: a row of as many layers for each of KEYS."""

    __slots__ = ("_found", "fits")

    def __init__(self, found: ctypes.Array[ctypes.c_double], fits: int) -> None:
        self._found = found
        self.fits = fits  # floats keep all of it, but for w_var, of which there are doubles

    def columns(self) -> list[list[float]]:
        """For each of KEYS a value a layer. Any thread."""
        size = len(self._found) // len(KEYS)
        values = self._found[:]
        return [values[at:at + size] for at in range(0, len(values), size)]

    def table(self, with_previous: bool) -> Table:
        """The same as a frame wants it, without the extremes. Any thread."""
        size = len(self._found) // len(KEYS)
        values = self._found[:len(MEASURED) * size]
        if with_previous:
            return Table(MEASURED, values)
        del values[GU_PREV * size:(GU_PREV + 1) * size]
        return Table(WITHOUT_PREVIOUS, values)


class Job(ctypes.Structure):
    """As _native.c has it. Whoever sets an address keeps what is there."""

    _fields_ = [(name, ctypes.c_size_t) for name in ("n_layers", "n_params")] + [
        (name, ctypes.c_void_p) for name in (
            "params_of", "sizes", "params", "gradients", "kept", "kept_before")] + [
        (name, ctypes.c_size_t) for name in ("has_before", "with_extremes")]


class Fused:
    """Layers of one CPU; what Batch, Exact and Rows are to others.

    Steps that are sent are rare, and the job's own code has filled the caches by then: what counts is
    how little of Python and ctypes a call of before() or after() touches.
    """

    def __init__(self, layers: Sequence[Sequence[Tensor]], with_previous: bool) -> None:
        self._params = [param for layer in layers for param in layer]
        self._shapes = [param.shape for param in self._params]
        total = sum(map(count, layers))
        library = _library(total <= BRIEF)
        assert library is not None
        self._keep, self._measure = library.native_keep, library.native_measure
        self._lines = [torch.empty(total, dtype=FLOAT32, device=CPU)
                       for _ in range(2 if with_previous else 1)]
        self._sizes = [param.numel() for param in self._params]
        self._counts = array("Q", map(len, layers)), array("Q", self._sizes)
        self._gradients = (ctypes.c_size_t * len(self._params))()
        self._new_row = ctypes.c_double * (len(KEYS) * len(layers))
        self._job = Job(len(layers), len(self._params), *map(_start, self._counts),
                        gradients=ctypes.addressof(self._gradients),
                        kept=self._lines[0].data_ptr(), kept_before=self._lines[-1].data_ptr())
        if not with_previous:
            self._job.kept_before = None
        self._call = ctypes.byref(self._job)
        self._pointers: list[int] = []
        self._find_weights()
        self.may_lack_gradients = False  # of some parameter, in the last step
        self.with_extremes = True

    @property
    def with_extremes(self) -> bool:
        """Without them theirs are NaN."""
        return bool(self._job.with_extremes)

    @with_extremes.setter
    def with_extremes(self, wanted: bool) -> None:
        self._job.with_extremes = wanted

    def before(self, follows: bool, is_sent: bool = True) -> None:
        """Keeps the weights. If it `follows` the last call, those kept give the update before."""
        if list(map(DATA_PTR, self._params)) != self._pointers:
            self._find_weights()
        self._keep(self._call, follows)

    def after(self) -> Moments:
        """Gradients are taken as the optimizer leaves them."""
        if list(map(DATA_PTR, self._params)) != self._pointers:
            self._find_weights()
        # Held until C has read them: another thread may set them to None meanwhile.
        gradients: list[Any] = list(map(GRADIENT, self._params))
        # Weights that are copied may be of another device by now, and so may gradients.
        if not (self._pointers and self._find_gradients(gradients)):
            self._find_any_gradients(gradients)
        found = self._new_row()
        return Moments(found, self._measure(self._call, found))

    def _find_gradients(self, gradients: Sequence[Any]) -> bool:
        """Whether C can read them all where they lie, as nearly always. Little is asked, since each
        question costs part of a microsecond where the caches are cold: is_contiguous() raises for
        other layouts, and torch sees to it that a gradient is on its parameter's device."""
        at, places = 0, self._gradients
        try:
            for gradient, size in zip(gradients, self._sizes):
                if not (gradient.dtype is FLOAT32 and gradient.is_contiguous()
                        and gradient.numel() == size):
                    return False
                places[at] = place = gradient.data_ptr()
                if not place:
                    return False
                at += 1
        except (AttributeError, RuntimeError):  # None; sparse
            return False
        self.may_lack_gradients = False
        return True

    def _find_any_gradients(self, gradients: list[Any]) -> None:
        """Copies take the places of those that C cannot read."""
        self.may_lack_gradients = True
        for at, (gradient, size) in enumerate(zip(gradients, self._sizes)):
            if gradient is not None and not _is_plain(gradient, size):
                gradients[at] = _plain(gradient, size)
        self._gradients[:] = [0 if gradient is None else gradient.data_ptr()
                              for gradient in gradients]

    def _find_weights(self) -> None:
        pointers = list(map(DATA_PTR, self._params))
        for param, shape in zip(self._params, self._shapes):
            if param.shape != shape:
                raise RuntimeError(f"a parameter of shape {tuple(shape)} is now "
                                   f"{tuple(param.shape)}")
        check_dtypes(self._params, torch.float32)
        # Held, so that nothing else comes to lie where they lie.
        self._held = [param.detach() for param in self._params]
        for at, (param, size) in enumerate(zip(self._held, self._sizes)):
            if not _is_plain(param, size):
                self._held[at] = _plain(param, size)
        self._places = array("Q", map(DATA_PTR, self._held))
        self._job.params = _start(self._places)
        # Copies are made again each time.
        self._pointers = pointers if list(self._places) == pointers else []


def _is_plain(tensor: Tensor, size: int) -> bool:
    """Whether C finds so many elements where it lies."""
    return (tensor.dtype is torch.float32 and tensor.layout is torch.strided and tensor.device == CPU
            and tensor.numel() == size and tensor.is_contiguous() and not tensor.is_neg()
            and tensor.data_ptr() != 0)


def _plain(tensor: Tensor, size: int) -> Tensor:
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    tensor = tensor.to("cpu", torch.float32).contiguous().resolve_neg()
    if tensor.numel() != size:
        raise RuntimeError(f"a parameter of {size} elements has a gradient of {tensor.numel()}")
    if tensor.data_ptr() == 0:
        raise RuntimeError("a tensor's memory was given back")
    return tensor


def _start(numbers: array[Any]) -> int:
    return numbers.buffer_info()[0]
