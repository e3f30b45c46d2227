"""PyTorch Lightning 2: the callback measures and sends, the logger adds what the module logs.

    python3 with_lightning.py [RUN]        # needs lightning, and the client: clients/python/README.md

It was run under Lightning 2.2.5. What is tested again and again is the callback and the logger against a stand-in of Lightning's
interface (clients/python/tests/frameworks.py), and of this file that it compiles and that what it calls of pyrometer exists.
"""
import sys

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from pyrometer.integrations.lightning import PyrometerCallback, PyrometerLogger


class Circle(LightningModule):
    """Is a point inside of the circle?"""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2))

    def training_step(self, batch, number):
        x, y = batch
        scores = self.net(x)
        self.log("accuracy", (scores.argmax(1) == y).float().mean())  # by the logger, a scalar of this step
        return F.cross_entropy(scores, y)

    def validation_step(self, batch, number):
        x, y = batch
        self.log("val_loss", F.cross_entropy(self.net(x), y))  # the callback's `monitor`

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def points(count):
    x = torch.rand(count, 2) * 2 - 1
    return DataLoader(TensorDataset(x, (x.norm(dim=1) < 0.7).long()), batch_size=64)


if __name__ == "__main__":
    torch.manual_seed(0)
    callback = PyrometerCallback(run=sys.argv[1] if len(sys.argv) > 1 else "with-lightning", project="examples",
                                 loss="cross_entropy", batch_size=64)
    trainer = Trainer(max_epochs=10, callbacks=[callback], logger=PyrometerLogger(), log_every_n_steps=1,
                      accelerator="cpu", enable_checkpointing=False)
    trainer.fit(Circle(), points(4096), points(512))
