"""When the store cannot be written: nothing is acknowledged, everybody is told why, reading goes on, and what was not
stored is stored once it works again. The disk fails for real (a limit of file sizes) and by tests/e2e/faultfs.c."""

import contextlib
import errno
import http.client
import json
import os
import resource
import signal
import sqlite3
import subprocess
import threading
import time
import unittest

from faults import Control, chosen
from harness import (BIN, SANITIZED, TIMEOUT, Daemon, Job, TestCase, eventually, frame, hello, make_step, program_environment,
                     run_program)
from receiver import Receiver


def preloading(library):
    """The environment in which a program has it in front of its own libraries."""
    environment = {"LD_PRELOAD": str(library)}
    if SANITIZED:
        environment["ASAN_OPTIONS"] = program_environment()["ASAN_OPTIONS"] + ":verify_asan_link_order=0"
    return environment


LONG = 12000  # steps of a run that takes many reads


class Faulty(Daemon):
    """A daemon whose disk and clock the test can break."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.control = self.home / "faults"
        self.environment = {"FAULTFS_ROOT": str(self.data), "FAULTFS_CONTROL": str(self.control),
                            **preloading(BIN / "faultfs.so")}

    def break_(self, *rules):
        """(call, errno) or (call, errno, part of the file's name)."""
        new = self.control.with_suffix(".new")
        new.write_text("".join(" ".join(map(str, rule)) + "\n" for rule in rules))
        new.rename(self.control)  # the daemon sees the old rules or the new, never half of them

    def mend(self):
        self.break_()


class TroubleCase(TestCase):
    def faulty(self, config=None):
        daemon = Faulty(config)
        self.daemons = [*self.daemons, daemon]
        self.addCleanup(daemon.close)
        return daemon.start()

    def ready(self, daemon):
        return daemon.call("GET", "/readyz")[0] == 200

    def metric(self, daemon, name):
        for text in daemon.get("/metrics")[1].decode().splitlines():
            if text.startswith(name + " "):
                return float(text.split()[1])
        raise AssertionError(f"no metric {name}")

    def expect_told(self, job):
        """The error that says that nothing can be stored: not fatal, and no message's fault."""
        error = job.expect("error")
        self.assertEqual((error["code"], error["fatal"], error["line"]), ("overloaded", False, 0))
        self.assertIn("cannot be stored", error["message"])
        return error

    def sick(self, daemon, job, first, last):
        """Sends steps that cannot be stored, and looks at what everybody is told."""
        for step in range(first, last + 1):
            job.step(step)
        self.expect_told(job)
        self.assertFalse(self.ready(daemon))
        problem = daemon.get_json("/readyz", expect=503)
        self.assertIn("SQLite", problem["detail"])
        self.assertEqual(self.metric(daemon, "pyrometer_ready"), 0)
        firing = daemon.alerts(state="firing", severity="critical")[0]
        self.assertEqual((firing["rule"], firing["id"], firing["run"], firing["resolved"]),
                         ("store_trouble", 0, None, None))
        self.assertIn(firing["summary"], problem["detail"])
        self.assertNotIn("store_trouble", [a["rule"] for a in daemon.alerts(state="resolved")])
        done = run_program("pyrometer", "--url", "http://%s:%d" % daemon.http, "alerts", "--state", "firing")
        self.assertRegex(done.stdout, r"firing +the daemon +store_trouble +–")

    def well(self, daemon, job, last):
        job.wait_ack(last)
        eventually(lambda: self.ready(daemon), "readiness")
        resolved = daemon.alerts(state="resolved")[0]
        self.assertEqual(resolved["rule"], "store_trouble")
        self.assertGreaterEqual(resolved["resolved"], resolved["started"])
        self.assertNotIn("store_trouble", [a["rule"] for a in daemon.alerts(state="firing")])

    def numbers(self, daemon, run):
        return [m["step"] for m in daemon.steps(run)]


class Disk(TroubleCase):
    def test_every_kind_of_failure(self):
        daemon = self.faulty()
        job = self.job(daemon)
        job.hello("sick")
        step = 0
        for rules in ([("write", errno.ENOSPC)], [("write", errno.EIO)], [("sync", errno.EIO)],
                      [("write", errno.ENOSPC), ("truncate", errno.ENOSPC), ("sync", errno.EIO)],
                      [("write", errno.EDQUOT, "-wal")], [("sync", errno.EIO, "-wal")]):
            with self.subTest(rules=rules):
                for number in range(step, step + 10):
                    job.step(number)
                job.wait_ack(step + 9)
                daemon.break_(*rules)
                self.sick(daemon, job, step + 10, step + 19)
                self.assertEqual(job.acked, step + 9)
                # What is stored can be read, and what is live can be seen.
                self.assertEqual(self.numbers(daemon, "sick"), list(range(step + 10)))
                self.assertEqual(daemon.series("sick", "loss")["series"][0]["step"][-1], step + 9)
                self.assertEqual(daemon.reading_at("sick", step + 19)["step"], step + 19)
                daemon.mend()
                self.well(daemon, job, step + 19)
                step += 20
        self.assertEqual(self.numbers(daemon, "sick"), list(range(step)))
        daemon.kill9()
        daemon.start()
        self.assertEqual(self.numbers(daemon, "sick"), list(range(step)))

    def test_receivers_are_told(self):
        receiver = Receiver()
        self.addCleanup(receiver.close)
        daemon = self.faulty('alerts: { webhooks: [ { url: "%s", format: generic } ] }\n' % receiver.url)
        job = self.job(daemon)
        job.hello("sick")
        for last in (9, 19):
            daemon.break_(("write", errno.ENOSPC))
            for step in range(last - 9, last + 1):
                job.step(step)
            self.expect_told(job)
            daemon.mend()
            job.wait_ack(last)
        eventually(lambda: len(receiver.posts) == 4, "both times, beginning and end")
        told = [json.loads(body) for _, _, body in receiver.posts]
        self.assertEqual([t["status"] for t in told], ["firing", "resolved"] * 2)
        first, second = told[0]["alerts"][0], told[2]["alerts"][0]
        self.assertEqual(first["labels"], {"alertname": "store_trouble", "severity": "critical"})
        self.assertIn("SQLite", first["annotations"]["summary"])
        self.assertIn("make room", first["annotations"]["description"])
        self.assertGreater(second["startsAt"], first["startsAt"])
        self.assertEqual(told[1]["alerts"][0]["startsAt"], first["startsAt"])
        self.assertEqual((told[0]["pyrometer"]["id"], told[0]["pyrometer"]["run"]), (0, None))
        eventually(lambda: daemon.get_json("/api/v1/receivers")["receivers"][0]["waiting"] == 0, "nothing waits")

    def test_new_jobs_are_told(self):
        """A run that begins while nothing can be stored is taken, told, and stored when it can be."""
        daemon = self.faulty()
        daemon.break_(("write", errno.ENOSPC))
        first = self.job(daemon)
        first.hello("first")
        first.step(0)
        self.expect_told(first)
        second = self.job(daemon)
        self.assertEqual(second.hello("second")["last_step"], -1)
        self.expect_told(second)
        for step in range(5):
            second.frame(frame(make_step(step)))
        second.ping()
        self.assertEqual(daemon.reading_at("second", 4)["step"], 4)
        daemon.mend()
        first.wait_ack(0)
        second.wait_ack(4)
        self.assertEqual(self.numbers(daemon, "second"), list(range(5)))

    def test_killed_in_trouble(self):
        """What was acknowledged is there; what was not, the job sends again."""
        daemon = self.faulty()
        job = self.job(daemon)
        job.hello("killed")
        for step in range(10):
            job.step(step)
        job.wait_ack(9)
        for last, rule in enumerate((("write", errno.ENOSPC), ("sync", errno.EIO)), 10):
            daemon.break_(rule)
            job.step(last)
            self.expect_told(job)
            daemon.kill9()
            daemon.mend()
            daemon.start()
            job = self.job(daemon)
            self.assertIn(job.hello("killed")["last_step"], (last - 1, last))
            job.step(last)
            job.wait_ack(last)
            self.assertEqual(self.numbers(daemon, "killed"), list(range(last + 1)))
            with sqlite3.connect(f"file:{daemon.data / 'pyrometer.db'}?mode=ro", uri=True) as db:
                self.assertEqual(db.execute("PRAGMA quick_check").fetchall(), [("ok",)])

    def test_memory_is_bounded(self):
        """Once what waits is as much as ingest.max_queue allows nothing more is read, and nothing is lost."""
        daemon = self.faulty("ingest: { max_queue: 1MiB }\n")
        job = self.job(daemon)
        job.hello("flood", layers=100)
        data = [frame(make_step(step, 100)) for step in range(300)]
        job.frame(data[0])
        job.wait_ack(0)
        daemon.break_(("write", errno.ENOSPC))
        job.socket.settimeout(2)
        with self.assertRaises(TimeoutError):  # the daemon stops reading
            for step in range(1, 1 << 20):
                piece = data[step % 300]
                sent = step
                rest = memoryview(piece[:8] + step.to_bytes(8, "little") + piece[16:])
                while rest:
                    rest = rest[job.socket.send(rest):]
        job.socket.settimeout(TIMEOUT)
        self.assertGreater(self.metric(daemon, "pyrometer_queue_bytes"), 1 << 20)
        self.assertLess(self.metric(daemon, "pyrometer_queue_bytes"), 4 << 20)
        self.assertGreater(daemon.temperature("flood")["step"], 10)
        daemon.mend()
        while rest:
            rest = rest[job.socket.send(rest):]
        while job.acked < sent:
            self.assertIn(job.recv()["type"], ("ack", "error"))
        self.assertEqual(self.numbers(daemon, "flood"), list(range(sent + 1)))

    def test_limit_of_file_sizes(self):
        """The kernel itself refuses to let the files grow."""
        daemon = self.daemon()
        job = self.job(daemon)
        job.hello("limited")
        job.step(0)
        job.wait_ack(0)
        largest = max(f.stat().st_size for f in daemon.data.iterdir())
        _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (largest + 20000, hard))
        last = 0
        while self.ready(daemon):
            for _ in range(100):
                last += 1
                job.step(last)
            job.send({"type": "ping"})  # the limit may be met before it is answered: an error comes first then
            while job.recv()["type"] == "ack":
                pass
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        while job.acked < last:
            self.assertIn(job.recv()["type"], ("ack", "error", "pong"))
        self.assertEqual(self.numbers(daemon, "limited"), list(range(last + 1)))

    def test_neither_pong_nor_ack_says_that_an_event_is_stored(self):
        """The ack of a step that is stored already would: it speaks for what came before it."""
        daemon = self.faulty()
        with self.job(daemon) as job:
            job.hello("events")
            job.step(0)
            job.wait_ack(0)
        daemon.break_(("all", errno.ENOSPC))
        job = self.job(daemon)
        job.hello("events")
        job.send({"type": "event", "step": 0, "time": 1732345678, "name": "mark"})
        self.expect_told(job)
        job.step(0)
        for _ in range(2):  # what is due is sent before the second
            self.assertIs(job.ping().get("stored"), False)
        self.assertEqual(job.acked, -1)
        daemon.mend()
        job.wait_ack(0)
        self.assertNotIn("stored", job.ping())
        daemon.kill9()
        daemon.start()
        self.assertEqual(len(daemon.messages("events", "event")), 1)

    def test_steps_of_the_attempt_before_are_acknowledged_once_stored(self):
        """Another optimizer begins an attempt that supersedes nothing, also not what waits for the disk."""
        daemon = self.faulty("alerts: { stall_after: 1h }\n")  # which would be told, and the steps with it
        job = self.job(daemon)
        job.hello("attempts")
        job.step(0)
        job.wait_ack(0)
        daemon.break_(("all", errno.ENOSPC))
        for step in range(1, 6):
            job.step(step)
        self.expect_told(job)
        job.ping()
        other = self.job(daemon)
        other.hello("attempts", optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.5})
        for step in range(1, 6):  # behind the welcome's
            other.step(step)
        daemon.mend()
        self.expect_told(other)
        other.wait_ack(5)

    def test_a_replay_waits_until_its_last_event_is_stored(self):
        daemon = self.faulty()
        daemon.break_(("all", errno.ENOSPC))
        first = self.job(daemon)
        first.hello("first")
        first.step(0)
        self.expect_told(first)
        recording = daemon.home / "recording.ndjson"
        recording.write_text("".join(json.dumps(m) + "\n" for m in (
            hello("late"), {"type": "event", "step": 0, "time": 1732345678, "name": "mark"}, {"type": "end"})))
        replay = subprocess.Popen([BIN / "pyrometer", "replay", recording, "--ingest", "%s:%d" % daemon.ingest[0]],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        eventually(lambda: self.metric(daemon, "pyrometer_messages_received_total") >= 7 or replay.poll() is not None,
                   "two messages, three, and a second ping")
        self.assertIsNone(replay.poll())
        daemon.mend()
        said, _ = replay.communicate(timeout=TIMEOUT)
        self.assertEqual(replay.returncode, 0, said)
        daemon.kill9()
        daemon.start()
        self.assertEqual(len(daemon.messages("late", "event")), 1)

    def test_stopped_in_trouble(self):
        """It says that not everything is stored, by its exit too; the job still has the rest."""
        daemon = self.faulty()
        job = self.job(daemon)
        job.hello("stopped")
        job.step(0)
        job.wait_ack(0)
        daemon.break_(("write", errno.ENOSPC))
        job.step(1)
        self.expect_told(job)
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(job.expect_error("shutting_down", number=job.lines)["fatal"], True)
        self.assertEqual(daemon.process.wait(TIMEOUT), 1)
        self.assertIn("not everything could be stored", daemon.log())
        daemon.process = None
        daemon.mend()
        daemon.start()
        job = self.job(daemon)
        self.assertEqual(job.hello("stopped")["last_step"], 0)


class Stop(TroubleCase):
    def test_long_work_is_broken_off(self):
        """A stop amid a walk of a whole run reads next to nothing more of it. No clock is asked: reads are counted."""
        daemon = self.faulty()
        control = Control(daemon.home / "numbers")
        daemon.environment["FAULTFS_COUNTER"] = str(daemon.home / "numbers")
        with Job(daemon) as job:
            job.hello("long", layers=2)
            for step in range(LONG):
                job.send(make_step(step, layers=2, seed=step))
                if step % 500 == 499:
                    job.wait_ack(step)
            job.send({"type": "end", "status": "completed"})
            job.wait_ack(LONG - 1)
        daemon.restart()
        store = f"file:{daemon.data}/pyrometer.db?mode=ro"

        def is_packed():
            with contextlib.closing(sqlite3.connect(store, uri=True)) as db:
                return db.execute("SELECT count(*) FROM step").fetchone() == (0,)
        eventually(is_packed, "the steps to be packed")
        daemon.restart()
        path = "/api/v1/runs/long/states"
        before = control.reads
        daemon.get_json(path)
        whole = control.reads - before
        daemon.restart()
        daemon.break_(("hold",))
        before = control.reads

        def ask():
            with contextlib.suppress(OSError, http.client.HTTPException):  # the daemon may hang up
                daemon.call("GET", path)
        asking = threading.Thread(target=ask)
        asking.start()
        self.addCleanup(asking.join)
        eventually(lambda: control.reads > before, "the walk to begin")
        daemon.process.send_signal(signal.SIGTERM)
        eventually(lambda: daemon.call("GET", "/api/v1/silences")[0] == 503, "the daemon to be stopping")
        before = control.reads
        daemon.mend()
        self.assertEqual(daemon.process.wait(TIMEOUT), 0)
        self.assertLess(control.reads - before, whole / 2)


class Each(TroubleCase):
    """Every write, sync, truncation and rename in turn fails, once each: a share of them here, all with FAULTS=all."""

    SHARE = 4

    def counted(self):
        daemon = Faulty()
        daemon.counter = Control(daemon.home / "counter")
        daemon.environment["FAULTFS_COUNTER"] = str(daemon.home / "counter")
        self.daemons = [*self.daemons, daemon]
        self.addCleanup(daemon.close)
        return daemon

    def session(self, daemon, run):
        """A run with all that is stored of one; returns its export, free of its name."""
        with Job(daemon) as job:
            job.hello(run)
            for step in range(6):
                job.step(step, time=1.7e9 + step) if step % 2 else job.frame(frame(make_step(step, time=1.7e9 + step)))
                job.send({"type": "event", "step": step, "name": "epoch", "time": 1.7e9})
                while job.acked < step:
                    self.assertIn(job.recv()["type"], ("ack", "error"))
            job.send({"type": "end", "status": "completed"})
            job.half_close()
            job.drain()
        eventually(lambda: self.ready(daemon), "readiness")
        return daemon.export(run).replace(run.encode(), b"RUN")

    def test_while_serving(self):
        daemon = self.counted().start()
        reference = self.session(daemon, "warm")
        before = daemon.counter.calls
        self.assertEqual(self.session(daemon, "counted"), reference)
        numbers, seed = chosen(daemon.counter.calls - before, self.SHARE)
        failed = 0
        for n in numbers:
            with self.subTest(n=n, seed=seed):
                daemon.counter.arm(n)
                self.assertEqual(self.session(daemon, f"n{n}"), reference)
                failed += daemon.counter.failed
                daemon.counter.arm(0)
        self.assertGreater(failed, 0)
        daemon.kill9()
        daemon.start()
        for n in numbers:
            self.assertEqual(daemon.export(f"n{n}").replace(b"n%d" % n, b"RUN"), reference)

    def test_while_starting_and_stopping(self):
        """It starts, or says why not and exits with 1; it stops, or says that it could not store all; nothing is lost."""
        daemon = self.counted().start()
        reference = self.session(daemon, "kept")
        daemon.kill9()
        before = daemon.counter.calls
        daemon.start()
        daemon.stop()
        numbers, seed = chosen(daemon.counter.calls - before, self.SHARE)
        for n in numbers:
            with self.subTest(n=n, seed=seed):
                daemon.start()
                daemon.kill9()  # so that there is something to recover
                daemon.counter.arm(n)
                try:
                    daemon.start()
                    daemon.stop()
                except AssertionError as error:
                    self.assertIn("the daemon ended with 1\n", str(error))
                    daemon.process = None
                daemon.counter.arm(0)
                daemon.start()
                self.assertEqual(daemon.export("kept").replace(b"kept", b"RUN"), reference)
                daemon.stop()


class Start(TroubleCase):
    def refused(self, daemon, *words):
        """Starting fails with a message that has these words."""
        with self.assertRaises(AssertionError) as caught:
            daemon.start()
        for word in ("ended with 1", *words):
            self.assertIn(word, str(caught.exception))
        daemon.process = None

    def test_a_disk_that_cannot_be_written(self):
        for call in ("write", "sync", "all"):
            with self.subTest(call=call):
                daemon = Faulty()
                self.addCleanup(daemon.close)
                daemon.break_((call, errno.EROFS))
                self.refused(daemon)
                daemon.mend()
                daemon.start()
                self.assert_served(daemon)

    def test_a_directory_that_is_none(self):
        daemon = Daemon()
        self.addCleanup(daemon.close)
        daemon.data.write_text("a file")
        done = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=TIMEOUT, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(str(daemon.data), done.stderr)

    def test_a_store_of_a_newer_version(self):
        daemon = self.daemon()
        daemon.stop()
        path = daemon.data / "pyrometer.db"
        with sqlite3.connect(path) as db:
            version, = db.execute("PRAGMA user_version").fetchone()
            db.execute(f"PRAGMA user_version={version + 90}")
        db.close()
        before = path.read_bytes()
        self.refused(daemon, "newer", str(version + 90))
        self.assertEqual(path.read_bytes(), before)  # it was left alone

    def test_another_programs_database(self):
        daemon = Daemon()
        self.addCleanup(daemon.close)
        daemon.data.mkdir()
        with sqlite3.connect(daemon.data / "pyrometer.db") as db:
            db.execute("CREATE TABLE theirs (x)")
        db.close()
        before = (daemon.data / "pyrometer.db").read_bytes()
        self.refused(daemon, "another program")
        self.assertEqual((daemon.data / "pyrometer.db").read_bytes(), before)

    def test_no_database_at_all(self):
        daemon = Daemon()
        self.addCleanup(daemon.close)
        daemon.data.mkdir()
        (daemon.data / "pyrometer.db").write_bytes(b"not a database\n" * 500)
        self.refused(daemon, "pyrometer.db")

    def test_two_daemons_on_one_directory(self):
        first = self.daemon()
        job = self.job(first)
        job.hello("kept")
        second = Daemon(home=first.home)
        second.log_file = first.home / "stderr-2"
        endpoints = (first.data / "endpoints.json").read_bytes()
        with self.assertRaises(AssertionError) as caught:
            second.start()
        self.assertIn(f"process {first.process.pid}", str(caught.exception))
        (first.data / "endpoints.json").write_bytes(endpoints)  # the harness took it away
        job.step(0)
        job.wait_ack(0)


class Clock(TroubleCase):
    YEAR = 365 * 86400

    def test_jumps(self):
        """A wall clock that leaps a year ahead and two back: acknowledgements, readings and the watch over silence go
        by the monotonic clock; steps have the times that the clock showed."""
        daemon = self.faulty("alerts: { stall_after: 1h }\n")
        job = self.job(daemon)
        job.hello("jumps")
        step = 0
        for offset in (0, self.YEAR, -self.YEAR, 0):
            daemon.break_(("clock", offset))
            for _ in range(30):
                job.step(step, time=None)
                step += 1
            job.wait_ack(step - 1)
            job.send({"type": "event", "step": step, "name": "epoch"})
            job.ping()
            self.assertEqual(daemon.reading_at("jumps", step - 1)["step"], step - 1)
            self.assertEqual(daemon.run("jumps")["status"], "running")
            here = [m["time"] - time.time() - offset for m in daemon.steps("jumps")[-30:]]
            self.assertLess(max(map(abs, here)), TIMEOUT)
        self.assertEqual(self.numbers(daemon, "jumps"), list(range(step)))
        self.assertEqual([a["rule"] for a in daemon.alerts() if a["rule"] == "stalled"], [])

    def test_silence_is_told_although_the_clock_leapt(self):
        """A leap between two steps is no measure of how long a run's steps take."""
        daemon = self.faulty("alerts: { stall_after: 1s }\n")
        job = self.job(daemon)
        job.hello("silent")
        for step in range(50):
            daemon.break_(("clock", self.YEAR if step > 40 else 0))
            job.step(step, time=None)
            job.wait_ack(step)
        eventually(lambda: daemon.run("silent")["status"] == "stalled", "the alert of a silent run")


if __name__ == "__main__":
    unittest.main()
