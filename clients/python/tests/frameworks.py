"""Stand-ins for frameworks that a bare machine does not have: the callback interfaces, and trainers that call them in the
documented order with the documented arguments. No code of the frameworks themselves takes part.

Written from the documentation of Lightning 2, transformers 4, Keras 3 and JAX 0.4.
"""
from __future__ import annotations

import abc
import sys
import types
from collections import namedtuple
from types import SimpleNamespace
from unittest import mock

import numpy as np


def module(name, **content):
    made = types.ModuleType(name)
    made.__dict__.update(content)
    return made


class installed:
    """with installed(transformers(), "pyrometer.integrations.huggingface"): the framework is there."""

    def __init__(self, modules, *forget):
        self._patch = mock.patch.dict(sys.modules, {made.__name__: made for made in modules})
        self._forget = forget

    def __enter__(self):
        self._patch.start()
        for name in self._forget:
            sys.modules.pop(name, None)
        return self

    def __exit__(self, *_):
        self._patch.stop()


def hooks(*names):
    """A base class whose hooks do nothing, as the frameworks' are."""
    return {name: lambda self, *args, **kwargs: None for name in names}


# transformers: TrainerCallback, and Trainer's loop.

TrainerCallback = type("TrainerCallback", (), hooks(
    "on_init_end", "on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_step_begin", "on_substep_end",
    "on_pre_optimizer_step", "on_optimizer_step", "on_step_end", "on_evaluate", "on_predict", "on_save", "on_log",
    "on_prediction_step"))


def transformers():
    return [module("transformers", TrainerCallback=TrainerCallback)]


def train_transformers(callback, model, optimizer, batches, accumulate=1, first_step=0, rank_zero=True, shares=False,
                       world_size=1, evaluate_at=2):
    """Trainer.train: `batches` are micro-batches; returns their mean losses. With `shares` the model is told how many items the
    whole step has on all devices, and puts out its share of the step's loss."""
    args = SimpleNamespace(train_batch_size=4, gradient_accumulation_steps=accumulate, world_size=world_size, run_name="out",
                           output_dir="out", average_tokens_across_devices=shares)
    state = SimpleNamespace(global_step=first_step, epoch=0.0, is_world_process_zero=rank_zero, log_history=[])
    control, losses = SimpleNamespace(), []

    def call(event, **more):
        getattr(callback, event)(args, state, control, model=model, processing_class=None, optimizer=optimizer,
                                 lr_scheduler=None, train_dataloader=None, eval_dataloader=None, **more)

    call("on_train_begin")
    call("on_epoch_begin")
    for number, batch in enumerate(batches):
        if number % accumulate == 0:
            call("on_step_begin")
        model.train()
        told = {"num_items_in_batch": accumulate * world_size} if shares else {}
        loss = _loss(model(**batch, **told))
        losses.append(float(loss.detach()) * (accumulate * world_size if shares else 1))
        (loss * world_size if shares else loss / accumulate).backward()
        if (number + 1) % accumulate and number + 1 < len(batches):
            call("on_substep_end")
            continue
        call("on_pre_optimizer_step")
        optimizer.step()
        call("on_optimizer_step")
        model.zero_grad()
        state.global_step += 1
        call("on_step_end")
        call("on_log", logs={"loss": losses[-1], "learning_rate": 0.1, "epoch": 0.5, "note": "text"})
        if state.global_step - first_step == evaluate_at:
            model.eval()
            model(**batch)
            call("on_log", logs={"eval_loss": 7.5})
            call("on_evaluate", metrics={"eval_loss": 7.5})
            call("on_save")
    call("on_epoch_end")
    call("on_log", logs={"train_loss": 1.5})
    call("on_train_end")
    return losses


def _loss(output):
    return output["loss"] if isinstance(output, dict) else output[0]


# Lightning: Callback, Logger, and the loops of automatic and of manual optimization.

Callback = type("Callback", (), {**hooks(
    "setup", "teardown", "on_fit_start", "on_fit_end", "on_sanity_check_start", "on_sanity_check_end", "on_train_batch_start",
    "on_train_batch_end", "on_train_epoch_start", "on_train_epoch_end", "on_validation_epoch_start", "on_validation_epoch_end",
    "on_validation_batch_start", "on_validation_batch_end", "on_train_start", "on_train_end", "on_validation_start",
    "on_validation_end", "on_exception", "on_save_checkpoint", "on_load_checkpoint", "on_before_backward", "on_after_backward",
    "on_before_optimizer_step", "on_before_zero_grad", "load_state_dict"),
    "state_key": property(lambda self: type(self).__qualname__), "state_dict": lambda self: {}})


class Logger(abc.ABC):
    @property
    @abc.abstractmethod
    def name(self): ...

    @property
    @abc.abstractmethod
    def version(self): ...

    @abc.abstractmethod
    def log_metrics(self, metrics, step=None): ...

    @abc.abstractmethod
    def log_hyperparams(self, params, *args, **kwargs): ...

    for _name, _nothing in hooks("log_graph", "save", "finalize", "after_save_checkpoint").items():
        locals()[_name] = _nothing


def lightning():
    loggers = module("lightning.pytorch.loggers", Logger=Logger)
    pytorch = module("lightning.pytorch", Callback=Callback, loggers=loggers, __path__=[])
    return [module("lightning", pytorch=pytorch, __path__=[]), pytorch, loggers]


def train_lightning(callback, model, optimizer, batches, accumulate=1, first_step=0, loggers=(), fail_at=None,
                    validate_at=(1,), checkpoint=None, others=()):
    """Trainer.fit over one epoch; returns what training_step gave, before it is divided. Metrics are logged behind the batch's
    hooks, under the number of batches that stepped before this one. `others` are optimizers of manual optimization, which step
    once a batch as well; `checkpoint` a dict of callbacks' states, read at the start and written where it is saved."""
    optimizers = [optimizer, *others]
    trainer = SimpleNamespace(global_step=first_step * len(optimizers), current_epoch=0, optimizers=optimizers,
                              loggers=list(loggers), callback_metrics={}, sanity_checking=True, interrupted=False,
                              accumulate_grad_batches=accumulate)
    losses, stepped = [], first_step
    if checkpoint:
        callback.on_load_checkpoint(trainer, model, checkpoint)
        callback.load_state_dict(checkpoint[callback.state_key])
    for logger in loggers:
        logger.log_hyperparams({"width": 8, "act": SimpleNamespace})
    trainer.callback_metrics["val_loss"] = 99.0
    callback.on_validation_end(trainer, model)
    trainer.sanity_checking, trainer.callback_metrics = False, {}

    def log(metrics):
        for logger in loggers:
            logger.log_metrics(metrics, step=stepped)

    def backward(batch, begins):
        if begins:
            optimizer.zero_grad()
        loss = model(**batch)["loss"]
        losses.append(float(loss.detach()))
        loss = loss / accumulate
        loss.backward()
        return loss

    try:
        callback.on_train_start(trainer, model)
        callback.on_train_epoch_start(trainer, model)
        for number, batch in enumerate(batches):
            if number == fail_at:
                raise RuntimeError("out of memory")
            gathers, held = (number + 1) % accumulate and number + 1 < len(batches), {}

            def closure(number=number, batch=batch, held=held):
                held["loss"] = backward(batch, number % accumulate == 0)
                return held["loss"]

            callback.on_train_batch_start(trainer, model, batch, number)
            if gathers:
                closure()
            else:
                for one in optimizers:
                    one.step(closure)
                    trainer.global_step += 1
            callback.on_train_batch_end(trainer, model, {"loss": held["loss"].detach()}, batch, number)
            log({"accuracy": number + 0.25})
            if number in validate_at:
                trainer.callback_metrics["val_loss"] = 7.5
                callback.on_validation_end(trainer, model)
                log({"val_accuracy": 0.5})
            stepped += not gathers
            if number in validate_at:  # at the epoch's end or by ModelCheckpoint, whose hooks come behind the others'
                if checkpoint is not None:
                    checkpoint[callback.state_key] = callback.state_dict()
                callback.on_save_checkpoint(trainer, model, {})
        callback.on_train_end(trainer, model)
    except RuntimeError as error:
        callback.on_exception(trainer, model, error)
    return losses


# Keras: callbacks.Callback, a model of layers with variables, fit().

class KerasCallback:
    def __init__(self):
        self.params, self._model = None, None

    def set_params(self, params):
        self.params = params

    def set_model(self, model):
        self._model = model

    @property
    def model(self):
        return self._model


for _name, _nothing in hooks(*(f"on_{what}_{when}" for when in ("begin", "end") for what in (
        "train", "epoch", "batch", "train_batch", "test", "test_batch", "predict", "predict_batch"))).items():
    setattr(KerasCallback, _name, _nothing)


def keras():
    callbacks = module("keras.callbacks", Callback=KerasCallback)
    return [module("keras", callbacks=callbacks, __path__=[]), callbacks]


class Variable:
    def __init__(self, value):
        self.value = np.array(value, dtype=np.float32)

    def numpy(self):
        return self.value.copy()

    def __float__(self):
        return float(self.value)

    def __int__(self):
        return int(self.value)


class SGD:
    def __init__(self, rate, accumulate=None):
        self.learning_rate, self.momentum, self.nesterov, self.weight_decay = Variable(rate), 0.0, False, None
        self.gradient_accumulation_steps, self.batches = accumulate, 0

    @property
    def iterations(self):
        return Variable(self.batches // (self.gradient_accumulation_steps or 1))


class LossScaleOptimizer:
    """Put around the optimizer under mixed precision."""

    def __init__(self, inner):
        self.inner_optimizer = inner

    learning_rate = property(lambda self: self.inner_optimizer.learning_rate)
    iterations = property(lambda self: self.inner_optimizer.iterations)


def dense(name, *shapes):
    dice = np.random.default_rng(len(name))
    return SimpleNamespace(name=name, trainable_weights=[Variable(dice.normal(size=shape)) for shape in shapes])


def fit_keras(callback, model, losses, validation=None):
    """model.fit over one epoch for each list of batch losses; an update of -0.1 everywhere that the optimizer takes."""
    callback.set_model(model)
    callback.set_params({"verbose": 0, "epochs": len(losses), "steps": len(losses[0])})
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    callback.on_train_begin({})
    for epoch, batch_losses in enumerate(losses):
        callback.on_epoch_begin(epoch, {})
        for batch in range(len(batch_losses)):
            callback.on_train_batch_begin(batch, {})
            optimizer.batches += 1
            for variable in model.variables:
                if optimizer.batches % (optimizer.gradient_accumulation_steps or 1) == 0:
                    variable.value -= np.float32(0.1)
            callback.on_train_batch_end(batch, {"loss": float(np.mean(batch_losses[:batch + 1]))})
        callback.on_epoch_end(epoch, {"loss": float(np.mean(batch_losses)), "val_loss": validation})
    callback.on_train_end({})


# JAX: pytrees of dicts, lists and arrays; jax.numpy is NumPy.

DictKey = namedtuple("DictKey", "key")
SequenceKey = namedtuple("SequenceKey", "idx")


def _leaves(tree, path=()):
    if tree is None:
        return []
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in _leaves(tree[key], (*path, DictKey(key)))]
    if isinstance(tree, (list, tuple)):
        return [leaf for at, one in enumerate(tree) for leaf in _leaves(one, (*path, SequenceKey(at)))]
    return [(path, tree)]


def jax():
    tree_util = module("jax.tree_util", tree_flatten_with_path=lambda tree: (_leaves(tree), None))
    return [module("jax", numpy=np, tree_util=tree_util, device_get=lambda tree: tree, __path__=[]),
            module("jax.numpy", **{name: getattr(np, name) for name in dir(np) if not name.startswith("__")}), tree_util]
