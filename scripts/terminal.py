#!/usr/bin/env python3
"""A program in a terminal, as a page of HTML on standard output: terminal.py COLUMNS ROWS KEYS UNTIL -- COMMAND WORD...

Presses the keys one after the other and takes the screen once a line of it matches the regular expression UNTIL."""

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/e2e"))
from terminal import Terminal  # noqa: E402

TIMEOUT_S = 30


def main(columns, rows, keys, until, *command):
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    terminal = Terminal(list(command), int(columns), int(rows),
                        {**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"})
    try:
        terminal.until(lambda lines: any(lines), "a first screen", TIMEOUT_S)
        for key in keys:
            terminal.press(key)
        terminal.until(lambda lines: any(re.search(until, line) for line in lines), until, TIMEOUT_S)
        terminal.settle()
        print(terminal.page())
    finally:
        terminal.close()


if __name__ == "__main__":
    words = sys.argv[1:]
    if len(words) < 6 or words[4] != "--":
        sys.exit(__doc__)
    main(*words[:4], *words[5:])
