"""A store that an earlier version wrote is taken over: what it had reads as it did."""

import gzip
import unittest

from harness import DATA, Daemon, TestCase, eventually


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
        with gzip.open(DATA / "store-version-1.db.gz") as stored:
            before = len(stored.read())
        daemon = self.open_version_1()
        database = daemon.data / "pyrometer.db"
        eventually(lambda: database.stat().st_size < before, "the store to become smaller")
        expected = gzip.decompress((DATA / "store-version-1-all.ndjson.gz").read_bytes())
        self.assertEqual(daemon.export("all"), expected)


if __name__ == "__main__":
    unittest.main()
