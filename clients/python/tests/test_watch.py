"""watch(): which steps, layers and optimizers it sees, and what it leaves as it was."""
from __future__ import annotations

import copy
import io
import math
import unittest
import warnings
from unittest import mock

import pyrometer
from pyrometer import _quiet
from tests.watching import WatchTest, flat, mlp, naive, without_c

try:
    import torch
    from torch import nn
except ImportError:
    torch = None


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

    def test_parameters_that_get_more_digits_than_are_kept(self):
        for model in (mlp(), nn.Sequential(nn.Linear(5, 1 << 14))):
            daemon = self.daemon()
            optimizer = torch.optim.SGD(model.parameters(), lr=1e-9)
            run = self.watch(daemon, model, optimizer)
            model.double()
            _quiet.forget_warnings()
            with self.subTest(layers=len(model)), self.assertLogs("pyrometer", "WARNING") as logs:
                self.backward(model)
                optimizer.step()
                run.step(1.0)
                message, = self.messages(daemon, run)
            self.assertNotIn("stats", message)
            self.assertIn("float64", logs.output[0])

    def test_parameters_that_move_in_memory(self):
        for dtype in (torch.float32, torch.bfloat16):  # copied as they are, and not
            for model in (mlp(), nn.Sequential(nn.Linear(5, 1 << 14))):
                model = model.to(dtype)
                with self.subTest(dtype=dtype, layers=len(model)):
                    held = []  # so that no address comes again

                    def move():
                        for param in model.parameters():
                            held.append(param.data)
                            param.data = param.data.clone()

                    is_large = len(model) == 1
                    daemon = self.daemon()
                    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                    run = self.watch(daemon, model, optimizer, frames=False)
                    layers = [list(m.parameters()) for m in model if list(m.parameters())]
                    expected = self.train(model, optimizer, run, 4, layers, between=move)
                    messages = self.messages(daemon, run)
                    self.compare(messages, expected, relative=1e-3 if is_large else 1e-9)

    def test_parameters_whose_memory_is_resized(self):
        daemon, model = self.daemon(), mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = self.watch(daemon, model, optimizer)

        def free_and_take():
            for param in model.parameters():
                kept, storage = param.data.clone(), param.data.storage()
                size = len(storage)
                storage.resize_(0)
                storage.resize_(size)
                param.data.copy_(kept)

        layers = [list(m.parameters()) for m in model if list(m.parameters())]
        expected = self.train(model, optimizer, run, 4, layers, between=free_and_take)
        self.compare(self.messages(daemon, run), expected)

    def test_copies_of_what_is_watched(self):
        """An average of the weights, a checkpoint of the whole model, a process that is spawned."""
        for level in ("economy", "full"):
            daemon, model = self.daemon(), mlp()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            run = self.watch(daemon, model, optimizer, level=level)
            with self.subTest(level=level):
                file = io.BytesIO()
                torch.save((model, optimizer), file)
                file.seek(0)
                for other, its_optimizer in ((copy.deepcopy(model), copy.deepcopy(optimizer)), torch.load(file)):
                    self.assertNotIn("step", its_optimizer.__dict__)
                    other(torch.full((4, 5), 100.0)).mean().backward()
                loss = self.backward(model)
                torch.jit.trace(model, torch.full((4, 5), 100.0))
                optimizer.step()
                run.step(loss)
                message, = self.messages(daemon, run)
                if level == "full":
                    self.assertLess(abs(message["stats"]["z_mean"][0]), 10.0)

    def test_parameters_that_are_replaced_are_not_measured_any_more(self):
        for size in (6, 20_000):  # in one group with the others, and not
            daemon = self.daemon()
            model = nn.Sequential(nn.Linear(5, 8), nn.Linear(8, size), nn.Linear(size, 3))
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
            run = self.watch(daemon, model, optimizer)
            _quiet.forget_warnings()
            with self.subTest(size=size), self.assertLogs("pyrometer", "WARNING") as logs:
                for step in range(3):
                    if step == 1:
                        model[1].weight = nn.Parameter(torch.ones(size, 8))
                    loss = self.backward(model)
                    optimizer.step()
                    run.step(loss)
                messages = self.messages(daemon, run)
                self.assertEqual(len(logs.output), 1, logs.output)
            for message in messages[1:]:
                for key, column in message["stats"].items():
                    self.assertEqual([value is None for value in column], [False, True, False], key)

    def test_pruned_parameters_are_measured_where_they_are_now(self):
        from torch.nn.utils import prune
        daemon, model = self.daemon(), mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = self.watch(daemon, model, optimizer)
        prune.l1_unstructured(model[2], "weight", amount=0.5)
        loss = self.backward(model)
        optimizer.step()
        run.step(loss)
        message, = self.messages(daemon, run)
        self.assertNotIn(None, message["stats"]["g_var"])

    def test_a_scripted_model(self):
        daemon, model = self.daemon(), torch.jit.script(mlp())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = self.watch(daemon, model, optimizer)
        loss = self.backward(model)
        optimizer.step()
        run.step(loss)
        message, = self.messages(daemon, run)
        self.assertNotIn(None, message["stats"]["g_var"])

    def test_a_loss_that_is_none_costs_its_own_step_only(self):
        daemon, model = self.daemon(), mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = self.watch(daemon, model, optimizer)
        with self.assertLogs("pyrometer", "WARNING"):
            self.backward(model)
            optimizer.step()
            run.step(torch.ones(3))
            run.step(1.0)  # of a step that the optimizer did not take
            message, = self.messages(daemon, run)
        self.assertEqual((message["step"], "stats" in message), (1, False))

    def test_nothing_to_watch(self):
        with self.assertLogs("pyrometer", "WARNING"):
            self.assertFalse(pyrometer.watch(nn.ReLU(), None, run="test").enabled)
            self.assertFalse(pyrometer.watch("model", None, run="test").enabled)
            self.assertFalse(pyrometer.watch(mlp(), None, run="test", layers="(").enabled)


class OdditiesWithoutC(Oddities):
    def setUp(self):
        super().setUp()
        without_c(self)


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
