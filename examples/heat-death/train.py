"""A generative model that is trained on its own samples, generation after generation, until it says one thing only."""
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import common  # noqa: E402
import pyrometer  # noqa: E402

CONTEXT, STREAMS, LENGTH, GENERATIONS = 4, 64, 40, 70
torch.manual_seed(0)
data, letters = common.text()


class Model(nn.Module):
    """The next letter from the last four."""

    def __init__(self):
        super().__init__()
        self.letters = nn.Embedding(len(letters), 16)
        self.hidden, self.head = nn.Linear(16 * CONTEXT, 96), nn.Linear(96, len(letters))

    def forward(self, context):
        return self.head(torch.tanh(self.hidden(self.letters(context).flatten(1))))


@torch.no_grad()
def sample(model):
    """What the model writes: its samples, slightly sharpened as is usual (temperature 0.9)."""
    start = torch.randint(len(data) - CONTEXT, (STREAMS, 1)) + torch.arange(CONTEXT)
    written = data[start]
    for _ in range(LENGTH + CONTEXT):
        chances = (model(written[:, -CONTEXT:]) / 0.9).softmax(-1)
        written = torch.cat([written, torch.multinomial(chances, 1)], 1)
    return written[:, CONTEXT:]  # without the text that it began from


def train(run, model, optimizer, lines, steps):
    windows = lines.unfold(1, CONTEXT + 1, 1).reshape(-1, CONTEXT + 1)
    for _ in range(steps):
        batch = windows[torch.randint(len(windows), (128,))]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch[:, :-1]), batch[:, -1])
        loss.backward()
        optimizer.step()
        run.step(loss)


def histogram(lines):
    return torch.bincount(lines.flatten(), minlength=len(letters)).tolist()


model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
with pyrometer.watch(model, optimizer, run=sys.argv[1] if len(sys.argv) > 1 else "heat-death", project="examples",
                     loss="cross_entropy", batch_size=128) as run:
    train(run, model, optimizer, data[None], 800)
    for generation in range(GENERATIONS):
        lines = sample(model)
        counts = histogram(lines)
        run.outputs(range(len(letters)), counts)
        run.event("generation", number=generation)
        run.refresh()  # the training data is another from here on
        if generation % 14 == 0 or generation == GENERATIONS - 1:
            print(f"generation {generation}: {sum(count > 0 for count in counts)} letters in use; "
                  + repr("".join(letters[number] for number in lines[0].tolist())))
        train(run, model, optimizer, lines, 60)
