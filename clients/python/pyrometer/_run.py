"""A run as the job sees it: numbered steps, events, an end. Nothing here raises or waits."""
from __future__ import annotations

import atexit
import functools
import os
import re
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional, Protocol, Union

from . import _quiet
from ._frame import Table
from ._quiet import report, shielded, warn_once
from ._sender import DEFAULT_PORT, SPILL_GRACE_S, Sender, split_address
from ._spool import SPOOL_BYTES, default_root
from ._text import encode, number

if TYPE_CHECKING:
    from pathlib import Path

Resume = Union[str, Mapping[str, int]]
Stats = Mapping[str, Sequence[Any]]
Measured = Callable[[], tuple[Union[Stats, Table], Any]]  # the statistics and the loss, when the sender asks

_NONE: Stats = {}

QUEUE_BYTES = 64 << 20
VALUE_BYTES = 24  # a number in a line, roughly, before it is written
STATUSES = ("completed", "failed", "stopped")
MODES = ("online", "offline", "disabled")
RUN_NAME = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_alive: weakref.WeakSet[Run] = weakref.WeakSet()
_ending: list[Sender] = []  # of runs that are finished, with something left to keep
_newest: Optional[Run] = None  # what log() and finish() speak of


class Watcher(Protocol):
    """What measures a model between one step and the next."""

    def take(self, loss: Any) -> tuple[Measured, int, Optional[float]]:
        """What was measured for this step, how many values that is, and the step's lr."""

    def reset(self) -> None:
        """Drops what was measured for a step that is not sent."""

    def close(self) -> None:
        """Takes the hooks off."""


class Run:
    """Made by watch() or init(). A disabled run accepts every call and does nothing."""

    def __init__(self, name: str, sender: Optional[Sender], layers: Sequence[str] = (),
                 every: int = 1, first_step: int = 0) -> None:
        self.name = name
        self._sender = sender
        self._layers = layers  # their names
        self.every = every
        self.next_step = int(first_step)  # the number the next step() will have
        self._watcher: Optional[Watcher] = None
        self._last_moment = 0.0
        self._lock = threading.RLock()  # threads may share a run, and signals' handlers use it
        # Called in the client's thread with each alert of the run that fires or resolves, as the
        # REST API shows it. What it raises is reported; it should not take long.
        self.alert_callback: Optional[Callable[[dict[str, Any]], None]] = None
        if sender is not None:
            sender.on_alert = self._hear_alert
            _alive.add(self)

    @property
    def enabled(self) -> bool:
        return self._sender is not None

    def is_logged(self, step: int) -> bool:
        """Whether a step of this number is sent (`every`)."""
        return step % self.every == 0

    def step(self, loss: Any, val_loss: Any = None, lr: Any = None,
             batch_size: Optional[int] = None, scalars: Optional[Mapping[str, Any]] = None, *,
             step: Optional[int] = None) -> None:
        """One training step is done: after backward() and optimizer.step().

        `loss` is the loss at the weights before the update: a number or a tensor of one.
        """
        if step is None and self.next_step % self.every:
            self.next_step += 1  # nearly all steps of a job with `every`: no more than this
            return
        try:
            self._step(loss, val_loss, lr, batch_size, scalars, step)
        except Exception as error:  # noqa: BLE001 - the job comes first
            report("Run.step", error)

    def _step(self, loss: Any, val_loss: Any, lr: Any, batch_size: Optional[int],
              scalars: Optional[Mapping[str, Any]], step: Optional[int]) -> None:
        sender = self._sender
        if sender is None:
            return
        with self._lock:
            watcher = self._watcher
            here: Optional[int] = self.next_step
            if step is None:
                self.next_step += 1
            else:
                here = self._number_step(step)
            if here is None or here % self.every:
                if watcher is not None:
                    watcher.reset()
                return
            if watcher is not None:
                measured, count, group_lr = watcher.take(loss)
                lr = group_lr if lr is None else lr
            else:
                measured, count = _known({}, number(loss)), 0
            _send_step(sender, here, measured, count, _facts(lr, batch_size, val_loss, scalars))

    @shielded()
    def log_layers(self, step: int, loss_or_names: Any = None, stats: Stats = _NONE, *,
                   loss: Any = None, val_loss: Any = None, lr: Any = None,
                   batch_size: Optional[int] = None,
                   scalars: Optional[Mapping[str, Any]] = None) -> None:
        """A step whose statistics the job computed: an entry a layer, None for 'not measured'.

        `log_layers(step, loss, stats)`: of every layer, in the run's order.
        `log_layers(step, names, stats, loss=...)`: of the layers in this list of names; the others
        are not measured.
        """
        sender = self._sender
        if sender is None:
            return
        names = self._layers
        if isinstance(loss_or_names, Sequence) and not isinstance(loss_or_names, str):
            names = loss_or_names
        elif loss_or_names is not None:
            loss = loss_or_names
        columns = {key: [number(value) for value in column] for key, column in stats.items()}
        for key, column in columns.items():
            if len(column) != len(names):
                raise ValueError(f"{key} has {len(column)} entries for {len(names)} layers; "
                                 "the step is not sent")
        if names is not self._layers:
            columns = self._in_order(names, columns)
        measured, facts = _known(columns, number(loss)), _facts(lr, batch_size, val_loss, scalars)
        with self._lock:
            here = self._number_step(step)
            if here is not None and self.is_logged(here):
                _send_step(sender, here, measured, sum(map(len, columns.values())), facts)

    def _in_order(self, names: Sequence[str],
                  columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """An entry for each of the run's layers."""
        rows = {name: at for at, name in enumerate(names)}
        wrong = sorted(map(str, rows.keys() - set(self._layers)))
        if wrong or len(rows) < len(names):
            what = f"the run has no layer {wrong[0]!r}" if wrong else "a layer is named twice"
            raise ValueError(f"{what}; the step is not sent")
        places = [rows.get(name) for name in self._layers]
        return {key: [None if at is None else column[at] for at in places]
                for key, column in columns.items()}

    @shielded()
    def event(self, name: str, **data: Any) -> None:
        """An annotation at the coming step: `checkpoint`, `epoch` or any other name."""
        if self._sender is not None:
            self._send({"type": "event", "step": self.next_step, "time": self._moment(),
                        "name": str(name), "data": data})

    @shielded()
    def scalars(self, values: Mapping[str, Any], step: Optional[int] = None) -> None:
        """Numbers of the whole run by name, of a step that is done: the last, if none is given."""
        if self._sender is not None and values:
            here = max(0, self.next_step - 1) if step is None else int(step)
            self._send({"type": "scalars", "step": here, "time": self._moment(),
                        "scalars": _numbers(values)})

    @shielded()
    def outputs(self, bins: Sequence[float], counts: Sequence[float]) -> None:
        """A histogram of what the model puts out now: the bins' edges, or a value a bin; counts."""
        if self._sender is not None:
            self._send({"type": "outputs", "step": self.next_step,
                        "bins": [float(one) for one in bins],
                        "counts": [float(one) for one in counts]})

    def refresh(self) -> None:
        """The training data changed: a new Type II state begins with the coming step."""
        self.event("data_refresh")

    @shielded()
    def finish(self, status: str = "completed", timeout: float = 5.0) -> None:
        """Sends what is left and the end, waiting at most `timeout` seconds; once."""
        if status not in STATUSES:
            warn_once("status", f"status is {status!r}, expected one of {STATUSES}; "
                                "sent as 'stopped'")
            status = "stopped"
        sender, self._last_counters = self._sender, self.counters()
        self._sender = None
        _alive.discard(self)
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        if sender is None:
            return
        if sender.is_own_thread():  # that of alert_callback: it has to go on to send what is left
            threading.Thread(target=sender.finish, args=(status, timeout)).start()
            return
        _ending.append(sender)
        sender.finish(status, timeout)
        self._last_counters = sender.counters()
        if sender.has_ended(0):
            _ending.remove(sender)

    _last_counters: dict[str, Any] = {"sent": 0, "acked": 0, "queued": 0, "queued_bytes": 0,
                                      "spooled": 0, "dropped": 0, "lag": 0.0}

    def counters(self) -> dict[str, Any]:
        """Steps sent and acked; messages queued in memory, spooled on disk and dropped; lag.

        `lag` is the age in seconds of the oldest message in memory that is not acknowledged.
        """
        sender = self._sender
        return dict(self._last_counters) if sender is None else sender.counters()

    def _hear_alert(self, alert: dict[str, Any]) -> None:
        try:
            if self.alert_callback is not None:
                self.alert_callback(alert)
        except BaseException as error:  # noqa: BLE001 - sys.exit() too would end this thread alone
            report("Run.alert_callback", error)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        if kind is None:
            self.finish("completed")
        else:
            self.finish("failed" if issubclass(kind, Exception) else "stopped")

    def _number_step(self, step: int) -> Optional[int]:
        """The number of this step; None if it does not go forward."""
        here = int(step)
        if here < self.next_step:
            warn_once("backwards", f"step {here} comes after step {self.next_step - 1}: steps "
                                   "only go forward, it is not sent. After going back to a "
                                   "checkpoint begin the run again with "
                                   "resume={'rewind': step}")
            return None
        self.next_step = here + 1
        return here

    def _send(self, message: dict[str, Any]) -> None:
        """Written at once: what the job handed over it may change."""
        sender = self._sender
        if sender is not None:
            sender.put_line(encode(message))

    def _moment(self) -> float:
        """Now, and later than any before: the daemon knows by it what is sent again."""
        with self._lock:
            self._last_moment = max(time.time(), self._last_moment + 1e-6)
            return self._last_moment

    def _forked(self) -> None:
        """The child of a fork has no sender thread, and the run is the parent's."""
        sender, self._sender = self._sender, None
        self._lock = threading.RLock()  # another thread may have held it
        if sender is not None:
            sender.close_after_fork()

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy (of a model that the job keeps its run in, say) is silent, too."""
        return Run, (self.name, None)


def _send_step(sender: Sender, step: int, measured: Measured, count: int,
               facts: dict[str, Any]) -> None:
    if "scalars" in facts:
        count += 2 * len(facts["scalars"])
    sender.put(functools.partial(_message, measured, step, time.time(), facts),
               200 + VALUE_BYTES * count, step)


def _message(measured: Measured, step: int, moment: float, facts: dict[str, Any]) -> dict[str, Any]:
    stats, loss = measured()
    return {"type": "step", "step": step, "time": moment, "loss": loss, **facts,
            **({"stats": stats} if stats else {})}


def _known(stats: Stats, loss: Any) -> Measured:
    return lambda: (stats, loss)


def _facts(lr: Any, batch_size: Optional[int], val_loss: Any,
           scalars: Optional[Mapping[str, Any]]) -> dict[str, Any]:
    """What stands beside the loss; absent where the job did not say."""
    facts: dict[str, Any] = {} if lr is None else {"lr": float(lr)}
    if val_loss is not None:
        facts["val_loss"] = float(val_loss)
    if batch_size is not None:
        facts["batch_size"] = int(batch_size)
    if scalars:
        facts["scalars"] = _numbers(scalars)
    return facts


def _numbers(scalars: Mapping[str, Any]) -> dict[str, Optional[float]]:
    return {str(key): number(value) for key, value in scalars.items()}


def init(run: Optional[str] = None, layers: Sequence[Any] = (), *, project: Optional[str] = None,
         server: Optional[str] = None, token: Optional[str] = None, mode: Optional[str] = None,
         every: Optional[int] = None, loss: str = "other", optimizer: Optional[Mapping[str, Any]] = None,
         batch_size: Optional[int] = None, dataset_size: Optional[int] = None,
         resume: Resume = "continue", first_step: Optional[int] = None,
         tags: Optional[Mapping[str, str]] = None, rank: Optional[int] = None,
         world_size: Optional[int] = None, shards: bool = False, queue_bytes: int = QUEUE_BYTES,
         frames: bool = True, spool: Optional[str] = None, spool_bytes: int = SPOOL_BYTES,
         dir: Optional[str] = None) -> Run:
    """A run whose job computes its own statistics. `layers`: (name, parameters) or dicts.

    See watch() for the rest. log() and finish() speak of the newest run.
    """
    global _newest
    try:
        name = run or os.environ.get("PYROMETER_RUN") or default_name()
        rank = rank_of_shards(shards, rank, run)
        if not wanted(mode, rank):
            _newest = Run(name, None)
            return _newest
        listed = [dict(layer) if isinstance(layer, Mapping) else
                  {"name": str(layer[0]), "n": int(layer[1])} for layer in layers]
        pace = chosen_every(every)
        start = first_step if first_step is not None else _rewound(resume) + 1
        ranks = _ranks(rank, world_size)
        facts = {"project": project or os.environ.get("PYROMETER_PROJECT"),
                 "token": token or os.environ.get("PYROMETER_TOKEN"),
                 "tags": dict(tags) if tags else None, "loss": loss,
                 "optimizer": dict(optimizer) if optimizer else None, "batch_size": batch_size,
                 "dataset_size": dataset_size, **ranks,
                 "shards": True if shards and ranks else None,
                 "resume": dict(resume) if isinstance(resume, Mapping) else resume}
        hello = {"type": "hello", "protocol": 1, "run": _valid_name(name), "layers": listed,
                 "notify": True,
                 **{key: value for key, value in facts.items() if value is not None}}
        offline = chosen_mode(mode) == "offline"
        root = _offline_root(dir) if offline else _spool_root(spool, spool_bytes)
        sender = Sender(None if offline else _valid_server(server), hello, queue_bytes, start,
                        frames, root, spool_bytes)
        _newest = Run(name, sender, [str(layer.get("name")) for layer in listed], pace, start)
        return _newest
    except Exception as error:  # noqa: BLE001 - the job comes first
        _newest = disabled("init", error)
        return _newest


def log_layers(step: int, loss_or_names: Any = None, stats: Stats = _NONE, **facts: Any) -> None:
    """`Run.log_layers` of the newest run; nothing when there is none."""
    if _newest is not None:
        _newest.log_layers(step, loss_or_names, stats, **facts)


log = log_layers


def finish(status: str = "completed", timeout: float = 5.0) -> None:
    """Ends the newest run; nothing when there is none."""
    if _newest is not None:
        _newest.finish(status, timeout)


def disabled(where: str, error: Exception) -> Run:
    """What a run that could not be made is instead."""
    warn_once(f"{where}: {error}", f"{where}: {type(error).__name__}: {error}; "
                                   "nothing is sent, the job goes on")
    return Run("disabled", None)


def wanted(mode: Optional[str], rank: Optional[int]) -> bool:
    """Whether this process is to send: not when disabled, and of several ranks the first alone.

    A job that passes `rank` wants every rank and names the runs apart itself.
    """
    return chosen_mode(mode) != "disabled" and (rank is not None or _own_rank() == 0)


def chosen_mode(mode: Optional[str]) -> str:
    mode = mode or os.environ.get("PYROMETER_MODE") or "online"
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}, expected one of {MODES}")
    return mode


def _offline_root(directory: Optional[str]) -> Path:
    from pathlib import Path

    return Path(directory or os.environ.get("PYROMETER_DIR") or "pyrometer-runs").absolute()


def _spool_root(spool: Optional[str], spool_bytes: int) -> Optional[Path]:
    """None: nothing goes to disk."""
    from pathlib import Path

    if spool_bytes <= 0 or spool == "" or os.environ.get("PYROMETER_SPOOL") == "":
        return None
    try:
        return Path(spool).absolute() if spool else default_root().absolute()
    except RuntimeError as error:  # a user that the system does not know, without HOME
        warn_once("home", f"{error} PYROMETER_SPOOL or XDG_STATE_HOME may name a place; without one "
                          "what cannot be delivered waits in memory alone")
        return None


def default_name() -> str:
    """The script's name, the time and something random, so that no two jobs meet in one run."""
    script = os.path.splitext(os.path.basename(sys.argv[0] if sys.argv else ""))[0]
    script = re.sub(r"[^A-Za-z0-9._:-]", "-", script)[:80] or "run"
    return f"{script}-{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(2).hex()}"


def rank_of_shards(shards: bool, rank: Optional[int], run: Optional[str]) -> Optional[int]:
    """With shards every rank sends, under one name."""
    if not shards:
        return rank
    if not (run or os.environ.get("PYROMETER_RUN")):
        raise ValueError("shards need a run name that all ranks pass")
    return _own_rank() if rank is None else rank


def _own_rank() -> int:
    distributed = _distributed()
    return int(distributed.get_rank()) if distributed else _whole("RANK") or 0


def _ranks(rank: Optional[int], world_size: Optional[int]) -> dict[str, Any]:
    """For the hello; a rank means nothing there without the number of them."""
    if rank is not None and world_size is None:
        distributed = _distributed()
        world_size = distributed.get_world_size() if distributed else _whole("WORLD_SIZE")
    return {} if rank is None or world_size is None else {"rank": rank, "world_size": world_size}


def chosen_every(every: Optional[int]) -> int:
    text = os.environ.get("PYROMETER_EVERY") or "1"
    name, said = ("PYROMETER_EVERY", repr(text)) if every is None else ("every", repr(every))
    steps = text if every is None else str(every)
    if not (steps.isdigit() and int(steps) > 0):
        raise ValueError(f"{name} is {said}, expected a whole number of steps, 1 or more")
    return int(steps)


def _distributed() -> Any:
    """torch.distributed if the job uses it."""
    module = getattr(sys.modules.get("torch"), "distributed", None)
    return module if module and module.is_available() and module.is_initialized() else None


def _whole(name: str) -> Optional[int]:
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() else None


def _rewound(resume: Resume) -> int:
    """The last step that stays, -1 without a rewind."""
    if isinstance(resume, Mapping):
        if set(resume) != {"rewind"}:
            raise ValueError(f"resume is {dict(resume)!r}, expected 'continue' or "
                             "{'rewind': step}")
        return int(resume["rewind"])
    if resume != "continue":
        raise ValueError(f"resume is {resume!r}, expected 'continue' or {{'rewind': step}}")
    return -1


def _valid_name(name: str) -> str:
    if not RUN_NAME.fullmatch(name):
        raise ValueError(f"run is {name!r}, expected 1 to 128 of A-Z a-z 0-9 . _ : -")
    return name


def _valid_server(server: Optional[str]) -> str:
    server = server or os.environ.get("PYROMETER_SERVER") or f"127.0.0.1:{DEFAULT_PORT}"
    if server.startswith("unix:"):  # also when the job changes its working directory
        return "unix:" + os.path.abspath(server[len("unix:"):])
    split_address(server)
    return server


@atexit.register
def _finish_all() -> None:
    # The interpreter leaves the exception that ends a script in sys.last_type.
    error = getattr(sys, "last_type", None)
    status = ("completed" if error is None else "stopped" if error is KeyboardInterrupt
              else "failed")
    deadline = time.monotonic() + 5.0
    for run in list(_alive):
        run.finish(status, timeout=max(0.1, deadline - time.monotonic()))
    for sender in _ending:
        left = deadline + SPILL_GRACE_S - time.monotonic()
        sender.has_ended(max(0.0, min(SPILL_GRACE_S, left)))


def _after_fork() -> None:
    _quiet.unlock_after_fork()
    for run in list(_alive):
        run._forked()
    _alive.clear()
    _ending.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
