"""A federation in which one bank sends garbage goes on without it, says so, and stays exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment, Result, run_federation
from secure_fl.codec.quantization import Contribution
from secure_fl.errors import DropoutError, MessageError, TrainingError
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.federation.bank import Bank
from secure_fl.secagg import SCHEMES
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.protocol import Party

pytestmark = pytest.mark.slow

Small = Callable[..., Experiment]
BAD = "bank-2"
LATE = {"consistency_check", "unmask"}
STAGES = [(scheme, stage) for scheme in SCHEMES for stage in SCHEMES[scheme].stages]


class Garbler:
    """A bank whose answers in some stage are random bytes in a valid envelope; 32 bytes fit nothing."""

    def __init__(self, inner: Party, cohort: Cohort[Any], stage: str) -> None:
        self._inner, self._cohort, self._stage = inner, cohort, stage

    def respond(self, request: bytes) -> bytes:
        stage = open_message(self._cohort, request, recipient=BAD, sender=AGGREGATOR).stage
        answer = self._inner.respond(request)
        if stage != self._stage:
            return answer
        return seal(self._cohort, stage, BAD, AGGREGATOR, np.random.default_rng(3).bytes(33))


@pytest.fixture
def run_with(monkeypatch: pytest.MonkeyPatch, small: Small) -> Callable[..., Result]:
    """A run of five banks; `around(cohort, bank, client)` may replace client halves."""

    def run(around: Callable[[Cohort[Any], str, Party], Party], **settings: Any) -> Result:
        honest = SecureAggregation.client

        def client(self: SecureAggregation, cohort: Cohort[Any], bank: str, values: Any) -> Party:
            return around(cohort, bank, honest(self, cohort, bank, values))

        monkeypatch.setattr(SecureAggregation, "client", client)
        return run_federation(small(banks=5, rounds=2, fraud_share=0.1, **settings))

    return run


def exact_but_for_rounding(result: Result) -> bool:
    return all((r.max_abs_error or 0) <= (r.quantization_step or 0) * 1.000001 for r in result.rounds)


@pytest.mark.parametrize(("scheme", "stage"), STAGES)
def test_garbage_in_one_stage_costs_that_bank_its_place_and_nobody_else_anything(
    scheme: str, stage: str, run_with: Callable[..., Result]
) -> None:
    def around(cohort: Cohort[Any], bank: str, party: Party) -> Party:
        return Garbler(party, cohort, stage) if bank == BAD else party

    result = run_with(around, scheme=scheme, bits=8)
    for record in result.rounds:
        assert set(record.refused) == {BAD}
        assert record.dropped == (() if stage in LATE else (BAD,))
        assert record.attempts <= 2
    assert exact_but_for_rounding(result)
    assert all(entry["refused"].keys() == {BAD} for entry in result.metrics()["rounds"])


def test_a_round_that_fails_twice_is_attempted_a_third_time(run_with: Callable[..., Result]) -> None:
    class Unreachable:
        def respond(self, request: bytes) -> bytes:
            raise TimeoutError

    def around(cohort: Cohort[Any], bank: str, party: Party) -> Party:
        away = cohort.round == 1 and cohort.attempt < 3 and bank in ("bank-1", "bank-2", "bank-3")
        return Unreachable() if away else party

    result = run_with(around, scheme="masked")
    assert [record.attempts for record in result.rounds] == [3, 1]
    assert [record.contributors for record in result.rounds] == [tuple(f"bank-{n}" for n in range(1, 6))] * 2
    assert set(result.rounds[0].refused) == {"bank-1", "bank-2", "bank-3"}
    assert exact_but_for_rounding(result)
    attempts = {(d.round, d.attempt) for d in result.transcript if d.stage == "masked_input"}
    assert attempts == {(0, 1), (1, 3), (2, 1)}


def test_attempts_can_be_fewer(run_with: Callable[..., Result]) -> None:
    class Unreachable:
        def respond(self, request: bytes) -> bytes:
            raise TimeoutError

    def around(cohort: Cohort[Any], bank: str, party: Party) -> Party:
        return Unreachable() if cohort.round == 1 and cohort.attempt < 3 and bank != "bank-1" else party

    with pytest.raises(DropoutError, match="only 1 of 5"):
        run_with(around, scheme="plaintext", attempts=2)


@pytest.mark.parametrize(
    ("bank", "error"),
    [
        (BAD, MessageError("another model; ask again")),
        (BAD, TrainingError("diverged; train again")),
        ("bank-1", TrainingError("diverged; train again")),
    ],
)
def test_a_bank_that_cannot_train_is_a_dropout_of_the_round(
    bank: str, error: Exception, run_with: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Bank.train

    def train(self: Bank, round_: int) -> Contribution:
        if self.name == bank and round_ == 2:
            raise error
        return honest(self, round_)

    monkeypatch.setattr(Bank, "train", train)
    result = run_with(lambda cohort, bank, party: party, scheme="ckks")
    assert [record.dropped for record in result.rounds] == [(), (bank,)]
    assert result.rounds[1].refused == {bank: str(error).partition(";")[0]}


def test_where_too_few_can_train_their_own_error_is_raised(
    run_with: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(self: Bank, round_: int) -> Contribution:
        raise TrainingError(f"{self.name} diverged; lower the learning rate")

    monkeypatch.setattr(Bank, "train", train)
    with pytest.raises(TrainingError, match="bank-1 diverged"):
        run_with(lambda cohort, bank, party: party, scheme="plaintext")


@pytest.mark.parametrize("wrong", [0.0, -3.0, 2.5, 4.0, 5 * 2.0**32 + 1])
def test_a_number_of_rows_that_no_honest_banks_have_is_refused(
    wrong: float, run_with: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Bank.statistics

    def statistics(self: Bank) -> Any:
        vector = honest(self)
        vector[0] = wrong if self.name == BAD else 0.0
        return vector

    monkeypatch.setattr(Bank, "statistics", statistics)
    with pytest.raises(TrainingError, match="sends a wrong number"):
        run_with(lambda cohort, bank, party: party, scheme="plaintext")


@pytest.mark.slow
def test_another_attempt_at_a_noisy_sum_draws_new_noise_and_is_charged(run_with: Callable[..., Result]) -> None:
    """Two sums with the same noise would differ by one bank's values, with one share of noise on them."""
    sent: dict[int, Any] = {}
    settings = {"scheme": "masked", "mechanism": "distributed", "noise_multiplier": 3.0, "delta": 1e-5, "bits": 8}

    class Away:
        def respond(self, request: bytes) -> bytes:
            raise TimeoutError

    def away_at_first(cohort: Cohort[Any], bank: str, party: Party) -> Party:
        if cohort.round == 1 and bank == "bank-1":
            sent[cohort.attempt] = party._values  # type: ignore[attr-defined]
        return Away() if cohort.round == 1 and cohort.attempt == 1 and bank != "bank-1" else party

    once = run_with(lambda cohort, bank, party: party, **settings)
    twice = run_with(away_at_first, **settings)
    assert [record.attempts for record in twice.rounds] == [2, 1]
    assert sorted(sent) == [1, 2]
    assert (sent[1] != sent[2]).mean() > 0.5
    assert once.privacy is not None
    assert twice.privacy is not None
    assert twice.privacy.epsilon > 1.1 * once.privacy.epsilon
    assert {bank.steps for bank in twice.privacy.banks} == {3}
