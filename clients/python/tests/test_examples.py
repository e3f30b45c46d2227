"""The examples of frameworks: whole where only NumPy is needed, their syntax and their calls of this package where it is not."""
from __future__ import annotations

import ast
import importlib
import inspect
import os
import subprocess
import sys
import unittest

from pyrometer import init, watch

from tests.test_client import ROOT, ClientTest
from tests.test_integrations import of

try:
    import numpy as np

    from tests import frameworks
except ImportError:
    np = None
EXAMPLES = ROOT.parents[1] / "examples/frameworks"
# By framework: its stand-in, and whose options its callback takes besides its own.
STAND_INS = {"lightning": watch, "huggingface": watch, "keras": init, "jax": init}


def options(call):
    return {keyword.arg for keyword in call.keywords}


def parameters(function):
    return {name for name, one in inspect.signature(function).parameters.items() if one.kind is not one.VAR_KEYWORD}


@unittest.skipUnless(EXAMPLES.is_dir(), "the package is by itself here")
class Examples(ClientTest):
    def test_each_integration_has_an_example_that_compiles(self):
        there = {path.stem for path in (ROOT / "pyrometer/integrations").glob("[!_]*.py")}
        self.assertEqual({path.stem for path in EXAMPLES.glob("*.py")}, {f"with_{name}" for name in there})
        for path in EXAMPLES.glob("*.py"):
            compile(path.read_text(), str(path), "exec")

    @unittest.skipIf(np is None, "numpy is not installed")
    def test_calls_of_the_package_have_names_and_options_that_exist(self):
        standing = {"lightning": frameworks.lightning, "huggingface": frameworks.transformers, "keras": frameworks.keras,
                    "jax": frameworks.jax}
        for name, takes in STAND_INS.items():
            place = f"pyrometer.integrations.{name}"
            with self.subTest(name), frameworks.installed(standing[name](), place):
                module = importlib.import_module(place)
                path = EXAMPLES / f"with_{name}.py"
                tree = ast.parse(path.read_text(), str(path))
                imported = {one.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == place
                            for one in node.names}
                imported |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
                             and getattr(node.value, "id", None) == "pyro"}
                self.assertTrue(imported)
                for one in imported:
                    self.assertTrue(hasattr(module, one), one)
                begun = [node for node in ast.walk(tree) if isinstance(node, ast.Call)
                         and ast.unparse(node.func) in ("PyrometerCallback", "pyrometer.init")]
                self.assertEqual(len(begun), 1)
                own = parameters(getattr(module, "PyrometerCallback", takes))
                self.assertLessEqual(options(begun[0]), own | parameters(takes))

    @unittest.skipIf(np is None, "numpy is not installed")
    def test_numpy_trains(self):
        server = self.daemon()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYROMETER_SERVER": server.address}
        said = subprocess.run([sys.executable, str(EXAMPLES / "with_numpy.py"), "test"], env=environment,
                              capture_output=True, text=True)
        self.assertEqual((said.returncode, said.stderr), (0, ""))
        self.assertGreater(float(said.stdout.split()[-1]), 0.8)
        messages = server.until("end")
        steps = of(messages, "step")
        self.assertEqual([step["step"] for step in steps], list(range(600)))
        self.assertLess(steps[-1]["loss"], steps[0]["loss"] / 2)
        self.assertEqual(len(steps[1]["stats"]["gu_prev"]), 2)
        self.assertEqual(messages[-1]["status"], "completed")


if __name__ == "__main__":
    unittest.main()
