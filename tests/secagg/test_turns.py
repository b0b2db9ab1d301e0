"""Turns rise, and one request of each is answered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.errors import ConfigurationError, ProtocolError
from secure_fl.secagg import plan
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import SESSION_BYTES, Cohort
from secure_fl.secagg.turns import OneAnswer, Turns, new_session

COHORT: Cohort[Plan] = Cohort(plan("plaintext", 3, 5, 8), 1, ("a", "b", "c"))
TURNS = st.tuples(st.sampled_from([bytes(15) + bytes([n]) for n in range(3)]), st.integers(0, 3), st.integers(1, 3))


def at(session: bytes, round_: int, attempt: int) -> Cohort[Plan]:
    return replace(COHORT, session=session, round=round_, attempt=attempt)


@given(st.lists(TURNS, max_size=12))
def test_turns_are_taken_in_rising_order_only_and_each_at_most_once(asked: list[tuple[bytes, int, int]]) -> None:
    turns, taken = Turns(), list[tuple[bytes, int, int]]()
    for turn in asked:
        if not taken or turn > taken[-1]:
            turns.take(at(*turn), "it")
            taken.append(turn)
        else:
            with pytest.raises(ProtocolError, match=r"does not go back|session that began before"):
                turns.take(at(*turn), "it")
    assert taken == sorted(set(taken))


def test_round_zero_comes_first() -> None:
    turns = Turns()
    turns.take(at(bytes(16), 0, 1), "it")
    turns.take(at(bytes(16), 0, 2), "it")
    turns.take(at(bytes(16), 1, 1), "it")


def test_sessions_rise_and_differ() -> None:
    sessions = [new_session() for _ in range(1000)]
    assert sessions == sorted(sessions)
    assert len({session[-8:] for session in sessions}) == 1000, "the random half"
    assert {len(session) for session in sessions} == {SESSION_BYTES}


@pytest.mark.parametrize(
    "change",
    [
        {"session": b""},
        {"session": bytes(17)},
        {"attempt": 0},
        {"attempt": -1},
        {"attempt": 2**32},
        {"round": -1},
        {"round": 2**32},
    ],
)
def test_a_cohort_without_session_or_attempt_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=";"):
        replace(COHORT, **change)


def test_the_same_request_is_answered_from_memory_and_any_other_one_refused() -> None:
    memory, computed = OneAnswer(), list[bytes]()

    def ask(cohort: Cohort[Plan], payload: bytes) -> bytes:
        def compute() -> bytes:
            computed.append(payload)
            return b"answer to " + payload

        return memory.answer(cohort, "the key authority", payload, compute)

    assert ask(COHORT, b"sum") == ask(COHORT, b"sum") == b"answer to sum"
    assert computed == [b"sum"]
    for other in (COHORT, replace(COHORT, context=b"another model"), replace(COHORT, round=0)):
        with pytest.raises(ProtocolError, match="does not go back"):
            ask(other, b"another sum")
    assert ask(COHORT, b"sum") == b"answer to sum", "a refusal forgets nothing"
    assert ask(replace(COHORT, attempt=2), b"another sum") == b"answer to another sum"
    with pytest.raises(ProtocolError, match="does not go back"):
        ask(COHORT, b"sum")


def test_a_request_that_fails_is_not_tried_again_in_its_attempt() -> None:
    memory = OneAnswer()

    def fails() -> bytes:
        raise ProtocolError("out of range; make a new attempt")

    with pytest.raises(ProtocolError, match="out of range"):
        memory.answer(COHORT, "it", b"sum", fails)
    with pytest.raises(ProtocolError, match="does not go back"):
        memory.answer(COHORT, "it", b"sum", lambda: b"fine")
    assert memory.answer(replace(COHORT, attempt=2), "it", b"sum", lambda: b"fine") == b"fine"


@pytest.mark.parametrize("change", [{"attempt": 2}, {"round": 2}, {"context": b"another model", "attempt": 2}])
def test_the_same_bytes_in_another_turn_are_another_request(change: dict[str, Any]) -> None:
    memory, later = OneAnswer(), replace(COHORT, **change)
    assert memory.answer(COHORT, "it", b"sum", lambda: b"old") == b"old"
    assert memory.answer(later, "it", b"sum", lambda: b"new") == b"new"
    with pytest.raises(ProtocolError, match="does not go back"):
        memory.answer(COHORT, "it", b"sum", lambda: b"old again")


def test_a_request_that_fails_is_not_answered_with_an_earlier_answer() -> None:
    memory, later = OneAnswer(), replace(COHORT, attempt=2)

    def fails() -> bytes:
        raise ProtocolError("out of range; make a new attempt")

    memory.answer(COHORT, "it", b"sum", lambda: b"fine")
    for refused in ("out of range", "does not go back"):
        with pytest.raises(ProtocolError, match=refused):
            memory.answer(later, "it", b"another sum", fails)


def test_answers_do_not_show() -> None:
    memory = OneAnswer()
    memory.answer(COHORT, "it", b"request", lambda: b"secret sum")
    assert "secret" not in repr(memory)
