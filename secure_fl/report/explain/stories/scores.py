"""A row scored encrypted, and a data owner that solves for the weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from secure_fl.report.explain.story import (
    EAVESDROPPER,
    Field,
    Finding,
    Line,
    Message,
    Play,
    Pool,
    Step,
    Story,
    Work,
    shown,
)
from secure_fl.scoring import DataOwner, Linear, ModelOwner, compile_model, plan_batched
from secure_fl.scoring.custody import CUSTODY, DATA_OWNER, MODEL_OWNER
from secure_fl.scoring.messages import HEADER_BYTES
from secure_fl.scoring.network import Matrix, Vector
from secure_fl.scoring.plans import PlannedModel

CLIP = 4.0
WEIGHTS, BIAS = np.array([0.8, -0.5, 0.3, 1.1]), -0.7
ROW = np.array([[1.2, -0.4, 2.0, 0.3]])
PROBES = np.vstack([np.zeros(4), np.eye(4)])


@dataclass(frozen=True)
class Exchange:
    """What travelled, and what was opened."""

    keys: bytes
    request: bytes
    reply: bytes
    logits: Vector


def play() -> Play:
    model = plan_batched(compile_model((Linear(WEIGHTS[None, :], np.array([BIAS])),), None, CLIP))
    scored, probed = _exchange(model, ROW), _exchange(model, PROBES)
    stories = (
        Story(
            "nobody lies",
            "The data owner has a row and no model, the model owner a model and no row.",
            (*_steps(model, scored, ROW), _opened(model, scored)),
        ),
        Story(
            "the data owner solves for the weights",
            f"It has {len(PROBES)} rows of its own making scored: zeros, and one for each feature. Their logits are "
            "the bias, and the bias plus one weight each. No encryption hinders that: whoever answers with logits of a "
            "linear model gives it away to who asks often enough.",
            (*_steps(model, probed, PROBES), _solved(probed)),
            DATA_OWNER,
        ),
    )
    parties = (DATA_OWNER, MODEL_OWNER)
    return Play(
        name="encrypted score",
        title="A row scored encrypted",
        text="Beyond sums: the model owner multiplies ciphertexts by its weights and adds them up, and reads neither "
        "row nor score.",
        parties=parties,
        stories=stories,
        pools=tuple(
            Pool(members, (Finding(DATA_OWNER, shown(ROW[0].tolist()), (), "Ciphertexts, and no key to open them."),))
            for members in ((MODEL_OWNER,), (EAVESDROPPER,), (MODEL_OWNER, EAVESDROPPER))
        ),
        custody=CUSTODY,
    )


def _exchange(model: PlannedModel, rows: Matrix) -> Exchange:
    owner = DataOwner(model.plan)
    keys = owner.keys()
    (request,) = owner.encrypt(rows)
    reply = ModelOwner(model, keys).score(request)
    return Exchange(keys, request, reply, owner.open(reply))


def _steps(model: PlannedModel, exchange: Exchange, rows: Matrix) -> tuple[Step, ...]:
    plan = model.plan
    pairs = "two features to a slot" if plan.paired else "a ciphertext a feature"
    lines = tuple(Line("", f"row {number}", shown(row)) for number, row in enumerate(rows.tolist(), 1))
    weights = (Line("", "weights", shown(WEIGHTS.tolist())), Line("", "bias", shown([BIAS])))
    return (
        Step(
            "The data owner draws a key",
            "It sends what one needs to compute, and nothing to decrypt with. Multiplying by weights that are in the "
            "clear needs next to nothing.",
            "keys",
            (_message(DATA_OWNER, MODEL_OWNER, exchange.keys, "keys to compute with", "", ()),),
        ),
        Step(
            "The data owner encrypts",
            f"Column by column, {pairs}, with room for {plan.rows_per_batch:,} rows in the slots: so many rows cost as "
            "much as one.",
            "rows",
            (_message(DATA_OWNER, MODEL_OWNER, exchange.request, "encrypted rows", _text(rows), (DATA_OWNER,)),),
            (Work(DATA_OWNER, "its rows", lines),),
        ),
        Step(
            "The model owner computes on ciphertexts",
            "Each ciphertext times its weights, all added, plus the bias: an encrypted logit for each row.",
            "scores",
            (
                _message(
                    MODEL_OWNER, DATA_OWNER, exchange.reply, "encrypted logits", _text(exchange.logits), (DATA_OWNER,)
                ),
            ),
            (Work(MODEL_OWNER, "its model", weights),),
        ),
    )


def _opened(model: PlannedModel, exchange: Exchange) -> Step:
    plain = ROW @ WEIGHTS + BIAS
    lines = (
        Line("", "decrypted logit", tuple(f"{logit:.9f}" for logit in exchange.logits)),
        Line("", "the same in the clear", tuple(f"{logit:.9f}" for logit in plain)),
        Line("", "difference", tuple(f"{off:.1e}" for off in exchange.logits - plain)),
        Line("", "planned: at most", (f"{model.plan.error_bound:.1e}",)),
    )
    text = "CKKS is off by a little, and the plan says beforehand by how much at most."
    return Step("The data owner reads the score", text, work=(Work(DATA_OWNER, "decrypts", lines),), at=DATA_OWNER)


def _solved(exchange: Exchange) -> Step:
    bias, found = exchange.logits[0], exchange.logits[1:] - exchange.logits[0]
    lines = (
        Line("", "decrypted logits", shown(exchange.logits.tolist())),
        Line("=", "the bias", shown([float(bias)])),
        Line("=", "the weights", shown(found.tolist())),
    )
    text = "Five logits give five numbers. A network takes more questions, and a limit on them is no part of this."
    return Step(
        "The data owner has the model", text, work=(Work(DATA_OWNER, "subtracts", lines),), at=DATA_OWNER, trouble=True
    )


def _message(sender: str, recipient: str, data: bytes, name: str, meaning: str, readers: tuple[str, ...]) -> Message:
    envelope = Field(
        "envelope", data[:HEADER_BYTES], "digest of the plan, session, number of the batch, rows, checksum"
    )
    return Message(sender, recipient, len(data), (envelope, Field(name, data[HEADER_BYTES:], meaning, readers or None)))


def _text(numbers: Matrix | Vector) -> str:
    return "; ".join(" ".join(shown(row.tolist())) for row in np.atleast_2d(numbers))
