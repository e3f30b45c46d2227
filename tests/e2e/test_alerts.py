"""Alerts: what fires on known runs, what stays quiet, and what an alert says."""

import json
import unittest

from harness import DATA, Job, SharedDaemonCase, TestCase, eventually, line, make_step, recording, replay

KEYS = {"id", "rule", "severity", "state", "run", "layer", "step", "since", "group", "started", "resolved", "value",
        "threshold",
        "summary", "acknowledged", "silenced", "inhibited", "closed_by", "no_data", "labels", "annotations"}


def fired(daemon, run, rule):
    """The run's alerts of that rule that have fired, oldest first."""
    alerts = [a for a in daemon.alerts(run=run, limit=1000) if a["rule"] == rule and a["state"] != "pending"]
    return sorted(alerts, key=lambda a: (a["step"], a["id"]))


def nan_loss(daemon, run, at=100):
    """A run whose loss is NaN from that step on, still connected."""
    job = Job(daemon)
    job.hello(run)
    job.raw(b"".join(line(make_step(s, **({"loss": "NaN"} if s >= at else {}))) for s in range(at + 10)))
    job.wait_ack(at + 9)
    return job


class Faults(SharedDaemonCase):
    def test_nan_loss(self):
        nan_loss(self.shared, "nan-loss").close()
        alert = eventually(lambda: fired(self.shared, "nan-loss", "loss_nonfinite"), "the alert")[0]
        self.assertEqual(alert.keys(), KEYS)
        self.assertEqual((alert["severity"], alert["state"], alert["run"], alert["layer"]),
                         ("critical", "firing", "nan-loss", None))
        self.assertTrue(100 <= alert["since"] <= alert["step"] <= 105, alert)
        self.assertEqual((alert["resolved"], alert["acknowledged"], alert["silenced"]), (None, None, False))
        self.assertGreater(len(alert["summary"]), 20)
        self.assertIsInstance(alert["group"], int)
        self.assertEqual(self.shared.run("nan-loss")["alerts"]["firing"],
                         len(self.shared.alerts(run="nan-loss", state="firing")))

    def test_recorded_nan_gradient(self):
        replay(self.shared, recording("nan-gradient"))
        alert = eventually(lambda: fired(self.shared, "nan-gradient", "loss_nonfinite"), "the alert")[0]
        self.assertEqual(alert["severity"], "critical")
        self.assertTrue(441 <= alert["step"] <= 446, alert)

    def test_recorded_learning_rate_ramp(self):
        """`unstable` warns while there is time: after the ramp began at 417, before the failure at 1198."""
        lines = recording("lr-ramp")
        replay(self.shared, lines)
        alerts = eventually(lambda: fired(self.shared, "lr-ramp", "unstable"), "an alert of the rule 'unstable'")
        self.assertTrue(417 <= alerts[0]["step"] < 1198, alerts[0])

    def test_healthy_recordings_are_quiet(self):
        for name in ("sgd-momentum", "adamw"):
            last = replay(self.shared, recording(name))
            self.shared.reading_at(name, last)
            critical = [a for a in self.shared.alerts(run=name, severity="critical") if a["state"] != "pending"]
            self.assertEqual(critical, [])

    def test_recovery_resolves(self):
        with nan_loss(self.shared, "recovers") as job:
            eventually(lambda: fired(self.shared, "recovers", "loss_nonfinite"), "the alert")
            job.raw(b"".join(line(make_step(s)) for s in range(110, 1500)))
            job.wait_ack(1499)
        alert = eventually(lambda: [a for a in fired(self.shared, "recovers", "loss_nonfinite")
                                    if a["state"] == "resolved"], "the end of the alert")[0]
        self.assertGreaterEqual(alert["resolved"], alert["started"])

    def test_end_resolves(self):
        with nan_loss(self.shared, "ends") as job:
            eventually(lambda: fired(self.shared, "ends", "loss_nonfinite"), "the alert")
            job.send({"type": "end", "status": "failed"})
            job.half_close()
            job.drain()
        eventually(lambda: not self.shared.alerts(run="ends", state="firing"), "the end of the alerts")
        self.assertTrue(fired(self.shared, "ends", "loss_nonfinite"))


class Calls(SharedDaemonCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.jobs = [nan_loss(cls.shared, f"call-{i}", at=50 + i) for i in range(6)]
        for job in cls.jobs:
            cls.addClassCleanup(job.close)
        eventually(lambda: all(fired(cls.shared, f"call-{i}", "loss_nonfinite") for i in range(6)), "the alerts")

    def test_filters(self):
        for query in ({"run": "call-3"}, {"state": "firing"}, {"severity": "critical"},
                      {"run": "call-1", "state": "firing", "severity": "critical"}):
            alerts = self.shared.alerts(limit=1000, **query)
            self.assertTrue(alerts)
            for alert in alerts:
                self.assertEqual({k: alert[k] for k in query}, query)
        self.assertEqual(self.shared.alerts(run="nobody"), [])

    def test_bad_filters(self):
        for query in ("state=burning", "severity=high", "limit=0", "limit=x", "cursor=%ff"):
            with self.subTest(query):
                self.shared.get_json("/api/v1/alerts?" + query, expect=400)

    def test_newest_first_in_pages(self):
        everything = self.shared.alerts(limit=1000)
        self.assertEqual([a["started"] for a in everything], sorted((a["started"] for a in everything), reverse=True))
        seen, cursor = [], None
        while True:
            page = self.shared.get_json("/api/v1/alerts?limit=2" + (f"&cursor={cursor}" if cursor else ""))
            self.assertLessEqual(len(page["alerts"]), 2)
            seen += [a["id"] for a in page["alerts"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        self.assertEqual(seen, [a["id"] for a in everything])

    def test_acknowledge(self):
        alert = self.shared.alerts(run="call-0")[0]
        status, _, body = self.shared.call("POST", f"/api/v1/alerts/{alert['id']}/acknowledge")
        self.assertIn(status, (200, 204), body)
        [now] = [a for a in self.shared.alerts(run="call-0") if a["id"] == alert["id"]]
        self.assertIsNotNone(now["acknowledged"])
        self.assertEqual(now["state"], "firing")
        for path, expected in (("/api/v1/alerts/999999/acknowledge", {404}),
                               ("/api/v1/alerts/x/acknowledge", {400, 404})):
            status, headers, _ = self.shared.call("POST", path)
            self.assertIn(status, expected)
            self.assertTrue(headers["content-type"].startswith("application/problem+json"))

    def test_rules(self):
        rules = {rule["rule"]: rule for rule in self.shared.get_json("/api/v1/rules")["rules"]}
        self.assertLessEqual({"loss_nonfinite", "unstable", "overheating", "stalled"}, set(rules))


class Life(TestCase):
    def test_survives_a_restart(self):
        daemon = self.daemon()
        nan_loss(daemon, "survives").close()
        before = eventually(lambda: fired(daemon, "survives", "loss_nonfinite"), "the alert")
        identifier = before[0]["id"]
        self.assertIn(daemon.call("POST", f"/api/v1/alerts/{identifier}/acknowledge")[0], (200, 204))
        before = fired(daemon, "survives", "loss_nonfinite")
        daemon.restart()
        self.assertEqual(fired(daemon, "survives", "loss_nonfinite"), before)
        daemon.kill9()
        daemon.start()
        self.assertEqual(fired(daemon, "survives", "loss_nonfinite"), before)
        with Job(daemon) as job:  # the condition still holds: no second alert of the same
            job.hello("survives")
            for step in range(110, 140):
                job.step(step, loss="NaN")
            job.wait_ack(139)
        self.assertEqual([a["id"] for a in fired(daemon, "survives", "loss_nonfinite")], [identifier])

    def test_stalled(self):
        daemon = self.daemon("alerts: { stall_after: 1s, rules: [ { rule: own, metric: scalar.x, fire_above: 0 } ] }\n")
        job = self.job(daemon)
        job.hello("silent")
        for step in range(20):
            job.step(step, scalars={"x": 1})
        job.wait_ack(19)
        eventually(lambda: daemon.run("silent")["status"] == "stalled", "the status 'stalled'")
        alert = eventually(lambda: fired(daemon, "silent", "stalled"), "the alert")[0]
        self.assertEqual((alert["run"], alert["state"], alert["no_data"]), ("silent", "firing", False))
        [other] = fired(daemon, "silent", "own")  # nobody knows whether it still holds
        self.assertEqual((other["state"], other["no_data"]), ("firing", True))
        job.step(20, scalars={"x": 1})
        job.wait_ack(20)
        eventually(lambda: not fired(daemon, "silent", "own")[0]["no_data"], "data")
        self.assertEqual(fired(daemon, "silent", "own")[0]["state"], "firing")
        eventually(lambda: fired(daemon, "silent", "stalled")[0]["state"] == "resolved", "the end of the alert")

    def test_ended_runs_do_not_stall(self):
        daemon = self.daemon("alerts: { stall_after: 1s }\n")
        with Job(daemon) as job:
            job.hello("ended")
            job.step(0)
            job.send({"type": "end", "status": "completed"})
            job.half_close()
            job.drain()
        silent = self.job(daemon)
        silent.hello("silent")
        silent.step(0)
        silent.wait_ack(0)
        eventually(lambda: daemon.run("silent")["status"] == "stalled", "the status 'stalled'")
        self.assertEqual(daemon.run("ended")["status"], "completed")
        self.assertEqual(daemon.alerts(run="ended"), [])

    def test_a_rule_that_is_off(self):
        daemon = self.daemon("alerts: { rules: [ { rule: loss_nonfinite, enabled: false } ] }\n")
        nan_loss(daemon, "off").close()
        self.assertEqual(daemon.reading_at("off", 109)["step"], 109)
        self.assertEqual(fired(daemon, "off", "loss_nonfinite"), [])

    def test_severity_is_configurable(self):
        daemon = self.daemon("alerts: { rules: [ { rule: loss_nonfinite, severity: warning } ] }\n")
        nan_loss(daemon, "mild").close()
        alert = eventually(lambda: fired(daemon, "mild", "loss_nonfinite"), "the alert")[0]
        self.assertEqual(alert["severity"], "warning")


class Recordings(unittest.TestCase):
    def test_they_are_what_the_tests_take_them_for(self):
        for path in DATA.glob("*.ndjson.gz"):
            name = path.name.removesuffix(".ndjson.gz")
            if name.startswith("store-"):  # a store's, exported
                continue
            messages = [json.loads(text) for text in recording(name)]
            self.assertEqual((messages[0]["type"], messages[0]["run"], messages[-1]["type"]), ("hello", name, "end"))


if __name__ == "__main__":
    unittest.main()
