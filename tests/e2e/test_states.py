"""A run as a course of states: from initialisation, then one behind each refresh of its data."""

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

    def test_no_steps(self):
        _, run = self.start_run()
        self.assertEqual(self.states(run), {"run": run, "states": [], "refreshes": [], "truncated": False})

    def test_no_run(self):
        self.shared.get("/api/v1/runs/nobody/states", 404)


if __name__ == "__main__":
    unittest.main()
