"""The moments of float32 layers on a CPU, by C that walks memory once (_native.c).

The package is complete without it: where it could not be compiled, _batch.py and _rows.py measure.
"""
from __future__ import annotations

import ctypes
import functools
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import torch
from torch import Tensor

from ._moments import KEYS, check_dtypes, count

CPU = torch.device("cpu")
BRIEF = 1 << 16  # so many parameters take no longer than another thread that was given the lock


@functools.lru_cache(maxsize=None)
def _library(keeps_lock: bool) -> Optional[ctypes.CDLL]:
    for path in Path(__file__).parent.glob("_native*.so"):
        try:
            library = (ctypes.PyDLL if keeps_lock else ctypes.CDLL)(str(path))
            library.native_keep.restype = library.native_measure.restype = None
            return library
        except (OSError, AttributeError):
            pass  # of another machine
    return None


def can_measure(layer: Sequence[Tensor]) -> bool:
    return _library(True) is not None and all(
        type(param) in (Tensor, torch.nn.Parameter) and param.dtype == torch.float32
        and param.device == CPU for param in layer)


class Moments:
    """What was measured in one step."""

    __slots__ = ("_values",)

    def __init__(self, values: array[float]) -> None:
        self._values = values

    def columns(self) -> list[list[float]]:
        """For each of KEYS a value a layer. Any thread."""
        size = len(self._values) // len(KEYS)
        values = self._values.tolist()
        return [values[at:at + size] for at in range(0, len(values), size)]


class Job(ctypes.Structure):
    """As _native.c has it. Whoever sets an address keeps what is there."""

    _fields_ = [(name, ctypes.c_size_t) for name in ("n_layers", "n_params")] + [
        (name, ctypes.c_void_p) for name in (
            "params_of", "sizes", "params", "gradients", "kept", "kept_before", "found")] + [
        ("with_extremes", ctypes.c_size_t)]


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
        self._lines = [torch.empty(total) for _ in range(2 if with_previous else 1)]
        self._starts = [line.data_ptr() for line in self._lines]
        self._sizes = [param.numel() for param in self._params]
        self._counts = array("Q", map(len, layers)), array("Q", self._sizes)
        self._blank = array("d", bytes(8 * len(KEYS) * len(layers)))
        self._job = Job(len(layers), len(self._params), *map(_start, self._counts),
                        kept=self._starts[0])
        self._call = ctypes.byref(self._job)
        self._pointers: list[int] = []
        self._find_weights()
        self.with_extremes = True  # without them theirs are NaN

    def before(self, follows: bool, is_sent: bool = True) -> None:
        """Keeps the weights. If it `follows` the last call, those kept give the update before."""
        if len(self._starts) > 1:
            self._job.kept, before = self._starts[::-1]
            self._starts.reverse()
            self._job.kept_before = before if follows else None
        self._find_weights()
        self._keep(self._call)

    def after(self) -> Moments:
        """Gradients are taken as the optimizer leaves them."""
        self._find_weights()
        gradients: list[Any] = [param.grad for param in self._params]
        places = _plain_places(gradients, self._sizes)
        if places is None:
            for at, (gradient, size) in enumerate(zip(gradients, self._sizes)):
                if gradient is not None and not _is_plain(gradient, size):
                    gradients[at] = _plain(gradient, size)
            places = array("Q", [0 if gradient is None else gradient.data_ptr()
                                 for gradient in gradients])
        values = self._blank[:]
        self._job.gradients, self._job.found = _start(places), _start(values)
        self._job.with_extremes = self.with_extremes
        self._measure(self._call)
        return Moments(values)

    def _find_weights(self) -> None:
        pointers = list(map(Tensor.data_ptr, self._params))
        if self._pointers and pointers == self._pointers:
            return
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
        self._places = array("Q", map(Tensor.data_ptr, self._held))
        self._job.params = _start(self._places)
        # Copies are made again each time.
        self._pointers = pointers if list(self._places) == pointers else []


def _plain_places(gradients: Sequence[Any], sizes: Sequence[int]) -> Optional[array[int]]:
    """Where they lie, if C can read them all there, as nearly always. Little is asked, since each
    question costs a microsecond where the caches are cold: is_contiguous() raises for other layouts,
    and torch sees to it that a gradient is on its parameter's device."""
    try:
        for gradient, size in zip(gradients, sizes):
            if not (gradient.dtype is torch.float32 and gradient.is_contiguous()
                    and gradient.numel() == size):
                return None
        places = array("Q", map(Tensor.data_ptr, gradients))
    except (AttributeError, RuntimeError):  # None; sparse
        return None
    return None if 0 in places else places


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
