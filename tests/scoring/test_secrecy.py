"""What the model owner does not have, and what the data owner gets that it was not meant to have."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from tenseal import sealapi

from secure_fl.scoring.custody import CUSTODY, DATA_OWNER, MODEL_OWNER
from secure_fl.scoring.hazmat.objects import _secret_key_bytes, context
from secure_fl.scoring.messages import Kind, open_message, seal
from secure_fl.secagg.hazmat.he_layout import uncompressed
from secure_fl.secagg.hazmat.he_words import saved
from tests.scoring.processes import SEED, WIDTHS, receive, send
from tests.scoring.scene import planned, random_rows, session_of

ROOT = Path(__file__).parents[2]


@contextmanager
def _party(name: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.scoring.processes", name]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _holds(process: subprocess.Popen[bytes], needles: list[bytes]) -> bool:
    """Whether any of the needles lies in the process's memory."""
    folder = Path(f"/proc/{process.pid}")
    with (folder / "mem").open("rb") as memory:
        for line in (folder / "maps").read_text().splitlines():
            bounds, access = line.split()[:2]
            if not access.startswith("rw"):
                continue
            start, stop = (int(bound, 16) for bound in bounds.split("-"))
            with suppress(OSError):
                memory.seek(start)
                content = memory.read(stop - start)
                if any(needle in content for needle in needles):
                    return True
    return False


def _windows(data: bytes | memoryview) -> list[bytes]:
    """Pieces of 24 bytes from all over, past the headers."""
    return [bytes(data[start : start + 24]) for start in range(256, len(data) - 24, 4096)]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_secret_key_is_in_the_data_owners_memory_and_not_in_the_model_owners() -> None:
    model = planned(SEED, WIDTHS)
    with _party("data-owner") as owner, _party("model-owner") as scorer:
        assert owner.stdin is not None
        assert owner.stdout is not None
        assert scorer.stdin is not None
        assert scorer.stdout is not None
        send(owner.stdin, model.plan.to_json())
        keys, request, secret = (receive(owner.stdout) for _ in range(3))
        send(scorer.stdin, keys)
        send(scorer.stdin, request)
        reply = receive(scorer.stdout)
        open_message(model.plan, Kind.SCORES, reply, session=keys[38:54], parts=1)
        _, body = uncompressed(memoryview(secret), _secret_key_bytes(model.plan.parameters))
        needles = _windows(body)
        assert len(needles) > 40
        assert _holds(owner, needles)
        assert _holds(scorer, _windows(request))  # the search sees what lies there
        assert not _holds(scorer, needles)


def test_the_model_owner_has_nothing_to_decrypt_with() -> None:
    """Nor has its answer: another key reads noise."""
    session, stranger = session_of(1, (3, 1)), session_of(1, (3, 1))
    rows = random_rows(np.random.default_rng(0), 50, 3)
    reply = session.scorer.score(next(session.owner.encrypt(rows)))
    part = open_message(session.model.plan, Kind.SCORES, reply, session=None, parts=1).parts[0]
    wrong = stranger.owner._key.decrypt(part, session.model.plan.result_scale)[:50]
    wanted = session.model.network.logits(rows)
    assert np.median(np.abs(wrong - wanted)) > 1, "nothing of them, whatever noise comes near by chance"
    assert not hasattr(session.scorer._evaluation, "decrypt")


def test_equal_rows_are_encrypted_differently() -> None:
    session = session_of(1, (3, 1))
    first, second = (next(session.owner.encrypt(np.ones((1, 3)))) for _ in range(2))
    parts = [
        part.tobytes()
        for request in (first, second)
        for part in open_message(session.model.plan, Kind.ROWS, request, session=None, parts=2).parts
    ]
    assert len(set(parts)) == len(parts)


def test_a_linear_model_is_solved_for_from_raw_logits() -> None:
    """As custody says: one row more than there are features gives all weights, in batches half as many."""
    session = session_of(7, (6, 1))
    rows = random_rows(np.random.default_rng(0), 7, 6)
    logits = session.score(rows)
    solved, *_ = np.linalg.lstsq(np.hstack([rows, np.ones((7, 1))]), logits, rcond=None)
    true = session.model.network.linears[0]
    assert np.allclose(solved, [*true.weights[0], true.bias[0]], atol=1e-3)
    assert "one row more than it has features" in CUSTODY.broken_by[0]
    reply = session.scorer.score(next(session.owner.encrypt(rows[:4])))
    part = open_message(session.model.plan, Kind.SCORES, reply, session=None, parts=1).parts[0]
    session.owner._key.decrypt(part, session.model.plan.result_scale)
    second = np.imag(
        sealapi.CKKSEncoder(context(session.model.plan.parameters)).decode_complex(session.owner._key._plain)
    )
    turned = np.empty((4, 6))
    turned[:, 0::2], turned[:, 1::2] = rows[:4, 1::2], -rows[:4, 0::2]
    known = np.vstack([np.hstack([rows[:4], np.ones((4, 1))]), np.hstack([turned, np.zeros((4, 1))])])
    solved, *_ = np.linalg.lstsq(known, [*logits[:4], *second[:4]], rcond=None)
    assert np.allclose(solved, [*true.weights[0], true.bias[0]], atol=1e-3)
    assert "two features share a slot" in CUSTODY.broken_by[0]


def test_unused_slots_tell_of_the_model() -> None:
    """No circuit privacy: slots without a row hold the bias, so a data owner reads it."""
    session = session_of(7, (6, 1))
    reply = session.scorer.score(next(session.owner.encrypt(np.ones((1, 6)))))
    part = open_message(session.model.plan, Kind.SCORES, reply, session=None, parts=1).parts[0]
    slots = session.owner._key.decrypt(part, session.model.plan.result_scale)
    assert np.allclose(slots[1:], session.model.network.linears[0].bias[0], atol=1e-3)
    assert "unused slots" in CUSTODY.broken_by[1]


def test_a_model_owner_that_answers_with_a_row_has_it_read_by_whoever_sees_the_scores() -> None:
    """Rounding them does not help: here the sign of a feature is what is left."""
    session, rows = session_of(7, (6, 1)), random_rows(np.random.default_rng(0), 50, 6)
    request, plan, evaluation = next(session.owner.encrypt(rows)), session.model.plan, session.scorer._evaluation
    message = open_message(plan, Kind.ROWS, request, session=None, parts=3)
    third = evaluation.load(message.parts[1], 2.0**plan.input_scale_bits)
    answer = evaluation.weighted_sum([third], np.ones(1), 2.0 ** session.model.scales.weights[0], 0.0)
    part = saved(answer)
    scores = session.owner.open(seal(plan, Kind.SCORES, message.session, message.batch, 50, [part]))
    assert (np.round(scores) == np.round(rows[:, 2])).mean() > 0.95
    assert "a row's own ciphertext" in CUSTODY.broken_by[3]


def test_custody_names_who_reads_what() -> None:
    assert CUSTODY.can_decrypt[MODEL_OWNER] == CUSTODY.can_decrypt["observer"] == ()
    assert CUSTODY.can_decrypt[DATA_OWNER]


def test_no_secret_is_in_a_repr() -> None:
    session = session_of(1, (3, 1))
    for party in (session.owner, session.owner._key, session.scorer, session.model):
        text = repr(party)
        assert "array" not in text
        assert "0x" not in text
