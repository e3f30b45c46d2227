"""What detections are worth: delays, leads, layers, false-alarm episodes, with intervals by bootstrap over runs.

The terms: a run is healthy up to its fault's first step, a healthy run all along. A false-alarm episode is a group of
alerts of severity warning or above, of which the first fired in the healthy part. A fault is detected by the first
alert of severity warning or above that fires within 50 steps from its first step on (slow faults: before the
failure).
"""

import random
import statistics

WITHIN, NEAR, EFFECT = 50, 50, 6
RESAMPLES = 1000


class Outcome:
    """One run under one judge. alerts: [{step, layer, rule, group}], of severity warning or above, by step."""

    def __init__(self, label, steps, alerts):
        self.label = label
        self.fault, self.onset, self.failure = label["fault"], label["step"], label["failure"]
        self.slow = label.get("effect") is None and self.fault is not None
        end = self.onset if self.fault else None
        self.healthy = sum(1 for s in steps if end is None or s < end)
        false = [a for a in alerts if end is None or a["step"] < end]
        groups = {}
        for alert in false:
            groups.setdefault(alert["group"], alert)
        self.false = list(groups.values())
        limit = None
        if self.fault:
            limit = self.failure if self.slow and self.failure else self.onset + (10 ** 9 if self.slow else WITHIN)
        self.hits = [a for a in alerts if self.fault and self.onset <= a["step"] <= limit and a["group"] not in groups]
        self.delay = self.hits[0]["step"] - self.onset if self.hits else None

    @property
    def judged(self):
        """Whether anybody could see the fault."""
        return self.failure is not None if self.slow else (self.label["effect"] or 0) >= EFFECT

    @property
    def lead(self):
        """The share of the way from onset to failure that was left when the alert came."""
        return (self.failure - self.hits[0]["step"]) / (self.failure - self.onset) if self.hits else None

    @property
    def layer_is_right(self):
        if not self.hits:
            return False
        first = self.hits[0]
        group = [a for a in self.hits if a["group"] == first["group"] and a["step"] <= first["step"] + NEAR]
        return self.label["layer"] in [a["layer"] for a in group]


def figures(outcomes):
    sudden = [o for o in outcomes if o.fault and not o.slow and o.judged]
    slow = [o for o in outcomes if o.slow and o.judged]
    layered = [o for o in sudden if o.label["layer"] is not None]
    healthy = sum(o.healthy for o in outcomes)
    delays = [o.delay for o in sudden if o.delay is not None]
    leads = [o.lead for o in slow if o.lead is not None]

    def share(part, whole):
        return part / whole if whole else None

    return {
        "detected": share(len(delays), len(sudden)),
        "delay": statistics.median(delays) if delays else None,
        "layer": share(sum(o.layer_is_right for o in layered), len(layered)),
        "warned": share(len(leads), len(slow)),
        "lead": statistics.median(leads) if leads else None,
        "false": share(1e5 * sum(len(o.false) for o in outcomes), healthy),
    }


def with_intervals(outcomes, seed=1):
    """{figure: (value, low, high)}: 95% intervals from resampled runs."""
    dice = random.Random(seed)
    samples = [figures(dice.choices(outcomes, k=len(outcomes))) for _ in range(RESAMPLES)]
    result = {}
    for key, value in figures(outcomes).items():
        drawn = sorted(s[key] for s in samples if s[key] is not None)
        if value is None or not drawn:
            result[key] = None
        else:
            result[key] = value, drawn[int(0.025 * len(drawn))], drawn[int(0.975 * (len(drawn) - 1))]
    return result
