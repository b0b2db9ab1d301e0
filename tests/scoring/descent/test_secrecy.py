"""What the trainer does not have, and what weights and refusals give away."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from secure_fl.errors import MessageError
from secure_fl.scoring.descent import descend
from secure_fl.scoring.descent.custody import CUSTODY, ROW_OWNER, TRAINER
from secure_fl.scoring.hazmat.objects import _secret_key_bytes, loaded
from secure_fl.scoring.messages import Kind, open_message, seal
from secure_fl.secagg.hazmat.he_layout import uncompressed
from secure_fl.secagg.hazmat.he_words import saved
from tests.scoring.descent.scene import Training, small_plan, small_training
from tests.scoring.processes import receive, send
from tests.scoring.test_secrecy import _holds, _party, _windows


def _parts(training: Training, kind: Kind, message: bytes, count: int) -> list[memoryview]:
    return list(open_message(training.plan, kind, message, session=None, parts=count).parts)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_secret_key_is_in_the_owners_memory_and_not_in_the_trainers() -> None:
    plan = small_plan()
    with _party("row-owner") as owner, _party("trainer") as trainer:
        assert owner.stdout is not None
        assert trainer.stdin is not None
        assert trainer.stdout is not None
        keys, rows, request, secret = (receive(owner.stdout) for _ in range(4))
        for message in (keys, rows, request):
            send(trainer.stdin, message)
        reply = receive(trainer.stdout)
        open_message(plan, Kind.GRADIENT, reply, session=keys[38:54], parts=3)
        _, body = uncompressed(memoryview(secret), _secret_key_bytes(plan.parameters))
        needles = _windows(body)[::12]
        assert len(needles) >= 8
        assert _holds(owner, needles)
        assert _holds(trainer, _windows(request)[::12])  # the search sees what lies there
        assert not _holds(trainer, needles)


def test_the_trainer_has_nothing_to_decrypt_with() -> None:
    """Nor have its answer, the rows, the labels or the weights: another key reads noise."""
    training, stranger = small_training(), small_training(1)
    (rows,) = training.owner.training_rows()
    training.trainer.accept(rows)
    reply = training.trainer.gradient(training.owner.request())
    scale = training.plan.stages.gradient
    for part in _parts(training, Kind.GRADIENT, reply, 3):
        right, wrong = (one.owner._key.decrypt(part, scale) for one in (training, stranger))
        assert np.abs(right).max() < 10 < np.median(np.abs(wrong))
    assert not hasattr(training.trainer._evaluation, "decrypt")


def test_equal_columns_and_equal_weights_are_encrypted_differently() -> None:
    """Labels too, and rows that are sent again."""
    training = small_training()
    messages = [next(training.owner.training_rows()) for _ in range(2)]
    parts = [bytes(part) for message in messages for part in _parts(training, Kind.TRAINING_ROWS, message, 4)]
    parts += [bytes(part) for part in _parts(training, Kind.WEIGHTS, training.owner.request(), 3)]  # all zero
    assert len(set(parts)) == 2 * 4 + 3


def test_unrounded_weights_carry_the_keys_noise_and_rounded_ones_are_those_of_plain_descent() -> None:
    """As custody says: whoever has a reply and the exact weights can tell whether a key is the right one."""
    training, stranger = small_training(), small_training(1)
    training.send_rows()
    reply = training.trainer.gradient(training.owner.request())
    training.owner.update(reply)
    scale, task = training.plan.stages.gradient, training.plan.task

    def weights_under(key: Training) -> list[float]:
        parts = _parts(training, Kind.GRADIENT, reply, 3)
        return [float(task.rate * key.owner._key.decrypt(part, scale).sum() / task.rows) for part in parts]

    reached = training.reached()
    assert np.allclose(weights_under(training), reached, rtol=1e-15, atol=0)
    assert not np.allclose(weights_under(stranger), reached, rtol=1e-3)
    again = small_training()
    again.send_rows().step()
    assert (again.reached() != reached).all(), "the same rows under another key and other noise"
    training.step()
    wanted = descend(task, training.rows, training.labels)
    assert (np.round(training.reached(), 3) == np.round(wanted, 3)).all()
    assert "unrounded" in CUSTODY.broken_by[0]


def test_a_trainer_that_deviates_is_believed() -> None:
    """As custody says: it turns the gradient around, unseen."""
    training = small_training().send_rows()
    reply = training.trainer.gradient(training.owner.request())
    parameters, evaluator = training.plan.parameters, training.trainer._evaluation._evaluator
    turned = []
    for part in _parts(training, Kind.GRADIENT, reply, 3):
        value = loaded("ciphertext", parameters, part, primes=1)
        evaluator.negate_inplace(value)
        turned.append(saved(value))
    training.owner.update(seal(training.plan, Kind.GRADIENT, training.keys[38:54], 0, 0, turned))
    honest = small_training().send_rows()
    honest.step()
    assert np.allclose(training.reached(), -honest.reached(), atol=1e-3)
    assert "believed" in CUSTODY.broken_by[2]


def test_whether_the_owner_goes_on_tells_a_bit_of_what_it_read() -> None:
    """As custody says: of a vector that the trainer made as long as it liked, here by adding a reply to itself."""
    training = small_training().send_rows()
    reply = training.trainer.gradient(training.owner.request())
    parameters, evaluator = training.plan.parameters, training.trainer._evaluation._evaluator
    session = training.keys[38:54]
    goes_on = []
    for doublings in (5, 0):
        grown = []
        for part in _parts(training, Kind.GRADIENT, reply, 3):
            value = loaded("ciphertext", parameters, part, primes=1)
            for _ in range(doublings):
                evaluator.add_inplace(value, value)
            grown.append(saved(value))
        try:
            training.owner.update(seal(training.plan, Kind.GRADIENT, session, 0, 0, grown))
            goes_on.append(True)
        except MessageError:
            goes_on.append(False)
    assert goes_on == [False, True]
    assert "goes on" in CUSTODY.broken_by[3]


def test_weights_tell_what_weights_trained_in_the_clear_tell() -> None:
    """With one row they are a multiple of it."""
    plan = small_plan(features=3, rows=1, epochs=1)
    training = small_training(plan=plan)
    training.run()
    assert np.allclose(training.owner.weights / training.owner.bias, training.rows[0], atol=1e-2)
    assert "weights" in CUSTODY.broken_by[1]


def test_custody_names_who_reads_what() -> None:
    assert CUSTODY.can_decrypt[TRAINER] == CUSTODY.can_decrypt["observer"] == ()
    assert "row by row" in CUSTODY.can_decrypt[ROW_OWNER][0]


def test_the_owner_reads_gradients_row_by_row() -> None:
    """As custody says: slots are not added up before it decrypts them."""
    training = small_training().send_rows()
    reply = training.trainer.gradient(training.owner.request())
    slots = training.owner._key.decrypt(_parts(training, Kind.GRADIENT, reply, 3)[1], training.plan.stages.gradient)
    wanted = training.rows[:, 0] * (training.labels - 0.5)
    assert np.allclose(slots[:50], wanted, atol=1e-3)
    assert np.allclose(slots[50:], 0, atol=1e-3)


def test_no_secret_is_in_a_repr() -> None:
    training = small_training().send_rows()
    for party in (training.owner, training.trainer, training.owner._key, *training.trainer._batches):
        text = repr(party)
        assert "array" not in text
        assert not any(str(value) in text for value in training.rows.ravel().tolist())
