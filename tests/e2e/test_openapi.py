"""The OpenAPI document is true: it names every call, and what each call answers is what it says."""

import copy
import json
import re
import unittest

import jsonschema

from harness import Job, SharedDaemonCase, TESTS, eventually, hello, line, make_step, recording, replay

# Parameters without which there is no answer.
WANTED = {"v1/series": "?match[]=pyrometer_loss", "/series": "?metric=loss", "query": "?query=1&time=1",
          "query_range": "?query=1&start=1&end=2&step=1"}
PROM_VALUES = {"query": "1", "time": "1", "start": "1", "end": "2", "step": "1s", "match[]": "pyrometer_loss"}
METHODS = {"get", "post", "delete"}
ROUTES = re.compile(r'\{"(GET|POST|DELETE)",\s*"([^"]+)"')


def strict(schema):
    """The schema with nothing allowed that it does not name: readers must let new members pass, the document must have
    them all."""
    if isinstance(schema, dict):
        schema = {k: strict(v) for k, v in schema.items()}
        if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
            schema["additionalProperties"] = False
    elif isinstance(schema, list):
        schema = [strict(v) for v in schema]
    return schema


class OpenApi(SharedDaemonCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.document = cls.shared.get_json("/api/v1/openapi.json")
        cls.strict = strict(copy.deepcopy(cls.document))
        for name in ("nan-gradient", "sgd-momentum", "lr-ramp"):
            replay(cls.shared, recording(name))
        with Job(cls.shared) as job:
            job.hello("live", tags={"k": "v"}, world_size=None)
            for step in range(60):
                job.step(step, scalars={"accuracy": step / 60})
            job.send({"type": "event", "step": 59, "name": "data_refresh", "data": {"x": [1, None, "NaN"]}})
            job.send({"type": "outputs", "step": 60, "bins": [0, 1, 2, 3], "counts": [5, 9, 7]})
            for step in range(60, 90):
                job.step(step)
            job.wait_ack(89)
        with Job(cls.shared) as job:
            job.hello("empty")
        cls.shared.reading_at("live", 89)
        cls.alert = eventually(lambda: cls.shared.alerts(), "an alert")[0]["id"]
        cls.called = {}

    def script(self):
        """The address of a script of the dashboard."""
        return re.search(r'/assets/[\w.-]+\.js', self.shared.get("/")[1].decode())[0]

    def operations(self):
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                yield path, method, operation

    # The document itself

    def test_every_route_is_in_it(self):
        table = (TESTS.parent / "api" / "routes.c").read_text()
        table = table[table.index("routes[] = {"):table.index("routes_count")]
        routes = {(method.lower(), path) for method, path in ROUTES.findall(table)}
        self.assertGreater(len(routes), 20)
        self.assertEqual(routes, {(method, path) for path, method, _ in self.operations()})

    def test_structure(self):
        d = self.document
        self.assertEqual(set(d), {"openapi", "info", "servers", "paths", "components"})
        self.assertRegex(d["openapi"], r"^3\.1\.\d$")
        self.assertTrue(d["info"]["title"] and d["info"]["version"])
        ids = []
        for path, method, operation in self.operations():
            with self.subTest(f"{method} {path}"):
                self.assertIn(method, METHODS)
                self.assertTrue(path.startswith("/"))
                self.assertTrue(operation["summary"])
                ids.append(operation["operationId"])
                self.assertRegex(operation["operationId"], r"^[a-z_0-9]+$")
                in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
                self.assertEqual(in_path, set(re.findall(r"\{(\w+)\}", path)))
                names = [(p["in"], p["name"]) for p in operation["parameters"]]
                self.assertEqual(len(names), len(set(names)))
                for p in operation["parameters"]:
                    self.assertIn(p["in"], ("path", "query"))
                    self.assertTrue(p["in"] == "query" or p["required"])
                    self.assertIn(p["schema"]["type"], ("string", "integer", "array"))
                    jsonschema.Draft202012Validator.check_schema(p["schema"])
                self.assertIn("default", operation["responses"])
                success = [s for s in operation["responses"] if s.startswith("2")]
                self.assertEqual(len(success), 1)
                for status, response in operation["responses"].items():
                    self.assertRegex(status, r"^(\d\d\d|default)$")
                    self.assertTrue(response["description"])
                for media, content in operation["responses"][success[0]].get("content", {}).items():
                    self.assertEqual(media == "application/json", "schema" in content)
                for scheme in operation["security"]:
                    self.assertLessEqual(set(scheme), set(d["components"]["securitySchemes"]))
        self.assertEqual(len(ids), len(set(ids)))

    def test_schemas(self):
        schemas = self.document["components"]["schemas"]
        used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(self.document)))
        self.assertEqual(used, set(schemas))  # none is missing and none is left over
        for name, schema in schemas.items():
            with self.subTest(name):
                jsonschema.Draft202012Validator.check_schema(schema)
                self.assertLessEqual(set(schema.get("required", [])), set(schema.get("properties", schema.get("required", []))))

    # What is answered

    def validate(self, answer, schema):
        resolver = jsonschema.RefResolver("", self.strict)
        errors = list(jsonschema.Draft202012Validator({"$ref": schema["$ref"]}, resolver=resolver).iter_errors(answer))
        self.assertEqual([f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in errors[:5]], [])

    def judge(self, method, pattern, path, body=None, headers=None):
        """Makes the call and holds its answer against the document."""
        status, got, answer = self.shared.call(method.upper(), path, headers, body)
        operation = self.document["paths"][pattern][method]
        response = operation["responses"].get(str(status), operation["responses"]["default"])
        media = got.get("content-type", "").split(";")[0]
        self.assertEqual({media} if media else set(), set(response.get("content", {})), f"{status} {answer[:200]!r}")
        if media in ("application/json", "application/problem+json"):
            answer = json.loads(answer)
            jsonschema.Draft202012Validator({"type": "object"}).validate(answer)
            if media == "application/problem+json":
                self.assertEqual(answer["status"], status)
                answer = {k: answer[k] for k in ("type", "title", "status", "detail", "instance")}  # others may follow
            self.validate(answer, response["content"][media]["schema"])
        return status, answer

    def test_every_answer_is_what_it_says(self):
        posted = json.dumps({"matchers": [{"name": "run", "value": "nobody"}], "ends": 4e9, "created_by": "test",
                             "comment": "none"})
        calls = [("get", path, path, None) for path in ("/healthz", "/readyz", "/metrics", "/", "/api/v1/openapi.json",
                                                        "/api/v1/receivers", "/api/v1/rules", "/api/v1/runs",
                                                        "/api/v1/silences", "/api/v1/alerts")]
        calls += [("get", "/assets/{file}", self.script(), None),
                  ("get", "/api/v1/runs", "/api/v1/runs?limit=1", None),
                  ("get", "/api/v1/runs", "/api/v1/runs?limit=0", None),
                  ("get", "/api/v1/alerts/{id}", f"/api/v1/alerts/{self.alert}", None),
                  ("get", "/api/v1/alerts/{id}", "/api/v1/alerts/999999", None),
                  ("post", "/api/v1/alerts/{id}/acknowledge", f"/api/v1/alerts/{self.alert}/acknowledge", "{}"),
                  ("post", "/api/v1/alerts/test", "/api/v1/alerts/test", "{}"),
                  ("post", "/api/v1/silences", "/api/v1/silences", posted),
                  ("get", "/api/v1/silences", "/api/v1/silences?state=all", None),
                  ("delete", "/api/v1/silences/{id}", "/api/v1/silences/1", None),
                  ("post", "/api/v1/ingest", "/api/v1/ingest", line(hello("posted")) + line(make_step(0)) + b"x\n"),
                  ("post", "/api/v1/ingest", "/api/v1/ingest", b"x\n")]
        prom = "/prometheus/api/v1/"
        for tail, query in (("query", "query=pyrometer_loss&time=1.7e9"), ("query", "query=1"), ("labels", ""),
                            ("query_range", "query=pyrometer_loss&start=1.7e9&end=1.7001e9&step=1m"),
                            ("series", "match[]=pyrometer_loss")):
            calls += [("get", prom + tail, f"{prom}{tail}?{query}", None), ("post", prom + tail, prom + tail, query)]
        calls.append(("get", prom + "label/{name}/values", prom + "label/run/values", None))
        root = "/api/v1/runs/{run}"
        for run in ("nan-gradient", "lr-ramp", "live", "empty", "nobody"):
            for tail in ("", "/temperature", "/temperature?detail=full", "/engine", "/states", "/events", "/export"):
                calls.append(("get", root + tail.split("?")[0], root.format(run=run) + tail, None))
            for query in ("metric=loss,temperature.kinetic,gw&points=7", "metric=w_var&layer=*", "metric=", "x=1"):
                calls.append(("get", root + "/series", f"{root.format(run=run)}/series?{query}", None))
        calls += [("get", root + "/stream", root.format(run="lr-ramp") + "/stream", None),
                  ("delete", root, root.format(run="empty"), None), ("delete", root, root.format(run="empty"), None)]
        good = set()
        for method, pattern, path, body in calls:
            with self.subTest(f"{method} {path}"):
                status, _ = self.judge(method, pattern, path, body)
                if status < 300:
                    good.add((pattern, method))
        self.assertEqual(good, {(path, method) for path, method, _ in self.operations()})  # each at least once

    def test_not_modified(self):
        for path, method, operation in self.operations():
            if method == "get" and "304" in operation["responses"]:
                wanted = next((query for end, query in WANTED.items() if path.endswith(end)), "")
                path = path.format(run="lr-ramp", id=self.alert, name="run") + wanted
                with self.subTest(path):
                    # A run that has just ended may be put away between the two, which is a change.
                    eventually(lambda path=path: self.is_not_modified(path), f"304 of {path}")

    def is_not_modified(self, path):
        tag = self.shared.get(path)[0]["etag"]
        return self.shared.call("GET", path, {"If-None-Match": tag})[0] == 304

    def test_parameters_are_those_that_are_taken(self):
        """Every documented parameter is taken with a value of its schema, and none else."""
        values = {"integer": lambda s: s["minimum"], "string": lambda s: s.get("enum", ["x"])[0], "array": lambda s: "loss"}
        for path, method, operation in self.operations():
            if method == "get":
                path = path.format(run="lr-ramp", id=self.alert, file=self.script().rsplit("/", 1)[1], name="run")
                self.shared.get_json(path + "?nothing_of_that_name=1", expect=400)
                if path.startswith("/prometheus/"):  # whose parameters need one another
                    query = "&".join(f"{p['name']}={PROM_VALUES.get(p['name'], 'x')}" for p in operation["parameters"]
                                     if p["in"] == "query")
                    self.shared.get(f"{path}?{query}")
                    continue
                for p in operation["parameters"]:
                    if p["in"] == "query" and p["name"] != "cursor":
                        value = "*" if p["name"] == "layer" else values[p["schema"]["type"]](p["schema"])
                        extra = "metric=loss&" if "metric" in str(operation["parameters"]) and p["name"] != "metric" else ""
                        with self.subTest(path=path, parameter=p["name"]):
                            self.shared.get(f"{path}?{extra}{p['name']}={value}")


if __name__ == "__main__":
    unittest.main()
