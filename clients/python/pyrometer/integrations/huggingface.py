"""Hugging Face transformers: a TrainerCallback.

    from pyrometer.integrations.huggingface import PyrometerCallback

    trainer = Trainer(model, args, ..., callbacks=[PyrometerCallback(run="bert-3")])

Options are those of pyrometer.watch. The Trainer does not tell callbacks a step's loss: it is
taken from the model's output in training, its mean over the micro-batches of a step (their sum,
where the Trainer tells the model how many items the whole step has). A Trainer whose loss is not
the model's own (label smoothing, `compute_loss`) sends steps without one where the model puts out
none. What the Trainer logs becomes scalars of the newest step.
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
        self._losses: list[Any] = []  # of the step's micro-batches
        self._are_shares = False  # each divided by the items of the whole step
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
        try:
            handle = model.register_forward_hook(self._hear_output, with_kwargs=True)
        except TypeError:  # torch before 2.0
            handle = model.register_forward_hook(
                lambda model, inputs, output: self._hear_output(model, inputs, {}, output))
        self._unhook = handle.remove

    @shielded()
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.run is None:
            return
        losses, self._losses = self._losses, []
        loss = sum(losses) if losses else None
        if losses and not self._are_shares:
            loss = loss / len(losses)
        elif losses and getattr(args, "average_tokens_across_devices", False):
            loss = loss * args.world_size  # the items are those of all devices
        self.run.step(loss, val_loss=self._val_loss, step=state.global_step - 1)
        self._val_loss = None

    @shielded()
    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if self.run is not None:
            self.run.scalars({key: value for key, value in (logs or {}).items()
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
            if self._val_loss is not None:  # no step comes that could take it
                self.run.scalars({"val_loss": self._val_loss})
            self.run.finish()

    @shielded()
    def _hear_output(self, model: Any, inputs: Any, options: dict[str, Any], output: Any) -> None:
        if not model.training:
            return
        loss = output.get("loss") if hasattr(output, "get") else getattr(output, "loss", None)
        if loss is None and isinstance(output, tuple) and getattr(output[0], "ndim", 1) == 0:
            loss = output[0]  # return_dict=False
        if loss is not None:
            self._losses.append(loss.detach().mean())
            self._are_shares = options.get("num_items_in_batch") is not None


def _is_name(args: Any) -> bool:
    """transformers sets run_name to the output directory where nobody gave one."""
    name = getattr(args, "run_name", None)
    return bool(name) and name != getattr(args, "output_dir", None)
