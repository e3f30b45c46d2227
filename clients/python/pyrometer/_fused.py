"""The moments of float32 layers on a CPU, by C that walks memory once (_native.c).

The package is complete without it: where it could not be compiled, _batch.py and _rows.py measure.
"""
from __future__ import annotations

import ctypes
import functools
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import torch
from torch import Tensor

from ._moments import KEYS, count

BRIEF = 1 << 16  # so many parameters take no longer than another thread that was given the lock


@functools.lru_cache(maxsize=None)
def _library(keeps_lock: bool) -> Optional[ctypes.CDLL]:
    for path in Path(__file__).parent.glob("_native*.so"):
        try:
            library = (ctypes.PyDLL if keeps_lock else ctypes.CDLL)(str(path))
            number, place = ctypes.c_size_t, ctypes.c_void_p
            library.native_keep.argtypes = [number, place, place, place]
            library.native_keep.restype = None
            library.native_measure.argtypes = [number] + 6 * [place] + [ctypes.c_int, place]
            library.native_measure.restype = None
            return library
        except (OSError, AttributeError):
            pass  # of another machine
    return None


def can_measure(layer: Sequence[Tensor]) -> bool:
    return _library(True) is not None and all(
        type(param) in (Tensor, torch.nn.Parameter) and param.dtype == torch.float32
        and param.is_cpu for param in layer)


class Moments:
    """What was measured in one step."""

    __slots__ = ("_values",)

    def __init__(self, values: ctypes.Array[ctypes.c_double]) -> None:
        self._values = values

    def columns(self) -> list[list[float]]:
        """For each of KEYS a value a layer. Any thread."""
        size = len(self._values) // len(KEYS)
        return [self._values[at:at + size] for at in range(0, len(self._values), size)]


class Fused:
    """Layers of one CPU; what Batch, Exact and Rows are to others."""

    def __init__(self, layers: Sequence[Sequence[Tensor]], with_previous: bool) -> None:
        self._params = [param for layer in layers for param in layer]
        self._shapes = [param.shape for param in self._params]
        total = sum(map(count, layers))
        library = _library(total <= BRIEF)
        assert library is not None
        self._library = library
        self._sizes = array("Q", map(Tensor.numel, self._params))
        self._n_params = array("Q", map(len, layers))
        self._kept = torch.empty(total)
        self._previous = torch.empty(total) if with_previous else None
        self._has_previous = False
        self._values = ctypes.c_double * (len(KEYS) * len(layers))
        self.with_extremes = True  # without them theirs are NaN
        self._pointers: list[int] = []
        self._find_weights()

    def before(self, follows: bool, is_sent: bool = True) -> None:
        """Keeps the weights. If it `follows` the last call, those kept give the update before."""
        if self._previous is not None:
            self._kept, self._previous = self._previous, self._kept
            self._has_previous = follows
        self._find_weights()
        self._library.native_keep(len(self._sizes), _start(self._places), _start(self._sizes),
                                 self._kept.data_ptr())

    def after(self) -> Moments:
        """Gradients are taken as the optimizer leaves them."""
        self._find_weights()
        gradients = list(map(_gradient, self._params))
        places = array("Q", [0 if gradient is None else gradient.data_ptr()
                             for gradient in gradients])
        values = self._values()
        self._library.native_measure(
            len(self._n_params), _start(self._n_params), _start(self._places), _start(places),
            _start(self._sizes), self._kept.data_ptr(),
            self._previous.data_ptr() if self._previous is not None and self._has_previous else None,
            self.with_extremes, values)
        return Moments(values)

    def _find_weights(self) -> None:
        pointers = list(map(Tensor.data_ptr, self._params))
        if self._pointers and pointers == self._pointers:
            return
        for param, shape in zip(self._params, self._shapes):
            if param.shape != shape:
                raise RuntimeError(f"a parameter of shape {tuple(shape)} is now "
                                   f"{tuple(param.shape)}")
        # Held, so that nothing else comes to lie where they lie.
        self._held = [_dense(param.detach()) for param in self._params]
        self._places = array("Q", map(Tensor.data_ptr, self._held))
        # Copies are made again each time.
        self._pointers = pointers if list(self._places) == pointers else []


def _gradient(param: Tensor) -> Optional[Tensor]:
    gradient = param.grad
    if gradient is None:
        return None
    if gradient.layout != torch.strided:
        gradient = gradient.to_dense()
    if gradient.shape != param.shape:
        raise RuntimeError(f"a parameter of shape {tuple(param.shape)} has a gradient of shape "
                           f"{tuple(gradient.shape)}")
    return _dense(gradient)


def _dense(tensor: Tensor) -> Tensor:
    """Float32 in memory that C can read, element by element."""
    if not (tensor.dtype == torch.float32 and tensor.is_cpu and tensor.is_contiguous()
            and not tensor.is_neg()):
        tensor = tensor.to("cpu", torch.float32).contiguous().resolve_neg()
    if tensor.data_ptr() == 0:
        raise RuntimeError("a tensor's memory was given back")
    return tensor


def _start(numbers: array[int]) -> int:
    return numbers.buffer_info()[0]
