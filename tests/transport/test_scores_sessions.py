"""The model owner's half for many customers: what is answered once, to whom, and what memory holds."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from secure_fl.errors import DataError, MessageError, SecretExposureError, StorageError
from secure_fl.files import sealed
from secure_fl.scoring import DataOwner, PlannedModel
from secure_fl.secagg.hazmat.he_words import saved
from secure_fl.transport.requests import RefusedError
from secure_fl.transport.scores import allowance
from secure_fl.transport.scores.allowance import ANSWERS, Allowance
from secure_fl.transport.scores.refusals import ANOTHER, ANSWERED, GONE, SPENT
from secure_fl.transport.scores.sessions import Sessions
from tests.scoring.scene import planned, random_rows

ROWS = random_rows(np.random.default_rng(1), 5, 3)


@pytest.fixture(scope="module")
def model() -> PlannedModel:
    return planned(1, (3, 1))


def opened(sessions: Sessions, model: PlannedModel, customer: str = "corner") -> DataOwner:
    owner = DataOwner(model.plan)
    sessions.open(customer, owner.keys())
    return owner


def request(owner: DataOwner) -> bytes:
    return next(owner.encrypt(ROWS))


def test_a_batch_that_comes_again_gets_the_very_answer_and_counts_once(model: PlannedModel, tmp_path: Path) -> None:
    sessions = Sessions(model, 4, Allowance(tmp_path, 2))
    owner = opened(sessions, model)
    first, second, third = (request(owner) for _ in range(3))
    answer = sessions.answer("corner", first)
    assert sessions.answer("corner", first) == answer
    assert np.allclose(owner.open(answer), model.network.logits(ROWS), atol=model.plan.error_bound)
    assert sessions.answer("corner", second) != answer
    with pytest.raises(RefusedError, match=ANSWERED):
        sessions.answer("corner", first)
    with pytest.raises(RefusedError, match=SPENT):
        sessions.answer("corner", third)
    assert sessions.answer("corner", second), "the last answer is there again, for nothing"


def test_another_batch_under_the_number_of_one_that_was_answered_is_refused(model: PlannedModel) -> None:
    sessions, owner = Sessions(model, 4), DataOwner(model.plan)
    sessions.open("corner", owner.keys())
    sessions.answer("corner", request(owner))
    with pytest.raises(RefusedError, match=ANSWERED):
        sessions.answer("corner", _again(owner))


def test_a_session_is_there_for_nobody_but_its_customer(model: PlannedModel) -> None:
    sessions = Sessions(model, 4)
    owner = DataOwner(model.plan)
    keys = owner.keys()
    sessions.open("corner", keys)
    asked = request(owner)
    with pytest.raises(RefusedError, match=GONE):
        sessions.answer("other", asked)
    sessions.open("other", keys)  # a copy of what travelled: its own session, which changes nothing
    sessions.answer("other", asked)
    assert owner.open(sessions.answer("corner", asked)) is not None
    assert len(sessions) == 2


def test_the_same_keys_again_change_nothing_and_others_do_not_take_their_place() -> None:
    squares = planned(2, (3, 2, 1))
    sessions, owner = Sessions(squares, 4), DataOwner(squares.plan)
    keys = owner.keys()
    sessions.open("corner", keys)
    sessions.answer("corner", request(owner))
    sessions.open("corner", keys)
    with pytest.raises(RefusedError, match=ANSWERED):
        sessions.answer("corner", _again(owner))
    with pytest.raises(RefusedError, match=ANOTHER):
        sessions.open("corner", owner.keys())  # drawn anew, under the same number


def _again(owner: DataOwner) -> bytes:
    """Another batch 0."""
    owner._next_batch = 0
    return request(owner)


def test_a_customer_loses_its_oldest_session_and_nobody_else_s(model: PlannedModel) -> None:
    sessions = Sessions(model, 4)
    other = opened(sessions, model, "other")
    first, second, third = (opened(sessions, model) for _ in range(3))
    with pytest.raises(RefusedError, match=GONE):
        sessions.answer("corner", request(first))
    for customer, owner in (("other", other), ("corner", second), ("corner", third)):
        assert sessions.answer(customer, request(owner))


def test_where_there_are_too_many_the_one_that_was_used_least_recently_goes(model: PlannedModel) -> None:
    sessions = Sessions(model, 2)
    first, second = opened(sessions, model, "a"), opened(sessions, model, "b")
    sessions.answer("a", request(first))
    opened(sessions, model, "c")
    assert sessions.answer("a", request(first))
    with pytest.raises(RefusedError, match=GONE):
        sessions.answer("b", request(second))


def test_keys_that_are_refused_take_nobody_s_place(model: PlannedModel) -> None:
    squares = planned(2, (3, 2, 1))
    sessions = Sessions(squares, 1)
    owner = opened(sessions, squares)
    for bad in (b"", b"x" * 500, DataOwner(model.plan).keys(), owner.keys()[:-1]):
        with pytest.raises(MessageError):
            sessions.open("other", bad)
    with pytest.raises(SecretExposureError):
        sessions.open("other", saved(owner._key._key))
    assert sessions.answer("corner", request(owner))


def test_answers_are_counted_across_sessions_and_restarts(model: PlannedModel, tmp_path: Path) -> None:
    for _ in range(3):
        sessions = Sessions(model, 4, Allowance(tmp_path, 3))
        sessions.answer("corner", request(opened(sessions, model)))
    sessions = Sessions(model, 4, Allowance(tmp_path, 3))
    with pytest.raises(RefusedError, match=SPENT):
        sessions.answer("corner", request(opened(sessions, model)))
    assert sessions.answer("other", request(opened(sessions, model, "other")))
    assert (tmp_path / ANSWERS).stat().st_mode & 0o077 == 0


def test_no_answer_is_given_that_could_not_be_counted(
    model: PlannedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "full")

    sessions = Sessions(model, 4, Allowance(tmp_path, 1))
    asked = request(opened(sessions, model))
    monkeypatch.setattr(allowance, "write_durably", full)
    with pytest.raises(StorageError, match="could not be written"):
        sessions.answer("corner", asked)


def test_a_refused_message_costs_nothing(model: PlannedModel, tmp_path: Path) -> None:
    sessions = Sessions(model, 4, Allowance(tmp_path, 1))
    owner = opened(sessions, model)
    asked = request(owner)
    for bad in (b"", asked[:-1], asked[:200] + b"x" + asked[201:]):
        with pytest.raises(MessageError):
            sessions.answer("corner", bad)
    assert sessions.answer("corner", asked)


@pytest.mark.parametrize("content", [b"", b"{}", sealed(b"[]"), sealed(b'{"corner": "many"}')])
def test_a_damaged_count_is_not_taken_for_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ANSWERS).write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        Allowance(tmp_path, 5)
