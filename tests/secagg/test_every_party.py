"""What holds for every party of every scheme: a request or an answer that is meant for something else is refused by
name, and a bank takes no values but those that the plan is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import ConfigurationError, DropoutError, MessageError
from secure_fl.secagg import SCHEMES, plan
from secure_fl.secagg.budget import FLOAT32
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.protocol import Outcome, Party, run_protocol
from secure_fl.secagg.transcript import Transcript

BANKS = ("bank-1", "bank-2", "bank-3", "bank-4")
VALUES = np.random.default_rng(5).integers(0, 256, (4, 30))
TRUSTEES_STAGE = {"additive": "sum_shares", "ckks": "decrypt", "bfv": "decrypt", "rlwe": "decrypt"}
EVERY_STAGE = sorted({stage for scheme in SCHEMES.values() for stage in scheme.stages} | {*TRUSTEES_STAGE.values(), ""})

Sealed = Iterator[tuple[str, bytes]]
"""What is wrong with it, as the refusal says, and the bytes."""


def cohort_of(scheme: str) -> Cohort[Any]:
    return SCHEMES[scheme].cohort(plan(scheme, 4, 30, 8), 3, BANKS, b"model", b"a session of now")


def meant_for_something_else(cohort: Cohort[Any], stage: str, sender: str, recipient: str, payload: bytes) -> Sealed:
    """One message, as it would be sealed for every other stage, party and cohort."""
    for other in EVERY_STAGE:
        if other != stage:
            yield f"{other!r}", seal(cohort, other, sender, recipient, payload)
    for other in cohort.parties:
        if other != sender:
            yield "names another sender or recipient", seal(cohort, stage, other, recipient, payload)
        if other != recipient:
            yield "names another sender or recipient", seal(cohort, stage, sender, other, payload)
    for problem, change in {
        "belongs to round 4, attempt 1 instead": {"round": 4},
        "belongs to round 3, attempt 2 instead": {"attempt": 2},
        "belongs to another session": {"session": b"another session!"},
        "belongs to another cohort, plan or model": {"context": b"another model"},
    }.items():
        yield problem, seal(replace(cohort, **change), stage, sender, recipient, payload)  # type: ignore[arg-type]


def run(cohort: Cohort[Any], around: Callable[[str, Party], Party]) -> Outcome:
    deployed = SCHEMES[cohort.plan.scheme].deploy(cohort.plan)
    clients = {bank: deployed.client(cohort, bank, row) for bank, row in zip(BANKS, VALUES, strict=True)}
    parties = {name: around(name, party) for name, party in {**clients, **deployed.trustees(cohort)}.items()}
    return run_protocol(cohort, deployed.server(cohort), parties, Transcript())


class Pestered:
    """A party that is asked everything that it should not answer before it is asked what it should."""

    def __init__(self, cohort: Cohort[Any], name: str, party: Party) -> None:
        self._cohort, self._name, self._party = cohort, name, party
        self.stages: list[str] = []

    def respond(self, request: bytes) -> bytes:
        asked = open_message(self._cohort, request, recipient=self._name, sender=AGGREGATOR)
        for problem, other in meant_for_something_else(
            self._cohort, asked.stage, AGGREGATOR, self._name, bytes(asked.payload)
        ):
            with pytest.raises(MessageError) as refused:
                self._party.respond(other)
            stated = problem in str(refused.value) or (
                problem.strip("'") in EVERY_STAGE and "out of turn" in str(refused.value)
            )
            assert stated, f"{self._name} in {asked.stage}: {refused.value}"
        self.stages.append(asked.stage)
        return self._party.respond(request)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_party_answers_the_aggregators_request_of_its_stage_and_cohort_only(scheme: str) -> None:
    cohort = cohort_of(scheme)
    pestered: dict[str, Pestered] = {}

    def around(name: str, party: Party) -> Party:
        pestered[name] = Pestered(cohort, name, party)
        return pestered[name]

    outcome = run(cohort, around)
    assert outcome.sum.total.tolist() == VALUES.sum(axis=0).tolist(), "and none of it leaves a trace"
    asked = {name: tuple(party.stages) for name, party in pestered.items()}
    trustees = dict.fromkeys(SCHEMES[scheme].trustees, (TRUSTEES_STAGE.get(scheme, ""),))
    assert asked == dict.fromkeys(BANKS, SCHEMES[scheme].stages) | trustees


class Misdirected:
    """A party that seals its answer of one stage for something else."""

    def __init__(self, cohort: Cohort[Any], name: str, party: Party, stage: str, number: int) -> None:
        self._cohort, self._name, self._party, self._stage, self._number = cohort, name, party, stage, number
        self.problem = ""

    def respond(self, request: bytes) -> bytes:
        answer = self._party.respond(request)
        opened = open_message(self._cohort, answer, recipient=AGGREGATOR, sender=self._name)
        if opened.stage != self._stage:
            return answer
        others = list(
            meant_for_something_else(self._cohort, opened.stage, self._name, AGGREGATOR, bytes(opened.payload))
        )
        self.problem, other = others[self._number % len(others)]
        return other


def with_one_misdirected(cohort: Cohort[Any], name: str, stage: str, number: int) -> tuple[str, Outcome | DropoutError]:
    """What is wrong with an answer of one party, and the sum with it."""
    bad: list[Misdirected] = []

    def around(party: str, inner: Party) -> Party:
        if party != name:
            return inner
        bad.append(Misdirected(cohort, name, inner, stage, number))
        return bad[0]

    try:
        outcome = run(cohort, around)
    except DropoutError as error:
        return bad[0].problem, error
    return bad[0].problem, outcome


DIFFERENT = range(len(list(meant_for_something_else(cohort_of("additive"), "upload", "bank-2", AGGREGATOR, b""))))


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "stage"), [(name, stage) for name in SCHEMES for stage in SCHEMES[name].stages])
def test_an_answer_that_is_meant_for_something_else_is_that_banks_dropout(scheme: str, stage: str) -> None:
    cohort = cohort_of(scheme)
    for number in DIFFERENT:
        problem, outcome = with_one_misdirected(cohort, "bank-2", stage, number)
        assert isinstance(outcome, Outcome), outcome
        assert set(outcome.refused) == {"bank-2"}
        assert problem in outcome.refused["bank-2"]
        rows = [BANKS.index(bank) for bank in sorted(outcome.sum.contributors)]
        assert len(rows) >= 3
        assert outcome.sum.total.tolist() == VALUES[rows].sum(axis=0).tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "trustee"), [(scheme, trustee) for scheme in SCHEMES for trustee in SCHEMES[scheme].trustees]
)
def test_without_a_trustees_answer_of_this_sum_there_is_none_and_the_error_says_whose_is_missing(
    scheme: str, trustee: str
) -> None:
    cohort = cohort_of(scheme)
    for number in DIFFERENT:
        problem, error = with_one_misdirected(cohort, trustee, TRUSTEES_STAGE[scheme], number)
        assert isinstance(error, DropoutError), error
        assert problem in error.refused[trustee]
        assert f"{trustee}: " in str(error)
        assert problem in str(error)
        assert "so make a new attempt" in str(error)


WRONG_VALUES = {
    "too short": VALUES[0, :-1],
    "too long": np.append(VALUES[0], 1),
    "none": VALUES[0, :0],
    "a column": VALUES[0][:, None],
    "a row": VALUES[:1],
    "floats": VALUES[0].astype(np.float64),
    "float32": VALUES[0].astype(np.float32),
    "truths": VALUES[0] > 7,
    "one beyond the plan": np.where(np.arange(30) == 29, 256, VALUES[0]),
    "one below zero": np.where(np.arange(30) == 0, -1, VALUES[0]),
}


@pytest.mark.parametrize("values", WRONG_VALUES.values(), ids=WRONG_VALUES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_bank_takes_values_that_the_plan_is_not_for(scheme: str, values: Any) -> None:
    cohort = cohort_of(scheme)
    with pytest.raises(ConfigurationError, match="; "):
        SCHEMES[scheme].deploy(cohort.plan).client(cohort, "bank-1", values)


@pytest.mark.parametrize("values", [VALUES[0], VALUES[0, :-1].astype(np.float32), VALUES[:1].astype(np.float32)])
def test_no_bank_takes_integers_or_another_length_for_float32(values: Any) -> None:
    cohort = SCHEMES["plaintext"].cohort(plan("plaintext", 4, 30, FLOAT32), 1, BANKS)
    with pytest.raises(ConfigurationError, match="; "):
        SCHEMES["plaintext"].deploy(cohort.plan).client(cohort, "bank-1", values)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_largest_and_the_smallest_value_of_the_plan_are_taken(scheme: str) -> None:
    cohort = cohort_of(scheme)
    for value in (0, 255):
        SCHEMES[scheme].deploy(cohort.plan).client(cohort, "bank-1", np.full(30, value))
