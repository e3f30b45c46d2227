"""Alerts in a real Alertmanager: firing, resolved, silenced, and the daemon killed in between."""

import itertools
import json
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

from harness import Job, eventually
from receiver import DeliveryCase, fail

ALERTMANAGER = shutil.which("prometheus-alertmanager")


@unittest.skipUnless(ALERTMANAGER, "Debian's prometheus-alertmanager is not installed")
class Alertmanager(DeliveryCase):
    def start_alertmanager(self):
        home = Path(tempfile.mkdtemp(prefix="pyro-am-"))
        self.addCleanup(shutil.rmtree, home, ignore_errors=True)
        (home / "am.yml").write_text("route: { receiver: nobody }\nreceivers: [ { name: nobody } ]\n"
                                     "global: { resolve_timeout: 5m }\n")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        process = subprocess.Popen([ALERTMANAGER, f"--config.file={home}/am.yml", f"--storage.path={home}/data",
                                    f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        url = f"http://127.0.0.1:{port}"

        def is_ready():
            try:
                return urllib.request.urlopen(url + "/-/ready", timeout=5).status == 200
            except OSError:
                return False
        eventually(is_ready, "Alertmanager")
        return url

    def known(self, url, **labels):
        with urllib.request.urlopen(url + "/api/v2/alerts?inhibited=true&silenced=true", timeout=30) as answer:
            alerts = json.load(answer)
        return [a for a in alerts if all(a["labels"].get(k) == v for k, v in labels.items())]

    def manage(self, url):
        """A daemon with a rule of its own, and what sends the next 300 steps with a scalar at this value."""
        daemon = self.daemon("alerts: { rules: [ { rule: own, metric: scalar.x, fire_above: 1 } ], webhooks: [ { url: "
                             "\"%s\", format: alertmanager, resend: 1s } ] }\n" % url)
        job = self.job(daemon)
        job.hello("again")
        steps = iter(range(10000))

        def send(x):
            for step in itertools.islice(steps, 300):
                job.send({"type": "step", "step": step, "loss": 1, "scalars": {"x": x}})
            job.wait_ack(step)
        return daemon, send

    def test_an_alert_that_fires_again_soon(self):
        url = self.start_alertmanager()
        daemon, send = self.manage(url)
        send(2)
        eventually(lambda: self.known(url, run="again"), "the alert")
        send(0)
        eventually(lambda: not self.known(url, run="again"), "its end")
        send(2)
        [alert] = eventually(lambda: self.known(url, run="again"), "the alert that fires again")

        def sent():
            return daemon.get_json("/api/v1/receivers")["receivers"][0]["delivered"]
        before = sent()
        eventually(lambda: sent() >= before + 2, "what is sent again")
        self.assertEqual([a["startsAt"] for a in self.known(url, run="again")], [alert["startsAt"]])

    def test_a_silence_is_no_end(self):
        url = self.start_alertmanager()
        daemon, send = self.manage(url)
        send(2)
        [alert] = eventually(lambda: self.known(url, run="again"), "the alert")
        self.silence(daemon, {"matchers": [{"name": "run", "value": "again"}], "duration": "1h"})
        eventually(lambda: self.known(url, run="again")[0]["endsAt"] > alert["endsAt"], "it is told on")
        send(0)
        eventually(lambda: not self.known(url, run="again"), "its end")
        send(2)
        eventually(lambda: [a for a in daemon.alerts(run="again", state="firing") if a["silenced"] and a["rule"] == "own"],
                   "a silenced alert")
        self.assertEqual(self.waiting(daemon), 1)
        self.assertEqual(self.known(url, run="again"), [])

    def test_a_job_whose_clock_is_ahead(self):
        url = self.start_alertmanager()
        daemon = self.daemon("alerts: { webhooks: [ { url: \"%s\", format: alertmanager, resend: 1s } ] }\n" % url)
        with Job(daemon) as job:
            job.hello("ahead")
            job.step(0, loss="NaN", time=time.time() + 7200)
            eventually(lambda: self.known(url, run="ahead"), "the alert")
            job.send({"type": "end", "status": "failed"})
            job.half_close()
            job.drain()
        eventually(lambda: not self.known(url, run="ahead"), "its end")

    def test_firing_and_resolved_with_a_crash_in_between(self):
        url = self.start_alertmanager()

        def known(**labels):
            return self.known(url, **labels)

        daemon = self.daemon("alerts: { webhooks: [ { url: \"%s\", format: alertmanager, resend: 1s } ] }\n" % url)
        fail(daemon, "managed")
        [alert] = eventually(lambda: known(run="managed"), "the alert in Alertmanager")
        self.assertEqual(alert["labels"]["alertname"], "loss_nonfinite")
        self.assertEqual(alert["status"]["state"], "active")
        daemon.kill9()
        daemon.start()
        before = known(run="managed")[0]["updatedAt"]
        eventually(lambda: [a for a in known(run="managed") if a["updatedAt"] > before], "the alert once more")
        with Job(daemon) as job:
            job.hello("managed")
            job.send({"type": "end", "status": "failed"})
            job.half_close()
            job.drain()
        # Alertmanager lists what is active; an alert whose end has come is no longer listed.
        eventually(lambda: not known(run="managed"), "the end of the alert in Alertmanager")
        eventually(lambda: self.waiting(daemon) == 0, "an empty outbox")


if __name__ == "__main__":
    unittest.main()
