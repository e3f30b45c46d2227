"""The client in odd surroundings: signals, threads, copies, loggers, users without a home."""
from __future__ import annotations

import copy
import logging
import os
import pickle
import signal
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

import pyrometer
from pyrometer import _sender

from tests.fake import PATIENCE_S, closed_port
from tests.test_client import ClientTest, LAYERS


class Surroundings(ClientTest):
    """Of the job, which may be odd."""

    def test_a_handler_of_logging_that_raises(self):
        class Raising(logging.Handler):
            def emit(self, record):
                raise ValueError("I/O operation on closed file")

        with mock.patch.object(logging.getLogger("pyrometer"), "handlers", [Raising()]):
            run = self.start(self.daemon().address)
            run.step("not a number")
            self.assertFalse(pyrometer.init("no spaces", LAYERS).enabled)

    def test_a_user_without_a_home(self):
        with mock.patch.dict(os.environ, PYROMETER_SPOOL="x"), self.assertLogs("pyrometer", "WARNING") as logs:
            del os.environ["PYROMETER_SPOOL"]
            os.environ.pop("XDG_STATE_HOME", None)
            with mock.patch("pathlib.Path.home", side_effect=RuntimeError("Could not determine home directory.")):
                run = self.start(self.daemon().address)
            run.step(1.0)
            run.finish()
        self.assertEqual((run.counters()["acked"], len(logs.output)), (1, 1))

    def test_a_signal_amid_a_call(self):
        """Its handler speaks of the run, too: what a scheduler's SIGTERM is answered with."""
        daemon = self.daemon()
        run = self.start(daemon.address)
        put, handled = run._sender.queue.put, []

        def interrupted(entry):
            with run._sender.queue._lock:
                if not handled:
                    handled.append(True)
                    signal.raise_signal(signal.SIGUSR1)
                return put(entry)

        self.addCleanup(signal.signal, signal.SIGUSR1, signal.signal(
            signal.SIGUSR1, lambda *_: run.event("checkpoint")))
        with mock.patch.object(run._sender.queue, "put", interrupted):
            run.step(1.0)
        run.finish()
        self.assertEqual([m["type"] for m in daemon.until("end")], ["event", "step", "end"])

    def test_a_copy_of_a_run_is_silent(self):
        daemon = self.daemon()
        run = self.start(daemon.address)
        for other in (copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
            self.assertFalse(other.enabled)
            other.step(1.0)
            other.finish()
        run.finish()
        self.assertEqual(len(daemon.until("end")), 1)

    def test_what_an_event_was_given_may_change(self):
        daemon = self.daemon()
        run = self.start(daemon.address)
        metrics = {"accuracy": 0.5}
        run.event("epoch", metrics=metrics)
        metrics.clear()
        run.finish()
        self.assertEqual(daemon.until("end")[0]["data"], {"metrics": {"accuracy": 0.5}})

    def test_several_threads_share_a_run(self):
        daemon = self.daemon()
        run = self.start(daemon.address)
        number_step = run._number_step

        def slowly(step):
            here = number_step(step)
            time.sleep(0.001 * (here % 3))  # others overtake who has its number
            return here

        threads = [threading.Thread(target=lambda: [run.step(1.0) for _ in range(20)]) for _ in range(4)]
        with mock.patch.object(run, "_number_step", slowly):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        run.finish(timeout=PATIENCE_S)
        self.assertEqual([m["step"] for m in daemon.until("end")[:-1]], list(range(80)))

    def test_a_defect_in_the_sender_costs_no_steps(self):
        with mock.patch.object(_sender.Sender, "one_connection", side_effect=TypeError("a defect")), \
                self.assertLogs("pyrometer", "WARNING") as logs:
            run = self.start(closed_port())
            run.step(1.0)
            run.finish()
        self.assertIn("a defect", logs.output[0])
        self.assertEqual(run.counters()["spooled"], 2)

    def test_an_answer_that_no_reader_of_json_takes(self):
        daemon = self.daemon(stranger=b"[" * 100_000 + b"\n")
        with self.assertLogs("pyrometer", "WARNING") as logs:
            run = self.start(daemon.address)
            daemon.until("stranger")
            daemon.until("stranger")
            run.finish(timeout=0)
        self.assertIn("does not speak the protocol", logs.output[0])


if __name__ == "__main__":
    unittest.main()
