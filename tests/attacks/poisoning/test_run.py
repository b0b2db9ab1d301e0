"""Cells are federations as anybody runs them, and the whole command from settings to files."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment
from secure_fl.attacks.command import run_command
from secure_fl.attacks.poisoning import Grid, run_poisoning
from secure_fl.attacks.poisoning.cells import MEAN, Cell
from secure_fl.attacks.poisoning.staging import staged
from secure_fl.attacks.poisoning.trial import Stopped, Trial, run_trial
from secure_fl.cli.progress import show_progress
from secure_fl.errors import TrainingError
from secure_fl.federation.run import open_federation, train_rounds
from secure_fl.progress import unseen

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::secure_fl.errors.DataWarning"),
]

BASE = Experiment(scheme="plaintext", banks=7, rounds=2, transactions=6_000, fraud_share=0.05)
SETTINGS: dict[str, Any] = {
    "dataset": "simulated", "banks": 5, "rounds": 1, "rules": ("none", "multi-krum"),
    "attacks": ("sign-flip", "backdoor"), "byzantine": (0, 1, 2),
}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"byzantine": 2, "attack": "backdoor"},
        {"robust": "multi-krum", "byzantine": 2, "attack": "min-max"},
        {"robust": "fltrust", "byzantine": 1, "attack": "label-flip"},
    ],
    ids=str,
)
def test_a_staged_federation_trains_what_a_run_would(changes: dict[str, Any]) -> None:
    experiment = BASE.with_(**changes)
    ours, theirs = train_rounds(staged(open_federation(BASE), experiment)), train_rounds(open_federation(experiment))
    assert np.array_equal(ours.model.weights, theirs.model.weights)
    for mine, other in zip(ours.rounds, theirs.rounds, strict=True):
        assert (mine.auprc, mine.excluded, mine.byzantine) == (other.auprc, other.excluded, other.byzantine)
        assert mine.upload_bytes == other.upload_bytes


def test_a_cell_leaves_nothing_behind_for_the_next_one() -> None:
    opened = open_federation(BASE)
    before = train_rounds(staged(opened, BASE)).model.weights
    train_rounds(staged(opened, BASE.with_(byzantine=3, attack="label-flip")))
    assert np.array_equal(train_rounds(staged(opened, BASE)).model.weights, before)


def test_a_federation_that_ends_in_an_error_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(*_: object) -> None:
        raise TrainingError("the model diverged; lower the learning rate")

    monkeypatch.setattr("secure_fl.attacks.poisoning.trial.train_rounds", diverge)
    found = run_trial(open_federation(BASE), BASE, MEAN, None)
    assert found == Stopped("the model diverged; lower the learning rate")
    rows, _ = run_poisoning(BASE, Grid(("none",), ("sign-flip",), (1,), 1), unseen)
    assert [row["reason"] for row in rows] == [
        "1 of 1 stopped: the model diverged; lower the learning rate",
        "1 of 1 stopped: without attackers: the model diverged; lower the learning rate",
    ]
    assert {row["auprc"] for row in rows} == {None}


def test_two_seeds_are_two_federations_and_their_mean() -> None:
    grid = Grid(("none",), ("sign-flip",), (0, 3), 2)
    said: list[tuple[int, int]] = []
    rows, dataset = run_poisoning(BASE, grid, lambda _, done, total: said.append((done, total)))
    assert said == [(done, 4) for done in range(5)]
    assert [(row["rule"], row["attack"], row["byzantine"]) for row in rows] == [
        ("none", "none", 0),
        ("none", "sign-flip", 3),
    ]
    for row in rows:
        first, second = row["auprc_by_seed"]
        assert first != second
        assert row["auprc"] == mean([first, second])
        assert row["auprc_interval"][0] < row["auprc"] < row["auprc_interval"][1]
        assert (row["rightly_excluded"], row["excluded"]) == (None, None)
    one = run_trial(open_federation(BASE.with_(seed=2)), BASE.with_(seed=2), MEAN, None)
    assert isinstance(one, Trial)
    assert one.auprc == rows[0]["auprc_by_seed"][1]
    assert 0.15 < rows[0]["frauds_passed"] <= 0.2
    assert len(dataset.banks) == 7


def test_the_unharmed_model_sets_the_threshold_and_the_backdoor_opens_the_mean() -> None:
    experiment = BASE.with_(rounds=6, transactions=20_000)
    opened = open_federation(experiment)
    unharmed = run_trial(opened, experiment, MEAN, None)
    assert isinstance(unharmed, Trial)
    cell = Cell("none", "backdoor", 3)
    attacked = run_trial(opened, cell.experiment(experiment), cell, unharmed.threshold)
    assert isinstance(attacked, Trial)
    assert attacked.threshold == unharmed.threshold
    assert unharmed.backdoor_success is not None
    assert attacked.backdoor_success is not None
    assert attacked.backdoor_success > unharmed.backdoor_success + 0.3
    flipped = Cell("none", "sign-flip", 3)
    other = run_trial(opened, flipped.experiment(experiment), flipped, unharmed.threshold)
    assert isinstance(other, Trial)
    assert other.backdoor_success is None
    assert other.auprc < unharmed.auprc


def test_table_json_and_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command("poisoning", "plaintext", tmp_path / "p.json", tmp_path / "p.html", show_progress, **SETTINGS)
    found = json.loads((tmp_path / "p.json").read_text())
    assert (found["attack"], found["scheme"]) == ("poisoning", "plaintext")
    command = (
        "secure-fl attack poisoning --scheme plaintext --dataset simulated --banks 5 --rounds 1 "
        "--rules none,multi-krum --attacks sign-flip,backdoor --byzantine 0,1,2"
    )
    assert found["command"] == command
    rows = {(row["rule"], row["attack"], row["byzantine"]): row for row in found["results"]}
    assert len(rows) == len(found["results"]) == 5 + 7
    ruled = rows["multi-krum", "sign-flip", 1]
    assert (ruled["rightly_excluded"], ruled["wrongly_excluded"]) == (1.0, 0.0)
    assert ruled["excluded"] == [["bank-5"]]
    assert rows["multi-krum", "none", 1]["rightly_excluded"] is None
    assert rows["multi-krum", "none", 1]["wrongly_excluded"] == 0.2
    for attack in ("none", "sign-flip", "backdoor"):
        impossible = rows["multi-krum", attack, 2]
        assert impossible["auprc"] is None
        assert impossible["reason"].startswith("multi-krum needs 2 f + 3 banks")
    assert (ruled["backdoor_success"], rows["multi-krum", "backdoor", 1]["backdoor_success"] is None) == (None, False)
    assert all(row["guessing"] == found["results"][0]["guessing"] < 0.05 for row in found["results"])
    said = capsys.readouterr().out
    for words in ("AUPRC, by number of attackers", "poisoned uploads left out", "what could not be tried"):
        assert words in " ".join(said.split())
    page = (tmp_path / "p.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert command in page
