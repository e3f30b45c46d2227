"""JAX and optax: a pure function of params, gradients and updates inside the jitted step.

    python3 with_jax.py [RUN]              # needs jax and optax, and the client: clients/python/README.md

Not run where it was written, for want of JAX: the functions of pyrometer.integrations.jax are tested on a stand-in of its
trees with NumPy's arithmetic (clients/python/tests/frameworks.py) only, and of this file only that it
compiles and that the calls and options of pyrometer in it exist.
"""
import sys

import jax
import jax.numpy as jnp
import optax

import pyrometer
from pyrometer.integrations import jax as pyro

RATE, BATCH, STEPS = 0.01, 64, 1000
SIZES = (1, 32, 32, 1)


def begin(key):
    """A layer is the leaves below one node of the tree, named by the way to it: layer0, layer1, layer2."""
    keys = jax.random.split(key, len(SIZES) - 1)
    return {f"layer{at}": {"kernel": jax.random.normal(keys[at], (SIZES[at], SIZES[at + 1])) / SIZES[at] ** 0.5,
                           "bias": jnp.zeros(SIZES[at + 1])} for at in range(len(keys))}


def loss_of(params, x, y):
    for at in range(len(SIZES) - 1):
        layer = params[f"layer{at}"]
        x = x @ layer["kernel"] + layer["bias"]
        x = jnp.tanh(x) if at < len(SIZES) - 2 else x
    return jnp.mean((x - y) ** 2)


if __name__ == "__main__":
    optimizer = optax.adam(RATE)

    @jax.jit
    def train_step(params, state, key):
        x = jax.random.uniform(key, (BATCH, 1), minval=-3.0, maxval=3.0)
        loss, grads = jax.value_and_grad(loss_of)(params, x, jnp.sin(2 * x))
        updates, state = optimizer.update(grads, state, params)
        stats = pyro.statistics(params, grads, updates)
        return optax.apply_updates(params, updates), state, loss, stats

    params = begin(jax.random.PRNGKey(0))
    state = optimizer.init(params)
    with pyrometer.init(sys.argv[1] if len(sys.argv) > 1 else "with-jax", pyro.layers(params), project="examples", loss="mse",
                        optimizer={"name": "adam", "lr": RATE}, batch_size=BATCH) as run:
        for step, key in enumerate(jax.random.split(jax.random.PRNGKey(1), STEPS)):
            params, state, loss, stats = train_step(params, state, key)
            pyro.log(run, step, loss, stats, lr=RATE)
