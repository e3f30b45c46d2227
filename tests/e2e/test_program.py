"""The daemon as a program: flags, configuration, exit codes, signals, one daemon a directory."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import BIN, TIMEOUT, WRAPPER, Daemon, Job, TestCase, eventually, program_environment, run_program


class Flags(TestCase):
    def test_version(self):
        done = run_program("pyrometerd", "--version")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^pyrometerd \d+\.\d+\.\d+")

    def test_help(self):
        done = run_program("pyrometerd", "--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for flag in ("--config", "--data", "--ingest", "--http", "--check-config", "--version", "--help"):
            self.assertIn(flag, done.stdout)

    def test_bad_usage(self):
        for args in (["--nonsense"], ["--data"], ["extra"], ["--ingest", "nowhere"], ["--ingest", "127.0.0.1:99999"],
                     ["--http", "127.0.0.1:-1"], ["--http", "unix:/tmp/x"],
                     ["--config", "/nonexistent/pyrometer.yaml"]):
            with self.subTest(args=args), tempfile.TemporaryDirectory() as home:
                done = run_program("pyrometerd", *args, cwd=home)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(args[-1], done.stderr)
                self.assertEqual(os.listdir(home), [])

    def test_flags_override_the_file(self):
        with tempfile.TemporaryDirectory() as other:
            daemon = self.daemon(f"data: {other}\n"
                                 "ingest: { listen: ['127.0.0.1:1'] }\n"
                                 "http: { listen: '127.0.0.1:1' }\n")
            self.assert_served(daemon)
            self.assertEqual(os.listdir(other), [])

    def test_everything_from_the_file(self):
        daemon = Daemon(ingest=None, http=None)
        self.addCleanup(daemon.close)
        daemon.configure(f"ingest: {{ listen: ['127.0.0.1:0', 'unix:{daemon.home}/sock'], ack_interval: 5ms }}\n"
                         "http: { listen: '127.0.0.1:0' }\n")
        daemon.start()
        self.assertEqual(len(daemon.ingest), 2)
        for where in daemon.ingest:
            with Job(where) as job:
                job.hello()
                job.step(0)
                job.wait_ack(0)

    def test_data_directory_from_the_environment(self):
        for variable, below in (("STATE_DIRECTORY", ""), ("XDG_STATE_HOME", "pyrometer"),
                                ("HOME", ".local/state/pyrometer")):
            with self.subTest(variable), tempfile.TemporaryDirectory() as home:
                env = {k: v for k, v in program_environment().items()
                       if k not in ("STATE_DIRECTORY", "XDG_STATE_HOME", "HOME")}
                process = subprocess.Popen([*WRAPPER, str(BIN / "pyrometerd"), "--ingest", "127.0.0.1:0", "--http",
                                            "127.0.0.1:0"],
                                           env=dict(env, **{variable: home}), stdin=subprocess.DEVNULL,
                                           stderr=subprocess.PIPE)
                try:
                    eventually(lambda: process.poll() is not None or (Path(home) / below / "endpoints.json").exists(),
                               "endpoints.json")
                    process.send_signal(signal.SIGTERM)
                    _, log = process.communicate(timeout=TIMEOUT)
                finally:
                    process.kill()
                self.assertEqual(process.returncode, 0, log)
                self.assertTrue((Path(home) / below / "pyrometer.db").exists())


class UnixSocket(TestCase):
    def test_jobs_over_a_unix_socket(self):
        with tempfile.TemporaryDirectory() as directory:
            daemon = self.daemon(ingest=f"unix:{directory}/ingest.sock")
            self.assertEqual(daemon.ingest, [f"{directory}/ingest.sock"])
            self.assertEqual(Path(daemon.ingest[0]).stat().st_mode & 0o777, 0o666)  # for jobs of other users
            self.assert_served(daemon)
            daemon.restart()
            self.assert_served(daemon)
            daemon.kill9()  # leaves the socket's file behind
            daemon.start()
            self.assert_served(daemon)


    def test_a_socket_that_is_anothers_stays(self):
        """A second daemon is refused and takes away neither the first one's socket nor a file that is none."""
        with tempfile.TemporaryDirectory() as directory:
            first = self.daemon(ingest=f"unix:{directory}/ingest.sock")
            file = Path(directory) / "notes"
            file.write_text("mine")
            for path, why in ((f"{directory}/ingest.sock", "in use"), (file, "exists"), (f"{directory}/no/x", "no such file")):
                done = run_program("pyrometerd", "--data", Path(directory) / "other", "--ingest", f"unix:{path}", "--http",
                                   "127.0.0.1:0")
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(str(path), done.stderr)
                self.assertIn(why, done.stderr)
                self.assertNotIn("stop", done.stderr)  # it never began
            self.assertEqual(file.read_text(), "mine")
            self.assert_served(first)


class OneDaemonADirectory(TestCase):
    def test_no_room_for_the_addresses(self):
        """As on a full disk: it serves all the same, says so, and leaves no earlier daemon's addresses."""
        daemon = Daemon()
        self.addCleanup(daemon.close)
        (daemon.data / "endpoints.json.new").mkdir(parents=True)
        daemon.start()
        self.assertRegex(daemon.log(), r"<4>.*endpoints\.json cannot be written")
        self.assertFalse((daemon.data / "endpoints.json").exists())
        self.assert_served(daemon)

    def test_second_daemon_is_refused(self):
        first = self.daemon()
        done = run_program("pyrometerd", "--data", first.data, "--ingest", "127.0.0.1:0", "--http", "127.0.0.1:0")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(str(first.data), done.stderr)
        self.assertRegex(done.stderr, "(?i)another|already|in use|lock")
        self.assert_served(first)
        first.get("/readyz")

    def test_directory_that_cannot_be(self):
        with tempfile.NamedTemporaryFile() as file:
            done = run_program("pyrometerd", "--data", file.name, "--ingest", "127.0.0.1:0", "--http", "127.0.0.1:0")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(file.name, done.stderr)

    def test_a_store_that_is_none(self):
        daemon = Daemon()
        self.addCleanup(daemon.close)
        daemon.data.mkdir()
        (daemon.data / "pyrometer.db").write_bytes(b"this is no database, and somebody may want it back\n" * 100)
        done = run_program("pyrometerd", "--data", daemon.data, "--ingest", "127.0.0.1:0", "--http", "127.0.0.1:0")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("pyrometer.db", done.stderr)
        self.assertTrue((daemon.data / "pyrometer.db").read_bytes().startswith(b"this is no database"))

    def test_address_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken, tempfile.TemporaryDirectory() as data:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            for flags in (("--ingest", address, "--http", "127.0.0.1:0"),
                          ("--ingest", "127.0.0.1:0", "--http", address)):
                with self.subTest(flags=flags):
                    done = run_program("pyrometerd", "--data", data, *flags)
                    self.assertEqual(done.returncode, 1, done.stderr)
                    self.assertIn(address, done.stderr)


class Configuration(TestCase):
    # text, the line of the mistake, the key that the message must name
    MISTAKES = [
        ("data: /tmp/x\nnonsense: 1\n", 2, "nonsense"),
        ("ingest:\n  listen: ['127.0.0.1:0']\n  max_mesage: 1MiB\n", 3, "max_mesage"),
        ("ingest:\n  max_message: lots\n", 2, "max_message"),
        ("ingest:\n  max_message: 0\n", 2, "max_message"),
        ("ingest:\n\n  ack_interval: -5ms\n", 3, "ack_interval"),
        ("ingest: { ack_interval: [1, 2] }\n", 1, "ack_interval"),
        ("http:\n  listen: 127.0.0.1\n", 2, "listen"),
        ("http: 5\n", 1, "http"),
        ("storage:\n  durability: perhaps\n", 2, "durability"),
        ("storage:\n  retention: 90 parsecs\n", 2, "retention"),
        ("alerts:\n  stall_after: soon\n", 2, "stall_after"),
        ("alerts:\n  rules:\n    - rule: unheard_of\n", 3, "unheard_of"),
        ("alerts:\n  rules:\n    - rule: unstable\n      colour: red\n", 4, "colour"),
        ("ingest:\n  token_file: /nonexistent/token\n", None, "token_file"),
        ("data: /tmp/x\ndata: /tmp/y\n", 2, "data"),
        ("data: [unclosed\n", None, None),
        ("\t- what\n", None, None),
        ("just a sentence\n", 1, None),
    ]

    def check(self, text, *flags):
        with tempfile.TemporaryDirectory() as home:
            path = Path(home) / "some.yaml"
            path.write_text(text)
            done = run_program("pyrometerd", "--config", path, "--data", Path(home) / "data", *flags)
            return done, path

    def test_mistakes_are_named(self):
        for text, number, key in self.MISTAKES:
            for flags in (["--check-config"], ["--ingest", "127.0.0.1:0", "--http", "127.0.0.1:0"]):
                with self.subTest(text=text, flags=flags):
                    done, path = self.check(text, *flags)
                    self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                    self.assertIn(str(path), done.stderr)
                    if number:
                        self.assertRegex(done.stderr, re.escape(str(path)) + rf"[:,]? ?(line )?{number}\b")
                    if key:
                        self.assertIn(key, done.stderr)

    def test_a_certificate_that_is_none(self):
        with tempfile.NamedTemporaryFile("w") as file:
            for cert, why in ((file.name, "PEM"), ("/nonexistent", "No such file")):
                done, _ = self.check(f"http: {{ tls: {{ cert: {cert}, key: {cert} }} }}\n", "--check-config")
                self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                self.assertIn("http.tls", done.stderr)
                self.assertIn(cert, done.stderr)
                self.assertIn(why, done.stderr)

    def test_receivers_files_that_cannot_be_read(self):
        for key in ("url_file", "token_file", "secret_file"):
            done, _ = self.check(f"alerts: {{ webhooks: [ {{ url: 'http://h', {key}: /nonexistent }} ] }}\n", "--check-config")
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertIn(f"alerts.webhooks[0].{key}: /nonexistent: cannot be opened", done.stderr)

    def test_good_configurations(self):
        good = ["", "# nothing but a comment\n", "storage: { durability: normal, retention: 90d, max_size: 100GiB }\n",
                "alerts: { stall_after: 90s, rules: [ { rule: overheating, severity: critical } ] }\n",
                "ingest: { listen: ['127.0.0.1:27315', 'unix:/run/x.sock'], max_message: 2MiB, ack_interval: 50ms }\n"]
        for text in good:
            with self.subTest(text=text):
                done, path = self.check(text, "--check-config")
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertFalse((path.parent / "data").exists())

    def test_reload(self):
        daemon = self.daemon("alerts: { stall_after: 1h }\n")
        job = self.job(daemon)
        job.hello("quiet")
        job.step(0)
        job.wait_ack(0)
        daemon.configure("alerts:\n  stall_after: never ever\n")
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: "stall_after" in daemon.log() and "pyrometer.yaml" in daemon.log(), "the refusal in the log")
        self.assert_served(daemon)
        self.assertEqual(daemon.run("quiet")["status"], "running")
        daemon.configure("alerts: { stall_after: 1s }\n")
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: daemon.run("quiet")["status"] == "stalled", "the new stall_after in force")
        job.step(1)
        job.wait_ack(1)


if __name__ == "__main__":
    unittest.main()
