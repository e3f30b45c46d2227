"""What the examples share: the data, and the client from this checkout where it is not installed."""
from __future__ import annotations

import gzip
import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
try:
    import pyrometer
except ImportError:
    sys.path.insert(0, str(HERE.parent / "clients/python"))
    import pyrometer  # noqa: F401


def digits(test=297):
    """1,797 digits as (x, y) to train and (x, y) to test; pixels from 0 to 1."""
    rows = torch.tensor([[int(word) for word in line.split(",")] for line in (HERE / "data/digits.csv").read_text().split()])
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
    x, y = rows[:, :64].float() / 16, rows[:, 64]
    return (x[test:], y[test:]), (x[:test], y[:test])


def batches(x, y, size, steps, seed=1):
    """`steps` random batches, each epoch in another order."""
    dice, at, order = torch.Generator().manual_seed(seed), len(x), None
    for _ in range(steps):
        if at + size > len(x):
            order, at = torch.randperm(len(x), generator=dice), 0
        chosen = order[at:at + size]
        at += size
        yield x[chosen], y[chosen]


def text():
    """187,220 letters as their numbers, and the letters."""
    words = gzip.decompress((HERE / "data/text.txt.gz").read_bytes()).decode()
    letters = sorted(set(words))
    place = {letter: number for number, letter in enumerate(letters)}
    return torch.tensor([place[letter] for letter in words]), letters
