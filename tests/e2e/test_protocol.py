"""The line protocol: the greeting, acks, ping, and every error by its code."""

import unittest

from harness import Job, SharedDaemonCase, TestCase, hello, make_layers, make_step, new_run


class Greeting(SharedDaemonCase):
    def test_welcome_of_a_new_run(self):
        job = self.connect()
        welcome = job.hello("greeting:a_B-1.2")
        self.assertEqual(welcome, {"type": "welcome", "protocol": 1, "run": "greeting:a_B-1.2", "last_step": -1,
                                   "frames": 1})

    def test_smallest_hello(self):
        job = self.connect()
        job.send({"type": "hello", "protocol": 1, "run": "smallest", "layers": [{"name": "w", "n": 1}]})
        self.assertEqual(job.expect("welcome")["last_step"], -1)
        job.send({"type": "step", "step": 0})
        job.wait_ack(0)

    def test_everything_a_hello_may_hold(self):
        components = [{"distribution": "normal", "mean": 0, "std": 1, "weight": 0.5},
                      {"distribution": "uniform", "low": -1, "high": 1, "weight": 0.5}]
        inits = [{"distribution": "normal", "mean": 0, "std": 0.05},
                 {"distribution": "uniform", "low": -0.1, "high": 0.1},
                 {"distribution": "mixed", "components": components}, {"distribution": "constant"},
                 {"distribution": "unknown"}]
        layers = [{"name": f"layer/{i} é", "n": 10, "kind": "conv", "activation": "relu", "init": init}
                  for i, init in enumerate(inits)]
        _, run = self.start_run(layers=layers, tags={"who": "tests"}, dataset_size=60000, rank=0, world_size=1,
                                resume="continue", favourite_colour="green",
                                optimizer={"name": "adamw", "lr": 1e-3, "betas": [0.9, 0.999], "weight_decay": 0.01})
        self.assertEqual([layer["name"] for layer in self.shared.run(run)["layers"]],
                         [layer["name"] for layer in layers])

    def test_ack_is_cumulative(self):
        job, _ = self.start_run()
        for step in range(20):
            job.step(step)
        job.wait_ack(19)
        self.assertEqual(job.acked, 19)

    def test_steps_may_be_sparse(self):
        job, run = self.start_run()
        for step in (0, 10, 15, 1000):
            job.step(step)
        job.wait_ack(1000)
        self.assertEqual([m["step"] for m in self.shared.steps(run)], [0, 10, 15, 1000])

    def test_ping(self):
        job, _ = self.start_run()
        self.assertEqual(job.ping()["type"], "pong")
        job.send({"type": "ping", "cookie": 7})
        job.expect("pong")

    def test_end_statuses(self):
        for status in ("completed", "failed", "stopped"):
            with self.subTest(status):
                job, run = self.start_run(new_run("end"))
                job.step(0)
                job.send({"type": "end", "status": status})
                job.half_close()
                job.drain()
                self.assertEqual(job.acked, 0)
                self.assertEqual(self.shared.run(run)["status"], status)


class BadHello(SharedDaemonCase):
    def refused(self, code, message, fatal=None):
        """The hello is refused; where that is not fatal the same connection takes a good one."""
        job = self.connect()
        job.send(message)
        error = job.expect_error(code, fatal=fatal)
        if not error["fatal"]:
            job.hello()
            job.step(0)
            job.wait_ack(0)
        job.close()

    def test_run_names(self):
        for name in ("", "a b", "a/b", "é", "a" * 129, "a\n", "..\\x", 7, True, ["a"], {}, "a\u0000b"):
            with self.subTest(name=name):
                self.refused("bad_hello", hello() | {"run": name})
        job = self.connect()
        self.assertEqual(job.hello("a" * 128)["run"], "a" * 128)

    def test_missing_run(self):
        self.refused("bad_hello", hello() | {"run": None})
        message = hello()
        del message["run"]
        self.refused("bad_hello", message)

    def test_layers(self):
        good = {"name": "fc", "n": 10}
        cases = [
            None, [], {}, "fc", 3, [3], ["fc"], [{}], [{"n": 10}], [{"name": "fc"}], [good, None],
            [{"name": "fc", "n": 0}], [{"name": "fc", "n": -1}], [{"name": "fc", "n": 1.5}],
            [{"name": "fc", "n": "10"}],
            [{"name": "fc", "n": None}], [{"name": "fc", "n": True}], [{"name": "fc", "n": 1e300}],
            [{"name": "", "n": 10}], [{"name": 5, "n": 10}], [good, good],
        ]
        for layers in cases:
            with self.subTest(layers=layers):
                self.refused("bad_hello", hello() | {"layers": layers})

    def test_layers_absent(self):
        message = hello()
        del message["layers"]
        self.refused("bad_hello", message)

    def test_wrong_types(self):
        layers = make_layers(1)
        for field, value in [("optimizer", "sgd"), ("optimizer", {"name": 5}),
                             ("optimizer", {"name": "sgd", "momentum": "high"}),
                             ("tags", "x"), ("project", 7), ("batch_size", "many"), ("dataset_size", {}),
                             ("layers", [dict(layers[0], kind=3)]), ("layers", [dict(layers[0], init="normal")])]:
            with self.subTest(field=field, value=value):
                self.refused("bad_hello", hello() | {field: value})

    def test_resume(self):
        for resume in ("sometimes", 5, [], {}, {"rewind": "5"}, {"rewind": -7}, {"rewind": 1.5}, {"rewind": None},
                       {"back": 5}):
            with self.subTest(resume=resume):
                self.refused("bad_hello", hello() | {"resume": resume})

    def test_protocol(self):
        for version in (0, 2, 99):
            with self.subTest(version=version):
                self.refused("unsupported_protocol", hello() | {"protocol": version}, fatal=True)
        for version in (None, "1", 1.5, []):
            with self.subTest(version=version):
                self.refused({"bad_hello", "unsupported_protocol"}, hello() | {"protocol": version})

    def test_hello_comes_once(self):
        job, run = self.start_run()
        job.send(hello(run))
        error = job.expect_error("bad_hello")
        if not error["fatal"]:
            job.step(0)
            job.wait_ack(0)

    def test_hello_comes_first(self):
        for message in (make_step(0), {"type": "event", "step": 0, "name": "x"}, {"type": "end", "status": "completed"},
                        {"type": "scalars", "step": 0, "scalars": {"a": 1}}):
            with self.subTest(message["type"]):
                self.refused("no_hello", message)


class BadMessage(SharedDaemonCase):
    """Errors that cost the job one message and no more."""

    def refused(self, code, *messages, layers=3):
        """Each is refused with that code; the steps around it are stored, and nothing of it."""
        for message in messages:
            with self.subTest(message=message):
                run = new_run("refused")
                job = self.connect()
                job.hello(run, layers)
                job.step(0, layers)
                job.raw(message if isinstance(message, bytes) else b"")
                if not isinstance(message, bytes):
                    job.send(message)
                job.expect_error(code, number=3, fatal=False)
                job.step(1, layers)
                job.ping()
                job.wait_ack(1)
                job.close()
                self.assertEqual([m["step"] for m in self.shared.steps(run)], [0, 1])

    def test_bad_json(self):
        self.refused("bad_json", b"{\n", b"nonsense\n", b'{"type":"ping"} x\n', b'{"type":"ping"}{"type":"ping"}\n',
                     b'{"type":\n',
                     b"{'type':'ping'}\n", b'{"type":"step","step":5,"loss":1.2.3}\n',
                     b'{"type":"step","step":5,"loss":nan}\n',
                     b'{"type":"step","step":5,"loss":infinity}\n', b"\x00\n", b"\xef\xbb\xbf\x01\n")

    def test_not_an_object(self):
        self.refused("bad_json", b"[]\n", b"5\n", b'"ping"\n', b"null\n", b'[{"type":"ping"}]\n')

    def test_unknown_type(self):
        self.refused("unknown_type", {"type": "stepp", "step": 5}, {"type": "HELLO"}, {"type": ""}, {"type": "welcome"},
                     {"type": "ack"})

    def test_type_missing_or_no_string(self):
        self.refused({"unknown_type", "bad_json", "bad_value"}, {}, {"step": 5}, {"type": 5}, {"type": None},
                     {"type": ["ping"]})

    def test_wrong_shape(self):
        good = make_step(5)["stats"]
        cases = [dict(good, w_mean=column) for column in ([], [1.0], [1.0, 2.0], [1.0] * 4, [1.0] * 5000)]
        cases.append(dict(good, my_own=[1.0, 2.0]))
        self.refused("wrong_shape", *[make_step(5, stats=()) | {"stats": stats} for stats in cases])

    def test_wrong_shape_says_what_is_wrong(self):
        job, _ = self.start_run()
        job.send({"type": "step", "step": 0, "stats": {"w_mean": [1, 2]}})
        error = job.expect_error("wrong_shape", fatal=False)
        for word in ("w_mean", "2", "3"):
            self.assertIn(word, error["message"])

    def test_bad_value_in_a_step(self):
        for step in (-1, 1.5, "5", None, True, [], 2.0**63, -(2**63), 1e300):
            self.refused("bad_value", {"type": "step", "step": step, "loss": 1.0})
        self.refused("bad_value", {"type": "step", "loss": 1.0})
        for field, value in [("loss", "high"), ("loss", True), ("loss", [1]), ("loss", {}), ("lr", "0.1x"),
                             ("time", "now"),
                             ("batch_size", "many"), ("scalars", [1]), ("scalars", {"a": "b"}), ("scalars", {"": 1}),
                             ("scalars", {"a" * 129: 1})]:
            self.refused("bad_value", make_step(5) | {field: value})

    def test_bad_value_in_the_statistics(self):
        for stats in ([], "w_mean", 5, {"w_mean": 5}, {"w_mean": {"a": 1}}, {"w_mean": [1, "x", 2]},
                      {"w_mean": [1, [2], 3]},
                      {"w_mean": [1, True, 3]}, {"w_mean": [1, {}, 3]}):
            self.refused({"bad_value", "wrong_shape"}, {"type": "step", "step": 5, "stats": stats})

    def test_bad_event_and_end(self):
        self.refused("bad_value", {"type": "event", "step": 0}, {"type": "event", "step": 0, "name": 5},
                     {"type": "event", "step": "x", "name": "n"}, {"type": "end", "status": "glorious"},
                     {"type": "end", "status": 5})

    def test_lines_are_counted(self):
        job, _ = self.start_run()
        for step in range(8):
            job.step(step)
        job.raw(b"oops\n")
        job.expect_error("bad_json", number=10, fatal=False)
        job.ping()
        job.raw(b"oops\r\noops\n")
        job.expect_error("bad_json", number=12, fatal=False)
        job.expect_error("bad_json", number=13, fatal=False)

    def test_many_errors_in_a_row(self):
        job, _ = self.start_run()
        job.raw(b"oops\n" * 2000)
        for number in range(2, 2002):
            job.expect_error("bad_json", number=number, fatal=False)
        job.step(0)
        job.wait_ack(0)

    def test_binary_frame(self):
        """A frame that cannot be understood ends the connection: nobody knows where the next message begins."""
        for frame in (b"\xa7\xff\x00\x00" + bytes(12) + b"\n", b"\xa7" * 64 + b"\n"):
            with self.subTest(frame=frame):
                job, _ = self.start_run(new_run("frame"))
                job.step(0)
                job.wait_ack(0)
                job.raw(frame)
                error = job.expect("error")
                self.assertTrue(error["fatal"], error)
                self.assertRegex(error["message"], "(?i)frame|binary")
                job.expect_closed()
        self.assert_served(self.shared)


class Unauthorized(TestCase):
    TOKEN = "correct-horse.battery_staple"

    def setUp(self):
        self.guarded = self.daemon()
        self.guarded.stop()
        token_file = self.guarded.home / "token"
        token_file.write_text(self.TOKEN + "\n")
        token_file.chmod(0o600)
        self.guarded.configure(f"ingest: {{ token_file: {token_file} }}\nhttp: {{ token_file: {token_file} }}\n")
        self.guarded.start()

    def test_ingest_wants_the_token(self):
        for token in (None, "", "wrong", self.TOKEN + "x", self.TOKEN[:-1], self.TOKEN.upper(), 5):
            with self.subTest(token=token):
                job = self.job(self.guarded)
                job.send(hello("secret", token=token))
                job.expect_error({"unauthorized", "bad_hello"} if token == 5 else "unauthorized")
        job = self.job(self.guarded)
        self.assertEqual(job.hello("secret", token=self.TOKEN)["last_step"], -1)
        job.step(0)
        job.wait_ack(0)
        self.assertNotIn(self.TOKEN, self.guarded.log())

    def test_http_wants_the_token(self):
        for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": self.TOKEN},
                       {"Authorization": "Bearer "},
                       {"Authorization": "Basic " + self.TOKEN}):
            with self.subTest(header=header):
                for path in ("/api/v1/runs", "/api/v1/alerts", "/metrics", "/api/v1/runs/none/temperature"):
                    self.guarded.get_json(path, expect=401, headers=header)
        self.guarded.get("/healthz")
        good = {"Authorization": "Bearer " + self.TOKEN}
        self.assertEqual(self.guarded.get_json("/api/v1/runs", headers=good)["runs"], [])

    def test_the_token_is_not_exported(self):
        with Job(self.guarded) as job:
            job.hello("secret", token=self.TOKEN)
            job.step(0)
            job.wait_ack(0)
        _, body = self.guarded.get("/api/v1/runs/secret/export", headers={"Authorization": "Bearer " + self.TOKEN})
        self.assertNotIn(self.TOKEN.encode(), body)


if __name__ == "__main__":
    unittest.main()
