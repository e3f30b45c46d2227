"""The connection to the daemon: one daemon thread that owns the socket.

connect -> hello -> welcome (says what is on disk already) -> steps and events -> acks, and again
from the top, after a pause that grows, when the connection is lost. While there is none, what the
job sends goes to the spool on disk, and comes from there first when there is one again. After a
refusal that another try cannot mend everything goes to the spool.
"""
from __future__ import annotations

import functools
import json
import os
import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Optional

from . import _frame
from ._attempt import Attempt
from ._queue import Entry, Queue
from ._quiet import report, warn_once
from ._spool import ENTRY_OVERHEAD, SEGMENT_BYTES, SPOOL_BYTES, Spool, left_behind, open_left_behind
from ._text import MAX_LINE, encode

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_PORT = 27315
TLS = "tls://"
CONNECT_TIMEOUT_S = 5.0
WELCOME_TIMEOUT_S = 10.0
PING_AFTER_S = 5.0  # of silence
PING_AGAIN_S = 1.0  # after a pong that says that the disk takes nothing
LOST_AFTER_S = 20.0  # of silence, in spite of pings
SPILL_EVERY_S = 1.0  # while there is no connection: what a kill can cost
SPILL_GRACE_S = 2.0  # for writing what could not be sent in time
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
CLOSE_GRACE_S = 1.0  # for the daemon to close its side once everything is acknowledged
LINGER_S = 0.1  # gathers steps into one write and acks into one read: fewer fights for the GIL
BATCH_BYTES = 256 * 1024
PASSING = ("overloaded", "shutting_down")  # refusals that another try may mend


class Refused(Exception):
    """The daemon will not have this run, whatever we try."""


class Superseded(Refused):
    """Another process has taken the run back to an earlier step and goes on from there."""


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
        self._put(Entry(build, size, step))

    def put_line(self, line: bytes) -> None:
        """A message that is not acknowledged by itself."""
        self._put(Entry(None, len(line), None, line))

    def _put(self, entry: Entry) -> None:
        if self.status is None and not self._is_deaf and self.queue.put(entry):
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
                return _Connection(self, sock).run()
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
        self._end_stored = False
        self._pings = self._pongs = 0
        self._end_ping = 0  # which of the pings stands behind the end
        self._is_full = False  # the next segment of the spool waits for acknowledgements
        self._welcome: Optional[dict[str, Any]] = None
        self._last = -1  # the newest step that was durable when the connection began
        self._frames = False  # what the daemon reads

    def run(self) -> bool:
        self._greet()
        self._sock.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._sender.wake_read, selectors.EVENT_READ)
            selector.register(self._sock, selectors.EVENT_READ)
            while not self._sender.abandoned:
                if self._sender.is_adopted:
                    self._sender.meanwhile()
                if not self._out:
                    self._fill()
                if self._is_done():
                    self._close_politely()
                    self._queue.settle()
                    self._remove_delivered()
                    self._sender.is_delivered = True
                    return True
                self._wait(selector)
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
        sender.welcomed = True
        sender.spool.hello_said()
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

    def _wait(self, selector: selectors.BaseSelector) -> None:
        idle = not self._out and self._queue.sleep()
        if not self._out and not idle and not self._is_full:
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0)
        selector.modify(self._sock, wanted)
        hurries = self._out or self._end_sent or self._sender.is_adopted
        happened = selector.select(SPILL_EVERY_S if hurries else PING_AFTER_S)
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
        except BlockingIOError:  # part of a TLS record
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
