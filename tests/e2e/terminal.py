"""A program on a pseudo-terminal, and a small model of the screen that it draws: what stands where, in which colours."""

import codecs
import fcntl
import html
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z~])|\x1b[()][A-Z0-9]|(\r)|(\n)|([^\x1b\r\n])", re.S)
PLAIN = (None, False, False)  # colour, bold, dim
BASIC = {32: "#4fb87c", 33: "#e0a83c", 31: "#ff7b6b"}
GROUND, INK, DIM = "#131110", "#f2ece4", "#a99e92"


def indexed(n):
    """A colour of the 256: the cube and the greys."""
    if n >= 232:
        return "#" + "%02x" % (8 + 10 * (n - 232)) * 3
    levels = (0, 95, 135, 175, 215, 255)
    n -= 16
    return "#%02x%02x%02x" % (levels[n // 36], levels[n // 6 % 6], levels[n % 6])


def styled(style, codes):
    """The style after a sequence that sets some."""
    numbers = [int(code or 0) for code in codes.split(";")]
    colour, bold, dim = style
    while numbers:
        n = numbers.pop(0)
        if n == 0:
            colour, bold, dim = PLAIN
        elif n == 38 and numbers[0] == 2:
            colour, numbers = "#%02x%02x%02x" % tuple(numbers[1:4]), numbers[4:]
        elif n == 38:
            colour, numbers = indexed(numbers[1]), numbers[2:]
        else:
            colour, bold, dim = BASIC.get(n, colour), bold or n == 1, dim or n == 2
    return colour, bold, dim


class Terminal:
    """args: the program and its words. env: its whole environment."""

    def __init__(self, args, columns, rows, env):
        self.columns, self.rows = columns, rows
        parent, child = pty.openpty()
        self.fd = parent
        self.process = None
        self.cells, self.styles = {}, {}
        self.resize(columns, rows)
        self.before = termios.tcgetattr(parent)
        self.process = subprocess.Popen(args, stdin=child, stdout=child, stderr=child, env=env, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))  # so that Ctrl-C is a signal
        os.close(child)
        self.all = ""
        self.alternate = self.cursor_hidden = False
        self.style = PLAIN
        self.row = self.column = 0
        self.pending = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def resize(self, columns, rows):
        """What stood outside is gone, as on a terminal that keeps its top left."""
        self.columns, self.rows = columns, rows
        self.cells = {at: letter for at, letter in self.cells.items() if at[0] < rows and at[1] < columns}
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if self.process:
            self.process.send_signal(signal.SIGWINCH)

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def _line_feed(self):
        """The last row's scrolls the screen."""
        self.row = min(self.row, self.rows - 1)
        if self.row < self.rows - 1:
            self.row += 1
            return
        self.cells = {(row - 1, column): letter for (row, column), letter in self.cells.items() if row}
        self.styles = {(row - 1, column): style for (row, column), style in self.styles.items() if row}

    def _put(self, letter):
        if self.column >= self.columns:  # the cursor waits behind the last column and wraps with the next letter
            self._line_feed()
            self.column = 0
        self.cells[self.row, self.column] = letter
        self.styles[self.row, self.column] = self.style
        self.column += 1

    def _command(self, codes, command):
        if command == "H":
            self.row = self.column = 0
        elif command in "KJ":
            first = min(self.column, self.columns - 1)  # a cursor that waits behind the last column erases it
            gone = [at for at in self.cells
                    if (at[0] == self.row and at[1] >= first) or (command == "J" and (at[0] > self.row or codes == "2"))]
            for at in gone:
                del self.cells[at]
        elif command == "m":
            self.style = styled(self.style, codes)
        elif codes == "?1049":
            self.alternate = command == "h"
        elif codes == "?25":
            self.cursor_hidden = command == "l"

    def _take(self, match):
        codes, command, cr, lf, letter = match.groups()
        if cr:
            self.column = 0
        elif lf:
            self._line_feed()
        elif letter:
            self._put(letter)
        elif command:
            self._command(codes, command)

    def read(self, wait=0.02):
        """Takes what has come; False at the end."""
        if not select.select([self.fd], [], [], wait)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        text = self.pending + self.decoder.decode(data)
        cut = text.rfind("\x1b") if "\x1b" in text[-24:] and not SEQUENCE.match(text, text.rfind("\x1b")) else len(text)
        self.pending = text[cut:]
        self.all += text[:cut]
        for match in SEQUENCE.finditer(text[:cut]):
            self._take(match)
        return True

    def settle(self):
        """Takes what has come until nothing comes for a moment: a frame that has begun is whole then."""
        while select.select([self.fd], [], [], 0.3)[0] and self.read():
            pass

    def lines(self):
        """The screen's lines as they stand."""
        drawn = [["".join(self.cells.get((row, column), " ") for column in range(max(
            (c for r, c in self.cells if r == row), default=-1) + 1))] for row in range(self.rows)]
        return [line[0].rstrip() for line in drawn]

    def until(self, condition, what, timeout):
        deadline = time.monotonic() + timeout
        while not condition(self.lines()):
            self.read()
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} was not seen in {timeout} s:\n" + "\n".join(self.lines()))
        return self.lines()

    def end(self, timeout):
        """Its exit status, once it has ended by itself."""
        deadline = time.monotonic() + timeout
        while self.read():
            if time.monotonic() > deadline:
                raise AssertionError(f"it did not end in {timeout} s:\n" + "\n".join(self.lines()))
        return self.process.wait(timeout)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.fd)

    def page(self):
        """The screen as a page of HTML: every character in a cell of its own, so that fonts do not move it."""
        cells = []
        for (row, column), letter in sorted(self.cells.items()):
            colour, bold, dim = self.styles[row, column]
            if letter == " ":
                continue
            style = f"grid-area:{row + 1}/{column + 1};color:{colour or (DIM if dim else INK)}{';font-weight:700' if bold else ''}"
            if letter == "█":  # a font's block leaves seams
                style += f";background:{colour or INK}"
            cells.append(f'<i style="{style}">{html.escape(letter)}</i>')
        return (f'<!doctype html><meta charset="utf-8"><style>body{{margin:0;background:{GROUND}}}'
                f'#screen{{display:inline-grid;grid:repeat({self.rows},18px)/repeat({self.columns},8.4px);padding:14px;font:14px/18px "DejaVu Sans Mono",monospace}}'
                f'i{{font-style:normal;width:8.4px;height:18px;overflow:hidden;white-space:pre}}</style><div id="screen">{"".join(cells)}</div>')
