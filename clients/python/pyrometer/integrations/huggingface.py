"""Hugging Face transformers: a TrainerCallback.

    from pyrometer.integrations.huggingface import PyrometerCallback

    trainer = Trainer(model, args, ..., callbacks=[PyrometerCallback(run="bert-3")])

Options are those of pyrometer.watch. The Trainer does not tell callbacks a step's loss: it is
taken from the model's output in training, its mean over the micro-batches of a step. A Trainer
whose loss is not the model's own (label smoothing, `compute_loss`) sends steps without one where
the model puts out none. What the Trainer logs goes beside the next step as scalars.
"""
from __future__ import annotations

import numbers
from typing import Any, Optional

from transformers import TrainerCallback

from .._quiet import shielded
from .._run import Run
from .._watch import watch


class PyrometerCallback(TrainerCallback):  # type: ignore[misc]
    def __init__(self, **options: Any) -> None:
        self.run: Optional[Run] = None
        self._options = options
        self._losses: list[Any] = []
        self._scalars: dict[str, float] = {}
        self._val_loss: Optional[float] = None
        self._unhook: Any = None

    @shielded()
    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        model = kwargs["model"]
        options = {"run": getattr(args, "run_name", None) if _is_name(args) else None,
                   "batch_size": args.train_batch_size * args.gradient_accumulation_steps *
                   args.world_size, **self._options}
        if state.global_step and "resume" not in options:
            options["resume"] = {"rewind": state.global_step - 1}
        self.run = watch(model, kwargs["optimizer"], **options)
        self._unhook = model.register_forward_hook(self._hear_output).remove

    @shielded()
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.run is None:
            return
        losses, self._losses = self._losses, []
        loss = sum(losses) / len(losses) if losses else None
        self.run.step(loss, val_loss=self._val_loss, scalars=self._scalars or None,
                      step=state.global_step - 1)
        self._scalars, self._val_loss = {}, None

    @shielded()
    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        self._scalars.update({key: float(value) for key, value in (logs or {}).items()
                              if isinstance(value, numbers.Real)})

    @shielded()
    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None,
                    **kwargs: Any) -> None:
        if metrics and "eval_loss" in metrics:
            self._val_loss = float(metrics["eval_loss"])

    @shielded()
    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.run is not None:
            self.run.event("epoch", epoch=float(state.epoch or 0))

    @shielded()
    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.run is not None:
            self.run.event("checkpoint", step=state.global_step)

    @shielded()
    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._unhook is not None:
            self._unhook()
        if self.run is not None:
            self.run.finish()

    @shielded()
    def _hear_output(self, model: Any, inputs: Any, output: Any) -> None:
        loss = output.get("loss") if hasattr(output, "get") else getattr(output, "loss", None)
        if model.training and loss is not None:
            self._losses.append(loss.detach().mean())


def _is_name(args: Any) -> bool:
    """transformers sets run_name to the output directory where nobody gave one."""
    name = getattr(args, "run_name", None)
    return bool(name) and name != getattr(args, "output_dir", None)
