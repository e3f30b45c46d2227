"""PyTorch Lightning (`lightning` or `pytorch_lightning`, 2.x): a Callback, and a Logger beside it.

    from pyrometer.integrations.lightning import PyrometerCallback, PyrometerLogger

    trainer = Trainer(callbacks=[PyrometerCallback(run="vit-5", loss="cross_entropy")],
                      logger=PyrometerLogger())

The callback measures and sends; options are those of pyrometer.watch. The logger is optional: what
is logged to it goes beside the next step as scalars, hyperparameters as an event. Without the
callback there is no run, and what is logged is dropped.
"""
from __future__ import annotations

import argparse
import numbers
from collections.abc import Mapping
from typing import Any, Optional, Union

try:
    from lightning.pytorch import Callback
    from lightning.pytorch.loggers import Logger
except ImportError:
    from pytorch_lightning import Callback
    from pytorch_lightning.loggers import Logger

from .._quiet import shielded, warn_once
from .._run import Run
from .._watch import watch


class PyrometerCallback(Callback):  # type: ignore[misc]
    """`optimizer`: which of the trainer's is watched; `monitor`: what the validation loss is called."""

    def __init__(self, *, optimizer: int = 0, monitor: str = "val_loss", **options: Any) -> None:
        super().__init__()
        self.run: Optional[Run] = None
        self._optimizer = optimizer
        self._monitor = monitor
        self._options = options
        self._val_loss: Optional[float] = None
        self._loss: Any = None
        self._steps = 0

    @shielded()
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        options = dict(self._options)
        if trainer.global_step and "resume" not in options:
            options["resume"] = {"rewind": trainer.global_step - 1}
        self._steps = trainer.global_step
        if len(trainer.optimizers) > 1:
            warn_once("lightning optimizers", f"of {len(trainer.optimizers)} optimizers number "
                                              f"{self._optimizer} is watched")
        self.run = watch(pl_module, trainer.optimizers[self._optimizer], **options)
        for logger in self._loggers(trainer):
            logger.attach(self.run)

    @shielded()
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any,
                           batch_idx: int) -> None:
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if loss is not None:  # Lightning has divided it by accumulate_grad_batches
            loss = loss.detach()
            self._loss = loss if self._loss is None else self._loss + loss
        if self.run is None or trainer.global_step == self._steps:
            return  # gradients are still being gathered
        taken, self._steps = self._steps, trainer.global_step
        scalars: dict[str, float] = {}
        for logger in self._loggers(trainer):
            scalars.update(logger.take())
        self.run.step(self._loss, val_loss=self._val_loss, scalars=scalars or None, step=taken)
        self._loss = self._val_loss = None

    @shielded()
    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        value = trainer.callback_metrics.get(self._monitor)
        if not trainer.sanity_checking and value is not None:
            self._val_loss = float(value)

    @shielded()
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if self.run is not None:
            self.run.event("epoch", epoch=trainer.current_epoch)

    @shielded()
    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Any) -> None:
        if self.run is not None:
            self.run.event("checkpoint", epoch=trainer.current_epoch)

    @shielded()
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        if self.run is not None:
            self.run.finish("failed" if isinstance(exception, Exception) else "stopped")

    @shielded()
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        if self.run is not None:
            self.run.finish("stopped" if getattr(trainer, "interrupted", False) else "completed")

    @staticmethod
    def _loggers(trainer: Any) -> list[PyrometerLogger]:
        return [logger for logger in trainer.loggers if isinstance(logger, PyrometerLogger)]


class PyrometerLogger(Logger):  # type: ignore[misc]
    def __init__(self, name: str = "pyrometer") -> None:
        super().__init__()
        self._name = name
        self._run: Optional[Run] = None
        self._hyperparameters: dict[str, Any] = {}
        self._scalars: dict[str, float] = {}

    @property
    def name(self) -> str:
        return self._name

    @property
    def version(self) -> str:
        return "" if self._run is None else self._run.name

    @shielded()
    def log_metrics(self, metrics: Mapping[str, Any], step: Optional[int] = None) -> None:
        self._scalars.update({key: float(value) for key, value in metrics.items()})

    @shielded()
    def log_hyperparams(self, params: Union[dict[str, Any], argparse.Namespace, None],
                        *args: Any, **kwargs: Any) -> None:
        given = vars(params) if isinstance(params, argparse.Namespace) else dict(params or {})
        self._hyperparameters.update(
            {str(key): value if isinstance(value, (str, bool, numbers.Real)) else str(value)
             for key, value in given.items()})

    def attach(self, run: Run) -> None:
        """The callback's run has begun."""
        self._run = run
        if self._hyperparameters:
            run.event("hyperparameters", **self._hyperparameters)

    def take(self) -> dict[str, float]:
        """What was logged since the last step."""
        scalars, self._scalars = self._scalars, {}
        return scalars
