"""POST /api/v1/ingest: the line protocol over HTTP, with the rules of any other session."""

import http.client
import json
import socket
import threading
import unittest

from harness import SharedDaemonCase, TestCase, eventually, hello, line, make_step, new_run, recording

PATH = "/api/v1/ingest"


def session(run, steps, layers=3, **fields):
    return line(hello(run, layers, **fields)) + b"".join(line(make_step(step, layers)) for step in steps)


class Upload(SharedDaemonCase):
    def post(self, body, expect=200, headers=None, path=PATH):
        status, answer_headers, answer = self.shared.call("POST", path, headers, body)
        self.assertEqual(status, expect, answer[:500])
        wanted = "application/json" if expect == 200 else "application/problem+json"
        self.assertEqual(answer_headers["content-type"], wanted)
        return json.loads(answer)

    def test_what_is_answered_is_stored(self):
        run = self.run_name()
        answer = self.post(session(run, range(100)))
        self.assertEqual(answer, {"run": run, "last_step": -1, "acknowledged": 99, "refused": 0, "errors": []} | {
            "last_step": None})
        self.assertEqual(self.shared.run(run)["steps"], 100)
        answer = self.post(session(run, range(90, 120)))
        self.assertEqual((answer["last_step"], answer["acknowledged"]), (99, 119))
        self.assertEqual([s["step"] for s in self.shared.steps(run)], list(range(120)))

    def test_events_and_the_end_are_durable_too(self):
        run = self.run_name()
        self.post(session(run, range(3)) + line({"type": "event", "name": "checkpoint", "step": 2}) +
                  line({"type": "end", "status": "completed"}))
        self.assertEqual(self.shared.run(run)["status"], "completed")
        self.assertEqual([e["name"] for e in self.shared.get_json(f"/api/v1/runs/{run}/events")["events"]],
                         ["checkpoint"])

    def test_a_recording_as_it_is(self):
        lines = recording("adamw")
        answer = self.post(b"".join(lines))
        steps = [json.loads(text)["step"] for text in lines if b'"type":"step"' in text.replace(b" ", b"")]
        self.assertEqual((answer["acknowledged"], answer["errors"]), (steps[-1], []))

    def test_the_last_line_need_not_end(self):
        run = self.run_name()
        self.assertEqual(self.post(session(run, range(4)).rstrip(b"\n"))["acknowledged"], 3)

    def test_every_bad_line_is_named(self):
        run = self.run_name()
        body = [line(hello(run)), line(make_step(0)), b"nonsense\n", line(make_step(1, 2)), line(make_step(2)),
                line({"type": "who"})]
        answer = self.post(b"".join(body))
        self.assertEqual([(e["line"], e["code"], e["fatal"]) for e in answer["errors"]],
                         [(3, "bad_json", False), (4, "wrong_shape", False), (6, "unknown_type", False)])
        self.assertEqual((answer["refused"], answer["acknowledged"]), (3, 2))
        self.assertEqual([s["step"] for s in self.shared.steps(run)], [0, 2])

    def test_many_bad_lines_are_counted(self):
        run = self.run_name()
        answer = self.post(session(run, [0]) + b"x\n" * 5000 + line(make_step(1)))
        self.assertEqual((answer["refused"], len(answer["errors"]), answer["acknowledged"]), (5000, 100, 1))

    def test_what_ends_a_session(self):
        run = self.run_name()
        self.post(session(run, range(5)))
        for body, status, code in [(b"", 400, None), (b"\n\n", 400, None), (line(make_step(0)), 400, "no_hello"),
                                   (line({"type": "hello", "protocol": 1}), 400, "bad_hello"),
                                   (line(hello(run, layers=2)), 409, "layers_differ"),
                                   (line(hello(new_run(), protocol=99)), 400, "unsupported_protocol"),
                                   (line(hello(new_run())) + b"x" * (2 << 20), 413, "too_large")]:
            with self.subTest(code=code, size=len(body)):
                problem = self.post(body, status)
                self.assertEqual(problem["status"], status)
                self.assertTrue(problem["detail"])
                self.assertEqual([e["code"] for e in problem["errors"] if e["fatal"]], [code] if code else [])

    def test_a_fatal_error_tells_what_is_stored(self):
        run = self.run_name()
        problem = self.post(session(run, range(20)) + b"y" * (1 << 21), 413)
        self.assertEqual((problem["run"], problem["refused"]), (run, 1))
        eventually(lambda: self.shared.run(run)["steps"] == 20, "the steps before the error")

    def test_in_pieces_without_a_length(self):
        run = self.run_name()
        connection = http.client.HTTPConnection(*self.shared.http)
        self.addCleanup(connection.close)
        body = session(run, range(50))
        connection.request("POST", PATH, body=(body[i:i + 997] for i in range(0, len(body), 997)), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
        answer = connection.getresponse()
        self.assertEqual((answer.status, json.loads(answer.read())["acknowledged"]), (200, 49))
        connection.request("POST", PATH, body=session(run, range(50, 60)))  # the connection serves on
        self.assertEqual(json.loads(connection.getresponse().read())["acknowledged"], 59)

    def test_a_client_that_vanishes(self):
        """What came whole is stored; the line that was cut is not."""
        run = self.run_name()
        body = session(run, range(10))
        with socket.create_connection(self.shared.http) as s:
            s.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n".encode() + body[:-20])
            eventually(lambda: self.shared.call("GET", f"/api/v1/runs/{run}")[0] == 200, "the run")
        eventually(lambda: self.shared.run(run)["last_step"] == 8, "the whole steps")
        self.assertEqual(self.post(session(run, range(10)))["acknowledged"], 9)

    def test_many_at_once(self):
        runs = [self.run_name() for _ in range(20)]
        threads = [threading.Thread(target=self.post, args=(session(run, range(100)),)) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for run in runs:
            self.assertEqual(self.shared.run(run)["steps"], 100)

    def test_what_is_not_taken(self):
        run = self.run_name()
        body = session(run, range(2))
        self.post(body, 415, headers={"Content-Encoding": "gzip"})
        self.post(body, 400, path=PATH + "?run=x")
        self.post(body, 403, headers={"Origin": "https://elsewhere.example"})
        self.shared.get_json(PATH, expect=405)
        status, _, _ = self.shared.call("POST", PATH, {"Content-Length": str(1 << 40)})
        self.assertEqual(status, 413)
        self.shared.get_json(f"/api/v1/runs/{run}", expect=404)


class Limits(TestCase):
    def test_a_body_larger_than_every_buffer(self):
        """The session stops reading when the disk is behind, and so does the upload."""
        daemon = self.daemon("ingest: { max_queue: 1MiB }\n")
        run = new_run()
        layers = [{"name": f"l{i}", "n": 10} for i in range(200)]
        body = line(hello(run, layers)) + b"".join(line(make_step(step, 200)) for step in range(300))
        status, _, answer = daemon.call("POST", PATH, body=body)
        self.assertGreater(len(body), 8 << 20)
        self.assertEqual((status, json.loads(answer)["acknowledged"]), (200, 299), answer)

    def test_tokens(self):
        daemon = self.daemon()
        for name in ("ingest", "http"):
            (daemon.home / name).write_text(f"{name}-secret\n")
            (daemon.home / name).chmod(0o600)
        daemon.configure(f"ingest: {{ token_file: {daemon.home}/ingest }}\nhttp: {{ token_file: {daemon.home}/http }}\n")
        daemon.restart()
        bearer = {"Authorization": "Bearer http-secret"}
        for token, headers, expected in [(None, bearer, 401), ("wrong", bearer, 401), ("ingest-secret", {}, 401),
                                         ("ingest-secret", bearer, 200)]:
            status, _, answer = daemon.call("POST", PATH, headers, session("guarded", range(3), token=token))
            self.assertEqual(status, expected, answer)

    def test_as_many_sessions_as_are_allowed(self):
        daemon = self.daemon("ingest: { max_connections: 1 }\n")
        job = self.job(daemon)
        job.hello()
        status, _, answer = daemon.call("POST", PATH, body=session("late", range(3)))
        self.assertEqual((status, json.loads(answer)["errors"][0]["code"]), (503, "overloaded"))
        job.close()
        eventually(lambda: daemon.call("POST", PATH, body=session("late", range(3)))[0] == 200, "room for a session")

    def test_a_daemon_that_stops(self):
        daemon = self.daemon()
        with socket.create_connection(daemon.http) as s:
            s.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n".encode() +
                      session("cut", range(10)))
            eventually(lambda: daemon.call("GET", "/api/v1/runs/cut")[0] == 200, "the run")
            daemon.stop()
        daemon.start()
        self.assertLessEqual(daemon.run("cut")["steps"], 10)


if __name__ == "__main__":
    unittest.main()
