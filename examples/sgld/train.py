"""Stochastic gradient Langevin dynamics: weights of a logistic regression sampled at temperature 1."""
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import common  # noqa: E402
import pyrometer  # noqa: E402

torch.manual_seed(0)
(x, y), (test_x, test_y) = common.digits()
TEMPERATURE, STEPS, PRIOR = 1.0, 5000, 10.0


class SGLD(torch.optim.Optimizer):
    """w <- w - lr grad U + sqrt(2 lr T) noise, with U the sum of all losses and a normal prior."""

    def __init__(self, parameters, lr, temperature):
        super().__init__(parameters, {"lr": lr, "temperature": temperature})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                noise = torch.randn_like(parameter) * (2 * group["lr"] * group["temperature"]) ** 0.5
                parameter.add_(noise - group["lr"] * parameter.grad)


model = nn.Sequential(nn.Linear(64, 10))
optimizer = SGLD(model.parameters(), lr=2e-4, temperature=TEMPERATURE)
chances = torch.zeros(len(test_x), 10)
with pyrometer.watch(model, optimizer, run=sys.argv[1] if len(sys.argv) > 1 else "sgld", project="examples",
                     batch_size=len(x), dataset_size=len(x)) as run:
    for step in range(STEPS):
        optimizer.zero_grad()
        energy = F.cross_entropy(model(x), y, reduction="sum") + PRIOR * sum(
            (parameter ** 2).sum() for parameter in model.parameters()) / 2
        energy.backward()
        optimizer.step()
        run.step(energy)
        if step >= STEPS // 2 and step % 20 == 0:
            with torch.no_grad():
                chances += model(test_x).softmax(-1)
print(f"accuracy of the samples' mean on the test set: {(chances.argmax(1) == test_y).float().mean():.3f}")
