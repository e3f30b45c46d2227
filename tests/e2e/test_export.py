"""A run exported from one daemon and replayed into another is the same run."""

import json
import unittest

from harness import Job, TestCase, comparable, line, make_step, measured, recording, replay


class Export(TestCase):
    def assert_replays(self, source, run):
        """The export goes into a fresh daemon, which then exports the same bytes and reads the same."""
        exported = source.export(run)
        self.assertTrue(exported.endswith(b"\n"))
        other = self.daemon()
        last = replay(other, exported.splitlines(keepends=True))
        self.assertEqual(other.export(run), exported)
        self.assertEqual(comparable(other.reading_at(run, last)), comparable(source.reading_at(run, last)))
        # Short ranges, where every value is a point of its own: how a long one is drawn depends on what is packed.
        for where in ({"to": 40}, {"from": max(0, last - 40)}):
            for metric in ("loss", "temperature.kinetic", "stability", "entropy"):
                self.assertEqual(other.series(run, metric, points=50, **where),
                                 source.series(run, metric, points=50, **where), metric)
            self.assertEqual(other.series(run, "w_var,heat", layer="*", points=50, **where),
                             source.series(run, "w_var,heat", layer="*", points=50, **where))
        return other

    def test_recordings(self):
        daemon = self.daemon()
        for name in ("sgd-momentum", "adamw", "nan-gradient"):
            with self.subTest(name):
                sent = recording(name)
                replay(daemon, sent)
                got = daemon.export(name).splitlines()
                self.assertEqual([json.loads(text)["type"] for text in got],
                                 [json.loads(text)["type"] for text in sent])
                for mine, theirs in zip(sent, got):
                    self.assertEqual(measured(json.loads(theirs)), measured(json.loads(mine)))
                self.assert_replays(daemon, name)

    def test_everything_a_run_may_hold(self):
        daemon = self.daemon()
        with Job(daemon) as job:
            job.hello("all", project="p", tags={"a": "b"}, dataset_size=1000, unknown_fact={"kept": [1, 2.5]})
            for step in range(300):
                val_loss = 0.5 if step % 10 == 0 else None
                own = make_step(step, scalars={"accuracy": step / 300}, loss_after=1.0, val_loss=val_loss)
                own["stats"]["my_own"] = [step, "NaN", None]
                job.send(own)
                if step % 100 == 50:
                    job.send({"type": "event", "step": step, "time": 1.7e9, "name": "checkpoint", "data": {"n": step}})
                    job.send({"type": "scalars", "step": step, "scalars": {"power_w": 310.5}})
            job.send({"type": "event", "step": 200, "time": 1.7e9, "name": "data_refresh"})
            job.send({"type": "end", "status": "failed"})
            job.half_close()
            job.drain()
        hello = json.loads(daemon.export("all").splitlines()[0])
        self.assertEqual((hello["type"], hello["unknown_fact"], hello["tags"]),
                         ("hello", {"kept": [1, 2.5]}, {"a": "b"}))
        other = self.assert_replays(daemon, "all")
        self.assertEqual(other.run("all")["status"], "failed")
        events = [(e["step"], e["name"], e.get("data")) for e in daemon.get_json("/api/v1/runs/all/events")["events"]]
        self.assertEqual([(e["step"], e["name"], e.get("data"))
                          for e in other.get_json("/api/v1/runs/all/events")["events"]], events)
        self.assertEqual(other.series("all", "scalar.power_w"), daemon.series("all", "scalar.power_w"))

    def test_long_run(self):
        """More steps than are likely to be held in memory or in one block."""
        daemon = self.daemon()
        steps = 12000
        with Job(daemon) as job:
            job.hello("long", 2)
            job.raw(b"".join(line(make_step(s, 2, stats=("w_mean", "w_var", "g_mean", "g_var", "u_mean", "u_var")))
                             for s in range(steps)))
            job.wait_ack(steps - 1)
        daemon.restart()
        exported = daemon.steps("long")
        self.assertEqual([m["step"] for m in exported], list(range(steps)))
        for s in (0, 1, 4095, 4096, 8191, 8192, steps - 1):
            self.assertEqual(measured(exported[s]),
                             measured(make_step(s, 2, stats=("w_mean", "w_var", "g_mean", "g_var", "u_mean", "u_var"))))
        self.assert_replays(daemon, "long")

    def test_export_of_a_growing_run(self):
        """What is exported while steps come in is a run without holes."""
        daemon = self.daemon()
        with Job(daemon) as job:
            job.hello("growing")
            for round_ in range(5):
                job.raw(b"".join(line(make_step(s)) for s in range(round_ * 400, round_ * 400 + 400)))
                numbers = [m["step"] for m in daemon.steps("growing")]
                self.assertEqual(numbers, list(range(len(numbers))))
                job.wait_ack(round_ * 400 + 399)
        self.assertEqual(len(daemon.steps("growing")), 2000)


if __name__ == "__main__":
    unittest.main()
