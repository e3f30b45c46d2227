"""The clients' promises, against the real daemon: the job's steps all run, no call of the client takes long, and after
whatever happened every step is in the store once."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from faults import Control
from harness import BIN, TESTS, TestCase, eventually, run_program
from proxy import Proxy
from test_trouble import Faulty, preloading

STEPS = 300
# A call copies and queues. What it takes beyond that is the machine's doing: this bound only tells waiting for a
# network or a disk (seconds) from not waiting.
BOUND_MS = 1000


class FaultCase(TestCase):
    JOB = [sys.executable, str(TESTS / "clients" / "job.py")]

    def setUp(self):
        super().setUp()
        self.home = Path(tempfile.mkdtemp(prefix="pyro-job-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.spool = self.home / "spool"

    def proxy(self, daemon=None):
        proxy = Proxy(daemon.ingest[0] if daemon else None)
        self.addCleanup(proxy.close)
        return proxy

    def start(self, server, run, *more, steps=STEPS, pace_ms=2, **env):
        """The job, once its first step is done."""
        env = {**os.environ, "PYTHONPATH": str(TESTS.parent / "clients" / "python"), "PYROMETER_SPOOL": str(self.spool),
               **{k: str(v) for k, v in env.items()}}
        process = subprocess.Popen([*self.JOB, server, run, str(steps), str(pace_ms), *map(str, more)], env=env,
                                   stdout=subprocess.PIPE, stderr=open(self.home / "stderr", "ab"))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), b"started\n", self.stderr())
        return process

    def stderr(self):
        return (self.home / "stderr").read_text()

    def finish(self, process, steps=STEPS):
        out = process.stdout.read()
        self.assertEqual(process.wait(), 0, self.stderr())
        told = json.loads(out)
        self.assertEqual(told["steps"], steps)
        self.assertLess(told["worst_ms"], BOUND_MS)
        self.assertEqual(told["dropped"], 0, self.stderr())
        return told

    def is_stored(self, daemon, run, steps=STEPS):
        """Every step, and the event and the scalar of each, once, in order, nothing else."""
        stored = [m["step"] for m in daemon.steps(run)]
        self.assertEqual(stored, list(range(steps)))
        self.assertEqual([m["step"] for m in daemon.messages(run, "event") if m["name"] == "mark"], list(range(steps)))
        self.assertEqual(daemon.series(run, "scalar.mark")["series"][0]["value"], list(range(steps)))

    def steps(self, daemon, run):
        """How many of the run are stored; 0 before it is known."""
        return sum(r["steps"] for r in daemon.get_json("/api/v1/runs")["runs"] if r["run"] == run)

    def where(self, daemon):
        return "%s:%d" % daemon.ingest[0]

    def sync(self, daemon, expect=0):
        done = run_program("pyrometer", "sync", self.spool, "--ingest", self.where(daemon))
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout


class Promises:
    """Both clients' rows of the matrix."""

    def test_a_daemon_that_is_not_there_and_comes_later(self):
        daemon = self.daemon()
        proxy = self.proxy(daemon)
        proxy.mode = "refuse"
        job = self.start(proxy.address, "late")
        eventually(lambda: proxy.accepted >= 2, "a second try")
        proxy.mode = "pass"
        self.finish(job)
        self.is_stored(daemon, "late")
        self.assertEqual(list(self.spool.glob("*")), [])

    def test_a_daemon_that_never_comes_leaves_a_spool(self):
        proxy = self.proxy()
        proxy.mode = "refuse"
        self.finish(self.start(proxy.address, "never", JOB_FINISH_S=0.5))
        daemon = self.daemon()
        self.assertIn(f"{STEPS} steps acknowledged", self.sync(daemon))
        self.is_stored(daemon, "never")
        self.assertEqual(daemon.run("never")["status"], "completed")
        self.assertEqual(list(self.spool.glob("*")), [])

    def test_a_black_hole(self):
        proxy = self.proxy()
        proxy.mode = "swallow"
        self.finish(self.start(proxy.address, "hole", JOB_FINISH_S=0.5))
        daemon = self.daemon()
        self.sync(daemon)
        self.is_stored(daemon, "hole")

    def test_a_slow_network(self):
        daemon = self.daemon()
        proxy = self.proxy(daemon)
        proxy.mode = "slow"
        self.finish(self.start(proxy.address, "slow", pace_ms=0.2, JOB_FINISH_S=30))
        self.is_stored(daemon, "slow")

    def test_connections_that_break(self):
        daemon = self.daemon()
        for kind in ("cut", "reset"):
            proxy = self.proxy(daemon)
            job = self.start(proxy.address, kind, JOB_FINISH_S=30)
            for tries in range(2, 4):
                eventually(lambda: self.steps(daemon, kind) > 30 * (tries - 1), "some steps")
                getattr(proxy, kind)()
                eventually(lambda: proxy.accepted >= tries or job.poll() is not None, "another connection")
            self.finish(job)
            self.is_stored(daemon, kind)

    def test_a_daemon_that_is_killed_and_comes_back(self):
        daemon = self.daemon()
        proxy = self.proxy(daemon)
        job = self.start(proxy.address, "restarts", JOB_FINISH_S=30)
        eventually(lambda: self.steps(daemon, "restarts") > 30, "some steps")
        daemon.kill9()
        daemon.start()
        proxy.target = daemon.ingest[0]
        self.finish(job)
        self.is_stored(daemon, "restarts")

    def test_a_daemon_that_hangs(self):
        daemon = self.daemon()
        job = self.start(self.where(daemon), "hangs", JOB_FINISH_S=0.5)
        eventually(lambda: self.steps(daemon, "hangs") > 30, "some steps")
        daemon.process.send_signal(signal.SIGSTOP)
        self.finish(job)  # to its end: nothing it does waits for the daemon
        daemon.process.send_signal(signal.SIGCONT)
        self.sync(daemon)
        self.is_stored(daemon, "hangs")

    def test_a_daemon_that_refuses(self):
        token = self.home / "token"
        token.write_text("right\n")
        token.chmod(0o600)
        daemon = self.daemon(f"ingest: {{ token_file: {token} }}\n")
        self.finish(self.start(self.where(daemon), "refused", JOB_TOKEN="wrong"))
        self.assertIn("unauthorized", self.stderr())
        done = run_program("pyrometer", "sync", self.spool, "--ingest", self.where(daemon), "--token", "right")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.is_stored(daemon, "refused")

    def test_a_daemon_whose_disk_is_full(self):
        daemon = Faulty(None)
        self.daemons = [*self.daemons, daemon]
        self.addCleanup(daemon.close)
        daemon.start()
        daemon.break_(("all", errno.ENOSPC))
        job = self.start(self.where(daemon), "full", JOB_FINISH_S=30)
        eventually(lambda: daemon.call("GET", "/readyz")[0] == 503, "a store that cannot be written")
        daemon.mend()
        self.finish(job)
        self.is_stored(daemon, "full")

    def on_a_disk(self, run, prepare, has_failed):
        """The job, whose spool lies on a disk that fails, until it has: memory is enough for the rest."""
        daemon = self.daemon()
        proxy = self.proxy(daemon)
        proxy.mode = "refuse"
        prepare(rules := self.home / "rules", control := Control(self.home / "control"))
        job = self.start(proxy.address, run, steps=1000, JOB_FINISH_S=30, FAULTFS_ROOT=self.spool, FAULTFS_CONTROL=rules,
                         FAULTFS_COUNTER=self.home / "control", **preloading(BIN / "faultfs.so"))
        eventually(lambda: has_failed(control), "a write of the spool that fails")
        proxy.mode = "pass"
        self.finish(job, steps=1000)
        self.is_stored(daemon, run, steps=1000)

    def test_a_full_disk_below_the_spool(self):
        self.on_a_disk("full-disk", lambda rules, _: rules.write_text(f"write {errno.ENOSPC}\n"),
                       lambda control: control.calls > 0)

    def test_a_disk_that_fails_once_something_is_spooled(self):
        self.on_a_disk("bad-disk", lambda _, control: control.arm(2), lambda control: control.failed > 0)

    def test_forks(self):
        daemon = self.daemon()
        self.finish(self.start(self.where(daemon), "forks", JOB_FORKS=1))
        self.is_stored(daemon, "forks")

    def test_a_killed_job_that_resumes_from_its_checkpoint(self):
        daemon = self.daemon()
        job = self.start(self.where(daemon), "resumed")
        eventually(lambda: self.steps(daemon, "resumed") > 120, "some steps")
        job.kill()
        job.wait()
        self.finish(self.start(self.where(daemon), "resumed", 100, 99, JOB_FINISH_S=30), steps=STEPS - 100)
        eventually(lambda: daemon.run("resumed")["last_step"] == STEPS - 1, "the last step, shown")
        run = daemon.run("resumed")
        self.assertEqual((len(run["attempts"]), run["attempts"][1]["rewind_step"]), (2, 99))
        self.assertEqual((run["first_step"], run["last_step"], run["steps"]), (0, STEPS - 1, STEPS))
        loss = daemon.series("resumed", "loss")["series"][0]
        self.assertEqual(loss["step"], list(range(STEPS)))

    def test_a_job_killed_while_there_is_no_daemon(self):
        proxy = self.proxy()
        proxy.mode = "refuse"
        job = self.start(proxy.address, "orphan", pace_ms=5)
        eventually(lambda: any(path.stat().st_size for path in self.spool.glob("*/*.gz")), "a spool")
        job.kill()
        job.wait()
        daemon = self.daemon()
        self.finish(self.start(self.where(daemon), "orphan", 290), steps=10)
        stored = [m["step"] for m in daemon.steps("orphan")]
        kept = stored[:-10]
        self.assertGreater(len(kept), 0)
        self.assertEqual(kept, list(range(len(kept))))  # all up to the last second
        self.assertEqual(stored[-10:], list(range(290, 300)))
        self.assertEqual(list(self.spool.glob("*")), [])


class Python(Promises, FaultCase):
    def test_no_disk_for_the_spool(self):
        daemon = self.daemon()
        proxy = self.proxy(daemon)
        proxy.mode = "refuse"
        job = self.start(proxy.address, "no-disk", PYROMETER_SPOOL="/dev/null/spool", JOB_FINISH_S=30)
        eventually(lambda: "cannot be kept on disk" in self.stderr(), "the warning")
        proxy.mode = "pass"
        self.finish(job)  # memory was enough
        self.is_stored(daemon, "no-disk")
        self.assertEqual(self.stderr().count("cannot be kept on disk"), 1)

    def test_syncs_at_the_same_time_deliver_once(self):
        proxy = self.proxy()
        proxy.mode = "refuse"
        for run in ("one", "two"):
            self.finish(self.start(proxy.address, run, JOB_FINISH_S=0.2))
        daemon = self.daemon()
        syncs = [subprocess.Popen([BIN / "pyrometer", "sync", self.spool, "--ingest", self.where(daemon)],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(3)]
        for sync in syncs:
            said, _ = sync.communicate()
            self.assertEqual(sync.returncode, 0, said)
        for run in ("one", "two"):
            self.is_stored(daemon, run)
        self.assertEqual(list(self.spool.glob("*")), [])

    def test_many_warnings_are_one(self):
        proxy = self.proxy()
        proxy.mode = "refuse"
        self.finish(self.start(proxy.address, "quiet", JOB_FINISH_S=0.2))
        self.assertLessEqual(len(self.stderr().splitlines()), 3, self.stderr())

    def test_what_is_spooled_is_counted(self):
        proxy = self.proxy()
        proxy.mode = "refuse"
        told = self.finish(self.start(proxy.address, "counted", JOB_FINISH_S=0.2))
        self.assertEqual(told["spooled"], 3 * STEPS + 1)  # each with its event and its scalars; the end


class C(Promises, FaultCase):
    JOB = os.environ.get("CLIENT_JOB", str(BIN / "client-job")).split()

    def test_no_disk_for_the_spool(self):
        daemon = self.daemon()
        proxy = self.proxy(daemon)
        proxy.mode = "refuse"
        job = self.start(proxy.address, "no-disk", PYROMETER_SPOOL="/dev/null/spool", JOB_FINISH_S=30, steps=1000)
        eventually(lambda: proxy.accepted >= 5, "more tries, the spool's among them")
        proxy.mode = "pass"
        self.finish(job, steps=1000)  # memory was enough
        self.is_stored(daemon, "no-disk", steps=1000)


if __name__ == "__main__":
    import unittest
    unittest.main()
