"""What the tests of watch() share: a model that trains, and its statistics the slow way."""
from __future__ import annotations

import unittest
from unittest import mock

import pyrometer
from pyrometer._watch import is_plain_sgd
from tests.test_client import ClientTest

try:
    import torch
    from torch import nn
except ImportError:
    torch = None

EXTREMES = ("w_min", "w_max")  # sent at level="full" alone


def mlp():
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3))


def flat(tensors):
    return torch.cat([t.detach().double().reshape(-1) for t in tensors])


def without_c(test):
    """As if the part in C could not be compiled."""
    patch = mock.patch("pyrometer._fused._library", lambda keeps_lock: None)
    patch.start()
    test.addCleanup(patch.stop)


def product_scale(key, weights, gradient, update, previous):
    """The terms of an inner product may cancel: what its rounding is measured by."""
    other = {"gw": weights, "gu": update, "gu_prev": previous}[key]
    return float(gradient.norm() * other.norm())


def naive(weights, gradient, update, previous=None):
    stats = {"w_min": weights.min(), "w_max": weights.max()}
    for letter, values in (("w", weights), ("g", gradient), ("u", update)):
        if values is not None:
            stats[f"{letter}_mean"] = values.mean()
            stats[f"{letter}_var"] = ((values - values.mean()) ** 2).mean()
    if gradient is not None:
        stats["gw"], stats["gu"] = (gradient * weights).sum(), (gradient * update).sum()
        if previous is not None:
            stats["gu_prev"] = (gradient * previous).sum()
    stats = {key: float(value) for key, value in stats.items()}
    scales = {key: product_scale(key, weights, gradient, update, previous)
              for key in ("gw", "gu", "gu_prev") if key in stats}
    return stats, scales


@unittest.skipIf(torch is None, "torch is not installed")
class WatchTest(ClientTest):
    def watch(self, daemon, model, optimizer, **kwargs):
        run = pyrometer.watch(model, optimizer, run="test", server=daemon.address, **kwargs)
        self.assertTrue(run.enabled)
        self.addCleanup(run.finish, timeout=0)
        return run

    def messages(self, daemon, run):
        run.finish(timeout=20.0)
        return daemon.until("end")[:-1]

    def backward(self, model, step=0):
        generator = torch.Generator().manual_seed(step)
        parameter = next(model.parameters())
        x = torch.randn(16, 5, generator=generator).to(parameter.dtype)
        model.zero_grad(set_to_none=True)
        loss = (model(x) ** 2).mean()
        loss.backward()
        return loss

    def train(self, model, optimizer, run, steps, layers, clip=None, between=None):
        """Trains and returns what the daemon should have heard: a dict a step and layer."""
        expected, previous = [], [None] * len(layers)
        for step in range(steps):
            loss = self.backward(model, step)
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            before = [flat(params) for params in layers]
            gradients = [None if all(p.grad is None for p in params) else
                         flat([torch.zeros_like(p) if p.grad is None else p.grad for p in params])
                         for params in layers]
            optimizer.step()
            if between:
                between()
            optimizer.zero_grad(set_to_none=True)
            run.step(loss)
            updates = [flat(params) - old for params, old in zip(layers, before)]
            expected.append((float(loss), [naive(*each) for each in
                                           zip(before, gradients, updates, previous)]))
            previous = updates if is_plain_sgd(optimizer) else previous
        return expected

    def compare(self, messages, expected, tolerance=1e-12, relative=1e-9):
        self.assertEqual(len(messages), len(expected))
        for message, (loss, layers) in zip(messages, expected):
            self.assertEqual(message["loss"], loss)
            for index, (layer, scales) in enumerate(layers):
                got = {key: column[index] for key, column in message["stats"].items()
                       if column[index] is not None}
                sent = {key: value for key, value in layer.items() if key not in EXTREMES}
                self.assertEqual(set(got), set(sent), message["step"])
                for key, value in sent.items():
                    allowed = max(relative * max(abs(value), tolerance),
                                  1e-14 * scales.get(key, 0.0))
                    if key.endswith("_var"):
                        allowed += 1e-15 * layer[key[:2] + "mean"] ** 2
                    self.assertAlmostEqual(got[key], value, delta=allowed,
                                           msg=f"{key} of layer {index} in step {message['step']}")

    def check(self, make_optimizer, layers=None, model=None, relative=1e-9, **kwargs):
        daemon = self.daemon()
        model = model or mlp()
        layers = layers or [list(m.parameters()) for m in model if list(m.parameters())]
        optimizer = make_optimizer(model.parameters())
        run = self.watch(daemon, model, optimizer)
        expected = self.train(model, optimizer, run, 6, layers, **kwargs)
        messages = self.messages(daemon, run)
        self.compare(messages, expected, relative=relative)
        return daemon.hellos[0], messages
