"""A step as a binary frame, for daemons whose welcome says that they read them (docs/protocol.md).

Statistics go out as float32, but for w_var, whose small changes matter, and for columns with a
value that float32 would lose (too large, or too small for all its digits): those are float64, as
are time, loss and lr. What a frame has no field for goes beside it: scalars in a line before it.
A step with val_loss, loss_after or a statistic of the job's own goes as a line.
"""
from __future__ import annotations

import functools
import json
import math
import struct
from collections.abc import Sequence
from typing import Any, Optional

from ._text import encode

VERSION = 1
MAGIC = 0xA7
FLOAT64 = 0x80
NAMES = ("w_mean", "w_var", "w_min", "w_max", "g_mean", "g_var", "u_mean", "u_var", "gw", "gu",
         "z_mean", "z_var", "a_mean", "a_var", "a_active", "a_saturated", "g_noise", "w_alpha",
         "gu_prev")
IDS = {name: number for number, name in enumerate(NAMES, 1)}
BESIDE = frozenset(("type", "step", "time", "loss", "lr", "batch_size", "stats", "scalars"))
WIDE = frozenset(("w_var",))  # its small changes matter
MISSING32 = struct.pack("<I", 0x7FC0A0A7)
MISSING64 = struct.pack("<Q", 0x7FF80000A0A70000)
NAN32 = struct.pack("<I", 0x7FC00000)
FLOAT32_MIN, FLOAT32_MAX = 2.0 ** -126, (2 - 2.0 ** -23) * 2.0 ** 127
HEAD = struct.Struct("<BBHIqdddIHH")  # time, loss, lr; batch size, columns
AFTER_HEADER = HEAD.size - 16
MISSING: float = struct.unpack("<d", MISSING64)[0]  # struct keeps a NaN's bits


class Table:
    """A step's statistics end to end, for each of `keys` as many; float32 keeps all but WIDE."""

    __slots__ = ("keys", "values")

    def __init__(self, keys: tuple[str, ...], values: list[float]) -> None:
        self.keys = keys
        self.values = values

    def tolist(self) -> dict[str, list[float]]:
        """As a line has them."""
        size = len(self.values) // len(self.keys)
        return {key: self.values[at * size:(at + 1) * size] for at, key in enumerate(self.keys)}

    def pack(self) -> bytes:
        packer, ids = _packer(self.keys, len(self.values) // len(self.keys))
        return packer.pack(*ids, *self.values)


def encode_step(message: dict[str, Any]) -> Optional[bytes]:
    """The step message as a frame, behind a line with its scalars where it has some; None where
    only a line can say it."""
    stats = message.get("stats") or {}
    batch_size = message.get("batch_size") or 0
    if not (message.keys() <= BESIDE and isinstance(batch_size, int) and 0 <= batch_size < 1 << 32):
        return None
    if isinstance(stats, Table):
        count, columns = len(stats.keys), stats.pack()
    elif stats.keys() <= IDS.keys():
        measured = {key: values for key, values in stats.items() if values is not None}
        count, columns = len(measured), _plain_columns(measured) or _columns_by_value(measured)
    else:
        return None
    frame = HEAD.pack(MAGIC, VERSION, 0, AFTER_HEADER + len(columns), message["step"],
                      message.get("time") or 0, _known(message.get("loss")),
                      _known(message.get("lr")), batch_size, count, 0) + columns
    if message.get("scalars"):
        frame = encode({"type": "scalars", "step": message["step"],
                        "scalars": message["scalars"]}) + frame
    return frame


def decode_step(data: bytes, layers: int) -> dict[str, Any]:
    """The message that encode_step() made `data` of, for a daemon that wants lines after all."""
    message: dict[str, Any] = {"type": "step"}
    if data[0] != MAGIC:
        line, data = data.split(b"\n", 1)
        message["scalars"] = json.loads(line)["scalars"]
    _, _, _, _, message["step"], message["time"], _, _, batch_size, count, _ = HEAD.unpack_from(data)
    for key, at in (("loss", 24), ("lr", 32)):
        message[key] = _value(data[at:at + 8])
    if batch_size:
        message["batch_size"] = batch_size
    if count:
        message["stats"] = _columns(data[48:], count, layers)
    return message


def _columns(data: bytes, count: int, layers: int) -> dict[str, Any]:
    ids, data = data[:count], data[_up(count):]
    widths = [8 if code & FLOAT64 else 4 for code in ids]
    stats = {}
    for code, width in zip(ids, widths):
        stats[NAMES[(code & ~FLOAT64) - 1]] = [_value(data[i * width:(i + 1) * width])
                                               for i in range(layers)]
        data = data[_up(layers * width):]
    return stats


def _value(data: bytes) -> Optional[float]:
    if data in (MISSING32, MISSING64):
        return None
    value, = struct.unpack("<d" if len(data) == 8 else "<f", data)
    return float(value)


def _up(n: int) -> int:
    return n + -n % 8


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def _known(value: Optional[float]) -> float:
    return MISSING if value is None else value


def _double(value: Optional[float]) -> bytes:
    return struct.pack("<d", _known(value))


def _plain_columns(columns: dict[str, Sequence[Any]]) -> Optional[bytes]:
    """The usual case, packed at once: lists of numbers that float32 keeps. None: it is not that."""
    flat: list[float] = []
    try:
        for values in columns.values():
            flat += values
        if not _float32_keeps(flat):
            return None
        return Table(tuple(columns), flat).pack()
    except (TypeError, ValueError, struct.error, OverflowError, ZeroDivisionError):
        return None


@functools.lru_cache(8)
def _packer(names: tuple[str, ...], layers: int) -> tuple[struct.Struct, Sequence[int]]:
    """What packs the ids, and a column of `layers` values for each name, all filled up to eight
    bytes; and the ids."""
    return (struct.Struct(f"<{len(names)}B{-len(names) % 8}x" + "".join(
        f"{layers}d" if name in WIDE else f"{layers}f{-4 * layers % 8}x" for name in names)),
            [IDS[name] | (FLOAT64 if name in WIDE else 0) for name in names])


def _columns_by_value(columns: dict[str, Sequence[Any]]) -> bytes:
    packed = [(IDS[key], *_column(key, values)) for key, values in columns.items()]
    return b"".join([_padded(bytes(number | wide for number, wide, _ in packed)),
                     *(_padded(data) for _, _, data in packed)])


def _column(key: str, values: Sequence[Any]) -> tuple[int, bytes]:
    """FLOAT64 or 0, and the values; `values` may be of numpy or torch."""
    if hasattr(values, "tolist"):
        values = values.tolist()
    wide = key in WIDE
    try:
        if not wide and not _float32_keeps(values):
            wide = True
        return (FLOAT64 if wide else 0,
                struct.pack(f"<{len(values)}{'d' if wide else 'f'}", *values))
    except (TypeError, struct.error, OverflowError):
        return _column_by_value(wide, values)


def _float32_keeps(values: Sequence[Any]) -> bool:
    """For finite numbers; a TypeError or OverflowError for anything else, None and NaN too."""
    if not math.isfinite(sum(values)):
        raise OverflowError
    sizes: list[float] = list(map(abs, values)) or [1.0]
    low, high = min(sizes), max(sizes)
    return high <= FLOAT32_MAX and (low >= FLOAT32_MIN or
                                    not any(0 < abs(x) < FLOAT32_MIN for x in values))


def _column_by_value(wide: bool, values: Sequence[Any]) -> tuple[int, bytes]:
    """With what is not finite or not measured."""
    numbers = [None if x is None else float(x) for x in values]
    wide = wide or not _float32_keeps([x for x in numbers if x is not None and math.isfinite(x)])
    if wide:
        return FLOAT64, b"".join(map(_double, numbers))
    return 0, b"".join(MISSING32 if x is None else NAN32 if math.isnan(x) else struct.pack("<f", x)
                       for x in numbers)
