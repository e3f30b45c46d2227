"""Alerts on their way to people: webhooks, programs, and jobs that asked to be told."""

import hashlib
import hmac
import json
import shutil
import socket
import stat
import tempfile
import threading
import unittest
from pathlib import Path

from harness import Job, eventually, line, make_step, run_program
from receiver import DeliveryCase, fail, webhook


class Webhooks(DeliveryCase):
    def test_each_state_comes_once(self):
        receiver = self.receiver()
        daemon = self.daemon(webhook(receiver))
        fail(daemon, "broken", resolve=True)
        eventually(lambda: len(receiver.posts) >= 2, "both states")
        self.assertEqual(receiver.changes(), [("loss_nonfinite", "broken", "firing"),
                                              ("loss_nonfinite", "broken", "resolved")])
        eventually(lambda: self.waiting(daemon) == 0, "an empty outbox")
        body = json.loads(receiver.posts[0][2])
        self.assertEqual(body["version"], "4")
        self.assertLessEqual({"groupKey", "status", "receiver", "groupLabels", "commonLabels", "commonAnnotations",
                              "externalURL", "truncatedAlerts", "alerts"}, set(body))
        alert = body["alerts"][0]
        self.assertEqual(alert["labels"], {"alertname": "loss_nonfinite", "run": "broken", "project": "tests", "severity": "critical"})
        self.assertIn("summary", alert["annotations"])
        self.assertEqual(body["pyrometer"]["rule"], "loss_nonfinite")
        end = json.loads(receiver.posts[1][2])
        self.assertEqual(end["alerts"][0]["startsAt"], alert["startsAt"])
        self.assertEqual(end["alerts"][0]["fingerprint"], alert["fingerprint"])
        self.assertGreaterEqual(end["alerts"][0]["endsAt"], alert["startsAt"])
        self.assertEqual(end["pyrometer"]["closed_by"], "run_ended")

    def test_a_receiver_that_fails_for_a_while(self):
        receiver = self.receiver(lambda n: 500 if n <= 2 else 200)
        daemon = self.daemon(webhook(receiver))
        fail(daemon, "patient", resolve=True)
        eventually(lambda: self.waiting(daemon) == 0 and len(receiver.posts) >= 4, "all states")
        self.assertEqual([state for _, _, state in receiver.changes()], ["firing"] * 3 + ["resolved"])
        keys = [headers["Idempotency-Key"] for _, headers, _ in receiver.posts]
        self.assertEqual(len(set(keys[:3])), 1)
        self.assertNotEqual(keys[0], keys[3])
        [state] = daemon.get_json("/api/v1/receivers")["receivers"]
        self.assertEqual((state["delivered"], state["failures"]), (2, 2))
        self.assertIn("500", state["last_error"])

    def test_nothing_is_lost_when_the_daemon_dies(self):
        receiver = self.receiver(lambda n: 503 if not ready.is_set() else 200)
        ready = threading.Event()
        daemon = self.daemon(webhook(receiver))
        fail(daemon, "lost", resolve=True)
        eventually(lambda: receiver.posts, "a first try")
        daemon.kill9()
        ready.set()
        tries = len(receiver.posts)
        daemon.start()
        eventually(lambda: self.waiting(daemon) == 0 and len(receiver.posts) >= tries + 2, "both states")
        self.assertEqual([state for _, _, state in receiver.changes()][tries:], ["firing", "resolved"])
        keys = [headers["Idempotency-Key"] for _, headers, _ in receiver.posts]
        self.assertEqual(keys[0], keys[tries])
        daemon.restart()  # and nothing comes again
        self.assertEqual(self.waiting(daemon), 0)
        self.assertEqual(len(receiver.posts), tries + 2)

    def test_bad_receivers_hold_up_nobody(self):
        for kind in ("hang", "flood"):
            with self.subTest(kind):
                bad, good = self.receiver(lambda n, kind=kind: kind), self.receiver()
                daemon = self.daemon("alerts: { webhooks: [ { url: \"%s\", format: generic }, { url: \"%s\", format: "
                                     "generic } ] }\n" % (bad.url, good.url))
                fail(daemon, "held-up", resolve=True)
                eventually(lambda: len(good.posts) >= 2 and bad.posts, "the good receiver's states")
                with Job(daemon) as job:
                    job.hello("others")
                    for step in range(50):
                        job.step(step)
                    job.wait_ack(49)
                self.assertEqual(len(bad.posts), 1)

    def test_nobody_listens(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        daemon = self.daemon("alerts: { webhooks: [ { url: \"http://127.0.0.1:%d\", format: generic } ] }\n" % port)
        fail(daemon, "unheard")
        [state] = eventually(lambda: [r for r in daemon.get_json("/api/v1/receivers")["receivers"] if r["failures"]],
                             "a failure")
        self.assertEqual(state["waiting"], 1)
        self.assertIsNotNone(state["last_error"])

    def test_signature_and_token(self):
        receiver = self.receiver()
        home = Path(tempfile.mkdtemp(prefix="pyro-secret-"))
        self.addCleanup(shutil.rmtree, home)
        for name, text in (("secret", "the key"), ("token", "abc")):
            (home / name).write_text(text.replace(" ", "-") + "\n")
            (home / name).chmod(0o600)
        daemon = self.daemon(webhook(receiver, secret_file=home / "secret", token_file=home / "token"))
        fail(daemon, "signed")
        eventually(lambda: receiver.posts, "a post")
        _, headers, body = receiver.posts[0]
        parts = dict(part.split("=", 1) for part in headers["X-Pyrometer-Signature"].split(","))
        expected = hmac.new(b"the-key", parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
        self.assertEqual(parts["v1"], expected)
        self.assertEqual(headers["Authorization"], "Bearer abc")
        self.assertNotIn("the-key", daemon.log())
        self.assertNotIn("the-key", json.dumps(daemon.get_json("/api/v1/receivers")))

    def test_a_url_that_is_a_secret(self):
        receiver = self.receiver()
        home = Path(tempfile.mkdtemp(prefix="pyro-secret-"))
        self.addCleanup(shutil.rmtree, home)
        (home / "url").write_text(receiver.url + "/T0SECRET\n")
        (home / "url").chmod(0o600)
        daemon = self.daemon("alerts: { webhooks: [ { url_file: %s, format: generic } ] }\n" % (home / "url"))
        fail(daemon, "hidden")
        eventually(lambda: receiver.posts, "a post")
        self.assertTrue(receiver.posts[0][0].endswith("/T0SECRET"), receiver.posts[0][0])
        [shown] = daemon.get_json("/api/v1/receivers")["receivers"]
        self.assertRegex(shown["receiver"], r"^webhook http://[^/]+$")
        self.assertNotIn("T0SECRET", json.dumps(shown) + daemon.log())

    def test_a_key_that_cannot_be_read(self):
        receiver = self.receiver()
        daemon = self.daemon(webhook(receiver))
        daemon.configure(webhook(receiver, secret_file="/nonexistent"))
        daemon.process.send_signal(1)
        eventually(lambda: "alerts.webhooks[0].secret_file: /nonexistent: cannot be opened" in daemon.log(), "the reason")
        fail(daemon, "unsigned")  # the running configuration stays in force
        eventually(lambda: receiver.posts, "the alert")

    def test_mild_alerts_are_not_sent(self):
        receiver = self.receiver()
        daemon = self.daemon("alerts: { rules: [ { rule: loss_nonfinite, severity: info } ], webhooks: [ { url: "
                             "\"%s\", format: generic } ] }\n" % receiver.url)
        fail(daemon, "mild")
        eventually(lambda: daemon.alerts(run="mild"), "the alert")
        self.assertEqual(self.waiting(daemon), 0)
        self.assertEqual(receiver.posts, [])

    def test_a_test_is_sent(self):
        receiver = self.receiver()
        daemon = self.daemon(webhook(receiver))
        status, _, body = daemon.call("POST", "/api/v1/alerts/test")
        self.assertEqual((status, json.loads(body)), (202, {"receivers": 1}))
        eventually(lambda: receiver.posts, "the test")
        self.assertEqual(receiver.changes()[0][0], "PyrometerTest")
        self.assertEqual(daemon.alerts(), [])

    def test_a_reload_changes_receivers(self):
        first, second = self.receiver(), self.receiver()
        daemon = self.daemon(webhook(first))
        fail(daemon, "one")
        eventually(lambda: first.posts, "the first receiver's post")
        daemon.configure(webhook(second))
        daemon.process.send_signal(1)
        eventually(lambda: "configuration reloaded" in daemon.log(), "the reload")
        fail(daemon, "two")
        eventually(lambda: second.posts, "the second receiver's post")
        self.assertEqual([run for _, run, _ in first.changes()], ["one"])


    def test_a_reload_while_a_try_is_under_way_that_fails(self):
        receiver = self.receiver(lambda n: "hang" if n == 1 else 200)
        daemon = self.daemon(webhook(receiver))
        fail(daemon, "reloaded")
        eventually(lambda: receiver.posts, "the first try")
        daemon.configure(webhook(receiver, severity_from="info"))
        daemon.process.send_signal(1)
        eventually(lambda: "configuration reloaded" in daemon.log(), "the reload")
        receiver.released.set()
        eventually(lambda: self.waiting(daemon) == 0 and len(receiver.posts) == 2, "the second try")
        self.assertEqual(len({headers["Idempotency-Key"] for _, headers, _ in receiver.posts}), 1)

    def test_receivers_whose_addresses_differ_in_what_is_not_shown(self):
        receiver = self.receiver()
        daemon = self.daemon("alerts: { webhooks: [ { url: \"%s?key=a\", format: generic }, { url: \"%s?key=b\", format: "
                             "generic } ] }\n" % (receiver.url, receiver.url))
        names = [r["receiver"] for r in daemon.get_json("/api/v1/receivers")["receivers"]]
        self.assertEqual(names, [f"webhook {receiver.url}", f"webhook {receiver.url} #2"])
        fail(daemon, "twice")
        eventually(lambda: self.waiting(daemon) == 0 and len(receiver.posts) == 2, "both posts")
        self.assertEqual(sorted(path for path, _, _ in receiver.posts), ["/hook?key=a", "/hook?key=b"])

    def test_labels_and_annotations_of_rules(self):
        receiver = self.receiver()
        rule = "rules: [ { rule: loss_nonfinite, labels: { team: %s }, annotations: { note: \"say = \\\"so\\\"\", summary: mine, of: '{{ $labels.team }}: {{ $labels.run }} by {{ $value }}' } } ]"
        hook = "webhooks: [ { url: \"%s\", format: generic } ]" % receiver.url
        daemon = self.daemon("alerts: { %s, %s }\n" % (rule % "vision", hook))
        fail(daemon, "labelled")
        eventually(lambda: receiver.posts, "the alert")
        daemon.configure("alerts: { %s, %s }\n" % (rule % "speech", hook))
        daemon.restart()
        fail(daemon, "labelled", resolve=True)
        eventually(lambda: len(receiver.posts) == 2, "its end")
        ends = [json.loads(body) for _, _, body in receiver.posts]
        for told in ends:  # what an alert is known by stays
            self.assertEqual(told["alerts"][0]["labels"]["team"], "vision")
            self.assertEqual(told["alerts"][0]["annotations"]["note"], 'say = "so"')
            self.assertEqual(told["alerts"][0]["annotations"]["summary"], "mine")
            self.assertEqual(told["alerts"][0]["annotations"]["of"], "vision: labelled by 1")
        self.assertEqual(ends[0]["alerts"][0]["fingerprint"], ends[1]["alerts"][0]["fingerprint"])
        [alert] = daemon.alerts(run="labelled")
        self.assertEqual((alert["labels"], alert["annotations"]["note"]), ({"team": "vision"}, 'say = "so"'))
        self.assertEqual(alert["annotations"]["of"], "vision: labelled by 1")

    def test_what_someone_on_call_is_told(self):
        receiver = self.receiver()
        daemon = self.daemon(webhook(receiver))
        fail(daemon, "woken", resolve=True)
        eventually(lambda: len(receiver.posts) == 2, "both states")
        firing, resolved = (json.loads(body)["alerts"][0] for _, _, body in receiver.posts)
        self.assertRegex(firing["annotations"]["summary"], "^the loss became NaN or infinite at step 20")
        self.assertRegex(resolved["annotations"]["summary"], "was NaN or infinite from step 20 on; this ended by step 29")
        [rule] = [r for r in daemon.get_json("/api/v1/rules")["rules"] if r["rule"] == "loss_nonfinite"]
        for part in ("means", "causes", "remedy"):
            self.assertIn(rule[part], firing["annotations"]["description"])
        address = "http://%s:%d" % daemon.http
        self.assertEqual(firing["annotations"]["runbook_url"], address + "/#/rules/loss_nonfinite")
        self.assertEqual(firing["generatorURL"], address + "/#/run/woken")

    def test_the_first_of_a_cause_is_named(self):
        receiver = self.receiver()
        rules = ", ".join("{ rule: %s, metric: scalar.x, fire_above: %d }" % own for own in (("first", 1), ("second", 2)))
        daemon = self.daemon("alerts: { rules: [ %s ], webhooks: [ { url: \"%s\", format: generic } ] }\n" % (rules, receiver.url))
        with Job(daemon) as job:
            job.hello("caused")
            for step in range(4):
                job.step(step, scalars={"x": step})
            job.wait_ack(3)
        eventually(lambda: len(receiver.posts) == 2, "both alerts")
        told = [json.loads(body) for _, _, body in receiver.posts]
        self.assertNotIn("cause", told[0]["alerts"][0]["annotations"])
        self.assertEqual(told[1]["alerts"][0]["annotations"]["cause"], f"first, whole run (alert {told[0]['pyrometer']['id']})")
        self.assertEqual(told[0]["groupKey"], told[1]["groupKey"])

    def test_what_ends_with_its_cause_is_not_told(self):
        receiver = self.receiver()
        rules = "{ rule: first, metric: scalar.x, fire_above: 1, severity: critical }, { rule: second, metric: scalar.x, fire_above: 2 }"
        daemon = self.daemon("alerts: { rules: [ %s ], webhooks: [ { url: \"%s\", format: generic } ] }\n" % (rules, receiver.url))
        with Job(daemon) as job:
            job.hello("inhibited")
            for step, x in enumerate((1, 2, 3, 3)):
                job.step(step, scalars={"x": x})
            job.wait_ack(3)
            self.assertEqual([(a["rule"], a["inhibited"]) for a in daemon.alerts(run="inhibited", state="firing")],
                             [("second", True), ("first", False)])
            job.step(4, scalars={"x": 0})
            job.wait_ack(4)
        eventually(lambda: self.waiting(daemon) == 0 and len(receiver.posts) >= 2, "an empty outbox")
        self.assertEqual([(rule, state) for rule, _, state in receiver.changes()], [("first", "firing"), ("first", "resolved")])

    def test_times_that_no_calendar_has(self):
        receiver = self.receiver()
        daemon = self.daemon(webhook(receiver))
        with Job(daemon) as job:
            job.hello("timeless")
            for step, time in enumerate((1, 1e300)):
                job.step(step, loss="NaN", time=time)
            job.wait_ack(1)
            job.send({"type": "end", "status": "failed"})
            job.half_close()
            job.drain()
        eventually(lambda: len(receiver.posts) == 2, "both states")
        [alert] = json.loads(receiver.posts[1][2])["alerts"]
        self.assertEqual((alert["startsAt"], alert["endsAt"]), ("1970-01-01T00:00:01.000Z", "9999-12-31T23:59:59.000Z"))


class Programs(DeliveryCase):
    def test_command_and_mail(self):
        home = Path(tempfile.mkdtemp(prefix="pyro-hook-"))
        self.addCleanup(shutil.rmtree, home)
        for name, script in (("hook", f'cat > "{home}/$PYROMETER_STATE.json"\n'
                                      f'echo "$PYROMETER_RULE $PYROMETER_RUN" >> "{home}/log"\n'),
                             ("sendmail", f'echo "$@" > "{home}/arguments"\ncat > "{home}/mail"\n')):
            (home / name).write_text("#!/bin/sh\n" + script)
            (home / name).chmod(stat.S_IRWXU)
        daemon = self.daemon(f"alerts: {{ command: {home}/hook, mail_to: on@call.example, mail_from: p@x.example, "
                             f"sendmail: {home}/sendmail }}\n")
        fail(daemon, "programs")
        eventually(lambda: self.waiting(daemon) == 0 and daemon.alerts(run="programs"), "an empty outbox")
        self.assertEqual((home / "log").read_text(), "loss_nonfinite programs\n")
        self.assertEqual(json.loads((home / "firing.json").read_text())["status"], "firing")
        self.assertEqual((home / "arguments").read_text(), "-t -i\n")
        mail = (home / "mail").read_text()
        for part in ("What to do: Stop, go back", "/#/run/programs\n", "/#/rules/loss_nonfinite\n"):
            self.assertIn(part, mail)
        self.assertIn("To: on@call.example\nFrom: p@x.example\nSubject: [firing] critical loss_nonfinite: programs", mail)

    def test_a_command_that_fails_is_run_again(self):
        home = Path(tempfile.mkdtemp(prefix="pyro-hook-"))
        self.addCleanup(shutil.rmtree, home)
        (home / "hook").write_text(f'#!/bin/sh\necho >> "{home}/log"\n[ $(wc -l < "{home}/log") -ge 2 ]\n')
        (home / "hook").chmod(stat.S_IRWXU)
        daemon = self.daemon(f"alerts: {{ command: {home}/hook }}\n")
        fail(daemon, "again")
        eventually(lambda: (home / "log").exists() and len((home / "log").read_text()) >= 2 and
                   self.waiting(daemon) == 0, "the second try")


class Jobs(DeliveryCase):
    def test_a_job_that_asks_is_told(self):
        daemon = self.daemon()
        with Job(daemon) as asks, Job(daemon) as other:
            asks.hello("told", notify=True)
            other.hello("bystander", notify=True)
            for step in range(30):
                asks.step(step, **({"loss": "NaN"} if step >= 20 else {}))
                other.step(step)
            message = asks.expect("alert")
            self.assertEqual((message["rule"], message["state"], message["run"]), ("loss_nonfinite", "firing", "told"))
            other.wait_ack(29)  # raises if anything but acks comes
            asks.send({"type": "end", "status": "stopped"})
            self.assertEqual(asks.expect("alert")["state"], "resolved")
        self.assertNotIn("notify", daemon.run("told")["hello"])

    def test_a_job_that_does_not_ask_is_not(self):
        daemon = self.daemon()
        with Job(daemon) as job:
            job.hello("untold")
            job.raw(b"".join(line(make_step(s, **({"loss": "NaN"} if s >= 20 else {}))) for s in range(30)))
            job.wait_ack(29)
            eventually(lambda: daemon.alerts(run="untold"), "the alert")
            job.ping()


class Command(DeliveryCase):
    def pyrometer(self, daemon, *words, expect=0):
        done = run_program("pyrometer", "--url", "http://%s:%d" % daemon.http, *words)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done.stdout if expect == 0 else done.stderr

    def test_test(self):
        good, bad = self.receiver(), self.receiver(lambda n: 500)
        daemon = self.daemon(webhook(good))
        self.assertIn(": taken\n", self.pyrometer(daemon, "alerts", "test"))
        self.assertTrue(json.loads(self.pyrometer(daemon, "--json", "alerts", "test"))["ok"])
        daemon = self.daemon(webhook(bad))
        done = run_program("pyrometer", "--url", "http://%s:%d" % daemon.http, "alerts", "test")
        self.assertEqual(done.returncode, 1)
        self.assertIn("status 500", done.stdout)
        self.assertIn("names no receiver", self.pyrometer(self.daemon(), "alerts", "test", expect=1))

    def test_alerts_of_one_cause_stand_together(self):
        rules = ", ".join("{ rule: %s, metric: scalar.%s, fire_above: 1 }" % own for own in (("first", "x"), ("second", "y"), ("third", "z")))
        daemon = self.daemon("alerts: { rules: [ %s ] }\n" % rules)
        with Job(daemon) as one, Job(daemon) as other:
            one.hello("one")
            other.hello("other")
            one.step(0, scalars={"x": 2})
            one.wait_ack(0)
            other.step(0, scalars={"z": 2})
            other.wait_ack(0)
            one.step(1, scalars={"x": 2, "y": 2})
            one.wait_ack(1)
        lines = self.pyrometer(daemon, "alerts", "--severity", "warning").splitlines()
        found = [[word for word in line.split() if word in {"+", "first", "second", "third"}] for line in lines]
        self.assertEqual(found[1:], [["first"], ["+", "second"], ["third"]], lines)

    def test_silences_and_acknowledging(self):
        daemon = self.daemon()
        fail(daemon, "spoken-for")
        [alert] = eventually(lambda: daemon.alerts(run="spoken-for"), "the alert")
        self.pyrometer(daemon, "alerts", "ack", alert["id"])
        self.assertIsNotNone(daemon.alerts(run="spoken-for")[0]["acknowledged"])
        self.assertIn("silence 1 ", self.pyrometer(daemon, "alerts", "silence", "run=~spoken-.*", "layer!=fc1", "--for",
                                                   "30m", "--comment", "lunch"))
        shown = self.pyrometer(daemon, "alerts", "show", alert["id"])
        for part in ("what to do      Stop, go back", "history\n", "  firing  critical    20 ", "readings around it\n", "  29    NaN"):
            self.assertIn(part, shown)
        self.assertIn("no alert", self.pyrometer(daemon, "alerts", "show", 99, expect=1))
        self.assertIn("run=~spoken-.* layer!=fc1", self.pyrometer(daemon, "alerts", "silences"))
        self.assertTrue(daemon.alerts(run="spoken-for")[0]["silenced"])
        self.pyrometer(daemon, "alerts", "unsilence", 1)
        self.assertIn("no silences", self.pyrometer(daemon, "alerts", "silences"))
        self.pyrometer(daemon, "alerts", "silence", "run", expect=2)
        self.pyrometer(daemon, "alerts", "unsilence", expect=2)
        self.pyrometer(daemon, "alerts", "shout", expect=2)


if __name__ == "__main__":
    unittest.main()
