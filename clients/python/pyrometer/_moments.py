"""Per-layer moments of weights, gradients and updates, on the device that holds them.

`before` keeps the weights, `after` measures; nothing waits for the device. Small layers are
measured in float64 throughout (here), large ones row by row in their own precision (_rows.py).
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Optional, Union

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ._rows import Rows

KEYS = ("w_mean", "u_mean", "g_mean", "w_var", "u_var", "g_var", "gu_prev", "gw", "gu",
        "w_min", "w_max")
NEEDS_GRADIENT = ("g_mean", "g_var", "gw", "gu", "gu_prev")
EXACT_LAYER = 1 << 13  # float64 costs a layer of so few parameters nothing
EXACT_TOTAL = 1 << 16


class Kept:
    """The layers' parameters, laid end to end as they were before this update."""

    def __init__(self, layers: Sequence[Sequence[Tensor]], size: int, dtype: torch.dtype,
                 with_previous: bool) -> None:
        self.params = [param for layer in layers for param in layer]
        self._shapes = [param.shape for param in self.params]
        self.weights = torch.zeros(size, device=self.params[0].device, dtype=dtype)
        self.previous: Optional[Tensor] = (
            torch.zeros_like(self.weights) if with_previous else None)

    def flat_weights(self) -> list[Tensor]:
        return [param.reshape(-1) for param in self.params]

    def flat_gradients(self) -> list[Tensor]:
        return [_flat_gradient(param) for param in self.params]

    def keep(self, line: Sequence[Tensor], follows: bool) -> None:
        """If this `follows` the last call, the weights kept then give the update before."""
        if self.previous is None:
            torch.cat(line, out=self.weights)
            return
        torch.cat(line, out=self.previous)
        if follows:
            torch.sub(self.previous, self.weights, out=self.weights)
        self.weights, self.previous = self.previous, self.weights

    def check_shapes(self) -> None:
        for param, shape in zip(self.params, self._shapes):
            if param.shape != shape:
                raise RuntimeError(f"a parameter of shape {tuple(shape)} is now "
                                   f"{tuple(param.shape)}")


class Exact:
    """Small layers of one device: ten rows of float64, and one sum of nine of them a layer.

    0 previous update   1 weights   2 update   3 gradient
    4-6 gradient times rows 0-2     7-9 squares of rows 1-3
    """

    def __init__(self, layers: Sequence[Sequence[Tensor]], with_previous: bool) -> None:
        counts = [count(layer) for layer in layers]
        self._kept = Kept(layers, sum(counts), torch.float64, with_previous)
        self._table = self._kept.weights.new_zeros(10, sum(counts))
        self._layers = self._table[1:].split(counts, 1)
        self._weights = self._table[1].split(counts)
        self._counts = self._table.new_tensor(counts)

    @torch.no_grad()
    def before(self, follows: bool) -> None:
        self._kept.check_shapes()
        self._kept.keep(self._kept.flat_weights(), follows)

    @torch.no_grad()
    def after(self) -> Tensor:
        """A row for each of KEYS, a column a layer; gradients as the optimizer leaves them."""
        table, kept = self._table, self._kept
        if kept.previous is not None:
            table[0] = kept.previous
        table[1] = kept.weights
        torch.cat(kept.flat_weights(), out=table[2])
        table[2] -= kept.weights
        torch.cat(kept.flat_gradients(), out=table[3])
        torch.mul(table[0:3], table[3], out=table[4:7])
        torch.mul(table[1:4], table[1:4], out=table[7:10])
        sums = torch.stack([layer.sum(1) for layer in self._layers], 1)
        low, high = torch.stack([torch.stack(weights.aminmax()) for weights in self._weights], 1)
        first, dots, squares = sums.view(3, 3, -1)
        return results(first, squares, dots, self._counts, low, high)


def results(first: Tensor, squares: Tensor, dots: Tensor, counts: Tensor, low: Tensor,
            high: Tensor) -> Tensor:
    """first, squares: of weights, updates, gradients (3, layers); low, high: (layers)."""
    mean = first / counts
    var = (squares / counts - mean * mean).clamp_(min=0)
    var[0].masked_fill_(low == high, 0)  # equal weights: exactly none, not a rounding error
    return torch.cat((mean, var, dots, low[None], high[None]))


def count(layer: Sequence[Tensor]) -> int:
    return sum(param.numel() for param in layer)


def grouped(layers: Sequence[Sequence[Tensor]],
            with_previous: bool) -> Iterator[tuple[list[int], Union[Exact, Rows]]]:
    """The layers that are measured at once: those of one device that are small, or large."""
    from ._rows import Rows

    devices = [layer[0].device for layer in layers]
    for device in dict.fromkeys(devices):
        here = [index for index, its in enumerate(devices) if its == device]
        total = sum(count(layers[index]) for index in here)
        small = [index for index in here
                 if total <= EXACT_TOTAL or count(layers[index]) <= EXACT_LAYER]
        large = [index for index in here if index not in small]
        if small:
            yield small, Exact([layers[index] for index in small], with_previous)
        if large:
            yield large, Rows([layers[index] for index in large], with_previous)


def _flat_gradient(param: Tensor) -> Tensor:
    gradient = param.grad
    if gradient is None:
        return torch.zeros(1, dtype=param.dtype, device=param.device).expand(param.numel())
    return (gradient if gradient.layout == torch.strided else gradient.to_dense()).reshape(-1)
