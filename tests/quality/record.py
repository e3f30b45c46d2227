#!/usr/bin/python3
"""Further labelled recordings, to judge the alerts on runs that nobody tuned them on. Needs python3-torch.

    tests/quality/record.py DIRECTORY [--runs N] [--seed S] [--steps N]

Runs of made-up tasks with sizes, optimizers, learning rates, schedules and batch sizes by lot; the first half healthy,
the rest with a fault. `effect` is not measured: it is given as 100 to all sudden faults, so that those too weak for
anybody to see count as missed.
"""

import argparse
import gzip
import json
import math
import random
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

FAULTS = ["lr_jump", "bad_batch", "input_scale", "label_shuffle", "frozen_layer", "grad_explode", "nan_gradient",
          "weight_corruption", "lr_ramp"]
SCHEDULES = ["constant", "cosine", "warmup_cosine", "step_decay", "one_cycle"]


class Task:
    """A teacher of random weights, or clusters; the student has another shape."""

    def __init__(self, dice):
        self.inputs, self.classes = dice.choice([10, 24, 48]), dice.choice([0, 3, 8])
        self.loss = "cross_entropy" if self.classes else "mse"
        n = dice.choice([800, 3000, 10000])
        self.x = torch.randn(n, self.inputs)
        if self.classes:
            centres = 1.2 * torch.randn(self.classes, self.inputs)
            self.y = torch.randint(self.classes, (n,))
            self.x = self.x + centres[self.y]
        else:
            teacher = nn.Sequential(nn.Linear(self.inputs, 32), nn.Tanh(), nn.Linear(32, 2))
            self.y = 2 * teacher(self.x).detach() + 0.2 * torch.randn(n, 2)

    def student(self, dice):
        width, depth = dice.choice([16, 48, 128]), dice.choice([1, 2, 4])
        self.activation = dice.choice(["relu", "tanh", "gelu"])
        self.normed = dice.random() < 0.3
        act = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}[self.activation]
        parts, size = [], self.inputs
        for _ in range(depth):
            parts += [nn.Linear(size, width), *([nn.LayerNorm(width)] if self.normed else []), act()]
            size = width
        return nn.Sequential(*parts, nn.Linear(size, self.classes or 2))

    def error(self, out, y):
        return functional.cross_entropy(out, y) if self.classes else functional.mse_loss(out, y)


def schedule(name, step, steps):
    if name == "constant":
        return 1.0
    if name == "step_decay":
        return 0.2 ** (3 * step // steps)
    if name == "one_cycle":
        return max(0.04, 1 - abs(step / steps - 0.3) / (0.3 if step < 0.3 * steps else 0.7))
    warm = 100 if name == "warmup_cosine" else 0
    return min(1, (step + 1) / (warm + 1)) * 0.5 * (1 + math.cos(math.pi * step / steps))


def flat(tensors):
    return torch.cat([t.detach().double().reshape(-1) for t in tensors])


class Run:
    def __init__(self, seed, fault, steps):
        dice = self.dice = random.Random(seed)
        torch.manual_seed(seed)
        self.fault, self.steps = fault, steps
        self.task = Task(dice)
        self.model = self.task.student(dice)
        self.layers = [(n, m) for n, m in self.model.named_modules() if list(m.parameters(recurse=False))]
        self.optimizer, self.lr = dice.choice([("sgd0", 0.02), ("sgd0", 0.1), ("sgd9", 0.003), ("sgd9", 0.02),
                                               ("adam", 3e-4), ("adam", 2e-3), ("adamw", 1e-3), ("adamw", 3e-3)])
        self.batch = dice.choice([8, 32, 128])
        self.schedule = dice.choice(SCHEDULES if fault != "lr_ramp" else ["constant"])
        self.start = dice.randrange(steps // 3, 3 * steps // 5) if fault else None
        linear = [n for n, m in self.layers if isinstance(m, nn.Linear)]
        self.layer = dice.choice(linear) if fault in ("frozen_layer", "grad_explode", "nan_gradient",
                                                      "weight_corruption") else None
        self.magnitude = {"lr_jump": 10, "bad_batch": 20, "input_scale": 4, "grad_explode": 300,
                          "weight_corruption": 1, "lr_ramp": 1.006}.get(fault)
        p, wd = self.model.parameters(), {"adamw": 0.01}.get(self.optimizer, 0)
        if self.optimizer.startswith("sgd"):
            self.opt = torch.optim.SGD(p, lr=self.lr, momentum=0.9 if self.optimizer == "sgd9" else 0)
        else:
            self.opt = (torch.optim.AdamW if wd else torch.optim.Adam)(p, lr=self.lr, **({"weight_decay": wd}))

    def hello(self, name):
        said = {"name": self.optimizer.rstrip("09"), "lr": self.lr, "schedule": self.schedule}
        said.update({"momentum": 0.9 if self.optimizer == "sgd9" else 0.0} if "sgd" in self.optimizer else
                    {"betas": [0.9, 0.999]})
        if self.optimizer == "adamw":
            said["weight_decay"] = 0.01
        return {"type": "hello", "protocol": 1, "run": name, "project": "heldout", "loss": self.task.loss,
                "optimizer": said, "batch_size": self.batch, "dataset_size": len(self.task.x),
                "layers": [{"name": n, "n": sum(p.numel() for p in m.parameters()),
                            "kind": "linear" if isinstance(m, nn.Linear) else "norm"} for n, m in self.layers]}

    def data(self, step):
        at = torch.randint(len(self.task.x), (self.batch,))
        x, y = self.task.x[at], self.task.y[at]
        since = step - self.start if self.fault else -1
        if since >= 0 and (self.fault == "input_scale" or self.fault == "bad_batch" and since < 3):
            x = x * self.magnitude
        if since >= 0 and self.fault == "label_shuffle":
            y = y[torch.randperm(len(y))]
        return x, y

    def break_weights(self, since):
        if self.fault == "weight_corruption" and since == 0:
            with torch.no_grad():
                w = dict(self.layers)[self.layer].weight
                w += self.magnitude * w.std() * torch.randn_like(w)

    def break_gradient(self, since):
        if since < 0 or self.layer is None:
            return
        for p in dict(self.layers)[self.layer].parameters():
            if self.fault == "frozen_layer":
                p.grad.zero_()
            elif self.fault == "grad_explode" and since < 5:
                p.grad *= self.magnitude
            elif self.fault == "nan_gradient" and since == 0:
                p.grad.view(-1)[0] = math.nan

    def rate(self, step):
        since = step - self.start if self.fault else -1
        lr = self.lr * schedule(self.schedule, step, self.steps)
        if since >= 0 and self.fault == "lr_jump":
            lr *= self.magnitude
        return lr * self.magnitude ** (since + 1) if since >= 0 and self.fault == "lr_ramp" else lr

    def step(self, step):
        since = step - self.start if self.fault else -1
        for group in self.opt.param_groups:
            group["lr"] = self.rate(step)
        outputs = {}
        hooks = [m.register_forward_hook(lambda m, i, o, n=n: outputs.__setitem__(n, o.detach().double()))
                 for n, m in self.layers]
        self.break_weights(since)
        x, y = self.data(step)
        self.opt.zero_grad()
        loss = self.task.error(self.model(x), y)
        loss.backward()
        for hook in hooks:
            hook.remove()
        self.break_gradient(since)
        before = [flat(m.parameters()) for _, m in self.layers]
        grads = [flat(p.grad for p in m.parameters()) for _, m in self.layers]
        self.opt.step()
        after = [flat(m.parameters()) for _, m in self.layers]
        updates = [a - b for a, b in zip(after, before)]
        columns = {"w": before, "g": grads, "u": updates, "z": [outputs[n] for n, _ in self.layers]}
        stats = {}
        for key, values in columns.items():
            stats[f"{key}_mean"] = [number(v.mean(), 15) for v in values]
            stats[f"{key}_var"] = [number(v.var(unbiased=False), 15 if key == "w" else 7) for v in values]
        stats["gw"] = [number(g @ w, 7) for g, w in zip(grads, before)]
        stats["gu"] = [number(g @ u, 7) for g, u in zip(grads, updates)]
        last = getattr(self, "last", None)
        stats["gu_prev"] = [number(g @ u, 7) for g, u in zip(grads, last)] if last else [None] * len(grads)
        self.last = updates
        return {"type": "step", "step": step, "time": 1760000000 + step / 20, "loss": number(loss, 7),
                "lr": self.rate(step), "batch_size": self.batch, "stats": stats}


def number(x, digits):
    x = float(x)
    return float(f"{x:.{digits}g}") if math.isfinite(x) else "NaN" if math.isnan(x) else "Infinity" if x > 0 else "-Infinity"


def failure_of(losses, start):
    """The step at which the smoothed loss passes three times its minimum."""
    mean = least = None
    for step, x in enumerate(losses):
        x = x if isinstance(x, float) else math.inf
        mean = x if mean is None else mean + 0.05 * (x - mean)
        least = mean if least is None or step < 50 else min(least, mean)
        if step > start and not mean <= 3 * least:
            return step
    return None


def record(directory, name, run):
    lines, losses = [run.hello(name)], []
    for step in range(run.steps):
        lines.append(run.step(step))
        losses.append(lines[-1]["loss"])
    slow = run.fault == "lr_ramp"
    label = {"task": run.task.loss, "fault": run.fault, "effect": 100 if run.fault and not slow else None,
             "step": run.start, "failure": failure_of(losses, run.start) if slow else None, "layer": run.layer,
             "magnitude": run.magnitude, "steps": run.steps, "optimizer": run.optimizer, "schedule": run.schedule}
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (directory / f"{name}.ndjson.gz").write_bytes(gzip.compress(text.encode(), 3))
    (directory / f"{name}.label.json").write_text(json.dumps(label))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--runs", type=int, default=36)
    parser.add_argument("--seed", type=int, default=7000)
    parser.add_argument("--steps", type=int, default=1200)
    args = parser.parse_args()
    args.directory.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for i in range(args.runs):
        fault = None if 2 * i < args.runs else FAULTS[i % len(FAULTS)]
        run = Run(args.seed + i, fault, args.steps)
        record(args.directory, f"held-{args.seed + i}-{fault or 'healthy'}", run)


if __name__ == "__main__":
    main()
