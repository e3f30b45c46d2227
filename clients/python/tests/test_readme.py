"""The README beside the package says what the package does."""
from __future__ import annotations

import os
import re
import subprocess
import sys
import unittest

import pyrometer

from tests.test_client import ROOT, ClientTest

try:
    import torch
except ImportError:
    torch = None

# os.environ.get("NAME"), os.environ["NAME"], os.getenv("NAME") and the package's own _whole("NAME").
READ = re.compile(r"""(?:environ\.get\(|environ\[|getenv\(|\b_whole\()\s*["'](\w+)["']""")
ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


class Environment(unittest.TestCase):
    def test_the_table_has_the_variables_that_the_package_reads_and_no_others(self):
        source = "\n".join(path.read_text() for path in sorted((ROOT / "pyrometer").rglob("*.py")))
        section = (ROOT / "README.md").read_text().split("\n## Environment\n")[1].split("\n## ")[0]
        read = set(READ.findall(source))
        # A name that is read in a way READ does not know is at least named.
        named = set(re.findall(r"\bPYROMETER_[A-Z_]+\b", source))
        self.assertEqual(sorted(ROW.findall(section)), sorted(read | named))
        self.assertTrue(named <= read, named - read)


@unittest.skipIf(torch is None, "torch is not installed")
class FirstScript(ClientTest):
    def test_it_runs_as_it_stands(self):
        server = self.daemon()
        section = (ROOT / "README.md").read_text().split("\n## From nothing to a temperature\n")[1].split("\n## ")[0]
        script = section.split("```python\n")[1].split("```")[0]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYROMETER_SERVER": server.address, "OMP_NUM_THREADS": "1"}
        said = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        self.assertEqual((said.returncode, said.stdout, said.stderr), (0, "", ""))
        messages = server.until("end")
        steps = [message for message in messages if message["type"] == "step"]
        self.assertEqual([step["step"] for step in steps], list(range(1000)))
        self.assertLess(steps[-1]["loss"], steps[0]["loss"])
        self.assertEqual(messages[-1]["status"], "completed")


class Version(unittest.TestCase):
    def test_the_package_and_its_metadata_say_the_same(self):
        said = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
        self.assertEqual(pyrometer.__version__, said.group(1))


if __name__ == "__main__":
    unittest.main()
