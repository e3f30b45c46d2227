"""Histograms of a model's outputs: taken, refused, followed, exported, merged over ranks, and kept over restarts."""

import json
import math
import random
import unittest

from harness import Job, SharedDaemonCase, TestCase, eventually, line, make_step

LAYERS = [{"name": "w", "n": 10}]


def message(step, counts, bins=None, **more):
    return {"type": "outputs", "step": step, "bins": bins or list(range(len(counts))), "counts": counts, **more}


def entropy(counts):
    return -sum(c / sum(counts) * math.log(c / sum(counts)) for c in counts if c)


def distances(a, b):
    p, q = [x / sum(a) for x in a], [x / sum(b) for x in b]
    m = [(x + y) / 2 for x, y in zip(p, q)]
    divergence = sum((x * math.log(x / z) if x else 0) + (y * math.log(y / z) if y else 0)
                     for x, y, z in zip(p, q, m)) / 2
    return sum(abs(x - y) for x, y in zip(p, q)) / 2, divergence


def draw(dice, weights, n):
    counts = [0] * len(weights)
    for i in dice.choices(range(len(weights)), weights, k=n):
        counts[i] += 1
    return counts


class Outputs(SharedDaemonCase):
    def figures(self, run):
        names = ["outputs.entropy", "outputs.total_variation", "outputs.jensen_shannon"]
        series = self.shared.series(run, ",".join(names))["series"]
        self.assertEqual([s["metric"] for s in series], names)
        return [dict(zip(s["step"], s["value"])) for s in series]

    def settle(self, job, step):
        """A step behind everything sent so far, once it is durable."""
        job.step(step, layers=1)
        job.wait_ack(step)

    def test_figures(self):
        job, run = self.start_run(layers=LAYERS)
        windows = {3: [5, 5, 0, 10], 10: [1, 2, 3, 4], 12: [1, 2, 3, 4], 20: [0, 0, 0, 7]}
        for step, counts in windows.items():
            job.send(message(step, counts))
        self.settle(job, 30)
        found_entropy, found_variation, found_divergence = self.figures(run)
        steps = sorted(windows)
        self.assertEqual(sorted(found_entropy), steps)
        self.assertEqual(sorted(found_variation), steps[1:])
        for step in steps:
            self.assertAlmostEqual(found_entropy[step], entropy(windows[step]), 12)
        for before, step in zip(steps, steps[1:]):
            variation, divergence = distances(windows[before], windows[step])
            self.assertAlmostEqual(found_variation[step], variation, 12)
            self.assertAlmostEqual(found_divergence[step], divergence, 12)
        outputs = self.shared.reading_at(run, 30)["outputs"]
        self.assertEqual((outputs["step"], outputs["windows"], outputs["bins"]), (20, 4, 4))
        self.assertEqual(outputs["entropy"]["value"], found_entropy[20])
        self.assertEqual(outputs["total_variation"]["value"], found_variation[20])
        self.assertLessEqual(outputs["jensen_shannon"]["low"], outputs["jensen_shannon"]["value"])
        self.assertGreater(outputs["jensen_shannon"]["floor"], 0)

    def test_edges_and_other_bins(self):
        job, run = self.start_run(layers=LAYERS)
        job.send(message(0, [1, 1], [-1, 0, 1]))
        job.send(message(1, [1, 3], [-1, 0.5, 1]))
        self.settle(job, 2)
        found_entropy, found_variation, _ = self.figures(run)
        self.assertAlmostEqual(found_entropy[1], entropy([1, 3]), 12)
        self.assertEqual(found_variation, {})
        self.assertEqual(self.shared.reading_at(run, 2)["outputs"]["total_variation"],
                         {"value": None, "reason": "the bins changed"})

    def test_none(self):
        job, run = self.start_run(layers=LAYERS)
        self.settle(job, 0)
        self.assertIsNone(self.shared.reading_at(run, 0)["outputs"])
        self.assertEqual(self.figures(run), [{}, {}, {}])

    def test_refusals(self):
        job, run = self.start_run(layers=LAYERS)
        bad = [
            ("bad_value", {"type": "outputs", "bins": [0], "counts": [1]}),
            ("bad_value", message(1.5, [1])),
            ("bad_value", message(-1, [1])),
            ("bad_value", message("x", [1])),
            ("wrong_shape", {"type": "outputs", "step": 1, "counts": [1]}),
            ("wrong_shape", {"type": "outputs", "step": 1, "bins": [0]}),
            ("wrong_shape", message(1, [])),
            ("wrong_shape", message(1, [1, 2], [0, 1, 2, 3])),
            ("wrong_shape", message(1, [1, 2, 3], [0, 1])),
            ("wrong_shape", message(1, 5, [0])),
            ("wrong_shape", message(1, [1] * 4097)),
            ("bad_value", message(1, [1, 2], [1, 1])),
            ("bad_value", message(1, [1, 2], [1, 0])),
            ("bad_value", message(1, [1, 2], [0, "NaN"])),
            ("bad_value", message(1, [1, -2])),
            ("bad_value", message(1, [1, None])),
            ("bad_value", message(1, [1, "Infinity"])),
            ("bad_value", message(1, [0, 0])),
            ("bad_value", message(1, [1e308, 1e308])),
        ]
        for code, text in bad:
            with self.subTest(text=text):
                job.send(text)
                self.assertIn("dropped", job.expect_error(code, fatal=False)["message"])
        job.raw(b'{"type":"outputs","step":1,"bins":[0],"bins":[1],"counts":[1]}\n')
        job.expect_error("bad_value", fatal=False)
        job.raw(b'{"type":"outputs","step":1,"bins":[0,],"counts":[1]}\n')
        job.expect_error("bad_json", fatal=False)
        job.send(message(1, [1] * 4096))
        self.settle(job, 2)
        self.assertEqual(list(self.figures(run)[0]), [1])
        with Job(self.shared) as other:
            other.send(message(1, [1]))
            other.expect_error("no_hello", fatal=True)

    def test_repeats_are_dropped(self):
        job, run = self.start_run(layers=LAYERS)
        for step, counts in ((5, [1, 1]), (5, [9, 1]), (4, [1, 0]), (6, [1, 2])):
            job.send(message(step, counts))
        self.settle(job, 7)
        self.assertEqual(sorted(self.figures(run)[0]), [5, 6])
        self.assertAlmostEqual(self.figures(run)[0][5], math.log(2), 12)

    def test_rewind(self):
        job, run = self.start_run(layers=LAYERS)
        for step in range(10):
            job.step(step, layers=1)
            job.send(message(step, [1 + step, 1]))
        job.wait_ack(9)
        with Job(self.shared) as again:
            again.hello(run, LAYERS, resume={"rewind": 4})
            again.send(message(5, [100, 1]))
            again.step(5, layers=1)
            again.wait_ack(5)
            found_entropy, found_variation, _ = self.figures(run)
            self.assertEqual(sorted(found_entropy), [0, 1, 2, 3, 4, 5])
            self.assertAlmostEqual(found_entropy[5], entropy([100, 1]), 12)
            self.assertEqual(sorted(found_variation), [1, 2, 3, 4])
            self.assertEqual(self.shared.reading_at(run, 5)["outputs"]["windows"], 1)


class Kept(TestCase):
    def lines(self, windows=60):
        """Steps, histograms and events between each other, a jump among them."""
        dice = random.Random(5)
        messages = []
        for step in range(windows):
            messages.append(make_step(step, 1))
            weights = [1, 2, 3, 4] if step != 40 else [40, 2, 3, 4]
            messages.append(message(step, draw(dice, weights, 2000), time=1.7e9 + step))
            if step % 10 == 5:
                messages.append({"type": "event", "step": step, "time": 1.7e9 + step, "name": "data_refresh"})
            if step % 15 == 3:
                messages.append({"type": "scalars", "step": step, "time": 1.7e9 + step, "scalars": {"a": step}})
        return [line(m) for m in messages]

    def feed(self, daemon, lines, first=0):
        with Job(daemon) as job:
            job.hello("kept", LAYERS)
            job.raw(b"".join(lines[first:]))
            job.ping()
            job.half_close()
            job.drain()

    def facts(self, daemon):
        events = daemon.get_json("/api/v1/runs/kept/events?limit=1000")["events"]
        reading = daemon.temperature("kept")
        return (daemon.export("kept"), reading["outputs"], reading["layers"],
                [(e["step"], e["after_step"], e["name"], e["data"]) for e in events],
                daemon.series("kept", "outputs.entropy,outputs.jensen_shannon")["series"])

    def test_export_replays_to_the_same(self):
        one, two = self.daemon(), self.daemon()
        lines = self.lines()
        self.feed(one, lines)
        eventually(lambda: one.run("kept")["last_step"] == 59)
        export = one.export("kept")
        kinds = [json.loads(text)["type"] for text in export.splitlines()]
        self.assertEqual((kinds.count("outputs"), kinds.count("event"), kinds.count("step")), (60, 6, 60))
        for text in lines:
            if b'"outputs"' in text:
                self.assertEqual([json.loads(t) for t in export.splitlines()].count(json.loads(text)), 1)
        with Job(two) as job:
            job.raw(export)
            job.expect("welcome")
            job.half_close()
            job.drain()
        self.assertEqual(two.export("kept"), export)
        self.assertEqual(self.facts(one)[1:], self.facts(two)[1:])

    def test_a_jump_is_a_phase_change(self):
        daemon = self.daemon()
        self.feed(daemon, self.lines())
        events = daemon.get_json("/api/v1/runs/kept/events?limit=1000")["events"]
        changes = [e for e in events if e["name"] == "phase_change"]
        self.assertIn(40, [e["step"] for e in changes])
        self.assertLessEqual(len(changes), 2)  # there, and perhaps back
        first = changes[0]["data"]
        self.assertEqual(first["what"], "outputs")
        self.assertGreater(first["probability"], 0.9)
        self.assertGreater(first["after"], 10 * first["before"])
        self.assertNotIn(b"phase_change", daemon.export("kept"))

    def test_restarts(self):
        lines = self.lines()
        broken, whole = self.daemon(), self.daemon()
        self.feed(whole, lines)
        for i, cut in enumerate((20, 70, 85, 90, len(lines))):
            self.feed(broken, lines[:cut])  # all over again: what is there already is dropped
            if i % 2:
                broken.kill9()
                broken.start()
            else:
                broken.restart()
        facts = self.facts(broken)
        wanted = self.facts(whole)
        # Events and scalars have no number by which a repeat could be told.
        count = lambda facts: [e for e in facts[3] if e[2] == "phase_change"]
        self.assertEqual(count(facts), count(wanted))
        self.assertEqual((facts[1], facts[4]), (wanted[1], wanted[4]))

    def test_heat_death(self):
        """A model fitted again and again to its own output; the daemon is killed in between."""
        daemon, dice = self.daemon(), random.Random(3)
        weights, messages = [1] * 40, []
        for step in range(32):
            messages.append(make_step(step, 1))
            messages.append(message(step, draw(dice, weights, 1000)))
            if step % 2:
                messages.append({"type": "event", "step": step, "name": "data_refresh"})
                weights = draw(dice, weights, 50)
        lines = [line(m) for m in messages]
        self.feed(daemon, lines[:35])
        daemon.kill9()
        daemon.start()
        self.feed(daemon, lines[35:])
        alert, = daemon.alerts(run="kept")
        self.assertEqual((alert["rule"], alert["severity"], alert["state"], alert["layer"]),
                         ("heat_death", "warning", "firing", None))
        self.assertGreater(alert["value"], 0.2)
        self.assertIn("lose their variety", alert["summary"])

    def test_ranks_add_up(self):
        daemon = self.daemon()
        layers = [{"name": "w", "n": 5}]
        jobs = [Job(daemon) for _ in range(3)]
        for rank, job in enumerate(jobs):
            self.addCleanup(job.close)
            job.hello("sharded", layers, rank=rank, world_size=3, shards=True)
        for step in range(3):
            for rank, job in enumerate(jobs):
                job.send(message(step, [rank, 10, step]))
                job.step(step, layers=1)
        jobs[0].send(message(3, [1, 2, 3]))
        jobs[0].ping()  # it was the first
        jobs[2].send(message(3, [1, 0, 0], [7, 8, 9]))  # other bins are left out
        jobs[1].send(message(3, [1, 0, 0]))
        for job in jobs:
            job.send({"type": "end"})
            job.half_close()
            job.drain()
        found = [json.loads(text) for text in daemon.export("sharded").splitlines()]
        self.assertEqual([(m["step"], m["counts"]) for m in found if m["type"] == "outputs"],
                         [(step, [3, 30, 3 * step]) for step in range(3)] + [(3, [2, 2, 3])])


if __name__ == "__main__":
    unittest.main()
