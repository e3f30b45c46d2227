"""Many jobs, slow jobs, jobs that do not listen."""

import resource
import select
import threading
import unittest

from harness import (SANITIZED, WRAPPER, Job, SharedDaemonCase, TestCase, eventually, hello, line, make_step, measured,
                     new_run)

MIB = 1 << 20


def send_all(job, run, steps):
    """A thread's work: a whole run, with what went wrong instead of an exception."""
    try:
        job.hello(run)
        for step in range(steps):
            job.step(step, seed=run)
        job.send({"type": "end", "status": "completed"})
        job.half_close()
        job.drain()
        return None if job.acked == steps - 1 else f"last ack {job.acked}"
    except (OSError, AssertionError) as problem:
        return str(problem)


class Many(SharedDaemonCase):
    def test_fifty_runs(self):
        jobs = {new_run("many"): self.connect() for _ in range(50)}
        problems = {}
        threads = [threading.Thread(target=lambda r=run, j=job: problems.__setitem__(r, send_all(j, r, 60))) for run,
                   job in jobs.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({run: problem for run, problem in problems.items() if problem}, {})
        for run in jobs:
            self.assertEqual([measured(m) for m in self.shared.steps(run)],
                             [measured(make_step(s, seed=run)) for s in range(60)])
            self.assertEqual(self.shared.run(run)["status"], "completed")

    def test_two_hundred_connections(self):
        self.assertGreater(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 300)
        jobs = [self.connect() for _ in range(200)]
        for job in jobs:
            job.send(hello())
        for job in jobs:
            self.assertEqual(job.expect("welcome")["last_step"], -1)
            job.raw(b"".join(line(make_step(step)) for step in range(5)))
        for job in jobs:
            job.wait_ack(4)
        self.shared.get_json("/api/v1/runs")

    def test_connections_that_say_nothing(self):
        idle = [self.connect() for _ in range(100)]
        self.assert_served(self.shared)
        for job in idle[:50]:
            job.close()
        for job in idle[50:]:
            job.hello()

    def test_connections_that_come_and_go(self):
        for _ in range(300):
            Job(self.shared).close()
        for _ in range(100):
            with Job(self.shared) as job:
                job.raw(line(hello())[:50])
        self.assert_served(self.shared)


class TooMany(TestCase):
    def test_one_connection_above_the_limit(self):
        daemon = self.daemon("ingest: { max_connections: 3 }\n")
        jobs = [self.job(daemon) for _ in range(3)]
        for job in jobs:
            job.hello()
        refused = self.job(daemon)
        error = refused.expect("error")
        self.assertEqual((error["code"], error["fatal"]), ("overloaded", True))
        refused.expect_closed()
        refused.close()
        jobs[0].close()
        eventually(lambda: self.is_welcome(daemon), "room for one more")
        for job in jobs[1:]:
            job.ping()


    def is_welcome(self, daemon):
        with Job(daemon) as job:
            job.send(hello())
            return job.recv()["type"] == "welcome"


class HalfClosed(SharedDaemonCase):
    def test_acks_still_come(self):
        job, run = self.start_run()
        for step in range(100):
            job.step(step)
        job.half_close()
        job.drain()
        self.assertEqual(job.acked, 99)
        self.assertEqual(len(self.shared.steps(run)), 100)

    def test_steps_of_a_job_that_vanishes(self):
        """What was read is stored, whether or not anybody waits for the ack."""
        run = self.run_name()
        with Job(self.shared) as job:
            job.hello(run)
            for step in range(100):
                job.step(step)
            job.ping()  # everything was read
        job = self.connect()
        first = job.hello(run)["last_step"] + 1
        for step in range(first, 100):
            job.step(step)
        job.half_close()
        job.drain()
        self.assertEqual([m["step"] for m in self.shared.steps(run)], list(range(100)))


class NotListening(TestCase):
    """A job that never reads what the daemon says must cost the daemon nothing but a bounded buffer."""

    def flood(self, job, data, limit):
        """Writes until the daemon stops reading, hangs up or has taken `limit` bytes; returns how many it took."""
        job.socket.setblocking(False)
        sent = 0
        while sent < limit and select.select([], [job.socket], [], 2)[1]:
            try:
                sent += job.socket.send(data)
            except BlockingIOError:
                continue
            except OSError:
                break
        return sent

    def test_answers_nobody_reads(self):
        daemon = self.daemon()
        job = self.job(daemon, receive_buffer=4096)
        job.hello()
        self.assert_served(daemon)
        before = daemon.memory()
        sent = self.flood(job, b"{}\n" * 20000, (1 if WRAPPER else 6) * MIB)
        self.assert_served(daemon)
        grown = daemon.memory() - before
        if not SANITIZED and not WRAPPER:  # each of these lines asks for an answer some forty times its size
            self.assertLess(grown, 48 * MIB, f"after {sent} bytes")

    def test_acks_nobody_reads(self):
        daemon = self.daemon()
        job = self.job(daemon, receive_buffer=4096)
        run = job.hello()["run"]
        self.assert_served(daemon)
        before = daemon.memory()
        steps = 3000 if SANITIZED or WRAPPER else 20000
        data = b"".join(line(make_step(s, stats=("w_mean",))) for s in range(steps))
        sender = threading.Thread(target=job.raw, args=(data,))
        sender.start()
        self.assert_served(daemon)
        sender.join()
        self.assert_served(daemon)
        if not SANITIZED and not WRAPPER:
            self.assertLess(daemon.memory() - before, 96 * MIB)
        job.wait_ack(steps - 1)
        self.assertEqual(daemon.run(run)["steps"], steps)

    def test_memory_stays(self):
        """Twenty thousand more steps of a run do not make the daemon bigger than the first twenty thousand did."""
        if SANITIZED or WRAPPER:
            self.skipTest("memory is judged on the plain build")
        daemon = self.daemon()
        job = self.job(daemon)
        job.hello()
        sizes = []
        for round_ in range(3):
            job.raw(b"".join(line(make_step(s, stats=("w_mean", "w_var")))
                             for s in range(round_ * 20000, (round_ + 1) * 20000)))
            job.wait_ack((round_ + 1) * 20000 - 1)
            sizes.append(daemon.memory())
        self.assertLess(sizes[2] - sizes[1], 16 * MIB, sizes)


if __name__ == "__main__":
    unittest.main()
