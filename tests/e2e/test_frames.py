"""Binary step frames: the same steps as lines, beside lines, torn anywhere, and everything that is wrong with one."""

import json
import struct
import sys
import unittest
from unittest import mock

from harness import (STATISTICS, TESTS, TIMEOUT, Job, SharedDaemonCase, comparable, frame, hello, line, make_layers,
                     make_step, measured, new_run, recording, replay, run_program)

ROOT = TESTS.parent
BATCH = 80  # connections at a time


def float32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def narrow(message):
    """The step with every value that a float32 column can hold, but for w_var."""
    message = dict(message, lr=float32(message["lr"]))
    message["stats"] = {k: v if k == "w_var" else [float32(x) for x in v] for k, v in message["stats"].items()}
    return message


class Steps(SharedDaemonCase):
    def test_welcome_says_frames(self):
        job = self.connect()
        self.assertEqual(job.hello()["frames"], 1)

    def test_the_same_as_lines(self):
        """Two runs get the same steps, one as frames, one as lines: the same export and the same readings."""
        steps = [narrow(make_step(i)) for i in range(120)]
        runs = []
        for send in (lambda job, m: job.frame(frame(m)), lambda job, m: job.send(m)):
            job, run = self.start_run(new_run("same"))
            for message in steps:
                send(job, message)
            job.wait_ack(119)
            runs.append(run)
        exports = [self.shared.steps(run) for run in runs]
        self.assertEqual(exports[0], exports[1])
        self.assertEqual([measured(m) for m in exports[0]], [measured(m) for m in steps])
        readings = [self.shared.reading_at(run, 119) for run in runs]
        self.assertEqual(comparable(readings[0]), comparable(readings[1]))

    def test_every_kind_of_value(self):
        job, run = self.start_run(layers=7)
        nan32, nan64 = struct.pack("<I", 0xFFC12345), struct.pack("<Q", 0x7FF0000000000001)
        job.frame(frame({"step": 0, "loss": None, "lr": float("inf"), "stats": {
            "w_mean": [1.5, None, nan32, float("inf"), float("-inf"), -0.0, float("nan")],
            "w_var": [0.1, None, nan64, float("inf"), float("-inf"), -0.0, 5e-324]}}))
        job.wait_ack(0)
        step = self.shared.steps(run)[0]
        self.assertEqual((step.get("loss"), step["lr"], step.get("batch_size")), (None, "Infinity", None))
        self.assertEqual(step["stats"]["w_mean"], [1.5, None, "NaN", "Infinity", "-Infinity", 0, "NaN"])
        self.assertEqual(step["stats"]["w_var"], [0.1, None, "NaN", "Infinity", "-Infinity", 0, 5e-324])
        self.assertEqual(repr(step["stats"]["w_mean"][5]), "-0.0")
        self.assertGreater(step["time"], 1.7e9)  # on arrival

    def test_survives_a_restart(self):
        daemon = self.daemon()
        with Job(daemon) as job:
            job.hello("durable")
            for i in range(50):
                job.frame(frame(make_step(i)))
            job.wait_ack(49)
        before = daemon.export("durable")
        daemon.kill9()
        daemon.start()
        self.assertEqual(daemon.export("durable"), before)

    def test_recording(self):
        """A real run's lines, its steps as frames with float64 columns: the same readings as from the lines."""
        lines = recording("sgd-momentum")
        replay(self.shared, [self.renamed(text, "as-lines") for text in lines])
        job = self.connect()
        last = -1
        for text in lines:
            message = json.loads(text)
            if message["type"] != "step":
                job.raw(self.renamed(text, "as-frames"))
            else:
                scalars = message.pop("scalars", None)
                self.assertFalse(set(message) - {"type", "step", "time", "loss", "lr", "batch_size", "stats"})
                if scalars:
                    job.send({"type": "scalars", "step": message["step"], "scalars": scalars})
                job.frame(frame(message, wide=tuple(message["stats"])))
                last = message["step"]
        job.half_close()
        self.assertEqual([m["type"] for m in job.drain() if m["type"] != "ack"], ["welcome"])
        self.assertEqual(job.acked, last)
        readings = [comparable(self.shared.temperature(run)) for run in ("as-lines", "as-frames")]
        self.assertEqual(readings[0], readings[1])

    def renamed(self, text, run):
        message = json.loads(text)
        return line(dict(message, run=run)) if message["type"] == "hello" else text

    def test_ids_of_a_later_version(self):
        """A statistic that the daemon has no name for is kept as one of the job's own."""
        job, run = self.start_run()
        job.frame(frame({"step": 0, "loss": 1, "stats": {"w_mean": [1, 2, 3], "new": [4, 5, 6]}}, ids={"new": 100}))
        job.wait_ack(0)
        self.assertEqual(self.shared.steps(run)[0]["stats"], {"w_mean": [1, 2, 3], "stat_100": [4, 5, 6]})
        values = [s["value"] for s in self.shared.series(run, "stat_100", layer="*")["series"]]
        self.assertEqual(values, [[4], [5], [6]])

    def test_order_and_repetition(self):
        job, run = self.start_run()
        for i in (0, 5, 9):
            job.frame(frame(make_step(i)))
        job.wait_ack(9)
        job.frame(frame(make_step(5)))  # known: dropped
        job.ping()
        job.frame(frame(make_step(6)))
        job.expect_error("step_order", fatal=False)
        job.send(make_step(10))
        job.wait_ack(10)
        self.assertEqual([m["step"] for m in self.shared.steps(run)], [0, 5, 9, 10])


class Mixed(SharedDaemonCase):
    def session(self, run):
        """Lines and frames of one connection."""
        return b"".join([line(hello(run, 1)), frame(make_step(0, 1, stats=("w_var", "g_mean"))),
                         line({"type": "scalars", "step": 1, "scalars": {"accuracy": 0.5}}),
                         frame(make_step(1, 1, stats=("w_var",))), line(make_step(2, 1, stats=("w_mean",))),
                         frame(make_step(3, 1, stats=())), frame(make_step(4, 1, stats=("gu_prev",)))])

    def test_cut_at_every_byte(self):
        """Two writes with the daemon's reading between them: the same as one."""
        length = len(self.session("cut-0000"))
        for start in range(1, length, BATCH):
            cuts = range(start, min(start + BATCH, length))
            jobs = {cut: Job(self.shared) for cut in cuts}
            for cut, job in jobs.items():
                job.raw(self.session(f"cut-{cut:04}")[:cut])
            with Job(self.shared) as other:  # its answer comes after the daemon had the first halves
                other.hello()
                other.ping()
            for cut, job in jobs.items():
                job.raw(self.session(f"cut-{cut:04}")[cut:])
            for cut, job in jobs.items():
                with self.subTest(cut=cut):
                    self.assertEqual(job.expect("welcome")["last_step"], -1)
                    job.wait_ack(4)
                job.close()
        for cut in (1, 300, length - 1):
            self.assertEqual([m["step"] for m in self.shared.steps(f"cut-{cut:04}")], list(range(5)))

    def test_byte_by_byte(self):
        job = self.connect()
        data = self.session("frames-byte-by-byte")
        for i in range(len(data)):
            job.raw(data[i:i + 1])
        job.expect("welcome")
        job.wait_ack(4)
        self.assertEqual(len(self.shared.steps("frames-byte-by-byte")), 5)

    def test_a_torn_frame_does_not_count(self):
        job = self.connect()
        job.raw(self.session("torn")[:-1])
        job.half_close()
        job.drain()
        self.assertEqual(job.acked, 3)
        self.assert_served(self.shared)

    def test_all_in_one_write(self):
        job = self.connect()
        run = new_run("frames-one-write")
        job.raw(line(hello(run)) + b"".join(frame(make_step(step)) for step in range(500)) + line({"type": "ping"}))
        job.expect("welcome")
        job.expect("pong")
        job.wait_ack(499)
        self.assertEqual([m["step"] for m in self.shared.steps(run)], list(range(500)))

    def test_largest(self):
        """3,000 layers with every statistic: several reads a frame."""
        job, run = self.start_run(layers=3000)
        sent = [narrow(make_step(i, 3000)) for i in range(3)]
        for message in sent:
            job.frame(frame(message))
        job.wait_ack(2)
        self.assertEqual([measured(m) for m in self.shared.steps(run)], [measured(m) for m in sent])


class Ranks(SharedDaemonCase):
    def test_shards(self):
        """Frames of two ranks are merged as lines are."""
        exports = []
        for send in (lambda job, m: job.frame(frame(m)), lambda job, m: job.send(m)):
            run = new_run("shards")
            jobs = [self.connect() for _ in range(2)]
            for rank, job in enumerate(jobs):
                job.send(hello(run, make_layers(), rank=rank, world_size=2, shards=True))
            for job in jobs:
                job.expect("welcome")
            for i in range(20):
                for rank, job in enumerate(jobs):
                    send(job, narrow(make_step(i, seed=rank)))
            for job in jobs:
                job.wait_ack(19)
            exports.append(self.shared.steps(run))
        self.assertEqual(len(exports[0]), 20)
        self.assertEqual(exports[0], exports[1])


class Clients(SharedDaemonCase):
    """Both clients send frames to this daemon: what comes back is float32, but for w_var."""

    def assert_from_frames(self, steps):
        columns = [(key, value) for step in steps for key, values in step["stats"].items() for value in values
                   if isinstance(value, (int, float))]
        self.assertTrue(all(float32(x) == x for key, x in columns if key != "w_var"))
        self.assertTrue(any(float32(x) != x for key, x in columns if key == "w_var"))

    def test_python(self):
        with mock.patch.object(sys, "path", [str(ROOT / "clients" / "python"), *sys.path]):
            import pyrometer
        steps = [make_step(i) for i in range(30)]
        run = pyrometer.init("python-frames", [(layer["name"], layer["n"]) for layer in make_layers()],
                             server="%s:%d" % self.shared.ingest[0])
        for m in steps:
            run.log_layers(m["step"], m["loss"], m["stats"], lr=m["lr"], scalars={"accuracy": 0.5})
        run.finish(timeout=TIMEOUT)
        self.assertEqual(run.counters()["acked"], 30)
        stored = self.shared.steps("python-frames")
        self.assertEqual([m["stats"] for m in stored], [narrow(m)["stats"] for m in steps])
        self.assertEqual([m["loss"] for m in stored], [m["loss"] for m in steps])
        self.assert_from_frames(stored)
        accuracy = self.shared.series("python-frames", "scalar.accuracy")["series"][0]
        self.assertEqual((accuracy["step"], set(accuracy["value"])), (list(range(30)), {0.5}))

    def test_c(self):
        done = run_program("pyrometer-demo", "--server", "%s:%d" % self.shared.ingest[0], "--run", "c-frames",
                           "--data", ROOT / "examples" / "data" / "digits.csv", "--steps", "30")
        self.assertEqual(done.returncode, 0, done.stderr)
        stored = self.shared.steps("c-frames")
        self.assertEqual([m["step"] for m in stored], list(range(30)))
        self.assert_from_frames([m for m in stored if "val_loss" not in m])


class Mistakes(SharedDaemonCase):
    def good_then(self, data, code, fatal=False):
        """After the frame the connection goes on, unless the error is fatal; the error names its message."""
        job, run = self.start_run(new_run("mistake"))
        job.frame(frame(make_step(0)))
        job.send({"type": "ping"})
        job.frame(data)
        job.expect("pong")
        error = job.expect_error(code, number=4, fatal=fatal)
        if not fatal:
            job.frame(frame(make_step(7)))
            job.wait_ack(7)
            self.assertEqual([m["step"] for m in self.shared.steps(run)], [0, 7])
        job.close()
        return error

    def test_wrong_shape(self):
        for layers in (1, 2, 4, 100):
            self.good_then(frame(make_step(1, layers)), "wrong_shape")
        good = frame(make_step(1))
        for data in (struct.pack("<BBHIq", 0xA7, 1, 0, 0, 1), struct.pack("<BBHIq", 0xA7, 1, 0, 8, 1) + bytes(8),
                     good[:4] + struct.pack("<I", len(good) - 8) + good[8:] + bytes(8),
                     good[:4] + struct.pack("<I", len(good) - 24) + good[8:-8]):
            self.good_then(data, "wrong_shape")
        error = self.good_then(frame(make_step(1, 2, stats=("w_mean",))), "wrong_shape")
        self.assertIn("3 layers", error["message"])

    def test_bad_value(self):
        self.good_then(frame(dict(make_step(1), step=-1)), "bad_value")
        self.good_then(frame(dict(make_step(1), step=1 << 43)), "bad_value")
        twice = frame({"step": 1, "stats": {"w_mean": [1, 2, 3], "again": [1, 2, 3]}}, ids={"again": 1})
        self.assertIn("w_mean", self.good_then(twice, "bad_value")["message"])
        self.good_then(frame({"step": 1, "stats": {"none": [1, 2, 3]}}, ids={"none": 0}), "bad_value")
        good = frame(make_step(1))
        self.good_then(good[:2] + b"\1\0" + good[4:], "bad_value")

    def test_too_large(self):
        error = self.good_then(struct.pack("<BBHIq", 0xA7, 1, 0, (1 << 20) - 15, 1), "too_large", fatal=True)
        self.assertIn("1048576", error["message"])
        self.good_then(struct.pack("<BBHIq", 0xA7, 1, 0, 0xFFFFFFFF, 1), "too_large", fatal=True)

    def test_unknown_versions(self):
        """Nobody knows where the next message begins."""
        for data in (b"\xa7\xff\x00\x00" + bytes(12) + b"\n", b"\xa7" * 64 + b"\n", b"\xa7\2\0\0" + bytes(12)):
            error = self.good_then(data, "unsupported_protocol", fatal=True)
            self.assertRegex(error["message"], "frame")

    def test_before_the_hello(self):
        job = self.connect()
        job.frame(frame(make_step(0)))
        job.expect_error("no_hello", number=1, fatal=True)

    def test_of_a_rank_before_its_run_begins(self):
        run = new_run("half")
        first = self.connect()
        first.send(hello(run, rank=0, world_size=2, shards=True))
        first.frame(frame(make_step(0, 5)))
        first.expect("welcome")
        first.expect_error("wrong_shape", number=2, fatal=False)
        first.frame(frame(make_step(0)))
        second = self.connect()
        second.send(hello(run, rank=1, world_size=2, shards=True))
        second.frame(frame(make_step(0)))
        first.wait_ack(0)
        self.assertEqual(len(self.shared.steps(run)), 1)
        self.assertEqual(sorted(self.shared.steps(run)[0]["stats"]), sorted(STATISTICS))


if __name__ == "__main__":
    unittest.main()
