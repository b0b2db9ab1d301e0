"""Limits of encrypted scoring, and that documents hold what was measured."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import scoring
from benchmarks.scoring_page import blocks, stored
from benchmarks.written_blocks import read_block
from secure_fl.bench.peers.scoring import SCORING_PEERS
from secure_fl.bench.scoring.models import LOGISTIC, RELU

OURS = {
    "design": "batched", "model": LOGISTIC, "seconds_per_row": 1e-5, "upload_bytes_per_row": 249.0, "key_bytes": 86,
    "auprc_encrypted": 0.8, "auprc_plain": 0.8, "max_abs_error": 1e-6, "error_bound": 1e-5, "correct": True,
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"seconds_per_row": 3e-5},
        {"upload_bytes_per_row": 501.0},
        {"key_bytes": 2_000_000},
        {"max_abs_error": 2e-5},
        {"auprc_encrypted": 0.79},
        {"correct": False},
    ],
)
def test_a_row_that_leaves_a_limit_is_not_kept(change: dict[str, Any]) -> None:
    assert scoring.kept(OURS)
    assert not scoring.kept(OURS | change)


def test_the_tutorial_counts_where_ours_are_batched() -> None:
    tutorial = {"model": RELU, "design": "batched", "against": "tutorial", "peer_correct": True, "ratio": 999.0}
    assert not scoring.ahead(tutorial)
    assert scoring.ahead(tutorial | {"ratio": 1000.0})
    assert not scoring.ahead(tutorial | {"peer_correct": False})
    assert scoring.ahead(tutorial | {"design": "single"})


def test_documents_are_what_was_measured_and_every_limit_was_kept() -> None:
    found = stored()
    for (document, name), text in blocks(found).items():
        assert read_block(document, name) == text
    ours = [row for row in found["rows"] if not row["peer"]]
    assert all(scoring.kept(row) for row in ours)
    assert {(row["design"], row["model"]) for row in ours} >= set(scoring.LIMITS)
    assert all(scoring.ahead(ratio) for ratio in found["ratios"])


def test_every_peer_was_measured() -> None:
    peers = [row for row in stored()["rows"] if row["peer"]]
    assert {row["design"] for row in peers} == set(SCORING_PEERS)
    assert {row["status"] for row in peers} == {"measured"}
