"""The integrations against stand-ins of their frameworks' callback interfaces (frameworks.py), and a small daemon."""
from __future__ import annotations

import subprocess
import sys
import unittest

from tests.test_client import ROOT, ClientTest

try:
    import numpy as np

    from tests import frameworks
except ImportError:
    np = None
try:
    import torch

    class Model(torch.nn.Module):
        """Puts out its own loss, as Hugging Face's do."""

        def __init__(self):
            super().__init__()
            torch.manual_seed(3)
            self.hidden = torch.nn.Linear(4, 6)
            self.out = torch.nn.Linear(6, 2)

        def forward(self, x, labels):
            scores = self.out(torch.tanh(self.hidden(x)))
            return {"loss": torch.nn.functional.cross_entropy(scores, labels), "logits": scores}

    class Shares(Model):
        """Divides by the items that it is told of. Its hooks hear keywords, as they do from torch 2.0 on."""

        def register_forward_hook(self, hook, *, with_kwargs=False):
            self.hook = hook if with_kwargs else lambda model, inputs, options, output: hook(model, inputs, output)
            return frameworks.SimpleNamespace(remove=lambda: None)

        def __call__(self, num_items_in_batch=None, **batch):
            output = super().__call__(**batch)
            output["loss"] = output["loss"] / (num_items_in_batch or 1)
            self.hook(self, (), {**batch, "num_items_in_batch": num_items_in_batch}, output)
            return output

    class Tuples(Model):
        def forward(self, x, labels):
            return tuple(super().forward(x, labels).values())
except ImportError:
    torch = None


def batches(count):
    dice = torch.Generator().manual_seed(5)
    return [{"x": torch.randn(4, 4, generator=dice), "labels": torch.randint(0, 2, (4,), generator=dice)}
            for _ in range(count)]


def of(messages, kind):
    return [message for message in messages if message["type"] == kind]


class Lazy(ClientTest):
    def test_no_framework_is_imported_by_the_package(self):
        code = ("import sys, pyrometer, pyrometer.integrations\n"
                "print(sorted({name.split('.')[0] for name in sys.modules} & {'numpy', 'torch', 'jax', 'keras', "
                "'transformers', 'lightning', 'pytorch_lightning'}))")
        said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        self.assertEqual(said.stdout.strip(), "[]")


@unittest.skipIf(torch is None or np is None, "torch is not installed")
class Torch(ClientTest):
    def messages(self, callback, train, count, model=Model if torch else None, **kwargs):
        """What the daemon heard, and the losses of the micro-batches."""
        model = model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
        losses = train(callback, model, optimizer, batches(count), **kwargs)
        return self.server.until("end"), losses

    def callback(self, framework, name, kind="PyrometerCallback", **options):
        self.server = self.daemon()
        place = frameworks.installed(framework, f"pyrometer.integrations.{name}")
        place.__enter__()
        self.addCleanup(place.__exit__)
        self.module = __import__(f"pyrometer.integrations.{name}", fromlist=["x"])
        return getattr(self.module, kind)(run="test", server=self.server.address, **options)

    def check_steps(self, messages, losses, accumulate, first=0):
        steps = of(messages, "step")
        self.assertEqual([step["step"] for step in steps], list(range(first, first + len(losses) // accumulate)))
        for at, step in enumerate(steps):
            part = losses[at * accumulate:(at + 1) * accumulate]
            self.assertAlmostEqual(step["loss"], sum(part) / accumulate, 6)
            self.assertEqual(len(step["stats"]["u_var"]), 2)
            self.assertTrue(all(value > 0 for value in step["stats"]["u_var"] + step["stats"]["g_var"]))
        hello = self.server.hellos[0]
        self.assertEqual([layer["name"] for layer in hello["layers"]], ["hidden", "out"])
        self.assertEqual(hello["optimizer"], {"name": "sgd", "lr": 0.1, "momentum": 0.5, "weight_decay": 0.0,
                                              "nesterov": False})
        return steps

    def test_huggingface(self):
        callback = self.callback(frameworks.transformers(), "huggingface", loss="cross_entropy")
        messages, losses = self.messages(callback, frameworks.train_transformers, 12, accumulate=3)
        steps = self.check_steps(messages, losses, 3)
        self.assertEqual(self.server.hellos[0]["batch_size"], 12)
        self.assertEqual([step.get("val_loss") for step in steps], [None, None, 7.5, None])
        scalars = [(one["step"], one["scalars"]) for one in of(messages, "scalars")]
        self.assertEqual(scalars[1:3], [(1, {"loss": losses[5], "learning_rate": 0.1, "epoch": 0.5}), (1, {"eval_loss": 7.5})])
        self.assertEqual(scalars[-1], (3, {"train_loss": 1.5}))
        self.assertEqual([event["name"] for event in of(messages, "event")], ["epoch", "checkpoint"])
        self.assertEqual(messages[-1]["status"], "completed")

    def test_huggingface_a_model_that_is_told_the_items_of_the_step_puts_out_its_share(self):
        callback = self.callback(frameworks.transformers(), "huggingface")
        messages, losses = self.messages(callback, frameworks.train_transformers, 6, Shares, accumulate=3, shares=True,
                                         world_size=2)
        self.check_steps(messages, losses, 3)

    def test_huggingface_a_model_that_puts_out_a_tuple(self):
        callback = self.callback(frameworks.transformers(), "huggingface")
        messages, losses = self.messages(callback, frameworks.train_transformers, 4, Tuples)
        self.check_steps(messages, losses, 1)

    def test_huggingface_the_last_evaluation_has_no_step_behind_it(self):
        callback = self.callback(frameworks.transformers(), "huggingface")
        messages, _ = self.messages(callback, frameworks.train_transformers, 2)
        last = of(messages, "scalars")[-1]
        self.assertEqual((last["step"], last["scalars"]), (1, {"val_loss": 7.5}))

    def test_huggingface_resumed(self):
        callback = self.callback(frameworks.transformers(), "huggingface")
        messages, losses = self.messages(callback, frameworks.train_transformers, 3, first_step=40)
        self.check_steps(messages, losses, 1, first=40)
        self.assertEqual(self.server.hellos[0]["resume"], {"rewind": 39})

    def test_huggingface_other_ranks_are_silent(self):
        callback = self.callback(frameworks.transformers(), "huggingface")
        model = Model()
        frameworks.train_transformers(callback, model, torch.optim.SGD(model.parameters(), lr=0.1), batches(3),
                                      rank_zero=False)
        self.assertIsNone(callback.run)
        self.assertEqual(self.server.hellos, [])

    def test_lightning(self):
        callback = self.callback(frameworks.lightning(), "lightning", loss="cross_entropy")
        logger = self.module.PyrometerLogger()
        messages, losses = self.messages(callback, frameworks.train_lightning, 8, accumulate=2, loggers=[logger])
        steps = self.check_steps(messages, losses, 2)
        self.assertEqual([step.get("val_loss") for step in steps], [None, 7.5, None, None])
        scalars = [(one["step"], one["scalars"]) for one in of(messages, "scalars")]
        self.assertEqual(scalars[:3], [(0, {"accuracy": 0.25}), (0, {"accuracy": 1.25}), (0, {"val_accuracy": 0.5})])
        self.assertEqual(scalars[3:], [(number // 2, {"accuracy": number + 0.25}) for number in range(2, 8)])
        events = of(messages, "event")
        self.assertEqual([event["name"] for event in events], ["hyperparameters", "epoch", "checkpoint"])
        self.assertEqual(events[0]["data"]["width"], 8)
        self.assertEqual((logger.name, logger.version), ("pyrometer", "test"))
        self.assertEqual(messages[-1]["status"], "completed")

    def test_lightning_an_epoch_ends_amid_an_accumulation(self):
        callback = self.callback(frameworks.lightning(), "lightning")
        messages, losses = self.messages(callback, frameworks.train_lightning, 6, accumulate=4)
        steps = of(messages, "step")
        self.assertEqual(len(steps), 2)
        for step, part in zip(steps, (losses[:4], losses[4:])):
            self.assertAlmostEqual(step["loss"], sum(part) / len(part), 6)  # not divided by what did not come

    def test_lightning_the_last_validation_has_no_step_behind_it(self):
        callback = self.callback(frameworks.lightning(), "lightning")
        messages, _ = self.messages(callback, frameworks.train_lightning, 3, validate_at=[2])
        self.assertEqual([(one["step"], one["scalars"]) for one in of(messages, "scalars")], [(2, {"val_loss": 7.5})])

    def test_lightning_failed(self):
        callback = self.callback(frameworks.lightning(), "lightning")
        messages, losses = self.messages(callback, frameworks.train_lightning, 6, fail_at=4)
        self.check_steps(messages, losses, 1)
        self.assertEqual(messages[-1]["status"], "failed")

    def test_lightning_resumed(self):
        callback = self.callback(frameworks.lightning(), "lightning")
        messages, losses = self.messages(callback, frameworks.train_lightning, 4, accumulate=2, first_step=7)
        self.check_steps(messages, losses, 2, first=7)
        self.assertEqual(self.server.hellos[0]["resume"], {"rewind": 6})

    def test_lightning_with_several_optimizers_a_step_is_a_batch(self):
        other = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        checkpoint = {}
        callback = self.callback(frameworks.lightning(), "lightning", every=2)
        messages, _ = self.messages(callback, frameworks.train_lightning, 5, others=[other], checkpoint=checkpoint)
        steps = of(messages, "step")
        self.assertEqual([step["step"] for step in steps], [0, 2, 4])
        self.assertTrue(all("u_var" in step["stats"] for step in steps))
        self.assertNotEqual(callback.state_key, type(callback)(optimizer=1).state_key)
        # The checkpoint says where the run stood; what all optimizers have taken together does not.
        callback = self.callback(frameworks.lightning(), "lightning", every=2)
        messages, _ = self.messages(callback, frameworks.train_lightning, 3, others=[other], first_step=9, checkpoint=checkpoint)
        self.assertEqual(self.server.hellos[0]["resume"], {"rewind": 1})
        self.assertEqual([step["step"] for step in of(messages, "step")], [2, 4])

    def test_a_logger_alone_does_no_harm(self):
        self.callback(frameworks.lightning(), "lightning")
        logger = self.module.PyrometerLogger()
        logger.log_metrics({"accuracy": 1}, step=3)
        self.assertEqual(logger.version, "")


@unittest.skipIf(np is None, "numpy is not installed")
class Arrays(ClientTest):
    def expected(self, w, u, g=None, before=None):
        stats = {"w_min": w.min(), "w_max": w.max(), "w_mean": w.mean(), "w_var": w.var(), "u_mean": u.mean(),
                 "u_var": u.var()}
        if g is not None:
            stats.update(g_mean=g.mean(), g_var=g.var(), gw=(g * w).sum(), gu=(g * u).sum())
        if before is not None:
            stats["gu_prev"] = (g * before).sum()
        return stats

    def assert_columns(self, found, *expected):
        self.assertEqual(sorted(found), sorted(expected[0]))
        for at, layer in enumerate(expected):
            for key, value in layer.items():
                self.assertAlmostEqual(float(found[key][at]), float(value), 5, key)

    def trees(self):
        dice = np.random.default_rng(1)
        return [{"a": [dice.normal(size=(3, 4)), dice.normal(size=4)], "b": dice.normal(size=(2, 2))} for _ in range(4)]

    def flat(self, tree):
        return [np.concatenate([one.ravel() for one in tree["a"]]), tree["b"].ravel()]

    def test_numpy(self):
        from pyrometer.integrations import numpy as pyro

        w, g, u, before = self.trees()
        self.assertEqual(pyro.layers(w), [{"name": "a", "n": 16}, {"name": "b", "n": 4}])
        flats = list(zip(*map(self.flat, (w, u, g, before))))
        self.assert_columns(pyro.statistics(w, g, u, before), *(self.expected(*one) for one in flats))
        self.assert_columns(pyro.statistics(w, updates=u), *(self.expected(*one[:2]) for one in flats))

    def test_jax(self):
        with frameworks.installed(frameworks.jax(), "pyrometer.integrations.jax"):
            from pyrometer.integrations import jax as pyro

            w, g, u, before = ({"params": {"dense": {"kernel": tree["a"][0], "bias": tree["a"][1]}},
                                "scales": [tree["b"]]} for tree in self.trees())
            self.assertEqual(pyro.layers(w), [{"name": "params/dense", "n": 16}, {"name": "scales", "n": 4}])
            found = pyro.statistics(w, g, u, before)
            flats = list(zip(*map(self.flat, self.trees())))
            self.assert_columns(found, *(self.expected(w_, u_, g_, b_) for w_, g_, u_, b_ in flats))
            g["params"]["dense"] = u["params"]["dense"] = None  # frozen: Equinox and optax leave None there
            frozen = pyro.statistics(w, g, u)
            zeros = np.zeros(16)
            self.assert_columns(frozen, self.expected(flats[0][0], zeros, zeros),
                                self.expected(flats[1][0], flats[1][2], flats[1][1]))
            server = self.daemon()
            run = self.start(server.address)
            pyro.log(run, 5, np.float32(0.5), found, lr=0.1)
            run.finish()
            step = of(server.until("end"), "step")[0]
            self.assertEqual((step["step"], step["loss"], step["lr"]), (5, 0.5, 0.1))
            self.assertEqual(step["stats"]["gw"], [float(value) for value in found["gw"]])

    def fit(self, model, losses, **options):
        """What the daemon heard."""
        server = self.daemon()
        with frameworks.installed(frameworks.keras(), "pyrometer.integrations.keras"):
            from pyrometer.integrations.keras import PyrometerCallback

            frameworks.fit_keras(PyrometerCallback(run="test", server=server.address, **options), model, losses,
                                 validation=6.5)
        return server.hellos[0], server.until("end")

    def model(self, optimizer):
        first, second = frameworks.dense("dense", (3, 2), (2,)), frameworks.dense("inner", (2, 2))
        nested = frameworks.SimpleNamespace(name="block", layers=[second], trainable_weights=second.trainable_weights)
        return frameworks.SimpleNamespace(layers=[first, frameworks.dense("flatten"), nested, second], optimizer=optimizer,
                                          variables=first.trainable_weights + second.trainable_weights)

    def test_keras(self):
        model = self.model(frameworks.LossScaleOptimizer(frameworks.SGD(0.5)))
        kept = np.concatenate([one.numpy().ravel() for one in model.layers[0].trainable_weights])
        hello, messages = self.fit(model, [[4.0, 1.0, 2.5], [3.0, 2.0]], every=2)
        steps = of(messages, "step")
        self.assertEqual([step["step"] for step in steps], [0, 2, 4])
        for step, loss in zip(steps, (4.0, 2.5, 2.0)):
            self.assertAlmostEqual(step["loss"], loss, 12)  # the batch's, not the epoch's mean
            self.assertEqual(step["lr"], 0.5)
            self.assertAlmostEqual(step["stats"]["u_mean"][0], -0.1, 6)
            self.assertNotIn("g_var", step["stats"])
        self.assertAlmostEqual(steps[0]["stats"]["w_var"][0], float(kept.astype(np.float64).var()), 12)
        self.assertEqual([step.get("val_loss") for step in steps], [None, None, 6.5])
        self.assertEqual([(one["step"], one["scalars"]) for one in of(messages, "scalars")], [(4, {"val_loss": 6.5})])
        self.assertEqual(hello["layers"], [{"name": "dense", "n": 8}, {"name": "inner", "n": 4}])
        self.assertEqual(hello["optimizer"], {"name": "sgd", "lr": 0.5, "momentum": 0.0, "nesterov": False})
        self.assertEqual(hello["resume"], "continue")
        self.assertEqual(len(of(messages, "event")), 2)

    def test_keras_another_fit_goes_on_behind_the_first(self):
        model = self.model(frameworks.SGD(0.5))
        self.fit(model, [[4.0, 1.0, 2.5]])
        hello, messages = self.fit(model, [[2.0, 1.0]], every=1)
        self.assertEqual(hello["resume"], {"rewind": 2})
        self.assertEqual([step["step"] for step in of(messages, "step")], [3, 4])

    def test_keras_a_step_of_several_batches(self):
        hello, messages = self.fit(self.model(frameworks.SGD(0.5, accumulate=2)), [[4.0, 1.0, 2.0, 3.0]], every=1)
        steps = of(messages, "step")
        self.assertEqual([(step["step"], step["loss"]) for step in steps], [(0, 2.5), (1, 2.5)])
        for step in steps:
            self.assertAlmostEqual(step["stats"]["u_mean"][1], -0.1, 6)

    def test_keras_2_shows_the_schedule(self):
        optimizer = frameworks.SGD(0.5)
        optimizer.learning_rate = lambda iterations: 0.25 / (1 + float(iterations))
        _, messages = self.fit(self.model(optimizer), [[4.0, 1.0]], every=1)
        self.assertEqual([step["lr"] for step in of(messages, "step")], [0.125, 0.25 / 3])

@unittest.skipIf(np is None, "numpy is not installed")
class Outputs(ClientTest):
    def test_a_histogram(self):
        server = self.daemon()
        run = self.start(server.address)
        run.outputs([0, 0.5, 1], np.array([3, 4]))
        run.finish()
        messages = of(server.until("end"), "outputs")
        self.assertEqual(messages, [{"type": "outputs", "step": 0, "bins": [0, 0.5, 1], "counts": [3, 4]}])


if __name__ == "__main__":
    unittest.main()
