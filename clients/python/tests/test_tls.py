"""server="tls://...": the real daemon over TLS, and certificates and servers that will not do."""
from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

import pyrometer
from pyrometer import _sender

from tests.fake import PATIENCE_S
from tests.test_client import ROOT, ClientTest

CHECKOUT = ROOT.parents[1]
sys.path.append(str(CHECKOUT / "tests" / "e2e"))  # behind this folder: both have a test_tls


@unittest.skipUnless((CHECKOUT / "build" / "pyrometerd").exists(), "the daemon is not built")
class Tls(ClientTest):
    @classmethod
    def setUpClass(cls):
        from secure import Authority
        cls.home = Path(tempfile.mkdtemp(prefix="pyro-tls-"))
        cls.addClassCleanup(shutil.rmtree, cls.home, ignore_errors=True)
        cls.authority = Authority(cls.home)

    def setUp(self):
        super().setUp()
        os.environ["PYROMETER_CA"] = str(self.authority.cert)

    def secure(self, names="IP:127.0.0.1"):
        from harness import Daemon
        cert, key = self.authority.issue(f"{len(list(self.home.iterdir()))}", names)
        daemon = Daemon(f"ingest: {{ tls: {{ cert: {cert}, key: {key} }} }}\n")
        self.addCleanup(daemon.close)
        return daemon.start()

    @staticmethod
    def server(daemon):
        return "tls://%s:%d" % daemon.ingest[0]

    def watch_log(self):
        """The warnings so far, and a wait for one that has these words."""
        logs = self.enterContext(self.assertLogs("pyrometer", "WARNING"))

        def wait(words):
            from harness import eventually
            eventually(lambda: any(words in line for line in logs.output), f"a warning: {words}; {logs.output}")
        return logs.output, wait

    def enterContext(self, manager):  # of unittest from Python 3.11 on
        result = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return result

    def test_steps_events_and_end(self):
        daemon = self.secure()
        layers = [(f"layer{i}", 10) for i in range(3000)]
        run = pyrometer.init("wide", layers, server=self.server(daemon))
        for step in range(20):  # frames of several records
            run.log_layers(step, 1.5, {"w_var": [0.1 * step] * 3000, "g_mean": [0.5] * 3000})
        run.event("here")
        run.log_layers(20, 1.5, {"mine": [0.25] * 3000})
        run.finish(timeout=PATIENCE_S)
        self.assertEqual([m["step"] for m in daemon.steps("wide")], list(range(21)))
        self.assertEqual(daemon.run("wide")["status"], "completed")

    def test_daemon_that_was_killed(self):
        daemon = self.secure()
        run = self.start(self.server(daemon))
        for step in range(10):
            run.log_layers(step, 1.5, {"w_var": [0.1, 0.2]})
        _, port = daemon.ingest[0]
        daemon.kill9()
        for step in range(10, 20):
            run.log_layers(step, 1.5, {"w_var": [0.1, 0.2]})
        daemon.listen = f"127.0.0.1:{port}", daemon.listen[1]
        daemon.start()
        run.finish(timeout=PATIENCE_S)
        self.assertEqual([m["step"] for m in daemon.steps("test")], list(range(20)))

    def refused_then_trusted(self, daemon, words, mend):
        """Nothing goes to a server that is not trusted; once it is, all of it."""
        output, wait = self.watch_log()
        run = self.start(self.server(daemon), token="secret")
        run.step(1.5)
        wait(words)
        run.step(1.25)
        from harness import eventually
        eventually(lambda: run.counters()["spooled"] == 2, "both steps on disk")
        self.assertEqual(len(output), 1, output)
        self.assertEqual(daemon.get_json("/api/v1/runs")["runs"], [])
        mend()
        run.finish(timeout=PATIENCE_S)
        self.assertEqual(len(daemon.steps("test")), 2)

    def test_authority_that_is_not_trusted(self):
        os.environ.pop("PYROMETER_CA")
        self.refused_then_trusted(
            self.secure(), "the server's certificate is not accepted: unable to get local issuer certificate",
            lambda: os.environ.update(PYROMETER_CA=str(self.authority.cert)))

    def test_authority_that_cannot_be_read(self):
        os.environ["PYROMETER_CA"] = "/nonexistent"
        self.refused_then_trusted(self.secure(), "PYROMETER_CA=/nonexistent: No such file",
                                  lambda: os.environ.update(PYROMETER_CA=str(self.authority.cert)))

    def test_certificate_of_another_host(self):
        daemon = self.secure("DNS:elsewhere")
        cert, key = self.authority.issue("right", "IP:127.0.0.1")

        def renew():
            daemon.configure(f"ingest: {{ tls: {{ cert: {cert}, key: {key} }} }}\n")
            daemon.process.send_signal(signal.SIGHUP)
        self.refused_then_trusted(daemon, "certificate is not valid for '127.0.0.1'", renew)

    def test_server_without_tls(self):
        from harness import Daemon
        daemon = Daemon()
        self.addCleanup(daemon.close)
        _, wait = self.watch_log()
        run = self.start(self.server(daemon.start()))
        wait("the server does not speak TLS at this address")
        run.step(1.5)
        run.finish(timeout=0.1)
        self.assertEqual(run.counters()["spooled"], 2)  # with the end

    def test_without_tls_where_it_is_wanted(self):
        _, wait = self.watch_log()
        run = self.start(self.server(self.secure())[len("tls://"):])
        run.step(1.5)
        wait("the client's server must be tls://HOST:PORT")
        run.finish(timeout=PATIENCE_S)
        self.assertEqual(run.counters()["spooled"], 2)  # with the end

    def test_server_that_says_nothing(self):
        with socket.create_server(("127.0.0.1", 0)) as server, mock.patch.object(_sender, "CONNECT_TIMEOUT_S", 0.05):
            _, wait = self.watch_log()
            run = self.start("tls://127.0.0.1:%d" % server.getsockname()[1])
            run.step(1.5)
            wait("timed out")
            run.finish(timeout=0.1)
            self.assertEqual(run.counters()["spooled"], 2)  # with the end

    def test_server_that_trickles(self):
        """The handshake's time is one for all of it."""
        def trickle(server):
            connection, _ = server.accept()
            with connection:
                try:
                    for _ in range(5000):
                        connection.sendall(b"\x16\x03\x03\x40\x00" if _ == 0 else b"\0")
                        done.wait(0.01)
                except OSError:
                    pass
        done = threading.Event()
        with socket.create_server(("127.0.0.1", 0)) as server, mock.patch.object(_sender, "CONNECT_TIMEOUT_S", 0.1), \
                mock.patch.object(_sender, "FIRST_PAUSE_S", PATIENCE_S):
            thread = threading.Thread(target=trickle, args=(server,))
            thread.start()
            _, wait = self.watch_log()
            self.start("tls://127.0.0.1:%d" % server.getsockname()[1])
            wait("timed out")
            done.set()
            thread.join()

    def test_addresses(self):
        self.assertEqual(_sender.split_address("tls://h"), ("h", 27315))
        self.assertEqual(_sender.split_address("tls://[::1]:5"), ("::1", 5))
        _, wait = self.watch_log()
        self.assertEqual(pyrometer.init("test", server="tls://:5").counters()["sent"], 0)
        wait("server is 'tls://:5', expected host:port, tls://host:port or unix:/path")


if __name__ == "__main__":
    unittest.main()
