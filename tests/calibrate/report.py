"""The generated parts of docs/calibration.md: what stands between <!-- NAME --> and <!-- /NAME -->."""

import re
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "e2e"))  # the harness that starts daemons
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the daemon is stopped on the way out
PAGE = ROOT / "docs" / "calibration.md"
PLOTS = ROOT / "docs" / "calibration"


def replace_part(name, lines):
    page = PAGE.read_text()
    part = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not part.search(page):
        raise SystemExit(f"{PAGE} has no part <!-- {name} -->")
    PAGE.write_text(part.sub(lambda m: m[1] + "\n" + "\n".join(lines) + "\n\n" + m[2], page))


def write_plot(name, svg):
    PLOTS.mkdir(exist_ok=True)
    (PLOTS / name).write_text(svg)


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head),
            *("| " + " | ".join(row) + " |" for row in rows)]
