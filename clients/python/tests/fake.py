"""A daemon of a few lines, on a port of the system's choice, that does what a test tells it."""
from __future__ import annotations

import json
import queue
import socket
import struct
import threading

PATIENCE_S = 20.0  # a test that waits this long has failed


class FakeDaemon:
    def __init__(self, path=None, last_step=-1, ack=True, refuse=None, hang_up_after=None,
                 complain=None, stranger=None, frames=None, alert=None, silent=False,
                 dies_at_end=False, disk_is_full=0):
        self.last_step = last_step
        self.ack = ack
        self.silent = silent  # it takes connections and says nothing, as one that hangs
        self.dies_at_end = dies_at_end  # of the first connection, before it answers the ping
        self.disk_is_full = disk_is_full  # for so many pings
        self.refuse = refuse  # an error's code: the answer to every hello
        self.hang_up_after = hang_up_after  # lines of the first connection
        self.alert = alert  # sent with every ack
        self.complain = complain  # a code, not fatal, for every step
        self.frames = frames  # the welcome's, for each connection in turn or for all
        self.stranger = stranger  # bytes: the answer of something else than a daemon
        self.heard = queue.Queue()
        self.hellos = []
        self.connections = []
        family = socket.AF_UNIX if path else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind(path or ("127.0.0.1", 0))
        self._listener.listen()
        self.address = f"unix:{path}" if path else "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connections:
            connection.close()
        self._thread.join(PATIENCE_S)

    def until(self, kind):
        """Every message up to the first of that type, which is the last."""
        messages = []
        while not messages or messages[-1]["type"] != kind:
            messages.append(self.heard.get(timeout=PATIENCE_S))
        return messages

    def acknowledge(self, step):
        self._say(self.connections[-1], type="ack", step=step)

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            try:
                with connection:
                    self._serve(connection, len(self.connections))
            except OSError:
                pass

    def _serve(self, connection, number):
        stream = connection.makefile("rb")
        count = -1
        while message := self._read(stream):
            count += 1
            if message["type"] == "hello":
                self.hellos.append(message)
                if self.silent:
                    continue
                if self.stranger:
                    connection.sendall(self.stranger)
                    self.heard.put({"type": "stranger"})
                    return
                if self.refuse:
                    self._say(connection, type="error", code=self.refuse, message="no", line=1,
                              fatal=self.refuse != "bad_json")
                    self.heard.put({"type": "refused"})
                    return
                frames = self.frames[number - 1] if isinstance(self.frames, list) else self.frames
                self._say(connection, type="welcome", protocol=1, run=message["run"],
                          last_step=self.last_step, **({"frames": frames} if frames else {}))
                continue
            if message["type"] == "ping":
                self._say(connection, type="pong", **({"stored": False} if self.disk_is_full else {}))
                self.disk_is_full = max(0, self.disk_is_full - 1)
                continue
            self.heard.put(message)
            if message["type"] == "end" and self.dies_at_end and number == 1:
                return
            if message["type"] == "step":
                self._answer_step(connection, message["step"])
            if number == 1 and count == self.hang_up_after:
                return

    def _read(self, stream):
        first = stream.read(1)
        if first != b"\xa7":
            line = first + stream.readline()
            return json.loads(line, parse_constant=self._bare) if line else None
        header = first + stream.read(15)
        version, zero, length, step = struct.unpack("<xBHIq", header)
        assert (version, zero) == (1, 0), header
        return read_frame(step, stream.read(length), len(self.hellos[-1]["layers"]))

    def _answer_step(self, connection, step):
        if self.complain:
            self._say(connection, type="error", code=self.complain, message="no", fatal=False)
        elif self.ack:
            self.last_step = max(step, self.last_step)
            if self.alert:
                self._say(connection, type="alert", **self.alert)
            self._say(connection, type="ack", step=step)

    @staticmethod
    def _bare(token):
        raise AssertionError(f"a bare {token} on the wire")

    @staticmethod
    def _say(connection, **message):
        connection.sendall(json.dumps(message).encode() + b"\n")


def read_frame(step, body, layers):
    """A frame as the contract has it: the message, and under `wide` the statistics in float64."""
    time, loss, lr, batch_size, count, zero = struct.unpack_from("<dddIHH", body)
    ids, body = body[32:32 + count], body[32 + (count + 7) // 8 * 8:]
    stats, wide = {}, []
    for code in ids:
        letter = "d" if code & 0x80 else "f"
        column = struct.unpack_from(f"<{layers}{letter}", body)
        width = struct.calcsize(letter)
        missing = b"\0\0\xa7\xa0\0\0\xf8\x7f" if letter == "d" else b"\xa7\xa0\xc0\x7f"
        stats[STATISTICS[(code & 0x7f) - 1]] = [
            None if body[i * width:(i + 1) * width] == missing else x for i, x in enumerate(column)]
        wide += [STATISTICS[(code & 0x7f) - 1]] if letter == "d" else []
        body = body[(layers * width + 7) // 8 * 8:]
    assert body == b"" and zero == 0, (body, zero)
    return {"type": "step", "frame": True, "step": step, "time": time, "loss": loss, "lr": lr,
            "batch_size": batch_size, "stats": stats, "wide": wide}


STATISTICS = ("w_mean w_var w_min w_max g_mean g_var u_mean u_var gw gu z_mean z_var a_mean a_var "
              "a_active a_saturated g_noise w_alpha gu_prev").split()


def closed_port():
    """An address nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % sock.getsockname()[1]
