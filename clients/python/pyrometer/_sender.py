"""The way to the daemon: one daemon thread that owns the socket (_connection.py is one of its lives).

connect -> hello -> welcome (says what is on disk already) -> steps and events -> acks, and again
from the top, after a pause that grows, when the connection is lost. While there is none, what the
job sends goes to the spool on disk, and comes from there first when there is one again. After a
refusal that another try cannot mend everything goes to the spool.
"""
from __future__ import annotations

import functools
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Optional

from . import _frame
from ._attempt import Attempt
from ._connection import SPILL_EVERY_S, Connection, Refused, Superseded
from ._queue import Entry, Queue
from ._quiet import report, warn_once
from ._spool import ENTRY_OVERHEAD, SEGMENT_BYTES, SPOOL_BYTES, Spool, left_behind, open_left_behind
from ._text import encode

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_PORT = 27315
TLS = "tls://"
CONNECT_TIMEOUT_S = 5.0
SPILL_GRACE_S = 2.0  # for writing what could not be sent in time
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


class Sender:
    """`address` None: offline, everything goes to the spool, which is kept.

    `spool_root` None: nothing goes to disk. `adopted` is a spool that another process left: it
    alone is delivered, by the thread of `owner`, which keeps an eye on its own queue meanwhile.
    """

    def __init__(self, address: Optional[str], hello: dict[str, Any], queue_bytes: int,
                 first_step: int = 0, frames: bool = True, spool_root: Optional[Path] = None,
                 spool_bytes: int = SPOOL_BYTES, adopted: Optional[Spool] = None,
                 owner: Optional[Sender] = None) -> None:
        self.queue = Queue(queue_bytes)
        self.refusal: Optional[str] = None
        self.address = address
        self.hello = hello
        self.first_step = first_step  # of this process
        self.frames = frames  # steps as binary frames, where the daemon reads them
        self.status: Optional[str] = None  # set: finish with it
        self.has_end = True  # an adopted spool may have none: its process was killed
        self._abandoned = False
        self._is_deaf = False  # nothing is taken any more
        self._owner = owner or self
        self.is_adopted = adopted is not None
        self._adopting: Optional[Sender] = None  # that delivers an older spool now
        self.on_alert: Optional[Callable[[dict[str, Any]], None]] = None
        self.stop = threading.Event()  # ends every pause
        self.pause_s = FIRST_PAUSE_S
        self.welcomed = False
        self.is_delivered = False  # to the end, as the daemon said
        self._spool_root = spool_root
        # A segment that is brought back from disk must not crowd the queue.
        self.spool = adopted or Spool(spool_root, hello, spool_bytes,
                                      min(SEGMENT_BYTES, queue_bytes // 4))
        self._spilled_at = time.monotonic()
        self.wake_read, self._wake_write = socket.socketpair()
        self.wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._socket: Optional[socket.socket] = None
        self._thread: Optional[threading.Thread] = None
        if adopted is None:
            self._thread = threading.Thread(target=self._main, name="pyrometer", daemon=True)
            self._thread.start()

    def put(self, build: Callable[[], dict[str, Any]], size: int, step: Optional[int]) -> None:
        if self.status is None and not self._is_deaf and self.queue.put(Entry(build, size, step)):
            self._wake()

    def put_line(self, line: bytes) -> None:
        """A message that is not acknowledged by itself."""
        if (self.status is None and not self._is_deaf
                and self.queue.put(Entry(None, len(line), None, line))):
            self._wake()

    def finish(self, status: str, timeout_s: float) -> bool:
        """Sends what is left and the end; True if all of it is known to be on the daemon's disk.

        What could not be sent in time goes to the spool.
        """
        self.status = status
        self.stop.set()
        self._wake()
        assert self._thread is not None
        try:
            self._thread.join(timeout_s)
        finally:  # also when the job is interrupted here
            self._abandoned = True
            self._wake()
            self._thread.join(SPILL_GRACE_S)
        left = self.queue.steps_left()
        if left:
            warn_once(f"unconfirmed {self.hello['run']}",
                      f"run {self.hello['run']}: {left} steps were not confirmed by "
                      f"{self.address} within {timeout_s:g} s; they may be lost")
        return left == 0 and self.refusal is None and self.spool.count() == 0

    def counters(self) -> dict[str, Any]:
        return {**self.queue.counters(), "spooled": self.spool.count(),
                "dropped": self.queue.dropped + self.spool.dropped}

    def close_after_fork(self) -> None:
        """In the child: let go of the parent's sockets and files, without a word on them."""
        for sock in (self._socket, self.wake_read, self._wake_write):
            if sock is not None:
                sock.close()
        self.spool.release()
        if self._adopting is not None:
            self._adopting.close_after_fork()

    @property
    def abandoned(self) -> bool:
        """Time is up: what could not be delivered is only kept."""
        return self._owner._abandoned

    def is_own_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def has_ended(self, timeout_s: float) -> bool:
        """Whether all that can be done is done; it is waited for at most so long."""
        assert self._thread is not None
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def meanwhile(self) -> None:
        """To be called once a second while the daemon is waited for, or busy with an older spool."""
        if self.abandoned:
            raise ConnectionError("there is no time left to wait for it")
        if time.monotonic() - self._owner._spilled_at >= SPILL_EVERY_S:
            self._owner.spill()

    def spill(self) -> None:
        """What waits goes to the disk, where it survives this process."""
        self._spilled_at = time.monotonic()
        self.say_overflow()
        self.spool.try_again(at_once=self.status is not None)
        while not self.spool.broken:
            entries = self.queue.take_for_spool()
            if not entries:
                break
            for entry in entries:
                if not self._make_line(entry):
                    self.queue.dropped += 1
                else:
                    self.spool.append(entry.data, entry.step)
        self.spool.flush()
        self.take_back()

    def say_overflow(self) -> None:
        if self.queue.overflowed:
            warn_once(f"overflow {self.hello['run']}",
                      f"run {self.hello['run']}: more waits to be sent than memory (queue_bytes) "
                      "and disk have room for; the oldest steps are dropped and counted")

    def take_back(self) -> None:
        """What the disk did not take is in memory again."""
        self.queue.put_back([Entry(None, len(line.data) + ENTRY_OVERHEAD, line.step, line.data)
                             for line in self.spool.take_back()])

    def _make_line(self, entry: Entry) -> bool:
        try:
            if entry.build is not None:
                entry.data, entry.build = encode(entry.build()), None
            elif entry.is_frame:
                entry.data = encode(_frame.decode_step(entry.data, len(self.hello["layers"])))
            entry.is_frame = False
            return True
        except Exception as error:  # noqa: BLE001 - one bad message, not the others
            warn_once("encode", f"a message could not be written: {type(error).__name__}: {error}")
            return False

    def _wake(self) -> None:
        try:
            self._wake_write.send(b"!")
        except OSError:
            pass  # full: it is awake; closed: it is gone

    def _main(self) -> None:
        try:
            if self.address is not None:
                self._deliver()
            if not self._is_deaf and not self.is_delivered:
                self._keep()
        except Exception as error:  # noqa: BLE001 - a defect here may not reach the job
            report("Sender._keep", error)
        finally:
            self.spool.close()
            self.wake_read.close()
            self._wake_write.close()

    def _deliver(self) -> None:
        """Until all is delivered, the daemon refuses, or time is up."""
        try:
            self._deliver_left_behind()
            while not self.abandoned and not self.one_connection():
                self._pause()
        except Superseded as refusal:  # kept, it would be delivered into the other's run later
            self.refusal = str(refusal)
            warn_once(f"superseded {self.hello['run']}",
                      f"{self.address}: run {self.hello['run']}: {refusal}; nothing more of this "
                      "process is sent or kept, the job goes on")
            self._is_deaf = True
            self.queue.clear()
            self.spool.discard()
        except Refused as refusal:
            self.refusal = str(refusal)
            where = "" if self.spool.broken else (f" What it measures is kept below "
                                                  f"{self._spool_root}; `pyrometer sync` delivers "
                                                  "it later.")
            warn_once(f"refused {self.hello['run']}",
                      f"{self.address} refused run {self.hello['run']}: {refusal}; "
                      f"nothing more is sent, the job goes on.{where}")
            if self.spool.broken:
                self.queue.clear()
        except Exception as error:  # noqa: BLE001 - a defect here may not cost what is measured
            self.refusal = f"{type(error).__name__}: {error}"
            warn_once("sender", f"the sender failed: {self.refusal}; nothing more is sent")

    def _deliver_left_behind(self) -> None:
        """What an earlier process of this run could not deliver comes before anything of ours."""
        if self._spool_root is None:
            return
        for path in left_behind(self._spool_root, self.hello["run"]):
            found = open_left_behind(path)
            if found is None:
                continue
            spool, hello, status = found
            other = Sender(self.address, {**hello, **_token(self.hello)}, 8 * SEGMENT_BYTES,
                           frames=self.frames, adopted=spool, owner=self)
            other.status, other.has_end = status or "stopped", status is not None
            self._adopting = other
            try:
                while not self.abandoned and not other.one_connection():
                    self._pause()
            except Refused as refusal:
                warn_once(f"left {path}", f"{path}: the daemon refused what an earlier process left "
                                          f"there: {refusal}; it stays there")
            finally:
                self._adopting = None
                other.queue.send_again()
                spool.close()
                other.wake_read.close()
                other._wake_write.close()

    def _pause(self) -> None:
        """Between two tries; what comes meanwhile goes to disk."""
        until = time.monotonic() + (0.5 + os.urandom(1)[0] / 512) * self.pause_s
        self.pause_s = min(2 * self.pause_s, LONGEST_PAUSE_S)
        if self.stop.is_set():  # finishing: no long pauses, but no spinning either
            time.sleep(0.1)
            return
        while (left := until - time.monotonic()) > 0 and not self.stop.is_set():
            self.stop.wait(min(left, SPILL_EVERY_S))
            self.spill()

    def _keep(self) -> None:
        """No daemon, or none any more: the rest of the run goes to the spool."""
        while self.status is None:
            self.queue.sleep()
            self.stop.wait(SPILL_EVERY_S)
            self.spill()
        self.spill()
        if not self.spool.broken:
            self.spool.append(encode({"type": "end", "status": self.status}), None)
            self.spool.flush()
        if self.spool.path is not None and not self.spool.broken:
            warn_once(f"kept {self.spool.path}",
                      f"run {self.hello['run']}: {self.spool.count()} messages are kept in "
                      f"{self.spool.path}; the run's next start or `pyrometer sync` delivers them")

    def one_connection(self) -> bool:
        """True when the run is finished, False when the connection was lost."""
        assert self.address is not None
        try:
            with self._connected() as sock:
                self._socket = sock
                return Connection(self, sock).run()
        except OSError as error:
            if not self.abandoned:
                warn_once(f"{self.address} {error}",
                          f"{self.address}: {error}; trying again, up to "
                          f"{LONGEST_PAUSE_S:g} s apart, steps are kept meanwhile")
            return False
        finally:
            self._socket = None
            self.queue.send_again()
            self.spool.read_again()

    def hear_welcome(self) -> None:
        self.welcomed = True
        self.spool.hello_said()
        self.pause_s = FIRST_PAUSE_S

    def _connected(self) -> socket.socket:
        """_connect() in a thread of its own: a name server or a host may keep it waiting, which must
        not keep what the job measures from the disk."""
        assert self.address is not None
        attempt = Attempt(functools.partial(_connect, self.address))
        try:
            while not attempt.done.wait(SPILL_EVERY_S):
                self.meanwhile()
            return attempt.result()
        except BaseException:
            attempt.forget()
            raise


def _token(hello: dict[str, Any]) -> dict[str, Any]:
    return {"token": hello["token"]} if "token" in hello else {}


def _connect(address: str) -> socket.socket:
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(CONNECT_TIMEOUT_S)
            sock.connect(address[len("unix:"):])
        except BaseException:
            sock.close()
            raise
        return sock
    host, port = split_address(address)
    sock = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if address.startswith(TLS):
        from . import _tls  # which imports ssl

        try:
            return _tls.wrap(sock, host)
        except BaseException:
            sock.close()
            raise
    return sock


def split_address(server: str) -> tuple[str, int]:
    """host:port, [v6]:port or host alone; with tls:// before it or not."""
    address = server[len(TLS):] if server.startswith(TLS) else server
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, str(DEFAULT_PORT)
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"server is {server!r}, expected host:port, tls://host:port or "
                         "unix:/path")
    return host.strip("[]"), int(port)
