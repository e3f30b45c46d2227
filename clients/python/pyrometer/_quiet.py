"""Nothing of this package may raise into the job, and no cause is reported more than once."""
from __future__ import annotations

import functools
import threading
from typing import Any, Callable, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])

_seen: set[str] = set()
_seen_lock = threading.RLock()  # a signal's handler may come amid it


def warn_once(cause: str, message: str) -> None:
    """Logging, not warnings: `python -W error` would make a warning an exception in the job."""
    with _seen_lock:
        if cause in _seen:
            return
        _seen.add(cause)
    import logging  # a third of the time that importing this package would take

    try:
        logging.getLogger("pyrometer").warning("%s", message)
    except Exception:  # noqa: BLE001 - a handler of the job's, or a standard error that is closed
        pass


def forget_warnings() -> None:
    """Lets every cause be reported again (for tests)."""
    with _seen_lock:
        _seen.clear()


def unlock_after_fork() -> None:
    """Another thread may have held the lock when the process forked."""
    global _seen_lock
    _seen_lock = threading.RLock()


def report(where: str, error: BaseException) -> None:
    cause = f"{where}: {type(error).__name__}"
    warn_once(cause, f"{cause}: {error} (the job goes on; reported once)")


def shielded(otherwise: Any = None) -> Callable[[Method], Method]:
    """The method reports what it raises, once a cause, and returns `otherwise`."""

    def wrap(method: Method) -> Method:
        @functools.wraps(method)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - the job comes first
                report(method.__qualname__, error)
                return otherwise

        return guarded  # type: ignore[return-value]

    return wrap
