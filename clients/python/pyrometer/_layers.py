"""What a layer is: a module with the parameters it owns directly, by the module's name."""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Optional

import torch
from torch import Tensor, nn

KINDS = {"Linear": "linear", "Bilinear": "linear", "NonDynamicallyQuantizableLinear": "linear",
         "Embedding": "embedding", "EmbeddingBag": "embedding", "LayerNorm": "layernorm",
         "GroupNorm": "groupnorm", "RMSNorm": "rmsnorm", "MultiheadAttention": "attention",
         "RNN": "recurrent", "LSTM": "recurrent", "GRU": "recurrent"}
ACTIVATIONS = {"ReLU": "relu", "ReLU6": "relu6", "LeakyReLU": "leaky_relu", "PReLU": "prelu",
               "ELU": "elu", "SELU": "selu", "CELU": "celu", "GELU": "gelu", "SiLU": "silu",
               "Mish": "mish", "Tanh": "tanh", "Sigmoid": "sigmoid", "Softplus": "softplus",
               "Hardtanh": "hardtanh", "Hardsigmoid": "hardsigmoid", "Hardswish": "hardswish"}


@dataclass
class Layer:
    name: str
    module: nn.Module
    params: list[Tensor]
    kind: str
    activation: Optional[str]

    @property
    def n(self) -> int:
        return sum(param.numel() for param in self.params)

    def describe(self) -> dict[str, Any]:
        facts = {"name": self.name, "n": self.n, "kind": self.kind}
        return {**facts, "activation": self.activation} if self.activation else facts


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside DataParallel, DistributedDataParallel and torch.compile: same names."""
    while True:
        if type(model).__name__ in ("DataParallel", "DistributedDataParallel"):
            model = model.module  # type: ignore[assignment]
        elif hasattr(model, "_orig_mod"):
            model = model._orig_mod  # type: ignore[assignment]
        else:
            return model


def find_layers(model: nn.Module, pattern: Optional[str] = None) -> list[Layer]:
    """In the model's order. A tied parameter belongs to the first layer that has it.

    `pattern` is searched in the names. Left out is what has no elements (yet), or elements that are
    not real floating point numbers, or another device than the layer's first parameter.
    """
    followed = _followed(model)
    seen: set[int] = set()
    layers = []
    for name, module in model.named_modules():
        params: list[Tensor] = []
        for param in module.parameters(recurse=False):
            if id(param) not in seen and _measurable(param) and (
                    not params or params[0].device == param.device):
                params.append(param)
            seen.add(id(param))
        name = name or type(module).__name__
        if params and (pattern is None or re.search(pattern, name)):
            layers.append(Layer(name, module, params, _kind(module), followed.get(id(module))))
    return layers


def _measurable(param: Tensor) -> bool:
    return (not torch.nn.parameter.is_lazy(param) and param.layout == torch.strided
            and param.is_floating_point() and param.numel() > 0 and param.device.type != "meta")


def _kind(module: nn.Module) -> str:
    name = type(module).__name__
    if re.fullmatch(r"(Lazy)?Conv(Transpose)?[123]d", name):
        return "conv"
    if re.fullmatch(r"(Sync)?BatchNorm([123]d)?", name):
        return "batchnorm"
    return KINDS.get(name, name.lower())


def _followed(model: nn.Module) -> dict[int, str]:
    """The activation after each module of a Sequential, by the module's id."""
    found = {}
    for parent in model.modules():
        if isinstance(parent, nn.Sequential):
            children = list(parent)
            for child, after in zip(children, children[1:]):
                name = ACTIVATIONS.get(type(after).__name__)
                if name:
                    found[id(child)] = name
    return found
