"""A run as a course of states: from initialisation, then one behind each refresh of its data."""

import math
import unittest

from harness import SharedDaemonCase


class States(SharedDaemonCase):
    def train(self, job, first, last, loss, fall, variance, growth):
        """Steps first..last with a loss that falls and a weight variance that grows, both linearly."""
        for step in range(first, last + 1):
            k = step - first
            job.send({"type": "step", "step": step, "loss": loss - fall * k, "lr": 0.1,
                      "stats": {"w_mean": [0.0], "w_var": [variance + growth * k], "gu": [-fall]}})

    def states(self, run):
        return self.shared.get_json(f"/api/v1/runs/{run}/states")

    def test_one_state(self):
        job, run = self.start_run(layers=[{"name": "w", "n": 1000}])
        self.train(job, 0, 30, 2.0, 0.01, 0.5, 0.001)
        job.wait_ack(30)
        course = self.states(run)
        self.assertEqual(len(course["states"]), 1)
        self.assertEqual(course["refreshes"], [])
        state = course["states"][0]
        self.assertEqual((state["state"], state["number"], state["from"], state["to"]), ("I", 0, 0, 30))
        self.assertAlmostEqual(state["energy"]["change"], -0.3, 9)
        self.assertAlmostEqual(state["heat"], 0.31, 9)
        self.assertAlmostEqual(state["temperature"]["value"], -0.3 / state["entropy"]["change"], 9)
        self.assertEqual(state["temperature"]["value"], self.shared.temperature(run)["global"]["transition"]["value"])

    def test_a_refresh_begins_state_two(self):
        job, run = self.start_run(layers=[{"name": "w", "n": 1000}])
        self.train(job, 0, 40, 2.0, 0.01, 0.5, 0.001)
        job.send({"type": "event", "step": 41, "name": "data_refresh", "data": {"set": "new"}})
        self.train(job, 41, 80, 3.0, 0.02, 0.54, -0.001)
        job.wait_ack(80)
        course = self.states(run)
        one, two = course["states"]
        self.assertEqual([(s["state"], s["from"], s["to"]) for s in (one, two)], [("I", 0, 40), ("II", 41, 80)])
        self.assertAlmostEqual(one["energy"]["end"], 1.6, 9)
        self.assertLess(one["temperature"]["value"], 0)
        self.assertGreater(two["temperature"]["value"], 0)
        self.assertAlmostEqual(two["temperature"]["value"], two["energy"]["change"] / two["entropy"]["change"], 9)
        refresh, = course["refreshes"]
        self.assertEqual((refresh["from"], refresh["to"]), (40, 41))
        self.assertAlmostEqual(refresh["work"], 1.4, 9)
        self.assertEqual(refresh["heat"], 0)

    def test_the_initialisation(self):
        """Entropies of theory's table, per parameter; what is not stated, or makes no sense, has a reason."""
        n = 1000
        half = [{"distribution": "normal", "mean": 0, "std": 0.1, "weight": 0.5},
                {"distribution": "uniform", "low": -0.2, "high": 0.2, "weight": 0.5}]
        inits = {"normal": {"distribution": "normal", "mean": 0, "std": 0.02},
                 "uniform": {"distribution": "uniform", "low": -0.1, "high": 0.1},
                 "mixed": {"distribution": "mixed", "components": half},
                 "constant": {"distribution": "constant", "value": 1},
                 "odd": {"distribution": "normal", "std": -1},
                 "unknown": {"distribution": "unknown"}, "none": None}
        layers = [{"name": name, "n": n, **({"init": init} if init else {})} for name, init in inits.items()]
        job, run = self.start_run(layers=layers)
        variance = [0.0004 * 1.1] + [0.01] * (len(layers) - 1)
        job.send({"type": "step", "step": 0, "loss": 1, "stats": {"w_var": variance}})
        job.send({"type": "step", "step": 1, "loss": 1, "stats": {"w_var": [2 * v for v in variance]}})
        job.wait_ack(1)
        found = {x["layer"]: x for x in self.states(run)["initialisation"]}
        self.assertEqual(list(found), list(inits))
        normal, uniform, mixed = (found[name] for name in ("normal", "uniform", "mixed"))
        self.assertAlmostEqual(normal["stated"], -2493.084472223473, 9)
        self.assertAlmostEqual(normal["expected"], normal["stated"], 9)
        self.assertAlmostEqual(normal["difference"], n / 2 * math.log(1.1), 9)
        self.assertAlmostEqual(normal["error"], math.sqrt(n / 2), 9)
        self.assertAlmostEqual(uniform["stated"], -1609.437912434100, 9)
        self.assertAlmostEqual((uniform["expected"] - uniform["stated"]) / n, 0.176485, 6)
        self.assertAlmostEqual(uniform["error"], math.sqrt(n * 0.8) / 2, 9)
        self.assertAlmostEqual(mixed["stated"] / n, -0.851001635477, 9)
        self.assertEqual([found[name]["reason"] for name in ("constant", "odd", "unknown", "none")],
                         ["a constant has no entropy", "its init is not understood", "the hello states no init",
                          "the hello states no init"])

    def test_no_steps(self):
        _, run = self.start_run()
        self.assertEqual(self.states(run), {"run": run, "states": [], "refreshes": [], "initialisation": [], "truncated": False})

    def test_no_run(self):
        self.shared.get("/api/v1/runs/nobody/states", 404)


if __name__ == "__main__":
    unittest.main()
