"""Encrypted scoring of a file: the same scores as in plain, what is said of them, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import ConfigurationError, DataError, ScoringError
from secure_fl.progress import Progress, unseen
from secure_fl.report import encrypted_scores
from secure_fl.report.encrypted_model import EncryptedModel
from secure_fl.report.encrypted_scores import ScoringRequest, score_encrypted_file
from secure_fl.report.scores import score_file
from secure_fl.report.scoring_outcome import ScoringOutcome, time_shares
from secure_fl.report.scoring_page import render
from secure_fl.scoring.ways import Way
from secure_fl.training import Network
from tests.report.scored_run import ScoredRun, scored_run

LINEAR, SQUARES, RELU = Network(()), Network((4,), "square"), Network((4,))


@contextmanager
def silence() -> Iterator[Progress]:
    yield unseen


def request_for(run: ScoredRun, folder: Path, training: Path | None = None, way: Way = "batched") -> ScoringRequest:
    return ScoringRequest(
        run.model,
        run.rows,
        folder / "scores.csv",
        training=training,
        way=way,
        json_file=folder / "scores.json",
        html_file=folder / "scores.html",
    )


def probabilities(path: Path) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["row", "fraud_probability"]
    assert [int(row) for row, _ in rows] == list(range(1, len(rows) + 1))
    return np.array([float(score) for _, score in rows])


@pytest.mark.parametrize("network", [LINEAR, SQUARES], ids=str)
@pytest.mark.slow
def test_encrypted_scores_are_the_plain_ones(tmp_path: Path, network: Network) -> None:
    run = scored_run(tmp_path, network)
    page = score_encrypted_file(request_for(run, tmp_path), silence)
    score_file(run.model, run.rows, tmp_path / "plain.csv")
    np.testing.assert_allclose(
        probabilities(tmp_path / "scores.csv"), probabilities(tmp_path / "plain.csv"), atol=page.plan.error_bound + 1e-6
    )
    said = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    figures = said["encrypted"]
    assert (said["rows"], said["frauds"] + said["honest"], said["training"]) == (300, 300, None)
    assert figures["max_abs_error"] <= figures["plan"]["error_bound"]
    assert figures["plan"]["relu_replaced"] is None
    assert figures["batches"] * len(page.request) == pytest.approx(300 * figures["upload_bytes_per_row"])
    assert sum(seconds for _, _, seconds in time_shares(page)) == page.seconds_per_row
    assert page.seconds_per_row * 300 == pytest.approx(figures["batches"] * figures["seconds_of_a_batch"])
    assert 0 < figures["download_bytes_per_row"] < figures["upload_bytes_per_row"]
    assert figures["max_abs_error"] == np.abs(page.encrypted - page.polynomial).max()
    assert abs(said["scores"]["auprc"] - figures["plain_scores"]["auprc"]) < 5e-4
    assert figures["plain_scores"] == figures["polynomial_scores"]
    assert (tmp_path / "scores.html").read_text(encoding="utf-8") == render(page)


@pytest.mark.slow
def test_single_rows_and_batches_agree(tmp_path: Path) -> None:
    run = scored_run(tmp_path, LINEAR)
    lines = run.rows.read_text(encoding="utf-8").splitlines(keepends=True)
    run.rows.write_text("".join(lines[:6]), encoding="utf-8")
    batched = score_encrypted_file(request_for(run, tmp_path), silence)
    (tmp_path / "one").mkdir()
    single = score_encrypted_file(request_for(run, tmp_path / "one", way="single"), silence)
    assert (batched.figures["batches"], single.figures["batches"]) == (1, 5)
    np.testing.assert_allclose(batched.encrypted, single.encrypted, atol=1e-3)


@pytest.mark.slow
def test_a_model_with_relu_takes_rows_of_its_owner_and_says_what_changed(tmp_path: Path) -> None:
    run = scored_run(tmp_path, RELU)
    page = score_encrypted_file(request_for(run, tmp_path, run.training), silence)
    assert page.figures["plan"]["relu_replaced"]["mean_difference"] > 0
    assert page.plan.usual_error_bound < page.plan.error_bound
    assert "of the model with ReLU" in render(page)
    assert page.errors.max() == page.figures["max_abs_error"]
    score_file(run.model, run.rows, tmp_path / "plain.csv", json_file=tmp_path / "plain.json")
    plain = json.loads((tmp_path / "plain.json").read_text(encoding="utf-8"))["scores"]["auprc"]
    assert page.figures["plain_scores"]["auprc"] == pytest.approx(plain, abs=1e-4)
    assert page.figures["polynomial_scores"]["auprc"] != pytest.approx(plain, abs=1e-4)


@pytest.mark.slow
def test_a_hidden_model_gives_the_same_scores_and_says_that_it_is_hidden(tmp_path: Path) -> None:
    run = scored_run(tmp_path, LINEAR)
    outcome = score_encrypted_file(request_for(run, tmp_path, way="hidden"), silence)
    assert outcome.figures["plan"]["batch_hiding_distance"] == "2^-40"
    assert outcome.figures["max_abs_error"] < 1e-3
    page = render(outcome)
    assert "hidden from the data owner" in page
    assert "adds a fresh encryption of zero" in page
    open_page = render(score_encrypted_file(replace(request_for(run, tmp_path), force=True), silence))
    assert "adds a fresh encryption of zero" not in open_page
    assert "not hidden: the noise of answers depends on them" in open_page


def test_a_model_with_relu_is_refused_without(tmp_path: Path) -> None:
    run = scored_run(tmp_path, RELU)
    with pytest.raises(ScoringError, match=r"give training rows"):
        score_encrypted_file(request_for(run, tmp_path), silence)
    assert not (tmp_path / "scores.csv").exists()


def test_small_probabilities_are_told_apart_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as logits go: half of 1 + tanh would be 0 from -38 on."""
    run = scored_run(tmp_path, LINEAR)
    scored = encrypted_scores._scored

    def low(*given: Any) -> ScoringOutcome:
        return replace(scored(*given), encrypted=np.linspace(-80.0, -40.0, 300))

    monkeypatch.setattr(encrypted_scores, "_scored", low)
    score_encrypted_file(request_for(run, tmp_path), silence)
    found = probabilities(tmp_path / "scores.csv")
    np.testing.assert_allclose(np.log(found), np.linspace(-80.0, -40.0, 300), rtol=1e-9)


def test_several_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScoringError, match="one output"):
        EncryptedModel.read(scored_run(tmp_path, LINEAR, classes=3).model, None, "batched")


def test_nothing_is_written_where_a_logit_is_off_by_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = scored_run(tmp_path, LINEAR)
    true = EncryptedModel.in_plain
    monkeypatch.setattr(EncryptedModel, "in_plain", lambda *given: [x + 1 for x in true(*given)])
    with pytest.raises(ScoringError, match="is off by 1, "):
        score_encrypted_file(request_for(run, tmp_path), silence)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors", "rows.csv", "training.csv"]


@pytest.mark.slow
def test_rows_without_labels_are_scored_too(tmp_path: Path) -> None:
    run = scored_run(tmp_path, LINEAR)
    lines = [line.rsplit(",", 2)[0] for line in run.rows.read_text(encoding="utf-8").splitlines()]
    run.rows.write_text("\n".join(lines) + "\n", encoding="utf-8")
    page = score_encrypted_file(request_for(run, tmp_path), silence)
    said = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert said["scores"] is said["encrypted"]["plain_scores"] is None
    assert said["unscored"]
    assert 'id="curves"' not in render(page)


@pytest.mark.parametrize("name", ["model", "rows", "training"])
def test_what_is_read_is_not_written_over(tmp_path: Path, name: str) -> None:
    run = scored_run(tmp_path, LINEAR)
    request = ScoringRequest(run.model, run.rows, getattr(run, name), training=run.training, force=True)
    with pytest.raises(ConfigurationError, match="used by this command"):
        score_encrypted_file(request, silence)


def test_rows_of_another_table_are_refused_before_anything_is_encrypted(tmp_path: Path) -> None:
    run = scored_run(tmp_path, LINEAR)
    run.rows.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError):
        score_encrypted_file(request_for(run, tmp_path), silence)
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.slow
def test_the_page_shows_no_transaction(tmp_path: Path) -> None:
    run = scored_run(tmp_path, LINEAR)
    text = render(score_encrypted_file(request_for(run, tmp_path), silence))
    names = run.rows.read_text(encoding="utf-8").splitlines()[1].split(",")
    assert not any(value in text for value in names if len(value) > 6)
