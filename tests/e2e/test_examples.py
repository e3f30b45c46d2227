"""The commands of docs/api.md do what stands there, and every call has one."""

import json
import re
import shlex
import subprocess
import tempfile
import unittest
import urllib.parse

from harness import SharedDaemonCase, TESTS, TIMEOUT, recording, replay

BLOCK = re.compile(r"^```(sh|sh fails|json)\n(.*?)^```$", re.M | re.S)
ADDRESS = "localhost:27316"


def commands(text):
    """The commands of a block: lines, unless a quote goes on in the next."""
    found = [""]
    for line in text.splitlines(keepends=True):
        found[-1] += line
        try:
            shlex.split(found[-1])
        except ValueError:
            continue  # within quotes
        found.append("")
    return [c.strip() for c in found if c.strip()]


def call_of(command):
    """(method, path) that a command asks for."""
    words = shlex.split(command)
    url = next(w for w in words if w.startswith(ADDRESS))
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    return method.lower(), urllib.parse.urlsplit("http://" + url).path


class Examples(SharedDaemonCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in ("nan-gradient", "lr-ramp"):
            replay(cls.shared, recording(name))
        cls.blocks = BLOCK.findall((TESTS.parent / "docs" / "api.md").read_text())

    def run_command(self, command, home):
        command = command.replace(ADDRESS, "{}:{}".format(*self.shared.http))
        command = command.replace("curl", f"curl --silent --show-error --fail-with-body --max-time {TIMEOUT}", 1)
        if "/assets/" in command:  # whose names follow their content
            script = re.search(r"/assets/[\w.-]+\.js", self.shared.get("/")[1].decode())[0]
            command = re.sub(r"/assets/\S+", script, command)
        return subprocess.run(["bash", "-c", command], cwd=home, capture_output=True, text=True)

    def assert_shown(self, shown, got, where=""):
        """What is shown is in the answer: the same members, of the same kinds."""
        if isinstance(shown, dict):
            self.assertIsInstance(got, dict, where)
            for key, value in shown.items():
                self.assertIn(key, got, where)
                self.assert_shown(value, got[key], f"{where}/{key}")
        elif isinstance(shown, list):
            self.assertIsInstance(got, list, where)
            self.assertEqual(bool(shown), bool(got), where)
            for i, value in enumerate(shown):
                self.assert_shown(value, got[min(i, len(got) - 1)], f"{where}/{i}")
        elif isinstance(shown, (int, float)) and not isinstance(shown, bool):
            self.assertIsInstance(got, (int, float), where)
        elif isinstance(shown, str) and shown.endswith("..."):
            self.assertTrue(got.startswith(shown[:-3]), f"{where}: {got}")
        elif isinstance(shown, str) and re.fullmatch(r"[\d.]+", shown):
            self.assertIsInstance(got, str, where)
        else:
            self.assertEqual(shown, got, where)

    def test_every_command(self):
        answer = None
        with tempfile.TemporaryDirectory() as home:
            for kind, text in self.blocks:
                if kind == "json":
                    with self.subTest(text[:60]):
                        self.assert_shown(json.loads(text), json.loads(answer))
                    continue
                for command in commands(text):
                    with self.subTest(command):
                        done = self.run_command(command, home)
                        answer = done.stdout
                        self.assertEqual(done.returncode == 0, kind == "sh", (done.returncode, done.stderr, answer[:500]))

    def test_every_call_has_one(self):
        paths = self.shared.get_json("/api/v1/openapi.json")["paths"]
        missing = {(method, path) for path, item in paths.items() for method in item}
        for kind, text in self.blocks:
            for command in commands(text) if kind == "sh" else []:
                method, path = call_of(command)
                matching = [p for p in paths if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", p), path) and method in paths[p]]
                self.assertTrue(matching, command)
                missing.discard((method, min(matching, key=lambda p: p.count("{"))))
        self.assertEqual(missing, set())


if __name__ == "__main__":
    unittest.main()
