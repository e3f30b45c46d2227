#!/usr/bin/python3
"""Further labelled recordings, to judge the alerts on runs that nobody tuned them on. Needs Debian's python3-torch and
python3-sklearn.

    tests/quality/record.py DIRECTORY [--runs N] [--seed S] [--steps LEAST MOST] [--healthy SHARE] [--few SHARE]
                            [--faults NAME...] [--seconds N]

Runs of tasks.py with sizes, optimizers, learning rates, schedules, batches (that of some changes on the way) and
magnitudes by lot, so many of them healthy, the rest with each fault in turn; a share of the data sets is so small that a
network learns it by heart. Runs that are there already are kept: call again after --seconds to go on. A sudden fault's `effect` is measured: from the fault's step on a twin without
it goes on beside the run, and the effect is the largest distance in 50 steps, over the logarithms of the loss and of the
layers' gradients, updates and outputs, in units of the series' own noise in the 100 steps before. A slow fault's `failure`
is the step at which the smoothed loss first passes three times its minimum; a run that does so before its fault has none.
"""

import argparse
import copy
import gzip
import json
import math
import statistics
import time
from pathlib import Path

import tasks
import torch
from torch import nn

SUDDEN = ["lr_jump", "bad_batch", "input_scale", "label_shuffle", "frozen_layer", "grad_explode", "nan_gradient",
          "weight_corruption", "bit_flip", "dead_relu", "decay_collapse", "optimizer_corruption"]
SLOW = ["lr_ramp", "input_drift", "slow_death", "label_noise", "decay_ramp"]
FAULTS = SUDDEN[:6] + ["lr_ramp"] + SUDDEN[6:] + ["lr_ramp"] + SLOW[1:]
OF_A_LAYER = ("frozen_layer", "grad_explode", "nan_gradient", "weight_corruption", "bit_flip", "dead_relu", "slow_death")
SCHEDULES = ["constant", "constant", "cosine", "warmup_cosine", "step_decay", "one_cycle", "linear", "restarts"]
TWIN_STEPS, NOISE_STEPS, AFTER_FAILURE = 50, 100, 122


def schedule(name, step, steps):
    part = step / steps
    if name == "step_decay":
        return 0.2 ** (3 * step // steps)
    if name == "one_cycle":
        return max(0.04, 1 - abs(part - 0.3) / (0.3 if part < 0.3 else 0.7))
    if name == "linear":
        return min(1, (step + 1) / 50) * (1 - 0.95 * part)
    if name == "restarts":
        return 0.05 + 0.475 * (1 + math.cos(math.pi * (3 * part % 1)))
    if name == "constant":
        return 1.0
    warm = 0.08 * steps if name == "warmup_cosine" else 1
    return min(1, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * part))


def flat(tensors):
    return torch.cat([t.detach().double().reshape(-1) for t in tensors])


def number(x, digits):
    x = float(x)
    return float(f"{x:.{digits}g}") if math.isfinite(x) else "NaN" if math.isnan(x) else "Infinity" if x > 0 else "-Infinity"


class Run:
    def __init__(self, seed, fault, steps, few):
        self.seed, self.fault, self.steps = seed, fault, steps
        dice, self.kind, self.task, self.model, self.activation = tasks.by_lot(seed, few)
        self.layers = [(n, m) for n, m in self.model.named_modules() if list(m.parameters(recurse=False))]
        self.draw_optimizer(dice)
        self.batch = dice.choice([4, 8, 16, 32, 64, 64, 128])
        self.clip = dice.choice([None, None, 1.0, 5.0])
        self.schedule = dice.choice(SCHEDULES if fault not in SLOW else ["constant", "constant", "step_decay"])
        self.shuffled = dice.random() < 0.5
        self.start = dice.randrange(280, max(min(3 * steps // 5, 1200), 300)) if fault else None
        # One that is stopped gradually must be one that can be stopped at all.
        able = [n for n, m in self.layers if isinstance(m, (nn.Linear, nn.Conv2d, nn.LSTM, nn.Embedding))]
        if fault in ("dead_relu", "slow_death"):
            biased = [n for n in able if isinstance(dict(self.layers)[n], (nn.Linear, nn.Conv2d))]
            able = biased[:-1] or biased
        self.layer = dice.choice(able) if fault in OF_A_LAYER else None
        self.magnitude = self.draw_magnitude(dice)
        # Another batch size from a third or two thirds of the way on.
        other = self.batch * dice.choice([2, 4]) if dice.random() < 0.12 else self.batch
        self.batches = [self.batch, dice.choice([self.batch, other]), other]
        self.order, self.last, self.before = [], None, None

    def draw_optimizer(self, dice):
        name = self.name = dice.choice(["sgd", "sgdm", "sgdm", "adam", "adam", "adamw", "adamw"])
        low, high = {"sgd": (0.01, 0.12), "sgdm": (0.003, 0.03)}.get(name, (2e-4, 2.5e-3))
        self.lr = float(f"{math.exp(dice.uniform(math.log(low), math.log(high))):.2g}")
        self.momentum = {"sgdm": dice.choice([0.9, 0.9, 0.95])}.get(name, 0.0)
        self.betas = (0.9, dice.choice([0.999, 0.999, 0.95]))
        self.decay = dice.choice([0.01, 0.05]) if name == "adamw" else 0
        p = self.model.parameters()
        if name.startswith("sgd"):
            self.opt = torch.optim.SGD(p, lr=self.lr, momentum=self.momentum)
        else:
            make = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
            self.opt = make(p, lr=self.lr, betas=self.betas, weight_decay=self.decay)

    def draw_magnitude(self, dice):
        spans = {"lr_jump": (8, 80), "bad_batch": (8, 60), "input_scale": (3, 25), "grad_explode": (200, 5000),
                 "weight_corruption": (1, 6), "decay_collapse": (0.02, 0.08), "lr_ramp": (1.002, 1.008),
                 "input_drift": (3, 10), "slow_death": (0.005, 0.04), "label_noise": (150, 600), "decay_ramp": (0.008, 0.04)}
        if self.fault not in spans:
            return None
        low, high = spans[self.fault]
        return float(f"{math.exp(dice.uniform(math.log(low), math.log(high))):.4g}")

    def hello(self, name):
        said = {"name": self.name.rstrip("m") if self.name == "sgdm" else self.name, "lr": self.lr,
                "schedule": self.schedule}
        said.update({"momentum": self.momentum} if "sgd" in self.name else {"betas": self.betas})
        if self.decay:
            said["weight_decay"] = self.decay
        kinds = {nn.Conv2d: "conv", nn.Embedding: "embedding", nn.LSTM: "lstm", nn.LayerNorm: "layernorm",
                 nn.BatchNorm1d: "batchnorm", nn.BatchNorm2d: "batchnorm"}
        return {"type": "hello", "protocol": 1, "run": name, "project": "quality", "loss": self.task.loss,
                "optimizer": said, "batch_size": self.batch, "dataset_size": len(self.task.x),
                "layers": [{"name": n, "n": sum(p.numel() for p in m.parameters(recurse=False)),
                            "kind": kinds.get(type(m), "linear")} for n, m in self.layers]}

    def since(self, step):
        return step - self.start if self.fault else -1

    def data(self, step):
        n = len(self.task.x)
        if self.shuffled:
            while len(self.order) < self.batch:
                self.order += torch.randperm(n).tolist()
            at, self.order = self.order[:self.batch], self.order[self.batch:]
        else:
            at = torch.randint(n, (self.batch,))
        x, y, since, task = self.task.x[at], self.task.y[at], self.since(step), self.task
        if since < 0:
            return x, y
        if self.fault == "input_scale":
            x = task.scaled(x, self.magnitude)
        elif self.fault == "bad_batch" and since < 3:
            x = task.bad(x, self.magnitude)
        elif self.fault == "input_drift":
            x = task.noised(x, self.magnitude, min(since / 400, 1))
        elif self.fault == "label_shuffle":
            y = task.wrong(y, 1)
        elif self.fault == "label_noise":
            y = task.wrong(y, min(since / self.magnitude, 1))
        return x, y

    @torch.no_grad()
    def break_weights(self, since):
        if since < 0:
            return
        module = dict(self.layers).get(self.layer)
        weight = next(module.parameters(recurse=False)) if module else None
        if self.fault == "weight_corruption" and since == 0:
            weight += self.magnitude * weight.std() * torch.randn_like(weight)
        elif self.fault == "bit_flip" and since == 0:
            weight.view(-1)[weight.abs().argmax()] *= 2.0 ** 16
        elif self.fault == "dead_relu" and since == 0:
            module.bias.fill_(-60)
        elif self.fault == "slow_death":
            module.bias -= self.magnitude
        elif self.fault == "optimizer_corruption" and since == 0:
            self.break_optimizer()

    def break_optimizer(self):
        broken = False
        for state in self.opt.state.values():
            if "exp_avg_sq" in state:
                state["exp_avg_sq"] *= 1e-6
                broken = True
            elif state.get("momentum_buffer") is not None:
                state["momentum_buffer"] *= 200
                broken = True
        if not broken:
            for p in self.layers[len(self.layers) // 2][1].parameters(recurse=False):
                p *= 3

    @torch.no_grad()
    def decay_weights(self, since):
        """As an optimizer's own decay would: the update holds it."""
        if since >= 0 and self.fault in ("decay_collapse", "decay_ramp"):
            rate = self.magnitude * (1 if self.fault == "decay_collapse" else min(since / 400, 1))
            for p in self.model.parameters():
                p *= 1 - rate

    def break_gradient(self, since):
        if since < 0 or self.layer is None:
            return
        for p in dict(self.layers)[self.layer].parameters(recurse=False):
            if self.fault == "frozen_layer":
                p.grad.zero_()
            elif self.fault == "grad_explode" and since < 5:
                p.grad *= self.magnitude
            elif self.fault == "nan_gradient" and since == 0:
                p.grad.view(-1)[0] = math.nan

    def rate(self, step):
        since, lr = self.since(step), self.lr * schedule(self.schedule, step, self.steps)
        if since >= 0 and self.fault == "lr_jump":
            lr *= self.magnitude
        return lr * self.magnitude ** (since + 1) if since >= 0 and self.fault == "lr_ramp" else lr

    def forward(self, x):
        outputs = {}
        hooks = [m.register_forward_hook(lambda m, i, o, n=n: outputs.__setitem__(
            n, (o[0] if isinstance(o, tuple) else o).detach())) for n, m in self.layers]
        out = self.model(x)
        for hook in hooks:
            hook.remove()
        return out, [outputs[n] for n, _ in self.layers]

    def step(self, step):
        since = self.since(step)
        for group in self.opt.param_groups:
            group["lr"] = self.rate(step)
        self.break_weights(since)
        self.batch = self.batches[3 * step // self.steps]
        x, y = self.data(step)
        self.opt.zero_grad()
        out, outputs = self.forward(x)
        loss = self.task.error(out, y)
        loss.backward()
        self.break_gradient(since)
        if self.clip and self.fault != "grad_explode":
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        parts = [list(m.parameters(recurse=False)) for _, m in self.layers]
        before, grads = [flat(p) for p in parts], [flat(p.grad for p in ps) for ps in parts]
        self.opt.step()
        self.decay_weights(since)
        updates = [flat(p) - b for p, b in zip(parts, before)]
        stats = {}
        for key, values in {"w": before, "g": grads, "u": updates, "z": outputs}.items():
            stats[f"{key}_mean"] = [number(v.mean(), 15 if key == "w" else 7) for v in values]
            stats[f"{key}_var"] = [number(v.var(unbiased=False), 15 if key == "w" else 7) for v in values]
        stats["gw"] = [number(g @ w, 7) for g, w in zip(grads, before)]
        stats["gu"] = [number(g @ u, 7) for g, u in zip(grads, updates)]
        stats["gu_prev"] = [number(g @ u, 7) for g, u in zip(grads, self.last)] if self.last else [None] * len(grads)
        stats["a_active"] = [number((z > 0).double().mean(), 7) for z in outputs]
        self.last = updates
        return {"type": "step", "step": step, "time": 1760000000 + step / 20, "loss": number(loss, 7),
                "lr": self.rate(step), "batch_size": self.batch, "stats": stats}


def scales(line):
    """The logarithms in which a fault might be seen."""
    values, stats = [line["loss"]], line["stats"]
    for key in "guz":
        for mean, var in zip(stats[f"{key}_mean"], stats[f"{key}_var"]):
            values.append(math.nan if isinstance(var, str) or isinstance(mean, str) else math.sqrt(mean * mean + var))
    return [math.log(max(v, 1e-12)) if not isinstance(v, str) and math.isfinite(v) else 30. for v in values]


def effect_of(past, broken, twin):
    """See above. past: lines before the fault; broken, twin: lines from it on."""
    past, largest = [scales(x) for x in past[-NOISE_STEPS:]], 0
    for i, series in enumerate(zip(*past)):
        level = statistics.median(series)
        noise = max(1.4826 * statistics.median(abs(x - level) for x in series), 0.02)
        for a, b in zip(broken, twin):
            largest = max(largest, abs(scales(a)[i] - scales(b)[i]) / noise)
    return round(largest, 2)


def failure_of(losses, start):
    """The step at which the smoothed loss passes three times its minimum. A run that does so before its fault fails by
    itself: what it does later is not the fault's, and there is none."""
    mean = least = None
    for step, x in enumerate(losses):
        x = x if isinstance(x, float) else math.inf
        mean = x if mean is None else mean + 0.05 * (x - mean)
        least = mean if least is None or step < 50 else min(least, mean)
        if not mean <= 3 * least:
            return step if step > start else None
    return None


def without_fault(run, random_state):
    """A copy at this moment of its training, with the same dice before it."""
    twin = copy.deepcopy(run)
    twin.fault = twin.layer = None
    lines, state = [], torch.get_rng_state()
    torch.set_rng_state(random_state)
    for step in range(run.start, min(run.start + TWIN_STEPS, run.steps)):
        lines.append(twin.step(step))
    torch.set_rng_state(state)
    return lines


def record(directory, name, run):
    lines, twin, failure = [], None, None
    hello = run.hello(name)
    for step in range(run.steps):
        if step == run.start and run.fault in SUDDEN:
            twin = without_fault(run, torch.get_rng_state())
        lines.append(run.step(step))
        if run.fault in SLOW and step % 20 == 0 and step > run.start and failure is None:
            failure = failure_of([x["loss"] for x in lines], run.start)
        if failure is not None and step > failure + AFTER_FAILURE:
            break
    effect = effect_of(lines[:run.start], lines[run.start:run.start + TWIN_STEPS], twin) if twin else None
    label = {"task": run.kind, "fault": run.fault, "effect": effect, "step": run.start, "failure": failure,
             "layer": run.layer, "magnitude": run.magnitude, "steps": len(lines), "optimizer": run.name,
             "schedule": run.schedule, "activation": run.activation, "loss": run.task.loss, "clip": run.clip}
    text = "".join(json.dumps(line) + "\n" for line in [hello, *lines])
    (directory / f"{name}.ndjson.gz").write_bytes(gzip.compress(text.encode(), 3))
    (directory / f"{name}.label.json").write_text(json.dumps(label))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--runs", type=int, default=36)
    parser.add_argument("--seed", type=int, default=7000)
    parser.add_argument("--steps", type=int, nargs=2, default=[900, 2400])
    parser.add_argument("--healthy", type=float, default=0.5)
    parser.add_argument("--few", type=float, default=0.25)
    parser.add_argument("--faults", nargs="+", default=FAULTS, choices=sorted(set(FAULTS)))
    parser.add_argument("--seconds", type=float, default=math.inf)
    args = parser.parse_args()
    args.directory.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    end, faulty = time.monotonic() + args.seconds, 0
    for i in range(args.runs):
        seed = args.seed + i
        is_healthy = int((i + 1) * args.healthy) > int(i * args.healthy)
        fault = None if is_healthy else args.faults[(faulty + args.seed // 1000) % len(args.faults)]
        faulty += not is_healthy
        if list(args.directory.glob(f"{seed}-*.label.json")):
            continue
        if time.monotonic() > end:
            break
        least, most = args.steps
        run = Run(seed, fault, least + (seed * 7919) % (most - least + 1), args.few)
        record(args.directory, f"{seed}-{run.kind}-{fault or 'healthy'}", run)


if __name__ == "__main__":
    main()
