"""One try to connect, in a thread of its own.

A name server that does not answer keeps a lookup waiting for as long as the system likes, and a
host that does not answer keeps the connection; whoever waits for them here may do other things.
"""
from __future__ import annotations

import socket
import threading
from typing import Callable, Optional


class Attempt:
    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self.done = threading.Event()
        self._lock = threading.Lock()
        self._connect = connect
        self._is_forgotten = False
        self._socket: Optional[socket.socket] = None
        self._error: Optional[BaseException] = None
        try:
            threading.Thread(target=self._try, name="pyrometer-connect", daemon=True).start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            self._try()

    def result(self) -> socket.socket:
        """Once it is `done`."""
        if self._error is not None:
            raise self._error
        assert self._socket is not None
        return self._socket

    def forget(self) -> None:
        """Nobody wants the result."""
        with self._lock:
            self._is_forgotten = True
            if self._socket is not None:
                self._socket.close()

    def _try(self) -> None:
        try:
            sock = self._connect()
        except BaseException as error:  # noqa: BLE001 - raised by result()
            self._error = error
        else:
            with self._lock:
                self._socket = sock
                if self._is_forgotten:
                    sock.close()
        self.done.set()
