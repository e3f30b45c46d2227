"""`pyrometer rules`: what rules would have told of runs that are over."""

import json

from harness import DATA, SharedDaemonCase, recording, replay, run_program


class Backtest(SharedDaemonCase):
    def backtest(self, *words, expect=0):
        url = "http://%s:%d" % self.shared.http
        done = run_program("pyrometer", "--json", "--url", url, "rules", "backtest", *words)
        self.assertEqual(done.returncode, expect, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()] if expect == 0 else done.stderr

    def test_says_what_the_daemon_says(self):
        for name in ("lr-ramp", "nan-gradient", "adamw"):
            last = replay(self.shared, recording(name))
            self.shared.reading_at(name, last)
            [of_file] = self.backtest("default", DATA / f"{name}.ndjson.gz")
            [of_run] = self.backtest("default", name)
            self.assertEqual(of_file["alerts"], of_run["alerts"])
            told = sorted((a["step"], a["since"], a["rule"], a["layer"] or "", a["severity"])
                          for a in self.shared.alerts(run=name, limit=1000) if a["state"] != "pending")
            self.assertEqual(sorted((a["step"], a["since"], a["rule"], a["layer"] or "", a["severity"])
                                    for a in of_file["alerts"]), told)
            self.assertEqual(of_file["run"], name)

    def test_what_cannot_be_judged(self):
        self.assertIn("nobody", self.backtest("default", "nobody", expect=1))
        self.assertIn("wants", self.backtest("default", expect=2))
