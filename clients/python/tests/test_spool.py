"""What waits on disk: written, cut off, bounded, delivered once, and left behind by a process that was killed."""
from __future__ import annotations

import errno
import gzip
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import unittest
from unittest import mock

import pyrometer
from pyrometer import _spool

from tests.fake import PATIENCE_S, closed_port
from tests.test_client import LAYERS, ROOT, ClientTest

HELLO = {"type": "hello", "protocol": 1, "run": "r", "layers": [], "token": "t", "resume": {"rewind": 3}}


def step(number):
    return json.dumps({"type": "step", "step": number, "loss": 1.5}, separators=(",", ":")).encode() + b"\n"


def eventually(ask):
    deadline = time.monotonic() + PATIENCE_S
    while not ask():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come about")
        time.sleep(0.01)


class Files(ClientTest):
    def new(self, **kwargs):
        spool = _spool.Spool(self.spool, HELLO, **kwargs)
        self.addCleanup(spool.release)
        return spool

    def test_a_segment_is_a_recording(self):
        spool = self.new()
        for number in range(4, 7):
            spool.append(step(number), number)
        spool.seal()
        spool.append(step(7), 7)
        spool.flush()
        first, second = sorted(spool.path.glob("*.gz"))
        lines = [json.loads(line) for line in gzip.open(first)]
        self.assertEqual([m["type"] for m in lines], ["hello"] + ["step"] * 3)
        self.assertEqual(lines[0]["resume"], {"rewind": 3})
        self.assertNotIn("token", lines[0])
        again = [json.loads(line) for line in gzip.open(second)]
        self.assertEqual((again[0]["resume"], again[1]["step"]), ("continue", 7))
        self.assertEqual(spool.count(), 4)

    def test_what_was_cut_off_costs_its_own_lines_only(self):
        spool = self.new()
        for number in range(10):
            spool.append(step(number), number)
            spool.flush()
        [path] = spool.path.glob("*.gz")
        whole = path.read_bytes()
        for length in range(len(whole)):
            path.write_bytes(whole[:length])
            steps = [line.step for line in _spool.read_lines(path) if line.kind == "step"]
            self.assertEqual(steps, list(range(len(steps))))
        self.assertGreaterEqual(len(steps), 9)

    def test_it_is_bounded_and_the_oldest_goes(self):
        with mock.patch.object(_spool, "SEGMENT_BYTES", 2000), mock.patch.object(_spool, "MEMBER_BYTES", 500), \
                self.assertLogs("pyrometer", "WARNING"):
            spool = self.new(limit=2000)
            for number in range(1000):
                spool.append(step(number), number)
        spool.flush()
        self.assertLess(sum(path.stat().st_size for path in spool.path.iterdir()), 4000)
        self.assertEqual(spool.dropped + spool.count(), 1000)
        steps = []
        while (found := spool.take_segment()) is not None:
            steps += [line.step for line in found[1]]
        self.assertEqual(steps, list(range(1000 - len(steps), 1000)))

    def test_a_disk_that_is_full_is_said_once(self):
        spool = self.new()
        spool.append(step(1), 1)
        with mock.patch("builtins.open", side_effect=OSError(errno.ENOSPC, "No space left on device")), \
                self.assertLogs("pyrometer", "WARNING") as logs:
            spool.flush()
        self.assertTrue(spool.broken)
        spool.append(step(2), 2)
        self.assertEqual(len(logs.output), 1)
        self.assertEqual([line.step for line in spool.take_back()], [1, 2])
        self.assertEqual((spool.take_back(), spool.count()), ([], 0))

    def test_a_disk_that_has_room_again_is_used_again(self):
        spool = self.new()
        spool.append(step(1), 1)
        spool.flush()
        with mock.patch("builtins.open", side_effect=OSError(errno.ENOSPC, "No space left on device")), \
                self.assertLogs("pyrometer", "WARNING"):
            spool.append(step(2), 2)
            spool.flush()
        spool.try_again()
        self.assertTrue(spool.broken)  # not yet
        for line in spool.take_back():
            with mock.patch.object(_spool, "RETRY_S", 0.0):
                spool.try_again()
            spool.append(line.data, line.step)
        spool.flush()
        steps = []
        while (found := spool.take_segment()) is not None:
            steps += [line.step for line in found[1]]
        self.assertEqual((steps, spool.broken), ([1, 2], False))


    def test_a_segment_that_cannot_be_read_now_stays(self):
        spool = self.new()
        spool.append(step(1), 1)
        spool.flush()
        with mock.patch("pathlib.Path.read_bytes", side_effect=OSError(errno.EMFILE, "Too many open files")), \
                self.assertRaises(OSError):
            spool.take_segment()
        spool.read_again()
        self.assertEqual([line.step for line in spool.take_segment()[1]], [1])

    def test_another_process_delivers_what_was_left_behind_at_the_same_moment(self):
        spool = self.new()
        spool.append(step(1), 1)
        spool.close()
        take_lock = _spool.Spool._take_lock

        def late(mine, path):
            for file in path.glob("*.gz"):
                file.unlink()  # the other one is done just before the lock is ours
            return take_lock(mine, path)

        with mock.patch.object(_spool.Spool, "_take_lock", late):
            self.assertIsNone(_spool.open_left_behind(spool.path))
        (spool.path / "lock").unlink()
        spool.path.rmdir()
        self.assertIsNone(_spool.open_left_behind(spool.path))

    def test_what_was_left_behind_and_cannot_be_read_stays(self):
        spool = self.new()
        spool.append(step(1), 1)
        spool.close()
        with mock.patch("pathlib.Path.read_bytes", side_effect=OSError(errno.EIO, "Input/output error")), \
                self.assertLogs("pyrometer", "WARNING") as logs:
            self.assertIsNone(_spool.open_left_behind(spool.path))
        self.assertEqual(len(logs.output), 1)
        found, hello, status = _spool.open_left_behind(spool.path)
        self.addCleanup(found.release)
        self.assertEqual((found.count(), hello["run"], status), (1, "r", None))


class Delivery(ClientTest):
    def test_an_outage_goes_through_the_disk_and_comes_back_once_in_order(self):
        run = self.start(closed_port())
        for _ in range(50):
            run.step(1.0)
        run.event("checkpoint", path="x")
        eventually(lambda: run.counters()["spooled"] == 51)
        self.assertEqual(run.counters()["queued"], 0)
        daemon = self.daemon()
        run._sender.address = daemon.address
        for _ in range(50):
            run.step(1.0)
        run.finish()
        messages = daemon.until("end")
        self.assertEqual([m["step"] for m in messages if m["type"] == "step"], list(range(100)))
        self.assertEqual([m["name"] for m in messages if m["type"] == "event"], ["checkpoint"])
        self.assertEqual(messages[50]["type"], "event")
        counters = run.counters()
        self.assertEqual((counters["acked"], counters["spooled"], counters["dropped"]), (100, 0, 0))
        self.assertEqual(list(self.spool.iterdir()), [])

    def test_what_the_daemon_has_is_not_sent_again(self):
        run = self.start(closed_port())
        for _ in range(20):
            run.step(1.0)
        eventually(lambda: run.counters()["spooled"] == 20)
        daemon = self.daemon(last_step=12)
        with self.assertLogs("pyrometer", "WARNING"):  # the run is known up to step 12
            run._sender.address = daemon.address
            run.finish()
        self.assertEqual([m["step"] for m in daemon.until("end")[:-1]], list(range(13, 20)))

    def test_a_run_that_could_not_be_delivered_is_when_it_starts_again(self):
        with self.assertLogs("pyrometer", "WARNING"):
            run = self.start(closed_port())
            for _ in range(10):
                run.step(1.0)
            run.finish("failed", timeout=0.3)
        daemon = self.daemon()
        again = self.start(daemon.address, first_step=10, token="t")
        again.step(2.0)
        again.finish()
        first = daemon.until("end")
        self.assertEqual([m["step"] for m in first[:-1]], list(range(10)))
        self.assertEqual(first[-1], {"type": "end", "status": "failed"})
        self.assertEqual([m.get("step") for m in daemon.until("end")], [10, None])
        self.assertEqual([hello.get("token") for hello in daemon.hellos], ["t", "t"])
        self.assertEqual(list(self.spool.iterdir()), [])

    def test_offline_writes_recordings(self):
        with mock.patch.dict(os.environ, PYROMETER_DIR=str(self.spool)), self.assertLogs("pyrometer", "WARNING"):
            run = pyrometer.init("off", LAYERS, mode="offline")
            for _ in range(5):
                run.log_layers(run.next_step, 1.0, {"w_var": [0.1, float("nan")]})
            run.finish()
        [path] = self.spool.glob("off.*/*.ndjson.gz")
        lines = [json.loads(line) for line in gzip.open(path)]
        self.assertEqual([m["type"] for m in lines], ["hello"] + ["step"] * 5 + ["end"])
        self.assertEqual(lines[1]["stats"]["w_var"], [0.1, "NaN"])

    def test_a_killed_process_leaves_what_it_measured(self):
        script = textwrap.dedent("""
            import sys, time, pyrometer
            run = pyrometer.init("killed", [("a", 1)], server=sys.argv[1])
            for _ in range(30):
                run.step(1.0)
            while run.counters()["spooled"] < 30:
                time.sleep(0.01)
            print("ready", flush=True)
            time.sleep(60)
        """)
        process = subprocess.Popen([sys.executable, "-c", script, closed_port()], cwd=ROOT, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)})
        self.addCleanup(process.stdout.close)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        daemon = self.daemon()
        # While it lives the spool is its own.
        self.assertIsNone(_spool.open_left_behind(next(self.spool.iterdir())))
        process.send_signal(signal.SIGKILL)
        process.wait()
        run = pyrometer.init("killed", [("a", 1)], server=daemon.address, first_step=30)
        run.step(1.0)
        run.finish()
        self.assertEqual([m["step"] for m in daemon.until("end")[:-1]], list(range(31)))

    def test_a_connection_that_breaks_while_the_spool_is_delivered(self):
        run = self.start(closed_port())
        for _ in range(40):
            run.step(1.0)
        eventually(lambda: run.counters()["spooled"] == 40)
        daemon = self.daemon(hang_up_after=15)
        run._sender.address = daemon.address
        for _ in range(10):
            run.step(1.0)
        run.finish()
        steps = [m["step"] for m in daemon.until("end")[:-1]]
        self.assertEqual(sorted(set(steps)), list(range(50)))
        self.assertGreaterEqual(len(daemon.hellos), 2)
        self.assertEqual(run.counters()["spooled"], 0)


class Alerts(ClientTest):
    def test_the_callback_hears_alerts_and_may_fail(self):
        daemon = self.daemon(alert={"rule": "unstable", "state": "firing"})
        heard = []

        def callback(alert):
            heard.append(alert)
            raise ValueError("no")

        run = self.start(daemon.address)
        run.alert_callback = callback
        with self.assertLogs("pyrometer", "WARNING") as logs:
            run.step(1.0)
            run.finish()
        self.assertEqual(heard, [{"type": "alert", "rule": "unstable", "state": "firing"}])
        self.assertEqual(len(logs.output), 1)


if __name__ == "__main__":
    unittest.main()
