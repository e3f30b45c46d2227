"""Steps as binary frames: what they hold, what goes beside them, and daemons that read lines."""
from __future__ import annotations

import json
import math
import struct
import unittest

from pyrometer import _frame
from pyrometer._text import encode

from tests.test_client import LAYERS, ClientTest


def float32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


class Frames(ClientTest):
    def sent(self, daemon, run):
        """Everything between the hello and the end."""
        run.finish()
        return daemon.until("end")[:-1]

    def test_steps_are_frames_where_the_welcome_says_so(self):
        daemon = self.daemon(frames=1)
        run = self.start(daemon.address)
        run.log_layers(0, 1.5, {"w_mean": [0.1, 2], "w_var": [0.1, 0.2], "gu_prev": (3, 4)},
                       lr=0.1, batch_size=8)
        step, = self.sent(daemon, run)
        self.assertGreater(step.pop("time"), 1e9)
        self.assertEqual(step, {
            "type": "step", "frame": True, "step": 0, "loss": 1.5, "lr": 0.1, "batch_size": 8,
            "wide": ["w_var"],
            "stats": {"w_mean": [float32(0.1), 2], "w_var": [0.1, 0.2], "gu_prev": [3, 4]}})
        self.assertEqual(run.counters()["acked"], 1)

    def test_lines_where_it_does_not_or_they_are_not_wanted(self):
        for frames, options in ((None, {}), (2, {}), (1, {"frames": False})):
            daemon = self.daemon(frames=frames)
            run = self.start(daemon.address, **options)
            run.step(1.5)
            step, = self.sent(daemon, run)
            self.assertNotIn("frame", step)

    def test_every_kind_of_value(self):
        daemon = self.daemon(frames=1)
        run = self.start(daemon.address)
        odd = [math.nan, math.inf, -math.inf, None, -0.0, 1e-40, 1e39, 2.0 ** -126]
        for value in odd:
            run.log_layers(run.next_step, value, {"w_mean": [value, 0.1], "w_var": [0.1, value]})
        steps = self.sent(daemon, run)
        for value, step in zip(odd, steps):
            wide = value in (1e-40, 1e39)
            self.assertEqual(step["wide"], ["w_mean", "w_var"] if wide else ["w_var"], value)
            self.assertEqual(repr(step["stats"]["w_mean"][0]), repr(value))
            self.assertEqual(step["stats"]["w_mean"][1], 0.1 if wide else float32(0.1))
            self.assertEqual(repr(step["stats"]["w_var"]), repr([0.1, value]))
            if value is not None:
                self.assertEqual(repr(step["loss"]), repr(value))
        self.assertTrue(math.isnan(steps[3]["loss"]))  # not measured has a NaN of its own
        self.assertEqual(_frame._double(None), struct.pack("<Q", 0x7FF80000A0A70000))

    def test_beside_frames(self):
        daemon = self.daemon(frames=1)
        run = self.start(daemon.address)
        run.step(1.0, scalars={"accuracy": 0.5, "odd": math.nan})
        run.step(1.0, val_loss=2)
        run.log_layers(2, 1.0, {"mine": [1, 2], "w_mean": [1, 2]})
        run.event("epoch")
        run.step(1.0)
        scalars, first, val_loss, mine, event, last = self.sent(daemon, run)
        self.assertEqual(scalars, {"type": "scalars", "step": 0,
                                   "scalars": {"accuracy": 0.5, "odd": "NaN"}})
        self.assertTrue(first["frame"] and last["frame"])
        self.assertEqual((val_loss["val_loss"], val_loss.get("frame")), (2, None))
        self.assertEqual((mine["stats"], mine.get("frame")),
                         ({"mine": [1, 2], "w_mean": [1, 2]}, None))
        self.assertEqual(event["name"], "epoch")

    def test_a_frame_goes_over_the_next_connection_as_that_daemon_reads_it(self):
        daemon = self.daemon(frames=[1, None, 1], ack=False, hang_up_after=2)
        run = self.start(daemon.address)
        run.step(1.0, scalars={"x": 1})  # the fake hangs up behind these two messages
        daemon.until("step")
        daemon.ack = True
        run.log_layers(1, 2.0, {"w_mean": [0.5, None]})
        run.finish()
        first, second, end = daemon.until("end")
        self.assertEqual((first["step"], first.get("frame"), first["scalars"]), (0, None, {"x": 1}))
        self.assertEqual((second["step"], second.get("frame"), second["stats"]),
                         (1, None, {"w_mean": [0.5, None]}))

    def test_a_frame_can_be_read_back(self):
        stats = {"w_mean": [0.5, None, math.inf], "w_var": [0.1, 0.2, None], "g_var": [1e-40, 1, 0]}
        message = {"type": "step", "step": 7, "time": 1.5, "loss": 0.1, "lr": None, "stats": stats,
                   "batch_size": 3, "scalars": {"x": 1}}
        for layers in (1, 2, 3):
            short = {key: values[:layers] for key, values in stats.items()}
            data = _frame.encode_step({**message, "stats": short})
            self.assertEqual(_frame.decode_step(data, layers), {**message, "stats": short})
        bare = {"type": "step", "step": 0, "time": 0, "loss": 1.0, "lr": 0.1}
        self.assertEqual(_frame.decode_step(_frame.encode_step(bare), 3), bare)

    def test_a_table_is_what_its_columns_are(self):
        keys, values = ("w_mean", "w_var", "gu"), [0.5, -2.0, 0.0, 0.1, 1e-300, 3.0, 1.0, 2.0, -0.0]
        table = _frame.Table(keys, values)
        columns = {"w_mean": values[:3], "w_var": values[3:6], "gu": values[6:]}
        self.assertEqual(table.tolist(), columns)
        message = {"type": "step", "step": 7, "time": 1.5, "loss": 0.1, "lr": None}
        self.assertEqual(_frame.encode_step({**message, "stats": table}),
                         _frame.encode_step({**message, "stats": columns}))
        self.assertEqual(json.loads(encode({**message, "stats": table}))["stats"], columns)
        self.assertEqual(json.loads(encode({**message, "loss": math.nan, "stats": table}))["stats"], columns)

    def test_arrays_are_taken(self):
        class Array:
            def __len__(self):
                return len(LAYERS)

            def tolist(self):
                return [0.25, 0.5]

        data = _frame.encode_step({"step": 0, "stats": {"g_mean": Array(), "g_var": None}})
        self.assertEqual(_frame.decode_step(data, 2)["stats"], {"g_mean": [0.25, 0.5]})


if __name__ == "__main__":
    unittest.main()
