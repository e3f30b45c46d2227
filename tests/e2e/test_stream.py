"""Event streams: ids, taking up again where it broke off, many at once."""

import contextlib
import http.client
import json
import os
import re
import selectors
import socket
import unittest
from pathlib import Path

from harness import SharedDaemonCase, TIMEOUT, eventually


class Events:
    """One stream, event by event."""

    def __init__(self, case, run, last=None, query=""):
        self.connection = http.client.HTTPConnection(*case.shared.http, timeout=TIMEOUT)
        case.addCleanup(self.connection.close)
        self.connection.request("GET", f"/api/v1/runs/{run}/stream{query}", headers={"Last-Event-ID": last} if last else {})
        self.answer = self.connection.getresponse()
        case.assertEqual(self.answer.status, 200)

    def next(self):
        """(id, event, data) or None at the end."""
        fields = {}
        while text := self.answer.readline().decode():
            name, _, value = text.rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif not text.rstrip("\n") and "event" in fields:
                return fields.get("id"), fields["event"], json.loads(fields["data"])
        return None

    def until(self, event, found=lambda data: True):
        while True:
            e = self.next()
            if e is None:
                raise AssertionError(f"the stream ended before {event}")
            if e[1] == event and found(e[2]):
                return e


class Stream(SharedDaemonCase):
    # What takes long on a slow machine is not a stalled job.
    config = "alerts: { stall_after: 1h, rules: [ { rule: loss_nonfinite, for: 1, keep_firing_for: 1 } ] }\n"

    def start(self, steps=5):
        job, run = self.start_run()
        for step in range(steps):
            job.step(step)
        job.wait_ack(steps - 1)
        self.shared.reading_at(run, steps - 1)
        return job, run

    def alert(self, job, step):
        job.step(step, loss="NaN")
        job.wait_ack(step)

    def test_what_was_missed_comes_again(self):
        job, run = self.start()
        stream = Events(self, run)
        self.alert(job, 5)
        last, _, fired = stream.until("alert", lambda a: a["state"] == "firing")
        stream.connection.close()
        for step in range(6, 12):
            job.step(step)
        job.wait_ack(11)
        eventually(lambda: self.shared.alerts(run=run, state="resolved"), "the alert's end")
        again = Events(self, run, last)
        events = []
        while not events or events[-1][1] != "temperature":
            events.append(again.next())
        self.assertNotIn("gap", [e[1] for e in events])
        self.assertEqual([(a["id"], a["state"]) for _, kind, a in events if kind == "alert"], [(fired["id"], "resolved")])
        self.assertGreaterEqual(events[-1][2]["step"], 5)

    def test_nothing_comes_twice(self):
        job, run = self.start()
        stream = Events(self, run)
        self.alert(job, 5)
        # A reading may be published before its step is on disk, and an alert of that step comes behind that.
        seen = set()
        while seen != {"firing", 5}:
            last, kind, data = stream.next()
            seen |= {data["state"]} & {"firing"} if kind == "alert" else {data.get("step")} & {5}
        again = Events(self, run, last)
        job.step(6)
        event = again.next()
        while event[1] == "alert":
            self.assertEqual(event[2]["state"], "resolved")
            event = again.next()
        self.assertEqual((event[1], event[2]["step"]), ("temperature", 6))

    def test_an_id_of_another_life(self):
        job, run = self.start()
        stream = Events(self, run, "3-12345")
        self.assertEqual(stream.next()[1:], ("gap", {"dropped": None}))
        self.assertEqual(stream.next()[1], "temperature")

    def test_odd_ids(self):
        _, run = self.start()
        for odd in ("x", "-", "1-", "1-x", "-5", "9" * 30, "9" * 60, "1-" + "9" * 30, "4"):
            with self.subTest(odd):
                stream = Events(self, run, odd)
                job_event = self.shared.call("GET", f"/api/v1/runs/{run}")[0]
                self.assertEqual(job_event, 200)
                stream.connection.close()

    def test_detail(self):
        _, run = self.start()
        for query, wanted in (("", False), ("?detail=brief", False), ("?detail=full", True)):
            with self.subTest(query):
                reading = Events(self, run, query=query).next()[2]
                self.assertEqual("intervals" in reading["layers"][0], wanted)

    def test_ids_name_the_newest_reading(self):
        job, run = self.start()
        stream = Events(self, run)
        for step in range(5, 15):
            job.step(step)
        event_id, _, reading = stream.until("temperature", lambda r: r["step"] == 14)
        self.assertRegex(event_id, rf"^{reading['step']}(-\d+)?$")

    def test_the_end(self):
        job, run = self.start()
        stream = Events(self, run)
        stream.until("temperature")
        job.send({"type": "end", "status": "failed"})
        self.assertEqual(stream.until("status")[2]["status"], "failed")
        job.half_close()
        job.drain()
        while stream.next():
            pass  # the stream of a run that is over ends
        over = Events(self, run)
        kinds = []
        while e := over.next():
            kinds.append(e[1])
        self.assertEqual(kinds, ["temperature", "status"])

    def test_hundreds_of_streams(self):
        """All of them see the last step, and other readers are served meanwhile."""
        job, run = self.start()
        selector = selectors.DefaultSelector()
        tails = {}
        for _ in range(300):
            s = socket.create_connection(self.shared.http, timeout=TIMEOUT)
            self.addCleanup(s.close)
            s.sendall(f"GET /api/v1/runs/{run}/stream HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            selector.register(s, selectors.EVENT_READ)
            tails[s] = b""
        for step in range(5, 40):
            job.step(step)
            if step % 5 == 0:
                self.shared.temperature(run)
        job.wait_ack(39)
        waiting = set(tails)
        while waiting:
            ready = selector.select(TIMEOUT)
            self.assertTrue(ready, f"{len(waiting)} streams have not seen the last step")
            for key, _ in ready:
                tails[key.fileobj] = tails[key.fileobj][-200:] + key.fileobj.recv(65536)
                if re.search(rb"id: 39(-\d+)?\n", tails[key.fileobj]):
                    waiting.discard(key.fileobj)
                    selector.unregister(key.fileobj)


class Beats(SharedDaemonCase):
    config = "http: { heartbeat: 20ms }\nalerts: { stall_after: 1h }\n"

    def test_a_stream_without_news_says_that_it_is_there(self):
        job, run = self.start_run()
        job.step(0)
        job.wait_ack(0)
        self.shared.reading_at(run, 0)
        stream = Events(self, run)
        stream.until("temperature", lambda r: r["step"] == 0)
        beats = 0
        while beats < 5:
            text = stream.answer.readline()
            self.assertTrue(text, "the stream ended")
            beats += text == b": still here\n"
        job.step(1)
        self.assertEqual(stream.until("temperature")[2]["step"], 1)

    def sockets(self):
        count = 0
        for descriptor in Path(f"/proc/{self.shared.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                count += os.readlink(descriptor).startswith("socket:")
        return count

    def test_a_beat_finds_who_is_gone(self):
        _, run = self.start_run()
        before = self.sockets()
        for _ in range(5):
            stream = Events(self, run)
            stream.until("temperature")
            stream.connection.close()
        eventually(lambda: self.sockets() <= before, "the end of the connections of those that are gone")


if __name__ == "__main__":
    unittest.main()
