"""watch() against statistics computed the slow way, in float64, from copies."""
from __future__ import annotations

import copy
import math
import unittest
import warnings
from unittest import mock

import pyrometer
from pyrometer._watch import is_plain_sgd
from tests.test_client import ClientTest

try:
    import torch
    from torch import nn
except ImportError:
    torch = None


def mlp():
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3))


def flat(tensors):
    return torch.cat([t.detach().double().reshape(-1) for t in tensors])


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
                self.assertEqual(set(got), set(layer), message["step"])
                for key, value in layer.items():
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


class Statistics(WatchTest):
    def test_sgd_with_momentum(self):
        hello, messages = self.check(lambda p: torch.optim.SGD(
            p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True))
        self.assertEqual(hello["optimizer"], {"name": "sgd", "lr": 0.1, "momentum": 0.9,
                                              "nesterov": True, "weight_decay": 0.01})
        self.assertEqual([(layer["name"], layer["n"], layer["kind"]) for layer in hello["layers"]],
                         [("0", 48, "linear"), ("2", 54, "linear"), ("4", 21, "linear")])
        self.assertEqual(hello["layers"][1]["activation"], "tanh")
        initial, first = hello["layers"][0]["init"], messages[0]["stats"]
        self.assertEqual((initial["mean"], initial["std"], initial["low"]),
                         (first["w_mean"][0], first["w_var"][0] ** 0.5, first["w_min"][0]))

    def test_adam(self):
        hello, _ = self.check(lambda p: torch.optim.Adam(p, lr=0.01))
        self.assertEqual(hello["optimizer"], {"name": "adam", "lr": 0.01, "betas": [0.9, 0.999],
                                              "weight_decay": 0.0})

    def test_adamw_and_others_by_name(self):
        self.assertEqual(self.check(torch.optim.AdamW)[0]["optimizer"]["name"], "adamw")
        self.assertEqual(self.check(torch.optim.RMSprop)[0]["optimizer"]["name"], "other")

    def test_clipped_gradient(self):
        self.check(lambda p: torch.optim.SGD(p, lr=0.5), clip=0.01)

    def test_frozen_layer(self):
        model = mlp()
        for param in model[2].parameters():
            param.requires_grad_(False)
        _, messages = self.check(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), model=model)
        self.assertIsNone(messages[1]["stats"]["g_var"][1])
        self.assertEqual(messages[1]["stats"]["u_var"][1], 0)

    def test_frozen_weight_with_a_live_bias(self):
        model = mlp()
        model[2].weight.requires_grad_(False)
        self.check(lambda p: torch.optim.Adam(p, lr=0.1), model=model)

    def test_tied_weights_belong_to_the_first(self):
        class Tied(nn.Module):
            def __init__(self):
                super().__init__()
                self.encoder, self.decoder = nn.Linear(5, 5), nn.Linear(5, 5)
                self.decoder.weight = self.encoder.weight
                self.same = nn.Linear(5, 5)
                self.same.weight, self.same.bias = self.encoder.weight, self.encoder.bias

            def forward(self, x):
                return self.decoder(torch.tanh(self.same(self.encoder(x))))

        torch.manual_seed(1)
        model = Tied()
        layers = [list(model.encoder.parameters()), [model.decoder.bias]]
        hello, _ = self.check(lambda p: torch.optim.SGD(p, lr=0.1), layers, model)
        self.assertEqual([layer["name"] for layer in hello["layers"]], ["encoder", "decoder"])

    def test_float64_parameters(self):
        self.check(lambda p: torch.optim.SGD(p, lr=0.1), model=mlp().double())

    def test_layers_measured_by_rows(self):
        """Small ones, so that rows, chunks and layers end everywhere in each other."""
        from pyrometer import _moments, _rows
        for row, rows in ((1, 5), (4, 1), (7, 3), (100, 2)):
            with self.subTest(row=row, rows=rows), mock.patch.multiple(
                    _moments, EXACT_LAYER=0, EXACT_TOTAL=0), mock.patch.multiple(
                    _rows, ROW=row, ROWS_ON_CPU=rows):
                for momentum in (0, 0.9):
                    self.check(lambda p: torch.optim.SGD(p, lr=0.1, momentum=momentum),
                               model=mlp().double())

    def errors(self, layers):
        """By key the largest error over layers, relative to the root of a sum's squares (sums may
        cancel), of what is found for `layers` after two updates, against float64."""
        from pyrometer._moments import KEYS, grouped, statistics
        for layer in layers:
            for param in layer:
                param.grad = torch.randn(param.shape).to(param.dtype)
        groups = list(grouped(layers, True))
        updates = [[(0.01 * torch.randn(param.shape)).to(param.dtype) for param in layer]
                   for layer in layers]
        previous, errors = None, {}
        for time in range(2):  # the second time there is an update before
            before = [flat(layer) for layer in layers]
            for _, moments in groups:
                moments.before(time > 0)
            for layer, update in zip(layers, updates):
                for param, change in zip(layer, update):
                    param += change
            tables = [moments.after() for _, moments in groups]
            steps = previous, [flat(layer) - old for layer, old in zip(layers, before)]
            previous = steps[1]
        for (members, _), table in zip(groups, tables):
            for column, index in enumerate(members):
                w, g = before[index], flat([param.grad for param in layers[index]])
                u, u_before = steps[1][index], steps[0][index]
                exact, norms = naive(w, g, u, u_before)
                for letter, values in (("w", w), ("u", u), ("g", g)):
                    norms[letter + "_mean"] = float(values.norm() / len(values) ** 0.5)
                found = ([values[column] for values in table.columns()]
                         if hasattr(table, "columns") else
                         statistics(table[column].tolist(), len(w)))
                for key, got in zip(KEYS, found):
                    error = abs(got - exact[key]) / abs(norms.get(key, exact[key]))
                    errors[key] = max(error, errors.get(key, 0.0))
        return groups, errors

    def test_large_layers_in_float32(self):
        torch.manual_seed(5)
        groups, errors = self.errors([[torch.randn(300, 700), torch.randn(300)], [torch.randn(40)],
                                      [0.5 + torch.rand(100, 1000)]])
        self.assertEqual([members for members, _ in groups], [[1], [0, 2]])
        for key, error in errors.items():
            self.assertLess(error, 1e-5 if key == "gu_prev" else 1e-6, key)

    def test_half_precision_says_its_error(self):
        """The figures of README.md: what the statistics are off, of the values the model has."""
        for dtype in (torch.bfloat16, torch.float16):
            for shape, bound in (((60, 50), 1e-12), ((300, 700), 1e-6)):
                with self.subTest(dtype=dtype, shape=shape):
                    torch.manual_seed(6)
                    groups, errors = self.errors([[torch.randn(shape).to(dtype)],
                                                  [torch.rand(shape).to(dtype)]])
                    self.assertEqual(len(groups), 1)
                    for key, error in errors.items():
                        self.assertLess(error, bound, key)

    def test_small_layers_without_numpy(self):
        from pyrometer import _moments
        with mock.patch.object(_moments, "BATCH_TOTAL", 0):
            self.check(lambda p: torch.optim.SGD(p, lr=0.1))
            self.check(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9))
        with mock.patch.object(torch.Tensor, "numpy", side_effect=RuntimeError("not available")):
            made, = _moments.grouped([[torch.ones(3)]], True)
        self.assertIsInstance(made[1], _moments.Exact)

    def test_more_steps_than_there_is_room_for(self):
        """The sender does not ask: the job's thread computes what there is no room to keep."""
        from pyrometer import _batch
        layers = [[torch.randn(4, 3), torch.randn(3)], [torch.randn(5)]]
        with mock.patch.multiple(_batch, ROOM_STEPS=3, CHUNK=40):
            batch = _batch.Batch(layers, True)
            taken, wanted, last = [], [], None
            for step in range(20):
                for param in sum(layers, []):
                    param.grad = torch.randn_like(param)
                before = [flat(layer) for layer in layers]
                batch.before(step > 0)
                for param in sum(layers, []):
                    param += 0.1 * torch.randn_like(param)
                taken.append(batch.after())
                updates = [flat(layer) - old for layer, old in zip(layers, before)]
                gradients = [flat([p.grad for p in layer]) for layer in layers]
                wanted.append([naive(*one)[0] for one in zip(before, gradients, updates,
                                                             last or updates)])
                last = updates
        self.assertLessEqual(sum(one.found is None for one in taken), 2)
        for step, (one, layers_of) in enumerate(zip(taken, wanted)):
            for key, values in zip(_batch.KEYS, one.columns()):
                for got, layer in zip(values, layers_of):
                    if step > 0 or key != "gu_prev":
                        self.assertAlmostEqual(got, layer[key], 12, msg=f"{key} of step {step}")

    def test_every_kind_of_layer(self):
        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed, self.norm = nn.Embedding(50, 32), nn.LayerNorm(32)
                self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
                self.conv, self.batch_norm = nn.Conv1d(32, 16, 3), nn.BatchNorm1d(16)
                self.lstm, self.head = nn.LSTM(16, 8, batch_first=True), nn.Linear(8, 2)

            def forward(self, x):
                x = self.norm(self.embed((x * 10).long().clamp(0, 49)))
                x = self.attention(x, x, x)[0].transpose(1, 2)
                return self.head(self.lstm(self.batch_norm(self.conv(x)).transpose(1, 2))[0])

        torch.manual_seed(4)
        model = Model()
        layers = [list(module.parameters(recurse=False)) for module in (
            model.embed, model.norm, model.attention, model.attention.out_proj, model.conv,
            model.batch_norm, model.lstm, model.head)]
        hello, _ = self.check(lambda p: torch.optim.AdamW(p, lr=0.01), layers, model)
        self.assertEqual([layer["kind"] for layer in hello["layers"]],
                         ["embedding", "layernorm", "attention", "linear", "conv",
                          "batchnorm", "recurrent", "linear"])

    def test_equal_weights_have_no_variance(self):
        model = mlp()
        for param in model[0].parameters():
            nn.init.constant_(param, 0.1)
        daemon = self.daemon()
        run = self.watch(daemon, model, torch.optim.SGD(model.parameters(), lr=0.1))
        run.finish()
        self.assertEqual(daemon.hellos[0]["layers"][0]["init"]["distribution"], "constant")

    def test_small_variance_beside_a_large_mean(self):
        from pyrometer import _moments
        torch.manual_seed(3)
        values = 1 + 1e-4 * torch.randn(4096)
        exact = values.double().var(unbiased=False).item()
        for total in (0, 1 << 16):
            with mock.patch.object(_moments, "BATCH_TOTAL", total):
                (_, moments), = _moments.grouped([[values]], False)
            moments.before(False)
            found = moments.after()
            found = ([column[0] for column in found.columns()] if total else
                     _moments.statistics(found[0].tolist(), 4096))
            got = dict(zip(_moments.KEYS, found))["w_var"]
            self.assertAlmostEqual(got / exact, 1, delta=1e-7)

    def test_momentum_sends_no_product_with_the_update_before_unless_full(self):
        for level, kind, sent in (("economy", torch.optim.Adam, False),
                                  ("full", torch.optim.Adam, True),
                                  ("economy", torch.optim.SGD, True)):
            daemon, model = self.daemon(), mlp()
            optimizer = kind(model.parameters(), lr=0.1)
            run = self.watch(daemon, model, optimizer, level=level)
            for step in range(2):
                self.backward(model, step)
                optimizer.step()
                run.step(1.0)
            self.assertEqual("gu_prev" in self.messages(daemon, run)[1]["stats"], sent)


class Conventions(WatchTest):
    def test_lr_is_that_of_the_step_whatever_the_scheduler_did_since(self):
        for scheduler_first in (True, False):
            daemon, model = self.daemon(), mlp()
            optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
            make = lambda: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)  # noqa: E731
            scheduler = make() if scheduler_first else None
            run = self.watch(daemon, model, optimizer)
            scheduler = scheduler or make()
            layers = [list(m.parameters()) for m in model if list(m.parameters())]
            with self.subTest(scheduler_first=scheduler_first):
                expected = self.train(model, optimizer, run, 3, layers, between=scheduler.step)
                messages = self.messages(daemon, run)
                self.compare(messages, expected)
                self.assertEqual([m["lr"] for m in messages], [1.0, 0.5, 0.25])

    def test_every_step_has_the_update_before_it(self):
        daemon, model = self.daemon(), mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        run = self.watch(daemon, model, optimizer, every=3)
        layers = [list(m.parameters()) for m in model if list(m.parameters())]
        expected = self.train(model, optimizer, run, 8, layers)
        messages = self.messages(daemon, run)
        self.assertEqual([m["step"] for m in messages], [0, 3, 6])
        self.compare(messages, expected[::3])

    def test_skipped_step_has_a_loss_and_no_statistics(self):
        daemon, model = self.daemon(), mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = self.watch(daemon, model, optimizer)
        for step in range(3):
            loss = self.backward(model)
            if step != 1:
                optimizer.step()
            run.step(loss)
        taken, skipped, again = self.messages(daemon, run)
        self.assertIn("stats", taken)
        self.assertNotIn("stats", skipped)
        self.assertIsInstance(skipped["loss"], float)
        self.assertNotIn("gu_prev", again["stats"])

    def test_step_that_a_fused_optimizer_skipped(self):
        daemon, model = self.daemon(), mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = self.watch(daemon, model, optimizer)
        for inf in (1.0, 0.0):
            loss = self.backward(model)
            optimizer.found_inf = torch.tensor(inf)
            optimizer.step()
            del optimizer.found_inf
            run.step(loss)
        skipped, taken = self.messages(daemon, run)
        self.assertNotIn("stats", skipped)
        self.assertIsInstance(skipped["loss"], float)
        self.assertIn("stats", taken)

    def test_non_finite_gradients_reach_the_daemon(self):
        daemon, model = self.daemon(), mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = self.watch(daemon, model, optimizer)
        loss = self.backward(model)
        model[0].weight.grad[0, 0] = math.inf
        model[2].weight.grad[0, 0] = math.nan
        optimizer.step()
        run.step(loss * math.nan)
        message, = self.messages(daemon, run)
        self.assertEqual(message["loss"], "NaN")
        self.assertEqual(message["stats"]["g_mean"][:2], ["Infinity", "NaN"])
        self.assertIsInstance(message["stats"]["g_mean"][2], float)
        self.assertTrue(all(isinstance(v, float) for v in message["stats"]["w_var"]))

    def test_gradient_scaler_and_clipping(self):
        """Unscaled before they are clipped: the gradient that the optimizer used. An infinity skips the step."""
        daemon, model = self.daemon(), mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        run = self.watch(daemon, model, optimizer)
        scale, gradients = 1024.0, []
        for step in range(3):
            loss = self.backward(model, step)
            for param in model.parameters():
                param.grad *= scale  # what scaler.scale(loss).backward() leaves; GradScaler itself needs CUDA in 1.13
            if step == 1:
                model[0].weight.grad[0, 0] = math.inf
            for param in model.parameters():
                param.grad /= scale  # scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            gradients.append(flat([p.grad for p in model[0].parameters()]))
            if step != 1:
                optimizer.step()  # scaler.step(optimizer)
            run.step(loss)
        one, skipped, other = self.messages(daemon, run)
        self.assertNotIn("stats", skipped)
        for message, gradient in ((one, gradients[0]), (other, gradients[2])):
            self.assertAlmostEqual(message["stats"]["g_mean"][0], float(gradient.mean()), 12)

    def test_accumulated_gradients_are_one_step(self):
        daemon, model = self.daemon(), mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        run = self.watch(daemon, model, optimizer)
        for step in range(2):
            optimizer.zero_grad()
            for part in range(3):
                (model(torch.full((4, 5), 1.0 + part)).square().mean() / 3).backward()
            gradient = flat([p.grad for p in model[4].parameters()])
            optimizer.step()
            run.step(0.5)
        messages = self.messages(daemon, run)
        self.assertEqual([m["step"] for m in messages], [0, 1])
        self.assertAlmostEqual(messages[1]["stats"]["g_mean"][2], float(gradient.mean()), 12)

    def test_parameter_groups(self):
        """All layers are measured; lr and the facts are the first group's."""
        daemon, model = self.daemon(), mlp()
        optimizer = torch.optim.SGD([{"params": model[0].parameters(), "lr": 0.5},
                                     {"params": [*model[2].parameters(), *model[4].parameters()]}],
                                    lr=0.1, momentum=0.9)
        run = self.watch(daemon, model, optimizer)
        layers = [list(m.parameters()) for m in model if list(m.parameters())]
        expected = self.train(model, optimizer, run, 3, layers)
        messages = self.messages(daemon, run)
        self.compare(messages, expected)
        self.assertEqual([m["lr"] for m in messages], [0.5] * 3)

    def test_compiled_model_has_the_names_of_its_own(self):
        """torch 1.13 has no torch.compile: this stands for what it returns, a module around `_orig_mod`."""
        class Compiled(nn.Module):
            def __init__(self, model):
                super().__init__()
                self._orig_mod = model

            def forward(self, x):
                return self._orig_mod(x)

        daemon, model = self.daemon(), Compiled(mlp())
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        run = self.watch(daemon, model, optimizer)
        inner = model._orig_mod
        expected = self.train(model, optimizer, run, 2, [list(inner[at].parameters()) for at in (0, 2, 4)])
        self.compare(self.messages(daemon, run), expected)
        self.assertEqual([layer["name"] for layer in daemon.hellos[0]["layers"]], ["0", "2", "4"])

    def test_layers_by_regex(self):
        daemon, model = self.daemon(), mlp()
        run = self.watch(daemon, model, torch.optim.SGD(model.parameters(), lr=0.1),
                         layers="^(0|4)$")
        run.finish()
        self.assertEqual([layer["name"] for layer in daemon.hellos[0]["layers"]], ["0", "4"])

    def test_optimizer_is_left_as_it_was(self):
        daemon, model = self.daemon(), mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        before = dict(optimizer.__dict__)
        run = self.watch(daemon, model, optimizer, level="full")
        run.finish()
        self.assertEqual(set(optimizer.__dict__), set(before))
        self.assertFalse(any(m._forward_hooks for m in model.modules()))

    def test_hooks_of_newer_torch(self):
        class Hooked(torch.optim.SGD):
            """As torch 2: step() calls what was registered."""

            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.pre, self.post = [], []

            def register_step_pre_hook(self, hook):
                return self._register(self.pre, hook)

            def register_step_post_hook(self, hook):
                return self._register(self.post, hook)

            @staticmethod
            def _register(hooks, hook):
                hooks.append(hook)
                return mock.Mock(remove=lambda: hooks.remove(hook))

            def step(self, closure=None):
                for hook in self.pre:
                    assert hook(self, (), {}) is None
                result = super().step(closure)
                for hook in self.post:
                    assert hook(self, (), {}) is None
                return result

        made = []
        self.check(lambda p: made.append(Hooked(p, lr=0.1, momentum=0.9)) or made[0])
        self.assertEqual((made[0].pre, made[0].post, "step" in made[0].__dict__), ([], [], False))

    def test_closure(self):
        daemon, model = self.daemon(), mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = self.watch(daemon, model, optimizer)
        loss = optimizer.step(lambda: self.backward(model))
        self.assertIsNotNone(loss)
        run.step(loss)
        message, = self.messages(daemon, run)
        self.assertTrue(all(v < 0 for v in message["stats"]["gu"]))

    def test_training_is_the_same_to_the_bit(self):
        daemon, watched = self.daemon(), mlp()
        alone = copy.deepcopy(watched)
        for model in (watched, alone):
            optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
            run = (self.watch(daemon, model, optimizer, level="full") if model is watched
                   else pyrometer.watch(model, optimizer, mode="disabled"))
            for step in range(5):
                loss = self.backward(model, step)
                optimizer.step()
                run.step(loss)
        for one, other in zip(watched.parameters(), alone.parameters()):
            self.assertTrue(torch.equal(one, other))


class Oddities(WatchTest):
    def test_half_precision(self):
        class Cast(nn.Module):
            def __init__(self, dtype):
                super().__init__()
                self.first, self.second = nn.Linear(5, 8, dtype=dtype), nn.Linear(8, 3)
                self.scale = nn.Parameter(torch.ones(2, dtype=torch.complex64))

        for dtype in (torch.bfloat16, torch.float16):
            daemon, model = self.daemon(), Cast(dtype)
            optimizer = torch.optim.SGD(list(model.first.parameters())
                                        + list(model.second.parameters()), lr=0.5)
            run = self.watch(daemon, model, optimizer)
            for _ in range(2):
                for param in optimizer.param_groups[0]["params"]:
                    param.grad = torch.ones_like(param)
                optimizer.step()
                run.step(1.0)
            _, message = self.messages(daemon, run)
            self.assertEqual([layer["name"] for layer in daemon.hellos[0]["layers"]],
                             ["first", "second"])
            self.assertEqual(message["stats"]["g_mean"], [1.0, 1.0])
            self.assertAlmostEqual(message["stats"]["u_mean"][0], -0.5, delta=0.01)
            self.assertAlmostEqual(message["stats"]["gu_prev"][0] / 48, -0.5, delta=0.01)

    def test_sparse_gradient(self):
        daemon, model = self.daemon(), nn.Embedding(10, 4, sparse=True)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        run = self.watch(daemon, model, optimizer)
        before = flat(model.parameters())
        loss = model(torch.tensor([1, 1, 3])).sum()
        loss.backward()
        optimizer.step()
        run.step(loss)
        message, = self.messages(daemon, run)
        self.assertEqual(daemon.hellos[0]["layers"][0]["name"], "Embedding")
        self.assertEqual(message["stats"]["g_mean"], [12 / 40])
        self.assertAlmostEqual(message["stats"]["w_var"][0], float(before.var(unbiased=False)), 9)

    def test_channels_last(self):
        daemon = self.daemon()
        model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = self.watch(daemon, model, optimizer)
        before = flat(model.parameters())
        loss = model(torch.ones(2, 3, 5, 5).to(memory_format=torch.channels_last)).mean()
        loss.backward()
        gradient = flat([p.grad for p in model.parameters()])
        optimizer.step()
        run.step(loss)
        update = flat(model.parameters()) - before
        message, = self.messages(daemon, run)
        self.compare([message], [(float(loss), [naive(before, gradient, update, None)])])
        self.assertEqual(daemon.hellos[0]["layers"][0]["kind"], "conv")

    def test_lazy_and_empty_parameters_are_left_out(self):
        daemon = self.daemon()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of lazy modules
            lazy = nn.LazyLinear(3)
        model = nn.Sequential(lazy, nn.Linear(2, 2))
        model[1].empty = nn.Parameter(torch.zeros(0))
        run = self.watch(daemon, model, torch.optim.SGD(model[1].parameters(), lr=0.1))
        run.finish()
        self.assertEqual([layer["name"] for layer in daemon.hellos[0]["layers"]], ["1"])

    def test_parameter_that_changes_its_shape(self):
        daemon, model = self.daemon(), mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = self.watch(daemon, model, optimizer)
        with self.assertLogs("pyrometer", "WARNING") as logs:
            for _ in range(2):
                model[4].weight.data = torch.zeros(1, 6)
                model[4].bias.data = torch.zeros(1)
                model[4].weight.grad = model[4].bias.grad = None
                optimizer.step()
                run.step(1.0)
            messages = self.messages(daemon, run)
        self.assertEqual([("stats" in m, m["loss"]) for m in messages], [(False, 1.0)] * 2)
        self.assertEqual(len(logs.output), 1, logs.output)

    def test_nothing_to_watch(self):
        with self.assertLogs("pyrometer", "WARNING"):
            self.assertFalse(pyrometer.watch(nn.ReLU(), None, run="test").enabled)
            self.assertFalse(pyrometer.watch("model", None, run="test").enabled)
            self.assertFalse(pyrometer.watch(mlp(), None, run="test", layers="(").enabled)


class Outputs(WatchTest):
    def test_pre_activations_and_activations(self):
        daemon, model = self.daemon(), mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = self.watch(daemon, model, optimizer, level="full")
        x = 3 * torch.randn(32, 5)
        outputs = [x]
        with torch.no_grad():
            for module in model:
                outputs.append(module(outputs[-1]))
        loss = model(x).mean()
        with torch.no_grad():
            model(100 * x)  # a validation pass is not the step's
        loss.backward()
        optimizer.step()
        run.step(loss)
        stats = self.messages(daemon, run)[0]["stats"]
        z, relu, z2, tanh, z3 = (o.double() for o in outputs[1:])
        for key, column in {
                "z_mean": [z.mean(), z2.mean(), z3.mean()],
                "z_var": [o.var(unbiased=False) for o in (z, z2, z3)],
                "a_mean": [relu.mean(), tanh.mean(), None],
                "a_var": [relu.var(unbiased=False), tanh.var(unbiased=False), None],
                "a_active": [(relu > 0).double().mean(), (tanh > 0).double().mean(), None],
                "a_saturated": [None, (tanh.abs() > 0.99).double().mean(), None]}.items():
            for got, value in zip(stats[key], column):
                if value is None:
                    self.assertIsNone(got, key)
                else:
                    self.assertAlmostEqual(got, float(value), places=5, msg=key)

    def test_activation_in_place_and_outputs_of_other_kinds(self):
        class Odd(nn.Module):
            def __init__(self):
                super().__init__()
                self.lstm, self.head = nn.LSTM(5, 4), nn.Linear(4, 2)
                self.relu, self.index = nn.ReLU(inplace=True), nn.Embedding(3, 2)

            def forward(self, x):
                heads = self.relu(self.head(self.lstm(x)[0]))
                return heads.sum() + self.index(torch.tensor(1)).sum()

        torch.manual_seed(2)
        daemon, model = self.daemon(), Odd()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = self.watch(daemon, model, optimizer, level="full")
        loss = model(torch.randn(3, 2, 5))
        loss.backward()
        optimizer.step()
        run.step(loss)
        stats = self.messages(daemon, run)[0]["stats"]
        self.assertNotIn(None, stats["z_var"])
        self.assertEqual([v is None for v in stats["a_active"]], [True, False, True])
        self.assertGreaterEqual(stats["a_mean"][1], 0)


if __name__ == "__main__":
    unittest.main()
