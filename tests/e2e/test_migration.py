"""A store that an earlier version wrote is taken over: what it had reads as it did."""

import contextlib
import gzip
import sqlite3
import unittest

from harness import DATA, Daemon, TestCase, eventually

STEPS = 400  # of both runs


class Migration(TestCase):
    def open_version_1(self):
        daemon = Daemon()
        self.daemons = [*self.daemons, daemon]
        self.addCleanup(daemon.close)
        daemon.data.mkdir()
        with gzip.open(DATA / "store-version-1.db.gz") as stored:
            (daemon.data / "pyrometer.db").write_bytes(stored.read())
        return daemon.start()

    def test_exports_are_the_same_bytes(self):
        daemon = self.open_version_1()
        for _ in range(2):
            for run in ("all", "open"):
                expected = gzip.decompress((DATA / f"store-version-1-{run}.ndjson.gz").read_bytes())
                self.assertEqual(daemon.export(run), expected, run)
            daemon.restart()
        run = daemon.run("all")
        self.assertEqual((run["status"], run["last_step"], run["project"]), ("completed", 259, "p"))

    def test_its_steps_are_packed(self):
        daemon = self.open_version_1()
        database = f"file:{daemon.data / 'pyrometer.db'}?mode=ro"

        def count():
            with contextlib.closing(sqlite3.connect(database, uri=True)) as db:
                return db.execute(
                    "SELECT (SELECT count(*) FROM step),"
                    " (SELECT total(n) FROM segment WHERE kind=0 AND level=0)"
                ).fetchone()

        eventually(lambda: count()[0] < STEPS and sum(count()) == STEPS, "the steps to be packed")
        for run in ("all", "open"):
            expected = gzip.decompress((DATA / f"store-version-1-{run}.ndjson.gz").read_bytes())
            self.assertEqual(daemon.export(run), expected, run)


if __name__ == "__main__":
    unittest.main()
