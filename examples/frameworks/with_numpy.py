"""Plain NumPy: a perceptron on handwritten digits, SGD written by hand.

    python3 with_numpy.py [RUN]

The module pyrometer.integrations.numpy computes a step's statistics, in float64; nothing else of Pyrometer is in the loop.
"""
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
try:
    import pyrometer
except ImportError:  # the client from this checkout where it is not installed
    sys.path.insert(0, str(HERE.parents[1] / "clients/python"))
    import pyrometer
from pyrometer.integrations import numpy as pyro  # noqa: E402

STEPS, BATCH, RATE = 600, 64, 0.2
dice = np.random.default_rng(0)
rows = dice.permutation(np.loadtxt(HERE.parent / "data/digits.csv", delimiter=","))
x, y = rows[:, :64] / 16, rows[:, 64].astype(int)
train_x, train_y, test_x, test_y = x[297:], y[297:], x[:297], y[:297]
# A layer is a name with its arrays: weights and biases.
params = {"hidden": [dice.normal(size=(64, 48)) / 8, np.zeros(48)], "out": [dice.normal(size=(48, 10)) / 7, np.zeros(10)]}


def forward(bx):
    hidden = np.tanh(bx @ params["hidden"][0] + params["hidden"][1])
    scores = hidden @ params["out"][0] + params["out"][1]
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return hidden, scores / scores.sum(axis=1, keepdims=True)


def gradients(bx, by):
    """The mean cross entropy of a batch, and its gradients in the shape of `params`."""
    hidden, chances = forward(bx)
    loss = -np.log(chances[np.arange(len(by)), by]).mean()
    at_scores = (chances - np.eye(10)[by]) / len(by)
    at_hidden = at_scores @ params["out"][0].T * (1 - hidden ** 2)
    return loss, {"hidden": [bx.T @ at_hidden, at_hidden.sum(axis=0)], "out": [hidden.T @ at_scores, at_scores.sum(axis=0)]}


updates = None
with pyrometer.init(sys.argv[1] if len(sys.argv) > 1 else "with-numpy", pyro.layers(params), project="examples",
                    loss="cross_entropy", optimizer={"name": "sgd", "lr": RATE}, batch_size=BATCH,
                    dataset_size=len(train_x)) as run:
    for step in range(STEPS):
        chosen = dice.integers(len(train_x), size=BATCH)
        loss, grads = gradients(train_x[chosen], train_y[chosen])
        before, updates = updates, {name: [-RATE * grad for grad in grads[name]] for name in grads}
        run.log_layers(step, loss, pyro.statistics(params, grads, updates, before), lr=RATE)  # before the update
        for name in params:
            for array, update in zip(params[name], updates[name]):
                array += update
print(f"accuracy on the test set: {(forward(test_x)[1].argmax(axis=1) == test_y).mean():.3f}")
