#!/usr/bin/env python3
"""The Python package as a wheel and an sdist, by setuptools' own backend: no frontend, nothing from the network.

    python-package.py OUT      # OUT/pyrometer-VERSION-py3-none-any.whl, OUT/pyrometer-VERSION.tar.gz

Built from a copy, so that nothing is left beside the sources.
"""
import os
import shutil
import sys
import tempfile
from pathlib import Path

try:
    import wheel  # noqa: F401 - older setuptools build wheels with it
    from setuptools import build_meta
except ImportError as error:
    sys.exit(f"python-package: {sys.executable} lacks {error.name}, which building the package takes; "
             "install python3-setuptools and python3-wheel (Debian), or give another by PYTHON=/usr/bin/python3")

SOURCE = Path(__file__).resolve().parents[1] / "clients/python"


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} OUT")
    out = Path(sys.argv[1]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place, "pyrometer")
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
        os.chdir(copy)
        said, sys.stdout = sys.stdout, open(os.devnull, "w")  # setuptools lists every file
        try:
            made = [build_meta.build_sdist(str(out)), build_meta.build_wheel(str(out))]
        finally:
            sys.stdout = said
        os.chdir("/")
    print(*(out / name for name in made), sep="\n")


if __name__ == "__main__":
    main()
