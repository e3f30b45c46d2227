"""Who is told of alerts in tests: an HTTP server that keeps what it gets, and answers as it is told to."""

import http.server
import json
import threading

from harness import Job, TestCase, line, make_step


class Receiver:
    """An HTTP server that keeps what it is sent; `answer(n)` says what the n-th POST is answered with: a status, or one
    with headers and a body."""

    def __init__(self, answer=lambda n: 200, port=0):
        self.posts = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posts.append((self.path, dict(self.headers), body))
                status = answer(len(receiver.posts))
                if status == "hang":
                    receiver.released.wait(60)
                    return
                if status == "flood":
                    self.send_response(200)
                    self.end_headers()
                    try:
                        while not receiver.released.is_set():
                            self.wfile.write(b"x" * 65536)
                    except OSError:
                        pass
                    return
                status, headers, text = status if isinstance(status, tuple) else (status, {}, b"")
                self.send_response(status)
                for name, value in {"Content-Length": len(text), **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.released = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d/hook" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def changes(self):
        """(rule, run, state) of every POST, in order."""
        told = [json.loads(body) for _, _, body in self.posts]
        return [(t["alerts"][0]["labels"]["alertname"], t["alerts"][0]["labels"]["run"], t["status"]) for t in told]


def fail(daemon, run, resolve=False):
    """A run whose loss is NaN for a while: `loss_nonfinite` fires, and with `resolve` the run ends."""
    with Job(daemon) as job:
        job.hello(run)
        job.raw(b"".join(line(make_step(s, **({"loss": "NaN"} if s >= 20 else {}))) for s in range(30)))
        job.wait_ack(29)
        if resolve:
            job.send({"type": "end", "status": "failed"})
            job.half_close()
            job.drain()


def webhook(receiver, **more):
    entry = ", ".join([f'url: "{receiver.url}"', "format: generic", *(f"{k}: {v}" for k, v in more.items())])
    return "alerts: { webhooks: [ { %s } ] }\n" % entry


class DeliveryCase(TestCase):
    def receiver(self, *args):
        receiver = Receiver(*args)
        self.addCleanup(receiver.close)
        return receiver

    def waiting(self, daemon):
        return sum(r["waiting"] for r in daemon.get_json("/api/v1/receivers")["receivers"])

    def silence(self, daemon, body, expect=201):
        status, _, answer = daemon.call("POST", "/api/v1/silences", body=json.dumps(body))
        self.assertEqual(status, expect, answer)
        return json.loads(answer)
