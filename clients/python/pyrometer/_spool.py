"""What could not be delivered yet, on disk: bounded, compressed, resumable.

A spool is a directory of segments, `000001.ndjson.gz` and so on. Each is a recording by itself, a
hello and then lines in order, so that `pyrometer replay` takes it. What is flushed survives the
process: a segment is a chain of gzip members, and one that was cut off costs its own lines only.
`lock` is held while the process lives, which tells the spools of the living from those left
behind.

Only the sender's thread uses a spool.
"""
from __future__ import annotations

import json
import os
import re
import time
import zlib
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from ._quiet import warn_once
from ._text import encode

if TYPE_CHECKING:
    from pathlib import Path

try:
    import fcntl
except ImportError:  # not on this system: then nothing tells the living from the dead
    fcntl = None  # type: ignore[assignment]

SEGMENT_BYTES = 8 << 20  # that it takes in memory when it is brought back
ENTRY_OVERHEAD = 400  # of these, for the Python objects around a line
MEMBER_BYTES = 256 << 10
SPOOL_BYTES = 1 << 30
RETRY_S = 30.0  # after which a disk that took nothing is asked again
GZIP = 31  # zlib's word for a member of gzip
STEP = re.compile(rb'"step":(-?\d+)')


class Segment:
    def __init__(self, path: Path, lines: int = 0, size: int = 0) -> None:
        self.path = path
        self.lines = lines  # behind the hello
        self.left = 0  # of these in memory, on their way
        self.size = size  # on disk
        self.last_step = -1


class Line(NamedTuple):
    data: bytes
    step: Optional[int]  # None: an event, scalars or the end
    kind: str


def default_root() -> Path:
    """$PYROMETER_SPOOL, else below $XDG_STATE_HOME, else ~/.local/state."""
    from pathlib import Path

    named = os.environ.get("PYROMETER_SPOOL")
    if named:
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME")
    base = Path(state) if state else Path.home() / ".local" / "state"
    return base / "pyrometer" / "spool"


class Spool:
    """`hello` is written at the head of every segment; a rewind of it only while it was not said."""

    def __init__(self, root: Optional[Path], hello: dict[str, Any], limit: int = SPOOL_BYTES,
                 segment_bytes: Optional[int] = None) -> None:
        self._root = root
        self._hello = hello
        self._limit = limit
        self._segment_bytes = SEGMENT_BYTES if segment_bytes is None else segment_bytes
        self._rewinding: Optional[Segment] = None  # whose hello has a rewind that nobody has said
        self._segments: deque[Segment] = deque()
        self._unread: deque[Segment] = deque()
        self._path: Optional[Path] = None
        self._number = 0
        self._writing: Optional[Segment] = None
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._unwritten: list[Line] = []  # what of the buffer is lines of the caller's
        self._plain = 0  # bytes that the segment that is written takes in memory
        self._lock: Any = None
        self.dropped = 0
        self.broken = root is None  # or the disk does not take it
        self._broken_at = 0.0

    @property
    def path(self) -> Optional[Path]:
        return self._path

    def count(self) -> int:
        """Lines in it."""
        return sum(segment.lines for segment in self._segments)

    def hello_said(self) -> None:
        """A rewind is asked for once: a later one would set back what was stored since."""
        self._rewinding = None
        if "resume" in self._hello:
            self._hello = {**self._hello, "resume": "continue"}

    def has_unread(self) -> bool:
        return bool(self._unread)

    # -- writing -----------------------------------------------------------------------------

    def append(self, data: bytes, step: Optional[int]) -> None:
        """When the disk does not take it, it is among what `take_back` gives."""
        try:
            segment = None if self.broken else self._segment_to_write()
        except OSError as error:
            self._fail(error)
            segment = None
        self._unwritten.append(Line(data, step, ""))
        if segment is None:
            return
        self._buffer.append(data)
        self._buffered += len(data)
        self._plain += len(data) + ENTRY_OVERHEAD
        if step is not None:
            segment.last_step = step
        if self._buffered >= MEMBER_BYTES:
            self.flush()

    def take_back(self) -> list[Line]:
        """The lines that the disk did not take, once."""
        if not self.broken:
            return []
        lines, self._unwritten = self._unwritten, []
        return lines

    def try_again(self, at_once: bool = False) -> None:
        """A disk that was full may have room again."""
        if self.broken and self._root is not None and (
                at_once or time.monotonic() - self._broken_at >= RETRY_S):
            self.broken, self._writing = False, None

    def flush(self) -> None:
        """What was appended is with the operating system after this."""
        if not self._buffer or self._writing is None or self.broken:
            return
        packer = zlib.compressobj(3, wbits=GZIP)
        member = packer.compress(b"".join(self._buffer)) + packer.flush()
        try:
            with open(self._writing.path, "ab") as file:
                file.write(member)
        except OSError as error:
            self._fail(error)
            return
        if isinstance(self._hello.get("resume"), dict):  # it is on disk, and said by who delivers it
            self.hello_said()
            self._rewinding = self._writing
        self._writing.size += len(member)
        self._writing.lines += len(self._unwritten)
        self._buffer, self._buffered, self._unwritten = [], 0, []
        self._bound()

    def _segment_to_write(self) -> Optional[Segment]:
        if self._writing is None or self._plain >= self._segment_bytes:
            self.seal()
            if self.broken:
                return None
            if self._path is None or not self._path.is_dir():
                self._make_directory()
            assert self._path is not None
            self._number += 1
            self._writing = Segment(self._path / f"{self._number:06d}.ndjson.gz")
            self._segments.append(self._writing)
            self._unread.append(self._writing)
            self._buffer.append(encode({k: v for k, v in self._hello.items() if k != "token"}))
            self._plain = 0
        return self._writing

    def _make_directory(self) -> None:
        name = f"{self._hello['run']}.{time.time_ns() // 1000}.{os.getpid()}"
        assert self._root is not None
        path = self._root / name
        path.mkdir(parents=True, mode=0o700)
        self.release()  # the lock of another directory, which somebody has removed
        try:
            if not self._take_lock(path):
                raise OSError(f"{path} is used by another process")
        except OSError:
            _remove_directory(path)
            raise
        self._path = path

    def _take_lock(self, path: Path) -> bool:
        if fcntl is None:
            return True
        lock = open(path / "lock", "wb")  # noqa: SIM115 - held as long as the spool is used
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return False
        if not (path / "lock").exists():  # removed before it was ours
            lock.close()
            return False
        self._lock = lock
        return True

    def seal(self) -> None:
        """The segment that is written is complete; the next line begins another."""
        self.flush()
        self._writing = None

    def _bound(self) -> None:
        """The oldest goes when it gets too much: what a monitor is for is the present."""
        while sum(s.size for s in self._segments) > self._limit and len(self._segments) > 1:
            oldest = self._segments[0]
            if oldest is self._rewinding:  # without it the others would be taken for repeats
                if len(self._segments) == 2:
                    return
                oldest = self._segments[1]
            self.dropped += oldest.lines
            self.remove(oldest)
            warn_once("spool full", f"the spool {self._path} has reached {self._limit} bytes; "
                                    "its oldest steps are dropped")

    def _fail(self, error: OSError) -> None:
        self.broken, self._broken_at = True, time.monotonic()
        self._buffer, self._buffered = [], 0
        if self._writing is not None:
            try:
                os.truncate(self._writing.path, self._writing.size)
            except OSError:
                pass
            if self._writing.size == 0:
                self.remove(self._writing)
        warn_once("spool", f"steps cannot be kept on disk ({error}); they stay in memory, where the "
                           f"oldest go when that is full, and the disk is asked every {RETRY_S:g} s")

    # -- reading -----------------------------------------------------------------------------

    def take_segment(self) -> Optional[tuple[Segment, list[Line]]]:
        """The next segment to deliver, oldest first, with its lines."""
        if not self._unread:
            return None
        if self._unread[0] is self._writing:
            self.seal()
        segment = self._unread.popleft()
        lines = [line for line in read_lines(segment.path) if line.kind != "hello"]
        segment.left = len(lines)
        if not lines:
            self.remove(segment)
        return segment, lines

    def read_again(self) -> None:
        """The connection was lost: what it carried is still here."""
        for segment in self._segments:
            segment.left = 0
        self._unread = deque(self._segments)

    def remove(self, segment: Segment) -> None:
        """It was delivered, or has to make room. The directory goes when nothing is left in it."""
        if segment in self._segments:
            self._segments.remove(segment)
        if segment in self._unread:
            self._unread.remove(segment)
        try:
            segment.path.unlink()
        except OSError:
            pass
        if self._path is not None and not self._segments:
            _remove_directory(self._path)
            self._path = None
            self.release()

    def discard(self) -> None:
        """Nobody will want what is in it."""
        self.seal()
        for segment in list(self._segments):
            self.dropped += segment.lines
            self.remove(segment)

    def close(self) -> None:
        self.seal()
        self.dropped += len(self.take_back())
        self.release()

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def open_left_behind(path: Path) -> Optional[tuple[Spool, dict[str, Any], Optional[str]]]:
    """A spool whose process is gone: itself, its hello, and the status of its end if it has one.

    None when it is somebody's, or nothing can be made of it.
    """
    spool = Spool(path.parent, {})
    try:
        if not spool._take_lock(path):
            return None
    except OSError:  # another process has delivered and removed it meanwhile
        return None
    try:
        return _take_over(spool, path)
    except (OSError, ValueError) as error:
        warn_once(f"left {path}", f"{path}: what an earlier process left there cannot be read now "
                                  f"({error}); it stays there")
        spool.release()
        return None


def _take_over(spool: Spool, path: Path) -> Optional[tuple[Spool, dict[str, Any], Optional[str]]]:
    files = sorted(path.glob("*.ndjson.gz"))  # under the lock: another process may have been here
    hello = next((json.loads(line.data) for line in (read_lines(files[0]) if files else ())
                  if line.kind == "hello"), None)
    if not files:  # its process was killed before it wrote anything, or when all was delivered
        _remove_directory(path)
    if not isinstance(hello, dict) or "run" not in hello:
        spool.release()
        return None
    spool._path, spool._hello = path, hello
    spool._number = int(files[-1].name.split(".")[0])
    status = None
    for file in files:
        lines = [line for line in read_lines(file) if line.kind != "hello"]
        segment = Segment(file, len(lines), size=file.stat().st_size)
        spool._segments.append(segment)
        spool._unread.append(segment)
        for line in lines:
            if line.kind == "end":
                status = json.loads(line.data).get("status")
    return spool, hello, status


def _remove_directory(path: Path) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def left_behind(root: Path, run: str) -> Iterator[Path]:
    """Directories of that run's spools, oldest first. Some may be somebody's."""
    try:
        found = [path for path in root.iterdir()
                 if path.name.rsplit(".", 2)[0] == run and path.is_dir()]
    except OSError:
        return iter(())
    return iter(sorted(found, key=lambda path: path.name.rsplit(".", 2)[-2:]))


def read_lines(path: Path) -> list[Line]:
    """The whole lines of a segment; what was cut off is left out."""
    lines = []
    for data in _inflate(path).split(b"\n")[:-1]:
        kind = data[9:data.find(b'"', 9)].decode(errors="replace")
        found = STEP.search(data, 0, 120) if kind == "step" else None
        lines.append(Line(data + b"\n", int(found.group(1)) if found else None, kind))
    return lines


def _inflate(path: Path) -> bytes:
    try:
        left = path.read_bytes()
    except FileNotFoundError:  # any other error is the caller's: it is there another time
        return b""
    whole = []
    while left:
        member = zlib.decompressobj(GZIP)
        try:
            whole.append(member.decompress(left))
        except zlib.error:
            break
        if not member.eof:
            break
        left = member.unused_data
    return b"".join(whole)
