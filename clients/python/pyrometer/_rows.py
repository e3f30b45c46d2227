"""The moments of large layers: sums of rows in their own precision, sums of those in float64.

The parameters are laid end to end, each layer filled up with zeros to whole rows of ROW elements,
and walked in chunks, so that beside the copy of the weights memory stays bounded. In float32 a
sum is off by some 1e-7 of the root of its terms' squares; squares beyond 1e38 are infinite and
below 1e-38 nothing.

On a CPU sum, amin, and vector_norm of float32 over rows read memory at its speed; var_mean, dot,
bmm, aminmax, and vector_norm of float64 are ten to fifty times slower.
"""
from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Optional

import torch
from torch import Tensor

from ._moments import SUMS, count, flat_gradients, flat_weights

ROW = 1024
ROWS_ON_CPU = 256  # a chunk's blocks fit a cache
ROWS_ON_DEVICE = 1 << 13  # few launches

Piece = tuple[int, int, int]  # parameter, start, stop; parameter -1: zeros


class Rows:
    """Layers of one device."""

    def __init__(self, layers: Sequence[Sequence[Tensor]], with_previous: bool) -> None:
        device = layers[0][0].device
        dtype = torch.float32
        for layer in layers:
            for param in layer:
                dtype = torch.promote_types(dtype, param.dtype)
        counts = [count(layer) for layer in layers]
        rows = torch.tensor([-(-one // ROW) for one in counts])
        total = int(rows.sum())
        self._params = [param for layer in layers for param in layer]
        self._shapes = [param.shape for param in self._params]
        self._weights = torch.zeros(total * ROW, device=device, dtype=dtype)
        self._previous: Optional[Tensor] = (
            torch.zeros_like(self._weights) if with_previous else None)
        new = self._weights.new_zeros
        most = min(total, ROWS_ON_CPU if device.type == "cpu" else ROWS_ON_DEVICE)
        self._zeros = new(ROW)
        self._blocks = new(2, most, ROW)
        self._product = new(most, ROW)
        self._sums = torch.zeros(SUMS - 2, total, device=device, dtype=torch.float64)
        self._extremes = new(2, total)
        self._owners = torch.repeat_interleave(rows).to(device)
        self._line = list(_line(layers))
        self._chunks = list(_cut(self._line, most * ROW))
        self._ends = (rows.cumsum(0) - 1).to(device)  # the layers' last rows
        self._filling = (torch.arange(ROW)[None, :] > torch.tensor(
            [(one - 1) % ROW for one in counts])[:, None]).to(device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch 1.13 says once that scatter_reduce is new
            self._by_layer(self._extremes, "amin")

    @torch.no_grad()
    def before(self, follows: bool, is_sent: bool = True) -> None:
        """Keeps the weights. If it `follows` the last call, those kept give the update before."""
        for param, shape in zip(self._params, self._shapes):
            if param.shape != shape:
                raise RuntimeError(f"a parameter of shape {tuple(shape)} is now "
                                   f"{tuple(param.shape)}")
        line = self._pieces(flat_weights(self._params), self._line)
        if self._previous is None:
            torch.cat(line, out=self._weights)
            return
        torch.cat(line, out=self._previous)
        if follows:
            torch.sub(self._previous, self._weights, out=self._weights)
        self._weights, self._previous = self._previous, self._weights

    @torch.no_grad()
    def after(self) -> Tensor:
        """SUMS for each layer; gradients are taken as the optimizer leaves them."""
        weights, gradients = flat_weights(self._params), flat_gradients(self._params)
        kept = self._weights.view(-1, ROW)
        row = 0
        for pieces, rows in self._chunks:
            update, gradient = blocks = self._blocks[:, :rows]
            torch.cat(self._pieces(weights, pieces), out=update.view(-1))
            update -= kept[row:row + rows]
            torch.cat(self._pieces(gradients, pieces), out=gradient.view(-1))
            self._measure(slice(row, row + rows), kept[row:row + rows], blocks)
            row += rows
        return self._results(kept)

    def _measure(self, rows: slice, weights: Tensor, blocks: Tensor) -> None:
        sums = self._sums[:, rows]
        gradient = blocks[1]
        sums[0] = weights.sum(1)
        sums[1:3] = blocks.sum(2)
        sums[6] = torch.linalg.vector_norm(weights, dim=1)
        sums[7:9] = torch.linalg.vector_norm(blocks, dim=2)
        product = self._product[:len(gradient)]
        if self._previous is not None:
            previous = self._previous.view(-1, ROW)[rows]
            sums[3] = torch.mul(previous, gradient, out=product).sum(1)
        sums[4] = torch.mul(weights, gradient, out=product).sum(1)
        sums[5] = torch.mul(blocks[0], gradient, out=product).sum(1)
        torch.amin(weights, 1, out=self._extremes[0, rows])
        torch.amax(weights, 1, out=self._extremes[1, rows])

    def _results(self, kept: Tensor) -> Tensor:
        self._sums[6:9].square_()
        ends = kept[self._ends]
        self._extremes[0, self._ends] = ends.masked_fill(self._filling, float("inf")).amin(1)
        self._extremes[1, self._ends] = ends.masked_fill(self._filling, float("-inf")).amax(1)
        return torch.cat((self._by_layer(self._sums, "sum"),
                          self._by_layer(self._extremes[:1], "amin"),
                          self._by_layer(self._extremes[1:], "amax"))).t()

    def _by_layer(self, rows: Tensor, reduce: str) -> Tensor:
        """The sum, least or greatest of each layer's rows."""
        empty = rows.new_zeros(len(rows), len(self._ends))
        return empty.scatter_reduce(1, self._owners.expand(len(rows), -1), rows, reduce=reduce,
                                    include_self=False).double()

    def _pieces(self, flat: Sequence[Tensor], pieces: Sequence[Piece]) -> list[Tensor]:
        return [self._zeros[:stop] if param < 0 else
                flat[param] if stop - start == len(flat[param]) else flat[param][start:stop]
                for param, start, stop in pieces]


def _line(layers: Sequence[Sequence[Tensor]]) -> Iterator[Piece]:
    number = 0
    for layer in layers:
        for param in layer:
            yield number, 0, param.numel()
            number += 1
        if count(layer) % ROW:
            yield -1, 0, -count(layer) % ROW


def _cut(line: Sequence[Piece], width: int) -> Iterator[tuple[list[Piece], int]]:
    """The line in chunks of at most `width` elements: the pieces of each and its rows."""
    pieces: list[Piece] = []
    room = width
    for param, begin, end in line:
        while begin < end:
            stop = min(end, begin + room)
            pieces.append((param, begin if param >= 0 else 0,
                           stop if param >= 0 else stop - begin))
            room -= stop - begin
            begin = stop
            if room == 0:
                yield pieces, width // ROW
                pieces, room = [], width
    if pieces:
        yield pieces, (width - room) // ROW
