"""The global model reaches the banks whole, either as weights or as the last sum, or not at all."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from secure_fl.codec.quantization import Contribution, MeanUpdate
from secure_fl.errors import MessageError, TrainingError
from secure_fl.federation.global_model import GlobalModel, LastSum, read_broadcast
from secure_fl.secagg import plan

PLAN = plan("plaintext", 3, 1000 + 5, 8)
MODEL = GlobalModel(np.random.default_rng(1).normal(size=1000).astype(np.float32), 0.1, 1 / 3)


def test_weights_survive_the_broadcast_exactly() -> None:
    weights = np.array([1.5, -0.0, 3e-38], dtype=np.float32)
    received = read_broadcast(GlobalModel(weights, 0.1, 1 / 3).to_bytes(), PLAN.resized(3 + 5), None)
    assert received.weights.tobytes() == weights.tobytes()
    assert (received.clip, received.mean_examples) == (0.1, 1 / 3)


def test_the_last_sum_leads_every_bank_to_the_same_model() -> None:
    codec = MODEL.codec(PLAN)
    rng = np.random.default_rng(2)
    vectors = [codec.encode(Contribution(rng.normal(scale=0.01, size=1000), 5), rng) for _ in range(3)]
    total = np.sum(vectors, axis=0)
    following = MODEL.updated(codec.decode(total, 3), clip=0.2)
    sent = LastSum(total, 3).to_bytes(PLAN, following)
    received = read_broadcast(sent, PLAN, MODEL)
    assert received.weights.tobytes() == following.weights.tobytes()
    assert received.digest == following.digest
    assert len(sent) < len(following.to_bytes()) / 3


def test_a_bank_without_the_model_before_cannot_use_the_last_sum() -> None:
    sent = LastSum(np.zeros(1005, dtype=np.int64), 3).to_bytes(PLAN, MODEL)
    with pytest.raises(MessageError, match="whole weights"):
        read_broadcast(sent, PLAN, None)


@pytest.mark.parametrize("length", [0, 1, 16, 18, 19, 22])
def test_truncated_weights_are_refused(length: int) -> None:
    with pytest.raises(MessageError):
        read_broadcast(MODEL.to_bytes()[:length], PLAN, MODEL)


@pytest.mark.parametrize("cut", [1, 500, 1200])
def test_a_truncated_sum_is_refused(cut: int) -> None:
    sent = LastSum(np.ones(1005, dtype=np.int64), 3).to_bytes(PLAN, MODEL)
    with pytest.raises(MessageError):
        read_broadcast(sent[:-cut], PLAN, MODEL)


def test_the_digest_binds_weights_and_settings() -> None:
    others = [
        GlobalModel(MODEL.weights + 1, MODEL.clip, MODEL.mean_examples),
        GlobalModel(MODEL.weights, 0.2, MODEL.mean_examples),
        GlobalModel(MODEL.weights, MODEL.clip, 1.0),
    ]
    assert len({MODEL.digest, *(other.digest for other in others)}) == 4


def test_the_weights_do_not_show() -> None:
    assert "weights" not in repr(MODEL)


def test_weights_that_are_not_finite_are_a_training_error() -> None:
    with pytest.raises(TrainingError, match="global model diverged"):
        MODEL.updated(MeanUpdate(np.full(1000, math.inf), 0, None), 0.1)


@pytest.mark.parametrize("contributors", [0, 4, 2**32 - 1])
def test_a_sum_of_no_bank_or_of_too_many_is_refused(contributors: int) -> None:
    sent = LastSum(np.zeros(1005, dtype=np.int64), contributors).to_bytes(PLAN, MODEL)
    with pytest.raises(MessageError, match="is said to be of"):
        read_broadcast(sent, PLAN, MODEL)


@pytest.mark.parametrize(
    "changes",
    [{"clip": 0.0}, {"clip": math.nan}, {"clip": math.inf}, {"clip": -1.0}]
    + [{"mean_examples": value} for value in (0.0, -1.0, math.nan, math.inf)]
    + [{"weights": np.zeros(size, dtype=np.float32)} for size in (0, 999, 1001)]
    + [{"weights": np.full(1000, value, dtype=np.float32)} for value in (math.nan, math.inf)],
    ids=str,
)
def test_a_model_that_cannot_be_is_refused_before_it_is_trained_on(changes: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match="a broadcast model has"):
        read_broadcast(replace(MODEL, **changes).to_bytes(), PLAN, None)
