"""The REST API: runs, events, lists and their pages, problems, health, metrics, the stream."""

import http.client
import json
import re
import socket
import unittest

from harness import TIMEOUT, Job, SharedDaemonCase, line, make_step, new_run, quote


class Api(SharedDaemonCase):
    def stored_run(self, steps=5, run=None, end=None, **fields):
        run = run or self.run_name()
        with Job(self.shared) as job:
            job.hello(run, **fields)
            for step in range(steps):
                job.step(step)
            if end:
                job.send({"type": "end", "status": end})
            job.half_close()
            job.drain()
        return run


class Runs(Api):
    def test_a_run(self):
        run = self.stored_run(10, project="vision", tags={"k": "v"}, dataset_size=60000, note="kept")
        reading = self.shared.reading_at(run, 9)
        answer = self.shared.run(run)
        self.assertEqual({k: answer[k] for k in ("run", "project", "status", "first_step", "last_step", "steps")},
                         {"run": run, "project": "vision", "status": "running", "first_step": 0, "last_step": 9,
                          "steps": 10})
        self.assertEqual([(layer["name"], layer["n"]) for layer in answer["layers"]],
                         [("fc1", 7850), ("fc2", 1010), ("out", 110)])
        self.assertEqual((answer["optimizer"]["name"], answer["optimizer"]["momentum"]), ("sgd", 0.9))
        self.assertEqual((answer["batch_size"], answer["dataset_size"], answer["tags"]), (64, 60000, {"k": "v"}))
        self.assertEqual(answer["alerts"].keys() - {"pending", "firing", "resolved"}, set())
        for time in ("started", "last_seen"):
            self.assertIsInstance(answer[time], (int, float))
        self.assertEqual(answer["temperature"]["step"], reading["step"])

    def test_names_in_addresses(self):
        for run in ("a:b.c_d-E", "..", ".", "-", "%41".replace("%", "_"), "a" * 128):
            with self.subTest(run=run):
                run = self.stored_run(1, run=run)
                self.assertEqual(self.shared.run(run)["run"], run)

    def test_new_run_without_a_step(self):
        _, run = self.start_run()
        answer = self.shared.run(run)
        self.assertEqual((answer["steps"], answer["status"]), (0, "running"))
        self.assertIsNone(answer.get("first_step"))
        status, _, _ = self.shared.call("GET", f"/api/v1/runs/{run}/temperature")
        self.assertIn(status, (200, 404))
        self.assertEqual(self.shared.series(run, "loss")["series"][0]["step"], [])

    def test_unknown_run(self):
        for tail in ("", "/temperature", "/series?metric=loss", "/events", "/export", "/stream"):
            with self.subTest(tail):
                problem = self.shared.get_json("/api/v1/runs/nobody" + tail, expect=404)
                self.assertEqual(problem["status"], 404)
                self.assertIn("nobody", problem["title"] + problem.get("detail", ""))

    def test_forget_a_run(self):
        run = self.stored_run(50)
        status, _, body = self.shared.call("DELETE", f"/api/v1/runs/{run}")
        self.assertIn(status, (200, 202, 204), body)
        self.shared.get_json(f"/api/v1/runs/{run}", expect=404)
        self.assertNotIn(run, [r["run"] for r in self.shared.get_json("/api/v1/runs?limit=1000")["runs"]])
        self.stored_run(3, run=run)
        self.assertEqual(self.shared.run(run)["steps"], 3)


class RunList(Api):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        statuses = ["completed", "failed", "stopped", None]
        for i in range(25):
            with Job(cls.shared) as job:
                job.hello(f"list-{i:02}", project=f"p{i % 3}")
                job.step(0)
                if statuses[i % 4]:
                    job.send({"type": "end", "status": statuses[i % 4]})
                job.half_close()
                job.drain()

    def names(self, query):
        return [r["run"] for r in self.shared.get_json("/api/v1/runs" + query)["runs"]]

    def test_all(self):
        answer = self.shared.get_json("/api/v1/runs")
        self.assertEqual(sorted(r["run"] for r in answer["runs"]), [f"list-{i:02}" for i in range(25)])
        self.assertIsNone(answer["next_cursor"])
        for key in ("run", "project", "status", "last_step"):
            self.assertIn(key, answer["runs"][0])

    def test_filters(self):
        self.assertEqual(sorted(self.names("?project=p1")), [f"list-{i:02}" for i in range(1, 25, 3)])
        self.assertEqual(sorted(self.names("?status=failed")), [f"list-{i:02}" for i in range(1, 25, 4)])
        self.assertEqual(sorted(self.names("?status=running&project=p0")), ["list-03", "list-15"])
        self.assertEqual(self.names("?project=nothing"), [])

    def test_pages(self):
        for limit in (1, 2, 7, 24, 25, 26):
            with self.subTest(limit=limit):
                seen, cursor = [], ""
                while cursor is not None:
                    page = f"&cursor={quote(cursor)}" if cursor else ""
                    answer = self.shared.get_json(f"/api/v1/runs?limit={limit}{page}")
                    self.assertLessEqual(len(answer["runs"]), limit)
                    seen += [r["run"] for r in answer["runs"]]
                    cursor = answer["next_cursor"]
                self.assertEqual(len(seen), 25)
                self.assertEqual(sorted(seen), [f"list-{i:02}" for i in range(25)])

    def test_pages_of_a_filtered_list(self):
        first = self.shared.get_json("/api/v1/runs?status=completed&limit=4")
        second = self.shared.get_json(f"/api/v1/runs?status=completed&limit=4&cursor={quote(first['next_cursor'])}")
        self.assertEqual(sorted(r["run"] for r in first["runs"] + second["runs"]),
                         [f"list-{i:02}" for i in range(0, 25, 4)])
        self.assertIsNone(second["next_cursor"])

    def test_bad_queries(self):
        for query in ("limit=0", "limit=-1", "limit=x", "limit=1e3", "limit=99999999999999999999", "limit=",
                      "cursor=%00", "cursor=nonsense!", "status=gone"):
            with self.subTest(query):
                problem = self.shared.get_json("/api/v1/runs?" + query, expect=400)
                self.assertIn(query.split("=")[0], problem["title"] + problem.get("detail", ""))


class Events(Api):
    def test_events(self):
        job, run = self.start_run()
        job.step(0)
        sent = [{"step": 0, "name": "checkpoint", "data": {"path": "/tmp/x", "n": [1, 2.5, None, True]}},
                {"step": 0, "name": "lr_change"}, {"step": 1, "name": "data_refresh", "data": {}},
                {"step": 1, "name": "anything at all"}]
        for event in sent[:2]:
            job.send({"type": "event", **event})
        job.step(1)
        for event in sent[2:]:
            job.send({"type": "event", **event})
        job.step(2)
        job.wait_ack(2)  # what came before it on the connection is stored too
        events = self.shared.get_json(f"/api/v1/runs/{run}/events")["events"]
        self.assertEqual([(e["step"], e["name"]) for e in events], [(e["step"], e["name"]) for e in sent])
        self.assertEqual(events[0]["data"], sent[0]["data"])

    def test_data_refresh_begins_a_state(self):
        job, run = self.start_run()
        for step in range(40):
            job.step(step)
        job.wait_ack(39)
        self.assertEqual(self.shared.reading_at(run, 39)["state"], "I")
        job.send({"type": "event", "step": 40, "name": "data_refresh"})
        for step in range(40, 80):
            job.step(step)
        job.wait_ack(79)
        self.assertEqual(self.shared.reading_at(run, 79)["state"], "II")


class Problems(Api):
    def test_unknown_paths(self):
        for path in ("/nothing", "/api", "/api/v1", "/api/v2/runs", "/api/v1/runs/", "/api/v1/runs/a/b/c",
                     "/../etc/passwd",
                     "/api/v1/../../etc/passwd", "/api/v1/runs/%2e%2e%2f%2e%2e%2fetc", "/%00", "/dashboard.html.bak"):
            with self.subTest(path):
                problem = self.shared.get_json(path, expect=404)
                self.assertEqual(problem["status"], 404)
                self.assertTrue(problem["title"])

    def test_methods(self):
        run = self.stored_run(1)
        for method, path in [("POST", "/api/v1/runs"), ("PUT", f"/api/v1/runs/{run}"), ("DELETE", "/healthz"),
                             ("POST", "/metrics"),
                             ("PATCH", f"/api/v1/runs/{run}/series"), ("DELETE", "/api/v1/alerts")]:
            with self.subTest(method=method, path=path):
                status, headers, body = self.shared.call(method, path)
                self.assertEqual((status, headers["content-type"].split(";")[0]), (405, "application/problem+json"),
                                 body)
                self.assertTrue(headers.get("allow"))
                self.assertEqual(json.loads(body)["status"], 405)

    def test_head(self):
        run = self.stored_run(1)
        status, headers, body = self.shared.call("HEAD", f"/api/v1/runs/{run}")
        self.assertEqual((status, body), (200, b""))

    def test_series_queries(self):
        run = self.stored_run(10)
        for query in ("", "metric=", "metric=loss&points=0", "metric=loss&points=x", "metric=loss&points=-5",
                      "metric=loss&from=x",
                      "metric=loss&to=1.5", "metric=loss&from=8&to=3", "metric=loss&points=99999999999",
                      "metric=temperature.nothing"):
            with self.subTest(query):
                problem = self.shared.get_json(f"/api/v1/runs/{run}/series?{query}", expect=400)
                self.assertEqual(problem["status"], 400)
                self.assertTrue(problem["title"])

    def test_bytes_that_are_no_request(self):
        for data in (b"\x00" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                     b"GET " + b"/a" * 40000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20000 + b"\r\n"):
            with self.subTest(data=data[:20]):
                with socket.create_connection(self.shared.http, timeout=TIMEOUT) as connection:
                    try:
                        connection.sendall(data)
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(65536):
                            pass
                    except OSError:
                        pass
        self.shared.get("/healthz")

    def test_odd_escapes(self):
        run = self.stored_run(1)
        for path in (f"/api/v1/runs/{run}%00", f"/api/v1/runs/{run}%zz", "/api/v1/runs/%", "/api/v1/runs/%ff%fe",
                     f"/api/v1/runs/{run}%2Ftemperature"):
            with self.subTest(path):
                status, headers, _ = self.shared.call("GET", path)
                self.assertIn(status, (400, 404))
                self.assertTrue(headers["content-type"].startswith("application/problem+json"))

    def test_the_form_of_requests_to_a_proxy(self):
        run = self.stored_run(1)
        host = "%s:%d" % self.shared.http
        for path in (f"http://{host}/api/v1/runs/{run}?", f"HTTP://{host}/api/v1/runs/{run}", f"https://{host}/api/v1/runs/{run}"):
            self.assertEqual(json.loads(self.shared.call("GET", path)[2])["run"], run)
        for path in ("http://", f"http://{host}"):
            self.assertEqual(self.shared.call("GET", path)[1]["content-type"], "text/html; charset=utf-8")
        self.assertEqual(self.shared.call("GET", f"http://{host}/nothing")[0], 404)

    def test_pipelined_requests(self):
        with socket.create_connection(self.shared.http, timeout=TIMEOUT) as connection:
            request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
            connection.sendall((request + b"\r\n") * 20 + request + b"Connection: close\r\n\r\n")
            answer = b""
            while data := connection.recv(65536):
                answer += data
        self.assertEqual(answer.count(b"HTTP/1.1 200"), 21)


class Etags(Api):
    def test_not_modified_until_new_data(self):
        job, run = self.start_run()
        for step in range(20):
            job.step(step)
        job.wait_ack(19)
        self.shared.reading_at(run, 19)
        for tail in ("", "/temperature", "/series?metric=loss"):
            with self.subTest(tail):
                path = f"/api/v1/runs/{run}{tail}"
                headers, body = self.shared.get(path)
                self.assertTrue(headers.get("etag"), "no ETag")
                again, nothing = self.shared.get(path, expect=304, headers={"If-None-Match": headers["etag"]})
                self.assertEqual((nothing, again["etag"]), (b"", headers["etag"]))
                self.shared.get(path, headers={"If-None-Match": '"something-else"'})
                last = self.shared.run(run)["last_step"]
                job.step(last + 1)
                job.wait_ack(last + 1)
                self.shared.reading_at(run, last + 1)
                newer, body_now = self.shared.get(path, headers={"If-None-Match": headers["etag"]})
                self.assertNotEqual(newer["etag"], headers["etag"])
                self.assertNotEqual(body_now, body)


class Health(Api):
    def test_health(self):
        self.shared.get("/healthz")
        self.shared.get("/readyz")

    def test_openapi(self):
        document = self.shared.get_json("/api/v1/openapi.json")
        self.assertTrue(document["openapi"].startswith("3.1"))
        for path in ("/healthz", "/metrics", "/api/v1/runs", "/api/v1/runs/{run}", "/api/v1/runs/{run}/temperature",
                     "/api/v1/runs/{run}/series", "/api/v1/runs/{run}/events", "/api/v1/runs/{run}/export",
                     "/api/v1/alerts"):
            self.assertIn(path, document["paths"])

    def test_metrics(self):
        job, run = self.start_run()
        for step in range(50):
            job.step(step)
        job.wait_ack(49)
        self.shared.reading_at(run, 49)
        headers, body = self.shared.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        self.assertIn("openmetrics-text", headers["content-type"])
        text = body.decode()
        self.assertTrue(text.endswith("# EOF\n"))
        self.assertIn(f'run="{run}"', text)
        self.assertRegex(text, "(?m)^pyrometer_")
        self.judge_openmetrics(text)

    def judge_openmetrics(self, text):
        """Every family is declared once, before its samples, and samples have the form the format gives them."""
        families, current = {}, None
        label = r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*"'
        sample = re.compile(rf"([a-zA-Z_:][\w:]*)(\{{(?:{label}(?:,{label})*)?\}})? (\S+)( [\d.]+)?( # .*)?")
        for text_line in text.splitlines()[:-1]:
            if text_line.startswith("# TYPE "):
                _, _, current, kind = text_line.split(" ", 3)
                self.assertNotIn(current, families)
                families[current] = kind
            elif not text_line.startswith("# "):
                match = sample.fullmatch(text_line)
                self.assertTrue(match, text_line)
                self.assertTrue(current and match[1].startswith(current), f"{text_line} after the family {current}")
                if families[current] == "counter":
                    self.assertRegex(match[1], "_(total|created)$")
                float(match[3])
        self.assertTrue(families)


class Stream(Api):
    def test_temperatures_come(self):
        job, run = self.start_run()
        job.step(0)
        job.wait_ack(0)
        connection = http.client.HTTPConnection(*self.shared.http, timeout=TIMEOUT)
        self.addCleanup(connection.close)
        connection.request("GET", f"/api/v1/runs/{run}/stream", headers={"Accept": "text/event-stream"})
        answer = connection.getresponse()
        self.assertEqual((answer.status, answer.getheader("content-type").split(";")[0]), (200, "text/event-stream"))
        for step in range(1, 50):
            job.step(step)
        job.wait_ack(49)
        step = -1
        while step < 49:
            name, data = self.next_event(answer)
            if name == "temperature":
                reading = json.loads(data)
                self.assertEqual(reading["run"], run)
                self.assertGreaterEqual(reading["step"], step)
                step = reading["step"]
        job.send({"type": "end", "status": "completed"})
        while name != "status":
            name, data = self.next_event(answer)
        self.assertIn("completed", data)

    def next_event(self, answer):
        name, data = "message", []
        while True:
            text = answer.readline().decode().rstrip("\r\n")
            if text.startswith("event:"):
                name = text[6:].strip()
            elif text.startswith("data:"):
                data.append(text[5:].lstrip(" "))
            elif not text and data:
                return name, "\n".join(data)

    def test_subscribers_that_leave(self):
        job, run = self.start_run()
        job.step(0)
        job.wait_ack(0)
        for _ in range(30):
            with socket.create_connection(self.shared.http, timeout=TIMEOUT) as connection:
                connection.sendall(f"GET /api/v1/runs/{run}/stream HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                connection.recv(100)
        for step in range(1, 30):
            job.step(step)
        job.wait_ack(29)
        self.shared.reading_at(run, 29)


class Dashboard(Api):
    def test_it_is_there(self):
        headers, body = self.shared.get("/")
        self.assertTrue(headers["content-type"].startswith("text/html"))
        self.assertIn(b"<html", body)

    def test_names_cannot_inject(self):
        """Whatever a job calls its layers stays text."""
        job = self.connect()
        nasty = '</script><script>alert(1)</script>'
        run = job.hello(new_run("nasty"), layers=[{"name": nasty, "n": 5}], project=nasty)["run"]
        job.step(0, 1)
        job.wait_ack(0)
        self.shared.reading_at(run, 0)
        self.assertEqual(self.shared.run(run)["layers"][0]["name"], nasty)
        headers, _ = self.shared.get(f"/api/v1/runs/{run}")
        self.assertEqual(headers.get("x-content-type-options"), "nosniff")


if __name__ == "__main__":
    unittest.main()
