"""`pyrometer watch` in a terminal: a pseudo-terminal stands for it, and a small model of a screen for what is seen."""

import json
import re
import subprocess
import termios
import unittest

from harness import BIN, TIMEOUT, Job, SharedDaemonCase, eventually, program_environment, recording
from terminal import Terminal


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
        base = {k: v for k, v in program_environment().items() if k not in ("NO_COLOR", "COLORTERM", "CLICOLOR_FORCE")}
        terminal = Terminal([str(BIN / "pyrometer"), "--url", "http://%s:%d" % self.shared.http, "watch", name], columns, rows,
                            {**base, "TERM": "xterm-256color", **env})
        self.addCleanup(terminal.close)
        return terminal

    def test_live(self):
        job, name = self.job()
        terminal = self.watch(name)
        lines = terminal.until(holds(name, "running", "step 299", "kinetic", "stability", "alerts:"), "the view", timeout=TIMEOUT)
        self.assertTrue(terminal.alternate)
        self.assertTrue(any(set("⠁⣿⠒⠤⠉⡀⢀⣀⠉⠈⠐⠂").intersection(line) for line in lines), "no loss curve")
        bars = {line.split()[0]: line.count("█") for line in lines if "█" in line and line.split()[0] in "024"}
        self.assertEqual(set(bars), {"0", "2", "4"})
        kinetic = [layer["kinetic"]["value"] for layer in self.shared.reading_at(name, 299)["layers"]]
        order = sorted(range(3), key=lambda i: kinetic[i])
        self.assertEqual(sorted(bars, key=lambda layer: bars[layer]), [str(2 * i) for i in order])
        for step in self.steps[300:350]:
            job.send(step)
        terminal.until(holds("step 349"), "the newer step", timeout=TIMEOUT)
        job.send({"type": "end", "status": "completed"})
        self.assertEqual(terminal.end(TIMEOUT), 0)
        self.assertFalse(terminal.alternate)
        self.assertIn("completed", terminal.all)

    def test_keys(self):
        _, name = self.job()
        terminal = self.watch(name, COLORTERM="truecolor")
        terminal.until(holds("kinetic temperature, "), "bars", timeout=TIMEOUT)
        terminal.press("p")
        terminal.until(lambda lines: holds("kinetic temperature over steps")(lines) and
                       any(line.count("█") > 40 and line.startswith("4 ") for line in lines) and
                       len({terminal.styles[at] for at, letter in terminal.cells.items() if letter == "█"}) > 10,
                       "a picture", timeout=TIMEOUT)
        terminal.press("pms")
        velocity = [layer["velocity"]["value"] for layer in self.shared.reading_at(name, 299)["layers"]]
        order = [str(2 * i) for i in sorted(range(3), key=lambda i: -velocity[i])]
        terminal.until(lambda lines: holds("velocity temperature, ", "largest")(lines) and
                       [line.split()[0] for line in lines if "█" in line and line.split()[0] in "024"] == order,
                       "another metric, by size", timeout=TIMEOUT)
        terminal.press("q")
        self.assertEqual(terminal.end(TIMEOUT), 0)
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
            terminal.until(holds("layer-0 ", "layers 1 to"), "the first layers", timeout=TIMEOUT)
            for keys, wanted in (("\x1b[6~", "layers 1[0-9] to"), ("\x1b[F", "to 60 of 60"), ("\x1b[A", "to 59 of 60"),
                                 ("g", "layers 1 to"), ("jj", "layers 3 to")):
                terminal.press(keys)
                terminal.until(lambda lines, wanted=wanted: any(re.search(wanted, line) for line in lines), wanted, timeout=TIMEOUT)

    def test_narrow_and_resized(self):
        _, name = self.job()
        terminal = self.watch(name)
        terminal.until(holds("step 299", "q quits"), "the view", timeout=TIMEOUT)
        for columns, rows in ((40, 12), (20, 6), (140, 50), (24, 30)):
            terminal.resize(columns, rows)
            terminal.cells.clear()
            title = name if len(name) <= columns else name[:columns - 1] + "…"
            terminal.until(lambda lines, columns=columns, title=title: lines[0].startswith(title) and
                           any(line.startswith("alerts:") for line in lines) and
                           (columns > 100 or any(len(line) == columns and line.endswith("…") for line in lines)),
                           f"the view in {columns} columns and {rows} rows", timeout=TIMEOUT)

    def test_without_colours(self):
        _, name = self.job()
        terminal = self.watch(name, NO_COLOR="1")
        terminal.until(holds("step 299", "alerts:"), "the view", timeout=TIMEOUT)
        terminal.press("p")
        terminal.until(holds("over steps", "▓"), "a picture in shades", timeout=TIMEOUT)
        self.assertEqual(re.findall(r"\x1b\[[0-9;]+m", terminal.all.replace("\x1b[0m", "")), [])

    def test_terminals_without_utf8(self):
        """Where the locale names another charset nothing but ASCII is written, in as many columns."""
        _, name = self.job()
        for locale in ({"LC_ALL": "en_US.ISO-8859-1"}, {"LC_ALL": "", "LC_CTYPE": "C", "LANG": "C.UTF-8"}):
            terminal = self.watch(name, NO_COLOR="1", **locale)
            terminal.until(holds("step 299", "####", "noise           -  needs", "alerts:"), "the view", timeout=TIMEOUT)
            terminal.press("p")
            lines = terminal.until(holds("over steps", "%%"), "a picture in shades", timeout=TIMEOUT)
            self.assertTrue(terminal.all.isascii())
            self.assertTrue(any(set(".-'|") & set(line[16:]) for line in lines[1:3]), "no loss curve")
            terminal.press("q")
            self.assertEqual(terminal.end(TIMEOUT), 0)
        terminal = self.watch(name, LC_ALL="", LC_CTYPE="", LANG="")
        terminal.until(holds("step 299", "█"), "UTF-8 where nothing is said", timeout=TIMEOUT)

    def test_interrupted(self):
        """Ctrl-C gives the terminal back as it was: the screen, the cursor, the echo."""
        _, name = self.job()
        terminal = self.watch(name)
        terminal.until(holds("step 299", "q quits"), "the view", timeout=TIMEOUT)
        self.assertTrue(terminal.alternate and terminal.cursor_hidden)
        self.assertFalse(termios.tcgetattr(terminal.fd)[3] & termios.ECHO)
        terminal.press("\x03")
        self.assertEqual(terminal.end(TIMEOUT), 0)
        self.assertFalse(terminal.alternate or terminal.cursor_hidden)
        self.assertEqual(termios.tcgetattr(terminal.fd), terminal.before)

    def test_the_gravest_alerts_first(self):
        job, name = self.job(len(self.steps))
        alerts = eventually(lambda: [a for a in self.shared.alerts(run=name) if a["state"] == "firing"], "alerts that fire")
        terminal = self.watch(name, columns=160, rows=50)
        lines = terminal.until(holds(f"alerts: {len(alerts)} firing"), "the alerts", timeout=TIMEOUT)
        shown = [line.split()[0] for line in lines if " since step " in line]
        order = ["critical", "warning", "info"]
        self.assertEqual(shown, sorted((a["severity"] for a in alerts), key=order.index))
        self.assertTrue(holds("loss/param", "loss/nat", "weight^2")(lines), "no units")

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
        lines = terminal.until(holds("loss NaN", "loss_nonfinite", "diverged"), "the NaN and its alert", timeout=TIMEOUT)

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
