"""`pyrometer check` and `pyrometer backup`: a store's files, beside a running daemon and alone."""

import contextlib
import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

from harness import BIN, DATA, Daemon, Job, TestCase, eventually, make_step, program_environment, run_program

N = 1000


def query(path, sql):
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()


def record(daemon, run, n=N):
    with Job(daemon) as job:
        job.hello(run, layers=2)
        for i in range(n):
            job.send(make_step(i, layers=2, seed=run))  # no two runs' blocks are alike
        job.send({"type": "end", "status": "completed"})
        job.wait_ack(n - 1)


class Stream(threading.Thread):
    """A job that sends steps until it is told to end."""

    def __init__(self, daemon, run):
        super().__init__()
        self.job = Job(daemon)
        self.job.hello(run, layers=2)
        self.ending = threading.Event()
        self.failure = None

    def run(self):
        step = 0
        try:
            while not self.ending.is_set():
                for _ in range(50):
                    self.job.send(make_step(step, layers=2, seed=step))
                    step += 1
                self.job.wait_ack(step - 20)  # the rest is on its way
            self.job.wait_ack(step - 1)
        except Exception as failure:  # told by finish()
            self.failure = failure

    def finish(self):
        self.ending.set()
        self.join()
        self.job.close()
        if self.failure:
            raise self.failure


class Files(TestCase):
    def setUp(self):
        super().setUp()
        self.home = Path(tempfile.mkdtemp(prefix="pyro-backup-"))
        self.addCleanup(shutil.rmtree, self.home)

    def pyrometer(self, *args, expect=0):
        done = run_program("pyrometer", *args)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def packed_store(self):
        """The file of a stopped daemon with two runs in segments."""
        daemon = self.daemon()
        path = daemon.data / "pyrometer.db"
        for run in ("sound", "hurt"):
            record(daemon, run)
        eventually(lambda: query(path, "SELECT count(*) FROM step") == [(0,)], "the steps to be packed")
        daemon.stop()
        return path

    def restored(self, copy):
        daemon = Daemon()
        self.daemons = [*self.daemons, daemon]
        self.addCleanup(daemon.close)
        daemon.data.mkdir()
        shutil.copy(copy, daemon.data / "pyrometer.db")
        return daemon.start()


class Backup(Files):
    def test_while_a_job_streams(self):
        daemon = self.daemon()
        record(daemon, "before")
        stream = Stream(daemon, "live")
        stream.start()
        copies = []
        try:
            for i in range(3):
                eventually(lambda: stream.job.acked > 500 * (i + 1), "steps to be acknowledged")
                acked = stream.job.acked
                copies.append((self.home / f"{i}.db", acked))
                self.pyrometer("backup", daemon.data, copies[-1][0])
        finally:
            stream.finish()
        self.assertEqual(sorted(p.name for p in self.home.iterdir()), ["0.db", "1.db", "2.db"])
        lines = {run: daemon.export(run).splitlines() for run in ("before", "live")}
        for copy, acked in copies:
            with self.subTest(copy.name):
                self.assertEqual(copy.stat().st_mode & 0o077, 0)
                fresh = self.restored(copy)
                self.assertEqual(fresh.export("before").splitlines(), lines["before"])
                steps = fresh.steps("live")
                self.assertEqual([s["step"] for s in steps], list(range(len(steps))))
                self.assertGreater(len(steps), acked)
                self.assertEqual(steps, daemon.steps("live")[: len(steps)])
                with Job(fresh) as job:  # and the run goes on there
                    job.hello("live", layers=2)
                    job.send(make_step(len(steps), layers=2))
                    job.wait_ack(len(steps))
                fresh.stop()
        self.pyrometer("check", daemon.data)
        daemon.restart()
        self.assertEqual(daemon.export("live").splitlines()[: len(lines["live"])], lines["live"])

    def test_says_what_it_did(self):
        daemon = self.daemon()
        record(daemon, "r", 10)
        answer = json.loads(self.pyrometer("--json", "backup", daemon.data, self.home / "copy"))
        self.assertTrue(answer["ok"])
        self.assertEqual(answer["backup"], str(self.home / "copy"))
        self.assertEqual(answer["bytes"], (self.home / "copy").stat().st_size)
        self.assertIn("sound", self.pyrometer("check", self.home / "copy"))
        self.assertEqual([p.name for p in self.home.iterdir()], ["copy"])  # it is one file

    def test_the_directory_a_daemon_takes(self):
        daemon = self.daemon()
        record(daemon, "r", 10)
        env = dict(program_environment(), STATE_DIRECTORY=str(daemon.data))
        for words in (["backup", str(self.home / "copy")], ["check"]):
            done = subprocess.run([str(BIN / "pyrometer"), *words], env=env, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(str(daemon.data), done.stdout)

    def test_leftovers_of_one_that_was_cut_off(self):
        daemon = self.daemon()
        record(daemon, "r", 10)
        for end in (".part", ".part-journal"):
            (self.home / f"copy{end}").write_bytes(os.urandom(5000))
        self.pyrometer("backup", daemon.data, self.home / "copy")
        self.assertEqual([p.name for p in self.home.iterdir()], ["copy"])

    def test_refusals(self):
        daemon = self.daemon()
        record(daemon, "r", 10)
        there = self.home / "there"
        there.write_text("mine")
        self.assertIn("there already", self.pyrometer("backup", daemon.data, there, expect=1))
        self.assertEqual(there.read_text(), "mine")
        self.assertIn("no store", self.pyrometer("backup", self.home / "none", self.home / "x", expect=1))
        self.assertIn("cannot create", self.pyrometer("backup", daemon.data, self.home / "none" / "x", expect=1))
        self.assertEqual([p.name for p in self.home.iterdir()], ["there"])

    def test_what_is_damaged_is_not_called_a_backup(self):
        path = self.packed_store()
        flip(path, "hurt")
        self.assertIn("run hurt", self.pyrometer("backup", path.parent, self.home / "copy", expect=1))
        self.assertEqual([p.name for p in self.home.iterdir()], ["copy.part"])


def flip(path, run):
    """Changes one byte in the middle of a block of the run's steps; which steps its segment has."""
    (first, last, data), *_ = query(
        path,
        "SELECT s.first_step, s.last_step, b.data FROM segment AS s JOIN attempt AS a ON a.id=s.attempt"
        f" JOIN run AS r ON r.id=a.run JOIN block AS b ON b.id=s.first_block WHERE r.name='{run}' AND s.level=0"
        " ORDER BY s.id",
    )
    whole = bytearray(path.read_bytes())
    at = whole.find(data[len(data) // 2 :][:24])
    assert at > 0
    whole[at] ^= 0x10
    path.write_bytes(whole)
    return first, last


class Check(Files):
    def test_a_clean_store(self):
        path = self.packed_store()
        before = path.read_bytes()
        self.assertIn("sound", self.pyrometer("check", path.parent))
        answer = json.loads(self.pyrometer("--json", "check", path.parent))
        self.assertTrue(answer["ok"])
        self.assertEqual(answer["damage"], [])
        self.assertEqual([(answer["segments"],)], query(path, "SELECT count(*) FROM segment"))
        self.assertGreater(answer["chunks"], answer["segments"])
        self.assertEqual(path.read_bytes(), before)

    def test_beside_a_daemon_and_behind_a_crash(self):
        daemon = self.daemon()
        record(daemon, "r", 100)
        self.assertIn("sound", self.pyrometer("check", daemon.data))
        daemon.kill9()
        files = [daemon.data / f"pyrometer.db{end}" for end in ("", "-wal")]
        before = [f.read_bytes() for f in files]
        self.assertGreater(len(before[1]), 0)
        self.assertIn("sound", self.pyrometer("check", daemon.data))
        self.pyrometer("backup", daemon.data, self.home / "copy")
        self.assertEqual([f.read_bytes() for f in files], before)  # the WAL is the daemon's to empty
        self.assertEqual(len(self.restored(self.home / "copy").steps("r")), 100)
        daemon.start()
        self.assertEqual(len(daemon.steps("r")), 100)

    def test_a_flipped_byte(self):
        path = self.packed_store()
        first, last = flip(path, "hurt")
        text = self.pyrometer("check", path.parent, expect=1)
        self.assertIn("run hurt", text)
        self.assertIn(f"steps {first} to {last}", text)
        self.assertIn("checksum", text)
        self.assertNotIn("run sound", text)
        done = run_program("pyrometer", "--json", "check", path.parent)
        answer = json.loads(done.stdout)
        self.assertEqual((done.returncode, answer["ok"], len(answer["damage"])), (1, False, 1))
        damage = answer["damage"][0]
        self.assertEqual((damage["run"], damage["kind"], damage["tier"]), ("hurt", "segment", 0))
        self.assertEqual((damage["first_step"], damage["last_step"]), (first, last))
        self.assertTrue(damage["column"])

    def change(self, path, sql):
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute(sql)
            db.commit()

    def test_a_head_a_missing_block_and_an_index_that_lies(self):
        path = self.packed_store()
        pick = "(SELECT min(s.id) FROM segment AS s JOIN attempt AS a ON a.id=s.attempt JOIN run AS r ON r.id=a.run WHERE r.name='hurt')"
        for sql, what in (
            (f"UPDATE segment SET last_step=last_step+1 WHERE id={pick}", "index"),
            (f"DELETE FROM block WHERE id=(SELECT first_block FROM segment WHERE id={pick})", "cannot be read"),
            (f"UPDATE segment SET head=zeroblob(length(head)) WHERE id={pick}", "head's checksum"),
        ):
            self.change(path, sql)
            text = self.pyrometer("check", path.parent, expect=1)
            self.assertIn("run hurt", text)
            self.assertIn(what, text)
            self.assertNotIn("run sound", text)

    def test_a_row_of_the_journal(self):
        daemon = self.daemon()
        with Job(daemon) as job:
            job.hello("open")
            for i in range(5):
                job.step(i)
            job.wait_ack(4)
        daemon.kill9()
        path = daemon.data / "pyrometer.db"
        self.change(path, "UPDATE step SET columns=x'00ff' WHERE key=(SELECT max(key) FROM step)")
        text = self.pyrometer("check", path, expect=1)
        self.assertIn("run open", text)
        self.assertIn("steps 4 to 4", text)

    def test_pages_of_garbage(self):
        path = self.packed_store()
        page = query(path, "SELECT rootpage FROM sqlite_schema WHERE name='segment_by_place'")[0][0]
        whole = bytearray(path.read_bytes())
        whole[(page - 1) * 16384 : page * 16384] = os.urandom(16384)
        path.write_bytes(whole)
        self.assertIn("damaged: the database", self.pyrometer("check", path, expect=1))
        path.write_bytes(os.urandom(100000))
        self.assertIn("not a database", self.pyrometer("check", path, expect=1))

    def test_what_is_no_store(self):
        self.assertIn("no store", self.pyrometer("check", self.home / "none", expect=1))
        self.assertIn("no store", self.pyrometer("check", self.home, expect=1))
        empty = self.home / "pyrometer.db"
        empty.touch()
        self.assertIn("no store", self.pyrometer("check", self.home, expect=1))
        self.change(empty, "CREATE TABLE theirs (x)")
        self.assertIn("another program", self.pyrometer("check", self.home, expect=1))

    def test_a_store_of_an_earlier_version(self):
        old = self.home / "old.db"
        old.write_bytes(gzip.decompress((DATA / "store-version-1.db.gz").read_bytes()))
        answer = json.loads(self.pyrometer("--json", "check", old))
        self.assertEqual((answer["ok"], answer["version"], answer["segments"]), (True, 1, 0))
        self.assertGreater(answer["journal_rows"], 0)


# Mounts a directory ($0) upon itself, read-only, for the command behind it alone.
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


def can_mount():
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(["unshare", "-rm", "sh", "-c", READ_ONLY, home, "true"], capture_output=True, check=False).returncode == 0


@unittest.skipUnless(shutil.which("unshare") and can_mount(), "may not mount in a namespace of its own")
class ReadOnlyMount(Files):
    def pyrometer_in(self, directory, *args):
        words = ["unshare", "-rm", "sh", "-c", READ_ONLY, directory, BIN / "pyrometer", *args]
        return subprocess.run(list(map(str, words)), env=program_environment(), capture_output=True, text=True, check=False)

    def fine(self, directory, steps):
        done = self.pyrometer_in(directory, "check", directory)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("sound", done.stdout)
        copy = self.home / f"copy-{steps}"
        done = self.pyrometer_in(directory, "backup", directory, copy)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(self.restored(copy).steps("r")), steps)

    def test_of_a_daemon_that_stopped(self):
        home = self.home / "a? b#1%41"  # SQLite is given a URI
        home.mkdir()
        daemon = self.daemon(home=home)
        record(daemon, "r", 100)
        daemon.stop()
        self.fine(daemon.data, 100)

    def test_beside_a_daemon_and_behind_a_crash(self):
        daemon = self.daemon()
        record(daemon, "r", 100)
        self.fine(daemon.data, 100)
        record(daemon, "s", 1)
        daemon.kill9()
        (self.home / "copy-100").unlink()
        self.fine(daemon.data, 100)
        (daemon.data / "pyrometer.db-shm").unlink()  # as a copy without it
        for words in (["check", daemon.data], ["backup", daemon.data, self.home / "x"]):
            done = self.pyrometer_in(daemon.data, *words)
            self.assertEqual(done.returncode, 1)
            self.assertIn("pyrometer.db-wal has commits", done.stderr)
        self.assertFalse((self.home / "x.part").exists())


if __name__ == "__main__":
    unittest.main()
