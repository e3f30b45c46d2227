"""The command for people, and the demonstration's trainer."""

import gzip
import json
import math
import re
import shutil
import tempfile
import unittest
from pathlib import Path

from harness import (BIN, DATA, SLOW, TIMEOUT, Job, SharedDaemonCase, TestCase, comparable, eventually, program_environment, recording,
                     replay, run_program)
from terminal import Terminal


class Command(SharedDaemonCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        replay(cls.shared, recording("nan-gradient"))
        with Job(cls.shared) as job:
            job.hello("other", project="elsewhere")
            job.step(0)
            job.wait_ack(0)
        eventually(lambda: cls.shared.alerts(run="nan-gradient"), "an alert")

    def pyrometer(self, *args, expect=0):
        done = run_program("pyrometer", "--url", "http://%s:%d" % self.shared.http, *args)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout if expect == 0 else done.stderr

    def test_runs(self):
        text = self.pyrometer("runs")
        self.assertIn("nan-gradient", text)
        self.assertIn("elsewhere", text)
        self.assertNotIn("\x1b", text)  # no colours where nobody sees them
        runs = json.loads(self.pyrometer("--json", "runs"))
        self.assertIn("nan-gradient", json.dumps(runs))

    def test_long_work_shows_its_progress_on_a_terminal(self):
        home = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, home)
        url, ingest = "http://%s:%d" % self.shared.http, "%s:%d" % self.shared.ingest[0]
        file, backup, table = DATA / "nan-gradient.ndjson.gz", home / "copy.db", home / "data.csv"
        table.write_text("x,y\n1,2\n2,3\n3,5\n4,4\n")
        for words, wanted in (
            (["export", "nan-gradient", "-o", home / "run.ndjson"], r"\d.* exported"),
            (["replay", file, "--ingest", ingest, "--run", "shown"], r"shown: \d+ steps sent, \d+ acknowledged, \d+ % of the file"),
            (["rules", "backtest", "default", file], r"\d+ steps judged"),
            (["rules", "backtest", "default", "nan-gradient"], r"\d+ steps judged"),
            (["backup", self.shared.data, backup], r"copied \d+%"),
            (["check", backup], r"checked \d+%"),
            (["reference", "--loss", "mse", "--init", "normal:0,1", "--data", table], "1 rows read"),
            (["show", "nan-gradient"], "asking for its states, which walks the whole run"),
        ):
            with self.subTest(words[0]):
                terminal = Terminal([str(BIN / "pyrometer"), "--url", url, *map(str, words)], 200, 24, program_environment())
                self.addCleanup(terminal.close)
                self.assertEqual(terminal.end(TIMEOUT), 0)
                self.assertRegex(terminal.all, "\r" + wanted + "\x1b")
                self.assertNotRegex("\n".join(terminal.lines()), wanted)  # wiped out when it is done

    def test_show(self):
        text = self.pyrometer("show", "nan-gradient")
        for word in ("nan-gradient", "c2", "kinetic"):
            self.assertIn(word, text)
        shown = json.loads(self.pyrometer("--json", "show", "nan-gradient"))
        self.assertIn("nan-gradient", json.dumps(shown))

    def test_show_tells_states_and_the_initialisation(self):
        """A normal layer with variance 1.1 of the stated 1, two layers without a word; a refresh between two states."""
        layers = [{"name": "stated", "n": 1000, "init": {"distribution": "normal", "mean": 0, "std": 1}},
                  {"name": "b", "n": 8}, {"name": "c", "n": 8}]
        job, run = self.start_run(layers=layers)
        for step in range(4):
            if step == 2:
                job.send({"type": "event", "step": 2, "name": "data_refresh"})
            job.send({"type": "step", "step": step, "loss": [4, 3, 5, 4.5][step], "lr": 0.1,
                      "stats": {"w_mean": [0, 0, 0], "w_var": [1.1 + step / 10, 1, 1], "gu": [-1, 0, 0]}})
        job.wait_ack(3)
        text = self.pyrometer("show", run)
        row = next(line.split() for line in text.splitlines() if line.split()[:1] == ["stated"] and len(line.split()) == 6)
        self.assertEqual(row[1], row[2])
        self.assertAlmostEqual(float(row[4]), 500 * math.log(1.1), 1)
        self.assertAlmostEqual(float(row[5]), 500 * math.log(1.1) / math.sqrt(500), 2)
        self.assertIn("not compared, 2 layers: the hello states no init", text)
        states = [line.split()[:4] for line in text.splitlines() if line.split()[:1] in (["I"], ["refresh"], ["II"])]
        self.assertEqual(states, [["I", "0", "1", "-1"], ["refresh", "1", "2", "2"], ["II", "2", "3", "-0.5"]])

    def test_alerts(self):
        self.assertIn("loss_nonfinite", self.pyrometer("alerts"))
        self.assertIn("loss_nonfinite", json.dumps(json.loads(self.pyrometer("--json", "alerts"))))

    def test_delete(self):
        for name in ("doomed-1", "doomed-2"):
            job, run = self.start_run(run=name)
            job.step(0)
            job.wait_ack(0)
        text = self.pyrometer("delete", "doomed-1", "nobody", "doomed-2", expect=1)
        self.assertIn('no run "nobody"', text)
        for name in ("doomed-1", "doomed-2"):
            self.assertIn(name, self.pyrometer("show", name, expect=1))
        job, run = self.start_run(run="doomed-3")
        done = run_program("pyrometer", "--json", "--url", "http://%s:%d" % self.shared.http, "delete", "doomed-3", "nobody")
        self.assertEqual(done.returncode, 1)
        gone, never = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(gone, {"run": "doomed-3", "ok": True})
        self.assertEqual((never["run"], never["ok"]), ("nobody", False))
        self.assertIn("nobody", never["error"])

    def test_what_is_not_known_of_a_run_that_is_over_is_not_shown_as_not_measured(self):
        """The list has readings of live runs only."""
        def is_put_away():
            row = next(line for line in self.pyrometer("runs").splitlines() if line.startswith("nan-gradient"))
            return re.search(r"NaN +0 ", row)
        eventually(is_put_away, "a row of a run that is over")

    def test_a_narrow_frame_cuts_no_number(self):
        done = run_program("/usr/bin/env", "COLUMNS=39", BIN / "pyrometer", "--url", "http://%s:%d" % self.shared.http,
                           "watch", "nan-gradient", "--once")
        self.assertEqual(done.returncode, 0, done.stderr)
        head = done.stdout.splitlines()[0]
        self.assertEqual(len(head), 39)
        self.assertTrue(head.endswith("…"), head)

    def test_unknown_run(self):
        self.assertIn("nobody", self.pyrometer("show", "nobody", expect=1))
        self.assertIn("nobody", self.pyrometer("export", "nobody", expect=1))

    def test_export_and_replay(self):
        exported = self.pyrometer("export", "nan-gradient")
        self.assertEqual(exported.encode(), self.shared.export("nan-gradient"))
        other = self.daemon()
        ingest = "%s:%d" % other.ingest[0]
        with tempfile.TemporaryDirectory() as home:
            plain, packed = Path(home) / "a.ndjson", Path(home) / "b.ndjson.gz"
            plain.write_text(exported)
            packed.write_bytes(gzip.compress(exported.encode()))
            for path, run in ((plain, "plain"), (packed, "packed")):
                done = run_program("pyrometer", "--url", "http://%s:%d" % other.http, "replay", path, "--ingest",
                                   ingest,
                                   "--run", run, "--speed", "max")
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        wanted = comparable(self.shared.reading_at("nan-gradient", 482))
        for run in ("plain", "packed"):
            self.assertEqual(comparable(other.reading_at(run, 482)), wanted)

    def test_replay_of_several_files(self):
        other = self.daemon()
        files = [DATA / f"{name}.ndjson.gz" for name in ("sgd-momentum", "adamw")]
        done = run_program("pyrometer", "replay", *files, "--ingest", "%s:%d" % other.ingest[0], "--speed", "max")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for name in ("sgd-momentum", "adamw"):
            self.assertEqual(other.run(name)["steps"], 800)

    def test_replay_of_what_is_none(self):
        with tempfile.TemporaryDirectory() as home:
            path = Path(home) / "bad.ndjson"
            path.write_text("this is no recording\n")
            for name in (path, Path(home) / "absent.ndjson", Path(home)):
                done = run_program("pyrometer", "replay", name, "--ingest", "%s:%d" % self.shared.ingest[0])
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(name.name, done.stderr)
            done = run_program("pyrometer", "--json", "replay", name, DATA / "adamw.ndjson.gz", "--ingest", "%s:%d" % self.shared.ingest[0])
            absent, sent = [json.loads(line) for line in done.stdout.splitlines()]
            self.assertEqual((absent["run"], absent["ok"], sent["run"], sent["ok"]), (None, False, "adamw", True))

    def test_replay_of_an_empty_file(self):
        done = run_program("pyrometer", "replay", "/dev/null", "--ingest", "%s:%d" % self.shared.ingest[0])
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("is empty", done.stderr)

    def test_sync_where_nobody_ever_spooled(self):
        done = run_program("/usr/bin/env", "-u", "PYROMETER_SPOOL", "XDG_STATE_HOME=/nonexistent", BIN / "pyrometer", "sync")
        self.assertEqual((done.returncode, done.stdout), (0, "nothing to deliver\n"), done.stderr)
        done = run_program("pyrometer", "--json", "sync", "/nonexistent")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(done.stdout), {"delivered": 0, "in_use": 0, "failed": 1, "ok": False})

    def test_the_server_of_the_environment_is_that_of_replay(self):
        done = run_program("/usr/bin/env", "PYROMETER_SERVER=%s:%d" % self.shared.ingest[0], BIN / "pyrometer", "replay",
                           DATA / "adamw.ndjson.gz", "--run", "by-environment")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("by-environment", self.pyrometer("runs"))

    def test_nobody_there(self):
        done = run_program("pyrometer", "--url", "http://127.0.0.1:1", "runs")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("127.0.0.1:1", done.stderr)

    def test_bad_usage(self):
        for args in ([], ["nonsense"], ["show"], ["--nonsense", "runs"], ["--url"], ["replay"],
                     ["alerts", "--for", "2h"], ["alerts", "ack", "1", "--run", "r"], ["alerts", "silence", "run"],
                     ["alerts", "silence", "run=r", "--for", "ever"]):
            with self.subTest(args=args):
                done = run_program("pyrometer", *args)
                self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                self.assertTrue(done.stderr)

    def test_help_and_version(self):
        text = run_program("pyrometer", "--help").stdout
        for word in ("runs", "show", "watch", "alerts", "replay", "bench", "export"):
            self.assertIn(word, text)
        self.assertEqual(run_program("pyrometer", "help").stdout, text)

    def test_help_of_a_command_lists_what_means_something_to_it(self):
        for command, options in (("check", {"json"}), ("show", {"url", "token", "json"}),
                                 ("sync", {"keep", "ingest", "token", "json"})):
            for words in ((command, "--help"), ("help", command)):
                text = run_program("pyrometer", *words).stdout
                self.assertEqual(set(re.findall(r"^ +--([a-z-]+)", text, re.M)), options, text)
        self.assertIn("instead of the recorded one", run_program("pyrometer", "replay", "--help").stdout)
        self.assertNotIn("instead of the recorded one", run_program("pyrometer", "alerts", "--help").stdout)
        # What every command takes does no harm to those that ask nobody.
        self.assertEqual(run_program("pyrometer", "--url", "http://127.0.0.1:1", "check", "/nonexistent").returncode, 1)
        self.assertRegex(run_program("pyrometer", "--version").stdout, r"\d+\.\d+\.\d+")


class Demo(TestCase):
    @unittest.skipIf(SLOW, "a whole training run; it is run on the plain build")
    def test_ramp_is_seen_before_the_failure(self):
        """The trainer of the demonstration drives its learning rate up; `unstable` fires before the loss gives way."""
        daemon = self.daemon()
        done = run_program("pyrometer-demo", "--ramp", "--server", "%s:%d" % daemon.ingest[0], "--run", "ramp",
                           timeout=240,
                           cwd=DATA.parent.parent)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        losses = daemon.series("ramp", "loss", points=100000)["series"][0]
        failure = self.failure(losses["step"], losses["value"])
        alerts = [a for a in daemon.alerts(run="ramp", limit=1000) if a["rule"] == "unstable"]
        fired = [a["step"] for a in alerts if a["state"] != "pending"]
        self.assertTrue(fired, alerts)
        self.assertLess(min(fired), failure)
        self.assertEqual(daemon.run("ramp")["status"], "failed")

    def failure(self, steps, losses):
        """The step at which the smoothed loss passes three times its minimum."""
        smooth = lowest = float(losses[0])
        for step, loss in zip(steps, map(float, losses)):
            smooth += 0.02 * (loss - smooth)
            lowest = min(lowest, smooth)
            if not smooth <= 3 * lowest:
                return step
        self.fail("the ramp did not break the training")


if __name__ == "__main__":
    unittest.main()
