"""A perceptron whose learning rate rises by 1% a step until training fails."""
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import common  # noqa: E402
import pyrometer  # noqa: E402

torch.manual_seed(0)
(x, y), _ = common.digits()
model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
alerts = []

with pyrometer.watch(model, optimizer, run=sys.argv[1] if len(sys.argv) > 1 else "lr-ramp", project="examples",
                     loss="cross_entropy", batch_size=64, dataset_size=len(x)) as run:
    run.alert_callback = lambda alert: alerts.append((alert["step"], alert["rule"], alert["state"]))
    for step, (bx, by) in enumerate(common.batches(x, y, 64, 900)):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(bx), by)
        loss.backward()
        optimizer.step()
        run.step(loss)
        if step >= 200:
            optimizer.param_groups[0]["lr"] *= 1.01
print(f"loss of the last step: {loss.item():.3f} at lr {optimizer.param_groups[0]['lr']:.3g}")
for step, rule, state in alerts:
    print(f"alert: {rule} {state}, step {step}")
