"""The moments of large layers: sums of rows in their own precision, sums of those in float64.

The parameters are cut into rows of ROW elements, and these walked in chunks, so that beside the copy
of the weights memory stays bounded. On a CPU a parameter that fills chunks by itself is read where it
lies; the rest of each layer is laid end to end and filled up with zeros to whole rows. In float32 a
sum is off by some 1e-7 of the root of its terms' squares; squares beyond 1e38 are infinite and below
1e-38 nothing.

On a CPU sum, amin, and vector_norm of float32 over rows read memory at its speed; var_mean, dot,
bmm, aminmax, and vector_norm of float64 are ten to fifty times slower. A call by itself costs as
much as it takes to sum 50 rows.
"""
from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Optional, Union

import torch
from torch import Tensor

from ._moments import SUMS, check_dtypes, flat_gradients

ROW = 1024
ROWS_ON_CPU = 64  # a chunk's weights, update, gradient and products fit a cache
ROWS_ALONE = 32  # of a parameter on a CPU: enough to be read where it lies
ROWS_ON_DEVICE = 1 << 13  # few launches

Piece = tuple[int, int, int]  # parameter, start, stop; parameter -1: zeros
Chunk = tuple[list[Piece], int]  # and the number of its rows


class Rows:
    """Layers of one device."""

    may_lack_gradients = True

    def __init__(self, layers: Sequence[Sequence[Tensor]], with_previous: bool) -> None:
        device = layers[0][0].device
        dtype = torch.float32
        for layer in layers:
            for param in layer:
                dtype = torch.promote_types(dtype, param.dtype)
        self._params = [param for layer in layers for param in layer]
        self._shapes = [param.shape for param in self._params]
        on_cpu = device.type == "cpu"
        most = ROWS_ON_CPU if on_cpu else ROWS_ON_DEVICE
        plan = Plan(layers, most, ROWS_ALONE if on_cpu else None)
        sizes = [rows for _, rows in plan.chunks]
        new = torch.zeros(0, device=device, dtype=dtype).new_zeros
        self._zeros = new(ROW)
        self._weights = Line(new(sum(sizes), ROW), sizes)
        self._previous = Line(new(sum(sizes), ROW), sizes) if with_previous else None
        self._sums = new(SUMS, sum(sizes))  # the last two: the least and the greatest weight
        self._results = [part.unbind() for part in torch.split(self._sums, sizes, 1)]
        room = new(3, max(sizes), ROW)  # for an update, a gradient and a product
        self._rooms = [room[:, :rows].unbind() for rows in sizes]
        self._pieces = [pieces for pieces, _ in plan.chunks]
        self._whole = [_whole(pieces, self._params) for pieces in self._pieces]
        self._owners = plan.owners.to(device)
        self._empty = new(SUMS, len(layers), dtype=torch.float64)
        self._unknown = torch.full_like(self._empty[9:], float("nan"))
        self._ends, self._filling = plan.ends.to(device), plan.filling.to(device)
        # Where the parameters' memory is, as long as it stays there.
        self._can_stay = device.type in ("cpu", "cuda")
        self.with_extremes = True  # without them theirs are NaN
        self._pointers: list[int] = []
        self._found: list[list[Tensor]] = []
        self._lying: list[Optional[Tensor]] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch 1.13 says once that scatter_reduce is new
            self._by_layer(self._sums.double(), slice(9, 10), "amin")

    @torch.no_grad()
    def before(self, follows: bool, is_sent: bool = True) -> None:
        """Keeps the weights. If it `follows` the last call, those kept give the update before."""
        line = [piece for pieces in self._find_weights() for piece in pieces]
        if self._previous is None:
            torch.cat(line, out=self._weights.flat)
            return
        torch.cat(line, out=self._previous.flat)
        if follows:
            torch.sub(self._previous.flat, self._weights.flat, out=self._weights.flat)
        self._weights, self._previous = self._previous, self._weights

    @torch.no_grad()
    def after(self) -> Tensor:
        """SUMS for each layer; gradients are taken as the optimizer leaves them."""
        gradients = Flat(self._params)
        # A product goes where its factor was if that is needed no more, and soon: less memory to walk.
        keeps_weights = self._previous is not None or self.with_extremes
        for at, pieces in enumerate(self._find_weights()):
            weights, (update, gradient, product) = self._weights.chunks[at], self._rooms[at]
            now = self._lying[at]
            torch.sub(_lay(pieces, update) if now is None else now, weights, out=update)
            gradient = self._lay_gradient(at, gradients, gradient)
            sums = self._results[at]
            _sum(weights, sums[0], sums[6])
            if self.with_extremes:
                torch.amin(weights, 1, out=sums[9])
                torch.amax(weights, 1, out=sums[10])
            _sum(gradient, sums[2], sums[8])
            out = product if keeps_weights else weights
            torch.sum(torch.mul(weights, gradient, out=out), 1, out=sums[4])
            _sum(update, sums[1], sums[7])
            torch.sum(torch.mul(update, gradient, out=update), 1, out=sums[5])
            if self._previous is not None:
                before = self._previous.chunks[at]
                torch.sum(torch.mul(before, gradient, out=before), 1, out=sums[3])
        return self._total()

    def _total(self) -> Tensor:
        sums = self._sums[:9].double()
        sums[6:9].square_()
        extremes = self._total_extremes() if self.with_extremes else (self._unknown,)
        return torch.cat((self._by_layer(sums, slice(9), "sum"), *extremes)).t()

    def _total_extremes(self) -> tuple[Tensor, Tensor]:
        ends = self._weights.rows[self._ends]
        ends = torch.where(self._filling, ends[:, :1], ends)  # zeros are no weights
        self._sums[9, self._ends], self._sums[10, self._ends] = ends.amin(1), ends.amax(1)
        sums = self._sums.double()
        return (self._by_layer(sums, slice(9, 10), "amin"),
                self._by_layer(sums, slice(10, 11), "amax"))

    def _by_layer(self, sums: Tensor, which: slice, reduce: str) -> Tensor:
        """The sum, least or greatest of each layer's rows."""
        rows = sums[which]
        return self._empty[which].scatter_reduce(1, self._owners.expand(len(rows), -1), rows,
                                                 reduce=reduce, include_self=False)

    def _find_weights(self) -> list[list[Tensor]]:
        """Each chunk's pieces of the parameters."""
        pointers = [param.data_ptr() for param in self._params] if self._can_stay else []
        if self._pointers and pointers == self._pointers:
            return self._found
        for param, shape in zip(self._params, self._shapes):
            if param.shape != shape:
                raise RuntimeError(f"a parameter of shape {tuple(shape)} is now "
                                   f"{tuple(param.shape)}")
        check_dtypes(self._params, self._zeros.dtype)
        flat = [param.detach().reshape(-1) for param in self._params]
        self._found = [self._cut(flat, pieces) for pieces in self._pieces]
        self._lying = [_lying(pieces, rows) for pieces, (rows, *_) in zip(self._found, self._rooms)]
        # The others have been copied.
        self._pointers = pointers if all(param.is_contiguous() for param in self._params) else []
        return self._found

    def _lay_gradient(self, at: int, gradients: Flat, room: Tensor) -> Tensor:
        whole = self._whole[at]
        gradient = None if whole is None else whole.grad
        # As nearly all are: seen at the price of one call of torch.
        if (gradient is not None and gradient.dtype == room.dtype
                and gradient.layout == torch.strided and gradient.is_contiguous()):
            return gradient.view(room.shape)
        return _lay(self._cut(gradients, self._pieces[at]), room)

    def _cut(self, flat: Union[Sequence[Tensor], Flat], pieces: Sequence[Piece]) -> list[Tensor]:
        return [self._zeros[:stop] if param < 0 else
                flat[param] if stop - start == len(flat[param]) else flat[param][start:stop]
                for param, start, stop in pieces]


class Flat(dict[int, Tensor]):
    """The gradients end to end, each made when it is first asked for."""

    def __init__(self, params: Sequence[Tensor]) -> None:
        self._params = params

    def __missing__(self, at: int) -> Tensor:
        self[at], = flat_gradients(self._params[at:at + 1])
        return self[at]


class Line:
    """All parameters: as rows, end to end, and each chunk's."""

    def __init__(self, rows: Tensor, sizes: list[int]) -> None:
        self.rows, self.flat, self.chunks = rows, rows.view(-1), torch.split(rows, sizes)


class Plan:
    """Which elements are in which row."""

    def __init__(self, layers: Sequence[Sequence[Tensor]], most: int,
                 alone: Optional[int]) -> None:
        """Chunks have at most so many rows. Parameters of at least `alone` have their own."""
        self.chunks: list[Chunk] = []
        owners: list[int] = []  # each row's layer
        rest: list[Piece] = []
        ends: list[tuple[int, int]] = []  # rows among the rest that are filled up, from where
        rest_owners: list[int] = []
        number = 0
        for index, layer in enumerate(layers):
            left = 0
            for param in layer:
                rows = param.numel() // ROW
                begin = rows * ROW if alone is not None and rows >= alone else 0
                owners += [index] * (begin // ROW)
                self.chunks += _chunks([(number, 0, begin)], most)
                if begin < param.numel():
                    rest.append((number, begin, param.numel()))
                    left += param.numel() - begin
                number += 1
            rest_owners += [index] * -(-left // ROW)
            if left % ROW:
                rest.append((-1, 0, -left % ROW))
                ends.append((len(rest_owners) - 1, left % ROW))
        self.chunks += _chunks(rest, most)
        self.owners = torch.tensor(owners + rest_owners)
        self.ends = torch.tensor([len(owners) + row for row, _ in ends], dtype=torch.long)
        used = torch.tensor([used for _, used in ends], dtype=torch.long)
        self.filling = torch.arange(ROW)[None, :] >= used[:, None]


def _chunks(line: Sequence[Piece], most: int) -> Iterator[Chunk]:
    pieces: list[Piece] = []
    room = most * ROW
    for param, begin, end in line:
        while begin < end:
            stop = min(end, begin + room)
            pieces.append((param, begin if param >= 0 else 0,
                           stop if param >= 0 else stop - begin))
            room -= stop - begin
            begin = stop
            if room == 0:
                yield pieces, most
                pieces, room = [], most * ROW
    if pieces:
        yield pieces, most - room // ROW


def _sum(rows: Tensor, total: Tensor, norm: Tensor) -> None:
    torch.sum(rows, 1, out=total)
    torch.linalg.vector_norm(rows, dim=1, out=norm)


def _whole(pieces: list[Piece], params: Sequence[Tensor]) -> Optional[Tensor]:
    """The parameter that a chunk is."""
    (at, start, stop), *others = pieces
    return params[at] if not others and at >= 0 and stop - start == params[at].numel() else None


def _lying(pieces: list[Tensor], room: Tensor) -> Optional[Tensor]:
    """The rows of a chunk where they lie, if they do."""
    if len(pieces) == 1 and pieces[0].dtype == room.dtype:
        return pieces[0].view(room.shape)
    return None


def _lay(pieces: list[Tensor], room: Tensor) -> Tensor:
    """The rows of a chunk: where they lie, if they do, else end to end in `room`."""
    lying = _lying(pieces, room)
    if lying is not None:
        return lying
    torch.cat(pieces, out=room.view(-1))
    return room
