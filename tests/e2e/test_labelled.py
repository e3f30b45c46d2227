"""Recordings with a fault, and good ones, through the daemon: what is told, of which layer, and what is not."""

import sys
import unittest

from harness import DATA, TESTS

sys.path.insert(0, str(TESTS / "quality"))

import judgement  # noqa: E402
import quality  # noqa: E402


def key(alert):
    return alert["rule"], alert["layer"], alert["since"], alert["step"], alert["severity"], alert["warned"]


class Labelled(unittest.TestCase):
    def recordings(self):
        found = [quality.Recording(f) for f in sorted((DATA / "labelled").glob("*.label.json"))]
        self.assertGreaterEqual(len(found), 12)
        for recording in found:
            recording.load()
        return found

    def test_faults_are_told_and_good_runs_left_alone(self):
        recordings = self.recordings()
        found = quality.through_the_daemon(recordings, None)
        outcomes = {r.name: quality.outcome(r, found[r.name]) for r in recordings}
        for name, outcome in outcomes.items():
            with self.subTest(name):
                self.assertEqual(outcome.false, [])
                if outcome.fault:
                    self.assertTrue(outcome.hits, "nothing was told")
                    self.assertTrue(outcome.label["layer"] is None or outcome.layer_is_right, outcome.hits)
        figures = judgement.figures(list(outcomes.values()))
        self.assertEqual((figures["detected"], figures["layer"], figures["warned"]), (1, 1, 1))
        self.assertLessEqual(figures["delay"], 2)
        tested = quality.backtest(recordings, None)
        for recording in recordings:  # a backtest finds the same, and the same first
            name = recording.name
            with self.subTest(name):
                self.assertCountEqual(map(key, found[name]), map(key, tested[name]))
                again = quality.outcome(recording, tested[name])
                self.assertEqual([key(a) for a in outcomes[name].hits], [key(a) for a in again.hits])
