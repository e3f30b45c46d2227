"""A run over several connections: repeats, going on, going back, other layers, the end."""

import json
import unittest

from harness import Job, SharedDaemonCase, comparable, hello, make_step, measured, new_run, replay


class Continue(SharedDaemonCase):
    def run_with(self, steps, **fields):
        run = self.run_name()
        with Job(self.shared) as job:
            job.hello(run, **fields)
            for step in range(steps):
                job.step(step)
            job.wait_ack(steps - 1)
        return run

    def test_welcome_tells_where_to_go_on(self):
        run = self.run_with(30)
        job = self.connect()
        self.assertEqual(job.hello(run)["last_step"], 29)
        job.step(30)
        job.wait_ack(30)
        self.assertEqual([m["step"] for m in self.shared.steps(run)], list(range(31)))

    def test_repeats_are_acknowledged_and_dropped(self):
        run = self.run_with(30)
        job = self.connect()
        job.hello(run, resume="continue")
        for step in range(20, 40):
            job.step(step, seed="another")
        job.half_close()
        messages = job.drain()
        self.assertEqual([m for m in messages if m["type"] == "error"], [])
        self.assertEqual(job.acked, 39)
        wanted = [measured(make_step(s)) for s in range(30)] + [measured(make_step(s, seed="another"))
                                                                for s in range(30, 40)]
        self.assertEqual([measured(m) for m in self.shared.steps(run)], wanted)

    def test_nothing_but_repeats(self):
        run = self.run_with(30)
        job = self.connect()
        job.hello(run)
        for step in range(30):
            job.step(step)
        job.wait_ack(29)
        self.assertEqual(len(self.shared.steps(run)), 30)

    def test_backwards_on_one_connection(self):
        """A step that is stored may come again; one that would have to be put between others is out of order."""
        job, run = self.start_run()
        for step in (0, 10, 10, 0):
            job.step(step)
        job.ping()
        job.step(5)
        error = job.expect_error("step_order", fatal=False)
        self.assertIn("10", error["message"])
        job.step(11)
        job.wait_ack(11)
        self.assertEqual([m["step"] for m in self.shared.steps(run)], [0, 10, 11])

    def test_repeats_leave_the_reading_alone(self):
        run = self.run_with(50)
        before = self.shared.reading_at(run, 49)
        with Job(self.shared) as job:
            job.hello(run)
            for step in range(50):
                job.step(step, seed="another")
            job.ping()
        self.assertEqual(comparable(self.shared.temperature(run)), comparable(before))

    def test_events_and_scalars_that_come_again_are_there_once(self):
        """As after a connection that was lost before the next step was acknowledged; what differs in anything is kept."""
        run = self.run_with(5)
        base = {"type": "event", "step": 5, "time": 1732345678.5, "name": "epoch", "data": {"k": 1}}
        events = [base, {**base, "step": 6}, {**base, "time": 1732345678.500001}, {**base, "name": "epoch2"},
                  {**base, "data": {"k": 2}}]
        scalars = [{"type": "scalars", "step": 4, "time": time, "scalars": {"a": value}}
                   for time, value in ((1.0, 1), (2.0, 2), (3.0, 1))]
        for connection in range(3):
            with Job(self.shared) as job:
                job.hello(run)
                for message in [*events, *scalars]:
                    job.send(message)
                job.send({"type": "event", "step": 5, "name": "untimed"})
                job.step(5 + connection)
                job.wait_ack(5 + connection)
        stored = self.shared.messages(run, "event")
        self.assertEqual([m for m in stored if m["name"] != "untimed"], events)
        self.assertEqual(len(stored), len(events) + 3)  # without a time nobody knows
        self.assertEqual([m["scalars"] for m in self.shared.messages(run, "scalars")], [{"a": 1}, {"a": 2}, {"a": 1}])

    def test_an_event_belongs_to_its_attempt(self):
        run = self.run_with(5)
        event = {"type": "event", "step": 3, "time": 1732345678.5, "name": "data_refresh"}
        for _ in range(2):
            with Job(self.shared) as job:
                job.hello(run, resume={"rewind": 2})
                for _ in range(2):
                    job.send(event)
                job.step(3)
                job.wait_ack(3)
        self.assertEqual(len(self.shared.messages(run, "event")), 2)

    def test_layers_differ(self):
        run = self.run_with(5)
        base = hello(run)["layers"]
        for layers in (base[:2], base[::-1], base + [{"name": "new", "n": 5}], [dict(base[0], n=1), *base[1:]],
                       [dict(base[0], name="other"), *base[1:]]):
            with self.subTest(layers=layers):
                job = self.connect()
                job.send(hello(run, layers))
                job.expect_error("layers_differ")
                job.close()
        job = self.connect()
        self.assertEqual(job.hello(run)["last_step"], 4)

    def test_other_layers_after_the_end(self):
        run = self.run_with(5)
        with Job(self.shared) as job:
            job.hello(run)
            job.send({"type": "end", "status": "completed"})
            job.half_close()
            job.drain()
        job = self.connect()
        last = job.hello(run, 2)["last_step"]
        job.step(last + 1, 2)
        job.wait_ack(last + 1)
        self.assertEqual(self.shared.run(run)["status"], "running")
        self.assertEqual(len(self.shared.run(run)["layers"]), 2)

    def test_going_on_after_the_end(self):
        run = self.run_with(5)
        with Job(self.shared) as job:
            job.hello(run)
            job.send({"type": "end", "status": "failed"})
            job.half_close()
            job.drain()
        job = self.connect()
        self.assertEqual(job.hello(run)["last_step"], 4)
        job.step(5)
        job.wait_ack(5)
        self.assertEqual(self.shared.run(run)["status"], "running")
        self.assertEqual(len(self.shared.steps(run)), 6)


class Rewind(SharedDaemonCase):
    def rewound(self, daemon=None, run=None):
        """A run of 200 steps that went back to step 120 and on to 259 with other values."""
        daemon = daemon or self.shared
        run = run or self.run_name()
        with Job(daemon) as job:
            job.hello(run)
            for step in range(200):
                job.step(step)
            job.wait_ack(199)
        with Job(daemon) as job:
            self.restarted_at = job.hello(run, resume={"rewind": 120})["last_step"] + 1
            for step in range(self.restarted_at, 260):
                job.step(step, seed="again")
            job.wait_ack(259)
        return run

    def wanted(self, key):
        return [make_step(s, seed="again" if s >= self.restarted_at else 0)[key] for s in range(260)]

    def test_later_steps_are_superseded(self):
        run = self.rewound()
        self.assertIn(self.restarted_at, (120, 121))
        loss = self.shared.series(run, "loss")["series"][0]
        self.assertEqual(loss["step"], list(range(260)))
        self.assertEqual(loss["value"], self.wanted("loss"))
        self.assertEqual(self.shared.run(run)["last_step"], 259)

    def test_superseded_steps_stay_in_the_export(self):
        run = self.rewound()
        losses = [m["loss"] for m in self.shared.steps(run)]
        self.assertEqual(losses, [make_step(s)["loss"] for s in range(200)] + self.wanted("loss")[self.restarted_at:])

    def test_export_replays(self):
        run = self.rewound()
        exported = self.shared.export(run)
        other = self.daemon()
        replay(other, exported.splitlines(keepends=True))
        self.assertEqual(other.export(run), exported)
        self.assertEqual(comparable(other.reading_at(run, 259)), comparable(self.shared.reading_at(run, 259)))

    def test_survives_a_restart(self):
        daemon = self.daemon()
        run = self.rewound(daemon)
        loss, reading = daemon.series(run, "loss"), daemon.reading_at(run, 259)
        daemon.restart()
        self.assertEqual(daemon.series(run, "loss"), loss)
        self.assertEqual(comparable(daemon.reading_at(run, 259)), comparable(reading))
        self.assertEqual(self.job(daemon).hello(run)["last_step"], 259)

    def test_twice_and_to_the_start(self):
        run = self.rewound()
        for target in (50, 0):
            with Job(self.shared) as job:
                first = job.hello(run, resume={"rewind": target})["last_step"] + 1
                self.assertIn(first, (target, target + 1))
                for step in range(first, target + 20):
                    job.step(step, seed=f"to{target}")
                job.wait_ack(target + 19)
            loss = self.shared.series(run, "loss")["series"][0]
            self.assertEqual(loss["step"], list(range(target + 20)))
            self.assertEqual(loss["value"][first:],
                             [make_step(s, seed=f"to{target}")["loss"] for s in range(first, target + 20)])

    def test_beyond_the_newest_step(self):
        """A checkpoint the daemon has not heard of: the run goes on from what is stored."""
        run = self.rewound()
        job = self.connect()
        job.send(hello(run, resume={"rewind": 5000}))
        answer = job.recv()
        if answer["type"] == "error":
            self.assertIn(answer["code"], {"bad_hello", "step_order"})
        else:
            self.assertEqual(answer["last_step"], 259)

    def test_rewind_of_a_new_run(self):
        """What a job says that was restored from a checkpoint made before the daemon knew it."""
        job = self.connect()
        self.assertEqual(job.hello(resume={"rewind": 500})["last_step"], -1)
        job.step(500)
        job.wait_ack(500)

    def test_other_layers(self):
        run = self.rewound()
        with Job(self.shared) as job:
            first = job.hello(run, 2, resume={"rewind": 120})["last_step"] + 1
            job.step(first, 2)
            job.wait_ack(first)
        self.assertEqual(len(self.shared.run(run)["layers"]), 2)
        self.assertEqual(self.shared.series(run, "loss")["series"][0]["step"], list(range(first + 1)))
        lines = [json.loads(text) for text in self.shared.export(run).splitlines()]
        self.assertEqual([len(m["layers"]) for m in lines if m["type"] == "hello"], [3, 3, 2])


class SecondConnection(SharedDaemonCase):
    def test_two_at_once(self):
        """A job that lost its connection may come back before the daemon has noticed; both end in order."""
        run = new_run("twice")
        first, second = self.connect(), self.connect()
        first.hello(run)
        first.step(0)
        first.wait_ack(0)
        second.send(hello(run))
        answer = second.recv()
        if answer["type"] == "welcome":
            self.assertEqual(answer["last_step"], 0)
            second.step(1)
            second.wait_ack(1)
            first.close()
            second.step(2)
            second.wait_ack(2)
            self.assertEqual([m["step"] for m in self.shared.steps(run)], [0, 1, 2])
        else:
            self.assertTrue(answer["type"] == "error" and answer["fatal"], answer)
        self.assert_served(self.shared)


if __name__ == "__main__":
    unittest.main()
