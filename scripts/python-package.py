#!/usr/bin/env python3
"""The Python package as wheels and an sdist, by setuptools' own backend: no frontend, nothing from the network.

    python-package.py OUT      # into OUT: pyrometer-VERSION.tar.gz, and two wheels:
                               # -cp39-abi3-linux_MACHINE.whl with the part in C, -py3-none-any.whl without

Built from copies, so that nothing is left beside the sources.
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


def build(out, *kinds):
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place, "pyrometer")
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info", "*.so"))
        os.chdir(copy)
        said = os.dup(1)  # setuptools lists every file, and compilers what they do
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            return [getattr(build_meta, kind)(str(out)) for kind in kinds]
        finally:
            sys.stdout.flush()
            os.dup2(said, 1)
            os.chdir("/")


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} OUT")
    out = Path(sys.argv[1]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    made = build(out, "build_sdist", "build_wheel")
    os.environ["PYROMETER_PURE"] = "1"
    made += build(out, "build_wheel")
    print(*(out / name for name in made), sep="\n")


if __name__ == "__main__":
    main()
