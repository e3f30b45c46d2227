"""Writes the dashboard's files as a C table: embed.py WEB_DIRECTORY OUTPUT.c

Takes what web/ holds and, from web/node_modules, uPlot and the font. Without uPlot the daemon gets the plain page
instead (web/plain.html), which says so. The output is the same for the same input.
"""

import gzip
import hashlib
import sys
from pathlib import Path

TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".svg": "image/svg+xml", ".woff2": "font/woff2"}
PLOTTING = {"uplot.js": "uplot/dist/uPlot.iife.min.js", "uplot.css": "uplot/dist/uPlot.min.css"}
FONT = {"inter.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2"}
PLAIN = {"plain.html", "plain.js"}


def collect(web):
    """The files by the names under which they are served."""
    own = {path.name: path for path in sorted(web.iterdir()) if path.suffix in TYPES}
    modules = web / "node_modules"
    taken = {name: modules / path for name, path in (PLOTTING | FONT).items() if (modules / path).is_file()}
    if PLOTTING.keys() <= taken.keys():
        return {name: path for name, path in own.items() if name not in PLAIN} | taken
    print("  WEB\tno uPlot in web/node_modules: the daemon gets the plain page; `make web` fetches it", file=sys.stderr)
    chosen = {name: own[name] for name in ("plain.js", "style.css", "icon.svg")}
    return chosen | {"index.html": own["plain.html"]}


def array(name, data):
    lines = [",".join(map(str, data[i:i + 64])) for i in range(0, len(data), 64)]
    return f"static const unsigned char {name}[] = {{\n" + ",\n".join(lines) + "};\n"


def table(files):
    parts, rows = [], []
    for i, (name, path) in enumerate(sorted(files.items())):
        data = path.read_bytes()
        packed = gzip.compress(data, 9, mtime=0)
        etag = hashlib.sha256(data).hexdigest()[:20]
        parts.append(array(f"bytes_{i}", data))
        row = f'{{"{name}", "{TYPES[path.suffix]}", "\\"{etag}\\"", bytes_{i}, sizeof bytes_{i}, '
        if len(packed) < len(data) * 9 // 10:
            parts.append(array(f"gzip_{i}", packed))
            rows.append(row + f"gzip_{i}, sizeof gzip_{i}}},\n")
        else:
            rows.append(row + "NULL, 0},\n")
    return ("// Written by scripts/embed.py.\n#include \"api/assets.h\"\n\n" + "".join(parts) +
            "const struct asset assets[] = {\n" + "".join(rows) + "};\n"
            "const size_t assets_count = sizeof assets / sizeof *assets;\n")


def main():
    web, output = map(Path, sys.argv[1:])
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(table(collect(web)))


main()
