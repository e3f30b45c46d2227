"""JAX and optax: a pure function of params, grads and updates, to be called inside a jitted step.

    from pyrometer.integrations import jax as pyro

    @jax.jit
    def train_step(params, state, batch):
        loss, grads = jax.value_and_grad(loss_of)(params, batch)
        updates, state = optimizer.update(grads, state, params)
        stats = pyro.statistics(params, grads, updates)
        return optax.apply_updates(params, updates), state, loss, stats

    run = pyrometer.init("mine", pyro.layers(params), loss="cross_entropy")
    for step, batch in enumerate(batches):
        params, state, loss, stats = train_step(params, state, batch)
        if run.is_logged(step):
            pyro.log(run, step, loss, stats)

A layer is the leaves below one node of the tree (Flax: a module), named by the path to it. Sums
are in float32 unless the leaves say more.
"""
from __future__ import annotations

from typing import Any, Optional

import jax
import jax.numpy as jnp

from .._run import Run
from .._text import number
from ._stats import columns

Tree = Any  # a pytree


def layers(params: Tree) -> list[dict[str, Any]]:
    """The run's layers, for pyrometer.init."""
    return [{"name": name, "n": sum(int(leaf.size) for leaf in leaves)}
            for name, leaves in _by_node(params).items()]


def statistics(params: Tree, grads: Tree, updates: Tree,
               previous: Optional[Tree] = None) -> dict[str, Any]:
    """Columns of statistics, an entry a layer, in the order of layers(). Pure: to be jitted.

    `updates` are what optax.apply_updates adds; `previous` those of the step before, which plain
    SGD's stability needs. What these have no leaf for (None: it is not trained) counts as zeros.
    """
    lists = [None if tree is None else list(_by_node(params, tree).values())
             for tree in (grads, updates, previous)]
    return columns(jnp, list(_by_node(params).values()), lists[0], lists[1], lists[2],
                   jnp.promote_types(jnp.float32, _dtype(params)))


def log(run: Run, step: int, loss: Any, stats: dict[str, Any], **facts: Any) -> None:
    """Sends them; the device is waited for. `facts`: what Run.log_layers takes besides."""
    host = jax.device_get((loss, stats))
    run.log_layers(step, number(host[0]),
                   {key: [float(value) for value in column] for key, column in host[1].items()},
                   **facts)


def _by_node(params: Tree, other: Optional[Tree] = None) -> dict[str, list[Any]]:
    """The leaves by layer: of params, or of another tree in the places of these."""
    there = None if other is None else _leaves(other)
    found: dict[str, list[Any]] = {}
    for path, leaf in _leaves(params).items():
        name = "/".join(path[:-1]) or (path[-1] if path else "params")
        if there is not None:
            leaf = there[path] if path in there else jnp.zeros(leaf.shape)
        found.setdefault(name, []).append(leaf)
    return found


def _leaves(tree: Tree) -> dict[tuple[str, ...], Any]:
    return {tuple(map(_word, path)): leaf
            for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def _word(key: Any) -> str:
    """What a DictKey, SequenceKey, GetAttrKey or FlattenedIndexKey says."""
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _dtype(tree: Tree) -> Any:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return jnp.result_type(*(leaf for _, leaf in leaves)) if leaves else jnp.float32
