"""What is refused, by which error, and that the training then goes on as if nothing had come."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import tenseal as ts
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import DataError, MessageError, PlanError, SecretExposureError, TrainingError
from secure_fl.scoring.descent import RowOwner, Trainer, descend, plan_descent, read_plan
from secure_fl.scoring.messages import Kind, open_message, seal
from secure_fl.secagg.hazmat.he_words import saved
from tests.scoring.descent.scene import CLIP, Training, small_plan, small_training, training_of

SESSION = slice(38, 54)


@pytest.fixture
def training() -> Training:
    return small_training()


def _ends_well(training: Training) -> None:
    """The remaining epochs reach what plain descent reaches."""
    while training.owner.epochs_left:
        training.step()
    wanted = descend(training.plan.task, training.rows, training.labels)
    assert np.linalg.norm(training.reached() - wanted) <= training.plan.error_bound


def _changed(rows: Any, place: tuple[int, ...], value: float) -> Any:
    changed = np.array(rows)
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (_changed(x, (3, 1), CLIP * 1.001), y), "row 3 leaves the clip range"),
        (lambda x, y: (_changed(x, (4, 0), np.nan), y), "row 4 leaves the clip range"),
        (lambda x, y: (x, _changed(y, (5,), np.nan)), "row 5 has a label that is neither 0 nor 1"),
        (lambda x, y: (x, _changed(y, (6,), 2.0)), "row 6 has a label"),
        (lambda x, y: (x, 2 * y - 1), "label that is neither"),
        (lambda x, y: (np.vstack([x, x]), np.concatenate([y, y])), "plan is for"),
        (lambda x, y: (x[:-1], y[:-1]), "plan is for"),
        (lambda x, y: (x[:, :1], y), "plan is for"),
        (lambda x, y: (x, y[:-1]), "labels have the shape"),
        (lambda x, y: (x, y[:, None]), "labels have the shape"),
        (lambda x, y: (np.full_like(x, 1.2), y), "mean square"),
        (lambda x, y: ([["a", "b"]], y), "not numbers"),
        (lambda x, y: (x + 1j, y), "not numbers"),
        (lambda x, y: (x, [10**400] * len(y)), "not numbers"),
    ],
)
def test_rows_and_labels_are_checked_before_there_is_a_key(
    training: Training, change: Callable[[Any, Any], tuple[Any, Any]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        RowOwner(training.plan, *change(training.rows, training.labels))


@pytest.mark.parametrize(
    "numbers",
    [
        {"features": 0},
        {"rows": 0},
        {"epochs": 0},
        {"epochs": 1.5},
        {"epochs": True},
        {"rate": 0.0},
        {"rate": float("nan")},
        {"clip": -1.0},
        {"clip": float("inf")},
        {"clip": float("nan")},
        {"tolerance": float("nan")},
        {"interval": 100.0},
        {"interval": 1e-2},
        {"interval": 1e-300},
        {"weight_decay": -0.1},
        {"weight_decay": 2.0},
        {"weight_decay": float("nan")},
        {"weight_decay": 10**400},
        {"weight_decay": 2.0**21, "rate": 2.0**-30},
        {"rate": 10**400},
        {"mean_square": 0.0},
        {"tolerance": 0.0},
    ],
)
def test_tasks_that_make_no_sense_are_refused(numbers: dict[str, Any]) -> None:
    good: dict[str, Any] = {"features": 2, "rows": 50, "clip": CLIP, "rate": 1.0, "epochs": 2}
    with pytest.raises(PlanError, match="plan with"):
        plan_descent(**good | numbers)


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: plan.pop("clip"),
        lambda plan: plan.update(version=2),
        lambda plan: plan.update(degree=2048),
        lambda plan: plan.update(rate="fast"),
        lambda plan: plan.pop("features"),
        lambda plan: plan.update(rate=True),
        lambda plan: plan.update(clip=3),
        lambda plan: plan.update(interval=[8.0]),
    ],
)
def test_plans_that_cannot_be_read_are_refused(change: Callable[[dict[str, Any]], None]) -> None:
    plan = json.loads(small_plan().to_json())
    change(plan)
    for data in (json.dumps(plan).encode(), b"[]", b"{", b"\xff"):
        with pytest.raises(MessageError, match="a plan for training cannot be read"):
            read_plan(data)


def test_a_plan_that_says_a_number_twice_is_refused() -> None:
    """People read the first one, machines the last."""
    plan = small_plan().to_json()
    with pytest.raises(MessageError, match="a plan for training cannot be read"):
        read_plan(plan[:-1] + b', "rate": 1.0}')


def test_errors_beyond_float64_are_refused_like_large_ones() -> None:
    for epochs in (100, 1024):
        with pytest.raises(PlanError, match=r"weights could be off by .* plan a lower rate"):
            plan_descent(2, 50, clip=CLIP, rate=20.0, epochs=epochs, mean_square=9.0, interval=64.0)


def test_whole_numbers_and_those_of_numpy_make_the_same_plan() -> None:
    kinds: tuple[Any, ...] = (int, np.float32)
    one, other = (plan_descent(2, 50, clip=kind(3), rate=kind(1), epochs=2) for kind in kinds)
    assert one.digest == other.digest == small_plan().digest
    assert read_plan(one.to_json()) == other


def test_a_logit_that_leaves_the_interval_stops_the_training_and_keeps_the_weights() -> None:
    plan = plan_descent(2, 50, clip=CLIP, rate=9.0, epochs=2, interval=2.0, tolerance=0.1)
    training = small_training(plan=plan).send_rows()
    training.step()
    reached = training.reached()
    assert np.abs(training.rows @ reached[1:] + reached[0]).max() > 2
    for _ in range(2):
        with pytest.raises(TrainingError, match="after 1 epochs a row's logit leaves the interval of 2"):
            training.owner.request()
    assert (training.reached() == reached).all()


def test_the_interval_keeps_room_for_the_descent_that_is_compared_with(training: Training) -> None:
    """Plain descent may be ahead by the error bound times the longest row: here by almost all of the interval."""
    task = training.plan.task
    wide = small_training(plan=replace(training.plan, error_bound=(task.interval - 0.1) / task.longest)).send_rows()
    wide.step()
    assert 0.1 < np.abs(wide.rows @ wide.owner.weights + wide.owner.bias).max() < task.interval
    with pytest.raises(TrainingError, match="leaves the interval"):
        wide.owner.request()


def test_requests_repeat_until_the_gradient_came_and_end_with_the_plan(training: Training) -> None:
    training.send_rows()
    assert training.owner.request() == training.owner.request()
    _ends_well(training)
    with pytest.raises(TrainingError, match="all 2 epochs are done"):
        training.owner.request()


def test_keys_that_are_missing_or_of_another_plan(training: Training) -> None:
    with pytest.raises(MessageError, match="keys are missing"):
        Trainer(training.plan, b"")
    with pytest.raises(MessageError, match="another plan"):
        Trainer(small_plan(rate=0.5), training.keys)
    with pytest.raises(MessageError, match="does not hold 1 parts"):
        Trainer(training.plan, seal(training.plan, Kind.KEYS, bytes(16), 0, 0, []))
    with pytest.raises(MessageError):
        Trainer(training.plan, training.keys[:-1])


def test_a_secret_key_at_the_trainer_is_refused_by_name(training: Training) -> None:
    secret, plan = saved(training.owner._key._key), training.plan
    context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, -1, [60, 57, 60], n_threads=1).serialize(save_secret_key=True)
    for blob in (secret, context, *(seal(plan, Kind.KEYS, bytes(16), 0, 0, [part]) for part in (secret, context))):
        with pytest.raises(SecretExposureError, match="a secret key turned up"):
            Trainer(plan, blob)
    rows = seal(plan, Kind.TRAINING_ROWS, training.keys[SESSION], 0, 50, [secret] * 4)
    with pytest.raises(SecretExposureError):
        training.trainer.accept(rows)
    _ends_well(training.send_rows())


def test_rows_come_once_in_order_and_before_the_weights() -> None:
    training = small_training(plan=small_plan(rows=8193, features=1))
    assert [training.plan.rows_of(batch) for batch in range(training.plan.batches)] == [4096, 4096, 1]
    first, second, third = training.owner.training_rows()
    request = training.owner.request()
    with pytest.raises(MessageError, match="3 of 3 batches of rows are missing"):
        training.trainer.gradient(request)
    with pytest.raises(MessageError, match="is not batch 0"):
        training.trainer.accept(second)
    training.trainer.accept(first)
    for wrong in (first, third):
        with pytest.raises(MessageError, match="is not batch 1"):
            training.trainer.accept(wrong)
    training.trainer.accept(second)
    with pytest.raises(MessageError, match="1 of 3 batches"):
        training.trainer.gradient(request)
    training.trainer.accept(third)
    with pytest.raises(MessageError, match="all rows of the plan are here"):
        training.trainer.accept(third)
    _ends_well(training)


def test_a_batch_that_says_other_numbers_of_rows_is_refused(training: Training) -> None:
    (whole,) = training.owner.training_rows()
    parts = open_message(training.plan, Kind.TRAINING_ROWS, whole, session=None, parts=4).parts
    for rows, kind in ((49, "is not batch 0"), (51, "is not batch 0"), (0, "rows where"), (4097, "rows where")):
        forged = seal(training.plan, Kind.TRAINING_ROWS, training.keys[SESSION], 0, rows, [bytes(p) for p in parts])
        with pytest.raises(MessageError, match=kind):
            training.trainer.accept(forged)
    training.trainer.accept(whole)
    _ends_well(training)


def test_epochs_come_once_and_in_order(training: Training) -> None:
    training.send_rows()
    request = training.owner.request()
    others = training.owner._encrypted_weights()
    reply = training.trainer.gradient(request)
    with pytest.raises(MessageError, match="weights of epoch 0 came where those of epoch 1 are due"):
        training.trainer.gradient(others)
    training.owner.update(reply)
    for bad in (reply, request):
        with pytest.raises(MessageError):
            training.owner.update(bad)
    training.owner.request()
    with pytest.raises(MessageError, match="answers no epoch that waits"):
        training.owner.update(reply)
    _ends_well(training)


def test_a_lost_reply_is_asked_for_again(training: Training) -> None:
    """As the owner is told to where what came was no gradient; once the next epoch is answered it is too late."""
    training.send_rows()
    lost = training.trainer.gradient(training.owner.request())
    again = training.trainer.gradient(training.owner.request())
    assert again == lost
    first = training.owner.request()
    training.owner.update(again)
    training.trainer.gradient(training.owner.request())
    with pytest.raises(MessageError, match="weights of epoch 0 came where those of epoch 2 are due"):
        training.trainer.gradient(first)
    _ends_well(training)


def test_a_gradient_that_nobody_asked_for_is_refused(training: Training) -> None:
    parts = [b""] * training.plan.task.columns
    reply = seal(training.plan, Kind.GRADIENT, training.keys[SESSION], 0, 0, parts)
    with pytest.raises(MessageError, match="answers no epoch"):
        training.owner.update(reply)


def test_messages_of_another_training_are_refused(training: Training) -> None:
    other = training_of(training.plan, training.rows, training.labels).send_rows()
    training.send_rows()
    with pytest.raises(MessageError, match="another key"):
        training.trainer.gradient(other.owner.request())
    training.owner.request()
    with pytest.raises(MessageError, match="another key"):
        training.owner.update(other.trainer.gradient(other.owner.request()))
    _ends_well(training)


def test_ciphertexts_that_are_not_gradients_are_refused(training: Training) -> None:
    """New ones, of another key, short ones; and noise, which is longer than any gradient."""
    plan, session = training.plan, training.keys[SESSION]
    training.send_rows()
    reply = training.trainer.gradient(training.owner.request())
    parts = [bytes(p) for p in open_message(plan, Kind.GRADIENT, reply, session=None, parts=3).parts]
    stranger = small_training(1).send_rows()
    foreign = stranger.trainer.gradient(stranger.owner.request())
    noise = [bytes(p) for p in open_message(plan, Kind.GRADIENT, foreign, session=None, parts=3).parts]
    new = training.owner._key.encrypt(np.ones(3), plan.stages.gradient)
    for bad in ([new, *parts[1:]], [parts[0][:-1], *parts[1:]], [b"", *parts[1:]]):
        with pytest.raises(MessageError, match="cannot be read"):
            training.owner.update(seal(plan, Kind.GRADIENT, session, 0, 0, bad))
    with pytest.raises(MessageError, match="longer than any can be"):
        training.owner.update(seal(plan, Kind.GRADIENT, session, 0, 0, noise))
    training.owner.update(reply)
    _ends_well(training)


@dataclass
class _Whole:
    """Each message of a first epoch, and who takes it next."""

    training: Training
    messages: dict[str, bytes]
    takes: dict[str, Callable[[bytes], Any]]


@cache
def _whole() -> _Whole:
    training = small_training()
    (rows,) = training.owner.training_rows()
    request = training.owner.request()
    answering, waiting = (Trainer(training.plan, training.keys) for _ in range(2))
    for trainer in (answering, waiting):
        trainer.accept(rows)
    reply = answering.gradient(request)
    return _Whole(
        training,
        {"keys": training.keys, "rows": rows, "weights": request, "gradient": reply},
        {
            "keys": lambda data: Trainer(training.plan, data),
            "rows": training.trainer.accept,
            "weights": waiting.gradient,
            "gradient": training.owner.update,
        },
    )


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_altered_messages_are_one_named_error(data: st.DataObject) -> None:
    whole = _whole()
    kind = data.draw(st.sampled_from(list(whole.messages)))
    message = whole.messages[kind]
    match data.draw(st.sampled_from(["flip", "cut", "more"])):
        case "flip":
            place, bit = data.draw(st.integers(0, len(message) - 1)), data.draw(st.integers(0, 7))
            bad = message[:place] + bytes([message[place] ^ 1 << bit]) + message[place + 1 :]
        case "cut":
            bad = message[: data.draw(st.integers(1, len(message) - 1))]
        case _:
            bad = message + data.draw(st.binary(min_size=1, max_size=20))
    with pytest.raises(MessageError):
        whole.takes[kind](bad)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_ciphertexts_altered_under_a_right_checksum_never_break_the_trainer(data: st.DataObject) -> None:
    """An altered one may be a valid ciphertext of something else; every other is a MessageError."""
    plan, messages = _whole().training.plan, _whole().messages
    parts = [bytes(p) for p in open_message(plan, Kind.TRAINING_ROWS, messages["rows"], session=None, parts=4).parts]
    part = bytearray(parts[0])
    for _ in range(data.draw(st.integers(1, 4))):
        part[data.draw(st.integers(0, min(200, len(part) - 1)))] = data.draw(st.integers(0, 255))
    trainer = Trainer(plan, messages["keys"])
    with suppress(MessageError):
        trainer.accept(seal(plan, Kind.TRAINING_ROWS, messages["keys"][SESSION], 0, 50, [bytes(part), *parts[1:]]))
        trainer.gradient(messages["weights"])


@pytest.mark.slow
def test_unaltered_they_are_all_taken() -> None:
    """After all that was altered before."""
    whole = _whole()
    for kind, message in whole.messages.items():
        whole.takes[kind](message)
    _whole.cache_clear()
