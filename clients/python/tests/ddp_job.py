"""One rank of a job under DistributedDataParallel, on CPUs (gloo): ddp_job.py RANK WORLD RENDEZVOUS SERVER STEPS

Three runs: `replicas`, watched by every rank with no word of ranks; `shards`, to which each rank sends the statistics of
its part of each layer, cut by hand as FSDP does; `whole`, by rank 0, what one process would have sent.
"""
import sys

import numpy as np
import pyrometer
import torch
from pyrometer.integrations.numpy import layers, statistics
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


def flat(model, what):
    return {name: np.concatenate([what(p).detach().numpy().ravel() for p in module.parameters()])
            for name, module in model.named_children() if list(module.parameters())}


def part(arrays, rank, world):
    return {name: np.array_split(array, world)[rank] for name, array in arrays.items()}


def main():
    rank, world, rendezvous, server, steps = sys.argv[1:]
    rank, world = int(rank), int(world)
    distributed.init_process_group("gloo", f"file://{rendezvous}", rank=rank, world_size=world)
    torch.manual_seed(1)
    inner = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    model = DistributedDataParallel(inner)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    weights = flat(inner, lambda p: p)
    runs = [pyrometer.watch(model, optimizer, run="replicas", server=server),
            pyrometer.init("shards", layers(part(weights, rank, world)), server=server, shards=True),
            pyrometer.init("whole", layers(weights), server=server)]
    dice = torch.Generator().manual_seed(rank)  # each rank has data of its own
    for step in range(int(steps)):
        before = flat(inner, lambda p: p)
        loss = model(torch.randn(5, 4, generator=dice)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        gradients, after = flat(inner, lambda p: p.grad), flat(inner, lambda p: p)
        updates = {name: after[name] - before[name] for name in before}
        runs[0].step(loss)
        runs[1].log_layers(step, 1.0, statistics(*(part(a, rank, world) for a in (before, gradients, updates))))
        runs[2].log_layers(step, 1.0, statistics(before, gradients, updates))
    print(*(run.enabled for run in runs))
    for run in runs:
        run.finish(timeout=60)


main()
