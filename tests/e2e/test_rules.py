"""`pyrometer rules`: what rules would have told of runs that are over."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

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


HELLO = "hello: {layers: [{name: a, n: 10}, {name: b, n: 10}, {name: c, n: 10}]}"
DEFAULTS = DATA.parent / "rules" / "defaults.yaml"


class RulesTest(unittest.TestCase):
    """`pyrometer rules test`."""

    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(prefix="pyro-"))
        self.addCleanup(shutil.rmtree, self.directory)

    def run_on(self, text, expect, name="test.yaml"):
        file = self.directory / name
        file.write_text(text)
        done = run_program("pyrometer", "rules", "test", file)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stderr

    def test_the_default_rules(self):
        done = run_program("pyrometer", "rules", "test", DEFAULTS)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(" 0 failed", done.stdout)

    def test_exploding_tensor_is_off_unless_asked_for(self):
        test = ("tests: [{series: {loss: '2x99 NaN 2x10'}, alert_rule_test: "
                "[{rule: exploding_tensor, exp_alerts: [%s]}]}]\n")
        on = "alerts: {rules: [{rule: exploding_tensor, enabled: true}]}\n"
        self.run_on(test % "", expect=0)
        self.run_on(on + test % "{severity: info, since: 100}", expect=0)

    def test_each_firing_case_fails_without_its_rule(self):
        text = DEFAULTS.read_text().replace("../data", str(DATA))
        for rule in ("dead_relu", "saturated_activation", "weight_update_ratio", "poor_weight_initialization", "overfit",
                     "thermal_imbalance", "heating", "loss_spike", "loss_nonfinite"):
            with self.subTest(rule):
                off = f"alerts: {{rules: [{{rule: {rule}, enabled: false}}]}}\n"
                title = "the layer of the first NaN" if rule == "loss_nonfinite" else f"{rule} fires"
                self.assertIn(f"test '{title}", self.run_on(off + text, expect=1))

    def test_rules_of_a_file_and_what_was_got(self):
        (self.directory / "own.yaml").write_text(
            "alerts: {rules: [{rule: slow, metric: scalar.speed, fire_below: 100, for: 3}]}\n")
        test = ("rules: own.yaml\ntests: [{name: tempo, series: {scalar.speed: '500x9 50x2 500x9'}, alert_rule_test: "
                "[{step: 12, rule: slow, exp_alerts: [%s]}]}]\n")
        self.run_on(test % "{severity: warning, since: 10, fired: 12}", expect=0)
        self.assertEqual(
            self.run_on(test % "{since: 11}", expect=1).split("\n", 1)[1],
            "    expected:\n        {since: 11}\n    got:\n"
            "        {rule: slow, layer: ~, severity: warning, since: 10, fired: 12}\n")
        self.assertIn("expected: nothing\n    got:\n", self.run_on(test % "", expect=1))
        self.assertIn("got:\n", self.run_on(test % "{}, {}", expect=1))

    def test_an_alert_serves_one_expectation(self):
        # The second expectation fits but one alert, which the first must leave to it.
        test = (f"tests: [{{{HELLO}, series: {{loss: '2x200', a.a_active: '0.5x99 0x100', b.a_active: 0.5, c.a_active: "
                "0.5}, alert_rule_test: [{exp_alerts: [%s]}]}]\n")
        self.run_on(test % "{layer: a}", expect=0)
        self.run_on(test % "{}, {layer: a}", expect=1)
        nan = "alerts: {rules: [{rule: exploding_tensor, enabled: true}]}\n"
        nan += "tests: [{series: {loss: '2x9 NaNx5'}, alert_rule_test: [{exp_alerts: [{}, {rule: loss_nonfinite}]}]}]\n"
        self.run_on(nan, expect=0)

    def test_the_notation(self):
        rule = "alerts: {rules: [{rule: at, metric: scalar.x, fire_above: %s}]}\n"
        test = "tests: [{series: {scalar.x: '%s'}, alert_rule_test: [{step: %d, rule: at, exp_alerts: [%s]}]}]\n"
        for series, step, above, below in (("1+2x3", 3, 6.9, 7), ("5-1x2 9", 3, 8.9, 9), ("0x50 1", 51, 0.9, 1),
                                           ("2.0+0x50 9x3", 51, 8.9, 9), ("_x5 1e1", 5, 9.9, 10), ("-3+1e0x3", 3, -0.1, 0)):
            with self.subTest(series):
                self.run_on(rule % above + test % (series, step, "{since: %d}" % step if "_" in series else "{}"), expect=0)
                self.run_on(rule % below + test % (series, step, ""), expect=0)

    def test_mistakes(self):
        good = "tests: [{series: {loss: 1}, alert_rule_test: [{exp_alerts: []}]}]\n"
        self.run_on(good, expect=0)
        for old, new, message in (
                ("loss: 1", "loss: 1+x", "'1+x' is no number"), ("loss: 1", "loss: 1x200000", "too many values"),
                ("loss: 1", "z.g_var: 1", "no layer 'z'"), ("loss: 1", "loss: [1]", "is no text"),
                ("exp_alerts: []", "exp_alerts: [], rule: nobody", "no rule 'nobody'"),
                ("exp_alerts: []", "exp_alerts: [], step: 7", "the last is 0"),
                ("exp_alerts: []", "exp_alerts: {}", "a list"), ("exp_alerts: []", "expected: []", "'expected' is not a key"),
                ("[{exp_alerts: []}]", "[]", "checks nothing"), ("series: {loss: 1}", "recording: none.gz", "cannot read"),
                ("series: {loss: 1}", "hello: {run: 'a b'}, series: {loss: 1}", "run"), ("tests", "test", "'test' is not a key"),
                ("tests: [", "tests: {}\nx: [", "'x' is not a key"), ("tests:", "tests: [\n#", "syntax"),
                ("tests:", "rules: none.yaml\ntests:", "none.yaml"), ("tests:", "alerts: {rules: [{rule: x}]}\ntests:", "not a rule"),
                ("tests:", "alerts: {}\nrules: x\ntests:", "or neither")):
            with self.subTest(new):
                self.assertIn(message, self.run_on(good.replace(old, new), expect=1))
        self.assertIn("empty", self.run_on("", expect=1))
        self.assertEqual(run_program("pyrometer", "rules", "test").returncode, 2)


class Json(unittest.TestCase):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(prefix="pyro-"))
        self.addCleanup(shutil.rmtree, self.directory)

    def rules(self, *words, expect):
        done = run_program("pyrometer", "--json", "rules", *words)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        self.assertEqual(bool(done.stderr), expect != 0)  # the reason is there, too
        return [json.loads(line) for line in done.stdout.splitlines()]

    def file(self, text):
        path = self.directory / f"{len(list(self.directory.iterdir()))}.yaml"
        path.write_text(text)
        return str(path)

    def test_check(self):
        good = self.file("alerts: {rules: [{rule: mine, metric: widgets, fire_above: 1}]}\n")
        [told] = self.rules("check", good, expect=0)
        self.assertEqual((told["file"], told["ok"], told["own"], told["off"]), (good, True, 1, 1))
        self.assertEqual(told["unknown_metrics"], [{"rule": "mine", "metric": "widgets"}])
        bad = self.file("alerts:\n  rules:\n  - {rule: nonsense}\n  - {rule: loss_spike, nonsense: 1}\n")
        [told] = self.rules("check", bad, expect=1)
        self.assertEqual((told["file"], told["ok"]), (bad, False))
        self.assertIn(f"{bad}:", told["errors"][0])

    def test_test(self):
        good = "tests: [{name: quiet, series: {loss: 1}, alert_rule_test: [{exp_alerts: []}]}]\n"
        files = [self.file(good), self.file(good.replace("[]", "[{rule: loss_spike}]")), "/nonexistent"]
        passed, failed, unread = self.rules("test", *files, expect=1)
        self.assertEqual(passed, {"file": files[0], "ok": True, "errors": [], "tests": 1, "failed": 0, "failures": []})
        self.assertEqual((failed["ok"], failed["failed"], failed["failures"][0]["test"]), (False, 1, "quiet"))
        self.assertIn("expected", failed["failures"][0]["message"])
        self.assertEqual((unread["ok"], unread["tests"]), (False, 0))
        self.assertIn("/nonexistent", unread["errors"][0])
