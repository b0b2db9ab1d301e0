"""New keys after some rounds: an old one opens nothing that came later, and the model is the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import ConfigurationError, ProtocolError
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.federation.results import Result
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Party
from secure_fl.settings import Experiment

Run = Callable[..., Result]


@pytest.mark.parametrize(
    ("every", "renewed"), [(None, []), (1, [2, 3, 4, 5, 6]), (2, [3, 5]), (4, [5]), (6, []), (10_000, [])]
)
@pytest.mark.parametrize(("scheme", "asked"), [("rlwe", {}), ("additive", {"holders": 3}), ("rlwe", {"witnesses": 1})])
def test_keys_are_made_anew_after_so_many_rounds(
    every: int | None, renewed: list[int], scheme: str, asked: dict[str, Any]
) -> None:
    aggregation = SecureAggregation(Experiment(scheme=scheme, fresh_keys=every, **asked), 10)
    found, before = [], aggregation.deployed
    for number in range(1, 7):
        aggregation.begin(number)
        if aggregation.deployed is not before:
            found.append(number)
        before = aggregation.deployed
    assert found == renewed


def test_the_new_public_key_is_on_record_in_its_round() -> None:
    aggregation = SecureAggregation(Experiment(scheme="rlwe", fresh_keys=2), 10)
    for number in range(1, 6):
        aggregation.begin(number)
    sent = [each for each in aggregation.transcript.so_far if each.stage == "public_key" and each.recipient == "bank-1"]
    assert [each.round for each in sent] == [0, 3, 5]
    assert len({each.sha256 for each in sent}) == 3


def test_an_old_key_opens_no_later_sum() -> None:
    aggregation = SecureAggregation(Experiment(scheme="rlwe", fresh_keys=1), 10)
    old: Any = aggregation.deployed
    aggregation.begin(2)
    new: Any = aggregation.deployed
    cohort = aggregation.cohort(2, 10)
    clients = {bank: aggregation.client(cohort, bank, np.full(10, 7)) for bank in cohort.banks}
    outcome = aggregation.attempt(cohort, clients)
    assert outcome.sum.total.tolist() == [21] * 10
    assert old._authority.public_key() != new._authority.public_key()


@pytest.mark.parametrize(("every", "renewed"), [(None, False), (1, True), (5, True)])
def test_an_attempt_that_is_repeated_has_keys_of_its_own(every: int | None, renewed: bool) -> None:
    """What was shown in the one that failed counts for nothing."""
    aggregation = SecureAggregation(Experiment(scheme="rlwe", fresh_keys=every), 10)
    first: Any = aggregation.deployed
    cohort, under = aggregation.cohort(1, 10), list[Any]()

    def clients(attempt: Cohort[Any]) -> dict[str, Party]:
        under.append(aggregation.deployed)
        if len(under) == 1:
            raise ProtocolError("the first one fails; make a new attempt")
        return {bank: aggregation.client(attempt, bank, np.full(10, 7)) for bank in attempt.banks}

    assert aggregation.sum(cohort, clients).outcome.sum.total.tolist() == [21] * 10
    assert under[0] is first
    assert (under[1] is not first) == renewed


@pytest.mark.parametrize("scheme", ["plaintext", "masked"])
def test_schemes_whose_keys_do_not_last_refuse(scheme: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{scheme} has no key that lasts longer than an attempt"):
        Experiment(scheme=scheme, fresh_keys=1)


@pytest.mark.slow
def test_fresh_keys_change_nothing_in_the_model(run_small: Run) -> None:
    settings: dict[str, Any] = {"scheme": "bfv", "holders": 3, "rounds": 3}
    fresh, once = run_small(**settings, fresh_keys=1), run_small(**settings)
    assert fresh.model is not None
    assert once.model is not None
    assert np.array_equal(fresh.model.weights, once.model.weights)
