"""What the recorded runs train: data that Debian's packages bring, made-up data, and networks of sizes by lot."""

import glob
import random

import torch
from sklearn import datasets
from torch import nn
from torch.nn import functional

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU, "leaky_relu": nn.LeakyReLU}
TEXTS = sorted(glob.glob("/usr/share/common-licenses/*"))


class Task:
    """x, y, a model and the error between the model's output and y. `bad` makes inputs as no data has them."""

    def __init__(self, x, y, loss):
        self.x, self.y, self.loss = x, y, loss
        self.is_text = False

    def error(self, out, y):
        if self.loss == "cross_entropy":
            return functional.cross_entropy(out.reshape(-1, out.shape[-1]), y.reshape(-1))
        return functional.l1_loss(out, y) if self.loss == "mae" else functional.mse_loss(out, y)

    def scaled(self, x, factor):
        """Inputs at `factor` times their size; text is reversed."""
        return x.flip(1) if self.is_text else x * factor

    def bad(self, x, factor):
        return torch.randint_like(x, int(self.x.max()) + 1) if self.is_text else x * factor

    def noised(self, x, factor, share):
        """On the way to `factor` times the size; of text that share of the tokens at random."""
        if self.is_text:
            swap = torch.rand(x.shape) < 0.5 * share
            return torch.where(swap, torch.randint_like(x, int(self.x.max()) + 1), x)
        return x * (1 + (factor - 1) * share)

    def wrong(self, y, share):
        """That share of the labels wrong."""
        if self.loss == "cross_entropy":
            swap = torch.rand(y.shape) < share
            return torch.where(swap, y.reshape(-1)[torch.randperm(y.numel())].reshape(y.shape), y)
        swap = torch.rand(len(y)) < share
        mixed = y[torch.randperm(len(y))]
        return torch.where(swap.reshape(-1, *[1] * (y.dim() - 1)), mixed, y)


def standard(x):
    x = torch.tensor(x, dtype=torch.float32)
    return (x - x.mean(0)) / (x.std(0) + 1e-6)


def subset(dice, x, y, few):
    """All, or (by the share `few`) so few that a network comes to interpolate them."""
    n = len(x) if dice.random() > few else min(len(x), dice.choice([128, 256]))
    at = torch.randperm(len(x))[:n]
    return x[at], y[at]


def mlp(dice, inputs, outputs):
    width, depth = round(10 ** dice.uniform(0.9, 2.1)), dice.choice([1, 2, 2, 3, 3, 5])
    name = dice.choice(list(ACTIVATIONS))
    norm = dice.choice([None, None, None, nn.LayerNorm, nn.BatchNorm1d])
    drop = dice.choice([0, 0, 0, 0.1, 0.3])
    parts, size = [], inputs
    for _ in range(depth):
        parts += [nn.Linear(size, width), *([norm(width)] if norm else []), ACTIVATIONS[name](),
                  *([nn.Dropout(drop)] if drop else [])]
        size = width
    return nn.Sequential(*parts, nn.Linear(size, outputs)), name


def cnn(dice):
    width, name = dice.choice([6, 10, 16]), dice.choice(list(ACTIVATIONS))
    norm = dice.random() < 0.5
    parts, size = [], 1
    for i in range(dice.choice([2, 2, 3])):
        out = width * (2 if i else 1)
        parts += [nn.Conv2d(size, out, 3, padding=1), *([nn.BatchNorm2d(out)] if norm else []), ACTIVATIONS[name](),
                  *([nn.MaxPool2d(2)] if i < 2 else [])]
        size = out
    return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), *parts, nn.Flatten(), nn.Linear(size * 4, 10)), name


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.l1, self.l2, self.heads = nn.LayerNorm(width), nn.LayerNorm(width), heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down, self.act = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), nn.GELU()

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (p.reshape(b, t, self.heads, -1).transpose(1, 2) for p in self.qkv(self.l1(x)).chunk(3, -1))
        a = (q @ k.transpose(-2, -1)) / (c // self.heads) ** 0.5
        a = a.masked_fill(torch.ones(t, t).triu(1).bool(), -1e9).softmax(-1) @ v
        x = x + self.proj(a.transpose(1, 2).reshape(b, t, c))
        return x + self.down(self.act(self.up(self.l2(x))))


class Gpt(nn.Module):
    def __init__(self, tokens, length, width, blocks):
        super().__init__()
        self.tok, self.pos = nn.Embedding(tokens, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, 2) for _ in range(blocks))
        self.head = nn.Linear(width, tokens)

    def forward(self, x):
        h = self.tok(x) + self.pos(torch.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h)
        return self.head(h)


class Lstm(nn.Module):
    def __init__(self, tokens, width):
        super().__init__()
        self.emb, self.rnn = nn.Embedding(tokens, width), nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, tokens)

    def forward(self, x):
        return self.head(self.rnn(self.emb(x))[0])


def text_task(dice, model):
    with open(dice.choice(TEXTS), encoding="utf-8", errors="replace") as f:
        text = f.read()
    letters = sorted(set(text))
    at = torch.tensor([letters.index(c) for c in text])
    length = dice.choice([12, 16, 24])
    n = len(at) // length - 1
    task = Task(at[:n * length].reshape(n, length), at[1:n * length + 1].reshape(n, length), "cross_entropy")
    task.is_text = True
    width = dice.choice([16, 24, 32])
    if model == "gpt":
        return task, Gpt(len(letters), length, width, dice.choice([1, 2, 3])), "gelu"
    return task, Lstm(len(letters), width), "tanh"


def make(dice, kind, few):
    """(task, model, activation)"""
    if kind in ("gpt", "lstm"):
        return text_task(dice, kind)
    if kind == "clusters":
        n, inputs, classes = dice.choice([800, 3000]), dice.choice([10, 24, 48]), dice.choice([3, 8])
        y = torch.randint(classes, (n,))
        x, loss = torch.randn(n, inputs) + dice.choice([0.6, 1.2]) * torch.randn(classes, inputs)[y], "cross_entropy"
    elif kind == "teacher":
        n, inputs = dice.choice([800, 3000]), dice.choice([10, 24, 48])
        teacher = nn.Sequential(nn.Linear(inputs, 32), nn.Tanh(), nn.Linear(32, 2))
        x = torch.randn(n, inputs)
        y, loss = 2 * teacher(x).detach() + dice.choice([0.02, 0.2]) * torch.randn(n, 2), "mse"
    elif kind == "diabetes":
        data = datasets.load_diabetes()
        x, y, loss = standard(data.data), standard(data.target)[:, None], dice.choice(["mse", "mse", "mae"])
    else:
        data = datasets.load_breast_cancer() if kind == "cancer" else datasets.load_digits()
        x, y, loss = data.data, torch.tensor(data.target), "cross_entropy"
        x = standard(x) if kind == "cancer" else torch.tensor(x, dtype=torch.float32) / 16
        if kind == "autoencoder":
            y, loss = x, "mse"
    x, y = subset(dice, x, y, few)
    task = Task(x, y, loss)
    if kind == "cnn":
        return task, *cnn(dice)
    outputs = int(y.max()) + 1 if loss == "cross_entropy" else y.shape[1]
    return task, *mlp(dice, x.shape[1], outputs)


# Each as often as it stands here: text takes the longest.
KINDS = 2 * ["digits", "cnn", "cancer", "diabetes", "autoencoder", "clusters", "teacher"] + ["gpt", "lstm"]


def by_lot(seed, few):
    dice = random.Random(seed)
    torch.manual_seed(seed)
    kind = dice.choice(KINDS)
    return dice, kind, *make(dice, kind, few)
