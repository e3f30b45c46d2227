"""Statistics of the layers' outputs, by forward hooks (level "full").

A layer's output is its pre-activation. The activation that belongs to it is the activation module
that is handed that very tensor, whatever the model's code looks like; activations that are mere
functions (torch.relu) are not seen and their statistics stay unmeasured. The last forward pass
with gradients before the optimizer's step counts.
"""
from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Optional

import torch
from torch import Tensor, nn

from ._layers import ACTIVATIONS, Layer
from ._quiet import shielded

KEYS = ("z_mean", "z_var", "a_mean", "a_var", "a_active", "a_saturated")
BOUNDS = {"Tanh": (-1.0, 1.0), "Sigmoid": (0.0, 1.0), "Hardtanh": (-1.0, 1.0),
          "Hardsigmoid": (0.0, 1.0)}
MARGIN = 0.01


class Activations:
    def __init__(self, model: nn.Module, layers: Sequence[Layer],
                 is_wanted: Callable[[], bool]) -> None:
        self._found: dict[tuple[str, int], Tensor] = {}
        self._outputs: dict[int, tuple[weakref.ref[Tensor], int]] = {}
        self._handles = [layer.module.register_forward_hook(
                             Hook(self._layer_hook(index), is_wanted))
                         for index, layer in enumerate(layers)]
        self._handles += [module.register_forward_hook(Hook(self._record_activation, is_wanted))
                          for module in model.modules() if type(module).__name__ in ACTIVATIONS]

    def take(self) -> dict[tuple[str, int], Tensor]:
        """What was found since the last call, by key and layer: scalars on their device."""
        found, self._found, self._outputs = self._found, {}, {}
        return found

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _layer_hook(self, index: int) -> Callable[[nn.Module, Any, Any], None]:
        @shielded()
        @torch.no_grad()
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            tensor = output[0] if isinstance(output, tuple) and output else output
            if self._open(tensor):
                self._outputs[id(tensor)] = (weakref.ref(tensor), index)
                self._found["z_mean", index], self._found["z_var", index] = _mean_var(tensor)

        return hook

    @shielded()
    @torch.no_grad()
    def _record_activation(self, module: nn.Module, inputs: Any, output: Any) -> None:
        given = inputs[0] if inputs else None
        reference, index = self._outputs.get(id(given), (None, -1))
        if reference is None or reference() is not given or not self._open(output):
            return
        values = output.detach().float()
        found = self._found
        found["a_mean", index], found["a_var", index] = _mean_var(output)
        found["a_active", index] = (values > 0).float().mean()
        bounds = _bounds(module)
        if bounds is not None:
            near = (values < bounds[0] + MARGIN) | (values > bounds[1] - MARGIN)
            found["a_saturated", index] = near.float().mean()

    @staticmethod
    def _open(tensor: Any) -> bool:
        return isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.numel() > 0


class Hook:
    """A forward hook that hears the model that is watched, and no other."""

    def __init__(self, hear: Callable[[nn.Module, Any, Any], None],
                 is_wanted: Callable[[], bool]) -> None:
        self._hear = hear
        self._is_wanted = is_wanted

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if (torch.is_grad_enabled() and self._is_wanted()
                and not torch.jit.is_tracing()):  # type: ignore[attr-defined]
            self._hear(module, inputs, output)

    def __reduce__(self) -> tuple[Any, ...]:
        """In a copy of the model, or a pickled one: something of Python's own that takes what a
        hook is given and does nothing."""
        return getattr, (contextlib.nullcontext(), "__exit__")


def _bounds(module: nn.Module) -> Optional[tuple[float, float]]:
    if isinstance(module, nn.Hardtanh) and not isinstance(module, nn.ReLU6):
        return float(module.min_val), float(module.max_val)
    return BOUNDS.get(type(module).__name__)


def _mean_var(tensor: Tensor) -> tuple[Tensor, Tensor]:
    values = tensor.detach()
    values = values if values.dtype == torch.float64 else values.float()
    mean = values.mean()
    return mean, (values - mean).square_().mean()
