"""Lines as bytes: cut anywhere, too long, badly encoded, and the numbers in them."""

import json
import math
import unittest

from harness import STATISTICS, Job, SharedDaemonCase, hello, line, make_step, measured, new_run

MIB = 1 << 20
BATCH = 80  # connections at a time


class Cuts(SharedDaemonCase):
    def session(self, run):
        """A short session's bytes, and where its lines end."""
        messages = [hello(run, 1), make_step(0, 1, stats=("w_var", "g_mean")), make_step(1, 1, stats=("w_var",)),
                    {"type": "event", "step": 1, "name": "epoch"}, make_step(2, 1, stats=("w_mean",))]
        return b"".join(map(line, messages))

    def batches(self):
        length = len(self.session("cut-0000"))
        for start in range(1, length, BATCH):
            yield range(start, min(start + BATCH, length))

    def test_cut_at_every_byte(self):
        """Two writes with the daemon's reading between them: the same as one."""
        for cuts in self.batches():
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
                    job.wait_ack(2)
                job.close()
        for cut in (1, 77, len(self.session("cut-0000")) - 1):
            self.assertEqual(len(self.shared.steps(f"cut-{cut:04}")), 3)

    def test_job_that_dies_at_every_byte(self):
        """Whole lines count, a torn one does not, and the daemon goes on."""
        for cuts in self.batches():
            jobs = {}
            for cut in cuts:
                jobs[cut] = job = Job(self.shared)
                job.raw(self.session(f"die-{cut:04}")[:cut])
                job.half_close()
            for cut, job in jobs.items():
                with self.subTest(cut=cut):
                    self.judge_death(cut, job)
                job.close()
        self.assert_served(self.shared)

    def judge_death(self, cut, job):
        sent = self.session(f"die-{cut:04}")[:cut]
        whole = [json.loads(text) for text in sent.split(b"\n")[:-1]]
        steps = [m["step"] for m in whole if m["type"] == "step"]
        messages = job.drain()
        self.assertEqual(bool(whole), any(m["type"] == "welcome" for m in messages))
        allowed = {max(steps, default=-1)}
        if self.session(f"die-{cut:04}")[cut:cut + 1] == b"\n":  # all of a line but its end may count as a line
            allowed.add(max(allowed) + 1)
        self.assertIn(job.acked, allowed)

    def test_all_in_one_write(self):
        job = self.connect()
        run = new_run("one-write")
        job.raw(b"".join([line(hello(run)), *(line(make_step(step)) for step in range(500)), line({"type": "ping"})]))
        job.expect("welcome")
        job.expect("pong")
        job.wait_ack(499)
        self.assertEqual([m["step"] for m in self.shared.steps(run)], list(range(500)))

    def test_byte_by_byte(self):
        job = self.connect()
        data = self.session("byte-by-byte")
        for i in range(len(data)):
            job.raw(data[i:i + 1])
        job.expect("welcome")
        job.wait_ack(2)

    def test_crlf(self):
        job = self.connect()
        job.raw(self.session("crlf").replace(b"\n", b"\r\n"))
        job.expect("welcome")
        job.wait_ack(2)


class Length(SharedDaemonCase):
    def padded(self, message, length):
        """The message as a line of that many bytes before its newline, by way of a key nobody knows."""
        message = dict(message, padding="")
        return line(dict(message, padding="x" * (length - len(line(message)) + 1)))

    def test_longest_line(self):
        job, run = self.start_run()
        for step, length in enumerate((MIB - 1, MIB - 2, 65536, 65537)):
            text = self.padded(make_step(step), length)
            self.assertEqual(len(text), length + 1)
            job.raw(text)
        job.wait_ack(3)
        self.assertEqual(len(self.shared.steps(run)), 4)

    def test_one_byte_above(self):
        self.too_large(self.padded(make_step(1), MIB + 1))

    def test_far_above(self):
        self.too_large(self.padded(make_step(1), 5 * MIB))

    def too_large(self, text):
        job, run = self.start_run()
        job.step(0)
        job.wait_ack(0)
        try:
            job.raw(text)
        except OSError:  # the daemon need not read the rest of it
            pass
        error = job.expect_error("too_large", number=3)
        self.assertIn(str(MIB), error["message"].replace("1 MiB", str(MIB)))
        if not error["fatal"]:
            job.step(2)
            job.wait_ack(2)
        self.assertNotIn(1, [m["step"] for m in self.shared.steps(run)])
        self.assert_served(self.shared)

    def test_error_comes_before_the_newline(self):
        """A line without an end is refused when it is too long, not when it ends."""
        job, _ = self.start_run()
        job.raw(b" " * (MIB + 2))
        self.assertEqual(job.expect("error")["code"], "too_large")

    def test_limit_is_configurable(self):
        daemon = self.daemon("ingest: { max_message: 16KiB }\n")
        job = self.job(daemon)
        job.hello()
        job.raw(self.padded(make_step(0), 16383))
        job.wait_ack(0)
        job.raw(self.padded(make_step(1), 16385))
        job.expect_error("too_large", number=3)
        self.assert_served(daemon)

    def test_many_layers(self):
        job, run = self.start_run(layers=3000)
        sent = make_step(0, 3000, stats=("w_mean", "w_var"))
        job.send(sent)
        job.wait_ack(0)
        self.assertEqual(measured(self.shared.steps(run)[0]), measured(sent))


class Encoding(SharedDaemonCase):
    def test_invalid_utf8(self):
        for text in (b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok\x80"):
            with self.subTest(text=text):
                job, run = self.start_run(new_run("utf8"))
                job.raw(b'{"type":"event","step":0,"name":"' + text + b'"}\n')
                job.expect_error({"bad_json", "bad_value"}, fatal=False)
                job.step(0)
                job.wait_ack(0)
                self.shared.get(f"/api/v1/runs/{run}/events")
                job.close()

    def test_invalid_utf8_in_a_hello(self):
        job = self.connect()
        job.raw(line(hello("utf8-hello")).replace(b"fc1", b"fc\xff"))
        job.expect_error({"bad_json", "bad_hello"})

    def test_unicode_survives(self):
        job, run = self.start_run(project="Größe 测试 🔥", tags={"ключ": "значение"})
        job.send({"type": "event", "step": 0, "name": "época \"quoted\" \\ \t", "data": {"δ": "\u2028"}})
        job.step(0)
        job.wait_ack(0)
        self.assertEqual(self.shared.run(run)["project"], "Größe 测试 🔥")
        events = self.shared.get_json(f"/api/v1/runs/{run}/events")["events"]
        self.assertEqual(events[0]["name"], "época \"quoted\" \\ \t")
        self.assertEqual(events[0]["data"], {"δ": "\u2028"})

    def test_deep_nesting(self):
        for depth in (100, 2000, 100000):
            with self.subTest(depth=depth):
                job, _ = self.start_run(new_run("deep"))
                job.raw(b'{"type":"event","step":0,"name":"x","data":' + b"[" * depth + b"]" * depth + b"}\n")
                job.expect_error({"bad_json", "bad_value"}, fatal=False)
                job.raw(b"[" * depth + b"\n" + b'{"a":' * depth + b"\n")
                job.expect_error("bad_json", number=3, fatal=False)
                job.expect_error("bad_json", number=4, fatal=False)
                job.step(0)
                job.wait_ack(0)
                job.close()

    def test_control_characters(self):
        job, _ = self.start_run()
        job.raw(b'{"type":"event","step":0,"name":"a\x01b"}\n')
        job.expect_error({"bad_json", "bad_value"}, fatal=False)
        job.ping()


class Numbers(SharedDaemonCase):
    def stored(self, *texts):
        """The steps sent as these raw lines, as the export gives them back."""
        job, run = self.start_run(new_run("numbers"))
        job.raw(b"".join(texts))
        job.wait_ack(max(m["step"] for m in map(json.loads, texts)))
        job.close()
        return self.shared.steps(run), run

    def test_nonfinite(self):
        strings = b'{"type":"step","step":0,"loss":"NaN","lr":"Infinity","stats":{"w_mean":["-Infinity","NaN",1]}}\n'
        bare = b'{"type":"step","step":1,"loss":NaN,"lr":Infinity,"stats":{"w_mean":[-Infinity,NaN,1]}}\n'
        steps, run = self.stored(strings, bare)
        for step in steps:
            self.assertEqual((step["loss"], step["lr"]), ("NaN", "Infinity"))
            self.assertEqual(step["stats"]["w_mean"], ["-Infinity", "NaN", 1])
        self.assertEqual(self.shared.series(run, "loss")["series"][0]["value"], ["NaN", "NaN"])

    def test_not_measured(self):
        steps, run = self.stored(
            b'{"type":"step","step":0,"loss":null,"lr":null,"stats":'
            b'{"w_mean":[1,null,"NaN"],"w_var":[null,null,null],"g_mean":null}}\n',
            b'{"type":"step","step":1}\n',
            b'{"type":"step","step":2,"loss":0.5,"stats":{}}\n')
        self.assertIsNone(steps[0].get("loss"))
        self.assertEqual(steps[0]["stats"]["w_mean"], [1, None, "NaN"])
        self.assertFalse({"loss", "lr"} & {k for k, v in steps[1].items() if v is not None})
        self.assertEqual(steps[2]["loss"], 0.5)
        loss = self.shared.series(run, "loss")["series"][0]
        self.assertEqual({s: v for s, v in zip(loss["step"], loss["value"]) if v is not None}, {2: 0.5})

    def test_exact(self):
        """Doubles come back bit for bit, whatever their size."""
        values = [0.1, 1 / 3, 5e-324, -5e-324, 1.7976931348623157e308, 2.2250738585072014e-308, 9007199254740993.0,
                  -0.0, 1e22, 1e23,
                  123456789012345680.0, 4.35, 2.5e-17, math.pi, 0.1 + 0.2]
        lines = [line({"type": "step", "step": i, "loss": v, "stats": {"w_var": [v, -v, i]}}) for i,
                 v in enumerate(values)]
        steps, _ = self.stored(*lines)
        self.assertEqual([repr(float(m["loss"])) for m in steps], [repr(v) for v in values])
        self.assertEqual([repr(float(m["stats"]["w_var"][1])) for m in steps], [repr(-v) for v in values])

    def test_spellings(self):
        steps, _ = self.stored(b' { "type" : "step" ,\t"step" : 7e0 , "loss" : 1E+2,'
                               b' "stats":{"w_mean":[1e-3,-0,0.50]} } \n')
        self.assertEqual((steps[0]["step"], steps[0]["loss"]), (7, 100))
        self.assertEqual(steps[0]["stats"]["w_mean"], [0.001, 0, 0.5])

    def test_beyond_a_double(self):
        job, run = self.start_run()
        job.raw(b'{"type":"step","step":0,"loss":1e400,"stats":{"w_mean":[-1e400,1e-400,1]}}\n')
        job.half_close()
        messages = job.drain()
        errors = [m["code"] for m in messages if m["type"] == "error"]
        if errors:
            self.assertIn(errors, (["bad_value"], ["bad_json"]))
        else:
            step = self.shared.steps(run)[0]
            self.assertEqual((step["loss"], step["stats"]["w_mean"]), ("Infinity", ["-Infinity", 0, 1]))

    def test_huge_steps(self):
        """The numbers of steps may leap; a plot of such a run is still small and quick."""
        numbers = [0, 10**6, 10**12, 8 * 10**12]
        steps, run = self.stored(*[line({"type": "step", "step": n, "loss": 1.0}) for n in numbers])
        self.assertEqual([m["step"] for m in steps], numbers)
        self.assertEqual(self.shared.run(run)["last_step"], numbers[-1])
        for points in (1, 2, 3, 1000):
            loss = self.shared.series(run, "loss", points=points)["series"][0]
            self.assertLessEqual(len(loss["step"]), points)

    def test_every_statistic(self):
        sent = [make_step(i) for i in range(3)]
        steps, run = self.stored(*map(line, sent))
        self.assertEqual([measured(m) for m in steps], [measured(m) for m in sent])
        for key in STATISTICS:
            values = [s["value"] for s in self.shared.series(run, key, layer="*")["series"]]
            self.assertEqual(values, [[m["stats"][key][i] for m in sent] for i in range(3)], key)


if __name__ == "__main__":
    unittest.main()
