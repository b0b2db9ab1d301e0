"""What the rounds share: the broadcast model, one transcript, and sums that belong to one model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from secure_fl import Experiment
from secure_fl.errors import DropoutError, RequestError
from secure_fl.federation.aggregation import SecureAggregation

Small = Callable[..., Experiment]
SCHEMES = ("plaintext", "ckks")


def integers(aggregation: SecureAggregation, length: int = 50) -> dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    rng = np.random.default_rng(1)
    return {name: rng.integers(0, 2**16, length) for name in aggregation.experiment.bank_names}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_sums_are_exact_in_every_round_and_length(scheme: str, small: Small) -> None:
    aggregation = SecureAggregation(small(scheme=scheme), longest=5_000)
    for round_, length in ((0, 20), (1, 5_000), (2, 1)):
        cohort = aggregation.cohort(round_, length)
        values = integers(aggregation, length)
        clients = {name: aggregation.client(cohort, name, vector) for name, vector in values.items()}
        total = aggregation.attempt(cohort, clients).sum.total
        assert total.tolist() == np.sum(list(values.values()), axis=0).tolist()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_upload_for_another_model_is_refused(scheme: str, small: Small) -> None:
    aggregation = SecureAggregation(small(scheme=scheme), longest=50)
    stale, current = (aggregation.cohort(1, 50, context=model) for model in (b"old model", b"new model"))
    clients = {name: aggregation.client(current, name, vector) for name, vector in integers(aggregation).items()}
    clients["bank-2"] = aggregation.client(stale, "bank-2", integers(aggregation)["bank-2"])
    outcome = aggregation.attempt(current, clients)
    assert outcome.sum.contributors == {"bank-1", "bank-3"}
    assert "another cohort, plan or model" in outcome.refused["bank-2"]


def test_a_broadcast_reaches_every_bank_and_the_transcript(small: Small) -> None:
    aggregation = SecureAggregation(small(scheme="plaintext"), longest=50)
    received = aggregation.broadcast(aggregation.cohort(3, 50), b"the model")
    assert {name: bytes(payload) for name, payload in received.items()} == dict.fromkeys(
        ("bank-1", "bank-2", "bank-3"), b"the model"
    )
    sent = [(d.round, d.stage, d.sender, d.recipient) for d in aggregation.transcript.deliveries]
    assert sent == [(3, "broadcast", "aggregator", f"bank-{n}") for n in (1, 2, 3)]


def test_banks_vanish_in_their_round_only(small: Small) -> None:
    drop = ("bank-2@1:upload", "bank-1@2:upload", "bank-3@2:upload")
    aggregation = SecureAggregation(small(scheme="plaintext", drop=drop), longest=50)
    assert aggregation.dropping(1) == {"bank-2": "upload"}
    assert aggregation.dropping(0) == {}
    for round_, contributors in ((0, 3), (1, 2)):
        cohort = aggregation.cohort(round_, 50)
        clients = {name: aggregation.client(cohort, name, vector) for name, vector in integers(aggregation).items()}
        assert len(aggregation.attempt(cohort, clients).sum.contributors) == contributors
    cohort = aggregation.cohort(2, 50)
    clients = {name: aggregation.client(cohort, name, vector) for name, vector in integers(aggregation).items()}
    with pytest.raises(DropoutError, match="only 1 of 3 banks"):
        aggregation.attempt(cohort, clients)


@pytest.mark.parametrize(
    "settings",
    [{"threshold": 1}, {"threshold": 4}, {"banks": 10_000, "bits": 24, "scheme": "ckks"}],
    ids=["too few", "too many", "no room in a slot"],
)
def test_what_cannot_work_is_refused_before_anything_runs(small: Small, settings: dict[str, object]) -> None:
    with pytest.raises(RequestError, match=";"):
        SecureAggregation(small(**settings), longest=10_369)


def test_every_federation_has_a_session_of_its_own_and_all_its_cohorts_carry_it(small: Small) -> None:
    one, other = (SecureAggregation(small(scheme="masked"), longest=50) for _ in range(2))
    assert one.cohort(0, 20).session == one.cohort(3, 50, b"model").session
    assert one.cohort(1, 50).session != other.cohort(1, 50).session
