"""Messages as lines of JSON, in the daemon's spelling of numbers.

Non-finite numbers are strings, None is null, finite numbers are written by repr() so that the
daemon reads the same double. The common case, all finite, is one call into json's C encoder.
"""
from __future__ import annotations

import json
import math
from typing import Any, Optional

MAX_LINE = 1 << 20


def encode(message: dict[str, Any]) -> bytes:
    """One line, with its newline."""
    try:
        text = _dump(message)
    except ValueError:  # a NaN or an infinity somewhere
        text = _dump(_spelled(message))
    return text.encode() + b"\n"


def number(value: Any) -> Optional[float]:
    """A float of anything that has one: Python, numpy and torch scalars; None stays None."""
    return None if value is None else float(value)


def _dump(message: Any) -> str:
    return json.dumps(message, allow_nan=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    """What json does not know: arrays and scalars of numpy and torch become lists and numbers."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _spelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _spelled(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spelled(entry) for entry in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if not isinstance(value, float):
        return _spelled(_plain(value))
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
