"""Layers as heat engines and the run's energy balance sheet, over the wire and after a restart."""

import math
import unittest

from harness import Job, TestCase, recording, replay, run_program

LAYERS = [{"name": "in", "n": 100, "activation": "relu"}, {"name": "mid", "n": 100, "activation": "tanh"},
          {"name": "out", "n": 10, "activation": "none"}]
# Of a unit normal: what a ReLU and a tanh let through.
RELU, TANH = 0.5, 0.394294490397841


class Engines(TestCase):
    def train(self, job, first, last, loss, share=1.0):
        """The first layer passes `share` of what a ReLU does, the second what a tanh does."""
        for step in range(first, last + 1):
            job.send({"type": "step", "step": step, "loss": loss - 0.01 * (step - first), "lr": 0.1, "stats": {
                "gu": [-0.02, -0.01, -0.01],
                "z_mean": [0, 0, 0], "z_var": [1, 1, 1], "a_mean": [0, 0, None], "a_var": [RELU * share, TANH, None],
                "a_active": [0.5, 0.5, None], "a_saturated": [None, 0.01, None]}})

    def engine(self, daemon, run):
        return daemon.get_json(f"/api/v1/runs/{run}/engine")

    def test_by_hand(self):
        daemon = self.daemon()
        with Job(daemon) as job:
            job.hello("hand", LAYERS)
            self.train(job, 0, 20, 2.0)
            job.send({"type": "event", "step": 21, "name": "data_refresh"})
            self.train(job, 21, 40, 3.0)
            job.wait_ack(40)
            daemon.reading_at("hand", 40)
        engine = self.engine(daemon, "hand")
        self.assertEqual(engine["class"], "dissipative")
        self.assertIn("[D]", engine["source"])
        relu, tanh, out = engine["layers"]
        self.assertEqual([layer["class"] for layer in engine["layers"]], ["dissipative", "dissipative", "lossless"])
        self.assertEqual([layer["activation"] for layer in engine["layers"]], ["relu", "tanh", "linear"])
        for layer, passed in ((relu, RELU), (tanh, TANH)):
            self.assertAlmostEqual(layer["efficiency"], passed, 9)
            self.assertAlmostEqual(layer["reference"], passed, 9)
            self.assertAlmostEqual(layer["ratio"], 1, 9)
            self.assertAlmostEqual(layer["dissipated"], 1 - passed, 9)
        self.assertAlmostEqual(tanh["entropy_change"], -0.7491344149828759, 7)
        self.assertIsNone(relu["entropy_change"])
        self.assertIn("entropy_change", relu["reasons"])
        self.assertAlmostEqual(relu["dead"], 0.5, 6)
        self.assertAlmostEqual(relu["dead_reference"], 0.5, 9)
        self.assertAlmostEqual(tanh["saturated"], 0.01, 6)
        self.assertAlmostEqual(tanh["saturated_reference"], math.erfc(math.atanh(0.99) / math.sqrt(2)), 7)
        self.assertIn("needs", out["reasons"]["efficiency"])

        balance = engine["balance"]
        self.assertEqual((balance["since"], balance["refreshes"]), (0, 1))
        for name, value in [("start", 2.0), ("work", 1.2), ("in", 3.2), ("energy", 2.81), ("kept", 0.39),
                            ("dissipated", 41 * 0.04), ("returned", 41 * 0.04 - 0.39),
                            ("kept_share", 0.39 / (41 * 0.04))]:
            self.assertAlmostEqual(balance[name], value, 9, name)
        self.assertAlmostEqual(relu["heat"], 41 * 0.02, 9)
        self.assertAlmostEqual(relu["heat_share"], 0.5, 9)
        self.assertAlmostEqual(sum(layer["heat"] for layer in engine["layers"]), balance["dissipated"], 12)

        reading = daemon.temperature("hand")
        self.assertEqual(reading["engine"], "dissipative")
        first = reading["layers"][0]
        self.assertEqual(first["engine"], "dissipative")
        self.assertEqual(first["activation"]["name"], "relu")
        self.assertAlmostEqual(first["activation"]["ratio"], 1, 9)

        text = run_program("pyrometer", "--url", "http://%s:%d" % daemon.http, "show", "hand").stdout
        for word in ("the network is dissipative", "lossless", "energy balance since step 0", "kept share"):
            self.assertIn(word, text)

    def test_survives_restarts(self):
        """A recording with a refresh in it, cut in three by restarts, clean and not, ends as one in a single piece."""
        lines = recording("sgd-momentum")
        steps = [*lines[1:400], b'{"type":"event","step":399,"name":"data_refresh"}\n', *lines[400:-1]]
        broken, whole = self.daemon(), self.daemon()
        for cut, stop in ((250, lambda: (broken.kill9(), broken.start())), (600, broken.restart), (len(steps), None)):
            with Job(broken) as job:
                job.raw(lines[0])
                first = job.expect("welcome")["last_step"] + 1
                job.raw(b"".join(steps[first + (first >= 400):cut]))
                job.wait_ack(cut - 1 - (cut > 399))
            if stop:
                stop()
        replay(whole, [lines[0], *steps])
        last = len(steps) - 2
        for daemon in (broken, whole):
            daemon.reading_at("sgd-momentum", last)
        wanted = self.engine(whole, "sgd-momentum")
        self.assertEqual(wanted["balance"]["refreshes"], 1)
        self.assertEqual(self.engine(broken, "sgd-momentum"), wanted)
        whole.restart()
        self.assertEqual(self.engine(whole, "sgd-momentum"), wanted)

    def test_nothing_known(self):
        daemon = self.daemon()
        with Job(daemon) as job:
            job.hello("bare", [{"name": "w", "n": 5}])
            engine = self.engine(daemon, "bare")
        self.assertIsNone(engine["class"])
        self.assertIn("reason", engine)
        self.assertEqual(engine["balance"]["reasons"], {"in": "needs loss", "dissipated": "needs gu"})
        self.assertIsNone(engine["layers"][0]["class"])
        daemon.get("/api/v1/runs/nobody/engine", 404)


if __name__ == "__main__":
    unittest.main()
