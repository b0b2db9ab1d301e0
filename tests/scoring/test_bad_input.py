"""What is refused, by which error, and that nothing is lost then."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import tenseal as ts
from hypothesis import given, settings
from hypothesis import strategies as st
from tenseal import sealapi

from secure_fl.errors import DataError, MessageError, PlanError, SecretExposureError
from secure_fl.scoring import DataOwner, ModelOwner, ScoringPlan
from secure_fl.scoring.hazmat.objects import loaded
from secure_fl.scoring.messages import HEADER_BYTES, Kind, open_message, seal
from secure_fl.secagg.hazmat.he_words import saved
from tests.scoring.scene import CLIP, Session, session_of


@pytest.fixture(scope="module")
def linear() -> Session:
    return session_of(1, (3, 1))


@pytest.fixture(scope="module")
def squaring() -> Session:
    return session_of(2, (3, 2, 1))


ROWS = np.array([[1.0, 2.0, -3.0], [0.5, 0.0, CLIP]])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.array([[0.0, 0.0, CLIP * 1.001]]), "row 0 leaves the clip range"),
        (np.array([[0.0, 0.0, 0.0], [np.nan, 0.0, 0.0]]), "row 1 leaves the clip range"),
        (np.array([[np.inf, 0.0, 0.0]]), "row 0 leaves"),
        (np.zeros((2, 4)), "the model takes"),
        (np.zeros(3), "the model takes"),
        (np.zeros((0, 3)), "no row"),
        ([["a", "b", "c"]], "not a table of numbers"),
        ([[10**400, 0, 0]], "not a table of numbers"),
        (np.array([[1.0 + 5.0j, 0.0, 0.0]]), "not a table of numbers"),
    ],
)
def test_rows_are_checked_before_anything_is_encrypted(linear: Session, rows: Any, message: str) -> None:
    before = repr(linear.owner)
    with pytest.raises(DataError, match=message):
        linear.owner.encrypt(rows)
    assert repr(linear.owner) == before


def test_a_feature_that_training_never_saw_is_refused() -> None:
    plan = json.loads(session_of(1, (3, 1)).model.plan.to_json())
    owner = DataOwner(ScoringPlan.from_json(json.dumps(plan | {"positions": [0, 1], "must_be_zero": [2]}).encode()))
    with pytest.raises(DataError, match="row 0 has feature 2"):
        owner.encrypt(ROWS)


def test_keys_that_are_missing(linear: Session, squaring: Session) -> None:
    with pytest.raises(MessageError, match="keys are missing"):
        ModelOwner(squaring.model, b"")
    with pytest.raises(MessageError, match="another plan"):
        ModelOwner(squaring.model, linear.keys)
    plan = squaring.model.plan
    with pytest.raises(MessageError, match="does not hold 1 parts"):
        ModelOwner(squaring.model, seal(plan, Kind.KEYS, bytes(16), 0, 0, []))


def _secret_blobs(session: Session) -> dict[str, bytes]:
    """What holds a secret key, in every form in which it could come."""
    plan, key = session.model.plan, session.owner._key._key
    context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, -1, [60, 57, 60], n_threads=1)
    raw = saved(key)
    return {
        "SEAL's secret key": raw,
        "the same in a message": seal(plan, Kind.KEYS, bytes(16), 0, 0, [raw]),
        "TenSEAL's context": context.serialize(save_secret_key=True),
        "the same in a message ": seal(plan, Kind.KEYS, bytes(16), 0, 0, [context.serialize(save_secret_key=True)]),
    }


def test_a_secret_key_at_the_model_owner_is_refused_by_name(squaring: Session) -> None:
    for blob in _secret_blobs(squaring).values():
        with pytest.raises(SecretExposureError, match="a secret key turned up"):
            ModelOwner(squaring.model, blob)
    rows = seal(
        squaring.model.plan, Kind.ROWS, squaring.keys[38:54], 0, 1, [_secret_blobs(squaring)["SEAL's secret key"]] * 3
    )
    with pytest.raises(SecretExposureError):
        squaring.scorer.score(rows)


def test_a_public_context_is_no_secret_but_no_keys_either(squaring: Session) -> None:
    context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, -1, [60, 57, 60], n_threads=1)
    with pytest.raises(MessageError):
        ModelOwner(squaring.model, context.serialize(save_secret_key=False))


def _forged(session: Session, part: bytes) -> bytes:
    """A message with a right checksum around ciphertexts that are not."""
    return seal(session.model.plan, Kind.ROWS, session.keys[38:54], 0, 1, [part] * session.model.plan.ciphertexts)


def test_ciphertexts_of_another_kind_are_refused_and_the_next_are_scored(linear: Session, squaring: Session) -> None:
    whole = next(linear.owner.encrypt(ROWS))
    part = bytes(open_message(linear.model.plan, Kind.ROWS, whole, session=None, parts=2).parts[0])
    other = next(squaring.owner.encrypt(ROWS))
    foreign = bytes(open_message(squaring.model.plan, Kind.ROWS, other, session=None, parts=3).parts[0])
    rescaled = linear.owner._key.encrypt(ROWS[:, 0], 2.0**10)
    for bad in (foreign, rescaled, part[:-1], part + b"\0", b"", b"junk" * 100, part[: len(part) // 2]):
        with pytest.raises(MessageError):
            linear.scorer.score(_forged(linear, bad))
    assert len(linear.owner.open(linear.scorer.score(whole))) == 2


def test_a_ciphertext_of_nothing_is_refused(linear: Session) -> None:
    """SEAL's transparent ciphertext: whoever sends one has its rows read."""
    parameters = linear.model.plan.parameters
    evaluator = sealapi.Evaluator(linear.scorer._evaluation._context)
    value = loaded("new ciphertext", parameters, memoryview(linear.owner._key.encrypt(np.ones(4), 2.0**20)))
    with pytest.raises(RuntimeError, match="transparent"):
        evaluator.sub_inplace(value, value)
    with pytest.raises(MessageError):
        linear.scorer.score(_forged(linear, saved(value)))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_altered_messages_are_one_named_error(data: st.DataObject) -> None:
    session = _LINEAR
    request = _REQUEST
    kind = data.draw(st.sampled_from(["flip", "cut", "more"]))
    if kind == "flip":
        place, bit = data.draw(st.integers(0, len(request) - 1)), data.draw(st.integers(0, 7))
        bad = request[:place] + bytes([request[place] ^ 1 << bit]) + request[place + 1 :]
    elif kind == "cut":
        bad = request[: data.draw(st.integers(0, len(request) - 1))]
    else:
        bad = request + data.draw(st.binary(min_size=1, max_size=20))
    with pytest.raises(MessageError):
        session.scorer.score(bad)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_ciphertexts_altered_under_a_right_checksum_never_break_the_model_owner(data: st.DataObject) -> None:
    """An altered one may be a valid ciphertext of something else; every other is a MessageError."""
    part = bytearray(_PART)
    for _ in range(data.draw(st.integers(1, 4))):
        part[data.draw(st.integers(0, min(200, len(part) - 1)))] = data.draw(st.integers(0, 255))
    with suppress(MessageError):
        _LINEAR.scorer.score(_forged(_LINEAR, bytes(part)))


def test_what_only_begins_like_a_contexts_secrets_is_a_message_that_cannot_be_read() -> None:
    """0x1a, field 3 with a length: the secrets of a context come behind its parameters."""
    with pytest.raises(MessageError, match="cannot be read"):
        _LINEAR.scorer.score(_forged(_LINEAR, b"\x1a" + _PART[1:]))


_LINEAR = session_of(1, (3, 1))
_REQUEST = next(_LINEAR.owner.encrypt(ROWS))
_PART = bytes(open_message(_LINEAR.model.plan, Kind.ROWS, _REQUEST, session=None, parts=2).parts[0])


def test_a_compressed_bomb_is_not_expanded(linear: Session) -> None:
    """SEAL's own loader would make 300 MiB of it; here the length is known before."""
    import tracemalloc

    import pyarrow

    frame = pyarrow.Codec("zstd").compress(bytes(1 << 28), asbytes=True)
    bomb = _PART[:8] + (16 + len(frame)).to_bytes(8, "little") + frame
    tracemalloc.start()
    with pytest.raises(MessageError):
        linear.scorer.score(_forged(linear, bomb))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 24


def test_answers_are_opened_once_and_only_to_what_was_asked(linear: Session) -> None:
    request = next(linear.owner.encrypt(ROWS))
    reply = linear.scorer.score(request)
    with pytest.raises(MessageError, match="checksum"):
        linear.owner.open(reply[:-1] + bytes([reply[-1] ^ 1]))
    assert len(linear.owner.open(reply)) == 2
    with pytest.raises(MessageError, match="no batch that waits"):
        linear.owner.open(reply)
    with pytest.raises(MessageError, match="holds something else"):
        linear.owner.open(request)
    stranger = session_of(1, (3, 1))
    with pytest.raises(MessageError, match=r"another key|another plan"):
        stranger.owner.open(reply)


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: plan.pop("clip"),
        lambda plan: plan.update(version=1),
        lambda plan: plan.update(positions=[0, 0]),
        lambda plan: plan.update(positions=[7]),
        lambda plan: plan.update(positions=[]),
        lambda plan: plan.update(clip=-1.0),
        lambda plan: plan.update(block=3),
        lambda plan: plan.update(rotations=[0]),
        lambda plan: plan.update(layout="other"),
        lambda plan: plan.update(parameters=None),
    ],
)
def test_plans_that_make_no_sense_are_refused(linear: Session, change: Callable[[dict[str, Any]], None]) -> None:
    plan = json.loads(linear.model.plan.to_json())
    change(plan)
    with pytest.raises(MessageError, match="a plan for scoring cannot be read"):
        ScoringPlan.from_json(json.dumps(plan).encode())


def test_a_plan_that_would_not_hide_rows_is_refused(linear: Session) -> None:
    plan = json.loads(linear.model.plan.to_json())
    plan["parameters"] = {"degree": 2048, "data_bits": [57], "special_bits": None}
    with pytest.raises(PlanError, match="not secure"):
        ScoringPlan.from_json(json.dumps(plan).encode())


def test_the_header_is_what_the_tests_cut(linear: Session) -> None:
    assert HEADER_BYTES == 86
    assert len(linear.keys) == HEADER_BYTES
