"""Multi-Krum by encrypted distances, in a federation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment
from secure_fl.errors import ConfigurationError, DropoutError, PlanError
from secure_fl.federation.checked_sums import checked_scheme, choose
from secure_fl.federation.opening import Federation
from secure_fl.federation.results import Result
from secure_fl.federation.rounds import RoundOutcome, run_round
from secure_fl.secagg.krum.deployment import CUSTODY
from secure_fl.training import train

Small = Callable[..., Experiment]
Run = Callable[..., Result]
CHOSEN: dict[str, Any] = {"scheme": "ckks", "banks": 5, "robust": "multi-krum", "byzantine": 1}
POISONED = CHOSEN | {"attack": "sign-flip"}


def one_round(federation: Federation) -> RoundOutcome:
    model = federation.start.model
    robustness = federation.robustness
    return run_round(federation.aggregation, federation.banks, model, model.to_bytes(), 1, robustness=robustness)


@pytest.mark.slow
def test_it_leads_to_the_model_that_the_rule_leads_to_in_plaintext(run_small: Run) -> None:
    encrypted, plain = run_small(**POISONED), run_small(**(POISONED | {"scheme": "plaintext"}))
    assert [(r.contributors, r.excluded, r.byzantine) for r in encrypted.rounds] == [
        (tuple(f"bank-{n}" for n in range(1, 6)), ("bank-5",), ("bank-5",))
    ] * 2
    assert [r.excluded for r in encrypted.rounds] == [r.excluded for r in plain.rounds]
    assert encrypted.model is not None
    assert plain.model is not None
    assert np.abs(encrypted.model.weights - plain.model.weights).max() < 1e-6
    assert encrypted.rounds[0].max_abs_error is not None
    assert encrypted.rounds[0].quantization_step is not None
    assert encrypted.rounds[0].max_abs_error < encrypted.rounds[0].quantization_step


def test_a_bank_that_encrypts_under_another_key_is_left_out_and_named(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one of the f byzantine ones, so that the rule goes on with none among the others."""
    federation = Federation.open(small(**(CHOSEN | {"banks": 6})), None)
    other = Federation.open(small(**(CHOSEN | {"banks": 6})), None)
    client = type(federation.aggregation).client

    def swapped(aggregation: Any, cohort: Any, bank: str, values: Any) -> Any:
        return client(other.aggregation if bank == "bank-2" else aggregation, cohort, bank, values)

    monkeypatch.setattr(type(federation.aggregation), "client", swapped)
    done = one_round(federation)
    assert done.dropped == ("bank-2",)
    assert "encrypted under another key" in done.refused["bank-2"]
    assert (len(done.contributors), done.excluded) == (5, ())


def test_a_bank_whose_update_is_no_number_is_absent(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    federation = Federation.open(small(**(CHOSEN | {"banks": 6})), None)
    banks = iter(range(6))

    def diverged(*arguments: Any, **options: Any) -> Any:
        *rest, weights = train(*arguments, **options)
        if next(banks) == 2:
            weights[7] = np.nan
        return *rest, weights

    monkeypatch.setattr("secure_fl.federation.bank.train", diverged)
    done = one_round(federation)
    assert done.dropped == ("bank-3",)
    assert "bank-3: local training diverged" in done.refused["bank-3"]


def test_where_too_few_arrive_the_round_fails(small: Small) -> None:
    federation = Federation.open(small(**CHOSEN, drop=("bank-2@1:upload",)), None)
    with pytest.raises(DropoutError, match="the rule cannot choose among 4 banks"):
        one_round(federation)


def test_refused_banks_are_some_of_the_byzantine_ones() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(5, 3))
    squared = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    errors = np.zeros((5, 5))
    assert len(choose(squared, errors, 0, byzantine=1).chosen) == 4
    assert choose(squared, errors, 1, byzantine=1).chosen == tuple(range(5))
    assert choose(squared, errors, 9, byzantine=1).chosen == tuple(range(5))
    assert len(choose(squared, errors, 1, byzantine=2).chosen) == 4
    with pytest.raises(ConfigurationError, match="use at least 7 banks"):
        choose(squared, errors, 0, byzantine=2)


def test_round_zero_is_a_plain_sum_under_its_own_keys(small: Small) -> None:
    federation = Federation.open(small(**CHOSEN), None)
    setups = {d.stage for d in federation.aggregation.transcript.deliveries if d.round == 0}
    assert {"public_key", "upload", "decrypt", "broadcast"} <= setups
    assert federation.aggregation.scheme.name == "ckks-krum"
    assert "select" in {d.stage for d in _after(federation)}


def _after(federation: Federation) -> list[Any]:
    before = len(federation.aggregation.transcript.deliveries)
    one_round(federation)
    return federation.aggregation.transcript.deliveries[before:]


def test_custody_is_that_of_the_distances(small: Small) -> None:
    custody = Federation.open(small(**CHOSEN), None).custody
    assert custody.can_decrypt == CUSTODY.can_decrypt
    assert "the distance between any two updates" in custody.can_decrypt["key-authority"][0]
    assert "multi-krum compares distances of updates, and bears up to 1" in custody.assumptions[-1]


def test_other_settings_need_no_scheme_of_their_own() -> None:
    assert checked_scheme(Experiment()) is None
    assert checked_scheme(Experiment(scheme="plaintext", robust="median")) is None
    assert checked_scheme(Experiment(robust="multi-krum", banks=9, group_size=3)) is None
    assert checked_scheme(Experiment(robust="multi-krum"), statistics=True) is None
    assert checked_scheme(Experiment(robust="multi-krum")) is not None
    assert checked_scheme(Experiment(scheme="additive", proofs=True)) is not None


def test_what_cannot_be_planned_is_refused_before_training(small: Small) -> None:
    with pytest.raises(PlanError, match="use at most"):
        Federation.open(small(**(CHOSEN | {"bits": 24})), None)
