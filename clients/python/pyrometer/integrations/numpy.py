"""Plain NumPy: a training loop of one's own.

    from pyrometer.integrations import numpy as pyro

    run = pyrometer.init("mine", pyro.layers(params), loss="mse")
    for step in range(steps):
        loss, gradients = ...
        updates = {name: -lr * gradients[name] for name in params}
        run.log_layers(step, loss, pyro.statistics(params, gradients, updates), lr=lr)
        for name in params:
            params[name] += updates[name]

`params` maps a layer's name to its array, or to several (weights and biases). The statistics are of
the weights before the update, in float64.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

import numpy

from ._stats import columns

Params = Mapping[str, Union[Any, Sequence[Any]]]


def layers(params: Params) -> list[dict[str, Any]]:
    """The run's layers, for pyrometer.init: names and numbers of parameters, in the mapping's order."""
    return [{"name": name, "n": sum(int(numpy.size(array)) for array in _arrays(params[name]))}
            for name in params]


def statistics(params: Params, gradients: Optional[Params] = None,
               updates: Optional[Params] = None,
               previous: Optional[Params] = None) -> dict[str, list[float]]:
    """For run.log_layers. What is not given is not measured.

    `previous`: the updates of the step before, which plain SGD's stability needs.
    """
    names = list(params)
    lists = [None if tree is None else [_arrays(tree[name]) for name in names]
             for tree in (gradients, updates, previous)]
    found = columns(numpy, [_arrays(params[name]) for name in names],
                    lists[0], lists[1], lists[2], numpy.float64)
    return {key: [float(value) for value in column] for key, column in found.items()}


def _arrays(entry: Any) -> list[Any]:
    return list(entry) if isinstance(entry, (list, tuple)) else [entry]
