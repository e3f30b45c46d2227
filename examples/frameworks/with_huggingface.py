"""Hugging Face transformers 4: a callback of the Trainer, on a GPT-2 small enough for a CPU and text made on the spot.

    python3 with_huggingface.py [RUN]      # needs transformers and accelerate, and the client: clients/python/README.md

Not run where it was written, for want of transformers: the callback is tested against a stand-in of the Trainer's callback
interface (clients/python/tests/frameworks.py) only, and of this file only that it compiles and
that the calls and options of pyrometer in it exist.
"""
import sys
import tempfile

import torch
from torch.utils.data import Dataset
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from pyrometer.integrations.huggingface import PyrometerCallback

LETTERS = 16


class Counting(Dataset):
    """Sequences that count up from somewhere, modulo LETTERS; a tenth of the letters is wrong."""

    def __init__(self, count, length=32):
        starts = torch.randint(LETTERS, (count, 1))
        right = (starts + torch.arange(length)) % LETTERS
        self.rows = torch.where(torch.rand(right.shape) < 0.1, torch.randint(LETTERS, right.shape), right)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, at):
        return {"input_ids": self.rows[at], "labels": self.rows[at]}


if __name__ == "__main__":
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=LETTERS, n_positions=32, n_embd=48, n_layer=2, n_head=4,
                                       bos_token_id=0, eos_token_id=0))
    # The loss of a step is the model's own output; what the Trainer logs goes beside it as scalars.
    callback = PyrometerCallback(run=sys.argv[1] if len(sys.argv) > 1 else "with-huggingface", project="examples",
                                 loss="cross_entropy")
    with tempfile.TemporaryDirectory() as out:
        args = TrainingArguments(output_dir=out, per_device_train_batch_size=16, max_steps=300, learning_rate=1e-3,
                                 logging_steps=10, save_strategy="no", report_to=[])
        Trainer(model=model, args=args, train_dataset=Counting(4096), callbacks=[callback]).train()
