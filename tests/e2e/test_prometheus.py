"""Prometheus' query API as a client of its own reads it (promtool has the one that Grafana has)."""

import json
import random
import struct
import subprocess
import unittest
import urllib.parse

from harness import Job, SharedDaemonCase, eventually, frame, make_layers

EPOCH = 1_700_000_000
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Prometheus(SharedDaemonCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = f"http://{cls.shared.http[0]}:{cls.shared.http[1]}/prometheus"
        for run, project in (("one", "vision"), ("two", None)):
            with Job(cls.shared) as job:
                job.hello(run, project=project)
                for step in range(100):  # one in ten seconds
                    job.step(step, time=EPOCH + 10 * step, loss=100 - step if step != 50 else "NaN",
                             scalars={"accuracy": step / 100, "odd \"name\"": 1})
                job.wait_ack(99)

    def promtool(self, *words, expect=0):
        done = subprocess.run(["promtool", "query", *words], capture_output=True, text=True)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout if expect == 0 else done.stdout + done.stderr

    def ask(self, call, expect=200, **parameters):
        text = urllib.parse.urlencode(parameters, doseq=True)
        status, headers, body = self.shared.call("GET", f"/prometheus/api/v1/{call}?{text}")
        self.assertEqual((status, headers["content-type"]), (expect, "application/json"), body[:300])
        answer = json.loads(body)
        if expect == 200:
            self.assertEqual(answer["status"], "success")
            return answer["data"]
        self.assertEqual(answer["status"], "error")
        return answer["error"]

    def at(self, query, time):
        return {r["metric"].get("layer", r["metric"]["run"]): r["value"][1]
                for r in self.ask("query", query=query, time=time)["result"]}

    # A client of Prometheus' own

    def test_promtool_instant(self):
        out = self.promtool("instant", f"--time={EPOCH + 105}", self.root, 'pyrometer_loss{run="one"}')
        self.assertEqual(out.strip(), f'pyrometer_loss{{project="vision", run="one"}} => 90 @[{EPOCH + 105}]')

    def test_promtool_range(self):
        out = self.promtool("range", f"--start={EPOCH}", f"--end={EPOCH + 60}", "--step=20s", self.root, 'pyrometer_loss{run="two"}')
        self.assertEqual(out.split("\n")[:2], ['pyrometer_loss{run="two"} =>', f"100 @[{EPOCH}]"])
        self.assertEqual([line.split()[0] for line in out.split("\n")[1:5]], ["100", "98", "96", "94"])

    def test_promtool_series_and_labels(self):
        out = self.promtool("series", '--match=pyrometer_temperature{run="one",layer="",thermometer="kinetic"}',
                            f"--start={EPOCH}", f"--end={EPOCH + 1000}", self.root)
        self.assertEqual(out.strip(), '{__name__="pyrometer_temperature", project="vision", run="one", thermometer="kinetic"}')
        self.assertEqual(self.promtool("labels", f"--start={EPOCH}", f"--end={EPOCH + 1000}", self.root, "run").split(), ["one", "two"])

    def test_promtool_errors(self):
        self.assertIn("only selectors", self.promtool("instant", self.root, "rate(pyrometer_loss[5m])", expect=1))

    # Every series that there is

    def test_every_series_is_plotted(self):
        layers = [layer["name"] for layer in self.shared.get_json("/api/v1/runs/one")["layers"]]
        series = self.ask("series", **{"match[]": '{run="one"}'})
        self.assertEqual(len({json.dumps(s, sort_keys=True) for s in series}), len(series))
        drawn = {json.dumps(r["metric"], sort_keys=True): r["value"][1]
                 for r in self.ask("query", query='{run="one"}', time=EPOCH + 990)["result"]}
        self.assertLessEqual(set(drawn), {json.dumps(s, sort_keys=True) for s in series})
        for metric, labels in (("loss", {}), ("lr", {}), ("entropy", {}), ("entropy", {"layer": layers[0]}),
                               ("temperature.kinetic", {"layer": layers[0]}), ("scalar.accuracy", {}),
                               ("w_var", {"layer": layers[-1]}), ("temperature.transition", {})):
            with self.subTest(metric, **labels):
                query = urllib.parse.urlencode({"metric": metric, "points": 100000, **labels})
                value = self.shared.get_json(f"/api/v1/runs/one/series?{query}")["series"][0]["value"][-1]
                kind, _, name = metric.partition(".")
                if metric == "w_var":
                    labels, kind = {**labels, "statistic": "w_var"}, "statistic"
                elif name:
                    labels = {**labels, {"temperature": "thermometer", "scalar": "scalar"}[kind]: name}
                key = {"__name__": "pyrometer_" + kind, "run": "one", "project": "vision", **labels}
                self.assertEqual(float(drawn[json.dumps(key, sort_keys=True)]), value)

    def test_matchers(self):
        def runs(query):
            return sorted(self.at(query, EPOCH + 500))
        self.assertEqual(runs("pyrometer_loss"), ["one", "two"])
        self.assertEqual(runs('pyrometer_loss{run!="one"}'), ["two"])
        self.assertEqual(runs('pyrometer_loss{run=~"o.*|x"}'), ["one"])
        self.assertEqual(runs('pyrometer_loss{run=~"o"}'), [])  # over the whole value
        self.assertEqual(runs('pyrometer_loss{project!~"vis.+"}'), ["two"])
        self.assertEqual(runs('pyrometer_loss{project="", nothing=""}'), ["two"])
        self.assertEqual(runs('pyrometer_loss{nothing="x"}'), [])
        self.assertEqual(runs('{__name__=~".*_loss",run=\'two\',}'), ["two"])
        self.assertEqual(len(self.ask("query", query='pyrometer_scalar{scalar="odd \\"name\\""}', time=EPOCH + 9)["result"]), 2)

    def test_times(self):
        self.assertEqual(self.at('pyrometer_loss{run="one"}', EPOCH - 1), {})
        self.assertEqual(self.at('pyrometer_loss{run="one"}', EPOCH), {"one": "100"})
        self.assertEqual(self.at('pyrometer_loss{run="one"}', EPOCH + 9.9), {"one": "100"})
        self.assertEqual(self.at('pyrometer_loss{run="one"}', EPOCH + 505), {"one": "NaN"})
        self.assertEqual(self.at('pyrometer_loss{run="one"}', EPOCH + 990 + 299), {"one": "1"})  # as long as in Prometheus
        self.assertEqual(self.at('pyrometer_loss{run="one"}', EPOCH + 990 + 301), {})
        values = self.ask("query_range", query='pyrometer_scalar{run="one",scalar="accuracy"}', start=EPOCH - 100, end=EPOCH + 5000,
                          step="1m")["result"][0]["values"]
        self.assertEqual(values[0], [EPOCH + 20, "0.02"])
        self.assertEqual([t for t, _ in values], list(range(EPOCH + 20, EPOCH + 1290, 60)))

    def test_labels(self):
        self.assertEqual(self.ask("labels"), ["__name__", "layer", "project", "run", "scalar", "statistic", "thermometer"])
        self.assertEqual(self.ask("labels", **{"match[]": 'pyrometer_loss{run="two"}'}), ["__name__", "run"])
        self.assertEqual(self.ask("label/project/values"), ["vision"])
        self.assertIn("kinetic", self.ask("label/thermometer/values"))
        self.assertEqual(self.ask("label/scalar/values"), ["accuracy", 'odd "name"'])
        self.assertIn("g_var", self.ask("label/statistic/values"))
        self.assertIn("pyrometer_free_energy", self.ask("label/__name__/values"))
        self.assertEqual(self.ask("label/nothing/values"), [])
        self.assertEqual(self.ask("label/run/values", end=EPOCH - 1), [])

    def test_forms(self):
        body = urllib.parse.urlencode({"query": 'pyrometer_loss{run="one"}', "time": EPOCH})
        status, _, answer = self.shared.call("POST", "/prometheus/api/v1/query", FORM, body)
        self.assertEqual((status, json.loads(answer)["data"]["result"][0]["value"]), (200, [EPOCH, "100"]))

    def test_grafana_looks_whether_anybody_is_there(self):
        self.assertEqual(self.ask("query", query="1+1", time=4), {"resultType": "scalar", "result": [4.0, "2"]})

    def test_what_is_not_understood(self):
        for query, says in (("sum(pyrometer_loss)", "only selectors"), ("pyrometer_loss[5m]", "only selectors"),
                            ("pyrometer_loss offset 5m", "only selectors"), ("pyrometer_loss / 2", "only selectors"),
                            ("{}", "does not match an empty"), ('{run=~".*"}', "does not match an empty"), ("{run", "one of ="),
                            ('a{run="x"', "comma"), ('a{run="x', "quotes"), ('a{run="\\q"}', "one of"), ("a{run=x}", "text in quotes"),
                            ('a{run=~"("}', "regular expression"), ('a{run=~"(a{999}){999}"}', "regular expression"),
                            ('a{run=~"(a)\\\\1"}', "regular expression"), ('a{1="x"}', "label's name"), ("a{" + 'b="",' * 17 + "}", "at most 16"),
                            ("a" * 5000, "at most"), ("\"", "only selectors")):
            with self.subTest(query[:60]):
                error = self.ask("query", expect=400, query=query)
                self.assertIn(says, error)
                self.ask("series", expect=400, **{"match[]": query})
        self.ask("query", expect=400, query="pyrometer_loss", time="yesterday")
        self.ask("query", expect=400, time=1)
        self.ask("query_range", expect=400, query="pyrometer_loss", start=1, end=2)
        self.ask("query_range", expect=400, query="pyrometer_loss", start=2, end=1, step=1)
        self.ask("query_range", expect=400, query="pyrometer_loss", start=0, end=1e6, step=1)
        self.ask("query_range", expect=400, query="pyrometer_loss", start=0, end=1, step=0)
        self.ask("query_range", expect=400, query="pyrometer_loss", start="NaN", end="inf", step=1)
        self.ask("series", expect=400)


class Long(SharedDaemonCase):
    """A run that is too long to be worked out anew, a step a second but for a pause: drawn from readings, tiers and what lies between."""

    N, LAYERS, EVERY, PAUSED, PAUSE = 24000, 25, 256, 12000, 5000
    RUN = "long"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        pool = []
        for seed in range(61):
            noise = random.Random(seed)
            stats = {key: [noise.uniform(0.5, 1.5) for _ in range(cls.LAYERS)] for key in ("w_mean", "w_var", "g_mean", "g_var", "u_mean", "u_var", "gu")}
            pool.append(frame({"step": 0, "loss": 0, "lr": 0.1, "batch_size": 32, "stats": stats}, wide=()))
        with Job(cls.shared) as job:
            job.hello(cls.RUN, make_layers(cls.LAYERS), optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.9}, batch_size=32)
            for at in range(0, cls.N, 500):
                job.frame(b"".join(pool[i % 61][:8] + struct.pack("<qdd", i, cls.time(i), i) + pool[i % 61][32:] for i in range(at, at + 500)))
                job.wait_ack(at - 3000)
            job.wait_ack(cls.N - 1)
            job.send({"type": "end", "status": "completed"})
            eventually(lambda: cls.shared.run(cls.RUN)["status"] == "completed", "the end")

    @classmethod
    def time(cls, step):
        return EPOCH + step + (cls.PAUSE if step >= cls.PAUSED else 0)

    def range(self, query, start, end, step):
        text = urllib.parse.urlencode({"query": query, "start": start, "end": end, "step": step})
        answer = self.shared.get_json(f"/prometheus/api/v1/query_range?{text}")["data"]["result"]
        self.assertEqual(len(answer), 1)
        return [(t, float(value)) for t, value in answer[0]["values"]]

    def series(self, **query):
        one = self.shared.series(self.RUN, "temperature.kinetic", points=10000, **query)["series"][0]
        return one, list(zip(one["step"], one["value"]))

    def newest(self, values, t):
        return [value for step, value in values if self.time(step) <= t][-1]

    KINETIC = 'pyrometer_temperature{run="long",layer="",thermometer="kinetic"}'

    def test_instruments_of_the_whole_run(self):
        one, values = self.series()
        self.assertEqual(one["every"], self.EVERY)
        drawn = self.range(self.KINETIC, EPOCH + 1000, self.time(self.N), 200)
        self.assertEqual([value for _, value in drawn], [self.newest(values, t) for t, _ in drawn])
        times = {t for t, _ in drawn}
        before, behind = self.time(self.PAUSED - self.EVERY), self.time(self.PAUSED + self.EVERY)
        self.assertLessEqual({t for t in range(EPOCH + 1000, self.time(self.N), 200) if not before < t < behind}, times)
        self.assertEqual([t for t in times if before + 300 + 3 * self.EVERY < t < self.time(self.PAUSED)], [])

    def test_instruments_of_a_short_range(self):
        for first, last in ((20000, 20400), (self.PAUSED - 300, self.PAUSED + 300)):
            one, values = self.series(from_=first - 400, to=last)
            self.assertNotIn("every", one)
            drawn = self.range(self.KINETIC, self.time(first), self.time(last), 10)
            self.assertEqual([value for _, value in drawn], [self.newest(values, t) for t, _ in drawn])
            self.assertEqual(len(drawn), sum(1 for t in range(self.time(first), self.time(last) + 1, 10)
                                             if not self.time(self.PAUSED - 1) + 300 <= t < self.time(self.PAUSED)))

    def test_steps_of_the_whole_run(self):
        """The loss is the step's number: a value is that of a step until then, and no older than an evaluation."""
        drawn = self.range('pyrometer_loss{run="long"}', EPOCH, self.time(self.N), 100)
        self.assertEqual(drawn[0], (EPOCH, 0))
        for t, step in drawn:
            self.assertGreaterEqual(t, self.time(step))
            if not self.time(self.PAUSED - 1) <= t < self.time(self.PAUSED):
                self.assertLessEqual(t - self.time(step), 100)
        paused = [t for t, _ in drawn if self.time(self.PAUSED - 1) + 500 < t < self.time(self.PAUSED)]
        self.assertEqual(paused, [])
        self.assertGreater(len(drawn), 230)

    def test_an_instant(self):
        text = urllib.parse.urlencode({"query": 'pyrometer_loss{run="long"}', "time": self.time(13000) + 0.5})
        answer = self.shared.get_json(f"/prometheus/api/v1/query?{text}")["data"]["result"]
        self.assertEqual([one["value"][1] for one in answer], ["13000"])


class Many(SharedDaemonCase):
    def test_more_than_can_be_drawn(self):
        with Job(self.shared) as job:
            job.hello("wide", layers=[{"name": f"layer{i}", "n": 10} for i in range(600)])
            job.send({"type": "step", "step": 0, "time": EPOCH, "loss": 1.0,
                      "stats": {"w_var": [1.0] * 600, "g_var": [2.0] * 600}})
            job.wait_ack(0)
        root = "/prometheus/api/v1/"
        status, _, answer = self.shared.call("GET", f"{root}query?query=pyrometer_statistic&time={EPOCH}")
        self.assertEqual((status, json.loads(answer)["errorType"]), (422, "execution"))
        one = self.shared.get_json(f"{root}query?query=pyrometer_statistic%7Bstatistic%3D%22w_var%22%7D&time={EPOCH}")
        self.assertEqual(len(one["data"]["result"]), 600)
        self.assertEqual(len(self.shared.get_json(root + "label/layer/values")["data"]), 600)


if __name__ == "__main__":
    unittest.main()
