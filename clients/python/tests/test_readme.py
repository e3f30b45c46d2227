"""The README beside the package says what the package does."""
from __future__ import annotations

import re
import unittest

import pyrometer

from tests.test_client import ROOT

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


class Version(unittest.TestCase):
    def test_the_package_and_its_metadata_say_the_same(self):
        said = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
        self.assertEqual(pyrometer.__version__, said.group(1))


if __name__ == "__main__":
    unittest.main()
