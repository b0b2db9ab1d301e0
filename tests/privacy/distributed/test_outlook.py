"""What the outlook says of the noise is what comes out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from secure_fl.codec.sampler import discrete_gaussian
from secure_fl.errors import ConfigurationError
from secure_fl.privacy.distributed import banks_needed, noise_to_norm
from secure_fl.secagg.budget import plan_with_noise

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("contributors", [2, 3])
def test_the_noise_in_the_mean_is_as_long_as_foretold(contributors: int, make_codec: Callable[..., Any]) -> None:
    codec = make_codec(parameters=10_379)
    total = sum(discrete_gaussian(codec.noise.deviation, codec.length) for _ in range(contributors))
    mean = codec.decode(total + contributors * codec.noise.offset, contributors).update
    foretold = noise_to_norm(codec.noise, contributors)
    assert np.linalg.norm(mean) / codec.max_update_norm == pytest.approx(foretold, rel=0.05)
    if contributors == 3:
        assert noise_to_norm(codec.noise) == foretold


@pytest.mark.parametrize(
    ("parameters", "noise_multiplier", "ratio"), [(10_379, 1.0, 1.0), (10_379, 3.0, 5.0), (9, 1, 3)]
)
def test_the_fewest_banks_are_the_fewest(parameters: int, noise_multiplier: float, ratio: float) -> None:
    banks = banks_needed(parameters, noise_multiplier, ratio)
    assert banks is not None
    _, enough = plan_with_noise("plaintext", banks, parameters, noise_multiplier, bits=12)
    assert noise_to_norm(enough) <= 1.001 * ratio
    if banks > 3:
        _, fewer = plan_with_noise("plaintext", banks - 1, parameters, noise_multiplier, bits=12)
        assert noise_to_norm(fewer) > ratio


def test_too_many_banks_are_none() -> None:
    assert banks_needed(10_379, noise_multiplier=1_000.0) is None


@pytest.mark.parametrize("number", [0.0, -1.0, math.inf, math.nan])
def test_numbers_that_mean_nothing_are_refused(number: float) -> None:
    with pytest.raises(ConfigurationError, match="must be positive, finite numbers; change them"):
        banks_needed(10_379, number)
    with pytest.raises(ConfigurationError, match="must be positive, finite numbers; change them"):
        banks_needed(10_379, 1.0, ratio=number)
