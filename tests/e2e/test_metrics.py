"""/metrics as Prometheus sees it: promtool judges it, and a real Prometheus scrapes it."""

import json
import re
import subprocess
import tempfile
import time
import unittest
import urllib.parse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from harness import Job, SharedDaemonCase, TestCase, eventually, make_step

OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"


def samples(text):
    """{name: {labels: value}} of either format."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
            found.setdefault(name, {})[labels or ""] = float(value)
    return found


class Metrics(SharedDaemonCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.job = Job(cls.shared)
        cls.addClassCleanup(cls.job.close)
        cls.job.hello("live", layers=[{"name": n, "n": 100} for n in ('fc1', 'a"b\\c', "ünï")])
        for step in range(60):
            cls.job.step(step)
        cls.job.wait_ack(59)
        cls.job.raw(b"nonsense\n")
        cls.job.expect("error")
        cls.shared.reading_at("live", 59)

    def metrics(self, accept=None):
        headers, body = self.shared.get("/metrics", headers={"Accept": accept} if accept else None)
        return headers["content-type"], body.decode()

    def test_what_fires(self):
        daemon = self.daemon()
        with Job(daemon) as job:
            job.hello("ill")
            for step in range(5):
                job.step(step, loss="NaN" if step == 4 else 1)
            job.wait_ack(4)
            eventually(lambda: daemon.alerts(state="firing"), "an alert that fires")
            found = samples(daemon.get("/metrics")[1].decode())
            self.assertEqual(found["pyrometer_alerts_firing"], {f'severity="{s}"': len(daemon.alerts(state="firing", severity=s))
                                                                 for s in ("info", "warning", "critical")})
            self.assertEqual(found["pyrometer_alerts_firing"]['severity="critical"'], 1)

    def test_which_format(self):
        for accept, wanted in [(None, OPEN), ("*/*", OPEN), ("text/plain", TEXT), ("text/plain;version=0.0.4", TEXT),
                               ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OPEN),
                               ("text/html, text/plain;q=0.9", TEXT)]:
            with self.subTest(accept):
                kind, text = self.metrics(accept)
                self.assertEqual(kind, wanted)
                self.assertEqual(text.endswith("# EOF\n"), wanted == OPEN)

    def test_all_forms_say_the_same(self):
        _, text = self.metrics("text/plain")
        for accept in (None, "application/openmetrics-text"):
            _, open_text = self.metrics(accept)
            self.assertEqual(samples(text).keys(), samples(open_text).keys())
            self.assertEqual(samples(text)["pyrometer_temperature"], samples(open_text)["pyrometer_temperature"])

    def test_counters_have_a_type_where_a_form_is_asked_for(self):
        for accept, line in [("application/openmetrics-text", "# TYPE pyrometer_steps_received counter"),
                             ("text/plain", "# TYPE pyrometer_steps_received_total counter")]:
            self.assertIn(line, self.metrics(accept)[1].splitlines())

    def test_promtool(self):
        for accept in (None, "text/plain"):
            with self.subTest(accept):
                _, text = self.metrics(accept)
                done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_figures(self):
        found = samples(self.metrics()[1])
        self.assertGreaterEqual(found["pyrometer_steps_received_total"][""], 60)
        self.assertGreaterEqual(found["pyrometer_steps_durable_total"][""], 60)
        self.assertGreaterEqual(found["pyrometer_messages_refused_total"]['code="bad_json"'], 1)
        self.assertEqual(found["pyrometer_connections_open"][""], 1)
        self.assertEqual(found["pyrometer_start_unclean"][""], 0)
        self.assertGreater(found["pyrometer_wal_bytes"][""], 0)
        self.assertGreater(found["pyrometer_database_bytes"][""], 0)
        self.assertLessEqual(found["process_start_time_seconds"][""], time.time())
        self.assertEqual(list(found["pyrometer_build_info"].values()), [1])
        self.assertGreater(found["pyrometer_commit_seconds_count"][""], 0)
        self.assertEqual(found["pyrometer_commit_seconds_bucket"]['le="+Inf"'], found["pyrometer_commit_seconds_count"][""])
        self.assertLess(found["pyrometer_lag_seconds"][""], 60)
        self.assertEqual(found["pyrometer_run_step"]['run="live"'], 59)
        self.assertEqual(found["pyrometer_temperatures_left_out"][""], 0)
        reading = self.shared.temperature("live")
        for layer, name in [("", None)] + [(layer["name"], layer["name"]) for layer in reading["layers"]]:
            body = reading["global"] if name is None else next(x for x in reading["layers"] if x["name"] == name)
            label = layer.replace("\\", "\\\\").replace('"', '\\"')
            shown = found["pyrometer_temperature"][f'run="live",layer="{label}",thermometer="kinetic"']
            self.assertEqual(shown, body["kinetic"]["value"])

    def test_what_changes_is_shown_at_once(self):
        """The text is made once a change: whoever asks after a change sees it."""
        before = samples(self.metrics()[1])["pyrometer_messages_received_total"][""]
        for i in range(1, 20):
            self.job.ping()
            self.assertEqual(samples(self.metrics()[1])["pyrometer_messages_received_total"][""], before + i)


class Crash(TestCase):
    def test_an_unclean_start(self):
        daemon = self.daemon()
        self.assert_served(daemon)
        daemon.kill9()
        daemon.start()
        self.assertEqual(samples(daemon.get("/metrics")[1].decode())["pyrometer_start_unclean"][""], 1)


class Prometheus(SharedDaemonCase):
    """A Prometheus of the test's own, on a free port."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with Job(cls.shared) as job:
            job.hello("scraped")
            for step in range(40):
                job.send(make_step(step))
            job.wait_ack(39)
        home = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        (home / "prometheus.yml").write_text(
            "global: { scrape_interval: 200ms, scrape_timeout: 200ms }\nscrape_configs:\n  - job_name: pyrometer\n"
            f"    static_configs: [ {{ targets: ['127.0.0.1:{cls.shared.http[1]}'] }} ]\n")
        log = open(home / "log", "w+")
        cls.addClassCleanup(log.close)
        process = subprocess.Popen(["prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data",
                                    "--web.listen-address=127.0.0.1:0"], stdout=log, stderr=log)
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.kill)

        def find():
            cls.assertIsNone(cls(), process.poll(), "Prometheus ended")
            return re.search(r'msg="Listening on" address=([\d.]+:\d+)', (home / "log").read_text())
        cls.prometheus = eventually(find, "Prometheus's address")[1]

    def ask(self, query):
        """What Prometheus has; nothing before it is ready."""
        try:
            return self.result_of(query)
        except HTTPError as e:
            self.assertEqual(e.code, 503)
            return []

    def result_of(self, query):
        with urlopen(f"http://{self.prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": query})) as answer:
            return [(r["metric"], float(r["value"][1])) for r in json.load(answer)["data"]["result"]]

    def test_it_scrapes(self):
        eventually(lambda: self.ask("up == 1"), "a good scrape")
        self.assertEqual(self.ask("pyrometer_run_step")[0][1], 39)
        found = self.ask('pyrometer_temperature{run="scraped",layer="fc1",thermometer="kinetic"}')
        reading = self.shared.temperature("scraped")
        self.assertEqual([value for _, value in found], [reading["layers"][0]["kinetic"]["value"]])
        self.assertTrue(self.ask("histogram_quantile(0.9, pyrometer_commit_seconds_bucket)"))
        with urlopen(f"http://{self.prometheus}/api/v1/targets") as answer:
            self.assertEqual([t["lastError"] for t in json.load(answer)["data"]["activeTargets"]], [""])
        with urlopen(f"http://{self.prometheus}/api/v1/metadata?metric=pyrometer_steps_received_total") as answer:
            self.assertNotEqual(json.load(answer)["status"], "error")


if __name__ == "__main__":
    unittest.main()
