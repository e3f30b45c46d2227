"""watch(): a model and its optimizer measured at every step.

What measures them is in _model.py, which needs torch: this module does not import it.
"""
from __future__ import annotations

import functools
import os
import sys
import types
from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING, Any, Optional

from ._run import QUEUE_BYTES, Resume, Run, disabled, init, rank_of_shards, wanted
from ._spool import SPOOL_BYTES
from ._text import number

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

OPTIMIZERS = {"SGD": "sgd", "Adam": "adam", "AdamW": "adamw"}
LEVELS = ("economy", "full")


def watch(model: nn.Module, optimizer: Optimizer, run: Optional[str] = None,
          project: Optional[str] = None, every: Optional[int] = None, layers: Optional[str] = None,
          level: Optional[str] = None, server: Optional[str] = None, token: Optional[str] = None,
          loss: str = "other", batch_size: Optional[int] = None, dataset_size: Optional[int] = None,
          resume: Resume = "continue", queue_bytes: int = QUEUE_BYTES,
          mode: Optional[str] = None, *, first_step: Optional[int] = None,
          tags: Optional[Mapping[str, str]] = None,
          rank: Optional[int] = None, world_size: Optional[int] = None, shards: bool = False,
          frames: bool = True, spool: Optional[str] = None, spool_bytes: int = SPOOL_BYTES,
          dir: Optional[str] = None) -> Run:
    """Begins a run. Afterwards: `loss.backward(); optimizer.step(); run.step(loss)`.

    run: its name (else PYROMETER_RUN, else one made up). project: else PYROMETER_PROJECT.
    every: send every so many steps (else PYROMETER_EVERY, else 1). layers: a regex searched in
    the layers' names (else PYROMETER_LAYERS). level: "economy", or "full", which adds the weights'
    extremes and the layers' outputs (else PYROMETER_LEVEL). queue_bytes: most that may wait.
    loss: cross_entropy, mse, mae or other. mode: "online", "offline" (nothing is sent; recordings
    in `dir`, else PYROMETER_DIR, else ./pyrometer-runs) or "disabled" (else PYROMETER_MODE).
    server: host:port, tls://host:port or unix:/path (else PYROMETER_SERVER).
    token: else PYROMETER_TOKEN.
    resume: "continue", or {"rewind": k}: step k is the last that stays, k + 1 comes next.
    first_step: the number of the first step, where it is another.
    rank: only rank 0 sends, unless every process passes its rank and a run name of its own.
    shards: every rank sends what it holds of the layers, under one run name; the daemon merges.
    frames: False sends lines of JSON, with every digit, even to a daemon that reads frames.
    spool: where steps wait on disk while there is no daemon (else PYROMETER_SPOOL, else
    ~/.local/state/pyrometer/spool), at most spool_bytes of them; "" or 0: in memory only.
    """
    try:
        rank = rank_of_shards(shards, rank, run)
        if not wanted(mode, rank):
            return Run(run or "disabled", None)
        level = level or os.environ.get("PYROMETER_LEVEL") or "economy"
        layers = layers or os.environ.get("PYROMETER_LAYERS")
        if level not in LEVELS:
            raise ValueError(f"level is {level!r}, expected one of {LEVELS}")
        from ._layers import find_layers, unwrap
        from ._model import ModelWatcher

        model, optimizer = unwrap(model), _unwrap_optimizer(optimizer)
        found = find_layers(model, layers)
        if not found:
            raise ValueError(f"the model has no layers with parameters that match {layers!r}")
        watcher = ModelWatcher(model, optimizer, found, level)
        described = watcher.describe()
        if isinstance(resume, Mapping) or first_step:
            for layer in described:  # these weights are not what training began with
                layer.pop("init", None)
        made = init(run, described, project=project, server=server, token=token, mode=mode,
                    every=every, loss=loss, optimizer=optimizer_facts(optimizer),
                    batch_size=batch_size, dataset_size=dataset_size, resume=resume,
                    first_step=first_step, tags=tags, rank=rank, world_size=world_size, shards=shards,
                    queue_bytes=queue_bytes, frames=frames, spool=spool,
                    spool_bytes=spool_bytes, dir=dir)
        if made.enabled:
            watcher.attach(made)
        return made
    except Exception as error:  # noqa: BLE001 - the job comes first
        return disabled("watch", error)


def hook_optimizer(optimizer: Any, before: Callable[..., None], after: Callable[..., None],
                   run: Optional[Run] = None, turns: Container[int] = ()) -> Callable[[], None]:
    """Calls `before` and `after` around every optimizer.step(); returns what undoes it.

    They get what torch's own hooks are given, and return None. With a run they need not be called
    but at its steps that are one of `turns` behind one that is sent.
    """
    if hasattr(optimizer, "register_step_pre_hook"):
        handles = (optimizer.register_step_pre_hook(before),
                   optimizer.register_step_post_hook(after))

        def remove() -> None:
            for handle in handles:
                handle.remove()

        return remove
    return _wrap_step(optimizer, before, after, run, turns)


def _wrap_step(optimizer: Any, before: Callable[..., None], after: Callable[..., None],
               run: Optional[Run], turns: Container[int]) -> Callable[[], None]:
    """For torch before 2.0. A bound method, as learning rate schedulers expect to find."""
    original = optimizer.step
    own = optimizer.__dict__.get("step")

    @functools.wraps(original)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        if run is not None and run.next_step % run.every not in turns:
            return original(*args, **kwargs)
        before()
        result = original(*args, **kwargs)
        after()
        return result

    wrapped = types.MethodType(step, optimizer)
    optimizer.step = wrapped

    def undo() -> None:
        if optimizer.__dict__.get("step") is not wrapped:
            return  # wrapped again since: what is inside does nothing any more
        if own is None:
            del optimizer.step
        else:
            optimizer.step = own

    return undo


def optimizer_facts(optimizer: Any) -> dict[str, Any]:
    """What the thermometers want to know of it, from its first parameter group."""
    name = next((OPTIMIZERS[kind.__name__] for kind in type(optimizer).__mro__
                 if kind.__name__ in OPTIMIZERS), "other")
    group = optimizer.param_groups[0]
    facts: dict[str, Any] = {"name": name, "lr": number(group.get("lr"))}
    for key in ("momentum", "weight_decay"):
        facts[key] = number(group.get(key))
    if group.get("betas") is not None:
        facts["betas"] = [number(beta) for beta in group["betas"]]
    if group.get("nesterov") is not None:
        facts["nesterov"] = bool(group["nesterov"])
    return {key: value for key, value in facts.items() if value is not None}


def is_plain_sgd(optimizer: Any) -> bool:
    facts = optimizer_facts(optimizer)
    return facts["name"] == "sgd" and not facts.get("momentum")


def _unwrap_optimizer(optimizer: Any) -> Any:
    """The optimizer that takes the steps, where another (accelerate's) is put around it."""
    inner = getattr(optimizer, "optimizer", None)
    kind = sys.modules["torch"].optim.Optimizer
    return inner if isinstance(inner, kind) else optimizer


def lr_of(optimizer: Any) -> Optional[float]:
    return number(optimizer.param_groups[0].get("lr"))
