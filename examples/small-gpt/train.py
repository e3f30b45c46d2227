"""A transformer of four blocks that learns the letters of a text."""
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import common  # noqa: E402
import pyrometer  # noqa: E402

STEPS, WIDTH, CONTEXT, HEADS = 300, 64, 64, 4
torch.set_num_threads(1)  # its products are small: threads would cost more than they do
torch.manual_seed(0)
data, letters = common.text()


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.register_buffer("mask", torch.full((CONTEXT, CONTEXT), float("-inf")).triu(1))

    def forward(self, x):
        batch, length, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-1, -2)) / q.shape[-1] ** 0.5 + self.mask[:length, :length]
        x = x + self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, WIDTH))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.letters, self.places = nn.Embedding(len(letters), WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(4))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, len(letters))

    def forward(self, tokens):
        x = self.letters(tokens) + self.places.weight[:tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 50))
dice = torch.Generator().manual_seed(1)

with pyrometer.watch(model, optimizer, run=sys.argv[1] if len(sys.argv) > 1 else "small-gpt", project="examples",
                     loss="cross_entropy", batch_size=8) as run:
    for _ in range(STEPS):
        starts = torch.randint(len(data) - CONTEXT - 1, (8, 1), generator=dice) + torch.arange(CONTEXT + 1)
        batch = data[starts]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        run.step(loss)
        warmup.step()
print(f"loss of the last step: {loss.item():.3f} nats a letter; {len(letters)} letters alike would be "
      f"{torch.tensor(float(len(letters))).log().item():.3f}")
