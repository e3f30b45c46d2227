"""Per-layer moments of weights, gradients and updates, on the device that holds them.

`before` keeps the weights, `after` sums; nothing waits for the device. float32 on a CPU is walked by C
(_fused.py). Elsewhere small layers are summed in float64 throughout (here, or where they are all and
on a CPU with NumPy, in _batch.py), large ones row by row in their own precision (_rows.py), and what
follows from the sums is left to the sender's thread.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Optional, Union

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ._batch import Batch
    from ._fused import Fused
    from ._rows import Rows

    Group = Union[Fused, Batch, "Exact", Rows]

# A layer's sums, in this order: of weights, updates and gradients; of the gradient times the update
# before, the weights and the update; of squares; and the least and the greatest weight.
SUMS = 11
EXTREMES = ("w_min", "w_max")
KEYS = ("w_mean", "u_mean", "g_mean", "w_var", "u_var", "g_var", "gu_prev", "gw", "gu", *EXTREMES)
NEEDS_GRADIENT = ("g_mean", "g_var", "gw", "gu", "gu_prev")
EXACT_LAYER = 1 << 13  # float64 costs a layer of so few parameters nothing
EXACT_TOTAL = 1 << 16
BATCH_TOTAL = 1 << 16  # copies of so many parameters may wait


class Exact:
    """Small layers of one device: rows of float64, and for each layer one sum over nine of them.

    0 update before   1 weights   2 update   3 gradient
    4-6 gradient times rows 0-2   7-9 squares of rows 1-3
    """

    may_lack_gradients = True  # of some parameter, in the last step: whoever wants to know looks

    def __init__(self, layers: Sequence[Sequence[Tensor]], with_previous: bool) -> None:
        counts = [count(layer) for layer in layers]
        self._params = [param for layer in layers for param in layer]
        self._first = 0 if with_previous else 1
        table = torch.zeros(10, sum(counts), device=self._params[0].device, dtype=torch.float64)
        self._table = table
        self._sums = table.new_zeros(len(counts), SUMS)
        self._layers = list(zip(torch.split(table[1:], counts, 1), torch.split(table[1], counts),
                                self._sums[:, :9].unbind(), self._sums[:, 9].unbind(),
                                self._sums[:, 10].unbind()))

    @torch.no_grad()
    def before(self, follows: bool, is_sent: bool = True) -> None:
        """Keeps the weights. If it `follows` the last call, those kept give the update before."""
        weights = _end_to_end(flat_weights(self._params))
        check_size(weights, len(self._table[1]))
        if follows and self._first == 0:
            torch.sub(weights, self._table[1], out=self._table[0])
        self._table[1].copy_(weights)

    @torch.no_grad()
    def after(self) -> Tensor:
        """SUMS for each layer; gradients are taken as the optimizer leaves them."""
        table, first = self._table, self._first
        torch.sub(_end_to_end(flat_weights(self._params)), table[1], out=table[2])
        table[3].copy_(_end_to_end(flat_gradients(self._params)))
        torch.mul(table[first:3], table[3], out=table[4 + first:7])
        torch.mul(table[1:4], table[1:4], out=table[7:10])
        for columns, weights, sums, low, high in self._layers:
            torch.sum(columns, 1, out=sums)
            torch.aminmax(weights, out=(low, high))
        return self._sums


def statistics(sums: Sequence[float], number: int) -> list[float]:
    """For each of KEYS, of one layer's SUMS and its number of parameters."""
    means = [total / number for total in sums[:3]]
    variances = [square / number - mean * mean for square, mean in zip(sums[6:9], means)]
    variances = [0.0 if variance < 0 else variance for variance in variances]
    if sums[9] == sums[10]:
        variances[0] = 0.0  # equal weights: exactly none, not a rounding error
    return [*means, *variances, *sums[3:6], *sums[9:]]


def count(layer: Sequence[Tensor]) -> int:
    return sum(param.numel() for param in layer)


def grouped(layers: Sequence[Sequence[Tensor]],
            with_previous: bool) -> Iterator[tuple[list[int], Group]]:
    """The layers that are measured at once: those that C can walk, and of each other device those
    that are small, or large."""
    from ._fused import Fused, can_measure
    from ._rows import Rows

    fused = [index for index, layer in enumerate(layers) if can_measure(layer)]
    if fused:
        yield fused, Fused([layers[index] for index in fused], with_previous)
    others = [index for index in range(len(layers)) if index not in fused]
    for device in dict.fromkeys(layers[index][0].device for index in others):
        here = [index for index in others if layers[index][0].device == device]
        total = sum(count(layers[index]) for index in here)
        small = [index for index in here
                 if total <= EXACT_TOTAL or count(layers[index]) <= EXACT_LAYER]
        large = [index for index in here if index not in small]
        if small:
            yield small, _small([layers[index] for index in small], with_previous)
        if large:
            yield large, Rows([layers[index] for index in large], with_previous)


def _small(layers: Sequence[Sequence[Tensor]], with_previous: bool) -> Union[Batch, Exact]:
    if layers[0][0].device.type == "cpu" and sum(map(count, layers)) <= BATCH_TOTAL:
        try:
            torch.zeros(1).numpy()  # a torch that was built for another NumPy raises here
            from ._batch import Batch

            return Batch(layers, with_previous)
        except (ImportError, RuntimeError):
            pass  # no NumPy
    return Exact(layers, with_previous)


def check_size(weights: Tensor, size: int) -> None:
    if len(weights) != size:
        raise RuntimeError(f"the watched layers had {size} parameters and have {len(weights)}")


def check_dtypes(params: Sequence[Tensor], kept: torch.dtype) -> None:
    """An update of more digits than the weights are kept with would be lost in their rounding."""
    for param in params:
        if torch.promote_types(param.dtype, kept) != kept:
            raise RuntimeError(f"a parameter is now of {param.dtype}, the copies of it of {kept}")


def flat_weights(params: Sequence[Tensor]) -> list[Tensor]:
    return [param.reshape(-1) for param in params]


def flat_gradients(params: Sequence[Tensor]) -> list[Tensor]:
    return [_flat_gradient(param) for param in params]


def _flat_gradient(param: Tensor) -> Tensor:
    gradient = param.grad
    if gradient is None:
        return torch.zeros(1, dtype=param.dtype, device=param.device).expand(param.numel())
    return (gradient if gradient.layout == torch.strided else gradient.to_dense()).reshape(-1)


def _end_to_end(flat: list[Tensor]) -> Tensor:
    """In their own precision: torch.cat to another one is slow."""
    return torch.cat(flat)
