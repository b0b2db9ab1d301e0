"""A SuperLink that says something again: no order is done twice, and none that is older than the last."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("flwr", reason="needs the extra flower")

from flwr.app import Array, ArrayRecord, Context, Message, RecordDict
from flwr.common.serde import message_from_proto, message_to_proto

from secure_fl.secagg.masked.wire import STAGES
from secure_fl.secagg.protocol import Answer
from secure_fl.transport.flower.records import RECORD, answer_in
from secure_fl.transport.orders import ASK, MODEL
from tests.transport.flower_federation import SCHEMES, Federation, federated, grid_of, number_of, train
from tests.transport.flower_grid import Arrays, MemoryGrid, order_of


class Repeating:
    """Notes what nodes were asked."""

    def __init__(self) -> None:
        self.noted: list[tuple[int, Message]] = []

    def __call__(self, grid: MemoryGrid, node: int, message: Message) -> Message:
        self.noted.append((node, message_from_proto(message_to_proto(message))))  # strategies use records again
        return message

    def last(self, node: int, kind: str, stage: str | None = None) -> Message:
        return next(
            message
            for to, message in reversed(self.noted)
            if to == node and order_of(message).kind == kind and order_of(message).facts.get("stage") == stage
        )


def finished(scheme: str) -> tuple[Federation, Repeating]:
    grid, noted = grid_of(scheme), Repeating()
    grid.asked = noted
    return federated(scheme, grid, rounds=2), noted


def refusal(answer: Answer) -> str:
    assert isinstance(answer, Exception), answer
    return str(answer)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_same_order_to_train_is_not_answered_twice(scheme: str) -> None:
    """Under masks it would give a second set of keys to one attempt, under encryption another ciphertext."""
    done, noted = finished(scheme)
    ready = done.grid.states[2]
    answer = answer_in(done.grid.deliver(2, noted.last(2, MODEL)))
    assert "already took part in round 2, attempt 1" in refusal(answer)
    assert done.grid.states[2] == ready


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_order_of_an_earlier_round_trains_nothing(scheme: str) -> None:
    """It would put another update in the place of the one that the round is about."""
    seen: list[int] = []

    def noting(arrays: Arrays, context: Context) -> tuple[Arrays, dict[str, Any]]:
        seen.append(number_of(context))
        return train(arrays, context)

    grid, noted = grid_of(scheme, noting), Repeating()
    grid.asked = noted
    federated(scheme, grid, rounds=2)
    early = next(message for to, message in noted.noted if to == 2 and order_of(message).kind == MODEL)
    ready = grid.states[2]
    refusal(answer_in(grid.deliver(2, early)))
    assert seen.count(1) == 2
    assert grid.states[2] == ready


@pytest.mark.parametrize("stage", STAGES[1:])
def test_no_stage_of_masking_is_answered_twice(stage: str) -> None:
    done, noted = finished("masked")
    assert "out of turn" in refusal(answer_in(done.grid.deliver(2, noted.last(2, ASK, stage))))


@pytest.mark.parametrize(
    ("scheme", "stage"), [("ckks", "decrypt"), ("bfv", "decrypt"), ("rlwe", "decrypt"), ("additive", "sum_shares")]
)
def test_a_key_holder_opens_a_sum_once(scheme: str, stage: str) -> None:
    done, noted = finished(scheme)
    assert "does not go back to" in refusal(answer_in(done.grid.deliver(4, noted.last(4, ASK, stage))))


def test_an_earlier_round_is_not_gone_back_to() -> None:
    done, noted = finished("ckks")
    early = next(message for to, message in noted.noted if to == 1 and order_of(message).kind == MODEL)
    assert order_of(early).about.round == 1  # type: ignore[union-attr]
    assert "does not go back to round 1" in refusal(answer_in(done.grid.deliver(1, early)))


def test_an_order_of_another_form_is_refused() -> None:
    broken = Message(RecordDict({RECORD: ArrayRecord({"order": Array(np.zeros(3))})}), 1, "train")
    assert "cannot be read" in refusal(answer_in(grid_of("masked").deliver(1, broken)))
