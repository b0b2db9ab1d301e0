"""A bank trains on its own rows and answers with an update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment
from secure_fl.codec.quantization import Contribution
from secure_fl.data import FeatureSchema, Moments, Standardization
from secure_fl.data.datasets import Dataset, open_dataset
from secure_fl.errors import MessageError
from secure_fl.federation.bank import Bank
from secure_fl.federation.global_model import GlobalModel, LastSum
from secure_fl.secagg import plan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.planning import plan_with_noise
from secure_fl.training import initial_weights

Small = Callable[..., Experiment]
START = initial_weights(1)
PLAN = plan("plaintext", 3, 10_369 + 5, 8)


@pytest.fixture(scope="module")
def dataset(small: Small) -> Dataset:
    return open_dataset(small())


def contribute(bank: Bank, round_: int = 1) -> Contribution:
    """The bank receives the first global model and trains."""
    model = GlobalModel(START, 0.1, 1000.0)
    cohort = Cohort(PLAN, round_, ("bank-1", "bank-2", "bank-3"), (), model.digest)
    bank.receive(cohort, model.to_bytes())
    return bank.train(round_)


@pytest.fixture
def make_bank(dataset: Dataset, small: Small) -> Callable[..., Bank]:
    def make(number: int = 1, **changes: object) -> Bank:
        bank = Bank(dataset.banks[0], number, small(**changes))
        total = Moments.from_vector(bank.statistics())
        schema = dataset.banks[0].train.schema
        bank.adopt(FeatureSchema.create(schema, Standardization.from_moments(total), dataset.key))
        return bank

    return make


def test_its_statistics_are_those_of_its_training_rows(dataset: Dataset, make_bank: Callable[..., Bank]) -> None:
    numeric = dataset.banks[0].train.numeric
    expected = np.concatenate([[len(numeric)], numeric.sum(axis=0), (numeric**2).sum(axis=0)])
    assert make_bank().statistics() == pytest.approx(expected)


def test_its_update_leads_from_the_global_weights_to_its_own(make_bank: Callable[..., Bank], dataset: Dataset) -> None:
    contribution = contribute(make_bank())
    assert contribution.num_examples == len(dataset.banks[0].train)
    assert contribution.update.shape == START.shape
    assert 1e-4 < np.abs(contribution.update).max() < 0.1


def test_its_update_repeats_and_depends_on_seed_bank_and_round(make_bank: Callable[..., Bank]) -> None:
    def update(bank: Bank, round_: int = 1) -> bytes:
        return contribute(bank, round_).update.tobytes()

    assert update(make_bank()) == update(make_bank())
    others = {update(make_bank(), 2), update(make_bank(number=2)), update(make_bank(seed=9)), update(make_bank())}
    assert len(others) == 4


def test_more_epochs_move_further(make_bank: Callable[..., Bank]) -> None:
    once, often = (contribute(make_bank(local_epochs=n)).update for n in (1, 4))
    assert np.abs(often).mean() > 1.5 * np.abs(once).mean()


def test_its_rounding_repeats_and_depends_on_seed_bank_and_round(make_bank: Callable[..., Bank]) -> None:
    def draw(bank: Bank, round_: int = 1) -> bytes:
        contribute(bank)
        return bank.encode(Contribution(np.full(10_369, 1e-4), 1000), PLAN, round_).tobytes()

    assert draw(make_bank()) == draw(make_bank())
    assert len({draw(make_bank()), draw(make_bank(), 2), draw(make_bank(number=2)), draw(make_bank(seed=9))}) == 4


def test_it_cannot_train_before_it_adopted_the_features(dataset: Dataset, small: Small) -> None:
    with pytest.raises(AssertionError, match="feature schema"):
        contribute(Bank(dataset.banks[0], 1, small()))


def test_its_repr_shows_nothing(make_bank: Callable[..., Bank]) -> None:
    assert "array" not in repr(make_bank())


def test_it_refuses_another_model_than_its_cohort_agreed_on(make_bank: Callable[..., Bank]) -> None:
    """What an aggregator would send that shows banks different models."""
    agreed, shown = GlobalModel(START, 0.1, 1000.0), GlobalModel(START + 1, 0.1, 1000.0)
    cohort = Cohort(PLAN, 1, ("bank-1", "bank-2", "bank-3"), (), agreed.digest)
    with pytest.raises(MessageError, match=r"^bank-1 received another model"):
        make_bank().receive(cohort, shown.to_bytes())


def test_it_takes_over_every_model_that_it_receives(make_bank: Callable[..., Bank]) -> None:
    bank = make_bank()
    for number in (1, 2):
        model = GlobalModel(START + number, 0.1 * number, 1000.0)
        bank.receive(Cohort(PLAN, number, ("bank-1", "bank-2", "bank-3"), (), model.digest), model.to_bytes())
        assert bank.model.digest == model.digest


@pytest.mark.parametrize("downlink", ["weights", "sum"])
def test_a_bank_that_adds_noise_reads_what_the_noisy_sum_led_to(downlink: str, dataset: Dataset, small: Small) -> None:
    planned, noise = plan_with_noise("plaintext", 3, 10_369, 4.0, 12)
    bank = Bank(dataset.banks[0], 1, small(), noise=noise)
    banks = ("bank-1", "bank-2", "bank-3")
    model = GlobalModel(START, 1.0, 1000.0)
    bank.receive(Cohort(planned, 1, banks, (), model.digest), model.to_bytes())
    total = np.arange(planned.parameters, dtype=np.int64)
    mean = model.codec(planned, noise).decode(total, 2)
    then = model.updated(mean, 1.0)
    broadcast = then.to_bytes() if downlink == "weights" else LastSum(total, 2).to_bytes(planned, then)
    bank.receive(Cohort(planned, 2, banks, (), then.digest), broadcast)
    assert bank.model.digest == then.digest


def test_its_update_is_the_exact_difference_to_the_weights_after_the_last_epoch(
    make_bank: Callable[..., Bank], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float64: the difference of two float32 numbers need not be one."""
    given: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    epochs = [(START * np.float32(factor)).astype(np.float32) for factor in (5, 1.0001, 1 / 3)]

    def train(*arguments: Any, **options: Any) -> Iterator[np.ndarray]:
        given.append((arguments, options))
        yield from epochs

    monkeypatch.setattr("secure_fl.federation.bank.train", train)
    bank = make_bank(local_epochs=3, learning_rate=0.5)
    contribution = contribute(bank, 4)
    assert contribution.update.tobytes() == (epochs[-1].astype(np.float64) - START).tobytes()
    assert contribution.num_examples == len(bank.examples)
    ((weights, rows, settings), options) = given[0]
    assert (weights == START).all()
    assert rows is bank.examples
    assert settings.learning_rate == 0.5
    learner = options.pop("learner")
    assert (learner.parameters, learner.own) == (len(START), False)
    assert options == {"epochs": 3, "seed": bank._seed(4, "training")}


def test_error_feedback_carries_over_what_quantization_took(make_bank: Callable[..., Bank]) -> None:
    plain, careful = make_bank(), make_bank(error_feedback=True)
    first = contribute(careful)
    values = careful.encode(first, PLAN, 1)
    careful.settle(first, values, PLAN)
    sent = GlobalModel(START, 0.1, 1000.0).codec(PLAN).decode(values, 1).update
    lost = first.update - sent * 1000.0 / first.num_examples
    assert np.abs(lost).max() > 0
    contribute(plain)
    assert contribute(careful, 2).update == pytest.approx(contribute(plain, 2).update + lost)


def test_without_error_feedback_nothing_is_carried_over(make_bank: Callable[..., Bank]) -> None:
    bank = make_bank()
    first = contribute(bank)
    bank.settle(first, bank.encode(first, PLAN, 1), PLAN)
    assert (contribute(bank, 1).update == first.update).all()


def test_draws_for_training_and_for_rounding_do_not_repeat_each_other(make_bank: Callable[..., Bank]) -> None:
    bank = make_bank()
    assert bank._seed(1, "training") == bank._seed(1, "training") != bank._seed(1, "rounding")


def test_a_model_that_is_refused_leaves_the_bank_with_the_one_before(make_bank: Callable[..., Bank]) -> None:
    """Or the next sum would be applied to a model that nobody else has."""
    bank = make_bank()
    contribute(bank)
    other = GlobalModel(initial_weights(2), 0.1, 1000.0)
    cohort = Cohort(PLAN, 2, ("bank-1", "bank-2", "bank-3"), (), b"another digest")
    with pytest.raises(MessageError, match="another model"):
        bank.receive(cohort, other.to_bytes())
    assert bank.model.weights.tobytes() == START.tobytes()
