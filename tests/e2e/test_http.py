"""How the API speaks HTTP: compression, validators, other sites' pages, and that no request holds up another."""

import gzip
import http.client
import json
import signal
import socket
import threading
import unittest

from harness import Job, SharedDaemonCase, TestCase, eventually, quote, recording, replay

GZIP = {"Accept-Encoding": "gzip"}


class Compression(SharedDaemonCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lines = recording("sgd-momentum")[:60]
        cls.run_id = json.loads(lines[0])["run"]
        cls.shared.reading_at(cls.run_id, replay(cls.shared, lines))

    def paths(self):
        run = f"/api/v1/runs/{quote(self.run_id)}"
        return [run, run + "/temperature", run + "/series?metric=loss,temperature.kinetic", run + "/export",
                "/api/v1/openapi.json"]

    def test_the_same_bytes(self):
        for path in self.paths():
            with self.subTest(path):
                plain_headers, plain = self.shared.get(path)
                headers, body = self.shared.get(path, headers=GZIP)
                self.assertEqual(headers.get("content-encoding"), "gzip")
                self.assertLess(len(body), len(plain))
                self.assertEqual(gzip.decompress(body), plain)
                self.assertNotIn("content-encoding", plain_headers)
                self.assertIn("accept-encoding", headers["vary"].lower())

    def test_only_where_it_is_taken(self):
        path = self.paths()[1]
        for accepted, compressed in [("gzip", True), ("x-gzip", True), ("br, gzip;q=0.5", True), ("*", True), ("GZIP", True),
                                     ("gzip;q=0", False), ("gzip; q=0.000", False), ("br", False), ("identity", False),
                                     ("", False), ("gzippo", False), ("*;q=0", False)]:
            with self.subTest(accepted):
                headers, _ = self.shared.get(path, headers={"Accept-Encoding": accepted})
                self.assertEqual(headers.get("content-encoding"), "gzip" if compressed else None)

    def test_small_answers_stay_as_they_are(self):
        headers, body = self.shared.get("/healthz", headers=GZIP)
        self.assertEqual((headers.get("content-encoding"), body), (None, b"ok\n"))

    def test_validators_of_both_forms(self):
        for path in self.paths()[:3]:
            with self.subTest(path):
                plain, _ = self.shared.get(path)
                small, _ = self.shared.get(path, headers=GZIP)
                self.assertEqual(small["etag"], "W/" + plain["etag"])
                for tag in (plain["etag"], small["etag"], f'"other", {plain["etag"]}', "*"):
                    for accept in ({}, GZIP):
                        _, body = self.shared.get(path, expect=304, headers={"If-None-Match": tag, **accept})
                        self.assertEqual(body, b"")

    def test_head_has_the_same_headers(self):
        path = self.paths()[1]
        _, headers, body = self.shared.call("HEAD", path, GZIP)
        got, _ = self.shared.get(path, headers=GZIP)
        self.assertEqual(body, b"")
        for name in ("content-length", "content-type", "content-encoding", "etag", "cache-control"):
            self.assertEqual(headers.get(name), got.get(name), name)


class Methods(SharedDaemonCase):
    def test_options(self):
        """Of an address, of the server (`*`), which is an address of OPTIONS alone, and of what is not there."""
        for path, status, allow in (("/api/v1/runs", 204, "GET, HEAD, OPTIONS"), ("*", 204, "GET, HEAD, POST, OPTIONS, DELETE"),
                                    ("/api/v1/runs/r", 204, "GET, HEAD, OPTIONS, DELETE"), ("/nothing", 404, None)):
            answer = self.shared.call("OPTIONS", path)
            self.assertEqual((answer[0], answer[1].get("allow")), (status, allow), path)
        self.assertEqual(self.shared.call("GET", "*")[0], 404)


class OtherSites(TestCase):
    def preflight(self, daemon, origin, method="POST", path="/api/v1/alerts/1/acknowledge"):
        status, headers, _ = daemon.call("OPTIONS", path, {"Origin": origin, "Access-Control-Request-Method": method})
        return status, headers

    def test_nobody_unless_configured(self):
        daemon = self.daemon()
        headers, _ = daemon.get("/api/v1/runs", headers={"Origin": "https://a.example"})
        self.assertNotIn("access-control-allow-origin", headers)
        status, headers = self.preflight(daemon, "https://a.example")
        self.assertNotIn("access-control-allow-origin", headers)
        status, _, _ = daemon.call("POST", "/api/v1/alerts/1/acknowledge", {"Origin": "https://a.example"})
        self.assertEqual(status, 403)

    def test_a_named_site(self):
        daemon = self.daemon('http: { cors_origins: ["https://a.example", "http://b.example:3000"] }\n')
        for origin in ("https://a.example", "http://b.example:3000"):
            headers, _ = daemon.get("/api/v1/runs", headers={"Origin": origin})
            self.assertEqual(headers["access-control-allow-origin"], origin)
            self.assertIn("origin", headers["vary"].lower())
            self.assertIn("ETag", headers["access-control-expose-headers"])
            status, headers = self.preflight(daemon, origin)
            self.assertEqual((status, headers["access-control-allow-origin"]), (204, origin))
            self.assertIn("POST", headers["access-control-allow-methods"])
            self.assertIn("Authorization", headers["access-control-allow-headers"])
            status, _, _ = daemon.call("POST", "/api/v1/alerts/1/acknowledge", {"Origin": origin})
            self.assertEqual(status, 404)  # there is no such alert, but it may ask
        for origin in ("http://a.example", "https://a.example:444", "https://a.example.evil", "null"):
            headers, _ = daemon.get("/api/v1/runs", headers={"Origin": origin})
            self.assertNotIn("access-control-allow-origin", headers)
            self.assertEqual(daemon.call("POST", "/api/v1/alerts/1/acknowledge", {"Origin": origin})[0], 403)
        problem, _ = daemon.get("/api/v1/runs/nobody", expect=404, headers={"Origin": "https://a.example"})
        self.assertEqual(problem["access-control-allow-origin"], "https://a.example")

    def test_every_site_may_read_but_not_change(self):
        daemon = self.daemon('http: { cors_origins: "*" }\n')
        headers, _ = daemon.get("/api/v1/runs", headers={"Origin": "https://a.example"})
        self.assertEqual(headers["access-control-allow-origin"], "*")
        self.assertEqual(daemon.call("POST", "/api/v1/alerts/1/acknowledge", {"Origin": "https://a.example"})[0], 403)

    def test_a_preflight_needs_no_token_but_the_request_does(self):
        daemon = self.daemon()
        (daemon.home / "token").write_text("secret\n")
        (daemon.home / "token").chmod(0o600)
        daemon.configure(f'http: {{ cors_origins: "https://a.example", token_file: {daemon.home}/token }}\n')
        daemon.restart()
        status, headers = self.preflight(daemon, "https://a.example", "GET", "/api/v1/runs")
        self.assertEqual((status, headers["access-control-allow-origin"]), (204, "https://a.example"))
        self.assertEqual(self.preflight(daemon, "https://b.example", "GET", "/api/v1/runs")[0], 401)
        headers, _ = daemon.get("/api/v1/runs", expect=401, headers={"Origin": "https://a.example"})
        self.assertEqual(headers["access-control-allow-origin"], "https://a.example")
        daemon.get("/api/v1/runs", headers={"Authorization": "Bearer secret"})

    def test_another_token_after_a_reload(self):
        daemon = self.daemon()
        token = daemon.home / "token"
        token.write_text("first\n")
        token.chmod(0o600)
        daemon.configure(f"http: {{ token_file: {token} }}\n")
        daemon.restart()
        daemon.get("/api/v1/runs", headers={"Authorization": "Bearer first"})
        token.write_text("second\n")
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: daemon.call("GET", "/api/v1/runs", {"Authorization": "Bearer second"})[0] == 200, "the new token")
        daemon.get("/api/v1/runs", expect=401, headers={"Authorization": "Bearer first"})


class Lists(SharedDaemonCase):
    def test_a_list_is_never_older_than_its_request(self):
        """Lists are made once a change; whoever asks after an acknowledgement sees what was acknowledged."""
        job, run = self.start_run()
        for step in range(30):
            job.step(step)
            self.shared.reading_at(run, step)
            shown = {r["run"]: r for r in self.shared.get_json("/api/v1/runs?limit=5")["runs"]}
            self.assertEqual(shown[run]["last_step"], step)

    def test_many_ask_at_once(self):
        job, run = self.start_run()
        job.step(0)
        job.wait_ack(0)
        answers = []

        def ask():
            connection = http.client.HTTPConnection(*self.shared.http)
            for _ in range(30):
                connection.request("GET", "/api/v1/runs?limit=2", headers=GZIP)
                answer = connection.getresponse()
                answers.append((answer.status, json.loads(gzip.decompress(answer.read()) if
                                                          answer.getheader("content-encoding") else answer.read())))
            connection.close()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for step in range(1, 40):
            job.step(step)
        job.wait_ack(39)
        for thread in threads:
            thread.join()
        self.assertEqual(len(answers), 240)
        for status, answer in answers:
            self.assertEqual(status, 200)
            self.assertIn(run, [r["run"] for r in answer["runs"]])


class NobodyWaits(SharedDaemonCase):
    """Requests that take long, and clients that do not read, are beside the others, not before them."""

    def test_long_requests_do_not_hold_up_short_ones(self):
        job, run = self.start_run(layers=[{"name": f"l{i}", "n": 10} for i in range(50)])
        for step in range(300):
            job.step(step, 50)
        job.wait_ack(299)
        metrics = "stability,coherence,drift,temperature.kinetic,temperature.configurational,temperature.noise"
        path = f"/api/v1/runs/{run}/series?metric={metrics}&layer=*&points=300"
        done = []

        def draw():
            done.append(self.shared.call("GET", path)[0])

        threads = [threading.Thread(target=draw) for _ in range(12)]  # three times as many as there are workers
        for thread in threads:
            thread.start()
        shorts = 0
        while len(done) < len(threads):
            self.shared.get(f"/api/v1/runs/{run}/temperature")
            self.shared.get(f"/api/v1/runs/{run}")
            shorts += 1
        for thread in threads:
            thread.join()
        self.assertEqual(set(done), {200})
        self.assertGreater(shorts, len(threads))

    def test_readers_that_do_not_read(self):
        job, run = self.start_run(layers=[{"name": f"l{i}", "n": 10} for i in range(20)])
        for step in range(400):
            job.step(step, 20)
        job.wait_ack(399)
        stuck = []
        for i in range(40):
            s = socket.socket()
            self.addCleanup(s.close)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(self.shared.http)
            what = "export" if i % 2 else "stream"
            s.sendall(f"GET /api/v1/runs/{run}/{what} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.assertTrue(s.recv(12).startswith(b"HTTP/1.1 200"))
            stuck.append(s)
        for step in range(400, 420):
            job.step(step, 20)
        job.wait_ack(419)
        self.assertEqual(self.shared.reading_at(run, 419)["step"], 419)
        self.assertEqual(len(self.shared.steps(run)), 420)


class ADaemonThatStops(TestCase):
    def test_with_requests_at_work(self):
        """Streams, exports and computations that are under way do not keep the daemon from stopping."""
        daemon = self.daemon()
        with Job(daemon) as job:
            run = job.hello(layers=[{"name": f"l{i}", "n": 10} for i in range(50)])["run"]
            for step in range(400):
                job.step(step, 50)
            job.wait_ack(399)
        sockets = []
        for tail in ["series?metric=temperature.kinetic&layer=*", "stream", "export", "states"] * 5:
            s = socket.create_connection(daemon.http)
            self.addCleanup(s.close)
            s.sendall(f"GET /api/v1/runs/{run}/{tail} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            sockets.append(s)
        sockets[1].recv(10)
        daemon.stop()


if __name__ == "__main__":
    unittest.main()
