"""A perceptron on handwritten digits, SGD with momentum."""
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
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

with pyrometer.watch(model, optimizer, run=sys.argv[1] if len(sys.argv) > 1 else "digits-mlp", project="examples",
                     loss="cross_entropy", batch_size=32, dataset_size=len(x), level="full") as run:
    for step, (bx, by) in enumerate(common.batches(x, y, 32, 1500)):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(bx), by)
        loss.backward()
        optimizer.step()
        val_loss = None
        if step % 50 == 0:
            model.eval()  # the outputs of layers are measured in training only
            with torch.no_grad():
                val_loss = F.cross_entropy(model(test_x), test_y)
            model.train()
        run.step(loss, val_loss=val_loss)
model.eval()
print(f"accuracy on the test set: {(model(test_x).argmax(1) == test_y).float().mean():.3f}")
