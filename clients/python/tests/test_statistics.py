"""What watch() measures against statistics computed the slow way, in float64, from copies."""
from __future__ import annotations

import math
import unittest
from unittest import mock

from tests.watching import WatchTest, flat, mlp, naive, without_c

try:
    import torch
    from torch import nn
except ImportError:
    torch = None


def errors_of(layers):
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
                         (first["w_mean"][0], first["w_var"][0] ** 0.5,
                          min(float(param.min()) for param in mlp()[0].parameters())))

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

    def test_half_precision_says_its_error(self):
        """The figures of README.md: what the statistics are off, of the values the model has."""
        for dtype in (torch.bfloat16, torch.float16):
            for shape, bound in (((60, 50), 1e-12), ((300, 700), 1e-6)):
                with self.subTest(dtype=dtype, shape=shape):
                    torch.manual_seed(6)
                    groups, errors = errors_of([[torch.randn(shape).to(dtype)],
                                                [torch.rand(shape).to(dtype)]])
                    self.assertEqual(len(groups), 1)
                    for key, error in errors.items():
                        self.assertLess(error, bound, key)

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

    def test_extremes_at_level_full(self):
        from pyrometer import _moments
        for total in (0, 1 << 16):
            for level in ("economy", "full"):
                daemon, model = self.daemon(), mlp()
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                with mock.patch.multiple(_moments, EXACT_LAYER=0, EXACT_TOTAL=total):
                    run = self.watch(daemon, model, optimizer, level=level)
                weights = flat(model[2].parameters())
                loss = self.backward(model)
                optimizer.step()
                run.step(loss)
                stats = self.messages(daemon, run)[0]["stats"]
                self.assertEqual([stats[key][1] for key in ("w_min", "w_max") if key in stats],
                                 [] if level == "economy" else [weights.min(), weights.max()])

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


class ByC(WatchTest):
    """As float32 on a CPU is measured where the part in C is there."""

    def test_every_shape_and_lie(self):
        torch.manual_seed(5)
        turned = torch.randn(64, 80).t()
        groups, errors = errors_of([[torch.randn(300, 700), torch.randn(300)], [torch.randn(40)],
                                      [0.5 + torch.rand(100, 1000)], [torch.randn(2)], [turned],
                                      [torch.randn(3, 5, 2, 2).to(memory_format=torch.channels_last)]])
        self.assertEqual([type(group).__name__ for _, group in groups], ["Fused"])
        for key, error in errors.items():
            self.assertLess(error, 1e-12, key)

    def test_what_c_cannot_read_is_left_to_others(self):
        from pyrometer._moments import grouped
        layers = [[torch.randn(4)], [torch.randn(4).double()], [torch.randn(4).bfloat16()]]
        self.assertEqual([members for members, _ in grouped(layers, False)], [[0], [1, 2]])
        model = nn.Sequential(nn.Linear(5, 8), nn.Linear(8, 3).bfloat16())
        for param in model.parameters():
            param.grad = torch.ones_like(param)
        daemon = self.daemon()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = self.watch(daemon, model, optimizer)
        optimizer.step()
        run.step(1.0)
        self.assertEqual(self.messages(daemon, run)[0]["stats"]["g_mean"], [1.0, 1.0])

    def test_gradients_that_lie_otherwise_than_their_weights(self):
        layer = [torch.randn(6, 5), torch.randn(4)]
        layer[0].grad = torch.randn(5, 6).t()
        layer[1].grad = torch.randn(4).to_sparse()
        _, moments = self.group(layer)
        gradient = torch.cat([layer[0].grad.reshape(-1), layer[1].grad.to_dense()]).double()
        found = self.after(moments)
        self.assertAlmostEqual(found["g_mean"], float(gradient.mean()), 12)
        self.assertAlmostEqual(found["gw"], float((gradient * flat(layer)).sum()), 12)

    def test_memory_that_was_given_back_is_not_read(self):
        layer = [torch.randn(6, 5)]
        _, moments = self.group(layer)
        layer[0].storage().resize_(0)
        with self.assertRaisesRegex(RuntimeError, "given back"):
            moments.after()
        layer = [torch.randn(6, 5)]
        _, moments = self.group(layer)
        layer[0].grad = torch.randn(6, 5)
        layer[0].grad.data = torch.randn(4)
        with self.assertRaisesRegex(RuntimeError, "30 elements has a gradient of 4"):
            moments.after()

    def test_gradients_that_another_thread_lets_go_of(self):
        layer = [torch.randn(6, 5), torch.randn(4)]
        for param in layer:
            param.grad = torch.ones_like(param)
        _, moments = self.group(layer)
        measure, others = moments._measure, []

        def meanwhile(*args):
            for param in layer:
                param.grad = None
                others.extend(torch.full_like(param, 7.0) for _ in range(20))
            return measure(*args)

        moments._measure = meanwhile
        found = self.after(moments)
        self.assertEqual((found["g_mean"], found["g_var"]), (1.0, 0.0))

    def test_gradients_of_a_model_that_was_moved_are_not_read_where_they_lie(self):
        nothing = torch.zeros(30)

        class Elsewhere(torch.Tensor):
            device = torch.device("cuda")

            def data_ptr(self):
                return nothing.data_ptr()  # C would not get so far

            def to(self, *_):
                return self.as_subclass(torch.Tensor)

        layer = [torch.randn(6, 5)]
        _, moments = self.group(layer)
        layer[0].data = torch.randn(5, 6).t()  # like those of another device: it has to be copied
        layer[0].grad = torch.ones(6, 5).as_subclass(Elsewhere)
        self.assertEqual(self.after(moments)["g_mean"], 1.0)

    def test_another_default_precision(self):
        self.addCleanup(torch.set_default_dtype, torch.get_default_dtype())
        model = mlp()
        torch.set_default_dtype(torch.bfloat16)
        _, moments = self.group(list(model.parameters()))
        self.assertEqual({line.element_size() for line in moments._lines}, {4})

    def test_small_variance_beside_a_large_mean(self):
        torch.manual_seed(3)
        values = 1 + 1e-6 * torch.randn(4096)
        exact = values.double().var(unbiased=False).item()
        self.assertAlmostEqual(self.after(self.group([values])[1])["w_var"] / exact, 1, delta=1e-12)

    def test_what_floats_would_lose_goes_out_in_doubles(self):
        torch.manual_seed(3)
        gradient = torch.randn(3, 5)
        for scale, also_wide in ((1.0, set()), (1e-20, {"g_var"}), (1e21, {"g_var", "u_var", "gu"}),
                                 (math.nan, set()), (math.inf, set())):
            model = nn.Linear(5, 3, bias=False)
            model.weight.grad = scale * gradient
            daemon = self.daemon(frames=1)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            run = self.watch(daemon, model, optimizer)
            before = flat([model.weight])
            optimizer.step()
            run.step(1.0)
            expected, _ = naive(before, flat([model.weight.grad]), flat([model.weight]) - before)
            step, = self.messages(daemon, run)
            self.assertEqual(set(step["wide"]), {"w_var"} | also_wide, scale)
            for key in step["stats"]:
                got, value = step["stats"][key][0], expected[key]
                with self.subTest(scale=scale, key=key):
                    if not math.isfinite(value):
                        self.assertFalse(math.isfinite(got))
                    elif value == 0:
                        self.assertEqual(got, 0)
                    else:
                        self.assertAlmostEqual(got / value, 1, delta=1e-12 if key in step["wide"] else 1e-7)

    def group(self, layer):
        from pyrometer._moments import grouped
        only, = grouped([layer], False)
        only[1].before(False)
        return only

    def after(self, moments):
        from pyrometer._moments import KEYS
        return dict(zip(KEYS, (column[0] for column in moments.after().columns())))


class WithoutC(Statistics):
    """As float32 on a CPU is measured where nothing could be compiled, and all else."""

    def setUp(self):
        super().setUp()
        without_c(self)

    def test_layers_measured_by_rows(self):
        """Small ones, so that rows, chunks and layers end everywhere in each other."""
        from pyrometer import _moments, _rows
        for row, rows, alone in ((1, 5, 3), (4, 1, 1), (7, 3, 2), (100, 2, 1), (4, 3, 100)):
            with self.subTest(row=row, rows=rows, alone=alone), mock.patch.multiple(
                    _moments, EXACT_LAYER=0, EXACT_TOTAL=0), mock.patch.multiple(
                    _rows, ROW=row, ROWS_ON_CPU=rows, ROWS_ALONE=alone):
                for momentum in (0, 0.9):
                    self.check(lambda p: torch.optim.SGD(p, lr=0.1, momentum=momentum),
                               model=mlp().double())

    def test_large_layers_in_float32(self):
        torch.manual_seed(5)
        groups, errors = errors_of([[torch.randn(300, 700), torch.randn(300)], [torch.randn(40)],
                                      [0.5 + torch.rand(100, 1000)]])
        self.assertEqual([members for members, _ in groups], [[1], [0, 2]])
        for key, error in errors.items():
            self.assertLess(error, 1e-5 if key == "gu_prev" else 1e-6, key)

    def test_large_gradients_that_lie_otherwise_than_their_weights(self):
        from pyrometer._rows import Rows
        torch.manual_seed(6)
        layer = [torch.randn(256, 256), torch.randn(192, 256)]
        for param in layer:
            param.grad = torch.randn(param.shape).t().contiguous().t()
        rows = Rows([layer], False)
        rows.before(False)
        found = rows.after()[0].tolist()
        for place, factor in ((2, None), (4, layer)):  # their sum; and times the weights
            terms = flat([p.grad for p in layer]) * (1.0 if factor is None else flat(factor))
            self.assertLess(abs(found[place] - float(terms.sum())), 1e-6 * float(terms.norm()) * 256)

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

    def test_copies_stay_until_they_are_read(self):
        """The job's thread takes steps, while there is room, in the middle of the sender's computing."""
        from pyrometer import _batch
        layer = [torch.zeros(4)]
        taken = []

        class Meanwhile:
            """The kept copies; before the sender reads one the job goes on."""

            def __init__(self, kept):
                self.kept = kept

            def __len__(self):
                return len(self.kept)

            def __getitem__(self, slot):
                while len(batch._waiting) < len(self.kept) - 1 and len(taken) < 9:
                    step()
                return self.kept[slot]

        def step():
            layer[0].grad = torch.full((4,), float(len(taken)))
            batch.before(False)
            layer[0].add_(1.0)
            taken.append(batch.after())

        with mock.patch.multiple(_batch, ROOM_STEPS=4):
            batch = _batch.Batch([layer], False)
        step()
        step()
        batch._kept = Meanwhile(batch._kept)
        while any(one.found is None for one in taken):
            next(one for one in taken if one.found is None).columns()
        at = _batch.KEYS.index("g_mean")
        self.assertGreater(len(taken), 2)
        self.assertEqual([one.columns()[at][0] for one in taken], list(range(len(taken))))

    def test_equal_weights_of_a_large_layer_have_no_variance(self):
        from pyrometer import _moments
        for total in (0, 1 << 16):  # whether it is measured by rows
            model = mlp()
            for param in model[0].parameters():
                nn.init.constant_(param, 0.1).requires_grad_(False)
            daemon = self.daemon()
            with mock.patch.multiple(_moments, EXACT_LAYER=0, EXACT_TOTAL=total):
                run = self.watch(daemon, model, torch.optim.SGD(model.parameters(), lr=0.1))
            loss = self.backward(model)
            run._watcher._optimizer.step()
            run.step(loss)
            step, = self.messages(daemon, run)
            self.assertEqual(step["stats"]["w_var"][0], 0)
            self.assertGreater(step["stats"]["w_var"][1], 0)

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


if __name__ == "__main__":
    unittest.main()
