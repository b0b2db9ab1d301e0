"""What is refused where a model is to be hidden, by which error, and that nothing is lost then."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import MessageError, PlanError, ScoringError, SecretExposureError
from secure_fl.scoring import DataOwner, Linear, ModelOwner, ScoringPlan, compile_model, plan_batched, plan_hidden
from secure_fl.scoring.hazmat.secret import SecretKey
from secure_fl.scoring.messages import Kind, open_message, seal
from secure_fl.scoring.parameters import CkksParameters
from secure_fl.secagg.hazmat.he_words import saved
from tests.scoring.exact import hidden_linear, planned_hidden
from tests.scoring.scene import CLIP, Session, open_session, random_layers, random_rows, session_of

ROWS = np.array([[1.0, 2.0], [0.5, CLIP]])


@pytest.fixture(scope="module")
def session() -> Session:
    return open_session(hidden_linear([0.5, -1.25], 0.1))


def _keys(session: Session, parts: list[bytes]) -> bytes:
    return seal(session.model.plan, Kind.KEYS, bytes(16), 0, 0, parts)


def _public_key(session: Session) -> bytes:
    return bytes(open_message(session.model.plan, Kind.KEYS, session.keys, session=None, parts=1).parts[0])


def test_a_public_key_that_is_missing_or_one_too_many(session: Session) -> None:
    key = _public_key(session)
    for parts in ([], [key, key]):
        with pytest.raises(MessageError, match="does not hold 1 parts"):
            ModelOwner(session.model, _keys(session, parts))
    with pytest.raises(MessageError, match="another plan"):
        ModelOwner(session.model, open_session(hidden_linear([0.5, -2.25], 0.1)).keys)
    assert ModelOwner(session.model, _keys(session, [key]))


def test_public_keys_that_are_none(session: Session) -> None:
    """Of other primes, of another ring, cut, junk, a ciphertext, keys for squares."""
    key = _public_key(session)
    others = [SecretKey(CkksParameters(*chosen)) for chosen in ((8192, (55, 56), 20), (16384, (56, 56), 20))]
    bad = [
        *(other.public_key() for other in others),
        key[:-1],
        key[: len(key) // 2],
        key + b"\0",
        b"",
        b"junk" * 100,
        session.owner._key.encrypt(ROWS[:, 0], 2.0**60),
        *session.owner._key.evaluation_keys((), squares=True),
    ]
    for part in bad:
        with pytest.raises(MessageError):
            ModelOwner(session.model, _keys(session, [part]))


def test_a_secret_key_in_the_place_of_the_public_one_is_refused_by_name(session: Session) -> None:
    with pytest.raises(SecretExposureError, match="a secret key turned up"):
        ModelOwner(session.model, _keys(session, [saved(session.owner._key._key)]))


def test_altered_answers_are_refused_and_the_batch_can_be_answered_again(session: Session) -> None:
    request = next(session.owner.encrypt(ROWS))
    reply = session.scorer.score(request)
    plan = session.model.plan
    part = bytes(open_message(plan, Kind.SCORES, reply, session=None, parts=1).parts[0])
    for bad in (part[:-1], part + b"\0", b"", session.owner._key.encrypt(ROWS[:, 0], plan.result_scale)):
        with pytest.raises(MessageError):
            session.owner.open(
                seal(plan, Kind.SCORES, session.keys[38:54], int.from_bytes(reply[54:58], "little"), 2, [bad])
            )
    assert len(session.owner.open(session.scorer.score(request))) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"flooding_bits": -1},
        {"flooding_bits": 112},
        {"flooding_bits": "80"},
        {"layout": "single"},
        {"divisions": 0},
        {"squares": 1},
        {"squares": -1},
        {"parameters": {"degree": 8192, "data_bits": [56, 56], "special_bits": None}},
    ],
)
def test_hidden_plans_that_make_no_sense_are_refused(session: Session, change: dict[str, Any]) -> None:
    plan = json.loads(session.model.plan.to_json())
    with pytest.raises(MessageError, match="a plan for scoring cannot be read"):
        ScoringPlan.from_json(json.dumps(plan | change).encode())


def test_a_hidden_plan_travels_whole_and_is_another_than_the_open_one(session: Session) -> None:
    plan = session.model.plan
    assert ScoringPlan.from_json(plan.to_json()) == plan
    assert plan.derived()["batch_hiding_distance"] == "2^-40"
    other = session_of(1, (3, 1)).model.plan
    assert "batch_hiding_distance" not in other.derived()
    assert not other.hides_model
    bare = ScoringPlan.from_json(json.dumps(json.loads(plan.to_json()) | {"flooding_bits": 0}).encode())
    with pytest.raises(MessageError, match="another plan"):
        ModelOwner(session.model, DataOwner(bare).keys())


@pytest.mark.slow
def test_too_deep_a_model_is_refused_with_the_reason() -> None:
    rng = np.random.default_rng(0)
    deep = compile_model(random_layers(rng, (2, 2, 2, 2, 1)), random_rows(rng, 50, 2), CLIP)
    assert plan_batched(deep, 1e9)
    with pytest.raises(ScoringError, match=r"squares 3 times in a row.* room for 2 .*do not hide the model"):
        plan_hidden(deep)


def test_what_fits_no_modulus_or_tolerance_is_refused() -> None:
    rows = random_rows(np.random.default_rng(0), 50, 2)
    with pytest.raises(PlanError, match="narrow the clip range"):
        plan_hidden(compile_model([Linear(np.full((1, 2), 1e30), np.zeros(1))], rows, CLIP))
    compiled = compile_model([Linear(np.ones((1, 2)), np.zeros(1))], rows, CLIP)
    bound = plan_hidden(compiled).plan.error_bound
    assert plan_hidden(compiled, bound).plan.error_bound == bound
    with pytest.raises(PlanError, match="allow more, narrow the clip range"):
        plan_hidden(compiled, bound / 4)


@pytest.mark.slow
def test_sizes_of_hidden_messages_are_those_of_the_plan() -> None:
    for widths in ((5, 1), (5, 3, 1), (5, 3, 2, 1)):
        session = open_session(planned_hidden(1, widths))
        request = next(session.owner.encrypt(np.zeros((2, 5))))
        assert len(session.keys) == pytest.approx(session.model.plan.key_bytes, rel=0.03)
        assert len(request) == pytest.approx(session.model.plan.upload_bytes, rel=0.03)
