"""One connection's life, from the hello to the end or until it breaks."""
from __future__ import annotations

import json
import selectors
import socket
import time
from typing import TYPE_CHECKING, Any, Optional

from . import _frame
from ._queue import Entry
from ._quiet import warn_once
from ._spool import ENTRY_OVERHEAD
from ._text import MAX_LINE, encode

if TYPE_CHECKING:
    from ._sender import Sender

WELCOME_TIMEOUT_S = 10.0
PING_AFTER_S = 5.0  # of silence
PING_AGAIN_S = 1.0  # after a pong that says that the disk takes nothing
LOST_AFTER_S = 20.0  # of silence, in spite of pings
SPILL_EVERY_S = 1.0  # while there is no connection: what a kill can cost
CLOSE_GRACE_S = 1.0  # for the daemon to close its side once everything is acknowledged
LINGER_S = 0.2  # gathers steps into one write and acks into one read: fewer fights for the GIL
BATCH_BYTES = 256 * 1024
PASSING = ("overloaded", "shutting_down")  # refusals that another try may mend


class Refused(Exception):
    """The daemon will not have this run, whatever we try."""


class Superseded(Refused):
    """Another process has taken the run back to an earlier step and goes on from there."""


class Connection:
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
        self._end_stored = False
        self._pings = self._pongs = 0
        self._end_ping = 0  # which of the pings stands behind the end
        self._is_behind = False  # more waits than went into the last batch
        self._is_full = False  # the next segment of the spool waits for acknowledgements
        self._welcome: Optional[dict[str, Any]] = None
        self._last = -1  # the newest step that was durable when the connection began
        self._frames = False  # what the daemon reads

    def run(self) -> bool:
        self._greet()
        self._sock.setblocking(False)
        with selectors.DefaultSelector() as selector, selectors.DefaultSelector() as waker:
            waker.register(self._sender.wake_read, selectors.EVENT_READ)
            selector.register(self._sender.wake_read, selectors.EVENT_READ)
            selector.register(self._sock, selectors.EVENT_READ)
            while not self._sender.abandoned:
                if self._sender.is_adopted:
                    self._sender.meanwhile()
                if not self._out:
                    self._fill()
                self._send()
                if self._is_done():
                    self._close_politely()
                    self._queue.settle()
                    self._remove_delivered()
                    self._sender.is_delivered = True
                    return True
                self._wait(selector, waker)
                self._remove_delivered()
                if self._queue.is_crowded():
                    if self._queue.is_sending():  # what is on its way has to go to disk first
                        raise ConnectionError("the daemon does not keep up with the job")
                    self._sender.spill()
                self._check_silence()
        return False

    def _is_done(self) -> bool:
        return (self._end_stored and not self._out and self._queue.steps_left() == 0
                and not self._sender.spool.has_unread())

    def _remove_delivered(self) -> None:
        for segment in self._queue.take_delivered():
            self._sender.spool.remove(segment)

    def _load_segment(self) -> None:
        """What is on disk comes first; of it, what the daemon does not have yet."""
        found = self._sender.spool.take_segment()
        self._sender.take_back()
        if found is None:
            return
        segment, lines = found
        known = max((at for at, line in enumerate(lines, 1)
                     if line.step is not None and line.step <= self._last), default=0)
        self._queue.skip(line.step for line in lines[:known])
        lines = [line for line in lines[known:] if line.kind != "end"]
        segment.left = len(lines)
        if not lines:
            self._sender.spool.remove(segment)
        self._queue.put_back([Entry(None, len(line.data) + ENTRY_OVERHEAD, line.step, line.data,
                                    segment=segment)
                              for line in lines])

    def _greet(self) -> None:
        """Says hello and waits for the welcome, which says what need not be sent again."""
        sender = self._sender
        # A rewind is asked for once: on a later connection it would set back steps already stored.
        hello = {**sender.hello, "resume": "continue"} if sender.welcomed else sender.hello
        deadline = time.monotonic() + WELCOME_TIMEOUT_S
        self._sock.sendall(encode(hello))
        while self._welcome is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise ConnectionError(f"no welcome within {WELCOME_TIMEOUT_S:g} s")
            self._sock.settimeout(min(left, SPILL_EVERY_S))
            try:
                self._receive()
            except socket.timeout:
                sender.meanwhile()
        self._frames = sender.frames and self._welcome.get("frames") == _frame.VERSION
        last = self._welcome.get("last_step")
        self._last = last = last if isinstance(last, int) else -1
        if not sender.welcomed and not sender.is_adopted:
            self._compare_first(last)
        self._queue.resume(last)
        sender.hear_welcome()

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
        self._sender.say_overflow()
        batch: list[bytes] = []
        size = 0
        self._is_full = False
        while size < BATCH_BYTES:
            if self._sender.spool.has_unread() and not self._queue.begins_with_spooled():
                self._is_full = not self._queue.has_room()
                if self._is_full:
                    break
                self._load_segment()
                continue
            entry = self._queue.take()
            if entry is None:
                break
            if self._encode(entry):
                self._queue.sent_entry(entry)
                batch.append(entry.data)
                size += len(entry.data)
        self._is_behind = size >= BATCH_BYTES
        status = self._sender.status
        if not (batch or self._is_full or status is None or self._end_sent):
            if self._sender.has_end:
                batch.append(encode({"type": "end", "status": status}))
            batch.append(self._ping())  # what stands behind the last step has no ack of its own
            self._end_sent, self._end_ping = True, self._pings
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

    def _send(self) -> None:
        """What the socket takes at once."""
        if self._out:
            try:
                self._out = self._out[self._sock.send(self._out):]
            except BlockingIOError:
                pass
            except OSError:
                self._receive()  # why it hung up: a run that is superseded may not try again
                raise

    def _wait(self, selector: selectors.BaseSelector, waker: selectors.BaseSelector) -> None:
        """Until the daemon says something, or takes more, or there is more to send; and LINGER_S, for
        more to come, where all that waited is sent and there is room."""
        if self._is_behind and not self._out:
            self._receive()
            return
        if self._out or self._is_full or self._queue.sleep():
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0)
            if selector.get_key(self._sock).events != wanted:
                selector.modify(self._sock, wanted)
            hurries = self._out or self._end_sent or self._sender.is_adopted
            selector.select(SPILL_EVERY_S if hurries else PING_AFTER_S)
            self._queue.awake()
            self._drain_wakes()
        if not (self._out or self._is_full or self._sender.is_adopted or self._sender.stop.is_set()):
            if waker.select(LINGER_S):
                self._drain_wakes()
        self._receive()

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
        in_vain = self._end_sent and self._pongs == self._pings  # the disk took nothing
        patience_s = PING_AGAIN_S if in_vain else PING_AFTER_S
        if now - max(self._heard, self._pinged) >= patience_s and not self._out:
            self._out = memoryview(self._ping())

    def _ping(self) -> bytes:
        self._pinged = time.monotonic()
        self._pings += 1
        return encode({"type": "ping"})

    def _receive(self) -> None:
        try:
            data = self._sock.recv(65536)
        except BlockingIOError:  # nothing, or part of a TLS record
            return
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
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise ConnectionError("the other side does not speak the protocol")
        kind = message.get("type")
        if kind == "ack" and isinstance(message.get("step"), int):
            self._queue.acknowledge(message["step"])
        elif kind == "pong":
            self._pongs += 1
            if self._end_sent and self._pongs >= self._end_ping:
                self._end_stored = message.get("stored") is not False
        elif kind == "welcome":
            self._welcome = message
        elif kind == "alert" and self._sender.on_alert is not None:
            self._sender.on_alert(message)
        elif kind == "error":
            self._hear_error(message)

    def _hear_error(self, message: dict[str, Any]) -> None:
        code, text = message.get("code"), message.get("message")
        if not message.get("fatal") and message.get("line") == 0:  # of the daemon, not of a message
            warn_once(f"told {code}", f"{self._sender.address}: {text}")
        elif not message.get("fatal") and self._welcome is not None:
            warn_once(f"error {code}", f"{self._sender.address}: {code}: {text} "
                                       "(that message is lost; reported once)")
        elif code in PASSING:
            raise ConnectionError(f"{code}: {text}")
        else:
            raise (Superseded if code == "step_order" else Refused)(f"{code}: {text}")

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
