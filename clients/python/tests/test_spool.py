"""What waits on disk: written, cut off, bounded, delivered once, and left behind by a process that was killed."""
from __future__ import annotations

import contextlib
import errno
import gzip
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import unittest
from unittest import mock

import pyrometer
from pyrometer import _connection, _queue, _quiet, _sender, _spool

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


@contextlib.contextmanager
def spilling_often():
    with mock.patch.object(_sender, "SPILL_EVERY_S", 0.01), \
            mock.patch.object(_connection, "SPILL_EVERY_S", 0.01):
        yield


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
            spool.hello_said()
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

    def test_a_disk_that_is_full_when_a_segment_ends(self):
        spool = self.new(segment_bytes=1)
        spool.append(step(1), 1)
        with mock.patch("builtins.open", side_effect=OSError(errno.ENOSPC, "No space left on device")), \
                self.assertLogs("pyrometer", "WARNING"):
            spool.append(step(2), 2)
        self.assertEqual([line.step for line in spool.take_back()], [1, 2])
        self.assertEqual(spool.count(), 0)
        spool.try_again(at_once=True)
        spool.append(step(3), 3)
        [segment], lines = [spool.take_segment()], spool.take_segment()
        self.assertEqual(([line.step for line in segment[1]], lines), ([3], None))

    def test_a_rewind_that_the_disk_did_not_take_is_written_later(self):
        spool = self.new()
        with mock.patch("builtins.open", side_effect=OSError(errno.ENOSPC, "No space left on device")), \
                self.assertLogs("pyrometer", "WARNING"):
            spool.append(step(4), 4)
            spool.flush()
        spool.try_again(at_once=True)
        spool.append(step(4), 4)
        spool.flush()
        [path] = spool.path.glob("*.gz")
        self.assertEqual(json.loads(gzip.open(path).readline())["resume"], {"rewind": 3})

    def test_a_rewind_is_not_dropped_for_want_of_room(self):
        spool = self.new(limit=1, segment_bytes=1)
        with self.assertLogs("pyrometer", "WARNING"):
            for number in range(4, 10):
                spool.append(step(number), number)
            spool.seal()
        first, *_, last = sorted(spool.path.glob("*.gz"))
        self.assertEqual(json.loads(gzip.open(first).readline())["resume"], {"rewind": 3})
        self.assertEqual([line.step for line in _spool.read_lines(last) if line.kind == "step"], [9])
        self.assertEqual((spool.count(), spool.dropped), (2, 4))

    def test_a_directory_that_somebody_removes_is_made_again(self):
        spool = self.new()
        spool.append(step(1), 1)
        spool.flush()
        shutil.rmtree(spool.path)
        with self.assertLogs("pyrometer", "WARNING"):
            spool.append(step(2), 2)
            spool.flush()
        lines = spool.take_back()
        spool.try_again(at_once=True)
        for line in lines:
            spool.append(line.data, line.step)
        spool.flush()
        self.assertIsNone(_spool.open_left_behind(spool.path))  # and it is locked
        self.assertEqual([line.step for line in spool.take_segment()[1]], [])  # that was there before
        self.assertEqual([line.step for line in spool.take_segment()[1]], [2])

    def test_a_directory_that_another_process_has_locked_is_not_written_to(self):
        spool = self.new()
        with mock.patch.object(_spool.Spool, "_take_lock", return_value=False), \
                self.assertLogs("pyrometer", "WARNING"):
            spool.append(step(1), 1)
        self.assertTrue(spool.broken)
        self.assertEqual([line.step for line in spool.take_back()], [1])

    def test_the_directory_goes_with_the_last_of_what_was_in_it(self):
        """Not when the run ends: it may be killed before."""
        spool = self.new()
        spool.append(step(1), 1)
        segment, _ = spool.take_segment()
        spool.remove(segment)
        self.assertEqual(list(self.spool.iterdir()), [])
        spool.append(step(2), 2)
        spool.flush()
        self.assertEqual(spool.count(), 1)

    def test_an_empty_directory_of_a_killed_process_goes(self):
        path = self.spool / "r.1700000000000000.1"
        path.mkdir()
        self.assertIsNone(_spool.open_left_behind(path))
        self.assertFalse(path.exists())

    def test_a_stray_file_among_what_was_left_behind(self):
        spool = self.new()
        spool.append(step(1), 1)
        spool.close()
        [path] = spool.path.glob("*.gz")
        (spool.path / "copy.ndjson.gz").write_bytes(path.read_bytes())
        with self.assertLogs("pyrometer", "WARNING"):
            self.assertIsNone(_spool.open_left_behind(spool.path))
        self.assertTrue(path.exists())

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
        self.assertFalse(spool.path.exists())  # nothing was left in it
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

    def test_the_child_of_a_fork_lets_go_of_an_older_spool_too(self):
        """A worker that loads data would keep its lock, and the connection, when the job is killed."""
        with self.assertLogs("pyrometer", "WARNING"):
            run = self.start(closed_port())
            run.step(1.0)
            run.finish(timeout=0)
        daemon = self.daemon(ack=False)
        again = self.start(daemon.address, first_step=1)
        daemon.until("step")
        [older] = [path for path in self.spool.iterdir()]
        child = os.fork()
        if child == 0:
            held = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                    if os.path.exists(f"/proc/self/fd/{fd}")]
            os._exit(str(older / "lock") in held)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        with self.assertLogs("pyrometer", "WARNING"):
            again.finish(timeout=0)

    def test_what_was_left_behind_and_is_known_in_part_is_nothing_to_warn_of(self):
        with self.assertLogs("pyrometer", "WARNING"):
            run = self.start(closed_port())
            for _ in range(10):
                run.step(1.0)
            run.finish("failed", timeout=0)
        daemon = self.daemon(last_step=4)
        with mock.patch.object(logging.getLogger("pyrometer"), "warning") as warning:
            again = self.start(daemon.address, first_step=10)
            self.assertEqual([m["step"] for m in daemon.until("end")[:-1]], list(range(5, 10)))
            again.finish()
        warning.assert_not_called()

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


    def test_what_waits_for_a_daemon_that_hangs_goes_to_disk(self):
        """While it is connected to, and while it owes a welcome."""
        def hang(address):
            released.wait(PATIENCE_S)
            raise ConnectionRefusedError("no")

        silent = self.daemon(silent=True)
        released = threading.Event()
        self.addCleanup(released.set)
        for where in (mock.patch.object(_sender, "_connect", hang), mock.patch.object(_connection, "SPILL_EVERY_S", 0.01)):
            with self.subTest(where.attribute), where, spilling_often(), \
                    self.assertLogs("pyrometer", "WARNING"):
                run = self.start(silent.address)
                run.step(1.0)
                eventually(lambda: run.counters()["spooled"] == 1)
                run.step(1.0)
                run.finish(timeout=0)
                self.assertEqual((run.counters()["spooled"], run.counters()["queued"]), (3, 0))
            _quiet.forget_warnings()

    def test_what_waits_while_an_older_spool_is_delivered_goes_to_disk(self):
        with self.assertLogs("pyrometer", "WARNING"):
            run = self.start(closed_port())
            run.step(1.0)
            run.finish(timeout=0)
        daemon = self.daemon(ack=False)
        with spilling_often(), self.assertLogs("pyrometer", "WARNING"):
            again = self.start(daemon.address, first_step=1)
            daemon.until("end")  # of the older one, which is not acknowledged
            again.step(2.0)
            eventually(lambda: again.counters()["spooled"] == 1)
            again.step(2.0)
            again.finish(timeout=0)
        self.assertEqual((again.counters()["spooled"], again.counters()["queued"]), (3, 0))

    def test_an_outage_of_many_short_steps_fits_a_small_queue(self):
        with spilling_often(), mock.patch.object(_connection, "LINGER_S", 0.01):
            run = self.start(closed_port(), queue_bytes=100_000)
            for number in range(1000):
                run.step(1.0)
                if number % 100 == 99:
                    eventually(lambda: run.counters()["spooled"] == number + 1)
            daemon = self.daemon(ack=False)
            run._sender.address = daemon.address
            for number in range(1001):
                self.assertEqual(daemon.heard.get(timeout=PATIENCE_S)["step"], number)
                if number == 0:
                    run.step(1.0)  # while a segment is back in memory
                    self.assertLessEqual(run.counters()["queued_bytes"], 75_000)
                daemon.acknowledge(number)
            run.finish(timeout=PATIENCE_S)
        counters = run.counters()
        self.assertEqual([counters[key] for key in ("sent", "acked", "spooled", "dropped")], [1001, 1001, 0, 0])

    def test_steps_go_to_disk_past_those_that_came_from_it(self):
        queue, segment = _queue.Queue(1 << 20), _spool.Segment(None)
        queue.put_back([_queue.Entry(None, 10, at, segment=segment) for at in range(3)])
        for at in range(3, 6):
            queue.put(_queue.Entry(None, 10, at))
        with mock.patch.object(_queue, "SPOOL_AT_ONCE", 2):
            taken = [[entry.step for entry in queue.take_for_spool()] for _ in range(3)]
        self.assertEqual(taken, [[3, 4], [5], []])
        self.assertEqual([queue.take().step for _ in range(3)], [0, 1, 2])
        self.assertEqual(queue.counters()["queued_bytes"], 30)

    def test_a_process_that_the_run_went_on_without_keeps_nothing(self):
        """What it measures would be delivered into the run of the one that rewound."""
        daemon = self.daemon(refuse="step_order")
        with self.assertLogs("pyrometer", "WARNING") as logs:
            run = self.start(daemon.address)
            run.step(1.0)
            daemon.until("refused")
            run.step(1.0)
            run.finish()
        self.assertEqual(len(logs.output), 1, logs.output)
        self.assertEqual((list(self.spool.iterdir()), run.counters()["queued"]), ([], 0))

    def test_why_the_daemon_hung_up_is_heard_amid_a_step(self):
        daemon = self.daemon()
        run = self.start(daemon.address)
        eventually(lambda: run._sender.welcomed)

        def build():
            daemon._say(daemon.connections[-1], type="error", code="step_order", message="no", fatal=True)
            return {"type": "step", "step": 0, "loss": 1.0}

        def send(sock, data, send=socket.socket.send):
            if sock is run._sender._socket:
                raise BrokenPipeError("hung up")
            return send(sock, data)

        with self.assertLogs("pyrometer", "WARNING") as logs, mock.patch.object(socket.socket, "send", send):
            run._sender.put(build, 100, 0)
            eventually(lambda: logs.output)
            run.finish()
        self.assertIn("step_order", logs.output[0])
        self.assertEqual((list(self.spool.iterdir()), run.counters()["queued"]), ([], 0))

    def test_recordings_stay_where_they_are_when_the_job_changes_its_directory(self):
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.spool)
        with self.assertLogs("pyrometer", "WARNING"):
            run = pyrometer.init("off", LAYERS, mode="offline", dir="recordings")
            os.chdir("/")
            run.step(1.0)
            run.finish()
        self.assertEqual(len(list(self.spool.glob("recordings/off.*/*.ndjson.gz"))), 1)


class Alerts(ClientTest):
    def test_a_callback_that_exits_ends_nothing(self):
        daemon = self.daemon(alert={"rule": "unstable", "state": "firing"})
        run = self.start(daemon.address)
        run.alert_callback = lambda alert: sys.exit(3)
        with self.assertLogs("pyrometer", "WARNING"):
            for _ in range(2):
                run.step(1.0)
                daemon.until("step")
            run.finish()
        self.assertEqual(run.counters()["acked"], 2)

    def test_a_callback_may_finish_the_run(self):
        daemon = self.daemon(alert={"rule": "unstable", "state": "firing"})
        run = self.start(daemon.address)
        run.alert_callback = lambda alert: run.finish("stopped")
        with mock.patch.object(logging.getLogger("pyrometer"), "warning") as warning:
            run.step(1.0)
            self.assertEqual(daemon.until("end")[-1]["status"], "stopped")
        warning.assert_not_called()
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join(PATIENCE_S)
        self.assertFalse(run.enabled)

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
