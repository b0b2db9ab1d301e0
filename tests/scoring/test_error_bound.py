"""The bound on a logit's error, computed again with loops from what `error_bound` and `noise` say of each step."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.scoring import Linear
from secure_fl.scoring.error_bound import Chain, Scales, batched_weighings, logit_error
from secure_fl.scoring.hazmat.objects import chain_of
from secure_fl.scoring.network import SquareNetwork, reach
from secure_fl.scoring.noise import FLOAT_ERROR, Noise
from secure_fl.scoring.planning import BATCHED
from tests.scoring.scene import CLIP

FLOAT = math.sqrt(2) * FLOAT_ERROR
"""Two features may share a slot."""


def network_of(seed: int, widths: tuple[int, ...]) -> SquareNetwork:
    rng = np.random.default_rng(seed)
    pairs = pairwise(widths)
    return SquareNetwork(tuple(Linear(rng.normal(0, 0.5, (b, a)), rng.normal(0, 0.5, b)) for a, b in pairs))


def by_loops(network: SquareNetwork, chain: Chain, scales: Scales) -> float:
    """Neuron by neuron: `fixed` is the worst case, `spread` the weight of each independent noise."""
    neurons, features = sum(network.widths[1:]), network.widths[0]
    noise = Noise(chain.degree, neurons, sum(range(2, 2 + network.depth)), neurons)
    reached, primes, scale = reach(network, CLIP), list(chain.data), 2.0**scales.inputs
    sizes = reached.inputs.tolist()
    fixed = [noise.encoding / scale + FLOAT * max(sizes)] * features
    spread = [{("input", i): noise.fresh / scale} for i in range(features)]
    for place, (layer, bits) in enumerate(zip(network.linears, scales.weights, strict=True)):
        scale *= 2.0**bits
        now_fixed, now_spread = [], []
        for row in layer.weights.tolist():
            multipliers = [round(weight * 2.0**bits) / 2.0**bits for weight in row]
            worst, parts = 1 / scale + 2.0**-52 * float(np.abs(layer.bias).max()), dict[tuple[str, int], float]()
            for i, (weight, multiplier) in enumerate(zip(row, multipliers, strict=True)):
                worst += abs(multiplier) * fixed[i] + abs(multiplier - weight) * sizes[i]
                for name, size in spread[i].items():
                    parts[name] = parts.get(name, 0.0) + abs(multiplier) * size
            now_fixed.append(worst)
            now_spread.append(parts)
        fixed, spread, sizes = now_fixed, now_spread, reached.neurons[place].tolist()
        off = [
            f + noise.tail * math.sqrt(sum(s * s for s in parts.values()))
            for f, parts in zip(fixed, spread, strict=True)
        ]
        if place == network.depth:
            return float(off[0] + FLOAT * sizes[0])
        switched = noise.switching(tuple(primes), chain.special or 0) / scale**2
        fixed = [2 * z * f + 2 * t * t + switched for z, f, t in zip(sizes, fixed, off, strict=True)]
        scale = scale**2 / primes.pop()
        spread = [
            {name: 2 * z * size for name, size in parts.items()} | {(f"rounding {place}", k): noise.rounding / scale}
            for k, (z, parts) in enumerate(zip(sizes, spread, strict=True))
        ]
        sizes = [z * z for z in sizes]
    raise AssertionError


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), widths=st.sampled_from([(3, 1), (4, 3, 1), (3, 4, 2, 1)]), more=st.integers(0, 4))
def test_the_bound_is_what_its_rules_say(seed: int, widths: tuple[int, ...], more: int) -> None:
    network = network_of(seed, widths)
    chain = chain_of(BATCHED[network.depth])
    weights = {0: (20,), 1: (12, 8), 2: (8, 14, 8)}[network.depth]
    scales = Scales({0: 26, 1: 27, 2: 28}[network.depth] - more, weights)
    bound = logit_error(network, chain, scales, reach(network, CLIP))
    if bound is not None:
        assert bound == pytest.approx(by_loops(network, chain, scales), rel=1e-9)


def test_scales_that_fit_have_a_bound() -> None:
    for widths, scales in (
        ((3, 1), Scales(26, (20,))),
        ((4, 3, 1), Scales(27, (12, 8))),
        ((3, 4, 2, 1), Scales(24, (8, 14, 8))),
    ):
        network = network_of(1, widths)
        assert logit_error(network, chain_of(BATCHED[network.depth]), scales, reach(network, CLIP)) is not None


def test_the_tail_leaves_room_for_one_failure_in_two_to_the_forty() -> None:
    for noise in (Noise(4096, 1), Noise(8192, 9, 2, 9)):
        events = noise.degree / 2 * (2 * (noise.neurons + noise.switchings) + 16 * (1 + noise.switching_primes))
        assert 2 * events * math.exp(-(noise.tail**2) / 2) == pytest.approx(2.0**-40)


@pytest.mark.parametrize(
    ("last", "nothing"), [([1.0, -1.0, 1.0], True), ([1.0, 1.0, -1.0], False), ([1.0, 2.0, -3.0], True)]
)
def test_neurons_that_round_to_one_another_must_not_cancel(last: list[float], nothing: bool) -> None:
    """Weights that differ, and no longer do at 4 bits: a sum that is nothing on the way encrypts nothing."""
    first = Linear(np.array([[0.5], [0.501], [-0.499]]), np.array([0.2, 0.2, -0.2]))
    network = SquareNetwork((first, Linear(np.array([last]), np.zeros(1))))
    assert [weighing.vanishes for weighing in batched_weighings(network, Scales(20, (4, 10)))] == [False, nothing]
    assert not batched_weighings(network, Scales(20, (20, 10)))[1].vanishes
