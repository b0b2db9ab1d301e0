"""What docs say of maps and of reasons is what was measured, and supports what is claimed of it."""

from __future__ import annotations

import numpy as np

from benchmarks.calibration import MAPS, PAGE, losses, speed, stored, table
from benchmarks.written_blocks import read_block


def test_the_document_is_what_was_measured() -> None:
    assert read_block(PAGE, "calibration-maps") == table(stored())
    assert read_block(PAGE, "reasons-speed") == speed(stored())


def test_beta_calibration_loses_least() -> None:
    for each in stored()["maps"].values():
        means = np.mean(each["losses"], axis=0)
        assert MAPS[int(means.argmin())] == "beta"
        assert len(each["losses"]) == 20


def test_all_maps_are_right_where_nothing_is_to_be_learned() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(-3, 2, size=40_000)
    fraud = rng.random(len(scores)) < 1 / (1 + np.exp(-scores))
    found = losses(scores, fraud, np.arange(len(scores)) % 2 == 0)
    assert len(found) == len(MAPS)
    assert max(found) < 1.02 * found[0]
