"""What the rounds share: the broadcast model, one transcript, and sums that belong to one model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from secure_fl import Experiment
from secure_fl.errors import DropoutError, PlanError, ProtocolError, RequestError
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.secagg import SCHEMES as EVERY_SCHEME
from secure_fl.secagg import plan
from secure_fl.secagg.budget import Committee, Plan
from secure_fl.secagg.messages import Cohort, seal
from secure_fl.secagg.planning import plan_with_noise
from secure_fl.secagg.protocol import Party

if TYPE_CHECKING:
    from tests.conftest import FakeClock

Small = Callable[..., Experiment]
SCHEMES = ("plaintext", "ckks")
WITH_COMMITTEE = [name for name, scheme in EVERY_SCHEME.items() if scheme.with_committee is not None]


def integers(aggregation: SecureAggregation, length: int = 50) -> dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    rng = np.random.default_rng(1)
    return {name: rng.integers(0, 2**16, length) for name in aggregation.settings.bank_names}


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


@pytest.mark.parametrize("scheme", WITH_COMMITTEE)
def test_noisy_sums_have_the_committee_that_settings_ask_for(scheme: str, small: Small) -> None:
    aggregation = SecureAggregation(
        small(scheme=scheme, bits=8, holders=4, quorum=3), longest=30, noise_multiplier=2.0, noisy=20
    )
    planned, noise = plan_with_noise(scheme, 3, 20, 2.0, 8, longest=30, holders=4, quorum=3)
    assert (aggregation.plan, aggregation.noise) == (planned, noise)
    assert planned.committee == Committee(4, 3)
    assert planned == plan(scheme, 3, 30, noise.value_bits, holders=4, quorum=3)
    cohort = aggregation.cohort(1, 20)
    values = integers(aggregation, 20)
    clients = {name: aggregation.client(cohort, name, vector % 256) for name, vector in values.items()}
    total = aggregation.attempt(cohort, clients).sum.total
    assert total.tolist() == np.sum([vector % 256 for vector in values.values()], axis=0).tolist()


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


def test_the_plan_is_that_of_the_settings(small: Small) -> None:
    experiment = small(scheme="masked", banks=6, bits=11, threshold=5)
    aggregation = SecureAggregation(experiment, longest=700)
    assert aggregation.plan == plan("masked", 6, 700, bits=11, threshold=5)
    assert aggregation.noise is None
    noisy = SecureAggregation(experiment, longest=700, noise_multiplier=0.7)
    assert (noisy.plan, noisy.noise) == plan_with_noise("masked", 6, 700, 0.7, bits=11, threshold=5)


def test_a_cohort_has_all_banks_a_plan_of_its_length_and_the_model(small: Small) -> None:
    aggregation = SecureAggregation(small(scheme="additive", banks=4), longest=700)
    cohort = aggregation.cohort(3, 20, b"model")
    assert (cohort.round, cohort.attempt, cohort.context) == (3, 1, b"model")
    assert cohort.plan == aggregation.plan.resized(20) != aggregation.plan
    assert cohort.banks == aggregation.settings.bank_names == ("bank-1", "bank-2", "bank-3", "bank-4")
    assert cohort.trustees == EVERY_SCHEME["additive"].trustees
    with pytest.raises(PlanError):
        aggregation.cohort(3, 701)


def test_the_transcript_begins_with_the_setup_in_round_zero(small: Small) -> None:
    aggregation = SecureAggregation(small(scheme="ckks"), longest=50)
    sent = [(d.round, d.stage, d.sender, d.recipient) for d in aggregation.transcript.deliveries]
    way = [("key-authority", "aggregator"), *(("aggregator", f"bank-{n}") for n in (1, 2, 3))]
    assert sent == [(0, "public_key", *pair) for pair in way]


def test_a_broadcast_is_recorded_as_what_each_bank_was_sent(small: Small) -> None:
    aggregation = SecureAggregation(small(scheme="plaintext"), longest=50)
    cohort = aggregation.cohort(3, 50)
    aggregation.broadcast(cohort, b"the model")
    for delivery in aggregation.transcript.deliveries:
        sent = seal(cohort, "broadcast", "aggregator", delivery.recipient, b"the model")
        assert (delivery.nbytes, delivery.sha256) == (len(sent), hashlib.sha256(sent).hexdigest())


class Refuses:
    """A bank that does not answer, because of others."""

    def __init__(self, accused: Mapping[str, str]) -> None:
        self._accused = accused

    def respond(self, request: bytes) -> bytes:
        raise ProtocolError("cannot go on; ask the others", self._accused)


def test_a_sum_is_attempted_again_with_clients_of_that_attempt_and_without_who_was_left_out_or_blamed(
    small: Small, clock: FakeClock
) -> None:
    """Bank 5 has nothing to add; in the first attempt banks 1 and 2 blame bank 3."""
    aggregation = SecureAggregation(small(scheme="plaintext", banks=5), longest=50)
    made: list[Cohort[Plan]] = []
    values = integers(aggregation)

    class Slow:
        def __init__(self, party: Party, name: str) -> None:
            self._party, self._name = party, name

        def respond(self, request: bytes) -> bytes:
            clock.spend(self._name, 3)
            return self._party.respond(request)

    def clients(cohort: Cohort[Plan]) -> dict[str, Party]:
        made.append(cohort)
        parties: dict[str, Party] = {
            name: Slow(aggregation.client(cohort, name, vector), name) for name, vector in values.items()
        }
        if cohort.attempt == 1:
            parties |= dict.fromkeys(("bank-1", "bank-2"), Refuses({"bank-3": "it sent garbage"}))
        return parties

    cohort = aggregation.cohort(1, 50, b"model")
    done = aggregation.sum(cohort, clients, {"bank-5": "it did not train"}, clock)
    assert made == [cohort, replace(cohort, attempt=2)]
    assert done.attempts == 2
    assert done.refused == {"bank-3": "it sent garbage", "bank-5": "it did not train"}
    assert done.outcome.sum.contributors == {"bank-1", "bank-2", "bank-4"}
    assert done.outcome.sum.total.tolist() == (values["bank-1"] + values["bank-2"] + values["bank-4"]).tolist()
    assert done.outcome.party_seconds == dict.fromkeys(("bank-1", "bank-2", "bank-4"), 3)
    asked = {(d.attempt, d.recipient) for d in aggregation.transcript.deliveries if d.sender == "aggregator"}
    assert asked == {(1, f"bank-{n}") for n in (1, 2, 3, 4)} | {(2, f"bank-{n}") for n in (1, 2, 4)}


@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_a_sum_is_attempted_as_often_as_the_settings_say(small: Small, attempts: int) -> None:
    aggregation = SecureAggregation(small(scheme="plaintext", attempts=attempts), longest=50)
    made: list[int] = []

    def clients(cohort: Cohort[Plan]) -> dict[str, Party]:
        made.append(cohort.attempt)
        return dict.fromkeys(cohort.banks, Refuses({}))

    with pytest.raises(DropoutError):
        aggregation.sum(aggregation.cohort(1, 50), clients)
    assert made == list(range(1, attempts + 1))
