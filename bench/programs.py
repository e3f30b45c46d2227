"""The programs that are measured: started on a directory of their own, watched from outside, stopped."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
PATIENCE_S = 60


class Program:
    """One process; `command()` says how it is started, `ready()` when it answers."""

    name = ""
    binary = ""

    def __init__(self):
        self.home = Path(tempfile.mkdtemp(prefix="pyrometer-bench-", dir=os.environ.get("BENCH_DIR")))
        self.port = free_port()
        self.process = None

    @classmethod
    def path(cls):
        return shutil.which(cls.binary, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def start(self):
        with open(self.home / "log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            cwd=self.home, env=dict(os.environ, GOMAXPROCS=str(os.cpu_count())))
        deadline = time.monotonic() + PATIENCE_S
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{(self.home / 'log').read_text()[-3000:]}")
            time.sleep(0.05)
        self.prepare()

    end_signal = signal.SIGKILL  # of peers: nothing of theirs is wanted any more, and some take long to stop

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(self.end_signal)
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def ready(self):
        try:
            return self.get("/ping" if self.name == "InfluxDB" else "/")[0] < 500
        except OSError:
            return False

    def prepare(self):
        pass

    def get(self, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request("POST" if body is not None else "GET", path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get_json(self, path):
        status, body = self.get(path)
        if status != 200:
            raise RuntimeError(f"{self.name}: GET {path}: {status} {body[:300]!r}")
        return json.loads(body)

    def cpu_s(self, thread=None):
        """User and system time so far, of all threads that are still there or those of that name: finer than /proc/PID/stat."""
        total = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                if thread in (None, (task / "comm").read_text().strip()):
                    total += int((task / "schedstat").read_text().split()[0])
            except OSError:
                pass
        return total * 1e-9

    def memory_mb(self, field="VmRSS"):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        return 0.0

    def disk_bytes(self):
        total = 0
        for folder, _, names in os.walk(self.home / "data"):  # files may go while we look
            for name in names:
                with contextlib.suppress(OSError):
                    total += os.lstat(os.path.join(folder, name)).st_blocks * 512
        return total


class Pyrometer(Program):
    name = "Pyrometer"
    binary = str(BUILD / "pyrometerd")
    end_signal = signal.SIGTERM

    def __init__(self, config="ingest: { max_message: 8MiB, max_connections: 4096 }\n"):
        super().__init__()
        (self.home / "pyrometer.yaml").write_text(config)

    @classmethod
    def path(cls):
        return cls.binary if os.path.exists(cls.binary) else None

    def command(self):
        return [self.binary, "--config", self.home / "pyrometer.yaml", "--data", self.home / "data",
                "--ingest", "127.0.0.1:0", "--http", "127.0.0.1:0"]

    def start(self):
        (self.home / "data").mkdir(exist_ok=True)
        (self.home / "data" / "endpoints.json").unlink(missing_ok=True)
        super().start()

    def ready(self):
        endpoints = self.home / "data" / "endpoints.json"
        if not endpoints.exists():
            return False
        where = json.loads(endpoints.read_text())
        self.ingest, self.port = where["ingest"][0], int(where["http"].rsplit(":", 1)[1])
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def count(self, load):
        """Samples that can be read back: the steps that every run says it has."""
        runs, cursor = [], ""
        while cursor is not None:
            page = self.get_json("/api/v1/runs?limit=1000" + (f"&cursor={cursor}" if cursor else ""))
            runs += page["runs"]
            cursor = page["next_cursor"]
        return sum(run["steps"] for run in runs) * load.layers * load.stats


class VictoriaMetrics(Program):
    name = "VictoriaMetrics"
    binary = "victoria-metrics"
    package = "victoria-metrics"
    format = "influx"
    write = "/write?db=bench"
    durability = "flushed about each second; what was acknowledged in between is lost at kill -9"

    def command(self):
        return [self.path(), f"-storageDataPath={self.home / 'data'}", f"-httpListenAddr=127.0.0.1:{self.port}",
                "-retentionPeriod=100y", "-loggerLevel=ERROR"]

    def ready(self):
        try:
            return self.get("/health")[0] == 200
        except OSError:
            return False

    def count(self, load):
        query = urllib.parse.urlencode({"query": 'sum(count_over_time({__name__=~"m_.*"}[%ds]))' % (load.steps + 10),
                                        "time": load.last_time + 1, "nocache": 1})
        result = self.get_json("/api/v1/query?" + query)["data"]["result"]
        return int(float(result[0]["value"][1])) if result else 0


class InfluxDB(Program):
    name = "InfluxDB"
    binary = "influxd"
    package = "influxdb"
    format = "influx"
    write = "/write?db=bench"
    durability = "write-ahead log synced before each answer"

    def command(self):
        config = self.home / "influxdb.conf"
        config.write_text(f"""
reporting-disabled = true
bind-address = "127.0.0.1:{free_port()}"
[meta]
dir = "{self.home}/data/meta"
[data]
dir = "{self.home}/data/data"
wal-dir = "{self.home}/data/wal"
query-log-enabled = false
[http]
bind-address = "127.0.0.1:{self.port}"
log-enabled = false
[monitor]
store-enabled = false
""")
        return [self.path(), "-config", config]

    def prepare(self):
        self.get("/query?" + urllib.parse.urlencode({"q": "CREATE DATABASE bench"}), body=b"")

    def count(self, load):
        answer = self.get_json("/query?" + urllib.parse.urlencode({"db": "bench", "q": "SELECT count(*) FROM m"}))
        series = answer["results"][0].get("series")
        return sum(series[0]["values"][0][1:]) if series else 0


class Prometheus(Program):
    name = "Prometheus"
    binary = "prometheus"
    package = "prometheus"
    format = "prom"
    write = "/api/v1/write"
    durability = "write-ahead log, not synced before the answer"

    def command(self):
        (self.home / "prometheus.yml").write_text("global: {}\n")
        return [self.path(), f"--config.file={self.home / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.home / 'data'}", "--storage.tsdb.retention.time=100y",
                f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-remote-write-receiver",
                "--log.level=error"]

    def ready(self):
        try:
            return self.get("/-/ready")[0] == 200
        except OSError:
            return False

    def count(self, load):
        query = urllib.parse.urlencode({"query": "sum(count_over_time(m[%ds]))" % (load.steps + 10),
                                        "time": load.last_time + 1})
        result = self.get_json("/api/v1/query?" + query)["data"]["result"]
        return int(float(result[0]["value"][1])) if result else 0


class ClickHouse(Program):
    name = "ClickHouse"
    binary = "clickhouse-server"
    package = "clickhouse-server"
    format = "tsv"
    write = "/?query=" + urllib.parse.quote("INSERT INTO s FORMAT TabSeparated")
    durability = "parts not synced"

    def command(self):
        (self.home / "data").mkdir(exist_ok=True)
        (self.home / "users.xml").write_text(
            "<yandex><profiles><default/></profiles><users><default><password></password><networks><ip>::/0</ip>"
            "</networks><profile>default</profile><quota>default</quota></default></users>"
            "<quotas><default/></quotas></yandex>")
        (self.home / "config.xml").write_text(f"""<yandex>
<logger><level>error</level><log>{self.home}/server.log</log><errorlog>{self.home}/error.log</errorlog></logger>
<http_port>{self.port}</http_port><tcp_port>{free_port()}</tcp_port>
<interserver_http_port>{free_port()}</interserver_http_port><listen_host>127.0.0.1</listen_host>
<path>{self.home}/data/</path><tmp_path>{self.home}/tmp/</tmp_path><users_config>{self.home}/users.xml</users_config>
<default_profile>default</default_profile><default_database>default</default_database>
<mark_cache_size>268435456</mark_cache_size><timezone>UTC</timezone></yandex>""")
        return [self.path(), f"--config-file={self.home / 'config.xml'}"]

    def create(self, stats):
        columns = ", ".join(f"c{i} Float32" for i in range(stats))
        self.query(f"CREATE TABLE s (run String, layer String, step Int64, {columns}) ENGINE = MergeTree "
                   "ORDER BY (run, layer, step)")

    def prepare(self):
        self.create(10)

    def query(self, text):
        status, body = self.get("/", body=text.encode())
        if status != 200:
            raise RuntimeError(f"ClickHouse: {text}: {body[:300]!r}")
        return body

    def count(self, load):
        return int(self.query("SELECT count() FROM s")) * load.stats


PEERS = (VictoriaMetrics, InfluxDB, Prometheus, ClickHouse)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def version_of(peer):
    out = subprocess.run(["dpkg-query", "-W", "-f=${Version}", peer.package], capture_output=True, text=True)
    return out.stdout or "?"
