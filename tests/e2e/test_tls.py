"""ingest.tls: the protocol over TLS, what goes wrong before it is spoken, and renewed certificates."""

import gzip
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

from harness import DATA, Job, TestCase, eventually, frame, hello, line, make_step, new_run, run_program
from secure import Authority, make_key

UNSUPPORTED = "unsupported_protocol"


def settings(cert, key, more=""):
    return f"ingest: {{ tls: {{ cert: {cert}, key: {key}{', ' + more if more else ''} }} }}\n"


class TlsCase(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.home = Path(tempfile.mkdtemp(prefix="pyro-tls-"))
        cls.addClassCleanup(shutil.rmtree, cls.home, True)
        cls.authority = Authority(cls.home)
        cls.pair = cls.authority.issue("localhost")
        cls.context = ssl.create_default_context(cafile=str(cls.authority.cert))

    def secure(self, more="", **kwargs):
        return self.daemon(settings(*self.pair, more), **kwargs)

    def job(self, daemon, **kwargs):
        return super().job(daemon, tls=kwargs.pop("tls", self.context), **kwargs)

    def counted(self, daemon):
        return int(re.search(rb"^pyrometer_handshakes_failed_total (\d+)$", daemon.get("/metrics")[1], re.M)[1])

    def expect_failure(self, daemon, cause, n=1):
        """It was counted, and told with the peer's address."""
        eventually(lambda: self.counted(daemon) == n, "the count of a failed handshake")
        self.assertRegex(daemon.log(), rf"{cause}.* peer=127\.0\.0\.1:\d+")
        with self.job(daemon) as job:  # and it cost nobody else anything
            job.hello()
            job.step(0)
            job.wait_ack(0)


class Protocol(TlsCase):
    def test_versions(self):
        daemon = self.secure()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.create_default_context(cafile=str(self.authority.cert))
            context.minimum_version = context.maximum_version = version
            with self.subTest(version=version):
                job = self.job(daemon, tls=context)
                run = job.hello()["run"]
                self.assertEqual(job.socket.version().replace(".", "_"), version.name)
                job.raw(b"".join(line(make_step(step)) for step in range(100)))
                job.frame(frame(make_step(100)))
                job.wait_ack(100)
                job.send({"type": "event", "name": "here"})
                job.ping()
                self.assertEqual([m["step"] for m in daemon.steps(run)], list(range(101)))

    def test_older_tls_is_refused(self):
        daemon = self.secure()
        context = ssl.create_default_context(cafile=str(self.authority.cert))
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises(ssl.SSLError):
            self.job(daemon, tls=context)
        self.expect_failure(daemon, "")

    def test_messages_across_records(self):
        """Cut anywhere into records, records into segments; a large frame takes many of them."""
        daemon = self.secure()
        job = self.job(daemon)
        job.hello(layers=2000)
        for step in range(3):
            job.frame(frame(make_step(step, 2000)))
        text = line(make_step(3, 2000))
        for at in range(0, len(text), 997):
            job.socket.sendall(text[at:at + 997])
        job.lines += 1
        for byte in line(make_step(4, 2000, stats=())):
            job.socket.sendall(bytes([byte]))
        job.wait_ack(4)

    def test_half_close(self):
        """close_notify is the end of what the job sends: the daemon answers it all, and ends likewise."""
        daemon = self.secure()
        older = ssl.create_default_context(cafile=str(self.authority.cert))
        older.maximum_version = ssl.TLSVersion.TLSv1_2
        for n, context in ((0, self.context), (1, self.context), (400, self.context), (400, older)):
            job = self.job(daemon, tls=context)
            job.raw(b"".join([line(hello()), line({"type": "event", "name": "waited for"}), line({"type": "ping"}),
                              *(line(make_step(step)) for step in range(n))]))
            job.half_close()
            kinds = [m["type"] for m in job.drain()]  # which fails where the daemon's close_notify is missing
            self.assertEqual((job.acked, kinds[:2]), (n - 1, ["welcome", "pong"]))

    def test_a_cut_is_no_end(self):
        """Without close_notify the connection was cut: nothing is answered, whole messages count."""
        daemon = self.secure()
        run = new_run("cut")
        job = self.job(daemon)
        job.hello(run)
        job.raw(line(make_step(0)) + line(make_step(1))[:-1])  # as a cut could make a step of it
        job.socket.close()
        eventually(lambda: daemon.get(f"/api/v1/runs/{run}") and daemon.run(run)["last_step"] == 0, "the whole step")
        with self.job(daemon) as other:
            self.assertEqual(other.hello(run)["last_step"], 0)

    def test_fatal_error_and_stop_are_told(self):
        daemon = self.secure()
        job, other = self.job(daemon), self.job(daemon)
        job.send({"type": "step", "step": 0})
        job.expect_error("no_hello", fatal=True)
        job.close()
        other.hello()
        with socket.create_connection(daemon.ingest[0]):  # one that never shakes hands does not hold the stop up
            with self.job(daemon) as third:
                third.hello()
            daemon.process.send_signal(signal.SIGTERM)
            other.expect_error("shutting_down", number=1)
            other.close()
            self.assertEqual(daemon.process.wait(60), 0)

    def test_as_many_as_are_allowed(self):
        daemon = self.daemon("ingest: { max_connections: 1, tls: { cert: %s, key: %s } }\n" % self.pair)
        first = self.job(daemon)
        first.hello()
        second = self.job(daemon)
        second.expect_error("overloaded", number=0, fatal=True)
        first.step(0)
        first.wait_ack(0)

    def test_slow_reader(self):
        """A job that does not read is not read from; once it reads, everything is answered."""
        daemon = self.secure()
        job = self.job(daemon, receive_buffer=4096)
        job.hello()
        n = 60000
        sender = threading.Thread(target=lambda: job.raw(line({"type": "nonsense"}) * n))
        sender.start()
        with self.job(daemon) as other:
            other.hello()
            other.ping()
        for _ in range(n):
            self.assertEqual(job.recv()["code"], "unknown_type")
        sender.join()

    def test_stop_does_not_wait_for_who_does_not_read(self):
        for daemon, tls in ((self.secure(), self.context), (self.daemon(), None)):
            with self.subTest(tls=bool(tls)):
                job = self.job(daemon, receive_buffer=4096, tls=tls)
                job.socket.settimeout(0.5)
                with self.assertRaises(socket.timeout):  # replies fill all there is between us, and reading stops
                    while True:
                        job.raw(line({"type": "nonsense"}) * 1000)
                daemon.process.send_signal(signal.SIGTERM)
                self.assertEqual(daemon.process.wait(60), 0)

    def test_ranks(self):
        daemon = self.secure()
        run, jobs = new_run("ranks"), [self.job(daemon), self.job(daemon)]
        for rank, job in enumerate(jobs):
            job.send(hello(run, rank=rank, world_size=2, shards=True))
        for job in jobs:
            job.expect("welcome")
        for step in range(200):  # the first is ahead by more than the daemon reads
            jobs[0].step(step)
        for step in range(200):
            jobs[1].step(step)
        for job in jobs:
            job.wait_ack(199)

    def test_kill_and_resume(self):
        daemon = self.secure()
        job = self.job(daemon)
        run = job.hello()["run"]
        for step in range(50):
            job.step(step)
        job.wait_ack(49)
        daemon.kill9()
        with self.assertRaises((ssl.SSLEOFError, AssertionError)):  # what the kernel ends, TLS does not
            job.expect("pong")
        daemon.start()
        job = self.job(daemon)
        self.assertEqual(job.hello(run)["last_step"], 49)
        job.step(50)
        job.wait_ack(50)

    def test_unix_sockets_stay_plain(self):
        daemon = self.secure(ingest=f"unix:{self.home}/ingest")
        with Job(daemon) as job:
            job.hello()
            job.step(0)
            job.wait_ack(0)


class Handshakes(TlsCase):
    def test_plain_client(self):
        daemon = self.secure()
        for text in (line(hello()), frame(make_step(0)), b"GET / HTTP/1.1\r\n"):
            with Job(daemon) as job:
                job.socket.sendall(text)
                error = job.expect_error(UNSUPPORTED, number=1, fatal=True)
                self.assertIn("tls://HOST:PORT", error["message"])
        self.expect_failure(daemon, "takes TLS only", n=3)
        self.assertEqual(daemon.log().count("takes TLS only"), 1)

    def test_tls_client_at_a_plain_address(self):
        daemon = self.daemon()
        with self.assertRaises(ssl.SSLError):
            self.job(daemon)
        with Job(daemon) as job:
            job.socket.sendall(b"\x16\x03\x01\x02\x00\x01\n")
            self.assertIn("looks like TLS", job.expect_error(UNSUPPORTED, number=1, fatal=True)["message"])
        eventually(lambda: self.counted(daemon) == 2, "both counted")
        self.assertIn("looks like TLS", daemon.log())
        with Job(daemon) as job:  # only a connection's first byte says it
            job.hello()
            job.raw(b"\x16\n")
            job.expect_error("bad_json", fatal=False)

    def greeting(self):
        """The first bytes of a client's handshake."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        with self.assertRaises(ssl.SSLWantReadError):
            self.context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
        return outgoing.read()

    def test_silent_and_trickling(self):
        """Neither nothing, nor half a greeting, nor a byte now and then outlasts handshake_wait."""
        daemon = self.secure("handshake_wait: 200ms")
        greeting = self.greeting()
        for start in (b"", greeting[:1], greeting[:100], greeting):
            with self.subTest(start=start[:4], n=len(start)), socket.create_connection(daemon.ingest[0]) as peer:
                peer.settimeout(60)
                peer.sendall(start)
                while peer.recv(65536):
                    pass
        with socket.create_connection(daemon.ingest[0]) as peer:
            peer.settimeout(0.02)
            for byte in greeting[:-1]:
                peer.sendall(bytes([byte]))
                try:
                    self.assertEqual(peer.recv(1), b"")
                    break
                except socket.timeout:
                    pass
                except ConnectionResetError:
                    break
            else:
                self.fail("a trickling handshake was waited for")
        eventually(lambda: self.counted(daemon) == 5, "five that were late")
        self.assertIn("not over within ingest.tls.handshake_wait", daemon.log())

    def test_an_open_connection_has_no_hurry(self):
        daemon = self.secure("handshake_wait: 50ms")
        job = self.job(daemon)
        with socket.create_connection(daemon.ingest[0]) as late:  # began later, and its time is over
            late.settimeout(60)
            self.assertEqual(late.recv(1), b"")
        job.hello()
        job.step(0)
        job.wait_ack(0)

    def test_hang_up(self):
        daemon = self.secure()
        with socket.create_connection(daemon.ingest[0]):
            pass  # a port that is looked at: no word of it
        with socket.create_connection(daemon.ingest[0]) as peer:
            peer.sendall(self.greeting()[:50])
        self.expect_failure(daemon, "hung up during the handshake")

    def test_garbage(self):
        daemon = self.secure()
        record = lambda kind, body: struct.pack(">BHH", kind, 0x0303, len(body)) + body
        greeting = self.greeting()
        cases = [b"\x16" * 4000, record(22, os.urandom(300)), record(22, b""), record(23, os.urandom(100)),
                 struct.pack(">BHH", 22, 0x0303, 0xffff) + bytes(70000), record(22, b"\x01\xff\xff\xff" + bytes(16000)),
                 greeting + record(23, os.urandom(1000)), greeting + os.urandom(1000), greeting + greeting]
        for data in cases:
            with self.subTest(data=data[:10]), socket.create_connection(daemon.ingest[0]) as peer:
                peer.settimeout(60)
                try:
                    peer.sendall(data)
                    peer.shutdown(socket.SHUT_WR)
                    while peer.recv(65536):
                        pass
                except ConnectionError:
                    pass
        eventually(lambda: self.counted(daemon) >= len(cases) - 1, "the failures counted")
        self.assert_open(daemon)

    def assert_open(self, daemon):
        with self.job(daemon) as job:
            job.hello()
            job.step(0)
            job.wait_ack(0)

    def test_a_record_that_breaks_amid_the_stream(self):
        daemon = self.secure()
        job = self.job(daemon)
        run = job.hello()["run"]
        job.step(0)
        job.wait_ack(0)
        raw = socket.socket(fileno=os.dup(job.socket.fileno()))
        raw.sendall(struct.pack(">BHH", 23, 0x0303, 100) + os.urandom(100))
        with self.assertRaises((ssl.SSLError, AssertionError)):
            job.expect("pong")
        raw.close()
        self.assertIn(f"a job's TLS connection broke, it is closed run={run}", daemon.log())
        self.assert_open(daemon)

    def test_client_that_does_not_trust(self):
        daemon = self.secure()
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.job(daemon, tls=ssl.create_default_context())
        self.expect_failure(daemon, "the job's side ended it: .*CA")


class Certificates(TlsCase):
    def serial(self, job):
        return job.socket.getpeercert()["serialNumber"]

    def test_renewed(self):
        """A reload takes the new files for new connections; those that are there go on."""
        cert, key = self.home / "renewed.pem", self.home / "renewed.key"
        first, second = self.pair, self.authority.issue("second")
        shutil.copy(first[0], cert)
        shutil.copy(first[1], key)
        daemon = self.daemon(settings(cert, key))
        job = self.job(daemon)
        job.hello()
        old = self.serial(job)
        shutil.copy(second[0], cert)
        self.reload(daemon, "is not the key of")  # half renewed: the old pair stays in force
        with self.job(daemon) as other:
            self.assertEqual(self.serial(other), old)
        shutil.copy(second[1], key)
        self.reload(daemon, "configuration reloaded")
        with self.job(daemon) as other:
            self.assertNotEqual(self.serial(other), old)
            other.hello()
        job.step(0)
        job.wait_ack(0)

    def reload(self, daemon, word):
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: word in daemon.log(), word)

    def test_mistakes(self):
        cert, key = self.pair
        empty = self.home / "empty"
        empty.touch()
        locked = make_key(self.home / "locked.key", "secret")
        stranger = make_key(self.home / "stranger.key")
        for used, lines in {
            ("/nonexistent/cert", key): ["ingest.tls.cert: /nonexistent/cert: cannot be read: No such file"],
            (cert, self.home): [f"ingest.tls.key: {self.home}: cannot be read: Is a directory"],
            (empty, key): [f"ingest.tls.cert: {empty}: ", "expected a certificate in PEM"],
            (key, key): [f"ingest.tls.cert: {key}: ", "expected a certificate in PEM"],
            (cert, cert): [f"ingest.tls.key: {cert}: ", "expected a private key in PEM"],
            (cert, locked): [f"ingest.tls.key: {locked}: is encrypted; expected a key without a passphrase"],
            (cert, stranger): [f"ingest.tls.key: {stranger}: is not the key of {cert}"],
        }.items():
            file = self.home / "some.yaml"
            file.write_text("data: %s\n%s" % (self.home / "none", settings(*used)))
            for flags in (["--check-config"], ["--ingest", "127.0.0.1:0", "--http", "127.0.0.1:0"]):
                with self.subTest(used=used, flags=flags):
                    done = run_program("pyrometerd", "--config", file, *flags)
                    self.assertEqual(done.returncode, 2, done.stderr)
                    for text in [f"{file}:2: ", *lines]:
                        self.assertIn(text, done.stderr)
        self.assertFalse((self.home / "none").exists())


class Commands(TlsCase):
    """`pyrometer` with tls://: what it takes, and what it says of what it does not."""

    def replay(self, server, ca=None):
        with mock.patch.dict(os.environ, {"PYROMETER_CA": str(ca or self.authority.cert)}):
            return run_program("pyrometer", "replay", DATA / "adamw.ndjson.gz", "--ingest", server)

    def test_replay_and_sync(self):
        daemon = self.secure()
        server = "tls://127.0.0.1:%d" % daemon.ingest[0][1]
        done = self.replay(server)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(len(daemon.steps("adamw")), 800)
        spool = self.home / "spool"
        (spool / "another").mkdir(parents=True)
        lines = [line(hello("spooled")), *(line(make_step(step)) for step in range(5)), line({"type": "end"})]
        (spool / "another" / "000001.ndjson.gz").write_bytes(gzip.compress(b"".join(lines)))
        with mock.patch.dict(os.environ, {"PYROMETER_CA": str(self.authority.cert), "PYROMETER_SERVER": server}):
            done = run_program("pyrometer", "sync", spool)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(len(daemon.steps("spooled")), 5)

    def test_servers_that_will_not_do(self):
        daemon, plain = self.secure(), self.daemon()
        port = daemon.ingest[0][1]
        stranger = Authority(Path(tempfile.mkdtemp(dir=self.home)), "a stranger")
        cert, key = self.authority.issue("elsewhere", "DNS:elsewhere")
        elsewhere = self.daemon(settings(cert, key))
        for server, ca, words in (
                (f"tls://127.0.0.1:{port}", stranger.cert, "not accepted: The certificate is NOT trusted"),
                (f"tls://127.0.0.1:{port}", "/nonexistent", "PYROMETER_CA=/nonexistent"),
                ("tls://127.0.0.1:%d" % elsewhere.ingest[0][1], None, "does not match"),
                ("tls://127.0.0.1:%d" % plain.ingest[0][1], None, "does not speak TLS"),
                (f"127.0.0.1:{port}", None, "must be tls://HOST:PORT")):
            with self.subTest(server=server, ca=ca):
                done = self.replay(server, ca)
                self.assertEqual(done.returncode, 1)
                self.assertIn(words, done.stderr)
        self.assertIn("the job's side ended it", elsewhere.log())


if __name__ == "__main__":
    unittest.main()
