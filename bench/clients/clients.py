#!/usr/bin/env python3
"""`make bench-clients`: what the clients take from a training job; writes docs/bench-clients.md.

    bench/clients/clients.py [--out FILE] [--steps N] [SECTION...]

Sections: import, c, transformer, transformer-10, mlp, mlp-plain, call. From the transformer on they need PyTorch for this
python3 (Debian: python3-torch); each takes a minute or two. Everything streams to a real daemon. Two copies of a model train by turns, one of them watched, in an order that changes: what else the machine
does meets both. Steps of more than 10 ms alternate one by one; shorter ones in blocks, since a job's caches hold one
model. The job has one core, the daemon another where there is one.
"""

import argparse
import functools
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
import unittest.mock
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "e2e"), str(ROOT / "clients" / "python")]

from harness import BIN, Daemon  # noqa: E402

HEAD = """# What the clients cost

    make bench-clients

{machine}

A watched model and its unwatched twin train by turns, in an order drawn by lot, and then exchange their roles: a step each,
at a step of less than 10 ms 200 steps each, with forty sets of twins, since where they lie in memory weighs as much as what
is measured. A figure is the median of the paired differences, of short steps that of the sets; in brackets its 95%
interval by bootstrap over the pairs, or the sets; where single steps alternate at `every=10` the medians of the steps that are
sent and of the others count by their shares. The job is held on one core and has one thread; the daemon runs on the other
cores with every thermometer and rule on. The client's own thread works on the job's core too, a fifth of a second late and so
beside steps of either twin: its CPU time is taken out of the steps it fell into and counted for those that are watched, in both
columns. *Added* is wall clock, *CPU* the job's thread and the client's; the latter says more on a machine with other
work. *Of it the client's thread*: what a job that leaves a core free does not wait for. The batch of the MLP makes its step one of 0.3 ms.

The package is as `make` leaves it, with its part in C; the rows *without C* are of the package where that could not be compiled.

*Torch's own calls*: what the moments take by them, beside the same step and paired alike. The weights are copied before the update; after it
`torch._foreach_sub`, `torch._foreach_norm` and a sum each of weights, updates and gradients, by parameter and in float32, and one copy out;
nothing is gathered by layer or sent. The client also measures the gradient's products with weights and update, which the second of the
rows has too, through a buffer that stays in the cache.

"""


def bootstrap_median(values, rounds=400):
    lot = random.Random(1)
    medians = sorted(statistics.median(lot.choices(values, k=len(values))) for _ in range(rounds))
    return statistics.median(values), medians[int(0.025 * rounds)], medians[int(0.975 * rounds) - 1]


# --- a model that trains, watched or not ---


class Trainer:
    """`watch()` and `unwatch()` it; its run is a disabled one otherwise."""

    def __init__(self, torch, make, batch, optimizer):
        torch.manual_seed(1)
        self.model, self.batch = make(), batch
        self.loss = torch.nn.functional.cross_entropy
        self.optimizer = optimizer(self.model.parameters())
        self.watch(mode="disabled")

    def watch(self, **how):
        import pyrometer
        self.run = pyrometer.watch(self.model, self.optimizer, **how)

    def watch_by_torch(self, torch, with_products):
        self.run = ByTorch(torch, list(self.model.parameters()), self.optimizer, with_products)

    def step(self):
        x, y = self.batch
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        self.run.step(loss)

    def settle(self):
        """All of the client's work is done; what it does from here on counts."""
        while self.run.counters()["queued"]:
            time.sleep(0.02)
        self.settled_at = self.run.next_step, client_seconds()

    def unwatch(self):
        """The CPU seconds a step that the client's thread took since settle()."""
        steps, seconds = self.settled_at
        self.settle()
        taken = (self.settled_at[1] - seconds) / (self.settled_at[0] - steps)
        self.run.finish(timeout=30)
        self.watch(mode="disabled")
        return taken


class ByTorch:
    """In a run's place: the moments of weights, updates and gradients by torch's own calls, and nothing else."""

    next_step = 0

    def __init__(self, torch, params, optimizer, with_products):
        from pyrometer._watch import hook_optimizer
        self.torch, self.params = torch, params
        self.kept = [torch.empty_like(param, requires_grad=False) for param in params]
        room = torch.empty(max(param.numel() for param in params))  # stays in the cache
        self.rooms = [room[:param.numel()].view(param.shape) for param in params] if with_products else []
        self.unhook = hook_optimizer(optimizer, self.before, self.after)

    def before(self, *_):
        with self.torch.no_grad():
            if hasattr(self.torch, "_foreach_copy_"):
                self.torch._foreach_copy_(self.kept, self.params)
            else:
                for kept, param in zip(self.kept, self.params):
                    kept.copy_(param)

    def after(self, *_):
        with self.torch.no_grad():
            gradients = [param.grad for param in self.params]
            moments = self.moments(gradients) + self.moments(self.kept) + self.products(gradients)
            self.torch._foreach_sub_(self.kept, self.params)  # the update, but for its sign
            moments += self.moments(self.kept) + self.products(gradients)
            self.torch.stack(moments).tolist()

    def moments(self, tensors):
        return [*self.torch._foreach_norm(tensors), *(tensor.sum() for tensor in tensors)]

    def products(self, gradients):
        return [self.torch.mul(kept, gradient, out=room).sum()
                for kept, gradient, room in zip(self.kept, gradients, self.rooms)]

    def step(self, _loss):
        self.next_step += 1

    def is_logged(self, _step):
        return True

    def counters(self):
        return {"queued": 0}

    def finish(self, timeout):
        self.unhook()


def client_seconds():
    """CPU time of all threads but this one, which is to say the client's."""
    return time.process_time() - time.thread_time()


def transformer(torch):
    """12 layers, 2.4 million parameters; the batch makes a step of some 200 ms."""
    nn = torch.nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(64, 128)
            layer = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True)
            self.blocks = nn.TransformerEncoder(layer, 12)
            self.head = nn.Linear(128, 64)

        def forward(self, x):
            return self.head(self.blocks(self.embed(x)).mean(1))

    return Model, (torch.randint(64, (2, 32)), torch.randint(64, (2,)))


def mlp(torch):
    """The batch makes a step of 0.3 ms."""
    make = lambda: torch.nn.Sequential(  # noqa: E731
        torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    for rows in range(8, 1024, 8):
        batch = torch.randn(rows, 32), torch.randint(10, (rows,))
        trainer = Trainer(torch, make, batch, lambda params: torch.optim.SGD(params, 1e-2))
        # As it is measured: a block of steps, which are shorter than single ones.
        if statistics.median(timed(trainer, 100)[0] / 100 for _ in range(7)) >= 0.3e-3:
            break
    return make, batch


def timed(trainer, steps):
    """Wall clock without the CPU time that the client's thread took of it, and CPU time of the job's thread, in seconds."""
    began = time.perf_counter(), time.thread_time(), client_seconds()
    for _ in range(steps):
        trainer.step()
    wall, own, client = (now - then for now, then in
                         zip((time.perf_counter(), time.thread_time(), client_seconds()), began))
    return wall - client, own


def paired_steps(make_twins, watch, pairs):
    """Seconds a step without, those of the client's thread, and by clock (wall, CPU) what watching adds: of the steps that are sent and of the
    others, by their shares."""
    lot = random.Random(3)
    base, added, client = [], {True: [], False: []}, []
    twins = make_twins()
    for watched, plain in (twins, twins[::-1]):
        watch(watched)
        for trainer in (watched, plain) * 12:
            timed(trainer, 1)
        watched.settle()
        for _ in range(pairs // 2):
            is_sent = watched.run.is_logged(watched.run.next_step)
            taken = {trainer: timed(trainer, 1) for trainer in lot.sample((watched, plain), 2)}
            base.append(taken[plain][0])
            added[is_sent].append([one - other for one, other in zip(taken[watched], taken[plain])])
        client.append(watched.unwatch())
    found = []
    for clock in range(2):
        parts = [(len(part) / len(base), bootstrap_median([pair[clock] for pair in part]))
                 for part in added.values() if part]
        found.append([statistics.mean(client) + sum(share * part[at] for share, part in parts) for at in range(3)])
    return statistics.median(base), statistics.mean(client), *found


def paired_blocks(make_twins, watch, sets, steps=200, of_role=3):
    """The same for short steps, of which a block has many. Where the twins lie in memory weighs as much as what is to be
    measured: a figure a set of twins, of both roles of each."""
    lot = random.Random(3)
    base, added, clients = [], [], []
    for _ in range(sets):
        twins = make_twins()
        roles = []
        for watched, plain in lot.sample([twins, twins[::-1]], 2):
            watch(watched)
            timed(watched, steps)
            watched.settle()
            for trainer in twins:
                timed(trainer, steps)  # the caches are cold after the wait
            pairs = []
            for _ in range(of_role):
                taken = {trainer: timed(trainer, steps) for trainer in lot.sample(twins, 2)}
                base.append(taken[plain][0] / steps)
                pairs.append([(one - other) / steps for one, other in zip(taken[watched], taken[plain])])
            client = watched.unwatch()
            clients.append(client)
            roles.append([statistics.median(clock) + client for clock in zip(*pairs)])
        added.append([statistics.mean(clock) for clock in zip(*roles)])
    return statistics.median(base), statistics.median(clients), *(bootstrap_median(clock) for clock in zip(*added))


# model, optimizer and its arguments, every, pairs (of the MLPs: sets of twins), target in percent
TRAINED = {
    "transformer": ("transformer, 2.4 M parameters, AdamW", transformer, "AdamW", {"lr": 1e-4}, 1, 100, 3),
    "transformer-10": ("transformer, 2.4 M parameters, AdamW", transformer, "AdamW", {"lr": 1e-4}, 10, 300, 0.4),
    "mlp": ("MLP, 6,922 parameters, SGD with momentum", mlp, "SGD", {"lr": 1e-2, "momentum": 0.9}, 10, 40, 5),
    "mlp-plain": ("MLP, 6,922 parameters, plain SGD", mlp, "SGD", {"lr": 1e-2}, 10, 40, 5),
}


BY_TORCH = {"torch's own calls: foreach reductions alone": False, "torch's own calls, with the gradient's products": True}
WITHOUT_C = ("transformer", "mlp-plain")  # measured that way as well


def trained_rows(section, server, scale):
    import torch
    torch.set_num_threads(1)
    name, kind, optimizer, options, every, pairs, target = TRAINED[section]
    make, batch = kind(torch)

    def make_twins():
        return [Trainer(torch, make, batch, lambda params: getattr(torch.optim, optimizer)(params, **options))
                for _ in range(2)]

    def watch(trainer):
        trainer.watch(run=f"bench-{random.getrandbits(40)}", server=server, every=every, mode="online", spool="")

    measure = paired_blocks if kind is mlp else paired_steps
    pairs = max(8, int(pairs * scale))
    base, client, *added = measure(make_twins, watch, pairs)
    yield name, f"every={every}", *in_percent(base, added), f"{client / base * 100:.2f}%", f"at most {target}%"
    if section in WITHOUT_C:
        with without_c():
            base, client, *added_by_python = measure(make_twins, watch, pairs)
        yield (f"{name}, without C", f"every={every}", *in_percent(base, added_by_python),
               f"{client / base * 100:.2f}%", "")
    if section == "transformer":
        for what, with_products in BY_TORCH.items():
            base, _, *by_torch = paired_steps(make_twins, lambda trainer: trainer.watch_by_torch(torch, with_products), pairs)
            yield (what, "", *in_percent(base, by_torch), "",
                   f"the client takes {added[1][0] / by_torch[1][0]:.2f} of its CPU time")


def without_c():
    return unittest.mock.patch("pyrometer._fused._library", lambda keeps_lock: None)


def in_percent(base, added):
    return (f"{base * 1e3:.2f} ms", *(f"{middle / base * 100:.2f}% [{low / base * 100:.2f}, {high / base * 100:.2f}]"
                                      for middle, low, high in added))


# --- the calls themselves ---


def call_rows(server, scale):
    """run.step of a watched model of 100 layers: what it does beside the statistics' arithmetic."""
    import pyrometer
    import torch
    torch.set_num_threads(1)
    model = torch.nn.Sequential(*(torch.nn.Linear(8, 8) for _ in range(100)))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    run = pyrometer.watch(model, optimizer, run=f"bench-{random.getrandbits(40)}", server=server, mode="online",
                          spool="")
    taken = []
    for _ in range(int(1000 * scale)):
        loss = model(torch.ones(4, 8)).square().mean()
        loss.backward()
        optimizer.step()  # the statistics are computed in here
        began = time.perf_counter()
        run.step(loss)
        taken.append(time.perf_counter() - began)
        while run.counters()["queued"] > 100:  # a job's step leaves the client time
            time.sleep(0.01)
    run.finish(timeout=30)
    middle, low, high = bootstrap_median(taken)
    yield ("`run.step` of a watched model of 100 layers", "every=1", "",
           f"{middle * 1e6:.0f} µs [{low * 1e6:.0f}, {high * 1e6:.0f}]", "", "",
           "at most 200 µs")


def c_rows(server, scale):
    done = subprocess.run([BIN / "bench-client", server, str(int(20000 * scale))], capture_output=True, text=True,
                          check=True)
    middle, high = map(float, done.stdout.split())
    yield ("C: `pyrometer_step`, 100 layers of 10 statistics", "every step", "",
           f"{middle:.1f} µs, 99% below {high:.1f}", "", "", "at most 20 µs")


def import_rows(_server, scale):
    """A fresh interpreter each time; the package is compiled, as pip leaves it."""
    code = "import time; t = time.perf_counter(); import pyrometer; print(time.perf_counter() - t)"
    with tempfile.TemporaryDirectory() as compiled:
        env = dict(os.environ, PYTHONPATH=str(ROOT / "clients" / "python"), PYTHONPYCACHEPREFIX=compiled)
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        taken = [float(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True,
                                      check=True).stdout) for _ in range(1 + max(5, int(40 * scale)))][1:]
    middle, low, high = bootstrap_median(taken)
    yield ("`import pyrometer`", "", "", f"{middle * 1e3:.1f} ms [{low * 1e3:.1f}, {high * 1e3:.1f}]", "", "",
           "at most 30 ms")


# --- the document ---


def machine():
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                            cwd=ROOT).stdout.strip()
    try:
        import torch
        with_torch = f", PyTorch {torch.__version__}"
    except ImportError:
        with_torch = ""
    return (f"Measured {time.strftime('%Y-%m-%d')} at commit {commit} on {os.cpu_count()} cores of {cpu}, Python "
            f"{platform.python_version()}{with_torch}; the load average before it was {os.getloadavg()[0]:.1f}.")


# import comes first: what it starts should not find the job's caches full.
SECTIONS = {"import": import_rows, "c": c_rows, **{name: functools.partial(trained_rows, name) for name in TRAINED},
            "call": call_rows}


def rows_of(section, server, scale):
    try:
        yield from SECTIONS[section](server, scale)
    except ModuleNotFoundError as error:
        yield (f"section `{section}`", "", "", f"not measured: {error}", "", "", "")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of repetitions")
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []])
    args = parser.parse_args()
    lines = ["| what | sent | a step without | added | CPU | of it the client's thread | target |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    head = HEAD.format(machine=machine())
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, set(cores[1:] or cores))
    daemon = Daemon().start()
    os.sched_setaffinity(0, {cores[0]})
    try:
        server = ":".join(map(str, daemon.ingest[0]))
        for name in args.sections or SECTIONS:
            for row in rows_of(name, server, args.scale):
                lines.append("| " + " | ".join(row) + " |")
                print(lines[-1], file=sys.stderr, flush=True)
    finally:
        daemon.stop()
    text = head + "\n".join(lines) + "\n"
    if args.out:
        Path(args.out).write_text(text)
    print(text)


if __name__ == "__main__":
    main()
