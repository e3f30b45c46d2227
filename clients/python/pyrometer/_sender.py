"""The connection to the daemon: one daemon thread that owns the socket.

connect -> hello -> welcome (says what is on disk already) -> steps and events -> acks, and again
from the top, after a pause that grows, when the connection is lost. A refusal that another try
cannot mend ends it.
"""
from __future__ import annotations

import json
import random
import selectors
import socket
import threading
import time
from typing import Any, Callable, Optional

from . import _frame
from ._queue import Entry, Queue
from ._quiet import warn_once
from ._text import MAX_LINE, encode

DEFAULT_PORT = 27315
CONNECT_TIMEOUT_S = 5.0
WELCOME_TIMEOUT_S = 10.0
PING_AFTER_S = 15.0  # of silence
LOST_AFTER_S = 60.0  # of silence, in spite of pings
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
CLOSE_GRACE_S = 1.0  # for the daemon to close its side once everything is acknowledged
LINGER_S = 0.02  # gathers steps into one write and acks into one read: fewer fights for the GIL
BATCH_BYTES = 256 * 1024
PASSING = ("overloaded", "shutting_down")  # refusals that another try may mend


class Refused(Exception):
    """The daemon will not have this run, whatever we try."""


class Sender:
    def __init__(self, address: str, hello: dict[str, Any], queue_bytes: int,
                 first_step: int = 0, frames: bool = True) -> None:
        self.queue = Queue(queue_bytes)
        self.refusal: Optional[str] = None
        self.address = address
        self.hello = hello
        self.first_step = first_step  # of this process
        self.frames = frames  # steps as binary frames, where the daemon reads them
        self.status: Optional[str] = None  # set: finish with it
        self.abandoned = False
        self.stop = threading.Event()  # ends every pause
        self.pause_s = FIRST_PAUSE_S
        self.welcomed = False
        self.end_sent = False  # over any connection
        self.wake_read, self._wake_write = socket.socketpair()
        self.wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._socket: Optional[socket.socket] = None
        self._thread = threading.Thread(target=self._main, name="pyrometer", daemon=True)
        self._thread.start()

    def put(self, build: Callable[[], dict[str, Any]], size: int, step: Optional[int]) -> None:
        if self.refusal is not None or self.status is not None:
            return
        if self.queue.put(Entry(build, size, step)):
            self._wake()

    def finish(self, status: str, timeout_s: float) -> bool:
        """Sends what is left and the end; True if all of it is known to be on disk."""
        self.status = status
        self.stop.set()
        self._wake()
        self._thread.join(timeout_s)
        left = self.queue.steps_left()
        if self._thread.is_alive():
            self.abandoned = True
            self._wake()
        if left and self.refusal is None:
            warn_once(f"unconfirmed {self.hello['run']}",
                      f"run {self.hello['run']}: {left} steps were not confirmed by "
                      f"{self.address} within {timeout_s:g} s; they may be lost")
        return left == 0 and self.refusal is None

    def close_after_fork(self) -> None:
        """In the child: let go of the parent's sockets, without a word on them."""
        for sock in (self._socket, self.wake_read, self._wake_write):
            if sock is not None:
                sock.close()

    def _wake(self) -> None:
        try:
            self._wake_write.send(b"!")
        except OSError:
            pass  # full: it is awake; closed: it is gone

    def _main(self) -> None:
        try:
            while not self.abandoned and not self._one_connection():
                self.stop.wait(random.uniform(0.5, 1.0) * self.pause_s)
                if self.stop.is_set():  # finishing: no long pauses, but no spinning either
                    time.sleep(0.1)
                self.pause_s = min(2 * self.pause_s, LONGEST_PAUSE_S)
        except Refused as refusal:
            self.refusal = str(refusal)
            self.queue.clear()
            warn_once(f"refused {self.hello['run']}",
                      f"{self.address} refused run {self.hello['run']}: {refusal}; "
                      "nothing more is sent, the job goes on")
        except Exception as error:  # noqa: BLE001 - a defect here may not reach the job
            self.refusal = f"{type(error).__name__}: {error}"
            warn_once("sender", f"the sender failed: {self.refusal}; nothing more is sent")
        finally:
            self.wake_read.close()
            self._wake_write.close()

    def _one_connection(self) -> bool:
        """True when the run is finished, False when the connection was lost."""
        try:
            with _connect(self.address) as sock:
                self._socket = sock
                return _Connection(self, sock).run()
        except OSError as error:
            if not self.abandoned:
                warn_once(f"{self.address} {type(error).__name__}",
                          f"{self.address}: {error}; trying again, up to "
                          f"{LONGEST_PAUSE_S:g} s apart, steps are kept meanwhile")
            return self.end_sent and self.queue.steps_left() == 0
        finally:
            self._socket = None
            self.queue.send_again()


class _Connection:
    """One socket's life: what is read, what is still to write."""

    def __init__(self, sender: Sender, sock: socket.socket) -> None:
        self._sender = sender
        self._queue = sender.queue
        self._sock = sock
        self._unread = b""
        self._out = memoryview(b"")
        self._heard = time.monotonic()
        self._pinged = self._heard
        self._end_sent = False
        self._welcome: Optional[dict[str, Any]] = None
        self._frames = False  # what the daemon reads

    def run(self) -> bool:
        self._greet()
        self._sock.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._sender.wake_read, selectors.EVENT_READ)
            selector.register(self._sock, selectors.EVENT_READ)
            while not self._sender.abandoned:
                if not self._out:
                    self._fill()
                if self._end_sent and not self._out and self._queue.steps_left() == 0:
                    self._close_politely()
                    self._queue.settle()
                    return True
                self._wait(selector)
                self._check_silence()
        return True

    def _greet(self) -> None:
        """Says hello and waits for the welcome, which says what need not be sent again."""
        sender = self._sender
        # A rewind is asked for once: on a later connection it would set back steps already stored.
        hello = {**sender.hello, "resume": "continue"} if sender.welcomed else sender.hello
        deadline = time.monotonic() + WELCOME_TIMEOUT_S
        self._sock.sendall(encode(hello))
        while self._welcome is None:
            self._sock.settimeout(max(0.01, deadline - time.monotonic()))
            self._receive()
        self._frames = sender.frames and self._welcome.get("frames") == _frame.VERSION
        last = self._welcome.get("last_step")
        last = last if isinstance(last, int) else -1
        if not sender.welcomed:
            self._compare_first(last)
        self._queue.resume(last)
        sender.welcomed = True
        sender.pause_s = FIRST_PAUSE_S

    def _compare_first(self, last: int) -> None:
        hello, first = self._sender.hello, self._sender.first_step
        if first <= last and not isinstance(hello.get("resume"), dict):
            run = hello["run"]
            warn_once(f"continues {run}",
                      f"run {run} is known up to step {last} and this job begins at step {first}: "
                      f"steps up to {last} are not stored again. Pass first_step to go on after "
                      "it, resume={'rewind': k} to replace what follows step k, or another name")

    def _fill(self) -> None:
        """The next batch of messages, or the end when all is said."""
        batch: list[bytes] = []
        size = 0
        while size < BATCH_BYTES:
            entry = self._queue.take()
            if entry is None:
                break
            if self._encode(entry):
                self._queue.sent_entry(entry)
                batch.append(entry.data)
                size += len(entry.data)
        status = self._sender.status
        if not batch and status is not None and not self._end_sent:
            batch.append(encode({"type": "end", "status": status}))
            self._end_sent = self._sender.end_sent = True
        self._out = memoryview(b"".join(batch))

    def _encode(self, entry: Entry) -> bool:
        try:
            if entry.build is not None:
                self._write(entry, entry.build())
                entry.build = None
            elif entry.is_frame and not self._frames:  # another daemon than the last time
                layers = len(self._sender.hello["layers"])
                self._write(entry, _frame.decode_step(entry.data, layers))
            if len(entry.data) <= MAX_LINE:
                return True
            reason = f"a message of {len(entry.data)} bytes exceeds the {MAX_LINE} of one"
        except Exception as error:  # noqa: BLE001 - one bad message, not the connection
            reason = f"a message could not be written: {type(error).__name__}: {error}"
        warn_once("encode", f"{reason}; it is dropped")
        self._queue.give_up(entry)
        return False

    def _write(self, entry: Entry, message: dict[str, Any]) -> None:
        frame = (_frame.encode_step(message) if self._frames and message["type"] == "step"
                 else None)
        entry.is_frame = frame is not None
        entry.data = encode(message) if frame is None else frame

    def _wait(self, selector: selectors.BaseSelector) -> None:
        idle = not self._out and self._queue.sleep()
        if not self._out and not idle:
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0)
        selector.modify(self._sock, wanted)
        happened = selector.select(PING_AFTER_S)
        if not self._out:
            self._sender.stop.wait(LINGER_S)
        for key, ready in happened:
            if key.fileobj is self._sock:
                if ready & selectors.EVENT_READ:
                    self._receive()
                if ready & selectors.EVENT_WRITE:
                    self._out = self._out[self._sock.send(self._out):]
            else:
                self._drain_wakes()

    def _drain_wakes(self) -> None:
        try:
            while self._sender.wake_read.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _check_silence(self) -> None:
        now = time.monotonic()
        if now - self._heard > LOST_AFTER_S:
            raise ConnectionError(f"nothing heard for {LOST_AFTER_S:g} s")
        if now - max(self._heard, self._pinged) >= PING_AFTER_S and not self._out:
            self._pinged = now
            self._out = memoryview(encode({"type": "ping"}))

    def _receive(self) -> None:
        data = self._sock.recv(65536)
        if not data:
            raise ConnectionError("the daemon closed the connection")
        self._heard = time.monotonic()
        *lines, self._unread = (self._unread + data).split(b"\n")
        if len(self._unread) > MAX_LINE:
            raise ConnectionError("the other side does not speak the protocol")
        for line in lines:
            self._answer(line)

    def _answer(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise ConnectionError("the other side does not speak the protocol")
        kind = message.get("type")
        if kind == "ack" and isinstance(message.get("step"), int):
            self._queue.acknowledge(message["step"])
        elif kind == "welcome":
            self._welcome = message
        elif kind == "error":
            self._hear_error(message)

    def _hear_error(self, message: dict[str, Any]) -> None:
        code, text = message.get("code"), message.get("message")
        if not message.get("fatal"):
            warn_once(f"error {code}", f"{self._sender.address}: {code}: {text} "
                                       "(that message is lost; reported once)")
        elif code in PASSING:
            raise ConnectionError(f"{code}: {text}")
        else:
            raise Refused(f"{code}: {text}")

    def _close_politely(self) -> None:
        """Closing with unread input would reset the connection and could cost our last lines."""
        deadline = time.monotonic() + CLOSE_GRACE_S
        try:
            self._sock.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0:
                self._sock.settimeout(left)
                if not self._sock.recv(65536):
                    return
        except OSError:
            pass  # everything was acknowledged before


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
    sock = socket.create_connection(split_address(address), CONNECT_TIMEOUT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def split_address(address: str) -> tuple[str, int]:
    """host:port, [v6]:port or host alone."""
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, str(DEFAULT_PORT)
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"server is {address!r}, expected host:port or unix:/path")
    return host.strip("[]"), int(port)
