"""Several ranks that feed one run, each with the statistics of its shards of the same layers."""

import json
import math
import random
import statistics
import unittest

from harness import Job, SharedDaemonCase, TestCase, eventually, new_run, replay

# Parameters of each layer at each rank; None: that rank holds none of it.
SHARDS = {"fc1": (10, 10, 12, 8), "fc2": (6, 6, 6, 6), "out": (1, 1, None, 1)}
WORLD = 4
# Nobody is given up in a test's time; and somebody who does not come is, but nobody who is only slow to be scheduled.
PATIENT = "ingest: { rank_wait: 1h }\n"
IMPATIENT = "ingest: { rank_wait: 2s }\n"


def layers_of(rank):
    return [{"name": name, "n": shards[rank]} for name, shards in SHARDS.items()]


def whole_layers():
    return [{"name": name, "n": sum(n or 0 for n in shards)} for name, shards in SHARDS.items()]


def parameters(step, layer, rank):
    """What the rank holds of a layer: a list of (w, g, u, u before) a parameter, the same for the same arguments."""
    draw = random.Random(f"{step}/{layer}/{rank}").gauss
    return [(draw(0.1, 1), draw(0, 0.2), draw(0, 0.01), draw(0, 0.01)) for _ in range(SHARDS[layer][rank] or 0)]


def stats_of(held):
    """A layer's statistics as a job computes them from the parameters that it holds."""
    if not held:
        return {}
    w, g, u, before = zip(*held)
    found = {}
    for key, values in (("w", w), ("g", g), ("u", u), ("z", w), ("a", g)):
        found[f"{key}_mean"] = statistics.fmean(values)
        found[f"{key}_var"] = statistics.pvariance(values)
    found["w_min"], found["w_max"] = min(w), max(w)
    for key, values in (("gw", w), ("gu", u), ("gu_prev", before)):
        found[key] = math.fsum(x * y for x, y in zip(g, values))
    found["a_active"] = sum(x > 0 for x in g) / len(g)
    found["a_saturated"] = sum(abs(x) > 0.3 for x in g) / len(g)
    found["g_noise"] = statistics.fmean(x * x for x in u)
    return found


def columns(layers):
    keys = sorted({key for layer in layers for key in layer})
    return {key: [layer.get(key) for layer in layers] for key in keys}


def shard_step(step, rank, **fields):
    return {"type": "step", "step": step, "time": 1.7e9 + step, "loss": 1 / (1 + step) + rank, "lr": 0.1 + rank,
            "batch_size": 16, "scalars": {"power_w": 100.0 + rank},
            "stats": columns([stats_of(parameters(step, layer, rank)) for layer in SHARDS]), **fields}


def whole_step(step, ranks=range(WORLD)):
    """The step of one process that holds everything."""
    held = [[p for rank in ranks for p in parameters(step, layer, rank)] for layer in SHARDS]
    return {"type": "step", "step": step, "time": 1.7e9 + step, "loss": 1 / (1 + step) + statistics.fmean(ranks),
            "lr": 0.1 + min(ranks), "batch_size": 16 * len(ranks),
            "scalars": {"power_w": 100 + statistics.fmean(ranks)}, "stats": columns([stats_of(h) for h in held])}


class Ranks:
    """For test cases: the jobs of the ranks, and what must come of them."""

    def rank(self, daemon, run, rank, **fields):
        job = self.job(daemon)
        job.send(self.rank_hello(run, rank, **fields))
        return job

    def rank_hello(self, run, rank, **fields):
        hello = {"type": "hello", "protocol": 1, "run": run, "project": "tests", "loss": "cross_entropy",
                 "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0}, "batch_size": 16,
                 "rank": rank, "world_size": WORLD, "shards": True, "layers": layers_of(rank), **fields}
        return {k: v for k, v in hello.items() if v is not None}

    def connect_all(self, daemon, run, last_step=-1, **fields):
        jobs = [self.rank(daemon, run, rank, **fields) for rank in range(WORLD)]
        for job in jobs:
            self.assertEqual(job.expect("welcome")["last_step"], last_step)
        return jobs

    def send_all(self, jobs, steps):
        for step in steps:
            for rank, job in enumerate(jobs):
                job.send(shard_step(step, rank))

    def wait_all(self, jobs, step):
        for job in jobs:
            job.wait_ack(step)

    def assert_close(self, found, wanted, where, relative=1e-9):
        if isinstance(wanted, dict):
            self.assertEqual(set(found), set(wanted), where)
            for key in wanted:
                self.assert_close(found[key], wanted[key], f"{where}.{key}", relative)
        elif isinstance(wanted, list):
            self.assertEqual(len(found), len(wanted), where)
            for i, value in enumerate(wanted):
                self.assert_close(found[i], value, f"{where}[{i}]", relative)
        elif isinstance(wanted, float) or (isinstance(wanted, int) and isinstance(found, float)):
            self.assertIsInstance(found, (int, float), where)
            self.assertLessEqual(abs(found - wanted), relative * max(abs(wanted), 1e-6), f"{where}: {found}, {wanted}")
        else:
            self.assertEqual(found, wanted, where)

    def assert_steps(self, daemon, run, wanted):
        found = daemon.steps(run)
        self.assertEqual([s["step"] for s in found], [s["step"] for s in wanted])
        for f, w in zip(found, wanted):
            self.assert_close(f, w, f"step {w['step']}")

    def events(self, daemon, run, names=("rank_missing", "rank_back")):
        events = daemon.get_json(f"/api/v1/runs/{run}/events?limit=1000")["events"]
        return sorted((e["step"], e["name"], e["data"]["ranks"]) for e in events if e["name"] in names)


class Lockstep(Ranks, SharedDaemonCase):
    config = PATIENT

    def test_merged_steps_are_those_of_the_whole(self):
        run = self.run_name()
        jobs = self.connect_all(self.shared, run)
        self.send_all(jobs, range(30))
        self.wait_all(jobs, 29)
        self.assert_steps(self.shared, run, [whole_step(s) for s in range(30)])
        layers = self.shared.run(run)["layers"]
        self.assertEqual([(layer["name"], layer["n"]) for layer in layers],
                         [(layer["name"], layer["n"]) for layer in whole_layers()])
        self.assertEqual(self.events(self.shared, run), [])

    def test_readings_are_those_of_the_whole(self):
        run, alone = self.run_name(), self.run_name()
        jobs = self.connect_all(self.shared, run)
        self.send_all(jobs, range(60))
        self.wait_all(jobs, 59)
        job = self.connect()
        job.hello(alone, whole_layers(), project="tests", batch_size=64,
                  optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0})
        for step in range(60):
            job.send(whole_step(step))
        job.wait_ack(59)
        found, wanted = self.shared.reading_at(run, 59), self.shared.reading_at(alone, 59)
        for reading in (found, wanted):
            reading.pop("run")
        self.assert_close(found, wanted, "reading", 1e-6)

    def test_any_order(self):
        """Ranks run ahead of one another by up to several steps, and say hello in any order."""
        run = self.run_name()
        draw = random.Random(1)
        order = list(range(WORLD))
        draw.shuffle(order)
        jobs = {rank: self.rank(self.shared, run, rank) for rank in order}
        for job in jobs.values():
            job.expect("welcome")
        due = [rank for rank in range(WORLD) for _ in range(40)]
        draw.shuffle(due)
        sent = [0] * WORLD
        for rank in due:
            jobs[rank].send(shard_step(sent[rank], rank))
            sent[rank] += 1
        self.wait_all(jobs.values(), 39)
        self.assert_steps(self.shared, run, [whole_step(s) for s in range(40)])

    def test_nothing_is_acknowledged_before_the_last_rank(self):
        run = self.run_name()
        jobs = self.connect_all(self.shared, run)
        self.send_all(jobs[:3], range(5))
        for job in jobs[:3]:
            job.ping()
            self.assertEqual(job.acked, -1)
        self.assertEqual(self.shared.run(run)["steps"], 0)
        for step in range(5):
            jobs[3].send(shard_step(step, 3))
        self.wait_all(jobs, 4)
        self.assert_steps(self.shared, run, [whole_step(s) for s in range(5)])

    def test_a_rank_far_ahead_is_not_read(self):
        """What it sends behind 64 waiting messages is looked at when the others have caught up."""
        run = self.run_name()
        jobs = self.connect_all(self.shared, run)
        for step in range(100):
            jobs[0].send(shard_step(step, 0))
        jobs[0].send({"type": "ping"})
        for step in range(100):
            for rank in (1, 2, 3):
                jobs[rank].send(shard_step(step, rank))
            if step == 9:
                jobs[0].wait_ack(9)  # which fails when the pong comes first
        jobs[0].expect("pong")
        self.wait_all(jobs, 99)
        self.assert_steps(self.shared, run, [whole_step(s) for s in range(100)])

    def test_half_closed_ranks_get_their_acks(self):
        run = self.run_name()
        jobs = self.connect_all(self.shared, run)
        for rank, job in enumerate(jobs):
            for step in range(150):
                job.send(shard_step(step, rank))
            job.send({"type": "end", "status": "completed"})
            job.half_close()
        for job in jobs:
            self.assertEqual([m for m in job.drain() if m["type"] != "ack"], [])
            self.assertEqual(job.acked, 149)
        self.assertEqual(self.shared.run(run)["status"], "completed")

    def test_the_end_is_when_all_have_ended(self):
        run = self.run_name()
        jobs = self.connect_all(self.shared, run)
        self.send_all(jobs, range(3))
        for job in jobs[:3]:
            job.send({"type": "end", "status": "completed"})
            job.ping()
        self.assertEqual(self.shared.run(run)["status"], "running")
        jobs[3].send({"type": "end", "status": "failed"})
        jobs[3].ping()
        eventually(lambda: self.shared.run(run)["status"] == "failed", "the run's end")

    def test_events_are_the_same_from_all_ranks_and_stored_once(self):
        run = self.run_name()
        jobs = self.connect_all(self.shared, run)
        self.send_all(jobs, range(2))
        for job in jobs:
            job.send({"type": "event", "step": 1, "name": "epoch", "data": {"epoch": 1}})
        jobs[2].send({"type": "event", "step": 1, "name": "oom", "data": {"rank": 2}})
        self.send_all(jobs, [2])
        self.wait_all(jobs, 2)
        events = self.shared.get_json(f"/api/v1/runs/{run}/events")["events"]
        self.assertEqual(sorted(e["name"] for e in events), ["epoch", "oom"])

    def test_a_step_that_one_rank_skips(self):
        run = self.run_name()
        jobs = self.connect_all(self.shared, run)
        self.send_all(jobs, [0])
        self.send_all(jobs[:3], [1])
        self.send_all(jobs, [2])
        self.wait_all(jobs, 2)
        self.assertEqual(len(self.shared.steps(run)), 3)
        self.assertEqual(self.events(self.shared, run), [(1, "rank_missing", [3]), (2, "rank_back", [3])])

    def test_world_sizes_that_differ(self):
        run = self.run_name()
        jobs = self.connect_all(self.shared, run)
        odd = self.rank(self.shared, run, 1, world_size=8)
        error = odd.expect_error("bad_hello", fatal=True)
        self.assertIn("world_size 8", error["message"])
        self.assertIn("say 4", error["message"])
        plain = self.connect()
        plain.send(self.rank_hello(run, 0, world_size=None, shards=None, layers=whole_layers()))
        self.assertIn("shards", plain.expect_error("bad_hello", fatal=True)["message"])
        self.send_all(jobs, [0])
        self.wait_all(jobs, 0)

    def test_hellos_that_are_wrong(self):
        for fields, part in (({"rank": 4}, "rank"), ({"rank": -1}, "rank"), ({"world_size": 1.5}, "world_size"),
                             ({"world_size": 100000}, "world_size"), ({"world_size": 2000}, "max_connections"),
                             ({"shards": 1}, "shards")):
            with self.subTest(fields=fields):
                job = self.connect()
                job.send({**self.rank_hello(self.run_name(), 0), **fields})
                self.assertIn(part, job.expect_error("bad_hello", fatal=True)["message"])

    def test_a_layer_that_no_rank_holds(self):
        run = self.run_name()
        jobs = [self.rank(self.shared, run, rank, layers=[{"name": "fc1", "n": None}]) for rank in range(WORLD)]
        for job in jobs[:3]:
            job.expect("welcome")
        for job in jobs:
            self.assertIn("layers[0].n", job.expect("error")["message"])
            job.expect_closed()

    def test_layers_that_differ(self):
        run = self.run_name()
        jobs = self.connect_all(self.shared, run)
        for layers in (list(reversed(layers_of(1))), layers_of(1)[:2], [*layers_of(1)[:2], {"name": "x", "n": 1}]):
            odd = self.rank(self.shared, run, 1, layers=layers)
            odd.expect_error("layers_differ", fatal=True)
        self.send_all(jobs, [0])
        self.wait_all(jobs, 0)

    def test_other_sizes_of_a_run_that_is_not_over(self):
        run = self.run_name()
        jobs = self.connect_all(self.shared, run)
        self.send_all(jobs, [0])
        self.wait_all(jobs, 0)
        for job in jobs:
            job.close()
        larger = [{**layer, "n": 50} for layer in layers_of(0)]
        jobs = [self.rank(self.shared, run, rank, layers=larger) for rank in range(WORLD)]
        for job in jobs[:3]:
            job.expect("welcome")
        for job in jobs:
            self.assertEqual(job.expect("error")["code"], "layers_differ")

    def test_rewind(self):
        run = self.run_name()
        old = self.connect_all(self.shared, run)
        self.send_all(old, range(10))
        self.wait_all(old, 9)
        jobs = self.connect_all(self.shared, run, last_step=4, resume={"rewind": 4})
        for job in old:
            self.assertEqual([m["code"] for m in job.drain() if m["type"] != "ack"], ["step_order"])
        self.send_all(jobs, range(5, 8))
        self.wait_all(jobs, 7)
        steps = [s["step"] for s in self.shared.steps(run)]
        self.assertEqual(steps, [*range(10), *range(5, 8)])
        self.assertEqual(self.shared.run(run)["steps"], 8)

    def test_replicas_are_as_before(self):
        """Without `shards` the first arrival of a step is the step."""
        run = self.run_name()
        jobs = []
        for rank in range(2):
            jobs.append(self.connect())
            jobs[rank].hello(run, rank=rank, world_size=2)
        for seed, job in enumerate(jobs):
            job.step(0, seed=seed)
            job.wait_ack(0)
        self.assertEqual(len(self.shared.steps(run)), 1)

    def test_export_is_a_run_of_one_rank(self):
        run = self.run_name()
        jobs = self.connect_all(self.shared, run)
        self.send_all(jobs, range(20))
        self.wait_all(jobs, 19)
        lines = self.shared.export(run).splitlines(keepends=True)
        hello = json.loads(lines[0])
        self.assertEqual(hello["layers"], whole_layers())
        self.assertEqual(hello["batch_size"], 64)
        for key in ("rank", "world_size", "shards"):
            self.assertNotIn(key, hello)
        copy = self.daemon()
        replay(copy, lines)
        self.assertEqual(copy.export(run), b"".join(lines))
        found, wanted = copy.reading_at(run, 19), self.shared.reading_at(run, 19)
        self.assertEqual(found, wanted)

    def test_delete_while_ranks_wait(self):
        run = self.run_name()
        jobs = self.connect_all(self.shared, run)
        self.send_all(jobs, [0])
        self.wait_all(jobs, 0)
        self.send_all(jobs[:2], [1])
        jobs[0].ping()
        self.assertIn(self.shared.call("DELETE", f"/api/v1/runs/{run}")[0], (200, 204))
        for job in jobs:
            self.assertEqual(job.expect("error")["code"], "no_hello")
        jobs = self.connect_all(self.shared, run)
        self.send_all(jobs, [0])
        self.wait_all(jobs, 0)

    def test_a_rank_that_connects_again(self):
        """It is told what is durable, sends on from there, and its old connection is closed."""
        run = self.run_name()
        jobs = self.connect_all(self.shared, run)
        self.send_all(jobs, range(3))
        self.wait_all(jobs, 2)
        for job in (jobs[1], jobs[2]):
            job.send(shard_step(3, jobs.index(job)))
            job.ping()
        again = self.rank(self.shared, run, 1)
        self.assertEqual(again.expect("welcome")["last_step"], 2)
        self.assertEqual(jobs[1].expect("error")["code"], "step_order")
        jobs[1] = again
        for rank in (0, 3, 1):
            jobs[rank].send(shard_step(3, rank))
        self.wait_all(jobs, 3)
        self.assert_steps(self.shared, run, [whole_step(s) for s in range(4)])


class Missing(Ranks, TestCase):
    def test_missing_and_back(self):
        daemon, run = self.daemon(IMPATIENT), new_run("missing")
        jobs = self.connect_all(daemon, run)
        self.send_all(jobs, range(3))
        self.wait_all(jobs, 2)
        jobs[3].close()
        self.send_all(jobs[:3], range(3, 8))  # it is waited for once, not at each step
        self.wait_all(jobs[:3], 7)
        self.assertEqual(self.events(daemon, run), [(3, "rank_missing", [3])])
        jobs[3] = self.rank(daemon, run, 3)
        self.assertEqual(jobs[3].expect("welcome")["last_step"], 7)
        self.send_all(jobs, range(8, 11))
        self.wait_all(jobs, 10)
        self.assertEqual(self.events(daemon, run), [(3, "rank_missing", [3]), (8, "rank_back", [3])])
        found = daemon.steps(run)
        self.assertEqual([s["step"] for s in found], list(range(11)))
        # Means are of the shards that came; sums stand for the whole layer, as the means do.
        partial = whole_step(3, range(3))
        for layer, (name, shards) in enumerate(SHARDS.items()):
            whole, part = sum(n or 0 for n in shards), sum(n or 0 for n in shards[:3])
            self.assert_close(found[3]["stats"]["g_mean"][layer], partial["stats"]["g_mean"][layer], name)
            self.assert_close(found[3]["stats"]["gw"][layer], partial["stats"]["gw"][layer] * whole / part, name)

    def test_a_rank_that_never_came(self):
        """The run begins without it, and has its whole layers when it comes after all."""
        daemon, run = self.daemon(IMPATIENT), new_run("late")
        jobs = [self.rank(daemon, run, rank) for rank in range(3)]
        for step in range(2):
            for rank, job in enumerate(jobs):
                job.send(shard_step(step, rank))
        self.wait_all_after_welcome(jobs, 1)
        self.assertEqual(self.events(daemon, run), [(0, "rank_missing", [3])])
        self.assert_steps(daemon, run, [whole_step(s, range(3)) for s in range(2)])
        jobs.append(self.rank(daemon, run, 3))
        self.assertEqual(jobs[3].expect("welcome")["last_step"], 1)
        layers = eventually(lambda: [layer["n"] for layer in daemon.run(run)["layers"]] ==
                            [layer["n"] for layer in whole_layers()], "the whole layers")
        self.assertTrue(layers)
        jobs[3].send(shard_step(2, 3))
        jobs[3].ping()
        self.send_all(jobs[:3], [2])
        self.wait_all(jobs, 2)
        before = daemon.export(run)
        daemon.kill9()
        daemon.start()
        self.assertEqual(daemon.export(run), before)
        copy = self.daemon()
        replay(copy, before.splitlines(keepends=True))
        self.assertEqual(copy.run(run)["steps"], 3)

    def wait_all_after_welcome(self, jobs, step):
        for job in jobs:
            job.expect("welcome")
            job.wait_ack(step)

    def test_all_ranks_killed_with_a_step_half_sent(self):
        daemon, run = self.daemon(PATIENT), new_run("killed")
        jobs = self.connect_all(daemon, run)
        self.send_all(jobs, range(3))
        self.wait_all(jobs, 2)
        self.send_all(jobs[:2], [3, 4])
        for job in jobs:
            job.close()
        jobs = self.connect_all(daemon, run, last_step=2)
        self.send_all(jobs, range(3, 6))
        self.wait_all(jobs, 5)
        self.assert_steps(daemon, run, [whole_step(s) for s in range(6)])

    def test_kill_9_in_the_middle(self):
        daemon, run = self.daemon(PATIENT), new_run("kill9")
        self.interrupted(daemon, run, daemon.kill9)

    def test_sigterm_in_the_middle(self):
        daemon, run = self.daemon(PATIENT), new_run("sigterm")
        self.interrupted(daemon, run, daemon.stop)

    def interrupted(self, daemon, run, interrupt):
        """What was acknowledged is there; sent again, the run is the one of an uninterrupted life."""
        jobs = self.connect_all(daemon, run)
        self.send_all(jobs, range(20))
        self.wait_all(jobs, 19)
        self.send_all(jobs[:3], range(20, 25))
        for job in jobs[:3]:
            job.ping()
        interrupt()
        daemon.start()
        self.assertEqual(daemon.run(run)["last_step"], 19)
        jobs = self.connect_all(daemon, run, last_step=19)
        self.send_all(jobs, range(18, 40))
        self.wait_all(jobs, 39)
        other = new_run("uninterrupted")
        calm = self.connect_all(daemon, other)
        self.send_all(calm, range(40))
        self.wait_all(calm, 39)
        self.assert_steps(daemon, run, [whole_step(s) for s in range(40)])
        self.assertEqual(daemon.steps(run), daemon.steps(other))
        found, wanted = daemon.reading_at(run, 39), daemon.reading_at(other, 39)
        for reading in (found, wanted):
            reading.pop("run")
        self.assertEqual(found, wanted)

    def test_restart_with_a_rank_that_does_not_come_back(self):
        """The sizes are the stored run's; a rank that does not fit in is refused alone."""
        daemon, run = self.daemon(IMPATIENT), new_run("shrunk")
        jobs = self.connect_all(daemon, run)
        self.send_all(jobs, range(3))
        self.wait_all(jobs, 2)
        daemon.restart()
        jobs = [self.rank(daemon, run, rank) for rank in range(3)]
        self.send_all(jobs, [3])
        self.wait_all_after_welcome(jobs, 3)
        self.assertIn((3, "rank_missing", [3]), self.events(daemon, run))
        wrong = self.rank(daemon, run, 3, layers=[{**layer, "n": 999} for layer in layers_of(3)])
        wrong.expect_error("layers_differ", fatal=True)
        self.send_all(jobs, [4])
        self.wait_all(jobs, 4)
        self.assertEqual([layer["n"] for layer in daemon.run(run)["layers"]],
                         [layer["n"] for layer in whole_layers()])


if __name__ == "__main__":
    unittest.main()
