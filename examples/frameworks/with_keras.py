"""Keras 3 (or 2): a callback of fit(), on a curve with noise.

    python3 with_keras.py [RUN]            # needs keras and a backend, and the client: clients/python/README.md

Keras shows no gradients to callbacks: weights and updates are measured, every 10th batch, and what needs gradients is not.

Not run where it was written, for want of Keras: the callback is tested against a stand-in of Keras' callback interface
(clients/python/tests/frameworks.py) only, and of this file only that it compiles and
that the calls and options of pyrometer in it exist.
"""
import sys

import keras
import numpy as np

from pyrometer.integrations.keras import PyrometerCallback


def curve(count, dice):
    x = dice.uniform(-3, 3, size=(count, 1)).astype("float32")
    return x, (np.sin(2 * x) + dice.normal(scale=0.1, size=x.shape)).astype("float32")


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    dice = np.random.default_rng(0)
    model = keras.Sequential([keras.layers.Dense(32, activation="tanh", name="first"),
                              keras.layers.Dense(32, activation="tanh", name="second"),
                              keras.layers.Dense(1, name="out")])
    model.compile(optimizer=keras.optimizers.SGD(learning_rate=0.05, momentum=0.9), loss="mse")
    x, y = curve(4096, dice)
    model.build(x.shape)  # the layers must have weights before the callback lists them
    # every=1 would measure every batch; loss and batch size are what fit() is told.
    callback = PyrometerCallback(run=sys.argv[1] if len(sys.argv) > 1 else "with-keras", project="examples",
                                 loss="mse", batch_size=64, dataset_size=len(x))
    model.fit(x, y, batch_size=64, epochs=20, validation_data=curve(512, dice), callbacks=[callback], verbose=2)
