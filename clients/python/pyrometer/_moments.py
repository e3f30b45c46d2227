"""Per-layer moments of weights, gradients and updates, on the device that holds them.

The parameters of the watched layers are laid end to end. `before` copies the weights; `after`
walks the line in chunks, so that memory stays bounded, and fills ten rows of float64:

    0 previous update   1 weights   2 update   3 gradient
    4-6 gradient times rows 0-2     7-9 squares of rows 1-3

One sum over rows 1 to 9 for each layer is then all the moments and inner products at once.
Float64 throughout: entropy needs small changes of w_var, and E[x^2] - E[x]^2 would lose them in
float32. (torch.var_mean is some forty times slower than sums on a CPU, and per-tensor calls cost
more than the arithmetic on small models.)
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor

KEYS = ("w_mean", "u_mean", "g_mean", "w_var", "u_var", "g_var", "gu_prev", "gw", "gu",
        "w_min", "w_max")
NEEDS_GRADIENT = ("g_mean", "g_var", "gw", "gu", "gu_prev")
CHUNK_ON_CPU = 1 << 16  # ten rows fit a cache
CHUNK_ON_DEVICE = 1 << 20  # few launches

Piece = tuple[int, int, int]  # item, start, stop


class Moments:
    """The layers that live on one device."""

    def __init__(self, layers: Sequence[Sequence[Tensor]], device: torch.device,
                 chunk: Optional[int] = None) -> None:
        self._params = [param for layer in layers for param in layer]
        self._shapes = [param.shape for param in self._params]
        counts = [sum(param.numel() for param in layer) for layer in layers]
        chunk = chunk or (CHUNK_ON_CPU if device.type == "cpu" else CHUNK_ON_DEVICE)
        width = min(chunk, sum(counts))
        dtype = torch.float32
        for param in self._params:
            dtype = torch.promote_types(dtype, param.dtype)
        on_device = {"device": device, "dtype": torch.float64}
        self._weights = torch.zeros(sum(counts), device=device, dtype=dtype)
        self._previous = torch.zeros_like(self._weights)
        self._rows = torch.zeros(10, width, **on_device)
        self._counts = torch.tensor(counts, **on_device)
        self._pieces = _cut([param.numel() for param in self._params], width)
        self._plan_segments(_cut(counts, width), len(counts))

    def _plan_segments(self, chunks: list[list[Piece]], layer_count: int) -> None:
        """A segment is a layer's part of a chunk: views of the rows and of the results."""
        total = sum(map(len, chunks))
        self._sums = self._rows.new_zeros(total, 9)
        self._low = self._rows.new_zeros(total)
        self._high = self._rows.new_zeros(total)
        self._segments: list[list[tuple[Tensor, ...]]] = []
        self._owners: list[list[int]] = [[] for _ in range(layer_count)]
        number = 0
        for pieces in chunks:
            views, at = [], 0
            for layer, start, stop in pieces:
                end = at + stop - start
                views.append((self._rows[1:, at:end], self._rows[1, at:end], self._sums[number],
                              self._low[number], self._high[number]))
                self._owners[layer].append(number)
                number, at = number + 1, end
            self._segments.append(views)

    @torch.no_grad()
    def before(self, follows: bool) -> None:
        """Keeps the weights. If it `follows` the last call, those kept give the last update."""
        flat = []
        for param, shape in zip(self._params, self._shapes):
            if param.shape != shape:
                raise RuntimeError(f"a parameter of shape {tuple(shape)} is now "
                                   f"{tuple(param.shape)}")
            flat.append(param.reshape(-1))
        torch.cat(flat, out=self._previous)
        if follows:
            torch.sub(self._previous, self._weights, out=self._weights)
        self._weights, self._previous = self._previous, self._weights

    @torch.no_grad()
    def after(self) -> Tensor:
        """A row for each of KEYS, a column a layer; gradients as the optimizer leaves them."""
        gradients = [_flat_gradient(param) for param in self._params]
        weights = [param.reshape(-1) for param in self._params]
        start = 0
        for pieces, segments in zip(self._pieces, self._segments):
            size = sum(stop - begin for _, begin, stop in pieces)
            rows = self._rows[:, :size]
            rows[0].copy_(self._previous[start:start + size])
            rows[1].copy_(self._weights[start:start + size])
            rows[2].copy_(_joined(weights, pieces)).sub_(rows[1])
            rows[3].copy_(_joined(gradients, pieces))
            torch.mul(rows[0:3], rows[3], out=rows[4:7])
            torch.mul(rows[1:4], rows[1:4], out=rows[7:10])
            for columns, weight_row, sums, low, high in segments:
                torch.sum(columns, 1, out=sums)
                torch.aminmax(weight_row, out=(low, high))
            start += size
        return self._results()

    def _results(self) -> Tensor:
        sums, low, high = self._sums, self._low, self._high
        if len(sums) > len(self._owners):
            sums = torch.stack([sums[o[0]:o[-1] + 1].sum(0) for o in self._owners])
            low = torch.stack([low[o[0]:o[-1] + 1].amin() for o in self._owners])
            high = torch.stack([high[o[0]:o[-1] + 1].amax() for o in self._owners])
        first, dots, squares = sums.t().reshape(3, 3, -1)
        mean = first / self._counts
        var = (squares / self._counts - mean * mean).clamp_(min=0)
        var[0].masked_fill_(low == high, 0)  # equal weights: exactly none, not a rounding error
        return torch.cat((mean, var, dots, low[None], high[None]))


def _cut(lengths: Sequence[int], width: int) -> list[list[Piece]]:
    """Items laid end to end, cut every `width` elements."""
    chunks: list[list[Piece]] = []
    room = 0
    for item, length in enumerate(lengths):
        start = 0
        while start < length:
            if room == 0:
                chunks.append([])
                room = width
            stop = min(length, start + room)
            chunks[-1].append((item, start, stop))
            room -= stop - start
            start = stop
    return chunks


def _joined(flat: Sequence[Tensor], pieces: Sequence[Piece]) -> Tensor:
    return torch.cat([flat[item] if stop - start == len(flat[item]) else flat[item][start:stop]
                      for item, start, stop in pieces])


def _flat_gradient(param: Tensor) -> Tensor:
    gradient = param.grad
    if gradient is None:
        return torch.zeros(1, dtype=param.dtype, device=param.device).expand(param.numel())
    return (gradient if gradient.layout == torch.strided else gradient.to_dense()).reshape(-1)
