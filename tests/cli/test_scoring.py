"""Encrypted scoring as a person meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from secure_fl.cli.app import app
from secure_fl.training import Network
from tests.report.scored_run import scored_run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a logistic regression and rows to score."""
    monkeypatch.chdir(tmp_path)
    scored_run(tmp_path, Network(()))
    return tmp_path


@pytest.mark.slow
def test_scores_are_written_and_what_they_took_is_said(here: Path) -> None:
    words = ["score", "model.safetensors", "rows.csv", "--encrypted", "--out", "s.csv", "--html", "s.html"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    said = " ".join(done.stdout.split())
    for part in ("a row: ", "largest error of a logit", "AUPRC", "model owner can read: nothing", "s.csv: 300 scores"):
        assert part in said
    assert "scoring 300/300" in done.stderr
    assert (here / "s.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_json_on_standard_output_is_all_that_is_printed(here: Path) -> None:
    words = ["score", "model.safetensors", "rows.csv", "--encrypted", "--out", "s.csv", "--json", "-"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert json.loads(done.stdout)["encrypted"]["plan"]["layout"] == "batched"


def test_the_plan_says_what_scoring_then_has(here: Path) -> None:
    done = CliRunner().invoke(app, ["plan", "--score", "model.safetensors", "--json"], catch_exceptions=False)
    planned = json.loads(done.stdout)
    words = ["score", "model.safetensors", "rows.csv", "--encrypted", "--out", "s.csv", "--json", "s.json"]
    CliRunner().invoke(app, words, catch_exceptions=False)
    scored = json.loads((here / "s.json").read_text(encoding="utf-8"))["encrypted"]
    assert planned == scored["plan"]
    single = CliRunner().invoke(app, ["plan", "--score", "model.safetensors", "--single"], catch_exceptions=False)
    assert "single" in single.stdout
