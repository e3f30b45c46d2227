"""Trains for STEPS steps with a checkpoint every 20th, going on from the one that is there: checkpoint_job.py SERVER RUN FILE STEPS [HANG]

At step HANG it waits for ever, to be killed.
"""
import os
import sys
import time

import pyrometer
import torch
from torch import nn

EVERY = 20


def main():
    server, name, path, steps, *hang = sys.argv[1:]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    first, resume = 0, "continue"
    if os.path.exists(path):
        saved = torch.load(path)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        first, resume = saved["step"] + 1, {"rewind": saved["step"]}
    run = pyrometer.watch(model, optimizer, run=name, server=server, loss="mse", resume=resume)
    for step in range(first, int(steps)):
        if hang and step == int(hang[0]):
            time.sleep(3600)
        x = torch.randn(32, 4, generator=torch.Generator().manual_seed(step))
        loss = (model(x) - x.sum(1, keepdim=True).sin()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.step(loss)
        if step % EVERY == EVERY - 1:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, path + ".new")
            os.replace(path + ".new", path)
            run.event("checkpoint")
    run.finish(timeout=30)


main()
