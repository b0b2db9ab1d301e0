"""Sentences of a draft that hold for most runs, and not for each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from secure_fl import Experiment, Result, run_federation
from secure_fl.audit.dpia import draft_of, read_facts, to_markdown
from secure_fl.report.retraining import retraining

pytestmark = pytest.mark.slow

NO_MEASURE = "The run recorded no measure for any of these rights."


def drafted(run: Path) -> tuple[str, str]:
    """The draft and the model card of a run's folder."""
    draft = draft_of(read_facts(run))
    return to_markdown(draft.document), to_markdown(draft.card)


def test_a_bank_that_left_is_a_measure_for_peoples_rights(run_small: Callable[..., Result], tmp_path: Path) -> None:
    run = run_small(scheme="plaintext", banks=4, rounds=1).save(tmp_path / "run")
    again = run_federation(retraining(run, ["bank-2"]).settings).save(tmp_path / "again")
    assert NO_MEASURE in drafted(run)[0]
    document = drafted(again)[0]
    assert NO_MEASURE not in document
    assert "recorded this alone: bank-2 left: this model was trained without any of their rows" in document
    assert read_facts(run).record.head in document


def test_a_round_that_is_attempted_once_is_not_repeated(run_small: Callable[..., Result], tmp_path: Path) -> None:
    document, card = drafted(run_small(scheme="plaintext", rounds=1, attempts=1).save(tmp_path / "run"))
    assert "| Availability: a round that failed is repeated | not in this run | A round is attempted once;" in document
    assert "3 banks in 1 round, sums" in card


def test_of_several_classes_it_is_said_what_was_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = {name: (rng.normal(size=(90, 3)), rng.integers(0, 3, 90)) for name in ("north", "south", "west")}
    settings = Experiment(scheme="plaintext", rounds=1, batch_size=32)
    result = run_federation(settings, model=lambda: nn.Linear(3, 3), banks=rows)
    frauds = sum(counts["test_frauds"] for counts in result.data["banks"].values())
    document, card = drafted(result.save(tmp_path / "run"))
    assert f"| Test rows: honest, fraud | {81 - frauds}, {frauds} |" in card
    for text in (document, card):
        assert "The model tells 3 classes apart: each row is asked 3 times" in text
    assert "honest ones are flagged" not in document
    assert "Honest rows flagged" not in card
    assert "unless a model was handed over in Python" in card
