"""The layout of single rows, computed in plain with numpy's roll in the place of rotations."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import PlanError
from secure_fl.scoring import Linear, compile_model
from secure_fl.scoring.network import SquareNetwork
from secure_fl.scoring.rotations import layout_of, spread_biases, spread_row, spread_weights
from tests.scoring.scene import CLIP, random_layers, random_rows


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    inputs=st.integers(1, 40),
    hidden=st.lists(st.integers(1, 9), max_size=2),
    slots=st.sampled_from([256, 1024]),
)
def test_slot_zero_holds_the_logit(seed: int, inputs: int, hidden: list[int], slots: int) -> None:
    rng = np.random.default_rng(seed)
    rows = random_rows(rng, 30, inputs)
    network = compile_model(random_layers(rng, (inputs, *hidden, 1)), rows, CLIP).network
    layout = layout_of(network, slots)
    values = spread_row(rows[0], layout.block, slots)
    weights, biases = spread_weights(network, layout), spread_biases(network, layout)
    for place in range(network.depth + 1):
        total = sum((w * v for w, v in zip(weights[place], values, strict=True)), np.zeros(slots))
        for step in layout.sums[place]:
            total = total + np.roll(total, -step)
        total = total + biases[place]
        values = [total**2]
    assert np.isclose(total[0], network.logits(rows[:1])[0], rtol=1e-9, atol=1e-9)
    used = {step for steps in layout.sums[: network.depth + 1] for step in steps}
    assert set(layout.rotations(network.depth + 1)) == used


def test_what_does_not_fit_is_refused() -> None:
    def wide(*widths: int) -> SquareNetwork:
        return SquareNetwork(tuple(Linear(np.ones((b, a)), np.ones(b)) for a, b in pairwise(widths)))

    layout_of(wide(4, 64, 64, 1), 4096)
    for network in (wide(4, 65, 64, 1), wide(4, 2, 2, 2, 1)):
        with pytest.raises(PlanError, match="score in batches"):
            layout_of(network, 4096)
