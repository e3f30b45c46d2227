"""`pyrometer watch` in a terminal: a pseudo-terminal stands for it, and a small model of a screen for what is seen."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

from harness import BIN, TIMEOUT, Job, SharedDaemonCase, eventually, program_environment, recording

SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z~])|\x1b[()][A-Z0-9]|(\r)|(\n)|([^\x1b\r\n])", re.S)


class Terminal:
    """A program on a pseudo-terminal, and the screen that it has drawn."""

    def __init__(self, args, columns, rows, **env):
        self.columns, self.rows = columns, rows
        parent, child = pty.openpty()
        self.fd = parent
        self.resize(columns, rows)
        base = {k: v for k, v in program_environment().items() if k not in ("NO_COLOR", "COLORTERM", "CLICOLOR_FORCE")}
        self.process = subprocess.Popen([str(BIN / "pyrometer"), *args], stdin=child, stdout=child, stderr=child,
                                        env={**base, "TERM": "xterm-256color", **env}, start_new_session=True)
        os.close(child)
        self.all = ""
        self.alternate = False
        self.cells = {}
        self.row = self.column = 0
        self.pending = b""

    def resize(self, columns, rows):
        self.columns, self.rows = columns, rows
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if hasattr(self, "process"):
            self.process.send_signal(signal.SIGWINCH)

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def _take(self, match):
        codes, command, cr, lf, letter = match.groups()
        if cr:
            self.column = 0
        elif lf:
            self.row += 1
        elif letter:
            self.cells[self.row, self.column] = letter
            self.column += 1
        elif command == "H":
            self.row = self.column = 0
        elif command in "KJ":
            gone = [at for at in self.cells
                    if (at[0] == self.row and at[1] >= self.column) or (command == "J" and (at[0] > self.row or codes == "2"))]
            for at in gone:
                del self.cells[at]
        elif codes == "?1049":
            self.alternate = command == "h"

    def read(self, wait=0.02):
        """Takes what has come; False at the end."""
        if not select.select([self.fd], [], [], wait)[0]:
            return True
        try:
            data = self.pending + os.read(self.fd, 65536)
        except OSError:
            return False
        text = data.decode(errors="ignore")
        cut = text.rfind("\x1b") if "\x1b" in text[-12:] and not SEQUENCE.match(text, text.rfind("\x1b")) else len(text)
        self.pending = text[cut:].encode()
        self.all += text[:cut]
        for match in SEQUENCE.finditer(text[:cut]):
            self._take(match)
        return True

    def lines(self):
        """The screen's lines as they stand."""
        drawn = [["".join(self.cells.get((row, column), " ") for column in range(max(
            (c for r, c in self.cells if r == row), default=-1) + 1))] for row in range(self.rows)]
        return [line[0].rstrip() for line in drawn]

    def until(self, condition, what):
        deadline = time.monotonic() + TIMEOUT
        while not condition(self.lines()):
            self.read()
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} was not seen in {TIMEOUT} s:\n" + "\n".join(self.lines()))
        return self.lines()

    def end(self):
        """Its exit status, once it has ended by itself."""
        while self.read():
            pass
        return self.process.wait(TIMEOUT)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.fd)


def facts(hello):
    """What a hello says beside its name."""
    return {key: value for key, value in hello.items() if key not in ("type", "protocol", "run")}


def holds(*words):
    return lambda lines: all(any(word in line for line in lines) for word in words)


class Watch(SharedDaemonCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lines = [json.loads(line) for line in recording("lr-ramp")]
        cls.hello, cls.steps = lines[0], [line for line in lines if line["type"] == "step"]

    def job(self, steps=300):
        """A run that goes on: its job, its name."""
        job = Job(self.shared)
        self.addCleanup(job.close)
        name = self.run_name()
        job.hello(name, **facts(self.hello))
        for step in self.steps[:steps]:
            job.send(step)
        job.wait_ack(steps - 1)
        return job, name

    def watch(self, name, columns=100, rows=32, **env):
        terminal = Terminal(["--url", "http://%s:%d" % self.shared.http, "watch", name], columns, rows, **env)
        self.addCleanup(terminal.close)
        return terminal

    def test_live(self):
        job, name = self.job()
        terminal = self.watch(name)
        lines = terminal.until(holds(name, "running", "step 299", "kinetic", "stability", "alerts:"), "the view")
        self.assertTrue(terminal.alternate)
        self.assertTrue(any(set("⠁⣿⠒⠤⠉⡀⢀⣀⠉⠈⠐⠂").intersection(line) for line in lines), "no loss curve")
        bars = {line.split()[0]: line.count("█") for line in lines if "█" in line and line.split()[0] in "024"}
        self.assertEqual(set(bars), {"0", "2", "4"})
        kinetic = [layer["kinetic"]["value"] for layer in self.shared.reading_at(name, 299)["layers"]]
        order = sorted(range(3), key=lambda i: kinetic[i])
        self.assertEqual(sorted(bars, key=lambda layer: bars[layer]), [str(2 * i) for i in order])
        for step in self.steps[300:350]:
            job.send(step)
        terminal.until(holds("step 349"), "the newer step")
        job.send({"type": "end", "status": "completed"})
        self.assertEqual(terminal.end(), 0)
        self.assertFalse(terminal.alternate)
        self.assertIn("completed", terminal.all)

    def test_keys(self):
        _, name = self.job()
        terminal = self.watch(name, COLORTERM="truecolor")
        terminal.until(holds("kinetic temperature, "), "bars")
        terminal.press("p")
        terminal.until(lambda lines: holds("kinetic temperature over steps")(lines) and
                       any(line.count("█") > 40 and line.startswith("4 ") for line in lines), "a picture")
        self.assertGreater(len(set(re.findall(r"38;2;(\d+;\d+;\d+)m█", terminal.all))), 10)
        terminal.press("pms")
        lines = terminal.until(holds("velocity temperature, ", "largest"), "another metric, by size")
        found = [line.split()[0] for line in lines if "█" in line and line.split()[0] in "024"]
        velocity = [layer["velocity"]["value"] for layer in self.shared.reading_at(name, 299)["layers"]]
        self.assertEqual(found, [str(2 * i) for i in sorted(range(3), key=lambda i: -velocity[i])])
        terminal.press("q")
        self.assertEqual(terminal.end(), 0)
        self.assertFalse(terminal.alternate)

    def test_scrolling(self):
        name = self.run_name()
        layers = [{"name": f"layer-{i}", "n": 10} for i in range(60)]
        with Job(self.shared) as job:
            job.hello(name, layers=layers, optimizer={"name": "sgd", "lr": 0.1})
            job.send({"type": "step", "step": 0, "loss": 1, "lr": 0.1,
                      "stats": {"u_mean": [0] * 60, "u_var": [10.0 ** -(i % 7) for i in range(60)]}})
            job.wait_ack(0)
            terminal = self.watch(name, rows=30)
            terminal.until(holds("layer-0 ", "layers 1 to"), "the first layers")
            for keys, wanted in (("\x1b[6~", "layers 1[0-9] to"), ("\x1b[F", "to 60 of 60"), ("\x1b[A", "to 59 of 60"),
                                 ("g", "layers 1 to"), ("jj", "layers 3 to")):
                terminal.press(keys)
                terminal.until(lambda lines, wanted=wanted: any(re.search(wanted, line) for line in lines), wanted)

    def test_narrow_and_resized(self):
        _, name = self.job()
        terminal = self.watch(name)
        terminal.until(holds("step 299", "q quits"), "the view")
        for columns, rows in ((40, 12), (20, 6), (140, 50), (24, 30)):
            terminal.resize(columns, rows)
            terminal.cells.clear()
            terminal.until(lambda lines, columns=columns, rows=rows: any(name[:20] in line for line in lines) and
                           columns // 2 < max(map(len, lines)) <= columns and max(row for row, _ in terminal.cells) < rows,
                           f"the view in {columns} columns and {rows} rows")

    def test_without_colours(self):
        _, name = self.job()
        terminal = self.watch(name, NO_COLOR="1")
        terminal.until(holds("step 299", "alerts:"), "the view")
        terminal.press("p")
        terminal.until(holds("over steps", "▓"), "a picture in shades")
        self.assertEqual(re.findall(r"\x1b\[[0-9;]+m", terminal.all.replace("\x1b[0m", "")), [])

    def test_nan_is_shown_as_such(self):
        lines = [json.loads(line) for line in recording("nan-gradient")]
        job, name = Job(self.shared), self.run_name()
        self.addCleanup(job.close)
        job.hello(name, **facts(lines[0]))
        steps = [line for line in lines if line["type"] == "step"]
        for step in steps:
            job.send(step)
        job.wait_ack(steps[-1]["step"])
        eventually(lambda: self.shared.alerts(run=name, state="firing"), "an alert")
        terminal = self.watch(name)
        terminal.until(holds("loss NaN", "loss_nonfinite", "diverged"), "the NaN and its alert")

    def test_without_a_terminal(self):
        job, name = self.job(10)
        with subprocess.Popen([str(BIN / "pyrometer"), "--url", "http://%s:%d" % self.shared.http, "watch", name],
                              stdout=subprocess.PIPE, text=True, env=program_environment(), stdin=subprocess.DEVNULL) as process:
            self.assertIn("step 9", process.stdout.readline() + process.stdout.readline())
            job.send({"type": "end", "status": "stopped"})
            rest = process.stdout.read()
            self.assertEqual(process.wait(TIMEOUT), 0)
        self.assertIn("status stopped", rest)
        self.assertNotIn("\x1b", rest)


if __name__ == "__main__":
    unittest.main()
