"""Both halves in one process: batches follow each other, and what they took is told."""

from __future__ import annotations

import tracemalloc
from itertools import count

import numpy as np
import pytest

from secure_fl.errors import DataError
from secure_fl.scoring import compile_model, plan_batched, score_encrypted
from tests.scoring.scene import CLIP, planned, random_layers, random_rows


def test_every_batch_is_scored_timed_and_reported() -> None:
    model, rng = planned(1, (6, 1)), np.random.default_rng(1)
    size, told, clock = model.plan.rows_per_batch, list[tuple[str, int, int]](), count()
    rows = random_rows(rng, size + 3, 6)
    scored = score_encrypted(model, rows, lambda *step: told.append(step), lambda: float(next(clock)))
    assert np.abs(scored.logits - model.network.logits(rows)).max() < model.plan.error_bound
    assert [batch.rows for batch in scored.batches] == [size, 3]
    assert told == [("scoring", size, size + 3), ("scoring", size + 3, size + 3)]
    assert [batch.seconds for batch in scored.batches] == [3.0, 3.0]
    assert scored.keys_seconds == 1.0
    assert len(scored.request) == scored.batches[0].upload_bytes
    assert scored.batches[0].download_bytes < scored.batches[0].upload_bytes


def test_a_bad_row_at_the_end_is_refused_before_anything_is_encrypted() -> None:
    model, told = planned(1, (6, 1)), list[int]()
    rows = random_rows(np.random.default_rng(1), 20_000, 6)
    rows[17_500, 2] = np.nan
    with pytest.raises(DataError, match="row 17500 "):
        score_encrypted(model, rows, lambda what, done, total: told.append(done))
    assert told == []


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows() -> None:
    """Beyond the rows themselves and their scores."""
    rng = np.random.default_rng(2)
    model = plan_batched(compile_model(random_layers(rng, (6, 1)), None, CLIP))
    peaks = []
    for batches in (4, 40):
        rows = random_rows(rng, batches * model.plan.rows_per_batch, 6).astype(np.float32)
        tracemalloc.start()
        score_encrypted(model, rows)
        peaks.append(tracemalloc.get_traced_memory()[1] - 16 * len(rows))
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
