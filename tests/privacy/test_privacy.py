"""One bank's privacy over a whole run: calibrated for all rounds, counted round by round."""

from __future__ import annotations

import math
import re
from typing import Any

import dp_accounting
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl import Experiment
from secure_fl import privacy as privacy_module
from secure_fl.data import Examples, Schema
from secure_fl.errors import ConfigurationError, PrivacyError
from secure_fl.privacy.accounting import SampledGaussian, epsilon
from secure_fl.privacy.distributed import epsilon_spent
from secure_fl.privacy.federation import (
    STATISTICS_NOISE,
    FederationPrivacy,
    RowPrivacy,
    SumPrivacy,
    distributed_noise_multiplier,
    histogram_noise,
    row_report,
    training_settings,
)
from secure_fl.privacy.ledger import Ledger
from secure_fl.secagg.budget import plan_with_noise
from secure_fl.training import initial_weights

SETTINGS: dict[str, Any] = {"batch_size": 100, "rounds": 3, "delta": 1e-5}
START = initial_weights(1)


def of_bank(rows: int = 1_000, **changes: Any) -> RowPrivacy:
    experiment = Experiment(**{**SETTINGS, **changes})
    return RowPrivacy.of_bank(experiment, training_settings(experiment), "bank-1", rows, None, False)


def examples(rows: int = 1_000, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    fraud = rng.random(rows) < 0.2
    return Examples(rng.normal(size=(rows, 128)).astype(np.float32), fraud, fraud.astype(np.int8))


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The keys that trainings are given; nothing is trained."""
    given: list[bytes] = []

    def train(weights: Any, *arguments: Any, key: bytes, **options: Any) -> Any:
        given.append(key)
        return weights

    monkeypatch.setattr(privacy_module, "train_privately", train)
    return given


@pytest.mark.slow
@pytest.mark.parametrize("rows", [981, 1_037, 4_999])
def test_noise_is_calibrated_for_all_rounds_and_the_statistics(rows: int) -> None:
    bank = of_bank(rows, epsilon=2.0, local_epochs=2)
    assert bank.sample_rate == 100 / rows
    assert bank.steps == 2 * (rows // 100)
    events = [SampledGaussian(STATISTICS_NOISE, 1.0, 1)]
    events += [SampledGaussian(bank.noise.noise_multiplier, 100 / rows, bank.steps)] * 3
    assert 1.97 < epsilon(events, 1e-5) <= 2.0
    assert epsilon([*events, events[-1]], 1e-5) > 2.0


@pytest.mark.slow
def test_a_budget_ends_with_its_last_round(keys: list[bytes]) -> None:
    bank = of_bank(epsilon=2.0)
    bank.histogram(np.ones((1_000, 2)))
    for number in (1, 2, 3):
        bank.train(START, examples(), number, b"model %d" % number)
    with pytest.raises(PrivacyError, match="round 4"):
        bank.train(START, examples(), 4, b"model 4")
    assert len(keys) == len(set(keys)) == 3
    assert bank.report().epsilon == bank.ledger.epsilon <= 2.0
    assert bank.report().steps == 3 * bank.steps


def test_what_is_released_again_is_the_same_in_everything(keys: list[bytes]) -> None:
    """Another model, other rows, another round: each is another release, with a seed and a charge of its own."""
    bank = of_bank(noise_multiplier=5.0)
    variants = [(examples(), 1, b"m"), (examples(seed=1), 1, b"m"), (examples(), 2, b"m"), (examples(), 1, b"n")]
    for rows, number, digest in variants:
        bank.train(START, rows, number, digest)
        bank.train(START, rows, number, digest)
    assert len(set(keys)) == 4
    assert [keys[2 * n] == keys[2 * n + 1] for n in range(4)] == [True] * 4
    assert len(bank.ledger.events) == 4


def test_the_ledger_does_not_show_the_rows(keys: list[bytes]) -> None:
    """A plain hash would tell whoever guesses the rows whether they are right: two banks, same rows, other contexts."""
    one, other = of_bank(noise_multiplier=5.0), of_bank(noise_multiplier=5.0)
    for bank in (one, other):
        bank.train(START, examples(), 1, b"m")
    assert one.ledger.entries[0].context != other.ledger.entries[0].context


def test_a_row_changes_one_count_of_every_feature() -> None:
    assert histogram_noise(1) == STATISTICS_NOISE
    assert histogram_noise(9) == 3 * STATISTICS_NOISE


@pytest.mark.parametrize(("delta", "said"), [(1 / 301, False), (1 / 300, True), (1 / 100, True)])
def test_a_delta_that_allows_to_publish_a_row_is_said(unequal: list[RowPrivacy], delta: float, said: bool) -> None:
    """Of the smallest bank, which has 300 rows."""
    experiment = Experiment(**{**SETTINGS, "delta": delta}, noise_multiplier=2.0)
    notes = row_report(experiment, unequal, Schema(label="fraud")).notes
    assert any("not below 1 / 300 rows" in note for note in notes) == said


def test_a_batch_as_large_as_the_bank(keys: list[bytes]) -> None:
    bank = of_bank(rows=100, noise_multiplier=30.0)
    bank.histogram(np.ones((100, 2)))
    bank.train(START, examples(100), 1, b"m")
    assert (bank.sample_rate, bank.steps, bank.report().steps) == (1.0, 1, 1)


def test_a_bank_smaller_than_a_batch_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="smaller than a batch"):
        of_bank(rows=99, noise_multiplier=1.0)


def test_an_unreachable_target_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot be reached"):
        of_bank(epsilon=0.1)


@pytest.fixture
def unequal(keys: list[bytes]) -> list[RowPrivacy]:
    """Three banks after a round: the first spent least, the second most."""
    banks = [of_bank(rows, noise_multiplier=2.0) for rows in (5_000, 300, 1_000)]
    for bank, rows in zip(banks, (5_000, 300, 1_000), strict=True):
        bank.train(START, examples(rows), 1, b"m")
    return banks


def test_the_bank_that_spent_most_decides(unequal: list[RowPrivacy]) -> None:
    """A promise to every row of the federation is the weakest of the banks', in the report and after each round."""
    source = Schema(label="fraud")
    promise = row_report(Experiment(**SETTINGS, noise_multiplier=2.0), unequal, source)
    spent = [bank.ledger.epsilon for bank in unequal]
    assert promise.epsilon == spent[1] == max(spent) > 1.5 * spent[0]
    assert [bank.epsilon for bank in promise.banks] == spent
    assert promise.epsilon_by_accountant["prv"] == spent[1]
    rows = {f"bank-{number}": bank for number, bank in enumerate(unequal, start=1)}
    assert FederationPrivacy(Experiment(), rows, None, source).epsilon == spent[1]


@pytest.mark.parametrize("lacking", [0, 1, 2])
def test_every_bank_must_have_entered_every_finished_round(unequal: list[RowPrivacy], lacking: int) -> None:
    rows = {f"bank-{number}": bank for number, bank in enumerate(unequal, start=1)}
    privacy = FederationPrivacy(Experiment(), rows, None, Schema(label="fraud"))
    for place, bank in enumerate(unequal):
        if place != lacking:
            bank.train(START, examples(5_000), 2, b"n")
    privacy.require_rounds(1)
    with pytest.raises(PrivacyError, match="lacks a round that was finished; put its newest copy back"):
        privacy.require_rounds(2)


@pytest.mark.parametrize("banks", [3, 10])
def test_a_bank_that_knows_its_own_noise_is_promised_less(banks: int) -> None:
    """Recomputed: towards an insider one of the threshold's shares is no noise any more."""
    noise = plan_with_noise("masked", banks, 10_369, 4.0, 12)[1]
    sums = SumPrivacy(noise, 1e-5, tuple(Ledger(f"bank-{n}", 1e-5, None, lambda events: 0.0) for n in range(banks)))
    for number in (1, 2):
        sums.charge(number, b"model")
    (said,) = [float(m[1]) for note in sums.report("masked").notes if (m := re.search(r"epsilon is ([\d.]+)", note))]
    accountant = dp_accounting.rdp.RdpAccountant()
    hidden = math.sqrt(noise.variance(noise.threshold - 1) / noise.norm_bound_squared)
    accountant.compose(dp_accounting.GaussianDpEvent(hidden), 2)
    outsider = epsilon_spent(noise, 2, 1e-5)
    assert said == pytest.approx(accountant.get_epsilon(1e-5), rel=0.02)
    assert said > outsider * (1.2 if banks == 3 else 1.03)


def test_the_bank_that_was_charged_most_often_decides_over_sums() -> None:
    """A run that was stopped while it charged leaves some banks with a round more."""
    noise = plan_with_noise("masked", 3, 10_369, 4.0, 12)[1]
    ledgers = tuple(
        Ledger(f"bank-{n}", 1e-5, None, lambda events: epsilon_spent(noise, len(events), 1e-5)) for n in "abc"
    )
    sums = SumPrivacy(noise, 1e-5, ledgers)
    sums.charge(1, b"model")
    once = sums.report("masked")
    SumPrivacy(noise, 1e-5, ledgers[1:2]).charge(2, b"model")
    twice = sums.report("masked")
    assert twice.epsilon == ledgers[1].epsilon == epsilon_spent(noise, 2, 1e-5) > once.epsilon
    insider = epsilon_spent(noise, 2, 1e-5, known_shares=1)
    assert any(f"epsilon is {insider:.3g}" in note for note in twice.notes)


def test_distributed_noise_follows_from_epsilon_or_is_given() -> None:
    given = Experiment(mechanism="distributed", noise_multiplier=0.7, delta=1e-5)
    assert distributed_noise_multiplier(given, 10_369) == 0.7
    loose, tight = (
        distributed_noise_multiplier(Experiment(mechanism="distributed", epsilon=e, delta=1e-5), 10_369) for e in (8, 1)
    )
    assert 0 < loose < tight


def test_a_release_is_not_repeated_under_the_same_noise_where_its_last_bits_may_differ(
    keys: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another library or processor: the same rows and weights are another release, with a charge of its own."""
    bank = of_bank(noise_multiplier=2.0)
    bank.train(START, examples(), 1, b"m")
    monkeypatch.setattr(privacy_module, "arithmetic", lambda: "another torch")
    bank.train(START, examples(), 1, b"m")
    assert len(bank.ledger.entries) == 2
    assert keys[0] != keys[1]


@given(st.floats(1e-6, 1.0))
def test_noise_is_calibrated_for_at_least_the_rate_of_sampling_and_hardly_more(rate: float) -> None:
    assert rate <= privacy_module._rounded_up(rate) <= min(1.0, 1.0101 * rate)
