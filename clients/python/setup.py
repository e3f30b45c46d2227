"""What pyproject.toml cannot say: the part in C, which is left out where it cannot be compiled.

PYROMETER_PURE=1 leaves it out, for a wheel that is for every machine.
"""
import os

from setuptools import Extension, setup

native = Extension("pyrometer._native", ["pyrometer/_native.c", "pyrometer/moments.c"],
                   depends=["pyrometer/moments.h"], optional=True, py_limited_api=True,
                   extra_compile_args=["-O3", "-ffp-contract=off", "-fvisibility=hidden"])
if os.environ.get("PYROMETER_PURE") == "1":
    setup()
else:
    # It asks nothing of Python: one wheel for all versions from 3.9 on.
    setup(ext_modules=[native], options={"bdist_wheel": {"py_limited_api": "cp39"}})
