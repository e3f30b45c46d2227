"""A step's statistics from arrays, in whatever array library `xp` is (numpy, jax.numpy)."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

Arrays = Sequence[Any]


def columns(xp: Any, weights: Sequence[Arrays], gradients: Optional[Sequence[Arrays]],
            updates: Optional[Sequence[Arrays]], previous: Optional[Sequence[Arrays]],
            dtype: Any = None) -> dict[str, Any]:
    """Columns of statistics, an entry a layer; each argument has a list of arrays a layer."""
    rows = [_layer(xp, dtype, weights[at],
                   gradients[at] if gradients is not None else None,
                   updates[at] if updates is not None else None,
                   previous[at] if previous is not None else None)
            for at in range(len(weights))]
    return {key: xp.stack([row[key] for row in rows]) for key in (rows[0] if rows else ())}


def _layer(xp: Any, dtype: Any, weights: Arrays, gradients: Optional[Arrays],
           updates: Optional[Arrays], previous: Optional[Arrays]) -> dict[str, Any]:
    w = _flat(xp, dtype, weights)
    stats = {**_moments(xp, "w", w), "w_min": xp.min(w), "w_max": xp.max(w)}
    u = None if updates is None else _flat(xp, dtype, updates)
    if u is not None:
        stats.update(_moments(xp, "u", u))
    if gradients is not None:
        g = _flat(xp, dtype, gradients)
        stats.update(_moments(xp, "g", g))
        stats["gw"] = xp.sum(g * w)
        if u is not None:
            stats["gu"] = xp.sum(g * u)
        if previous is not None:
            stats["gu_prev"] = xp.sum(g * _flat(xp, dtype, previous))
    return stats


def _moments(xp: Any, letter: str, values: Any) -> dict[str, Any]:
    mean = xp.mean(values)
    return {f"{letter}_mean": mean, f"{letter}_var": xp.mean(xp.square(values - mean))}


def _flat(xp: Any, dtype: Any, arrays: Arrays) -> Any:
    flat = [xp.reshape(xp.asarray(array, dtype=dtype), (-1,)) for array in arrays]
    return flat[0] if len(flat) == 1 else xp.concatenate(flat)
