"""Readings and series: their shape, known answers, and what a plot needs."""

import json
import math
import unittest

from harness import THERMOMETERS, Job, SharedDaemonCase, line, make_step, recording, replay

RUN_NUMBERS = ["energy", "entropy", "free_energy", "heat_capacity", "stability", "coherence", "drift", "equilibrium",
               "noise_scale"]
LAYER_NUMBERS = ["entropy", "heat", "efficiency", "stability", "coherence", "drift", "update_ratio"]
QUADRANTS = {"condensing", "spontaneous", "heating", "quenching", "quasi-static", None}


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


class ReadingCase(SharedDaemonCase):
    def judge_reading(self, reading, layers):
        """The contract's shape of a reading."""
        self.assertIn(reading["state"], ("I", "II"))
        self.assertIn(reading["quadrant"], QUADRANTS)
        for key in RUN_NUMBERS:
            self.assertTrue(reading[key] is None or is_number(reading[key]), f"{key}: {reading[key]}")
        self.assertEqual([layer["name"] for layer in reading["layers"]], layers)
        self.judge_thermometers(reading["global"])
        for layer in reading["layers"]:
            self.judge_thermometers(layer)
            self.assertIn("engine", layer)
            for key in LAYER_NUMBERS:
                self.assertTrue(layer[key] is None or is_number(layer[key]), f"{key}: {layer[key]}")

    def judge_thermometers(self, where):
        for name in THERMOMETERS:
            reading = where[name]
            with self.subTest(thermometer=name):
                if reading["value"] is None:
                    self.assertTrue(isinstance(reading["reason"], str) and reading["reason"], reading)
                    continue
                self.assertTrue(is_number(reading["value"]), reading)
                low, high = reading.get("low"), reading.get("high")
                self.assertEqual(low is None, high is None, reading)
                if low is not None:
                    self.assertLessEqual(low, reading["value"], reading)
                    self.assertLessEqual(reading["value"], high, reading)


class Recordings(ReadingCase):
    def replayed(self, name):
        lines = recording(name)
        last = replay(self.shared, lines)
        return self.shared.reading_at(name, last)

    def test_sgd_momentum(self):
        reading = self.replayed("sgd-momentum")
        self.judge_reading(reading, ["0", "2", "4"])
        self.assertEqual(reading["state"], "I")
        for name in ("kinetic", "configurational", "velocity"):
            for where in [reading["global"], *reading["layers"]]:
                self.assertTrue(is_number(where[name]["value"]), f"{name}: {where[name]}")
        for key in ("energy", "entropy", "stability", "coherence", "drift"):
            self.assertTrue(is_number(reading[key]), key)
        self.assertGreater(reading["global"]["velocity"]["value"], 0)
        self.assertTrue(0 < reading["coherence"] <= 1.5, reading["coherence"])

    def test_adamw(self):
        reading = self.replayed("adamw")
        self.judge_reading(reading, ["0", "2", "4"])
        for key in ("energy", "entropy", "stability", "coherence"):
            self.assertTrue(is_number(reading[key]), key)
        self.assertTrue(is_number(reading["global"]["velocity"]["value"]))
        self.assertTrue(0 < reading["coherence"] <= 1.5, reading["coherence"])

    def test_nan_gradient(self):
        """NaN must not spread into what was read before it."""
        reading = self.replayed("nan-gradient")
        self.judge_reading(reading, [layer["name"] for layer in reading["layers"]])

    def test_brief_and_full(self):
        """Nothing is another value in the shorter form, and what is missing there says why."""
        full = self.replayed("sgd-momentum")
        brief = self.shared.get_json("/api/v1/runs/sgd-momentum/temperature")
        self.assertEqual(brief, self.shared.get_json("/api/v1/runs/sgd-momentum/temperature?detail=brief"))
        self.assertEqual({k: v for k, v in brief.items() if k != "layers"}, {k: v for k, v in full.items() if k != "layers"})
        self.judge_reading(brief, [layer["name"] for layer in full["layers"]])
        for short, long in zip(brief["layers"], full["layers"]):
            self.assertLess(set(short), set(long))
            for key in short.keys() - {"reasons"}:
                self.assertEqual(short[key], long[key], key)
            missing = {key for key in LAYER_NUMBERS if short[key] is None}
            self.assertEqual(short["reasons"], {key: long["reasons"][key] for key in missing})
            self.assertLessEqual({"activation", "intervals", "sources", "notes", "equilibrium"}, set(long))
        self.shared.get_json("/api/v1/runs/sgd-momentum/temperature?detail=long", expect=400)

    def test_every_metric_has_a_series(self):
        self.replayed("sgd-momentum")
        metrics = [f"temperature.{name}" for name in THERMOMETERS]
        metrics += ["entropy", "energy", "free_energy", "heat_capacity", "stability", "coherence", "drift",
                    "equilibrium"]
        series = self.shared.series("sgd-momentum", ",".join(metrics))["series"]
        self.assertEqual([s["metric"] for s in series], metrics)
        for one in series:
            self.assertIsNone(one["layer"])
            self.assertEqual(len(one["step"]), len(one["value"]))
        layered = ["entropy", "heat", "efficiency", "update_ratio", "stability", "temperature.kinetic", "w_var"]
        series = self.shared.series("sgd-momentum", ",".join(layered), layer="*")["series"]
        self.assertEqual(sorted((s["metric"], s["layer"]) for s in series),
                         sorted((m, name) for m in layered for name in ("0", "2", "4")))

    def test_series_ends_at_the_reading(self):
        reading = self.replayed("sgd-momentum")
        for metric, value in [("stability", reading["stability"]), ("entropy", reading["entropy"]),
                              ("energy", reading["energy"])]:
            series = self.shared.series("sgd-momentum", metric, points=2000)["series"][0]
            self.assertEqual((series["step"][-1], series["value"][-1]), (799, value), metric)

    def test_intervals_beside_a_series(self):
        """The last is the reading's own; the others are spread over what was asked for; a loss has none."""
        reading = self.shared.reading_at("sgd-momentum", 799)
        series = self.shared.series("sgd-momentum", "temperature.kinetic,stability,loss", intervals=10)["series"]
        kinetic, stability, loss = (one.get("interval") for one in series)
        self.assertIsNone(loss)
        self.assertEqual(kinetic["step"], [*range(0, 800, 80), 799])
        for found, low, high in ((kinetic, reading["global"]["kinetic"]["low"], reading["global"]["kinetic"]["high"]),
                                 (stability, *reading["intervals"]["stability"])):
            self.assertEqual(len(found["low"]), 11)
            self.assertAlmostEqual(found["low"][-1] / low, 1, 9)
            self.assertAlmostEqual(found["high"][-1] / high, 1, 9)
        part = self.shared.series("sgd-momentum", "temperature.kinetic", layer="*", intervals=3, from_=300, to=400)["series"]
        self.assertEqual({tuple(one["interval"]["step"]) for one in part}, {(300, 334, 368, 400)})
        self.shared.get_json("/api/v1/runs/sgd-momentum/series?metric=stability&intervals=1001", expect=400)

    def test_series_gives_back_the_loss(self):
        lines = recording("sgd-momentum")
        self.replayed("sgd-momentum")
        sent = [json.loads(text)["loss"] for text in lines if b'"type":"step"' in text]
        series = self.shared.series("sgd-momentum", "loss", points=2000)["series"][0]
        self.assertEqual(series["value"], sent)


class KnownAnswers(ReadingCase):
    """A constant stream with the second moments of a solvable case must read the closed forms."""

    def reading(self, layers, optimizer, stats, steps=1500, **fields):
        run = self.run_name()
        with Job(self.shared) as job:
            job.hello(run, layers, optimizer=optimizer)
            stats = {key: [value] * len(layers) for key, value in stats.items()}
            job.raw(b"".join(line({"type": "step", "step": s, "time": 1.7e9 + s, "loss": 0.25, "lr": optimizer["lr"],
                                   "stats": stats, **fields})
                             for s in range(steps)))
            job.wait_ack(steps - 1)
        return self.shared.reading_at(run, steps - 1)

    def test_heavy_ball(self):
        # Learning rate 0.1, curvature 1, gradient noise variance 1, momentum 0.9.
        n = 1000
        stats = {"w_mean": 0, "w_var": 0.513513513513514, "g_mean": 0, "g_var": 1.513513513513514, "u_mean": 0,
                 "u_var": 0.054054054054054,
                 "gw": 0.513513513513514 * n, "gu": -0.05 * n}
        reading = self.reading([{"name": "w", "n": n}], {"name": "sgd", "lr": 0.1, "momentum": 0.9}, stats)
        for where in (reading["global"], reading["layers"][0]):
            self.assertAlmostEqual(where["kinetic"]["value"], 0.513513514, 6)
            self.assertAlmostEqual(where["configurational"]["value"], 0.513513514, 6)
            self.assertAlmostEqual(where["velocity"]["value"], 0.027027027, 6)
        self.assertAlmostEqual(reading["stability"], 0.026315789, 6)
        self.assertAlmostEqual(reading["coherence"], 0.035714286, 6)
        self.assertAlmostEqual(reading["equilibrium"], 1, 6)
        self.assertAlmostEqual(reading["energy"], 0.25, 9)
        self.assertAlmostEqual(reading["entropy"] / (n / 2 * math.log(2 * math.pi * math.e * 0.513513513513514)), 1, 9)

    def test_coherent_drift(self):
        # A constant gradient: the update is 1/(1 - momentum) times the learning rate times the gradient.
        stats = {"w_mean": 0, "w_var": 1, "g_mean": 0, "g_var": 1, "u_mean": 0, "u_var": (0.05 / 0.1) ** 2}
        reading = self.reading([{"name": "w", "n": 500}], {"name": "sgd", "lr": 0.05, "momentum": 0.9}, stats)
        self.assertAlmostEqual(reading["coherence"], 1, 6)

    def test_adam_noise(self):
        # White noise under Adam: updates of sqrt((1 - b1)/(1 + b1)) times the learning rate.
        stats = {"w_mean": 0, "w_var": 1, "g_mean": 0, "g_var": 1, "u_mean": 0, "u_var": 1e-6 * 0.1 / 1.9}
        reading = self.reading([{"name": "w", "n": 500}], {"name": "adam", "lr": 1e-3, "betas": [0.9, 0.999]}, stats)
        self.assertAlmostEqual(reading["coherence"], 0.0526315789, 6)

    def test_activation_efficiency(self):
        # ReLU of a standard normal passes half of the second moment.
        stats = {"z_mean": 0, "z_var": 1, "a_mean": 0.398942280401, "a_var": 0.340845056908, "a_active": 0.5}
        reading = self.reading([{"name": "w", "n": 500, "activation": "relu"}], {"name": "sgd", "lr": 0.1}, stats,
                               steps=200)
        self.assertAlmostEqual(reading["layers"][0]["efficiency"], 0.5, 6)

    def test_nothing_but_the_loss(self):
        """Every thermometer says what it lacks."""
        job, run = self.start_run()
        for step in range(100):
            job.send({"type": "step", "step": step, "loss": 1 / (step + 1)})
        job.wait_ack(99)
        reading = self.shared.reading_at(run, 99)
        self.judge_reading(reading, ["fc1", "fc2", "out"])
        for where in [reading["global"], *reading["layers"]]:
            for name in THERMOMETERS:
                self.assertIsNone(where[name]["value"], name)
                self.assertTrue(where[name]["reason"], name)
        self.assertIsNone(reading["entropy"])


class Series(SharedDaemonCase):
    STEPS = 3000
    SPIKE = 1777

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sent = [make_step(s, scalars={"accuracy": s / cls.STEPS, "power w/é": 300}) for s in range(cls.STEPS)]
        for message in cls.sent:
            message["stats"]["my_own"] = [message["step"], 0.5, -1]
        cls.sent[cls.SPIKE]["loss"] = 12345.5
        cls.sent[cls.SPIKE + 400]["loss"] = -99.25
        with Job(cls.shared) as job:
            job.hello("series")
            job.raw(b"".join(map(line, cls.sent)))
            job.wait_ack(cls.STEPS - 1)

    def one(self, metric, **query):
        series = self.shared.series("series", metric, **query)["series"]
        self.assertEqual(len(series), 1)
        return series[0]

    def test_every_step(self):
        loss = self.one("loss", points=self.STEPS)
        self.assertEqual(loss["step"], list(range(self.STEPS)))
        self.assertEqual(loss["value"], [m["loss"] for m in self.sent])

    def test_envelope(self):
        for points in (10, 100, 997, 1000):
            with self.subTest(points=points):
                loss = self.one("loss", points=points)
                self.assertTrue(points / 4 <= len(loss["step"]) <= points, len(loss["step"]))
                self.assertEqual(loss["step"], sorted(set(loss["step"])))
                for low, value, high in zip(loss["min"], loss["value"], loss["max"], strict=True):
                    self.assertTrue(low <= value <= high, (low, value, high))
                self.assertEqual((max(loss["max"]), min(loss["min"])), (12345.5, -99.25))
                peak = loss["max"].index(12345.5)
                width = 2 * self.STEPS / len(loss["step"])
                self.assertLess(abs(loss["step"][peak] - self.SPIKE), width + 1)

    def test_default_points(self):
        self.assertLessEqual(len(self.one("loss")["step"]), 1000)

    def test_from_and_to(self):
        for first, last in [(100, 200), (0, 0), (self.STEPS - 1, self.STEPS - 1), (self.SPIKE, self.SPIKE),
                            (2990, 99999)]:
            with self.subTest(first=first, last=last):
                loss = self.one("loss", from_=first, to=last)
                self.assertEqual(loss["step"], list(range(first, min(last, self.STEPS - 1) + 1)))
                self.assertEqual(loss["value"], [m["loss"] for m in self.sent[first:last + 1]])
        self.assertEqual(self.one("loss", from_=5000, to=6000)["step"], [])

    def test_envelope_of_a_part(self):
        loss = self.one("loss", from_=1000, to=1999, points=50)
        self.assertTrue(loss["step"][0] >= 1000 and loss["step"][-1] <= 1999)
        self.assertEqual(max(loss["max"]), 12345.5)
        self.assertEqual(min(loss["min"]), min(m["loss"] for m in self.sent[1000:2000]))

    def test_several_metrics(self):
        series = self.shared.series("series", "loss,lr", points=10)["series"]
        self.assertEqual([s["metric"] for s in series], ["loss", "lr"])
        self.assertTrue(all(abs(v - 0.05) < 1e-12 for v in series[1]["value"]))

    def test_layers_by_glob(self):
        def names(*globs):
            return [(s["metric"], s["layer"])
                    for s in self.shared.series("series", "w_var", layer=list(globs), points=5)["series"]]
        self.assertEqual(names("fc*"), [("w_var", "fc1"), ("w_var", "fc2")])
        self.assertEqual(names("out"), [("w_var", "out")])
        self.assertEqual(names("fc1", "o?t"), [("w_var", "fc1"), ("w_var", "out")])
        self.assertEqual(names("nothing"), [])
        values = self.shared.series("series", "w_var", layer="fc2", points=self.STEPS)["series"][0]["value"]
        self.assertEqual(values, [m["stats"]["w_var"][1] for m in self.sent])

    def test_own_statistics(self):
        series = self.shared.series("series", "my_own", layer="*", points=self.STEPS)["series"]
        self.assertEqual([s["layer"] for s in series], ["fc1", "fc2", "out"])
        self.assertEqual(series[0]["value"], list(range(self.STEPS)))
        self.assertEqual(set(series[1]["value"]), {0.5})

    def test_scalars(self):
        self.assertEqual(self.one("scalar.accuracy", points=self.STEPS)["value"],
                         [m["scalars"]["accuracy"] for m in self.sent])
        self.assertEqual(set(self.one("scalar.power w/é", points=10)["value"]), {300})

    def test_scalars_on_their_own(self):
        job, run = self.start_run()
        for step in range(10):
            job.step(step)
            job.send({"type": "scalars", "step": step, "scalars": {"accuracy": step / 10, "nan": "NaN"}})
        job.half_close()
        errors = [m for m in job.drain() if m["type"] == "error"]
        self.assertEqual(errors, [])
        accuracy = self.shared.series(run, "scalar.accuracy,scalar.nan")["series"]
        self.assertEqual(accuracy[0]["step"], list(range(10)))
        self.assertEqual(accuracy[0]["value"], [s / 10 for s in range(10)])
        self.assertEqual(accuracy[1]["value"], ["NaN"] * 10)

    def test_nonfinite_points(self):
        """A NaN among many steps shows somewhere; it does not wipe out its neighbours."""
        run = self.run_name()
        with Job(self.shared) as job:
            job.hello(run)
            losses = ["NaN" if s == 500 else "Infinity" if s == 700 else 1.0 for s in range(1000)]
            job.raw(b"".join(line({"type": "step", "step": s, "loss": loss}) for s, loss in enumerate(losses)))
            job.wait_ack(999)
        self.assertEqual(self.shared.series(run, "loss", points=1000)["series"][0]["value"], losses)
        loss = self.shared.series(run, "loss", points=20)["series"][0]
        self.assertGreaterEqual(sum(1 for v in loss["value"] if v == 1.0), len(loss["value"]) - 2)

    def test_losses_beside_the_loss(self):
        job, run = self.start_run()
        for step in range(10):
            job.step(step, loss_after=step / 2, val_loss=step * 3 if step % 5 == 0 else None)
        job.wait_ack(9)
        steps = self.shared.steps(run)
        self.assertEqual([m["loss_after"] for m in steps], [s / 2 for s in range(10)])
        self.assertEqual([m.get("val_loss") for m in steps], [0, None, None, None, None, 15, None, None, None, None])


if __name__ == "__main__":
    unittest.main()
