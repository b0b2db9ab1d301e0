"""Flower's strategies around which a secure sum fits, and those around which it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("flwr", reason="needs the extra flower")

from flwr.app import ArrayRecord, Context, Message, MetricRecord
from flwr.serverapp import strategy as flowers
from flwr.serverapp.strategy import FedAvg, FedMedian, Strategy

from secure_fl.errors import ConfigurationError
from secure_fl.transport.flower import SecureStrategy
from tests.transport.flower_federation import federated, grid_of, number_of
from tests.transport.flower_grid import Arrays, MemoryGrid, record, simulated, toy_app

pytestmark = pytest.mark.slow

FLOATS: Arrays = {"w": np.linspace(-1, 1, 6, dtype=np.float32), "b": np.zeros(3)}
SETTINGS: dict[str, Any] = {"min_train_nodes": 3, "min_evaluate_nodes": 3, "min_available_nodes": 3}
SOUND: dict[str, Callable[[], Strategy]] = {
    "FedAvg": lambda: FedAvg(**SETTINGS),
    "FedProx": lambda: flowers.FedProx(proximal_mu=0.1, **SETTINGS),
    "FedAvgM": lambda: flowers.FedAvgM(server_learning_rate=0.5, server_momentum=0.9, **SETTINGS),
    "FedAdam": lambda: flowers.FedAdam(eta=0.01, **SETTINGS),
    "FedAdagrad": lambda: flowers.FedAdagrad(eta=0.01, **SETTINGS),
    "FedYogi": lambda: flowers.FedYogi(eta=0.01, **SETTINGS),
}


def towards(arrays: Arrays, context: Context) -> tuple[Arrays, dict[str, Any]]:
    """Training that answers a small change of the model with a small change."""
    bank = number_of(context)
    after = {name: (array + 0.2 * (bank + 1 - array)).astype(array.dtype) for name, array in arrays.items()}
    return after, {"num-examples": 100 * (bank + 1)}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_strategy_goes_where_it_goes_without_secure_sums(name: str) -> None:
    """But for the quantization, whose bound the sum states: Flower's own run on the same app is the other side."""
    secure = federated("masked", grid_of("masked", towards), strategy=SOUND[name](), rounds=3, start=FLOATS)
    open_grid = MemoryGrid(toy_app(towards, [], **{"num-examples": 1}), simulated(3))
    plain = SOUND[name]().start(open_grid, record(FLOATS), num_rounds=3).arrays
    for key, array in FLOATS.items():
        assert secure.arrays[key].dtype == array.dtype
        assert secure.arrays[key].shape == array.shape
        assert np.abs(secure.arrays[key] - plain[key].numpy()).max() < 5e-3
        assert np.abs(secure.arrays[key] - array).max() > 1e-3


def test_integers_stay_the_mean_under_an_optimizer() -> None:
    done = federated("masked", strategy=SOUND["FedAdam"]())
    assert done.arrays["count"] == 8
    assert done.arrays["flags"].dtype == np.bool_


class OwnMedian(FedMedian):
    """What it leaves to its base is a median, of one reply."""

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        return super().aggregate_train(server_round, replies)


@pytest.mark.parametrize(
    "strategy",
    [
        FedMedian(),
        OwnMedian(),
        flowers.FedTrimmedAvg(),
        flowers.Krum(),
        flowers.MultiKrum(),
        flowers.Bulyan(),
        flowers.QFedAvg(client_learning_rate=0.1),
        flowers.FedXgbBagging(),
        flowers.FedXgbCyclic(),
        flowers.DifferentialPrivacyServerSideFixedClipping(FedAvg(), 1.0, 1.0, 3),
    ],
    ids=lambda strategy: type(strategy).__name__,
)
def test_a_strategy_that_needs_single_updates_is_refused(strategy: Strategy) -> None:
    with pytest.raises(ConfigurationError, match="wrap one"):
        SecureStrategy(strategy, most_examples=10, own_aggregation=True)


class Noting(FedAvg):
    """As users write it: it looks at the new model, and leaves the rest to FedAvg."""

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        self.replies = len(list(replies))
        return super().aggregate_train(server_round, replies)


def test_a_strategy_of_one_s_own_is_taken_at_its_word() -> None:
    with pytest.raises(ConfigurationError, match="Noting aggregates in a way of its own"):
        SecureStrategy(Noting(), most_examples=10)
    own = Noting(**SETTINGS)
    federated("masked", strategy=own, own_aggregation=True)
    assert own.replies == 1


def test_a_class_that_samples_in_its_own_way_is_sound() -> None:
    class Sampling(FedAvg):
        pass

    assert federated("masked", strategy=Sampling(**SETTINGS)).strategy.rounds[0].attempts == 1


def test_the_wrapped_strategy_s_nodes_are_banks() -> None:
    seen: list[int] = []

    class Looking(FedAvg):
        def configure_train(self, server_round: int, arrays: Any, config: Any, grid: Any) -> Any:
            seen.extend(grid.get_node_ids())
            return super().configure_train(server_round, arrays, config, grid)

    federated("ckks", strategy=Looking(**SETTINGS))
    assert sorted(seen) == [1, 2, 3]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"scheme": "rot13"}, "there is no scheme 'rot13'"),
        ({"clip": -1.0}, "a clip range of -1"),
        ({"clip": float("nan")}, "a clip range of nan"),
        ({"most_examples": 0}, "0 examples cannot be the most"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        SecureStrategy(FedAvg(), **{"most_examples": 10, **settings})


def test_a_round_that_trains_nobody_is_none() -> None:
    done = federated("masked", grid_of("masked"), strategy=FedAvg(fraction_train=0.0, fraction_evaluate=0.0))
    assert done.strategy.rounds == []
