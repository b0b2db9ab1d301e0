"""Runs in which banks prove that their updates lie in range, and under a norm bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment
from secure_fl.codec.noisy import clipped_to_norm
from secure_fl.federation.opening import ROUND_ZERO, Federation
from secure_fl.federation.results import Result
from secure_fl.federation.rounds import RoundOutcome, run_round
from secure_fl.secagg.proofs import client as proofs_client
from secure_fl.secagg.proofs.deployment import CUSTODY

Small = Callable[..., Experiment]
Run = Callable[..., Result]
PROVEN: dict[str, Any] = {"scheme": "additive", "proofs": True, "banks": 4, "bits": 8}
KRUM: dict[str, Any] = {"scheme": "ckks", "robust": "multi-krum", "byzantine": 1, "banks": 6, "bits": 16}


def one_round(federation: Federation) -> RoundOutcome:
    model = federation.start.model
    robustness = federation.robustness
    return run_round(federation.aggregation, federation.banks, model, model.to_bytes(), 1, robustness=robustness)


def lie(monkeypatch: pytest.MonkeyPatch, bank: str, change: Callable[[Any], Any]) -> None:
    """That bank proves and sends other values than those that it was given, whatever their range."""
    honest = proofs_client.ProvingClient.__init__

    def start(client: Any, cohort: Any, name: str, *given: Any) -> None:
        honest(client, cohort, name, *given)
        if name == bank and cohort.round:
            client._inputs = change(client._inputs)

    monkeypatch.setattr(proofs_client.ProvingClient, "__init__", start)


@pytest.mark.slow
def test_proofs_change_nothing_in_the_model_but_that_banks_count_the_same(run_small: Run) -> None:
    proven, plain = run_small(**PROVEN, rounds=1), run_small(scheme="additive", banks=4, bits=8, rounds=1)
    assert proven.model is not None
    assert plain.model is not None
    assert np.abs(proven.model.weights - plain.model.weights).max() < 1e-2
    assert proven.rounds[0].clipped_fraction is None
    assert proven.rounds[0].max_abs_error is not None
    assert proven.rounds[0].quantization_step is not None
    assert proven.rounds[0].max_abs_error < proven.rounds[0].quantization_step
    assert not proven.rounds[0].refused


@pytest.mark.slow
def test_a_bank_that_proves_what_is_not_true_is_left_out_by_name(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def beyond(inputs: Any) -> Any:
        changed = inputs.copy()
        changed[7] = 9  # the highest bit of the first value
        return changed

    lie(monkeypatch, "bank-3", beyond)
    done = one_round(Federation.open(small(**PROVEN), None))
    assert done.dropped == ("bank-3",)
    assert "bank-3" in done.refused
    assert done.contributors == ("bank-1", "bank-2", "bank-4")
    assert done.max_abs_error is not None
    assert done.mean.step is not None
    assert done.max_abs_error < done.mean.step


@pytest.mark.slow
@pytest.mark.parametrize("settings", [PROVEN, KRUM], ids=["proofs", "distances"])
def test_honest_banks_scale_their_updates_down_to_the_norm_bound(settings: dict[str, Any], small: Small) -> None:
    federation = Federation.open(small(**settings, norm_bound=0.02), None)
    done = one_round(federation)
    updates = {bank.name: bank.train(1).update for bank in federation.banks}
    assert all(np.linalg.norm(update) > 0.03 for update in updates.values())
    chosen = [bank for bank in done.contributors if bank not in done.excluded]
    expected = np.mean([clipped_to_norm(updates[bank], 0.02) for bank in chosen], axis=0)
    assert not done.refused
    assert done.mean.step is not None
    assert np.abs(done.mean.update - expected).max() < done.mean.step
    assert done.max_abs_error is not None
    assert done.max_abs_error < done.mean.step


@pytest.mark.slow
def test_a_longer_update_is_refused_by_its_encrypted_norm(small: Small) -> None:
    federation = Federation.open(small(**KRUM, norm_bound=0.02), None)
    federation.banks[1]._experiment = federation.experiment.with_(norm_bound=1e3)
    done = one_round(federation)
    assert done.refused == {"bank-2": "its update is longer than the norm bound"}
    assert done.dropped == ("bank-2",)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [PROVEN, KRUM | {"bits": 8}], ids=["proofs", "distances"])
def test_a_lying_bank_is_taken_up_to_the_norm_bound_and_what_rounding_can_add(
    settings: dict[str, Any], small: Small
) -> None:
    """What custody warns of: three times a small bound passes, where a step is 1/255 of the range."""
    federation = Federation.open(small(**settings, norm_bound=0.02, initial_clip=0.05), None)
    assert any("up to the norm bound of 0.02 and 153 steps" in line for line in federation.custody.assumptions)
    federation.banks[1]._experiment = federation.experiment.with_(norm_bound=3 * 0.02)
    assert not one_round(federation).refused
    assert np.linalg.norm(federation.banks[1].train(1).update) > 0.06


def test_the_norm_bound_of_a_round_is_in_steps_of_its_range(small: Small) -> None:
    federation = Federation.open(small(**PROVEN, norm_bound=0.5, initial_clip=0.25), None)
    cohort = federation.aggregation.cohort(1, 10_369)
    checked = federation.robustness.checked(cohort, federation.start.model)
    steps = 0.5 / (2 * 0.25 / 255) + 1.5 * 10_369**0.5
    assert checked.plan.derived()["norm_bound"] == pytest.approx(steps)
    assert checked.plan.parameters == 10_369, "no count of clipped values travels"


def test_custody_is_that_of_proofs_and_says_what_round_zero_does_not_prove(small: Small) -> None:
    custody = Federation.open(small(**PROVEN), None).custody
    assert custody.can_decrypt == CUSTODY.can_decrypt
    assert custody.assumptions == (*CUSTODY.assumptions, ROUND_ZERO)
