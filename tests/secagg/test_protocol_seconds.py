"""Where the time of a secure sum goes: parties and a server half that let a clock of the tests' own move."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from secure_fl.secagg import SCHEMES
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Attendance, Outcome, SecureSum, ServerHalf, request, run_protocol
from secure_fl.secagg.transcript import Transcript

if TYPE_CHECKING:
    from tests.conftest import FakeClock

CohortFactory = Callable[..., Cohort[Any]]
ANSWER = {"bank-1": 1, "bank-2": 20, "bank-3": 300}
BEFORE, EACH_REPLY, AFTER, HASHING = 4_000, 50_000, 600_000, 7_000_000


class SlowBank:
    """Takes its time for every answer."""

    def __init__(self, name: str, cohort: Cohort[Any], clock: FakeClock) -> None:
        self._name, self._clock = name, clock
        values = np.ones(cohort.plan.parameters, dtype=np.int64)
        self._party = SCHEMES["plaintext"].deploy(cohort.plan).client(cohort, name, values)

    def respond(self, request: bytes) -> bytes:
        self._clock.spend(self._name, ANSWER[self._name])
        return self._party.respond(request)


def slow_server(cohort: Cohort[Any], clock: FakeClock) -> ServerHalf:
    """Works before it asks, on every reply as it comes, and at the end."""
    clock.spend("server", BEFORE)
    asked = request(cohort, "upload", cohort.banks)
    contributors = set()
    for bank, _ in Attendance(cohort).answers(asked, (yield asked), lambda _, payload: payload):
        clock.spend("server", EACH_REPLY)
        contributors.add(bank)
    clock.spend("server", AFTER)
    return SecureSum(np.ones(1), frozenset(contributors))


@pytest.fixture
def run(make_cohort: CohortFactory, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """One sum of three slow banks, with a transcript that is slow too."""
    record = Transcript.record

    def slow_record(*arguments: Any) -> None:
        clock.spend("transcript", HASHING)
        record(*arguments)

    def one_sum(drop: dict[str, str] | None = None) -> Outcome:
        cohort = make_cohort("plaintext")
        parties = {bank: SlowBank(bank, cohort, clock) for bank in cohort.banks}
        return run_protocol(cohort, slow_server(cohort, clock), parties, Transcript(), drop, clock=clock)

    monkeypatch.setattr(Transcript, "record", slow_record)
    return one_sum


def test_each_party_is_charged_what_it_spent(run: Callable[..., Outcome]) -> None:
    assert run().party_seconds == ANSWER


def test_the_server_is_charged_all_of_its_work_and_nobody_elses(run: Callable[..., Outcome], clock: FakeClock) -> None:
    assert run().server_seconds == BEFORE + 3 * EACH_REPLY + AFTER == clock.spent["server"]
    assert clock.spent["transcript"] == 6 * HASHING


def test_who_does_not_answer_costs_nothing(run: Callable[..., Outcome], clock: FakeClock) -> None:
    outcome = run({"bank-2": "upload"})
    assert outcome.party_seconds == {bank: ANSWER[bank] for bank in ("bank-1", "bank-3")}
    assert outcome.server_seconds == BEFORE + 2 * EACH_REPLY + AFTER
    assert clock.spent["bank-2"] == 0


@pytest.mark.parametrize("scheme", SCHEMES)
def test_of_every_scheme_all_time_is_charged_to_somebody_once(
    scheme: str, make_cohort: CohortFactory, clock: FakeClock
) -> None:
    """Server halves that ask several times, and trustees: each answer takes a second, nothing else takes any."""
    cohort = make_cohort(scheme)
    deployed = SCHEMES[scheme].deploy(cohort.plan)
    values = np.ones(cohort.plan.parameters, dtype=np.int64)
    parties: dict[str, Any] = {bank: deployed.client(cohort, bank, values) for bank in cohort.banks}
    parties |= deployed.trustees(cohort)

    class Slow:
        def __init__(self, name: str) -> None:
            self.name = name

        def respond(self, request: bytes) -> bytes:
            clock.spend(self.name, 1)
            answer: bytes = parties[self.name].respond(request)
            return answer

    outcome = run_protocol(
        cohort, deployed.server(cohort), {name: Slow(name) for name in parties}, Transcript(), clock=clock
    )
    assert outcome.party_seconds == clock.spent
    assert set(clock.spent) == set(parties)
    assert outcome.server_seconds == 0
