"""An autoencoder that squeezes digits through eight numbers, Adam."""
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import common  # noqa: E402
import pyrometer  # noqa: E402

torch.manual_seed(0)
(x, y), (test_x, _) = common.digits()
model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 8), nn.Tanh(), nn.Linear(8, 32), nn.Tanh(),
                      nn.Linear(32, 64), nn.Sigmoid())
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

with pyrometer.watch(model, optimizer, run=sys.argv[1] if len(sys.argv) > 1 else "autoencoder", project="examples",
                     loss="mse", batch_size=64, dataset_size=len(x), level="full") as run:
    for bx, _ in common.batches(x, y, 64, 2000):
        optimizer.zero_grad()
        loss = F.mse_loss(model(bx), bx)
        loss.backward()
        optimizer.step()
        run.step(loss)
with torch.no_grad():
    print(f"squared error on the test set: {F.mse_loss(model(test_x), test_x):.4f}, of the mean image "
          f"{F.mse_loss(x.mean(0).expand_as(test_x), test_x):.4f}")
