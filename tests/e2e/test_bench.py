"""`pyrometer bench`: made-up runs against a real daemon, told by counts of steps and never by the clock."""

import json
import signal
import subprocess
import tempfile
from pathlib import Path

from harness import BIN, SharedDaemonCase, TestCase, eventually, program_environment, run_program
from receiver import Receiver, webhook


def bench_command(daemon, *args, ingest=None):
    return ["--url", "http://%s:%d" % daemon.http, "bench", "--ingest", ingest or "%s:%d" % daemon.ingest[0], *map(str, args)]


class Bench(SharedDaemonCase):
    def bench(self, *args, expect=0, daemon=None, **kwargs):
        done = run_program("pyrometer", *bench_command(daemon or self.shared, *args, **kwargs))
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done

    def left(self, daemon=None):
        """What a bench has left in the daemon: its runs, and silences in force."""
        daemon = daemon or self.shared
        runs = [r["run"] for r in daemon.get_json("/api/v1/runs?project=bench")["runs"]]
        return runs, daemon.get_json("/api/v1/silences")["silences"]

    def test_figures_for_people(self):
        text = self.bench("--runs", 2, "--layers", 3, "--steps", 50).stdout
        self.assertIn("2 runs of 3 layers", text)
        self.assertIn("as frames", text)
        self.assertIn("100 of 100 acknowledged", text)
        self.assertIn(" 3000 acknowledged", text)  # samples: 10 statistics of each layer and step
        self.assertRegex(text, r"latency +p50 [0-9.e+-]+ ms, p99 [0-9.e+-]+ ms, max [0-9.e+-]+ ms")
        self.assertIn("0 errors, 0 times busy", text)
        self.assertEqual(self.left(), ([], []))

    def test_figures_for_scripts(self):
        for flags, name in (([], "frames"), (["--lines"], "lines"), (["--rate", 10000], "frames")):
            with self.subTest(flags=flags):
                told = json.loads(self.bench("--json", "--runs", 3, "--layers", 2, "--steps", 700, *flags).stdout)
                self.assertEqual([told[k] for k in ("format", "runs", "layers", "sent", "acknowledged", "errors", "busy", "kept", "ok")],
                                 [name, 3, 2, 2100, 2100, 0, 0, False, True])
                self.assertAlmostEqual(told["samples_per_second"], told["steps_per_second"] * 20, delta=1)
                self.assertGreater(told["bytes"], 2100 * 2 * 10 * 4)
                latency = told["latency_ms"]
                self.assertTrue(0 < latency["p50"] <= latency["p99"] <= latency["max"], latency)
                self.assertEqual(self.left(), ([], []))

    def test_what_is_kept_is_what_was_sent(self):
        daemon = self.daemon()
        for flags, prefix in (([], "framed-"), (["--lines"], "lined-")):
            self.bench("--runs", 2, "--layers", 2, "--steps", 300, "--keep", "--run", prefix, *flags, daemon=daemon)
        names = {f"{prefix}{i}" for prefix in ("framed-", "lined-") for i in (0, 1)}
        self.assertEqual(set(self.left(daemon)[0]), names)
        sent = set()
        for name in names:
            run = daemon.run(name)
            self.assertEqual((run["status"], run["steps"], run["last_step"]), ("completed", 300, 299))
            series = daemon.series(name, "w_var", layer="layer1", points=1000)["series"][0]
            self.assertEqual(series["step"], list(range(300)))
            sent.add(json.dumps(series["value"]))
        self.assertEqual(len(sent), 1)  # frames and lines carry the same numbers

    def test_alerts_of_made_up_runs_tell_nobody(self):
        receiver = Receiver()
        self.addCleanup(receiver.close)
        daemon = self.daemon(webhook(receiver, severity_from="info"))
        self.bench("--runs", 1, "--layers", 20, "--steps", 2500, "--keep", "--run", "silent-", daemon=daemon)
        self.assertTrue([a for a in daemon.alerts(run="silent-0", limit=1000) if a["state"] != "pending"])
        self.assertEqual(self.left(daemon)[1], [])  # so that the same steps are told now
        with tempfile.TemporaryDirectory() as home:
            path = Path(home) / "silent.ndjson"
            path.write_bytes(daemon.export("silent-0"))
            done = run_program("pyrometer", "replay", path, "--run", "loud", "--ingest", "%s:%d" % daemon.ingest[0])
            self.assertEqual(done.returncode, 0, done.stderr)
        eventually(lambda: receiver.posts and all(r["waiting"] == 0 for r in daemon.get_json("/api/v1/receivers")["receivers"]),
                   "an alert that is told")
        self.assertEqual({run for _, run, _ in receiver.changes()}, {"loud"})

    def test_ctrl_c_ends_with_the_figures_so_far(self):
        command = [str(BIN / "pyrometer"), *bench_command(self.shared, "--json", "--runs", 2, "--seconds", 3600, "--rate", 1000,
                                                          "--run", "interrupted-")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=program_environment())
        self.addCleanup(process.kill)
        eventually(lambda: any(r["run"] == "interrupted-0" and (r["last_step"] or 0) > 10
                               for r in self.shared.get_json("/api/v1/runs?project=bench")["runs"]), "steps of the bench")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, err), (0, ""))
        told = json.loads(out)
        self.assertTrue(told["ok"])
        self.assertEqual(told["sent"], told["acknowledged"])
        self.assertGreater(told["sent"], 10)
        self.assertEqual(self.left(), ([], []))

    def test_nobody_there(self):
        for args, word in (({"ingest": "127.0.0.1:1"}, "ingest at 127.0.0.1:1"),
                           ({"ingest": "unix:/nonexistent/socket"}, "/nonexistent/socket")):
            self.assertIn(word, self.bench("--steps", 1, expect=1, **args).stderr)
        done = run_program("pyrometer", "--url", "http://127.0.0.1:1", "bench", "--steps", 1)
        self.assertEqual(done.returncode, 1)
        self.assertIn("http://127.0.0.1:1", done.stderr)
        self.assertEqual(self.left(), ([], []))

    def test_what_the_daemon_refuses_is_told_and_counted(self):
        done = self.bench("--json", "--runs", 2, "--layers", 30000, "--steps", 2, expect=1)  # frames of over 1 MiB
        told = json.loads(done.stdout)
        self.assertEqual((told["acknowledged"], told["errors"], told["ok"]), (0, 2, False))
        self.assertEqual((told["steps_per_second"], told["latency_ms"]["p50"]), (None, None))
        self.assertIn("too_large", done.stderr)
        self.assertEqual(self.left(), ([], []))

    def test_busy(self):
        daemon = self.daemon("ingest: { max_connections: 2 }\n")
        done = self.bench("--json", "--runs", 3, "--steps", 5, expect=1, daemon=daemon)
        told = json.loads(done.stdout)
        self.assertEqual((told["acknowledged"], told["busy"], told["errors"]), (10, 1, 0))
        self.assertIn("overloaded", done.stderr)
        self.assertEqual(self.left(daemon), ([], []))

    def test_bad_usage(self):
        for flag, value in (("runs", 0), ("runs", 1.5), ("layers", 100001), ("steps", "many"), ("seconds", -1), ("rate", "nan")):
            done = self.bench(f"--{flag}={value}", expect=2)
            self.assertIn(f"--{flag}", done.stderr)
            self.assertIn(str(value), done.stderr)


class Token(TestCase):
    def test_the_token_is_needed_and_used(self):
        with tempfile.TemporaryDirectory() as home:
            path = Path(home) / "token"
            path.write_text("secret\n")
            path.chmod(0o600)
            for guarded in ("ingest", "http"):
                daemon = self.daemon(f"{guarded}: {{ token_file: {path} }}\n")
                with self.subTest(guarded=guarded):
                    refused = run_program("pyrometer", "--token", "wrong", *bench_command(daemon, "--runs", 2, "--steps", 3))
                    self.assertEqual(refused.returncode, 1, refused.stdout)
                    self.assertIn("unauthorized" if guarded == "ingest" else "token was refused", refused.stderr)
                    self.assertEqual(refused.stdout, "")
                    taken = run_program("pyrometer", "--token", f"@{path}", *bench_command(daemon, "--runs", 2, "--steps", 3))
                    self.assertEqual(taken.returncode, 0, taken.stderr)
                    self.assertIn("6 of 6 acknowledged", taken.stdout)
