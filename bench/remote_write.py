"""What a receiver of remote write costs the daemon: CPU time a 1,000 samples, bytes on the wire, and memory.

    make bench-remote
    python3 bench/remote_write.py [--runs N] [--layers N] [--interval S] [--rounds N]

A daemon with runs that are live and silent, written every so many seconds to a receiver that only reads, beside the same daemon without one.
"""

import argparse
import http.server
import re
import subprocess
import threading
import time

from programs import BUILD, Pyrometer

QUIET = "ingest: { max_message: 8MiB, max_queue: 256MiB }\nalerts: { stall_after: 1d }\n"


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bytes = requests = 0

    def do_POST(self):
        left = int(self.headers["Content-Length"])
        Sink.bytes += left
        Sink.requests += 1
        self.rfile.read(left)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def sent(daemon):
    """Samples that the receiver took, and those that were dropped."""
    text = daemon.get("/metrics")[1].decode()
    return [sum(int(n) for n in re.findall(rf"^pyrometer_remote_write_samples{kind}_total.* (\d+)$", text, re.MULTILINE))
            for kind in ("", "_dropped")]


def measure(config, args):
    """CPU seconds of the thread that writes, samples, and resident MB at their peak, of some seconds of quiet."""
    with Pyrometer(QUIET + config) as daemon:
        subprocess.run([BUILD / "loadgen", "--address", daemon.ingest, "--format=frames", f"--runs={args.runs}",
                        f"--layers={args.layers}", "--steps=40"], stdout=subprocess.DEVNULL, check=True)
        time.sleep(5 + args.layers * args.runs / 50000)  # packing, checkpoints
        cpu, before, began = daemon.cpu_s("remote"), sent(daemon), (Sink.bytes, Sink.requests)
        time.sleep(args.seconds)
        after = sent(daemon)
        assert after[1] == 0, f"{after[1]} samples dropped"
        return {"cpu_s": daemon.cpu_s("remote") - cpu, "samples": after[0] - before[0], "bytes": Sink.bytes - began[0],
                "requests": Sink.requests - began[1], "mb": daemon.memory_mb(), "peak_mb": daemon.memory_mb("VmHWM")}


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=100)
    options.add_argument("--layers", type=int, default=50)
    options.add_argument("--interval", type=int, default=1)
    options.add_argument("--rounds", type=int, default=10)
    args = options.parse_args()
    args.seconds = args.interval * args.rounds
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = "http://127.0.0.1:%d/" % server.server_address[1]
    without = measure("", args)
    with_one = measure(f'remote_write: [ {{ url: "{url}", interval: {args.interval}s }} ]\n', args)
    cost, samples = with_one["cpu_s"], with_one["samples"]
    print(f"{args.runs} runs of {args.layers} layers, each {args.interval} s: {samples / args.seconds:.0f} samples/s, "
          f"{cost / samples * 1e6:.2f} ms of CPU time a 1,000 samples ({cost / args.seconds:.1%} of a core), "
          f"{with_one['bytes'] / samples:.1f} bytes a sample in {with_one['requests'] / args.seconds:.0f} requests/s, "
          f"{with_one['mb'] - without['mb']:+.0f} MB resident, {with_one['peak_mb'] - without['peak_mb']:+.0f} at the peak")


if __name__ == "__main__":
    main()
