"""The mean that comes out of a Flower app: the exact sum of what the banks quantized, in the model's own types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("flwr", reason="needs the extra flower")

from flwr.app import Context
from flwr.serverapp.strategy import FedAvg

from secure_fl.averaging import secure_mean
from secure_fl.errors import ConfigurationError
from tests.transport.flower_federation import (
    SCHEMES,
    START,
    Federation,
    Said,
    examples_of,
    federated,
    grid_of,
    number_of,
    trained,
)
from tests.transport.flower_grid import Arrays, simulated


def exact(banks: list[int]) -> dict[str, NDArray[Any]]:
    weights = np.array([examples_of(bank) for bank in banks], dtype=np.float64)
    rows = [trained(START, bank) for bank in banks]
    return {name: np.average([row[name].astype(float) for row in rows], axis=0, weights=weights) for name in START}


def same(one: Arrays, other: Arrays) -> bool:
    return list(one) == list(other) and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]) for name in one
    )


@pytest.fixture(scope="module")
def plain() -> Federation:
    return federated("plaintext", rounds=2)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_sum_is_that_of_simulate_bit_for_bit(scheme: str) -> None:
    done = federated(scheme)
    assert same(done.arrays, done.summed(scheme, [0, 1, 2]))
    outcome = done.strategy.rounds[0]
    assert outcome.contributors == ("bank-1", "bank-2", "bank-3")
    assert outcome.attempts == 1
    for name, mean in exact([0, 1, 2]).items():
        kind = START[name].dtype
        if kind.kind == "f":
            slack = outcome.error_bound + (2 * np.finfo(kind).eps if kind.itemsize < 8 else 0)
            assert np.abs(done.arrays[name] - mean).max(initial=0) <= slack
        else:
            assert np.array_equal(done.arrays[name], np.rint(mean).astype(kind))


@pytest.mark.parametrize("scheme", ["additive", "masked", "ckks", "bfv", "rlwe"])
def test_every_scheme_gives_the_same_model_round_by_round(scheme: str, plain: Federation) -> None:
    assert same(federated(scheme, rounds=2).arrays, plain.arrays)


def test_the_mean_is_that_of_secure_mean_within_both_bounds() -> None:
    done = federated("ckks")
    updates = [{name: row[name].astype(float) - START[name] for name in ("w", "b")} for row in map_trained()]
    mean = secure_mean(updates, [examples_of(bank) for bank in range(3)], scheme="masked", clip=1.0)
    off = np.abs(done.arrays["b"] - START["b"] - mean.value["b"]).max()
    assert off <= mean.error_bound + done.strategy.rounds[0].error_bound


def map_trained() -> list[dict[str, NDArray[Any]]]:
    return [trained(START, bank) for bank in range(3)]


def test_names_types_and_shapes_come_back(plain: Federation) -> None:
    arrays = plain.arrays
    assert list(arrays) == list(START)
    assert {name: (a.dtype, a.shape) for name, a in arrays.items()} == {
        name: (a.dtype, a.shape) for name, a in START.items()
    }


def test_banks_count_the_same_where_no_most_is_said() -> None:
    done = federated("masked", most_examples=None)
    mean = np.mean([row["b"] for row in map_trained()], axis=0)
    assert np.abs(done.arrays["b"] - mean).max() <= done.strategy.rounds[0].error_bound


def test_what_is_clipped_is_counted_and_said(said: Said) -> None:
    """Every value above the range gives one result; so the server says how many there were."""
    grid = grid_of("masked", lambda a, c: ({**a, "w": a["w"] + 9, "b": a["b"] - 8.5}, {"num-examples": 5}))
    done = federated("masked", grid, clip=8.0)
    assert done.strategy.rounds[0].clipped == 3 * 14
    assert "42 of 51 values lay beyond the clip range of 8 and count as its edge" in said()
    assert np.allclose(done.arrays["w"], START["w"] + 8, atol=0.1)
    assert np.allclose(done.arrays["b"], -8, atol=0.1)


def test_a_clip_range_that_suits_clips_nothing(plain: Federation) -> None:
    assert plain.strategy.rounds[0].clipped == 0


def test_a_bank_without_the_metric_of_others_is_no_trouble() -> None:
    def some(arrays: Arrays, context: Context) -> tuple[Arrays, dict[str, Any]]:
        return arrays, {"num-examples": 5, **({"loss": 1.0} if number_of(context) else {})}

    done = federated("masked", grid_of("masked", some))
    assert done.result.train_metrics_clientapp[1] == {"loss": 1.0}


def test_more_nodes_than_are_sampled(plain: Federation) -> None:
    grid = grid_of("masked", configs=simulated(6))
    sampling = FedAvg(fraction_train=0.5, min_train_nodes=2, min_available_nodes=6, fraction_evaluate=0.0)
    done = federated("masked", grid, rounds=2, strategy=sampling, most_examples=1024)
    assert [len(each.contributors) for each in done.strategy.rounds] == [3, 3]


def test_two_banks_are_too_few() -> None:
    with pytest.raises(ConfigurationError, match="2 banks were sampled and a secure sum needs 3"):
        federated("masked", grid_of("masked", configs=simulated(2)), strategy=FedAvg())
