"""Alerts that nobody wants to hear of now: silences, and what is left of an alert afterwards."""

import unittest
from random import Random

from harness import Job, eventually
from receiver import DeliveryCase, fail, webhook


class Silences(DeliveryCase):
    def test_a_test_is_not_silenced(self):
        receiver = self.receiver()
        daemon = self.daemon(webhook(receiver))
        self.silence(daemon, {"matchers": [{"name": "run", "value": ".*", "is_regex": True}], "duration": "1h"})
        daemon.call("POST", "/api/v1/alerts/test")
        eventually(lambda: receiver.posts and self.waiting(daemon) == 0, "the test")

    def test_an_alert_that_grew_worse_and_ended_under_a_silence_is_not_told_behind_it(self):
        receiver = self.receiver()
        daemon = self.daemon(webhook(receiver))
        silence = self.silence(daemon, {"matchers": [{"name": "run", "value": "worse"}], "duration": "1h"})
        random = Random(1)
        with Job(daemon) as job:
            job.hello("worse", layers=1)
            for step, loss in enumerate([random.gauss(2, 0.05) for _ in range(300)] + [50] * 120):
                job.send({"type": "step", "step": step, "loss": loss, "lr": 0.1})
            job.wait_ack(419)
            self.assertTrue([a for a in daemon.alerts(run="worse") if a["severity"] == "critical"])
            job.send({"type": "end", "status": "failed"})
            job.half_close()
            job.drain()
        eventually(lambda: self.waiting(daemon) == 0, "an outbox without what has ended")
        self.assertEqual(daemon.call("DELETE", "/api/v1/silences/%d" % silence["id"])[0], 204)
        fail(daemon, "other", resolve=True)
        eventually(lambda: self.waiting(daemon) == 0 and receiver.posts, "an empty outbox")
        self.assertEqual({run for _, run, _ in receiver.changes()}, {"other"})

    def test_an_alert_told_before_it_grew_worse_under_a_silence_is_ended(self):
        receiver = self.receiver()
        daemon = self.daemon(webhook(receiver))
        random = Random(1)
        losses = [random.gauss(2, 0.05) for _ in range(300)] + [50] * 120
        with Job(daemon) as job:
            job.hello("worse", layers=1)

            def send(first, last):
                for step in range(first, last):
                    job.send({"type": "step", "step": step, "loss": losses[step], "lr": 0.1})
                job.wait_ack(last - 1)

            send(0, 310)
            eventually(lambda: receiver.posts, "the warning")
            self.silence(daemon, {"matchers": [{"name": "run", "value": "worse"}], "duration": "1h"})
            send(310, 420)
            eventually(lambda: [a for a in daemon.alerts(run="worse") if a["severity"] == "critical"], "the critical alert")
            daemon.restart()
        with Job(daemon) as job:
            job.hello("worse", layers=1)
            job.send({"type": "end", "status": "failed"})
            job.half_close()
            job.drain()
        eventually(lambda: self.waiting(daemon) == 0, "an empty outbox")
        self.assertIn(("loss_spike", "worse", "resolved"), receiver.changes())

    def test_a_silenced_alert_is_held_and_dropped_with_its_end(self):
        receiver = self.receiver()
        daemon = self.daemon(webhook(receiver))
        made = self.silence(daemon, {"matchers": [{"name": "run", "value": "noisy-.*", "is_regex": True}],
                                     "duration": "1h", "created_by": "me", "comment": "known"})
        self.assertEqual(made["state"], "active")
        self.assertAlmostEqual(made["ends"] - made["starts"], 3600)
        fail(daemon, "noisy-1", resolve=True)
        fail(daemon, "other", resolve=True)
        eventually(lambda: len(receiver.posts) >= 2 and self.waiting(daemon) == 0, "the other run's states")
        self.assertEqual({run for _, run, _ in receiver.changes()}, {"other"})

    def test_what_still_fires_is_told_when_the_silence_ends(self):
        receiver = self.receiver()
        daemon = self.daemon(webhook(receiver))
        made = self.silence(daemon, {"matchers": [{"name": "alertname", "value": "loss_nonfinite"}],
                                     "duration": 3600})
        fail(daemon, "quiet")
        alert = eventually(lambda: daemon.alerts(run="quiet"), "the alert")[0]
        self.assertTrue(alert["silenced"])
        daemon.restart()
        self.assertEqual([s["id"] for s in daemon.get_json("/api/v1/silences")["silences"]], [made["id"]])
        self.assertEqual(receiver.posts, [])
        self.assertEqual(daemon.call("DELETE", f"/api/v1/silences/{made['id']}")[0], 204)
        eventually(lambda: receiver.posts, "the alert, late")
        self.assertFalse(daemon.alerts(run="quiet")[0]["silenced"])
        self.assertEqual(daemon.get_json("/api/v1/silences")["silences"], [])
        [ended] = daemon.get_json("/api/v1/silences?state=all")["silences"]
        self.assertEqual(ended["state"], "expired")
        self.assertEqual(daemon.call("DELETE", f"/api/v1/silences/{made['id']}")[0], 404)

    def test_labels_of_rules(self):
        receiver = self.receiver()
        own = "{ rule: %s, metric: scalar.%s, fire_above: 1, labels: { team: %s } }"
        daemon = self.daemon("alerts: { rules: [ %s, %s ], webhooks: [ { url: \"%s\", format: generic } ] }\n" % (
            own % ("hot", "x", "vision"), own % ("cold", "y", "speech"), receiver.url))
        self.silence(daemon, {"matchers": [{"name": "team", "value": "vis.*", "is_regex": True}], "duration": "1h"})
        with Job(daemon) as job:
            job.hello("r")
            job.step(0, scalars={"x": 2, "y": 2})
            job.wait_ack(0)
        eventually(lambda: receiver.posts, "the alert of the other team")
        self.assertEqual({a["rule"]: a["silenced"] for a in daemon.alerts(run="r")}, {"hot": True, "cold": False})
        self.assertEqual({rule for rule, _, _ in receiver.changes()}, {"cold"})
        self.assertIn('label "colour"',
                      self.silence(daemon, {"matchers": [{"name": "colour", "value": "x"}], "duration": 60}, expect=400)["detail"])

    def test_silences_are_paged(self):
        daemon = self.daemon()
        made = [self.silence(daemon, {"matchers": [{"name": "run", "value": str(i)}], "duration": 60})["id"] for i in range(5)]
        self.assertEqual(daemon.call("DELETE", f"/api/v1/silences/{made.pop(3)}")[0], 204)
        seen, cursor = [], ""
        while cursor is not None:
            page = daemon.get_json(f"/api/v1/silences?limit=2{cursor and '&cursor=' + cursor}")
            seen.append([s["id"] for s in page["silences"]])
            cursor = page["next_cursor"]
        self.assertEqual(seen, [[made[3], made[2]], [made[1], made[0]]])
        self.assertIsNone(daemon.get_json("/api/v1/silences?state=all&limit=5")["next_cursor"])
        self.assertIsNotNone(daemon.get_json("/api/v1/silences?state=all&limit=4")["next_cursor"])

    def test_bad_silences(self):
        daemon = self.daemon()
        good = [{"name": "run", "value": "x"}]
        for body in ([], {}, {"matchers": []}, {"matchers": good}, {"matchers": good, "ends": 5},
                     {"matchers": good, "duration": "soon"}, {"matchers": good, "duration": -1},
                     {"matchers": [{"name": "colour", "value": "x"}], "duration": 60},
                     {"matchers": [{"name": "run", "value": "(", "is_regex": True}], "duration": 60},
                     {"matchers": [{"name": "run"}], "duration": 60},
                     {"matchers": good * 17, "duration": 60},
                     {"matchers": good, "duration": 60, "comment": "x" * 1025}):
            with self.subTest(str(body)[:80]):
                self.assertIn("detail", self.silence(daemon, body, expect=400))
        self.silence(daemon, {"matchers": good, "duration": 60, "comment": "x" * 70000}, expect=413)
        self.assertEqual(daemon.get_json("/api/v1/silences")["silences"], [])


class Histories(DeliveryCase):
    def test_history(self):
        daemon = self.daemon()
        fail(daemon, "past", resolve=True)
        [alert] = eventually(lambda: [a for a in daemon.alerts(run="past") if a["state"] == "resolved"], "the end")
        whole = daemon.get_json(f"/api/v1/alerts/{alert['id']}")
        self.assertEqual({k: whole[k] for k in alert}, alert)
        self.assertEqual([c["state"] for c in whole["history"]], ["firing", "resolved"])
        self.assertLessEqual(whole["around"]["from"], alert["since"])
        self.assertGreater(whole["around"]["to"], alert["step"])
        [loss] = [s for s in daemon.get_json(whole["around"]["series"])["series"] if s["metric"] == "loss"]
        self.assertEqual(loss["value"][20:], ["NaN"] * 10)
        daemon.get_json("/api/v1/alerts/999", expect=404)
        daemon.get_json("/api/v1/alerts/x", expect=404)


    def test_the_readings_around_an_alert(self):
        daemon = self.daemon("alerts: { rules: [ { rule: own, metric: mine, fire_above: 1 } ] }\n")
        with Job(daemon) as job:
            job.hello("seen", layers=[{"name": "a[0]*", "n": 10}, {"name": "a0x", "n": 10}])
            for step in range(5):
                job.send({"type": "step", "step": step, "stats": {"mine": [2, 0]}})
            job.wait_ack(4)
        [alert] = eventually(lambda: [a for a in daemon.alerts(run="seen") if a["rule"] == "own"], "the alert")
        around = daemon.get_json(f"/api/v1/alerts/{alert['id']}")["around"]
        self.assertEqual([(s["metric"], s["layer"], s["value"]) for s in daemon.get_json(around["series"])["series"]],
                         [("mine", "a[0]*", [2] * 5)])
        for rule in daemon.get_json("/api/v1/rules")["rules"]:  # each can be asked for
            if rule["rule"] != "own":
                daemon.series("seen", rule["reads"])


if __name__ == "__main__":
    unittest.main()
