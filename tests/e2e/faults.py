"""What the tests share that fail the nth call from now on: see faultmem.c and faultfs.c."""

import mmap
import os
import random
import struct

ALL = os.environ.get("FAULTS") == "all"


class Control:
    """The numbers that faultmem.c and the test share."""

    def __init__(self, path):
        path.write_bytes(bytes(32))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 32)

    def arm(self, n):
        self.map[16:24] = bytes(8)
        self.map[0:8] = struct.pack("<q", n)

    def __getattr__(self, name):
        at = ("countdown", "calls", "failed", "reads").index(name) * 8
        return struct.unpack("<q", self.map[at:at + 8])[0]


def chosen(total, share):
    """All of 1 to total with FAULTS=all; else some that differ from time to time, and the seed to have them again."""
    if ALL:
        return range(1, total + 1), ""
    seed = os.environ.get("FAULTS_SEED") or str(random.randrange(1 << 30))
    return sorted(random.Random(seed).sample(range(1, total + 1), min(share, total))), seed
