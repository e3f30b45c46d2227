"""Known temperatures through the real daemon: closed forms to six digits, short simulations within wide bounds.

`make calibrate` does the same at length and with statistics; see docs/calibration.md.
"""

import math
import random
import sys
import unittest

from harness import TESTS, Job, SharedDaemonCase, line, run_program

sys.path.insert(0, str(TESTS / "calibrate"))
import exact  # noqa: E402

ONE = [{"name": "w", "n": 1000}]

# eta, curvature, noise variance, momentum; temperature, <dw^2>, <g^2>, nominal temperature, T_F, stability fraction
STATIONARY = [
    (.1, 1, 1, 0, 0.052631579, 0.010526316, 1.052631579, 0.05, 0.005263158, 0.05),
    (.1, 1, 1, .9, 0.513513514, 0.054054054, 1.513513514, 0.5, 0.027027027, 0.026315789),
    (.01, 2, 4, 0, 0.020202020, 0.000404040, 4.040404040, 0.02, 0.000202020, 0.01),
    (.01, 2, 4, .9, 0.201058201, 0.002116402, 4.402116402, 0.2, 0.001058201, 0.005263158),
    (.5, 3, .25, .5, 0.25, 0.166666667, 1, 0.125, 0.083333333, 0.5),
]


class CalibrationCase(SharedDaemonCase):
    def read(self, steps, layers=None, **facts):
        """The reading after these messages of steps; each is (loss, lr, stats)."""
        run = self.run_name()
        with Job(self.shared) as job:
            job.hello(run, layers or ONE, batch_size=1, **facts)
            job.raw(b"".join(line({"type": "step", "step": k, "time": 1e9 + k, "loss": loss, "lr": lr, "stats": stats})
                             for k, (loss, lr, stats) in enumerate(steps)))
            job.wait_ack(len(steps) - 1)
        return self.shared.reading_at(run, len(steps) - 1)

    def near(self, reading, truth, share=5e-7):
        value = reading["value"] if isinstance(reading, dict) else reading
        self.assertIsNotNone(value, reading)
        self.assertLessEqual(abs(value - truth), share * abs(truth), f"{value} instead of {truth}")


class ExactMoments(CalibrationCase):
    """Streams that never change and carry the exact second moments of a solved system."""

    def moments(self, eta, momentum, temperature, update2, gradient2, weight2, stability, noise=None):
        n = ONE[0]["n"]
        stats = {"w_mean": [0], "w_var": [weight2], "g_mean": [0], "g_var": [gradient2], "u_mean": [0], "u_var": [update2],
                 "gw": [n * temperature], "gu_prev": [n * eta * stability * gradient2], "g_noise": [noise]}
        return self.read([(temperature / 2, eta, stats)] * 700,
                         optimizer={"name": "sgd", "lr": eta, "momentum": momentum})

    def test_stationary_rows(self):
        for eta, h, noise, momentum, temperature, _, _, nominal, velocity, x in STATIONARY:
            with self.subTest(eta=eta, h=h, momentum=momentum):
                # The table's second moments are rounded to nine decimals: six digits of x need them exact.
                variance = eta * noise * (1 + momentum) / (h * (1 - momentum) * (2 * (1 + momentum) - eta * h))
                update2 = 2 * eta * h * variance / (1 + momentum)
                reading = self.moments(eta, momentum, h * variance, update2, h * h * variance + noise, variance, x, noise)
                for where in (reading["global"], reading["layers"][0]):
                    self.near(where["kinetic"], temperature)
                    self.near(where["configurational"], temperature)
                    self.near(where["noise"], nominal)
                    self.near(where["velocity"], velocity, 3e-6)
                self.near(reading["stability"], x)
                self.near(reading["equilibrium"], 1)

    def test_two_modes(self):
        # Curvatures 1 and 10, half of the parameters each: the sums of the two, halved.
        reading = self.moments(.1, .9, 0.5960424710424712, .01 * 12.548262548 / 2, 9.299227799 / 2, 1, 0)
        self.near(reading["stability"], 0.612307692 / 3.8)

    def test_sgld(self):
        # Bath 0.3, step 0.1, curvature 2: the discretisation itself makes it 0.3 / (1 - 0.1).
        reading = self.moments(.1, 0, 2 / 6, .2 / 3, 4 / 6, 1 / 6, 0)
        for thermometer in ("kinetic", "configurational"):
            self.near(reading["global"][thermometer], 1 / 3)

    def test_truths_of_the_calibration(self):
        """The closed forms that `make calibrate` compares with."""
        for eta, h, noise, momentum, temperature, update2, _, _, velocity, x in STATIONARY:
            truth = exact.sgd(eta, h, noise, momentum)
            self.assertAlmostEqual(truth["kinetic"], temperature, 9)
            self.assertAlmostEqual(truth["velocity"], velocity, 9)
            self.assertAlmostEqual(truth["velocity"], update2 / 2, 9)
            self.assertAlmostEqual(truth["stability"], x, 9)
        for momentum, white in ((0, 0), (.9, 1 / 19)):  # between the anchors of a steady pull and of white noise
            self.assertAlmostEqual(exact.pulled(.1, 1e3, 1, momentum, 1)["coherence"], 1, 5)
            self.assertAlmostEqual(exact.pulled(.1, 1e-3, 1, momentum, 1)["coherence"], white, 5)
        self.assertEqual(exact.pulled(.1, 1, 9, 0, 1)["noise_scale"], 9)
        self.assertAlmostEqual(exact.sgd(.1, 1, 1, .9, 10)["stability"], 0.161133603, 9)
        self.assertEqual(sum(exact.ising_states().values()), 1 << 16)
        self.assertEqual(exact.ising_states()[-32], 2)


class Passages(CalibrationCase):
    """dE/dS between two states whose energy and entropy are known."""

    def ladder(self, states, size):
        """states: (energy, entropy); the entropy goes as the variance that has it."""
        return self.read([(e, .1, {"w_mean": [0], "w_var": [math.exp(2 * s / size) / (2 * math.pi * math.e)]})
                          for e, s in states], [{"name": "w", "n": size}])

    def climb(self, state, first, last, size, steps=256):
        return self.ladder([state(first + (last - first) * k / (steps - 1)) for k in range(steps)], size)

    def test_boltzmann_chord(self):
        # The chord of a Boltzmann family is the logarithmic mean of its ends.
        for first, last, mean in ((2, 1, 1.442695041), (.5, .05, 0.195432519)):
            with self.subTest(first=first):
                reading = self.climb(lambda t: exact.ensemble(t, 1000), first, last, 1000)
                self.near(reading["global"]["transition"], mean)
                self.assertTrue(last < reading["global"]["differential"]["value"] < first)
                self.assertEqual(reading["quadrant"], "condensing")

    def test_ising_slope_is_the_bath(self):
        # 4 x 4, below, at and above the critical temperature of the infinite lattice.
        for bath in (1.8, 2.269185314, 4):
            with self.subTest(bath=bath):
                reading = self.climb(exact.ising, bath * 1.0005, bath * .9995, 16)
                self.near(reading["global"]["differential"], bath, 5e-4)
                self.near(reading["global"]["transition"], bath, 1e-6)

    def test_gradient_flow(self):
        # Normal ensembles of variances 0.5 and 0.25 about means 0.3 and -0.2, curvatures 1 and 4: T = 1.046 at time 0.
        steps, dt, size = 256, 1e-6, 1000
        messages = []
        for k in range(steps):
            time = (k - (steps - 1) / 2) * dt
            shrink = [math.exp(-time), math.exp(-4 * time)]
            stats = {"w_mean": [.3 * shrink[0], -.2 * shrink[1]], "w_var": [.5 * shrink[0] ** 2, .25 * shrink[1] ** 2]}
            energy = size / 2 * ((.5 + .09) * shrink[0] ** 2 + 4 * (.25 + .04) * shrink[1] ** 2)
            messages.append((energy, dt, stats))
        reading = self.read(messages, [{"name": "x", "n": size}, {"name": "y", "n": size}])["global"]
        self.near(reading["transition"], 1.046)
        self.near(reading["differential"], 1.046, 1e-3)


class Simulations(CalibrationCase):
    """Short seeded runs: the bounds are some five standard errors of the window, so that only a defect meets them."""

    def simulate(self, eta, h, noise, momentum, steps=1200, size=64):
        rng = random.Random(7)
        w, u, messages = [0.0] * size, [0.0] * size, []
        for step in range(-200, steps):
            g = [h * x + rng.gauss(0, math.sqrt(noise)) for x in w]
            u_prev, u = u, [momentum * d - eta * y for d, y in zip(u, g)]
            if step >= 0:
                messages.append((sum(h * x * x / 2 for x in w), eta, self.statistics(w, g, u, u_prev)))
            w = [x + d for x, d in zip(w, u)]
        return self.read(messages, [{"name": "w", "n": size}], optimizer={"name": "sgd", "lr": eta, "momentum": momentum})

    @staticmethod
    def statistics(w, g, u, u_prev):
        stats = {}
        for key, values in (("w", w), ("g", g), ("u", u)):
            mean = sum(values) / len(values)
            stats[f"{key}_mean"] = [mean]
            stats[f"{key}_var"] = [sum((x - mean) ** 2 for x in values) / len(values)]
        stats["gw"] = [sum(map(lambda x, y: x * y, g, w))]
        stats["gu_prev"] = [sum(map(lambda x, y: x * y, g, u_prev))]
        return stats

    def test_noisy_quadratics(self):
        for eta, h, noise, momentum, bound in ((.1, 1, 1, 0, .2), (.2, 1, 1, .5, .2), (.5, 3, .25, .5, .1)):
            with self.subTest(eta=eta, momentum=momentum):
                truth = exact.sgd(eta, h, noise, momentum)
                reading = self.simulate(eta, h, noise, momentum)
                for thermometer in ("kinetic", "configurational", "velocity"):
                    self.near(reading["global"][thermometer], truth[thermometer], bound)
                self.assertAlmostEqual(reading["stability"], truth["stability"], delta=.08)
                self.assertAlmostEqual(reading["drift"], 0, delta=.15)

    def test_every_simulated_system_streams(self):
        """What `make calibrate` runs at length: the settings and the thermometer of each system, briefly."""
        bath = {"temperature": .3, "curvature": 2}
        ladder = {"temperature": 2, "temperature_to": 1}
        for kind, settings, thermometer, truth, bound in (
                ("sgd", {"noise": 1, "momentum": .5}, "kinetic", exact.sgd(.1, 1, 1, .5)["kinetic"], .2),
                ("sgd", {"curvature": 0, "pull": 2}, "noise", .05, .2),
                ("sgd", {"curvature": 0, "pull": 2, "batch": 2, "tells": 1}, "noise", .05, .2),
                ("sgd", {"curvature": 0, "pull": 2, "batch": 2, "tells": 2}, "noise", .05, .2),
                ("langevin", bath, "configurational", 1 / 3, .2),
                ("underdamped", bath, "configurational", .3, .2),
                ("ising", ladder, "differential", exact.slope(exact.ladder(exact.ising, 2, 1, 256)), .2),
                ("ensemble", dict(ladder, size=1000), "transition", 1.442695, .3),
                ("flow", {"eta": 1e-5, "size": 1000, "begin": -1.275e-3}, "differential", 1.046, .01)):
            with self.subTest(kind=kind, **settings):
                run = self.run_name()
                done = run_program("calibrate", kind, "{}:{}".format(*self.shared.ingest[0]), run, "steps=256", "burn=300",
                                   *([] if "size" in settings or kind == "ising" else ["size=256"]),
                                   *(f"{k}={v}" for k, v in settings.items()))
                self.assertEqual(done.returncode, 0, done.stderr)
                self.near(self.shared.reading_at(f"{run}-0", 255)["global"][thermometer], truth, bound)

    def test_simulator_refuses_nonsense(self):
        for words in (["none", "127.0.0.1:1", "x"], ["sgd", "127.0.0.1:1", "x", "eta=-1"], ["sgd"],
                      ["sgd", "127.0.0.1:1", "x", "nothing=1"]):
            self.assertEqual(run_program("calibrate", *words).returncode, 2, words)


if __name__ == "__main__":
    unittest.main()
