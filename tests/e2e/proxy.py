"""A TCP proxy that does to a connection what networks do: delays, cuts, resets, swallows."""

import socket
import struct
import threading


class Proxy:
    """`mode` may be changed at any time: 'pass', 'slow' (a few bytes at a time), 'swallow' (takes all, passes nothing)
    or 'refuse' (hangs up at once). `cut` and `reset` end the connections there are."""

    def __init__(self, target=None):
        self.target = target
        self.mode = "pass"
        self.accepted = 0
        self._pairs = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self):
        self._end(lambda s: s.shutdown(socket.SHUT_RDWR))

    def reset(self):
        """RST instead of FIN: what was on the way is lost."""
        def abort(s):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
        self._end(abort)

    def _end(self, how):
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for s in pair:
                try:
                    how(s)
                except OSError:
                    pass

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            if self.mode == "refuse":
                near.close()
                continue
            try:
                far = socket.create_connection(self.target) if self.mode != "swallow" else socket.socket()
            except OSError:
                near.close()
                continue
            with self._lock:
                self._pairs.append((near, far))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    def _pump(self, source, sink):
        try:
            while data := source.recv(512 if self.mode == "slow" else 65536):
                if self.mode == "slow":
                    self._closing.wait(0.002)
                if self.mode != "swallow":
                    sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
