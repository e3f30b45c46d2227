"""`pyrometer reference`: the transition temperature of a linear model from its data."""

import json
import tempfile
import unittest
from pathlib import Path

from harness import run_program


class Reference(unittest.TestCase):
    DATA = "x,y\n0,1\n1,3\n2,4\n3,8\n"

    def reference(self, *flags, data=DATA):
        with tempfile.TemporaryDirectory() as home:
            path = Path(home) / "data.csv"
            path.write_text(data)
            return run_program("pyrometer", "--json", "reference", "--data", path, *flags)

    def temperature(self, *flags):
        done = self.reference(*flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["temperature"]["value"]

    def test_known_temperatures(self):
        for init, entropy, truth in [("normal:0,1", "sampling", 16.560353434543), ("uniform:-1,1", "sampling", 155.297988764595),
                                     ("normal:0,1", "quantum:1e-3", 1.594270222903), ("uniform:-1,1", "quantum:1e-3", 1.549158150980)]:
            with self.subTest(init=init, entropy=entropy):
                self.assertAlmostEqual(self.temperature("--loss", "mse", "--init", init, "--entropy", entropy), truth, 6)

    def test_bad_data_is_named(self):
        done = self.reference("--loss", "mse", "--init", "normal:0,1", data="x,y\n0,1\n1,three\n")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, "3")
        self.assertIn("three", done.stderr)

    def test_bad_usage(self):
        for flags in (["--loss", "mse", "--init", "normal"], ["--loss", "none", "--init", "normal:0,1"], ["--loss", "mse"]):
            with self.subTest(flags=flags):
                self.assertEqual(self.reference(*flags).returncode, 2)


if __name__ == "__main__":
    unittest.main()
