"""Keras (2 and 3): a Callback.

    from pyrometer.integrations.keras import PyrometerCallback

    model.fit(x, y, callbacks=[PyrometerCallback(run="mnist-1", loss="cross_entropy")])

Keras does not show gradients to callbacks: weights and updates are measured, and what needs
gradients is not. Every logged step copies the trainable weights to the host twice, so `every` is
10 here unless it is given. With `steps_per_execution` above 1 an update is that of several batches;
with `gradient_accumulation_steps` a step is so many batches. Keras shows the mean loss of the epoch
so far; the batch's is worked out from it, to some 1e-7 of the mean times the batches so far, and of
an epoch's last batch, where that is smaller, nearer to the mean than it was.

A model whose optimizer has taken steps before (another fit(), a checkpoint) goes on behind them.
"""
from __future__ import annotations

from typing import Any, Optional

import keras

from .._quiet import shielded
from .._run import Run, init
from . import numpy as stats

OPTIMIZERS = {"SGD": "sgd", "Adam": "adam", "AdamW": "adamw"}


class PyrometerCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Options are those of pyrometer.init, without `layers` and `optimizer`."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.run: Optional[Run] = None
        self._options: dict[str, Any] = {"every": 10, **options}
        self._before: Optional[dict[str, list[Any]]] = None
        self._val_loss: Optional[float] = None
        self._seen = 0  # batches of this epoch
        self._total = 0.0
        self._gather = 1  # batches of a step
        self._losses: list[Optional[float]] = []  # of the step's batches

    @shielded()
    def on_train_begin(self, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        options = dict(self._options)
        taken = int(getattr(optimizer, "iterations", 0))
        if taken:
            options.setdefault("resume", {"rewind": taken - 1})
            options.setdefault("first_step", taken)
        self._gather = getattr(_inner(optimizer), "gradient_accumulation_steps", None) or 1
        self._losses, self._before = [], None
        self.run = init(layers=stats.layers(self._weights()), optimizer=optimizer_facts(optimizer),
                        **options)

    @shielded()
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._seen, self._total = 0, 0.0
        if self.run is not None:
            self.run.event("epoch", epoch=epoch)

    @shielded()
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        run = self.run
        wanted = run is not None and run.enabled and run.is_logged(run.next_step)
        if not self._losses:  # a step begins
            self._before = self._weights() if wanted else None

    @shielded()
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        run = self.run
        if run is None:
            return
        self._losses.append(self._batch_loss(logs or {}))
        if len(self._losses) < self._gather:
            return
        losses = [one for one in self._losses if one is not None]
        loss, self._losses = sum(losses) / len(losses) if losses else None, []
        if self._before is None:
            run.step(loss)  # not sent, but counted
            return
        before, after = self._before, self._weights()
        updates = {name: [new - old for new, old in zip(after[name], before[name])]
                   for name in before}
        run.log_layers(run.next_step, loss, stats.statistics(before, updates=updates),
                       val_loss=self._val_loss, lr=_rate(self.model.optimizer))
        self._val_loss = None

    @shielded()
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs and logs.get("val_loss") is not None:
            self._val_loss = float(logs["val_loss"])

    @shielded()
    def on_train_end(self, logs: Any = None) -> None:
        if self.run is not None:
            if self._val_loss is not None:  # no step comes that could take it
                self.run.scalars({"val_loss": self._val_loss})
                self._val_loss = None
            self.run.finish()

    def _batch_loss(self, logs: Any) -> Optional[float]:
        """This batch's: Keras reports the mean over the epoch's batches so far."""
        if logs.get("loss") is None:
            return None
        self._seen += 1
        total, self._total = self._total, float(logs["loss"]) * self._seen
        return self._total - total

    def _weights(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        seen: set[int] = set()
        for layer in _leaves(self.model):
            if id(layer) not in seen and layer.trainable_weights:
                found[_free(layer.name, found)] = [weight.numpy()
                                                   for weight in layer.trainable_weights]
            seen.add(id(layer))  # one that several models share
        return found


def _free(name: str, taken: Any) -> str:
    """Nested models may have layers of one name."""
    made, count = name, 1
    while made in taken:
        count += 1
        made = f"{name}_{count}"
    return made


def _leaves(model: Any) -> list[Any]:
    """The layers that hold weights themselves, those inside nested models too."""
    return [leaf for layer in model.layers
            for leaf in (_leaves(layer) if getattr(layer, "layers", None) else [layer])]


def _inner(optimizer: Any) -> Any:
    """The optimizer that a LossScaleOptimizer is put around."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def optimizer_facts(optimizer: Any) -> dict[str, Any]:
    optimizer = _inner(optimizer)
    name = OPTIMIZERS.get(type(optimizer).__name__, "other")
    facts: dict[str, Any] = {"name": name, "lr": _rate(optimizer)}
    if hasattr(optimizer, "momentum"):
        facts.update(momentum=float(optimizer.momentum), nesterov=bool(optimizer.nesterov))
    if hasattr(optimizer, "beta_1") and hasattr(optimizer, "beta_2"):
        facts["betas"] = [float(optimizer.beta_1), float(optimizer.beta_2)]
    if getattr(optimizer, "weight_decay", None):
        facts["weight_decay"] = float(optimizer.weight_decay)
    return {key: value for key, value in facts.items() if value is not None}


def _rate(optimizer: Any) -> Optional[float]:
    rate = getattr(optimizer, "learning_rate", None)
    if callable(rate):  # Keras 2 shows the schedule itself
        rate = rate(optimizer.iterations)
    return None if rate is None else float(rate)
