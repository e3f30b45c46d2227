"""A convolutional network with batch norm on handwritten digits, AdamW with a cosine schedule."""
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import common  # noqa: E402
import pyrometer  # noqa: E402

STEPS = 900
torch.manual_seed(0)
(x, y), (test_x, test_y) = common.digits()
model = nn.Sequential(
    nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
    nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)

with pyrometer.watch(model, optimizer, run=sys.argv[1] if len(sys.argv) > 1 else "digits-cnn", project="examples",
                     loss="cross_entropy", batch_size=64, dataset_size=len(x), level="full") as run:
    for bx, by in common.batches(x, y, 64, STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(bx), by)
        loss.backward()
        optimizer.step()
        run.step(loss)
        schedule.step()
model.eval()
print(f"accuracy on the test set: {(model(test_x).argmax(1) == test_y).float().mean():.3f}")
