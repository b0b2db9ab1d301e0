"""One bad party is one dropout, named; a failed attempt is followed by one without those to blame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.errors import DropoutError, MessageError, ProtocolError, SecretExposureError
from secure_fl.secagg import SCHEMES, plan
from secure_fl.secagg.attempts import Completed, attempt_sum
from secure_fl.secagg.messages import AGGREGATOR, HEADER_BYTES, Cohort, open_message, seal
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import Outcome, Party, SecureSum, run_protocol, to_blame
from secure_fl.secagg.transcript import Transcript
from secure_fl.secagg.turns import new_session

BANKS = tuple(f"bank-{number}" for number in range(1, 6))
BAD = "bank-2"
UPDATES: IntVector = np.random.default_rng(1).integers(0, 256, (5, 40))
Answer = Callable[[Cohort[Any], str, bytes], bytes]
Around = Callable[[Cohort[Any], str, Party], Party]


def sealed_garbage(size: int) -> Answer:
    """An envelope that is valid, around bytes that mean nothing."""

    def answer(cohort: Cohort[Any], stage: str, honest: bytes) -> bytes:
        return seal(cohort, stage, BAD, AGGREGATOR, np.random.default_rng(7).bytes(size))

    return answer


def same_size(cohort: Cohort[Any], stage: str, honest: bytes) -> bytes:
    return sealed_garbage(len(honest) - HEADER_BYTES)(cohort, stage, honest)


def refuse(cohort: Cohort[Any], stage: str, honest: bytes) -> bytes:
    raise MessageError(f"{BAD} does not like it; ask somebody else")


def cut_off(cohort: Cohort[Any], stage: str, honest: bytes) -> bytes:
    raise ConnectionResetError("gone")


GARBAGE: dict[str, Answer] = {
    "nothing": lambda cohort, stage, honest: b"",
    "no envelope": lambda cohort, stage, honest: bytes(200),
    "truncated": lambda cohort, stage, honest: honest[:-1],
    "an empty payload": sealed_garbage(0),
    "one byte": sealed_garbage(1),
    "as much garbage": same_size,
    "a refusal": refuse,
    "a broken line": cut_off,
}


@dataclass
class Spoilt:
    """A bank that answers one stage badly."""

    inner: Party
    cohort: Cohort[Any]
    stage: str
    answer: Answer

    def respond(self, request: bytes) -> bytes:
        stage = open_message(self.cohort, request, recipient=BAD, sender=AGGREGATOR).stage
        honest = self.inner.respond(request)
        return self.answer(self.cohort, stage, honest) if stage == self.stage else honest


class Silent:
    """A party that cannot be reached."""

    def respond(self, request: bytes) -> bytes:
        raise TimeoutError


@dataclass
class Sums:
    """A scheme with its keys made, and five banks; `around` says who of all parties misbehaves."""

    scheme: str
    around: Around
    transcript: Transcript = field(default_factory=Transcript)

    def run(self) -> Completed:
        scheme = SCHEMES[self.scheme]
        planned = plan(self.scheme, 5, UPDATES.shape[1], 8)
        deployed = scheme.deploy(planned)

        def once(cohort: Cohort[Any], left_out: Mapping[str, str]) -> Outcome:
            parties: dict[str, Party] = {
                bank: deployed.client(cohort, bank, row) for bank, row in zip(BANKS, UPDATES, strict=True)
            }
            parties |= deployed.trustees(cohort)
            parties = {name: self.around(cohort, name, party) for name, party in parties.items()}
            return run_protocol(cohort, deployed.server(cohort), parties, self.transcript, None, left_out)

        return attempt_sum(scheme.cohort(planned, 1, BANKS, b"model", new_session()), once)


def exact(done: Completed) -> bool:
    rows = [BANKS.index(bank) for bank in sorted(done.outcome.sum.contributors)]
    return bool((done.outcome.sum.total == UPDATES[rows].sum(axis=0)).all())


STAGES = [(scheme, stage) for scheme in SCHEMES for stage in SCHEMES[scheme].stages]
LATE = {"consistency_check", "unmask"}
"""Stages after the one in which values arrive: who fails in them is in the sum."""
UNSEEN = {("plaintext", "upload"), ("masked", "masked_input"), ("masked", "consistency_check")}
"""Garbage of the right size is a possible value there; or a signature, which banks check and need not have."""
ENCRYPTED = ("ckks", "bfv", "rlwe")
"""Any bytes of the right size are ciphertexts, which nobody can tell from honest ones but by the sum."""


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize(("scheme", "stage"), STAGES)
def test_a_bank_that_answers_badly_in_one_stage_is_named_and_the_sum_of_the_others_exact(
    scheme: str, stage: str, garbage: str
) -> None:
    def around(cohort: Cohort[Any], name: str, party: Party) -> Party:
        return Spoilt(party, cohort, stage, GARBAGE[garbage]) if name == BAD else party

    if garbage == "as much garbage" and scheme in ENCRYPTED:
        with pytest.raises(ProtocolError, match="the decrypted sum lies outside its range") as stopped:
            Sums(scheme, around).run()
        assert not stopped.value.refused, "nobody knows whose it was"
        return
    done = Sums(scheme, around).run()
    unseen = garbage == "as much garbage" and (scheme, stage) in UNSEEN
    assert set(done.refused) == (set() if unseen else {BAD})
    assert done.outcome.sum.contributors == set(BANKS) - (set() if unseen or stage in LATE else {BAD})
    assert exact(done) == (not unseen or stage in LATE)
    assert done.attempts <= 2


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_sum_that_fails_twice_and_succeeds_at_the_third_attempt_is_exact(scheme: str) -> None:
    def around(cohort: Cohort[Any], name: str, party: Party) -> Party:
        return Silent() if cohort.attempt < 3 and name in BANKS[:3] else party

    sums = Sums(scheme, around)
    done = sums.run()
    assert done.attempts == 3
    assert {delivery.attempt for delivery in sums.transcript.deliveries} == {1, 2, 3}
    assert exact(done)


@pytest.mark.parametrize("scheme", ["additive", *ENCRYPTED])
def test_a_trustee_whose_answer_is_lost_answers_the_next_attempt(scheme: str) -> None:
    class Lost:
        def __init__(self, inner: Party) -> None:
            self.inner = inner

        def respond(self, request: bytes) -> bytes:
            self.inner.respond(request)
            raise ConnectionError("lost on its way back")

    def around(cohort: Cohort[Any], name: str, party: Party) -> Party:
        return Lost(party) if cohort.attempt == 1 and name == SCHEMES[scheme].trustees[0] else party

    done = Sums(scheme, around).run()
    assert (done.attempts, done.refused) == (2, {})
    assert done.outcome.sum.contributors == set(BANKS)
    assert exact(done)


COHORT: Cohort[Any] = Cohort(plan("plaintext", 3, 5, 8), 1, ("a", "b", "c"))


def test_attempts_end_with_the_last_ones_error() -> None:
    tried: list[int] = []

    def once(cohort: Cohort[Any], left_out: Mapping[str, str]) -> Outcome:
        tried.append(cohort.attempt)
        raise DropoutError(f"attempt {cohort.attempt}; wait")

    with pytest.raises(DropoutError, match="attempt 4"):
        attempt_sum(COHORT, once, attempts=4)
    assert tried == [1, 2, 3, 4]


def test_who_is_to_blame_is_left_out_of_later_attempts_and_only_banks_are() -> None:
    seen: list[dict[str, str]] = []

    def once(cohort: Cohort[Any], left_out: Mapping[str, str]) -> Outcome:
        seen.append(dict(left_out))
        raise ProtocolError("no; again", {"b": f"wrong in {cohort.attempt}", "key-authority": "silent"})

    with pytest.raises(ProtocolError):
        attempt_sum(COHORT, once, attempts=2)
    assert seen == [{}, {"b": "wrong in 1"}]


def test_who_cannot_be_left_out_is_asked_again() -> None:
    """Where too few would be left without it: a message may have been damaged on its way."""
    seen: list[dict[str, str]] = []

    def once(cohort: Cohort[Any], left_out: Mapping[str, str]) -> Outcome:
        seen.append(dict(left_out))
        raise ProtocolError("no; again", {"b": f"wrong in {cohort.attempt}"})

    with pytest.raises(ProtocolError) as raised:
        attempt_sum(COHORT, once, attempts=3, left_out={"c": "did not train"})
    assert seen == [{"c": "did not train"}] * 3
    assert raised.value.refused == {"b": "wrong in 3", "c": "did not train"}


def test_who_was_away_in_a_failed_attempt_is_named_and_asked_again() -> None:
    seen: list[set[str]] = []

    def once(cohort: Cohort[Any], left_out: Mapping[str, str]) -> Outcome:
        seen.append(set(left_out))
        if cohort.attempt == 1:
            error = ProtocolError("no; again")
            error.absent = {"c": "gone"}
            raise error
        return Outcome(SecureSum(np.zeros(1), frozenset("abc")), {}, 0.0)

    done = attempt_sum(COHORT, once)
    assert seen == [set(), set()]
    assert done.refused == {"c": "gone"}


def test_of_several_reasons_the_last_attempts_is_told() -> None:
    def once(cohort: Cohort[Any], left_out: Mapping[str, str]) -> Outcome:
        if cohort.attempt == 1:
            error = ProtocolError("no; again")
            error.absent = {"b": "gone", "c": "gone"}
            raise error
        return Outcome(SecureSum(np.zeros(1), frozenset("ab")), {}, 0.0, {"c": "sent garbage"})

    assert attempt_sum(COHORT, once).refused == {"b": "gone", "c": "sent garbage"}


def test_an_exposed_secret_is_no_reason_to_try_again() -> None:
    tried: list[int] = []

    def once(cohort: Cohort[Any], left_out: Mapping[str, str]) -> Outcome:
        tried.append(cohort.attempt)
        raise SecretExposureError("a secret key; stop")

    with pytest.raises(SecretExposureError):
        attempt_sum(COHORT, once, attempts=3)
    assert tried == [1]


PAIRS = st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda pair: pair[0] != pair[1])


@given(st.sets(PAIRS, min_size=1))
def test_after_the_blame_nobody_is_left_who_blames_another_who_is_left(quarrels: set[tuple[int, int]]) -> None:
    blames: dict[str, dict[str, str]] = {}
    for accuser, accused in quarrels:
        blames.setdefault(f"bank-{accuser}", {})[f"bank-{accused}"] = "sent garbage"
    out = to_blame(blames)
    assert all(f"bank-{a}" in out or f"bank-{b}" in out for a, b in quarrels)
    assert all(out.values())


@given(st.integers(0, 6), st.booleans())
def test_one_bank_that_lies_to_all_or_about_all_goes_alone(liar: int, sends: bool) -> None:
    others = [f"bank-{number}" for number in range(7) if number != liar]
    name = f"bank-{liar}"
    blames = {other: {name: "garbage"} for other in others} if sends else {name: dict.fromkeys(others, "garbage")}
    assert set(to_blame(blames)) == {name}


def test_of_two_that_stand_against_each_other_both_go() -> None:
    assert set(to_blame({"bank-1": {"bank-2": "garbage"}})) == {"bank-1", "bank-2"}


@pytest.mark.parametrize("lies", [True, False], ids=["the accuser lies", "the accused did it"])
def test_with_three_banks_first_the_accused_is_left_out_and_then_the_accuser(lies: bool) -> None:
    """Two must be left: without both sides of a quarrel there would be one."""
    seen: list[set[str]] = []

    def once(cohort: Cohort[Any], left_out: Mapping[str, str]) -> Outcome:
        seen.append(set(left_out))
        others = [bank for bank in ("b", "c") if bank not in left_out]
        if "a" not in left_out and (lies or "b" not in left_out):
            error = ProtocolError("no; again")
            error.quarrels = {"a": {others[0]: "sent garbage"}}
            error.refused = to_blame(error.quarrels)
            raise error
        return Outcome(SecureSum(np.zeros(1), frozenset("abc") - set(left_out)), {}, 0.0)

    done = attempt_sum(COHORT, once)
    assert seen == ([set(), {"b"}, {"a"}] if lies else [set(), {"b"}])
    assert done.outcome.sum.contributors == ({"b", "c"} if lies else {"a", "c"})
    assert ("a" if lies else "b") in done.refused


@pytest.mark.parametrize("then", ["silent", "garbage", "a lie", "a wrong share"])
@pytest.mark.parametrize("banks", [3, 4])
def test_a_liar_among_few_banks_cannot_spoil_every_attempt(banks: int, then: str) -> None:
    """It accuses another, and when that one is left out, it fails otherwise: is silent, sends garbage, lies again."""
    names = tuple("abcd"[:banks])
    cohort: Cohort[Any] = Cohort(plan("masked", banks, 5, 8), 1, names)
    assert banks - 2 < cohort.plan.threshold

    def once(attempt: Cohort[Any], left_out: Mapping[str, str]) -> Outcome:
        others = [bank for bank in names[1:] if bank not in left_out]
        if "a" in left_out:
            return Outcome(SecureSum(np.zeros(1), frozenset(others)), {}, 0.0)
        error = ProtocolError("no; again")
        if attempt.attempt == 1 or then == "a lie":
            error.quarrels = {"a": {others[0]: "sent garbage"}}
        elif then == "garbage":
            error.quarrels = {others[0]: {"a": "sent garbage"}}
        wrong_share = attempt.attempt > 1 and then == "a wrong share"  # among the fewest, its owner is blamed for it
        error.refused = {others[0]: "its shares do not open it"} if wrong_share else to_blame(error.quarrels)
        raise error

    assert attempt_sum(cohort, once).outcome.sum.contributors == set(names) - {"a"}


def test_where_just_enough_banks_are_left_both_sides_of_a_quarrel_go() -> None:
    """Five banks, of whom three are needed."""
    seen: list[set[str]] = []

    def once(cohort: Cohort[Any], left_out: Mapping[str, str]) -> Outcome:
        seen.append(set(left_out))
        if not left_out:
            error = ProtocolError("no; again")
            error.quarrels = {"bank-1": {"bank-2": "sent garbage"}}
            error.refused = to_blame(error.quarrels)
            raise error
        return Outcome(SecureSum(np.zeros(1), frozenset(BANKS) - set(left_out)), {}, 0.0)

    planned = plan("plaintext", 5, 5, 8)
    assert planned.threshold == 3
    attempt_sum(Cohort(planned, 1, BANKS), once)
    assert seen == [set(), {"bank-1", "bank-2"}]


def test_the_last_error_names_all_that_were_left_out_before() -> None:
    def once(cohort: Cohort[Any], left_out: Mapping[str, str]) -> Outcome:
        raise ProtocolError("no; again", {"c": "garbage"} if cohort.attempt == 1 else {})

    with pytest.raises(ProtocolError) as caught:
        attempt_sum(COHORT, once, attempts=2)
    assert caught.value.refused == {"c": "garbage"}
