"""Detectors of other tools, to stand beside the rules in the same table.

Each is fed the run's loss and the norm of its whole gradient (SageMaker's also the layers), step by step, and gives the
steps at which it raises its hand, with the layer where it knows one. Constants are those that the tools ship with.
"""

import bisect
import collections
import math

MAD_TO_SIGMA = 1 / 0.6744897501960817


class Window:
    """The last n values, with what the detectors ask of them."""

    def __init__(self, n):
        self.n, self.values, self.order = n, collections.deque(), []

    def add(self, x):
        if len(self.values) == self.n:
            old = self.values.popleft()
            del self.order[bisect.bisect_left(self.order, old)]
        self.values.append(x)
        bisect.insort(self.order, x)

    def __len__(self):
        return len(self.values)

    def mean_and_deviation(self):
        n = len(self.values)
        mean = sum(self.values) / n
        return mean, math.sqrt(sum((x - mean) ** 2 for x in self.values) / max(n - 1, 1))

    def median_and_sigma(self):
        median = middle(self.order)
        return median, MAD_TO_SIGMA * middle(sorted(abs(x - median) for x in self.order))


def middle(ordered):
    n = len(ordered)
    return ordered[n // 2] if n % 2 else (ordered[n // 2 - 1] + ordered[n // 2]) / 2


def log_loss_z(run, threshold=8, warmup=256):
    """The robust z of the logarithm of the loss over 128 steps, as the watchers of loss curves have it."""
    window = Window(128)
    for step, loss in zip(run.steps, run.loss):
        if not math.isfinite(loss):
            yield step, None
            continue
        x = math.log(max(loss, 1e-300))
        if len(window) == window.n:
            median, sigma = window.median_and_sigma()
            if step >= warmup and x - median > threshold * max(sigma, 1e-9):
                yield step, None
        window.add(x)


def lightning(run):
    """SpikeDetection: window 10, warm-up 1, a loss that lies more than 2 times the running mean away from it; NaN too."""
    window = Window(10)
    for step, loss in zip(run.steps, run.loss):
        if not math.isfinite(loss):
            yield step, None
            continue
        if len(window) > 1:
            mean, _ = window.mean_and_deviation()
            if abs(loss - mean) > 2.0 * abs(mean):
                yield step, None
                continue
        window.add(loss)


def olmo(run):
    """SkipStepOptimizer: 6 standard deviations over the mean of the last 128, of loss or of gradient norm."""
    windows = Window(128), Window(128)
    for step, *values in zip(run.steps, run.loss, run.gradient):
        fired = False
        for x, window in zip(values, windows):
            if x is None:
                continue
            if not math.isfinite(x):
                fired = True
                continue
            if len(window) >= 64:
                mean, deviation = window.mean_and_deviation()
                fired = fired or x > mean + 6 * deviation
            window.add(x)
        if fired:
            yield step, None


def megatron(run):
    """is_unexpectedly_large: 10 times the largest of the first 100, of loss or of gradient norm; NaN and infinity too."""
    largest, seen = [0, 0], 0
    for step, *values in zip(run.steps, run.loss, run.gradient):
        seen += 1
        if any(x is not None and not math.isfinite(x) for x in values):
            yield step, None
        elif seen <= 100:
            largest = [max(a, x or 0) for a, x in zip(largest, values)]
        elif any(x is not None and x >= 10 * a for a, x in zip(largest, values)):
            yield step, None


def zclip(run):
    """ZClip: the gradient norm's z-score over 2.5 by averages with a memory of 0.97, after 25 steps."""
    alpha, values, mean, variance = 0.97, [], None, None
    for step, x in zip(run.steps, run.gradient):
        if x is None:
            continue
        if not math.isfinite(x):
            yield step, None
            continue
        if mean is None:
            values.append(x)
            if len(values) == 25:
                mean = sum(values) / 25
                variance = sum((v - mean) ** 2 for v in values) / 25
            continue
        deviation = math.sqrt(variance) + 1e-12
        if x > mean + 2.5 * deviation:
            yield step, None
            x = mean + 2.5 * 2.5 * deviation / ((x - mean) / deviation)  # what it would clip the norm to
        mean = alpha * mean + (1 - alpha) * x
        variance = alpha * variance + (1 - alpha) * (x - mean) ** 2


def sagemaker(run):
    """Debugger's rules with their defaults, as far as the streamed statistics can tell: vanishing_gradient,
    exploding_tensor, dead_relu (here: less than 1% of a layer's outputs above zero), saturated_activation,
    weight_update_ratio, unchanged_tensor, loss_not_decreasing (every 10 steps)."""
    losses = collections.deque(maxlen=10)
    unchanged = [0] * len(run.layers)
    for i, step in enumerate(run.steps):
        loss = run.loss[i]
        if not math.isfinite(loss):
            yield step, None
        elif len(losses) == 10 and loss >= losses[0] and step % 10 == 0:
            yield step, None
        losses.append(loss)
        for layer, name in enumerate(run.layers):
            g, u, w = (run.scale(key, i, layer) for key in "guw")
            if any(x is not None and not math.isfinite(x) for x in (g, u, w)):
                yield step, name
                continue
            unchanged[layer] = unchanged[layer] + 1 if u == 0 and i > 0 else 0
            active, saturated = run.value("a_active", i, layer), run.value("a_saturated", i, layer)
            ratio = u / (w + 1e-9) if u is not None and w is not None else None
            if (g is not None and g * math.sqrt(2 / math.pi) < 1e-7 or unchanged[layer] >= 3
                    or ratio is not None and step > 0 and (ratio > 10 or ratio < 1e-8)
                    or active is not None and active < 0.01 or saturated is not None and saturated > 0.5):
                yield step, name


BASELINES = {
    "log-loss robust z > 8": log_loss_z,
    "Lightning SpikeDetection": lightning,
    "OLMo SkipStep (6 sigma, 128)": olmo,
    "Megatron (10 x, 100)": megatron,
    "ZClip (z > 2.5)": zclip,
    "SageMaker Debugger's defaults": sagemaker,
}
