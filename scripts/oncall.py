"""Writes what docs/alerting.md tells someone on call as a C table: oncall.py DOCUMENT OUTPUT.h

An entry is a paragraph of three parts that begin with **`rule`.**, *Usual causes:* and *What to do:*, a line or more each. A
paragraph that begins otherwise is for the document's readers only.
"""

import json
import re
import sys
from pathlib import Path

ENTRY = re.compile(r"\*\*`(?P<rule>\w+)`\.\*\* (?P<means>.+?)\n\*Usual causes:\* (?P<causes>.+?)\n\*What to do:\* (?P<remedy>.+?)", re.S)


def plain(text):
    """Without the marks of code and the ends of lines."""
    return json.dumps(" ".join(text.replace("`", "").split()), ensure_ascii=False)


def main(document, output):
    section = re.search(r"^## On call\n(.*?)^## ", Path(document).read_text(), re.M | re.S).group(1)
    rows = []
    for paragraph in section.strip().split("\n\n"):
        entry = ENTRY.fullmatch(paragraph)
        if entry:
            rows.append('    {"%s", {%s}},\n' % (entry["rule"], ",\n     ".join(plain(entry[part]) for part in ("means", "causes", "remedy"))))
        elif paragraph.startswith("**`"):
            sys.exit(f"{document}: the entry {paragraph[:40]!r} lacks a part; expected what it means, *Usual causes:* and *What to do:*")
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    Path(output).write_text("// Written by scripts/oncall.py.\nstatic const struct {\n    const char *rule;\n    struct oncall oncall;\n"
                            "} texts[] = {\n%s};\n" % "".join(rows))


main(*sys.argv[1:])
