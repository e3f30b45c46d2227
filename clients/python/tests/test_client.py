"""The client without torch: protocol, lost connections, refusals, bounds."""
from __future__ import annotations

import logging
import math
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

import pyrometer
from pyrometer import _connection, _queue, _quiet, _run, _sender, _text

from tests.fake import PATIENCE_S, FakeDaemon, closed_port

LAYERS = [("fc1", 100), ("fc2", 10)]
ROOT = Path(__file__).resolve().parents[1]


class ClientTest(unittest.TestCase):
    def setUp(self):
        _quiet.forget_warnings()
        environment = {k: v for k, v in os.environ.items()
                       if not k.startswith("PYROMETER_") and k not in ("RANK", "WORLD_SIZE")}
        self.spool = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.spool, ignore_errors=True)
        environment["PYROMETER_SPOOL"] = str(self.spool)
        for patch in (mock.patch.dict(os.environ, environment, clear=True),
                      mock.patch.object(logging.getLogger("pyrometer"), "propagate", False),
                      mock.patch.object(logging.getLogger("pyrometer"), "handlers", [logging.NullHandler()]),
                      mock.patch.object(_sender, "FIRST_PAUSE_S", 0.01)):
            patch.start()
            self.addCleanup(patch.stop)

    def daemon(self, **kwargs):
        daemon = FakeDaemon(**kwargs)
        self.addCleanup(daemon.close)
        return daemon

    def start(self, server, **kwargs):
        run = pyrometer.init("test", LAYERS, server=server, **kwargs)
        self.addCleanup(run.finish, timeout=0)
        return run


class Protocol(ClientTest):
    def test_hello_says_what_was_given_and_nothing_else(self):
        daemon = self.daemon()
        run = self.start(daemon.address, project="vision", token="secret", loss="mse",
                         optimizer={"name": "sgd", "lr": 0.1}, batch_size=64, tags={"k": "v"})
        run.finish()
        self.assertEqual(daemon.hellos, [{
            "type": "hello", "protocol": 1, "run": "test", "project": "vision", "token": "secret",
            "loss": "mse", "notify": True, "optimizer": {"name": "sgd", "lr": 0.1},
            "batch_size": 64, "tags": {"k": "v"}, "resume": "continue",
            "layers": [{"name": "fc1", "n": 100}, {"name": "fc2", "n": 10}]}])

    def test_steps_events_and_end_in_order(self):
        daemon = self.daemon()
        run = self.start(daemon.address)
        run.step(1.5, val_loss=2, lr=0.1, batch_size=8, scalars={"accuracy": 0.5})
        run.refresh()
        run.event("epoch", number=1)
        run.log_layers(1, 1.25, {"w_var": [0.1, None], "mine": (1, 2)})
        run.event("last")
        run.finish("stopped")
        first, refresh, epoch, second, last, end = daemon.until("end")
        self.assertIsInstance(first.pop("time"), float)
        self.assertEqual(first, {"type": "step", "step": 0, "loss": 1.5, "lr": 0.1, "val_loss": 2.0,
                                 "batch_size": 8, "scalars": {"accuracy": 0.5}})
        self.assertAlmostEqual(refresh.pop("time"), time.time(), delta=60)
        self.assertEqual(refresh, {"type": "event", "step": 1, "name": "data_refresh", "data": {}})
        self.assertEqual((epoch["name"], epoch["data"]), ("epoch", {"number": 1}))
        self.assertEqual((second["step"], second["stats"]),
                         (1, {"w_var": [0.1, None], "mine": [1, 2]}))
        self.assertEqual((last["name"], last["step"]), ("last", 2))
        self.assertEqual(end, {"type": "end", "status": "stopped"})
        counters = run.counters()
        self.assertEqual((counters["queued"], counters["queued_bytes"]), (0, 0))
        self.assertEqual((counters["sent"], counters["acked"], counters["dropped"]), (2, 2, 0))

    def test_statistics_of_the_layers_that_are_named(self):
        daemon = self.daemon()
        run = self.start(daemon.address)
        run.log_layers(0, ["fc2", "fc1"], {"w_var": [0.2, 0.1], "mine": (2, None)}, loss=1.5)
        pyrometer.log_layers(1, ("fc2",), {"w_var": [0.2]}, lr=0.5)
        run.log_layers(2, 1.5, {"w_var": [0.1, 0.2]})
        run.log_layers(step=3, loss=2.5, stats={"w_var": [0.1, 0.2]})
        with self.assertLogs("pyrometer", "WARNING") as logs:
            for names in (["fc3"], ["fc2", "fc2"], ["fc1", "fc2", "fc3"], [7], [["fc1"]], "fc1"):
                run.log_layers(4, names, {"w_var": [0.1] * len(names)})
            run.log_layers(4, ["fc1"], {"w_var": [0.1, 0.2]})
        self.assertIn("no layer 'fc3'", logs.output[0])
        run.finish()
        *steps, _ = daemon.until("end")
        self.assertEqual([(step["step"], step["loss"], step.get("lr"), step["stats"]) for step in steps], [
            (0, 1.5, None, {"w_var": [0.1, 0.2], "mine": [None, 2]}),
            (1, None, 0.5, {"w_var": [None, 0.2]}),
            (2, 1.5, None, {"w_var": [0.1, 0.2]}),
            (3, 2.5, None, {"w_var": [0.1, 0.2]})])

    def test_doubles_arrive_bit_for_bit_and_non_finite_as_words(self):
        daemon = self.daemon()
        run = self.start(daemon.address)
        values = [0.1 + 0.2, 5e-324, math.nan, math.inf, -math.inf, None]
        for value in values:
            run.log_layers(run.next_step, value, {"w_var": [value, 1.0]})
        run.event("odd", value=math.nan, thing=object)
        run.finish()
        *steps, event, _ = daemon.until("end")
        expected = [0.1 + 0.2, 5e-324, "NaN", "Infinity", "-Infinity", None]
        self.assertEqual([step["stats"]["w_var"][0] for step in steps], expected)
        self.assertEqual([step["loss"] for step in steps], expected)
        self.assertEqual(event["data"]["value"], "NaN")

    def test_arrays_and_their_scalars_are_taken(self):
        class Scalar:
            def __float__(self):
                return 0.5

            def tolist(self):
                return math.nan

        line = _text.encode({"value": Scalar(), "nested": [{"deep": math.inf}]})
        self.assertEqual(line, b'{"value":"NaN","nested":[{"deep":"Infinity"}]}\n')
        self.assertEqual(_text.number(Scalar()), 0.5)

    def test_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            daemon = self.daemon(path=os.path.join(folder, "socket"))
            run = self.start(daemon.address)
            run.step(1.0)
            run.finish()
            self.assertEqual(run.counters()["acked"], 1)

    def test_every(self):
        daemon = self.daemon()
        run = self.start(daemon.address, every=3)
        for _ in range(7):
            run.step(1.0)
        run.finish()
        self.assertEqual([m["step"] for m in daemon.until("end")[:-1]], [0, 3, 6])

    def test_leaving_the_block_says_how_it_went(self):
        for error, status in ((None, "completed"), (ValueError, "failed"),
                              (KeyboardInterrupt, "stopped")):
            daemon = self.daemon()
            try:
                with self.start(daemon.address) as run:
                    run.step(1.0)
                    if error:
                        raise error
            except (ValueError, KeyboardInterrupt):
                pass
            self.assertEqual(daemon.until("end")[-1]["status"], status)

    def test_a_script_that_keeps_no_run(self):
        pyrometer.log(0, 1.0, {})  # no run yet, or one that is over: nothing
        daemon = self.daemon()
        run = self.start(daemon.address)
        pyrometer.log(0, 1.5, {"w_var": [1, 2]}, lr=0.5)
        pyrometer.finish("stopped")
        self.assertFalse(run.enabled)
        step, end = daemon.until("end")
        self.assertEqual((step["loss"], step["lr"], step["stats"]), (1.5, 0.5, {"w_var": [1, 2]}))
        self.assertEqual(end, {"type": "end", "status": "stopped"})

    def test_no_two_events_have_one_time(self):
        """By its time the daemon knows an event that is sent again."""
        daemon = self.daemon()
        run = self.start(daemon.address)
        with mock.patch("time.time", return_value=1732345678.5):
            for _ in range(3):
                run.event("same")
            run.scalars({"a": 1})
        run.finish()
        times = [m["time"] for m in daemon.until("end") if m["type"] in ("event", "scalars")]
        self.assertEqual(len(set(times)), 4)
        self.assertEqual(times, sorted(times))

    def test_environment_says_how_often(self):
        daemon = self.daemon()
        with mock.patch.dict(os.environ, {"PYROMETER_EVERY": "3"}):
            run = self.start(daemon.address)
        for _ in range(7):
            run.step(1.0)
        run.finish()
        self.assertEqual([m["step"] for m in daemon.until("end") if m["type"] == "step"], [0, 3, 6])
        with mock.patch.dict(os.environ, {"PYROMETER_EVERY": "often"}), \
                self.assertLogs("pyrometer", "WARNING") as logs:
            self.assertFalse(pyrometer.init("test", LAYERS).enabled)
        self.assertIn("PYROMETER_EVERY is 'often'", logs.output[0])

    def test_every_is_a_whole_number_of_steps(self):
        for every in (0, -3, 2.5, True, "often"):
            _quiet.forget_warnings()
            with self.subTest(every=every), self.assertLogs("pyrometer", "WARNING") as logs:
                self.assertFalse(pyrometer.init("test", LAYERS, every=every).enabled)
                self.assertIn(f"every is {every!r}, expected a whole number of steps, 1 or more", logs.output[0])

    def test_environment_names_what_the_call_does_not(self):
        daemon = self.daemon()
        with mock.patch.dict(os.environ, {
                "PYROMETER_SERVER": daemon.address, "PYROMETER_TOKEN": "t", "PYROMETER_RUN": "r",
                "PYROMETER_PROJECT": "p"}):
            run = pyrometer.init(layers=LAYERS)
        run.finish()
        hello = daemon.hellos[0]
        self.assertEqual((hello["token"], hello["run"], hello["project"]), ("t", "r", "p"))

    def test_made_up_names_are_valid_and_differ(self):
        names = {_run.default_name() for _ in range(8)}
        self.assertGreater(len(names), 1)
        for name in names:
            self.assertRegex(name, r"\A[A-Za-z0-9._:-]{1,128}\Z")

    def test_server_addresses(self):
        self.assertEqual(_sender.split_address("host:1"), ("host", 1))
        self.assertEqual(_sender.split_address("host"), ("host", 27315))
        self.assertEqual(_sender.split_address("[::1]:5"), ("::1", 5))
        self.assertEqual(_sender.split_address("[::1]"), ("::1", 27315))
        for bad in ("", ":1", "host:x", "host:0", "host:65536"):
            with self.assertRaises(ValueError, msg=bad):
                _sender.split_address(bad)


class Resuming(ClientTest):
    def test_a_daemon_that_dies_amid_the_end_hears_what_it_did_not_store(self):
        daemon = self.daemon(dies_at_end=True)
        run = self.start(daemon.address)
        run.step(1.0)
        run.event("checkpoint")
        run.finish(timeout=20.0)
        for _ in range(2):
            heard = daemon.until("end")
            self.assertEqual([message.get("name") for message in heard[-2:]], ["checkpoint", None])
        self.assertEqual(list(self.spool.rglob("*.ndjson*")), [])
        self.assertEqual(len(daemon.hellos), 2)

    def test_the_end_waits_for_a_disk_that_is_full(self):
        with mock.patch.object(_connection, "PING_AGAIN_S", 0.0):
            daemon = self.daemon(disk_is_full=2)
            run = self.start(daemon.address)
            run.step(1.0)
            run.event("checkpoint")
            run.finish(timeout=20.0)
        self.assertEqual(daemon.disk_is_full, 0)
        self.assertEqual(len(daemon.hellos), 1)

    def test_what_was_not_acknowledged_is_sent_again(self):
        daemon = self.daemon(ack=False, hang_up_after=3)  # after hello and three steps
        run = self.start(daemon.address)
        for _ in range(3):
            run.step(1.0)
        self.assertEqual([daemon.heard.get(timeout=PATIENCE_S)["step"] for _ in range(3)],
                         [0, 1, 2])
        daemon.last_step, daemon.ack = 0, True
        run.step(1.0)
        run.finish(timeout=PATIENCE_S)
        again = [message["step"] for message in daemon.until("end")[:-1]]
        self.assertIn(again, ([1, 2, 3], [0, 1, 2, 3]))  # 0 again if the welcome came first
        counters = run.counters()
        self.assertEqual((counters["sent"], counters["acked"], counters["queued"]), (4, 4, 0))

    def test_rewind_is_asked_for_once(self):
        daemon = self.daemon(last_step=5, hang_up_after=1)
        run = self.start(daemon.address, resume={"rewind": 5})
        self.assertEqual(run.next_step, 6)
        run.step(1.0)
        daemon.heard.get(timeout=PATIENCE_S)
        run.step(1.0)
        run.finish(timeout=PATIENCE_S)
        self.assertEqual([hello["resume"] for hello in daemon.hellos], [{"rewind": 5}, "continue"])

    def test_a_known_run_that_begins_again_is_warned_of(self):
        daemon = self.daemon(last_step=1203)
        with self.assertLogs("pyrometer", "WARNING") as logs:
            run = self.start(daemon.address)
            run.step(1.0)
            run.finish()
        self.assertIn("known up to step 1203", logs.output[0])

    def test_first_step_goes_on_without_a_warning(self):
        daemon = self.daemon(last_step=9)
        with mock.patch.object(logging.getLogger("pyrometer"), "warning") as warning:
            run = self.start(daemon.address, first_step=10)
            run.step(1.0)
            run.finish()
        warning.assert_not_called()
        self.assertEqual(daemon.until("end")[0]["step"], 10)

    def test_steps_only_go_forward(self):
        daemon = self.daemon()
        run = self.start(daemon.address)
        with self.assertLogs("pyrometer", "WARNING"):
            for step in (4, 4, 2, 7):
                run.step(1.0, step=step)
        run.finish()
        self.assertEqual([m["step"] for m in daemon.until("end")[:-1]], [4, 7])


class Trouble(ClientTest):
    def test_absent_server_costs_nothing_but_one_warning(self):
        with self.assertLogs("pyrometer", "WARNING") as logs:
            run = self.start(closed_port())
            for _ in range(100):
                run.step(1.0)
            counters = run.counters()
            self.assertEqual(counters["queued"] + counters["spooled"], 100)
            run.finish(timeout=0.5)
        self.assertEqual(run.counters()["acked"], 0)
        self.assertEqual(run.counters()["spooled"], 101)  # with the end
        self.assertEqual(len(logs.output), 2, logs.output)
        self.assertIn("refused; trying again", logs.output[0])
        self.assertIn("101 messages are kept in", logs.output[1])

    def test_without_a_spool_what_is_left_is_said(self):
        with self.assertLogs("pyrometer", "WARNING") as logs:
            run = self.start(closed_port(), spool_bytes=0)
            for _ in range(100):
                run.step(1.0)
            run.finish(timeout=0.5)
        self.assertIn("100 steps were not confirmed", logs.output[-1])
        self.assertEqual(list(self.spool.iterdir()), [])

    def test_server_that_comes_late_gets_everything(self):
        run = self.start(closed_port())
        for _ in range(5):
            run.step(1.0)
        daemon = self.daemon()
        run._sender.address = daemon.address
        self.assertEqual([daemon.heard.get(timeout=PATIENCE_S)["step"] for _ in range(5)],
                         [0, 1, 2, 3, 4])
        run.finish()
        self.assertEqual(run.counters()["acked"], 5)

    def test_refusal_ends_it_with_one_warning(self):
        for code in ("bad_json", "bad_hello", "layers_differ", "unauthorized", "unsupported_protocol"):
            _quiet.forget_warnings()
            daemon = self.daemon(refuse=code)
            with self.assertLogs("pyrometer", "WARNING") as logs:
                run = self.start(daemon.address)
                daemon.until("refused")
                run.step(1.0)
                run.finish()
            self.assertEqual(len(logs.output), 2, logs.output)
            self.assertIn(code, logs.output[0])
            self.assertIn("kept in", logs.output[1])
            self.assertEqual(len(daemon.hellos), 1)
            self.assertEqual(run.counters()["spooled"], 2)
            for kept in self.spool.iterdir():
                shutil.rmtree(kept)

    def test_overload_is_tried_again(self):
        daemon = self.daemon(refuse="overloaded")
        with self.assertLogs("pyrometer", "WARNING"):
            run = self.start(daemon.address)
            run.step(1.0)
            daemon.until("refused")
            daemon.until("refused")
            daemon.refuse = None
            daemon.until("step")
            run.finish()
        self.assertEqual(run.counters()["acked"], 1)

    def test_errors_that_are_not_fatal_are_reported_once(self):
        daemon = self.daemon(complain="wrong_shape")
        with self.assertLogs("pyrometer", "WARNING") as logs:
            run = self.start(daemon.address)
            for _ in range(3):
                run.step(1.0)
            for _ in range(3):
                daemon.heard.get(timeout=PATIENCE_S)
            daemon.complain = None
            run.step(1.0)
            run.finish()
        self.assertEqual(["wrong_shape" in line for line in logs.output], [True])
        self.assertEqual(run.counters()["acked"], 4)  # acknowledged cumulatively

    def test_stranger_on_the_port(self):
        daemon = self.daemon(stranger=b"HTTP/1.1 400 Bad Request\r\n")
        with self.assertLogs("pyrometer", "WARNING") as logs:
            run = self.start(daemon.address)
            daemon.until("stranger")
            daemon.until("stranger")
            run.finish(timeout=0)
        self.assertIn("does not speak the protocol", logs.output[0])

    def test_nothing_is_raised_into_the_job(self):
        with self.assertLogs("pyrometer", "WARNING") as logs:
            for bad in ({"run": "no spaces"}, {"mode": "perhaps"}, {"resume": "never"},
                        {"resume": {"back": 1}}, {"server": "host:port"}, {"layers": [1]}):
                run = pyrometer.init(**{"run": "x", "layers": LAYERS, **bad})
                self.assertFalse(run.enabled, bad)
                run.step(1.0)
            self.assertEqual(len(logs.output), 6, logs.output)
            run = self.start(closed_port())
            run.step("not a number")
            run.step(1.0, scalars=7)
            run.log_layers(9, 1.0, {"w_var": [1.0]})
            run.log_layers(9, 1.0, None)
            run.finish("good", timeout=0)
        self.assertIn("w_var has 1 entries for 2 layers", "\n".join(logs.output))

    def test_a_message_longer_than_a_line_is_dropped_alone(self):
        daemon = self.daemon()
        with self.assertLogs("pyrometer", "WARNING"):
            run = self.start(daemon.address)
            run.event("long", text="x" * _text.MAX_LINE)
            run.step(1.0)
            run.finish()
        self.assertEqual([m["type"] for m in daemon.until("end")], ["step", "end"])
        self.assertEqual(run.counters()["dropped"], 1)


class Bounds(ClientTest):
    def test_full_queue_drops_the_oldest_and_counts(self):
        with self.assertLogs("pyrometer", "WARNING"):
            run = self.start(closed_port(), queue_bytes=100_000, spool_bytes=0)
            for _ in range(1000):
                run.step(1.0)
            counters = run.counters()
            self.assertLessEqual(counters["queued_bytes"], 100_000)
            self.assertGreater(counters["queued"], 10)
            self.assertEqual(counters["queued"] + counters["dropped"], 1000)
            newest = run._sender.queue._pending[-1]
            self.assertEqual(newest.step, 999)
            run.finish(timeout=0)

    def test_what_is_dropped_for_want_of_room_is_said_once(self):
        with self.assertLogs("pyrometer", "WARNING") as logs:
            run = self.start(self.daemon().address, queue_bytes=100)
            for _ in range(20):
                run.step(1.0)
            run.finish()
        self.assertEqual((run.counters()["dropped"], len(logs.output)), (20, 1), logs.output)
        self.assertIn("dropped", logs.output[0])

    def test_queue_keeps_its_account(self):
        queue = _queue.Queue(1 << 20)
        for step in (0, None, 1, 2):
            queue.put(_queue.Entry(None, 10, step, b"12345"))
        for _ in range(3):
            queue.sent_entry(queue.take())
        queue.acknowledge(0)
        self.assertEqual(queue.counters()["queued"], 3)  # the event came after step 0
        queue.acknowledge(1)
        self.assertEqual((queue.counters()["queued"], queue.acked, queue.sent), (1, 2, 2))
        queue.sent_entry(queue.take())
        queue.send_again()
        queue.resume(2)
        self.assertEqual((queue.counters()["queued_bytes"], queue.acked), (0, 3))

    def test_the_sender_is_woken_from_sleep_and_while_room_gets_scarce(self):
        queue = _queue.Queue(4000)
        self.assertFalse(queue.put(_queue.Entry(None, 10, 0, b"")))
        queue.give_up(queue.take())
        self.assertTrue(queue.sleep())
        self.assertTrue(queue.put(_queue.Entry(None, 10, 0, b"")))
        self.assertFalse(queue.put(_queue.Entry(None, 10, 1, b"")))
        for _ in range(2):
            queue.give_up(queue.take())
        self.assertTrue(queue.sleep())
        queue.awake()
        self.assertFalse(queue.put(_queue.Entry(None, 10, 2, b"")))
        self.assertTrue(queue.put(_queue.Entry(None, 1500, 3, b"")))

    def test_a_new_entry_is_not_taken_for_stored(self):
        queue = _queue.Queue(1 << 20)
        queue.put(_queue.Entry(None, 10, 3, b""))
        queue.resume(99)
        self.assertEqual(queue.take().step, 3)

    def test_lag_is_the_age_of_the_oldest(self):
        queue = _queue.Queue(1 << 20)
        self.assertEqual(queue.counters()["lag"], 0.0)
        entry = _queue.Entry(None, 1, 0)
        entry.born = 0.0
        queue.put(entry)
        self.assertGreater(queue.counters()["lag"], 0.0)


class Processes(ClientTest):
    def test_disabled_does_nothing(self):
        before = threading.active_count()
        with mock.patch.dict(os.environ, {"PYROMETER_MODE": "disabled"}):
            run = pyrometer.init("test", LAYERS)
            watched = pyrometer.watch(None, None)
        for each in (run, watched):
            self.assertFalse(each.enabled)
            each.step(object())
            each.log_layers(0, None, {})
            each.event("x")
            each.refresh()
            each.finish()
            self.assertEqual(each.counters()["sent"], 0)
        self.assertEqual(threading.active_count(), before)

    def test_other_ranks_are_silent_unless_they_say_their_rank(self):
        daemon = self.daemon()
        with mock.patch.dict(os.environ, {"RANK": "3", "WORLD_SIZE": "4"}):
            self.assertFalse(pyrometer.init("test", LAYERS, server=daemon.address).enabled)
            self.start(daemon.address, rank=3).finish()
        self.start(daemon.address, rank=3, world_size=5).finish()
        self.start(daemon.address, rank=3).finish()
        self.assertEqual([(hello.get("rank"), hello.get("world_size")) for hello in daemon.hellos],
                         [(3, 4), (3, 5), (None, None)])

    def test_the_child_of_a_fork_is_silent(self):
        daemon = self.daemon()
        run = self.start(daemon.address)
        run.step(1.0)
        child = os.fork()
        if child == 0:
            enabled = run.enabled
            run.step(2.0)
            run.finish()
            os._exit(int(enabled))
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        run.step(3.0)
        run.finish()
        self.assertEqual([m.get("loss") for m in daemon.until("end")], [1.0, 3.0, None])

    def script(self, body, server):
        text = f"import pyrometer\nrun = pyrometer.init('s', [('a', 1)], server={server!r})\n{body}"
        return subprocess.run([sys.executable, "-W", "error", "-c", text], cwd=ROOT,
                              timeout=PATIENCE_S, capture_output=True, text=True)

    def test_a_script_that_forgets_finish_is_flushed(self):
        daemon = self.daemon()
        done = self.script("for i in range(50): run.step(i)", daemon.address)
        self.assertEqual(done.returncode, 0, done.stderr)
        messages = daemon.until("end")
        self.assertEqual(len(messages), 51)
        self.assertEqual(messages[-1]["status"], "completed")

    def test_a_script_that_fails_says_so(self):
        daemon = self.daemon()
        self.assertEqual(self.script("run.step(1)\n1 / 0", daemon.address).returncode, 1)
        self.assertEqual(daemon.until("end")[-1]["status"], "failed")

    def test_a_script_that_was_interrupted_while_it_finished(self):
        """A signal's handler finishes the run while its thread holds what the sender waits for."""
        body = """
from pyrometer import _sender
sender, spill = run._sender, run._sender.spill
def slowly():
    import time
    time.sleep(0.3)  # more than the interpreter takes to end
    spill()
sender.spill = slowly
_sender.SPILL_GRACE_S = 0.1
with sender.queue._lock:
    run.step(1)
    run.finish(timeout=0.1)
"""
        done = self.script(body, closed_port())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("2 messages are kept in", done.stderr)

    def test_a_script_without_a_server_ends_well(self):
        done = self.script("run.step(1)\nrun.finish(timeout=0.2)", closed_port())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("trying again", done.stderr)


if __name__ == "__main__":
    unittest.main()
