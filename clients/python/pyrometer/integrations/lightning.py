"""PyTorch Lightning (`lightning` or `pytorch_lightning`, 2.x): a Callback, and a Logger beside it.

    from pyrometer.integrations.lightning import PyrometerCallback, PyrometerLogger

    trainer = Trainer(callbacks=[PyrometerCallback(run="vit-5", loss="cross_entropy")],
                      logger=PyrometerLogger())

The callback measures and sends; options are those of pyrometer.watch. The logger is optional: what
is logged to it becomes scalars of the step that Lightning names, hyperparameters an event. Without
the callback there is no run, and what is logged is dropped.
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
    """`optimizer`: which of the trainer's is watched; `monitor`: what the validation loss is called.

    A step is a batch, or several that are accumulated, after which an optimizer stepped. Their
    number is kept in the trainer's checkpoints.
    """

    def __init__(self, *, optimizer: int = 0, monitor: str = "val_loss", **options: Any) -> None:
        super().__init__()
        self.run: Optional[Run] = None
        self._optimizer = optimizer
        self._monitor = monitor
        self._options = options
        self._val_loss: Optional[float] = None
        self._losses: list[Any] = []  # of the step's batches, as Lightning divided them
        self._taken = 0  # steps that all optimizers together have taken
        self._next_step: Optional[int] = None  # the run's, also of one that went before

    @property
    def state_key(self) -> str:
        """A trainer with several of these keeps them apart by it."""
        return f"{type(self).__qualname__}{{'optimizer': {self._optimizer}}}"

    def state_dict(self) -> dict[str, Any]:
        return {} if self._next_step is None else {"next_step": self._next_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._next_step = state_dict.get("next_step")

    @shielded()
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        options = dict(self._options)
        self._taken, first = trainer.global_step, self._next_step
        if first is None:  # a checkpoint without this callback
            first = trainer.global_step // max(1, len(trainer.optimizers))
        if first and trainer.global_step:  # not a trainer that begins anew
            options.setdefault("resume", {"rewind": first - 1})
            options.setdefault("first_step", first)
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
        if loss is not None:
            self._losses.append(loss.detach())
        if self.run is None or trainer.global_step == self._taken:
            return  # gradients are still being gathered
        self._taken = trainer.global_step
        # Lightning divides by accumulate_grad_batches, also where an epoch ends with fewer.
        losses, self._losses = self._losses, []
        mean = sum(losses) * (trainer.accumulate_grad_batches / len(losses)) if losses else None
        self.run.step(mean, val_loss=self._val_loss)
        self._val_loss = None
        if self.run.enabled:
            self._next_step = self.run.next_step

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
            if self._val_loss is not None:  # no step comes that could take it
                self.run.scalars({"val_loss": self._val_loss})
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

    @property
    def name(self) -> str:
        return self._name

    @property
    def version(self) -> str:
        return "" if self._run is None else self._run.name

    @shielded()
    def log_metrics(self, metrics: Mapping[str, Any], step: Optional[int] = None) -> None:
        if self._run is not None:
            self._run.scalars(metrics, step)

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
