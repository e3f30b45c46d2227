"""What waits to be sent and what waits to be acknowledged, bounded in bytes.

An entry is pending until it is written to a connection, then unacknowledged until the daemon says
that it is on disk; a lost connection makes the unacknowledged ones pending again, in order.
While there is no connection the sender moves what is pending to the spool (_spool.py), and brings
it back in front of the rest, a segment at a time, when there is one. Memory beyond the bound is
taken from the oldest pending entry: what a monitor is for is the present.
"""
from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Callable, Optional

from ._spool import ENTRY_OVERHEAD, Segment

SPOOL_AT_ONCE = 256  # entries that go to the spool: those that came from it are passed over each time

class Entry:
    __slots__ = ("build", "size", "step", "data", "is_frame", "born", "was_sent", "segment")

    def __init__(self, build: Optional[Callable[[], dict[str, Any]]], size: int,
                 step: Optional[int], data: bytes = b"", segment: Optional[Segment] = None) -> None:
        self.build = build  # makes the message, in the sender's thread
        self.size = size  # bytes; an estimate until `data` is there
        self.step = step  # None: not acknowledged by itself (an event)
        self.data = data
        self.is_frame = False  # `data` is
        self.born = time.monotonic()
        self.was_sent = False
        self.segment = segment  # of the spool: its file is where the entry lives


class Queue:
    """Any thread may call anything; nothing here blocks longer than the lock."""

    def __init__(self, limit: int) -> None:
        self._lock = threading.RLock()  # a signal's handler may come amid a call and make another
        self._limit = limit
        self._bytes = 0
        self._pending: deque[Entry] = deque()
        self._unacked: deque[Entry] = deque()
        self._idle = False
        self._delivered: list[Segment] = []  # segments of which nothing is left to deliver
        self.sent = 0
        self.acked = 0
        self._newest_sent = self._newest_acked = -1  # steps
        self.dropped = 0
        self.overflowed = False  # some of these for want of room

    def put(self, entry: Entry) -> bool:
        """True if the sender has to be woken: it sleeps, or there will soon be no room."""
        with self._lock:
            entry.size += ENTRY_OVERHEAD
            self._pending.append(entry)
            self._bytes += entry.size
            while self._bytes > self._limit and (self._pending or self._unacked):
                self._forget((self._pending or self._unacked).popleft())
                self.overflowed = True
            wake, self._idle = self._idle and bool(self._pending), False
            return wake or 4 * self._bytes > self._limit

    def take(self) -> Optional[Entry]:
        """The next to send, to be handed back by `sent_entry` or `give_up`."""
        with self._lock:
            return self._pending.popleft() if self._pending else None

    def sent_entry(self, entry: Entry) -> None:
        with self._lock:
            self._bytes += len(entry.data) + ENTRY_OVERHEAD - entry.size
            entry.size = len(entry.data) + ENTRY_OVERHEAD
            self._unacked.append(entry)
            if entry.step is not None and entry.step > self._newest_sent:
                self.sent += 1
                self._newest_sent = entry.step
            entry.was_sent = True

    def give_up(self, entry: Entry) -> None:
        with self._lock:
            self._forget(entry)

    def acknowledge(self, step: int) -> None:
        """Everything sent up to `step` is on disk, and so are the events sent before it."""
        with self._lock:
            self._acknowledge(step)

    def send_again(self) -> None:
        """The connection is lost: what it carried has to go over the next one."""
        with self._lock:
            self._send_again()
            kept = deque(entry for entry in self._pending if entry.segment is None)
            for entry in self._pending:
                if entry.segment is not None:  # the spool has it still
                    self._bytes -= entry.size
            self._pending = kept

    def put_back(self, entries: list[Entry]) -> None:
        """In front of everything that waits: a segment of the spool, or what it would not take."""
        with self._lock:
            for entry in entries:
                self._bytes += entry.size
            self._pending.extendleft(reversed(entries))

    def skip(self, steps: Iterable[Optional[int]]) -> None:
        """The daemon has these already."""
        with self._lock:
            for step in steps:
                self._count_acked(step)

    def begins_with_spooled(self) -> bool:
        with self._lock:
            return bool(self._pending) and self._pending[0].segment is not None

    def take_for_spool(self) -> list[Entry]:
        """Some of the oldest that wait and are not from the spool; they leave the queue."""
        taken: list[Entry] = []
        passed: list[Entry] = []
        with self._lock:
            while self._pending and len(taken) < SPOOL_AT_ONCE:
                entry = self._pending.popleft()
                (taken if entry.segment is None else passed).append(entry)
            self._pending.extendleft(reversed(passed))
            self._bytes -= sum(entry.size for entry in taken)
        return taken

    def take_delivered(self) -> list[Segment]:
        """Segments whose files are not needed any longer."""
        with self._lock:
            delivered, self._delivered = self._delivered, []
            return delivered

    def has_room(self) -> bool:
        """For a segment of the spool; else what is on its way makes some when it is acknowledged."""
        with self._lock:
            return (4 * self._bytes <= self._limit
                    or not any(entry.step is not None for entry in self._unacked))

    def is_crowded(self) -> bool:
        """More than half full."""
        with self._lock:
            return 2 * self._bytes > self._limit

    def is_sending(self) -> bool:
        """Something that is not on disk has been sent and is not acknowledged."""
        with self._lock:
            return any(entry.segment is None for entry in self._unacked)

    def resume(self, last: int) -> None:
        """A new connection: what this process sent before and is on disk need not go over it."""
        with self._lock:
            while self._pending and self._pending[0].was_sent:
                self._unacked.append(self._pending.popleft())
            self._acknowledge(last)
            self._send_again()

    def settle(self) -> None:
        """Everything is on disk, as a pong said: events after the last step have no ack of their own."""
        with self._lock:
            while self._unacked:
                self._finish(self._unacked.popleft())

    def clear(self) -> None:
        """Nothing more will be sent."""
        with self._lock:
            self._send_again()
            while self._pending:
                self._forget(self._pending.popleft())

    def sleep(self) -> bool:
        """True if there is nothing to send; the next put() then asks for a wake-up."""
        with self._lock:
            self._idle = not self._pending
            return self._idle

    def awake(self) -> None:
        """Nothing that comes has to wake the sender."""
        with self._lock:
            self._idle = False

    def steps_left(self) -> int:
        with self._lock:
            return sum(e.step is not None for q in (self._unacked, self._pending) for e in q)

    def counters(self) -> dict[str, Any]:
        with self._lock:
            oldest = (self._unacked or self._pending or [None])[0]
            lag = time.monotonic() - oldest.born if oldest is not None else 0.0
            return {"sent": self.sent, "acked": self.acked, "dropped": self.dropped, "lag": lag,
                    "queued": len(self._pending) + len(self._unacked), "queued_bytes": self._bytes}

    def _acknowledge(self, step: int) -> None:
        done = 0
        for position, entry in enumerate(self._unacked, 1):
            if entry.step is not None:
                if entry.step > step:
                    break
                done = position
        for _ in range(done):
            entry = self._unacked.popleft()
            self._count_acked(entry.step)
            self._finish(entry)

    def _count_acked(self, step: Optional[int]) -> None:
        """Once, however often the spool brings it back."""
        if step is not None and step > self._newest_acked:
            self.acked += 1
            self._newest_acked = step

    def _finish(self, entry: Entry) -> None:
        self._bytes -= entry.size
        if entry.segment is not None:
            entry.segment.left -= 1
            if entry.segment.left == 0:
                self._delivered.append(entry.segment)

    def _send_again(self) -> None:
        self._pending.extendleft(reversed(self._unacked))
        self._unacked.clear()

    def _forget(self, entry: Entry) -> None:
        self._finish(entry)
        self.dropped += 1
