"""Where the daemon's CPU time goes under a load, by perf: each thread's share by room of the source, library or kernel."""

import collections
import re
import shutil
import subprocess
import tempfile

from programs import ROOT

LIBRARY = re.compile(r"(lib[A-Za-z0-9_-]+?)(-[0-9.]+)?\.so")
THREADS = ("loop", "writer")  # by how much they do: no other does any work under a load that nobody reads


def rooms():
    """The room of every function of the daemon. Where two rooms have one of the same name the first counts."""
    found = {}
    for path in sorted(ROOT.glob("*/*.c")):
        for name in re.findall(r"^[a-z_][\w *]*?\b(\w+)\([^;{}]*\) \{", path.read_text(), re.MULTILINE):
            found.setdefault(name, f"{path.parent.name}/")
    return found


def place(symbol, dso, found):
    if dso.startswith("[k"):
        return "kernel"
    if dso.endswith("pyrometerd"):
        return found.get(symbol.split(".")[0], "daemon/")
    library = LIBRARY.search(dso)
    return library.group(1) if library else "other"


def record(daemon, work):
    """Runs work() and returns the samples: (thread, symbol, object). None: there is no perf, or it may not look."""
    perf = shutil.which("perf")
    if not perf:
        return None
    with tempfile.TemporaryDirectory(prefix="pyrometer-bench-") as folder:
        command = [perf, "record", "-q", "-F", "1999", "-o", f"{folder}/data", "-p", str(daemon.process.pid)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as recorder:
            work()
            recorder.terminate()
        done = subprocess.run([perf, "script", "-i", f"{folder}/data", "-F", "tid,ip,sym,dso"], capture_output=True,
                              text=True, errors="replace")
    samples = re.findall(r"^\s*(\d+)\s+[0-9a-f]+ (.+?) \((.*)\)$", done.stdout, re.MULTILINE)
    return samples or None


def shares(samples):
    """[(what, share of all, {thread: share of all})], largest first, and the largest functions likewise."""
    found = rooms()
    tids = [tid for tid, _ in collections.Counter(tid for tid, _, _ in samples).most_common(len(THREADS))]
    names = dict(zip(tids, THREADS))
    by_place, by_symbol = collections.defaultdict(collections.Counter), collections.Counter()
    for tid, symbol, dso in samples:
        by_place[place(symbol, dso, found)][names.get(tid, "others")] += 1
        by_symbol[symbol.split(".")[0], place(symbol, dso, found)] += 1
    n = len(samples)
    rows = [(what, sum(c.values()) / n, {t: c[t] / n for t in (*THREADS, "others")}) for what, c in by_place.items()]
    top = [(symbol, where, count / n) for (symbol, where), count in by_symbol.most_common(12)]
    return sorted(rows, key=lambda row: -row[1]), top
