"""watch(): a model and its optimizer measured at every step.

State k is the weights before the update, the gradient the optimizer used and the update to k+1.
Hooks around optimizer.step() see all three; run.step(loss) then sends them. A step that the
optimizer never took (a GradScaler that found an infinity) has a loss and no statistics.
"""
from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional

from ._quiet import shielded
from ._run import QUEUE_BYTES, Measured, Resume, Run, disabled, init, wanted
from ._spool import SPOOL_BYTES
from ._text import number

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from ._layers import Layer

OPTIMIZERS = {"SGD": "sgd", "Adam": "adam", "AdamW": "adamw"}
LEVELS = ("economy", "full")


def watch(model: nn.Module, optimizer: Optimizer, run: Optional[str] = None,
          project: Optional[str] = None, every: int = 1, layers: Optional[str] = None,
          level: str = "economy", server: Optional[str] = None, token: Optional[str] = None,
          loss: str = "other", batch_size: Optional[int] = None, dataset_size: Optional[int] = None,
          resume: Resume = "continue", queue_bytes: int = QUEUE_BYTES,
          mode: Optional[str] = None, *, first_step: Optional[int] = None,
          tags: Optional[Mapping[str, str]] = None,
          rank: Optional[int] = None, world_size: Optional[int] = None,
          frames: bool = True, spool: Optional[str] = None, spool_bytes: int = SPOOL_BYTES,
          dir: Optional[str] = None) -> Run:
    """Begins a run. Afterwards: `loss.backward(); optimizer.step(); run.step(loss)`.

    run: its name (else PYROMETER_RUN, else one made up). project: else PYROMETER_PROJECT.
    every: send every so many steps. layers: a regex searched in the layers' names.
    level: "economy", or "full", which adds the layers' outputs. queue_bytes: most that may wait.
    loss: cross_entropy, mse, mae or other. mode: "online", "offline" (nothing is sent; recordings
    in `dir`, else PYROMETER_DIR, else ./pyrometer-runs) or "disabled" (else PYROMETER_MODE).
    server: host:port or unix:/path (else PYROMETER_SERVER). token: else PYROMETER_TOKEN.
    resume: "continue", or {"rewind": k}: step k is the last that stays, k + 1 comes next.
    first_step: the number of the first step, where it is another.
    rank: only rank 0 sends, unless every process passes its rank and a run name of its own.
    frames: False sends lines of JSON, with every digit, even to a daemon that reads frames.
    spool: where steps wait on disk while there is no daemon (else PYROMETER_SPOOL, else
    ~/.local/state/pyrometer/spool), at most spool_bytes of them; "" or 0: in memory only.
    """
    try:
        if not wanted(mode, rank):
            return Run(run or "disabled", None)
        if level not in LEVELS:
            raise ValueError(f"level is {level!r}, expected one of {LEVELS}")
        from ._layers import find_layers, unwrap

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
                    first_step=first_step, tags=tags, rank=rank, world_size=world_size,
                    queue_bytes=queue_bytes, frames=frames, spool=spool,
                    spool_bytes=spool_bytes, dir=dir)
        if made.enabled:
            watcher.attach(made)
        return made
    except Exception as error:  # noqa: BLE001 - the job comes first
        return disabled("watch", error)


class ModelWatcher:
    def __init__(self, model: nn.Module, optimizer: Optimizer, layers: Sequence[Layer],
                 level: str) -> None:
        from ._moments import grouped

        self._model = model
        self._optimizer = optimizer
        self._layers = layers
        self._level = level
        # gu_prev is what plain SGD's stability is read from; the others have their momentum.
        self._with_previous = level == "full" or is_plain_sgd(optimizer)
        self._groups = list(grouped([layer.params for layer in layers], self._with_previous))
        self._counts = [layer.n for layer in layers]
        self._run: Optional[Run] = None
        self._activations: Any = None
        self._unhook: Callable[[], None] = lambda: None  # noqa: E731
        self._kept_at: Optional[int] = None  # the step whose weights are kept
        self._has_previous = False
        self._lr: Optional[float] = None
        self.reset()

    def describe(self) -> list[dict[str, Any]]:
        """The layers for the hello, with what their weights are now."""
        described = [layer.describe() for layer in self._layers]
        from ._moments import KEYS, statistics

        for members, moments in self._groups:
            moments.before(False)
            for layer, sums in zip(members, moments.after().tolist()):
                now = dict(zip(KEYS, statistics(sums, self._layers[layer].n)))
                described[layer]["init"] = _initial(now["w_mean"], now["w_var"], now["w_min"],
                                                    now["w_max"])
        return described

    def attach(self, run: Run) -> None:
        self._run = run
        self._unhook = hook_optimizer(self._optimizer, self._before, self._after)
        if self._level == "full":
            from ._activations import Activations

            self._activations = Activations(self._model, self._layers, self._is_wanted)
        run._watcher = self

    def close(self) -> None:
        self._run = None
        self._unhook()
        if self._activations is not None:
            self._activations.close()

    def reset(self) -> None:
        self._measured: list[Tensor] = []
        self._without_gradient: list[bool] = []
        self._found_inf: Optional[Tensor] = None
        if self._activations is not None:
            self._activations.take()

    def take(self, loss: Any) -> tuple[Measured, int, Optional[float]]:
        import torch

        outputs = self._activations.take() if self._activations is not None else {}
        outputs = outputs if self._measured else {}
        tensors = [table.reshape(-1) for table in self._measured]
        tensors += [value.reshape(1) for value in outputs.values()]
        flag = self._found_inf
        is_tensor = isinstance(loss, torch.Tensor)
        asked = [*tensors, *([flag.reshape(1)] if flag is not None else []),
                 *([loss.detach().reshape(1)] if is_tensor else [])]
        known = None if is_tensor else number(loss)
        fetch = to_host(asked)
        columns = Columns(self._counts, [members for members, _ in self._groups],
                          self._without_gradient, self._has_previous, list(outputs))
        has_stats = bool(self._measured)

        def measured() -> tuple[dict[str, list[Any]], Any]:
            values = fetch()
            now = values.pop()[0] if is_tensor else known
            skipped = flag is not None and values.pop()[0] > 0
            return (columns.fill(values) if has_stats and not skipped else {}), now

        count = sum(tensor.numel() for tensor in tensors)
        lr = self._lr if self._lr is not None else _lr_of(self._optimizer)
        self._lr = None
        self.reset()
        return measured, count, lr

    def _is_wanted(self) -> bool:
        run = self._run
        return run is not None and run.enabled and run.is_logged(run.next_step)

    @shielded()
    def _before(self) -> None:
        run = self._run
        if run is None or not run.enabled:
            return
        here = run.next_step
        kept, self._kept_at = self._kept_at, None
        logged = run.is_logged(here)
        if not logged and not (self._with_previous and run.is_logged(here + 1)):
            return  # this update is no previous one of any that is sent
        self._lr = _lr_of(self._optimizer) if logged else None
        follows = kept is not None and here - kept <= 1
        for _, moments in self._groups:
            moments.before(follows)
        self._kept_at, self._has_previous = here, follows and self._with_previous

    @shielded()
    def _after(self) -> None:
        run = self._run
        if run is None or self._kept_at != run.next_step or not run.is_logged(run.next_step):
            return
        measured = [moments.after() for _, moments in self._groups]
        self._without_gradient = [all(param.grad is None for param in layer.params)
                                  for layer in self._layers]
        # A fused optimizer is called although the gradients overflowed, and told so by this.
        self._found_inf = getattr(self._optimizer, "found_inf", None)
        self._measured = measured


class Columns:
    """Where the numbers that come from the devices go in a step's statistics."""

    def __init__(self, counts: Sequence[int], groups: Sequence[Sequence[int]],
                 without_gradient: Sequence[bool], has_previous: bool,
                 outputs: Sequence[tuple[str, int]]) -> None:
        self._counts = counts
        self._groups = groups
        self._without_gradient = without_gradient
        self._has_previous = has_previous
        self._outputs = outputs

    def fill(self, values: Sequence[Sequence[float]]) -> dict[str, list[Any]]:
        from ._moments import KEYS, NEEDS_GRADIENT, SUMS, statistics

        by_layer: list[list[float]] = [[]] * len(self._counts)
        for members, sums in zip(self._groups, values):
            for at, layer in enumerate(members):
                by_layer[layer] = statistics(sums[SUMS * at:SUMS * (at + 1)], self._counts[layer])
        stats: dict[str, list[Any]] = {key: list(column)
                                       for key, column in zip(KEYS, zip(*by_layer))}
        if any(self._without_gradient):
            for key in NEEDS_GRADIENT:
                stats[key] = [None if absent else value for absent, value in
                              zip(self._without_gradient, stats[key])]
        if not self._has_previous:
            del stats["gu_prev"]
        for (key, layer), value in zip(self._outputs, values[len(self._groups):]):
            stats.setdefault(key, [None] * len(self._counts))[layer] = value[0]
        return stats


def to_host(tensors: Sequence[Tensor]) -> Callable[[], list[list[float]]]:
    """Starts one copy a device; the result, called in the sender's thread, waits for them."""
    import torch

    by_device: dict[Any, list[int]] = {}
    for index, tensor in enumerate(tensors):
        by_device.setdefault(tensor.device, []).append(index)
    copies = [(indices, _start_copy(torch.cat([tensors[i].double() for i in indices])))
              for indices in by_device.values()]
    sizes = [tensor.numel() for tensor in tensors]

    def fetch() -> list[list[float]]:
        values: list[list[float]] = [[] for _ in sizes]
        for indices, wait in copies:
            flat, at = wait(), 0
            for index in indices:
                values[index] = flat[at:at + sizes[index]]
                at += sizes[index]
        return values

    return fetch


def _start_copy(flat: Tensor) -> Callable[[], list[float]]:
    """The job goes on while a CUDA copy is under way; other devices are waited for."""
    import torch

    if flat.device.type != "cuda":
        return flat.cpu().tolist
    with torch.cuda.device(flat.device):
        host = torch.empty(flat.shape, dtype=flat.dtype, pin_memory=True)
        host.copy_(flat, non_blocking=True)
        done: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record()

    def wait() -> list[float]:
        done.synchronize()
        return host.tolist()

    return wait


def hook_optimizer(optimizer: Any, before: Callable[[], None],
                   after: Callable[[], None]) -> Callable[[], None]:
    """Calls `before` and `after` around every optimizer.step(); returns what undoes it."""
    if hasattr(optimizer, "register_step_pre_hook"):
        handles = (optimizer.register_step_pre_hook(lambda *_: before()),
                   optimizer.register_step_post_hook(lambda *_: after()))

        def remove() -> None:
            for handle in handles:
                handle.remove()

        return remove
    return _wrap_step(optimizer, before, after)


def _wrap_step(optimizer: Any, before: Callable[[], None],
               after: Callable[[], None]) -> Callable[[], None]:
    """For torch before 2.0. A bound method, as learning rate schedulers expect to find."""
    original = optimizer.step
    own = optimizer.__dict__.get("step")

    @functools.wraps(original)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
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


def _lr_of(optimizer: Any) -> Optional[float]:
    return number(optimizer.param_groups[0].get("lr"))


def _initial(mean: float, var: float, low: float, high: float) -> dict[str, Any]:
    """Their shape is not known, only their moments."""
    if low == high:
        return {"distribution": "constant", "mean": mean}
    return {"distribution": "unknown", "mean": mean, "std": var ** 0.5, "low": low, "high": high}
