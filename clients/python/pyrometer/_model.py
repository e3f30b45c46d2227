"""What watch() puts around a model and its optimizer.

State k is the weights before the update, the gradient the optimizer used and the update to k+1.
Hooks around optimizer.step() see all three; run.step(loss) then sends them. A step that the
optimizer never took (a GradScaler that found an infinity) has a loss and no statistics.
"""
from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ._frame import Table
from ._fused import Fused, Moments
from ._layers import Layer
from ._moments import EXTREMES, KEYS, NEEDS_GRADIENT, SUMS, Exact, grouped, statistics
from ._quiet import report, warn_once
from ._run import Measured, Run, Stats
from ._text import number
from ._watch import hook_optimizer, is_plain_sgd, lr_of

if TYPE_CHECKING:
    from ._batch import Snapshot

# Where in the model parameters are: a module's parameters each, the name among them, and the parameter.
Places = tuple[list[Any], list[Any], list[Any]]
Sums = Union[Tensor, Moments, "Snapshot"]  # what a group of layers has measured: on its device, or on the host


class ModelWatcher:
    def __init__(self, model: nn.Module, optimizer: Optimizer, layers: Sequence[Layer],
                 level: str) -> None:
        self._model = model
        self._optimizer = optimizer
        self._layers = layers
        self._level = level
        self._params = [param for layer in layers for param in layer.params]
        self._is_on_cpu = all(param.device.type == "cpu" for param in self._params)
        self._places = find_places(model, self._params)
        self._gone: list[int] = []  # layers whose parameters the model has no longer
        # gu_prev is what plain SGD's stability is read from; the others have their momentum.
        self._with_previous = level == "full" or is_plain_sgd(optimizer)
        groups = list(grouped([layer.params for layer in layers], self._with_previous))
        self._groups = [moments for _, moments in groups]
        self._asks_devices = not all(isinstance(group, Fused) for group in self._groups)
        self._columns = Columns([layer.n for layer in layers], [members for members, _ in groups])
        self._size = len(KEYS) * len(layers)  # how many numbers a step is, without the outputs
        self._run: Optional[Run] = None
        self._activations: Any = None
        self._unhook: Callable[[], None] = lambda: None  # noqa: E731
        self._kept_at: Optional[int] = None  # the step whose weights are kept
        self._has_previous = False
        self._lr: Optional[float] = None
        self._measured: list[Sums] = []
        self._found_inf: Optional[Tensor] = None

    def describe(self) -> list[dict[str, Any]]:
        """The layers for the hello, with what their weights are now."""
        described = [layer.describe() for layer in self._layers]
        for group in self._groups:
            group.before(False)
        sums = [group.after() for group in self._groups]
        fetch = to_host([one.reshape(-1) for one in sums if isinstance(one, Tensor)])
        now = self._columns.fill(sums, iter(fetch()))
        for layer, *facts in zip(described, now["w_mean"], now["w_var"], now["w_min"],
                                 now["w_max"]):
            layer["init"] = _initial(*facts)
        if self._level != "full":
            self._forgo_extremes([low == high for low, high in zip(now["w_min"], now["w_max"])])
        return described

    def _forgo_extremes(self, is_constant: Sequence[bool]) -> None:
        """No thermometer reads them, and large layers pay a sixth more. But only they tell equal
        weights, whose variance is exactly none: where there are such layers they are measured."""
        self._columns.keep_extremes = False
        for members, group in zip(self._columns.groups, self._groups):
            if not isinstance(group, Exact):
                group.with_extremes = any(is_constant[layer] for layer in members)

    def attach(self, run: Run) -> None:
        self._run = run
        every = run.every
        also = every - 1 if self._with_previous else 0  # the step before one that is sent

        def before(*_: Any) -> None:
            here = run.next_step
            turn = here % every
            if turn == 0 or turn == also:
                try:
                    self._before(here, turn == 0)
                except Exception as error:  # noqa: BLE001 - the job comes first
                    report("watch, before a step", error)

        def after(*_: Any) -> None:
            here = run.next_step
            if here % every == 0 and here == self._kept_at:
                try:
                    self._after()
                except Exception as error:  # noqa: BLE001 - the job comes first
                    report("watch, after a step", error)

        self._unhook = hook_optimizer(self._optimizer, before, after, run, (0, also))
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
        if self._measured:
            self._measured = []
            self._found_inf = None
        if self._activations is not None:
            self._activations.take()

    def take(self, loss: Any) -> tuple[Measured, int, Optional[float]]:
        try:
            return self._take(loss)
        finally:  # also of a loss that is none
            self.reset()

    def _take(self, loss: Any) -> tuple[Measured, int, Optional[float]]:
        measured = self._measured
        taken = Taken(self._columns, measured)
        asked: list[Tensor] = []
        if measured:
            taken.has_previous = self._has_previous
            taken.without_gradient = self._without_gradient
            taken.gone = self._gone
            if self._asks_devices:
                asked = [sums.reshape(-1) for sums in measured if isinstance(sums, Tensor)]
            if self._activations is not None:
                outputs = self._activations.take()
                taken.outputs = list(outputs)
                asked += [value.reshape(1) for value in outputs.values()]
        if self._found_inf is not None:
            taken.is_flagged = True
            asked.append(self._found_inf.reshape(1))
        if not isinstance(loss, Tensor):
            taken.loss = number(loss)
        elif self._is_on_cpu or loss.device.type == "cpu":
            taken.loss = loss.item()
        else:
            taken.has_loss_to_come = True
            asked.append(loss.detach().reshape(1))
        if asked:
            taken.fetch = to_host(asked)
        lr = self._lr if self._lr is not None else lr_of(self._optimizer)
        self._lr = None
        return taken.read, self._size + len(taken.outputs) if measured else 0, lr

    def _is_wanted(self) -> bool:
        run = self._run
        return run is not None and run.enabled and run.is_logged(run.next_step)

    def _before(self, here: int, is_sent: bool) -> None:
        """Of a step that is sent, or of the one before, whose update that one wants to know."""
        if self._run is None or not self._run.enabled:
            return
        kept, self._kept_at = self._kept_at, None
        self._lr = lr_of(self._optimizer) if is_sent else None
        follows = kept is not None and here - kept <= 1
        for group in self._groups:
            group.before(follows, is_sent)
        self._kept_at, self._has_previous = here, follows and self._with_previous

    def _after(self) -> None:
        """Of a step whose weights were kept."""
        if self._run is None:
            return
        measured = [group.after() for group in self._groups]
        homes, names, params = self._places
        if not all(map(operator.is_, map(dict.get, homes, names), params)):
            self._find_gone()
        self._without_gradient: Sequence[bool] = ()
        if True in [group.may_lack_gradients for group in self._groups]:
            self._without_gradient = [all(param.grad is None for param in layer.params)
                                      for layer in self._layers]
        # A fused optimizer is called although the gradients overflowed, and told so by this.
        self._found_inf = getattr(self._optimizer, "found_inf", None)
        self._measured = measured

    def _find_gone(self) -> None:
        """Parameters are not where they were: moved, as pruning does, or replaced."""
        self._places = find_places(self._model, self._params)
        left = set(map(id, self._places[2]))
        self._gone = [at for at, layer in enumerate(self._layers)
                      if any(id(param) not in left for param in layer.params)]
        if self._gone:
            warn_once("gone", f"the model has other parameters than when it was watched: layer "
                              f"{self._layers[self._gone[0]].name} and others whose parameters were "
                              "replaced are not measured any more; watch() it again for that")


def find_places(model: nn.Module, params: Iterable[Tensor]) -> Places:
    wanted = {id(param) for param in params}
    places: Places = ([], [], [])
    for module in model.modules():
        home = module._parameters
        for name, param in home.items():
            if param is not None and id(param) in wanted:
                wanted.remove(id(param))
                # A scripted module's are no dict, and stay.
                for column, part in zip(places, (home if isinstance(home, dict) else {name: param},
                                                 name, param)):
                    column.append(part)
    return places


class Taken:
    """What was measured in one step, until the sender asks for the numbers."""

    # As the class has them: what a small step does not need it does not pay for.
    fetch: Optional[Callable[[], list[list[float]]]] = None
    outputs: Sequence[tuple[str, int]] = ()  # key and layer
    without_gradient: Sequence[bool] = ()
    gone: Sequence[int] = ()  # layers that are not measured any more
    has_previous = False
    is_flagged = False  # whether the optimizer was told of an infinity comes among the numbers
    has_loss_to_come = False  # so does the loss
    loss: Optional[float] = None

    def __init__(self, columns: Columns, measured: Sequence[Sums]) -> None:
        self._columns = columns
        self._measured = measured

    def read(self) -> tuple[Union[Stats, Table], Optional[float]]:
        """The statistics and the loss. In the sender's thread: may wait for the device."""
        values = self.fetch() if self.fetch is not None else []
        loss = values.pop()[0] if self.has_loss_to_come else self.loss
        if (self.is_flagged and values.pop()[0] > 0) or not self._measured:
            return {}, loss
        if not (self.outputs or self.gone or any(self.without_gradient)):
            table = self._columns.table(self._measured, self.has_previous)
            if table is not None:
                return table, loss
        stats = self._columns.fill(self._measured, iter(values))
        if any(self.without_gradient):
            for key in NEEDS_GRADIENT:
                stats[key] = [None if absent else value for absent, value in
                              zip(self.without_gradient, stats[key])]
        for layer in self.gone:
            for column in stats.values():
                column[layer] = None
        if not self.has_previous:
            del stats["gu_prev"]
        for (key, layer), value in zip(self.outputs, values[len(values) - len(self.outputs):]):
            stats.setdefault(key, [None] * len(self._columns.counts))[layer] = value[0]
        return stats, loss


class Columns:
    """Where the numbers of each group of layers go."""

    def __init__(self, counts: Sequence[int], groups: Sequence[Sequence[int]]) -> None:
        self.counts = counts
        self.groups = groups
        self.keep_extremes = True

    def table(self, measured: Sequence[Sums], with_previous: bool) -> Optional[Table]:
        """Of what C measured of all layers and a frame takes as it is; else None."""
        if self.keep_extremes or len(measured) > 1 or not isinstance(measured[0], Moments):
            return None
        return measured[0].table(with_previous) if measured[0].fits else None

    def fill(self, measured: Sequence[Sums],
             values: Iterator[Sequence[float]]) -> dict[str, list[Any]]:
        """`measured`: one a group; of a device's sums the numbers are the next of `values`."""
        keys = KEYS if self.keep_extremes else KEYS[:-len(EXTREMES)]
        if len(measured) == 1 and not isinstance(measured[0], Tensor):  # all layers, in their order
            return dict(zip(keys, measured[0].columns()))
        by_layer: list[Sequence[float]] = [()] * len(self.counts)
        for members, sums in zip(self.groups, measured):
            rows: Iterable[Sequence[float]] = (
                self._rows(members, next(values)) if isinstance(sums, Tensor) else
                zip(*sums.columns()))
            for layer, row in zip(members, rows):
                by_layer[layer] = row
        return {key: list(column) for key, column in zip(keys, zip(*by_layer))}

    def _rows(self, members: Sequence[int], sums: Sequence[float]) -> list[list[float]]:
        return [statistics(sums[SUMS * at:SUMS * (at + 1)], self.counts[layer])
                for at, layer in enumerate(members)]


def to_host(tensors: Sequence[Tensor]) -> Callable[[], list[list[float]]]:
    """Starts one copy a device; the result, called in the sender's thread, waits for them."""
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


def _initial(mean: float, var: float, low: float, high: float) -> dict[str, Any]:
    """Their shape is not known, only their moments."""
    if low == high:
        return {"distribution": "constant", "mean": mean}
    return {"distribution": "unknown", "mean": mean, "std": var ** 0.5, "low": low, "high": high}
