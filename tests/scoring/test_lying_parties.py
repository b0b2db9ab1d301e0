"""A model owner that lies in its plan or its answers, a data owner that lies in its rows: one named error each."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import fields, replace
from typing import Any, cast

import numpy as np
import pytest

from secure_fl.errors import MessageError, PlanError
from secure_fl.scoring import DataOwner, Linear, ModelOwner, ScoringPlan, compile_model, plan_batched
from secure_fl.scoring.hazmat.objects import _ciphertext_bytes, _is_context_with_secret_key
from secure_fl.scoring.messages import Kind, open_message, seal
from secure_fl.scoring.parameters import CkksParameters
from secure_fl.secagg.hazmat.he_layout import MEMBERS_BYTES, header_of, uncompressed
from tests.scoring.scene import CLIP, Session, open_session, session_of

NOT_NUMBERS: list[Any] = [None, "8", True, [], [0], {}, float("nan"), float("inf"), -1.0]
NOT_COUNTS: list[Any] = [None, "8", True, 1.0, [], {}, float("nan"), -1]
NOT_PLACES: list[Any] = [None, "01", [True], [0.0], [[0]], ["0"], {"0": 1}, [-1], [0, 0]]
ODD_FIELDS = {
    **dict.fromkeys(("clip", "result_scale", "largest_logit", "error_bound", "usual_error_bound"), NOT_NUMBERS),
    **dict.fromkeys(("features", "input_scale_bits", "squares", "block"), NOT_COUNTS),
    **dict.fromkeys(("positions", "must_be_zero", "rotations"), NOT_PLACES),
    "layout": [None, 1, True, "other", ["batched"]],
    "version": [None, 0, 1, 3, "2", [2]],
    "paired": [None, 1, 0, "true", []],
    "divisions": [*NOT_COUNTS, 0],
    "flooding_bits": [*NOT_COUNTS, 57],
}


@pytest.fixture(scope="module")
def linear() -> Session:
    return session_of(1, (3, 1))


@pytest.fixture(scope="module")
def single() -> Session:
    return session_of(3, (5, 1), single=True)


def changed(session: Session, **others: Any) -> bytes:
    return json.dumps(json.loads(session.model.plan.to_json()) | others, sort_keys=True).encode()


@pytest.mark.parametrize("field", ODD_FIELDS)
def test_a_field_of_another_kind_makes_no_plan(linear: Session, single: Session, field: str) -> None:
    for session in (linear, single):
        for value in ODD_FIELDS[field]:
            with pytest.raises(MessageError, match="a plan for scoring cannot be read"):
                ScoringPlan.from_json(changed(session, **{field: value}))


@pytest.mark.parametrize(
    "others",
    [
        {"rotations": [1]},
        {"block": 2},
        {"squares": 1},
        {"input_scale_bits": 53},
        {"result_scale": 0.0},
        {"result_scale": 2.0**57},
        {"parameters": {"degree": 4096, "data_bits": [50, 50], "special_bits": None}},
    ],
)
def test_fields_that_contradict_each_other_make_no_plan(linear: Session, others: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match="a plan for scoring cannot be read"):
        ScoringPlan.from_json(changed(linear, **others))


def test_a_plan_can_be_written_in_one_way_only(linear: Session) -> None:
    """Whoever looks at it must not see another one than the program: of two keys, Python takes the last."""
    text = linear.model.plan.to_json()
    assert ScoringPlan.from_json(text) == linear.model.plan
    for other in (b'{"positions": [0], ' + text[1:], text + b" ", text.replace(b": 1,", b": 1.0,", 1)):
        with pytest.raises(MessageError, match="a plan for scoring cannot be read"):
            ScoringPlan.from_json(other)


def test_an_answer_at_a_scale_beyond_its_modulus_is_refused() -> None:
    """As a plan of more primes allows it, and SEAL does not."""
    model = session_of(2, (3, 2, 1)).model
    lying = ScoringPlan.from_json(changed(open_session(model), result_scale=2.0**100))
    owner = DataOwner(lying)
    scorer = ModelOwner(replace(model, plan=lying), owner.keys())
    message = open_message(
        lying, Kind.SCORES, scorer.score(next(owner.encrypt(np.ones((2, 3))))), session=None, parts=1
    )
    minor, body = uncompressed(message.parts[0], _ciphertext_bytes(lying.parameters, 1, False))
    forged = bytearray(body)
    forged[57:65] = struct.pack("<d", 2.0**100)
    with pytest.raises(MessageError, match="cannot be read"):
        owner.open(seal(lying, Kind.SCORES, message.session, 0, 2, [header_of(minor, len(forged)) + bytes(forged)]))


def test_batches_need_no_rotations() -> None:
    with pytest.raises(MessageError, match="a plan for scoring cannot be read"):
        ScoringPlan.from_json(changed(session_of(2, (3, 2, 1)), rotations=[1]))


@pytest.mark.parametrize("rotations", [[3], [1, 1], [1, 2, 4, 7], [2048], list(range(1, 2048))])
def test_no_plan_makes_the_data_owner_draw_keys_without_end(single: Session, rotations: list[int]) -> None:
    with pytest.raises(MessageError, match="a plan for scoring cannot be read"):
        ScoringPlan.from_json(changed(single, rotations=rotations))


@pytest.mark.parametrize(
    "parameters",
    [
        {"degree": 4096.0, "data_bits": [57], "special_bits": None},
        {"degree": True, "data_bits": [57], "special_bits": None},
        {"degree": 4096, "data_bits": [57.0], "special_bits": None},
        {"degree": 4096, "data_bits": [57], "special_bits": 20.0},
        {"degree": 16384, "data_bits": [20] * 20, "special_bits": 20},
    ],
)
def test_parameters_that_seal_would_stumble_over_are_refused(linear: Session, parameters: dict[str, Any]) -> None:
    with pytest.raises(PlanError):
        DataOwner(ScoringPlan.from_json(changed(linear, parameters=parameters)))


def test_what_a_plan_of_ours_allows_can_be_encrypted_up_to_the_edge(linear: Session) -> None:
    """The largest scale that passes the check still leaves room for the clip range."""
    owner = DataOwner(ScoringPlan.from_json(changed(linear, input_scale_bits=52, clip=CLIP)))
    assert len(list(owner.encrypt(np.full((1, 3), CLIP)))) == 1


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 0.0, -1.0, 2.0**20])
def test_an_answer_at_another_scale_is_refused_and_the_batch_still_waits(linear: Session, scale: float) -> None:
    plan = linear.model.plan
    reply = linear.scorer.score(next(linear.owner.encrypt(np.ones((2, 3)))))
    message = open_message(plan, Kind.SCORES, reply, session=None, parts=1)
    minor, body = uncompressed(message.parts[0], _ciphertext_bytes(plan.parameters, 1, False))
    forged = bytearray(body)
    forged[57:65] = struct.pack("<d", scale)
    assert MEMBERS_BYTES == 73
    part = header_of(minor, len(forged)) + bytes(forged)
    with pytest.raises(MessageError, match="cannot be read"):
        linear.owner.open(seal(plan, Kind.SCORES, message.session, message.batch, 2, [part]))
    assert len(linear.owner.open(reply)) == 2


def test_rows_that_cancel_each_other_are_one_named_error() -> None:
    """One ciphertext sent twice, and a model whose weights for both add up to nothing."""
    weights = np.array([[1.0, 1.0, -1.0, -1.0]])  # two to a ciphertext
    session = open_session(plan_batched(compile_model([Linear(weights, np.zeros(1))], None, CLIP)))
    plan, request = session.model.plan, next(session.owner.encrypt(np.ones((2, 4))))
    message = open_message(plan, Kind.ROWS, request, session=None, parts=2)
    part = bytes(message.parts[0])
    with pytest.raises(MessageError, match="cancel each other"):
        session.scorer.score(seal(plan, Kind.ROWS, message.session, message.batch, 2, [part, part]))
    assert np.abs(session.owner.open(session.scorer.score(request))).max() < plan.error_bound


def test_an_answer_for_another_number_of_rows_is_refused(linear: Session) -> None:
    plan, reply = linear.model.plan, linear.scorer.score(next(linear.owner.encrypt(np.ones((2, 3)))))
    message = open_message(plan, Kind.SCORES, reply, session=None, parts=1)
    part = bytes(message.parts[0])
    for rows in (1, 3):
        with pytest.raises(MessageError, match="answers no batch that waits"):
            linear.owner.open(seal(plan, Kind.SCORES, message.session, message.batch, rows, [part]))
    for rows in (0, plan.rows_per_batch + 1):
        with pytest.raises(MessageError, match="says that it holds"):
            linear.owner.open(seal(plan, Kind.SCORES, message.session, message.batch, rows, [part]))
    with pytest.raises(MessageError, match="does not hold 1 parts"):
        linear.owner.open(seal(plan, Kind.SCORES, message.session, message.batch, 2, [part, part]))
    assert len(linear.owner.open(reply)) == 2


def test_a_message_full_of_empty_fields_is_not_walked_through() -> None:
    """It looks like a context's, and would take a second a megabyte."""

    class Counted(bytes):
        looks = 0

        def __getitem__(self, place: Any) -> Any:
            Counted.looks += 1
            return super().__getitem__(place)

    assert not _is_context_with_secret_key(cast(memoryview, Counted(b"\x0a\x02\x5e\xa1" + b"\x12\x00" * 10_000)))
    assert 0 < Counted.looks < 1000


def test_keys_for_other_rotations_are_refused(single: Session) -> None:
    plan = single.model.plan
    (other,) = single.owner._key.evaluation_keys([step + 1 for step in plan.rotations], squares=False)
    with pytest.raises(MessageError, match="keys for rotations are others"):
        ModelOwner(single.model, seal(plan, Kind.KEYS, bytes(16), 0, 0, [other]))


def test_each_field_of_a_plan_is_in_its_digest(single: Session) -> None:
    plan = single.model.plan
    for field in fields(ScoringPlan):
        value = getattr(plan, field.name)
        other: Any = CkksParameters(4096, (55,), 50) if field.name == "parameters" else f"{value} and more"
        assert replace(plan, **{field.name: other}).digest != plan.digest, field.name


def test_a_message_says_nothing_of_its_content(linear: Session) -> None:
    message = open_message(
        linear.model.plan, Kind.ROWS, next(linear.owner.encrypt(np.ones((2, 3)))), session=None, parts=2
    )
    assert re.fullmatch(r"Message\(batch \d+, 2 rows, 2 parts\)", repr(message))
