"""What the simulated systems must read: closed forms and enumeration, without code of the simulation or the daemon."""

import functools
import math
import operator


def sgd(eta, curvature, noise, momentum, curvature2=0):
    """Stationary heavy ball on a noisy quadratic; with a second curvature half of the coordinates have that one."""
    modes = [curvature, curvature2] if curvature2 else [curvature]
    edge = 2 * (1 + momentum)
    variance = [eta * noise * (1 + momentum) / (h * (1 - momentum) * (edge - eta * h)) for h in modes]
    temperature = sum(h * v for h, v in zip(modes, variance)) / len(modes)
    power = [2 * h * v / ((1 + momentum) * eta) for h, v in zip(modes, variance)]  # of the momentum's buffer
    if momentum:
        stability = sum(b * eta * h / edge for b, h in zip(power, modes)) / sum(power)
    else:  # -<g g'>/<g^2>, the gradient's power as weights
        stability = sum(b * eta * h / 2 for b, h in zip(power, modes)) / sum(power)
    truth = {"kinetic": temperature, "configurational": temperature, "velocity": eta**2 * sum(power) / len(modes) / 2,
             "stability": stability, "equilibrium": 1, "drift": 0}
    if len(modes) == 1:  # with several the stability fraction is theirs together, and the noise is not told from it
        truth["noise"] = eta * noise / (2 * (1 - momentum))
    return truth


def pulled(eta, pull, noise, momentum, batch):
    """A constant gradient with white noise: all that is steady is signal, all that is not is noise."""
    signal = pull**2
    coherence = (signal + noise * (1 - momentum) / (1 + momentum)) / (signal + noise)
    return {"noise": eta * noise / (2 * (1 - momentum)), "noise_scale": batch * noise / signal,
            "coherence": coherence if momentum else signal / (signal + noise)}


def chain_density(slope, eta, temperature, reach=2.6, spacing=0.05, turns=400):
    """(points, weights): where w' = w - eta U'(w) + N(0, 2 T eta) comes to rest, by its transfer matrix.

    The points are so close to each other, below the noise's deviation, that sums over them are exact to 12 digits."""
    count = round(reach / spacing)
    points = [k * spacing for k in range(-count, count + 1)]
    means = [w - eta * slope(w) for w in points]
    matrix = [[math.exp(-(w - mean) ** 2 / (4 * temperature * eta)) for mean in means] for w in points]
    weights = [1 / len(points)] * len(points)
    for _ in range(turns):
        weights = [sum(map(operator.mul, row, weights)) for row in matrix]
        total = sum(weights)
        weights = [p / total for p in weights]
    return points, weights


def langevin(eta, temperature, curvature=0, barrier=0):
    """SGLD: <w U'> = T + eta <U'^2> / 2, with <U'^2> in closed form on the quadratic."""
    if barrier:
        points, weights = chain_density(lambda w: 4 * barrier * w * (w * w - 1), eta, temperature)
        value = sum(p * w * 4 * barrier * w * (w * w - 1) for w, p in zip(points, weights))
    else:
        value = temperature / (1 - eta * curvature / 2)
    return {"kinetic": value, "configurational": value, "drift": 0}


@functools.cache
def ising_states(side=4):
    """{energy: number of states}, by transfer from row to row."""
    rows = range(1 << side)
    within = [sum(1 if (r >> i ^ r >> (i + 1) % side) & 1 else -1 for i in range(side)) for r in rows]
    between = [[2 * (a ^ b).bit_count() - side for b in rows] for a in rows]
    total = {}
    for first in rows:
        front = {(first, within[first]): 1}
        for _ in range(side - 1):
            following = {}
            for (row, energy), count in front.items():
                for b in rows:
                    key = b, energy + between[row][b] + within[b]
                    following[key] = following.get(key, 0) + count
            front = following
        for (row, energy), count in front.items():
            closed = energy + between[row][first]
            total[closed] = total.get(closed, 0) + count
    return total


def ising(temperature):
    """Energy and entropy of the 4 x 4 lattice."""
    states = ising_states()
    ground = min(states)
    weights = {e: n * math.exp(-(e - ground) / temperature) for e, n in states.items()}
    z = sum(weights.values())
    energy = sum(e * w for e, w in weights.items()) / z
    return energy, math.log(z) + (energy - ground) / temperature


def ensemble(temperature, size):
    """Energy and entropy of a Boltzmann ensemble on w^2 / 2."""
    return size * temperature / 2, size / 2 * math.log(2 * math.pi * math.e * temperature)


def ladder(state, first, last, steps):
    """Energy and entropy at every step while the temperature goes evenly from first to last."""
    return [state(first + (last - first) * k / (steps - 1)) for k in range(steps)]


def chord(points):
    (e0, s0), (e1, s1) = points[0], points[-1]
    return (e1 - e0) / (s1 - s0)


def slope(points):
    """Of the least-squares line of energy on entropy."""
    mean_e = sum(e for e, _ in points) / len(points)
    mean_s = sum(s for _, s in points) / len(points)
    return sum((e - mean_e) * (s - mean_s) for e, s in points) / sum((s - mean_s) ** 2 for _, s in points)


FLOW = ((1, 0.5, 0.3), (4, 0.25, -0.2))  # curvature, variance and mean at time 0


def flow_temperature(time):
    heat = sum(a * a * (v + m * m) * math.exp(-2 * a * time) for a, v, m in FLOW)
    return heat / sum(a for a, _, _ in FLOW)


def flow(time, size):
    energy = size * sum(a * (v + m * m) * math.exp(-2 * a * time) / 2 for a, v, m in FLOW)
    entropy = size * sum(math.log(2 * math.pi * math.e * v) / 2 - a * time for a, v, _ in FLOW)
    return energy, entropy


def binomial_interval(hits, count, z=1.959964):
    """Wilson's 95% interval of a share."""
    share = hits / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, centre - half), min(1.0, centre + half)
