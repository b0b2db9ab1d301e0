"""Training with synthetic fraud: approved patterns only, in training rows only, and the results say so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from secure_fl import Experiment, run_federation
from secure_fl.cli.app import app
from secure_fl.data.datasets import open_dataset
from secure_fl.data.synthetic.leakage import RealRows
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.review import submit
from secure_fl.data.synthetic.reviewers import ReviewerFiles
from secure_fl.data.synthetic.store import PatternStore
from secure_fl.errors import ConfigurationError, SyntheticError
from secure_fl.report import render

Small = Callable[..., Experiment]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PatternStore:
    """Four valid patterns of the library, the second and third of them approved, the last rejected."""
    monkeypatch.setenv("SECURE_FL_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SECURE_FL_REVIEW", str(tmp_path / "own"))
    store = PatternStore.of_user()
    proposals = library(4)
    submit(store, proposals, RealRows.simulated(), np.random.default_rng(1))
    for proposal in proposals[1:3]:
        store.approve(proposal.digest, "A. Reviewer", "plausible")
    store.reject(proposals[3].digest, "A. Reviewer", "seen too often")
    return store


def test_only_approved_patterns_enter_and_only_training_rows(store: PatternStore, small: Small) -> None:
    without, mixed = (
        open_dataset(small(transactions=24_000)),
        open_dataset(small(transactions=24_000, synthetic="approved")),
    )
    assert mixed.synthetic is not None
    assert set(mixed.synthetic.patterns) == {kept.digest for kept in store.read().in_state("approved")}
    for before, after in zip(without.banks, mixed.banks, strict=True):
        assert after.provenance is not None
        real = after.provenance < 0
        assert len(after.train) == len(after.provenance)
        assert after.train.fraud[~real].all()
        assert np.count_nonzero(~real) == int(np.ceil(before.train.fraud.sum() / 2))
        assert np.array_equal(after.train.numeric[real], before.train.numeric)
        assert np.array_equal(after.test.numeric, before.test.numeric)
        assert np.array_equal(after.test.fraud, before.test.fraud)


@pytest.mark.slow
def test_metrics_and_report_say_what_was_added(store: PatternStore, small: Small) -> None:
    result = run_federation(small(transactions=24_000, synthetic="approved", rounds=1))
    synthetic = result.metrics()["synthetic"]
    assert synthetic["review"] == "approved"
    assert synthetic["test_rows"] == 0
    assert synthetic["log_head"] == store.read().head
    assert sum(p["rows"] for p in synthetic["patterns"]) == sum(synthetic["rows"].values()) > 0
    assert "each approved by review" in render(result)
    again = run_federation(Experiment(**result.experiment))
    assert np.array_equal(again.model.weights, result.model.weights)


@pytest.mark.slow
def test_unreviewed_patterns_need_to_be_asked_for_and_are_named(store: PatternStore, small: Small) -> None:
    result = run_federation(small(transactions=24_000, synthetic="unreviewed", rounds=1))
    assert len(result.metrics()["synthetic"]["patterns"]) == 3
    assert "nobody has reviewed</strong>" in render(result)


def test_a_pattern_that_lost_its_approval_is_no_longer_trained_on(store: PatternStore, small: Small) -> None:
    result = run_federation(small(transactions=24_000, synthetic="approved", rounds=1))
    store.reject(library(4)[1].digest, "A. Reviewer", "changed my mind")
    with pytest.raises(ConfigurationError, match="may not be trained on"):
        run_federation(Experiment(**result.experiment))


def test_approvals_count_only_if_their_reviewers_are_trusted(store: PatternStore, small: Small) -> None:
    settings = small(transactions=24_000, synthetic="approved")
    other = PatternStore(store.folder, ReviewerFiles.in_folder(store.folder.parent / "other"))
    other.approve(library(1)[0].digest, "B. Reviewer", "plausible")
    opened = open_dataset(settings).synthetic
    assert opened is not None
    assert set(opened.patterns) == {proposal.digest for proposal in library(4)[1:3]}
    store.own.trust("B. Reviewer", other.own.signer("B. Reviewer").public)
    store.own.distrust("A. Reviewer")
    opened = open_dataset(settings).synthetic
    assert opened is not None
    assert set(opened.patterns) == {library(1)[0].digest}
    store.own.distrust("B. Reviewer")
    with pytest.raises(ConfigurationError, match="no pattern is approved by a reviewer whose key is trusted"):
        open_dataset(settings)


def test_a_run_stops_at_a_log_that_was_cut(store: PatternStore, small: Small) -> None:
    """The rejection of the last pattern is cut off, so that it would be pending again."""
    open_dataset(small(transactions=24_000, synthetic="approved"))
    store.log.path.write_bytes(b"".join(store.log.path.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(SyntheticError, match="was cut or rewritten"):
        open_dataset(small(transactions=24_000, synthetic="unreviewed"))


def test_without_an_approval_nothing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Small) -> None:
    monkeypatch.setenv("SECURE_FL_STORE", str(tmp_path / "empty"))
    with pytest.raises(ConfigurationError, match="no pattern is approved"):
        run_federation(small(transactions=24_000, synthetic="approved"))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--dataset", "ulb", "--synthetic", "approved"], "principal components"),
        (["--synthetic", "approved", "--epsilon", "3", "--delta", "1e-5"], "DP-SGD does not cover"),
        (["--unreviewed"], "--synthetic approved"),
        (["--synthetic", "some"], "synthetic is refused"),
    ],
)
def test_what_cannot_work_is_refused(arguments: list[str], reason: str) -> None:
    outcome = CliRunner().invoke(app, ["run", *arguments])
    assert isinstance(outcome.exception, ConfigurationError)
    assert reason in str(outcome.exception)


def test_from_the_library_to_an_approval_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECURE_FL_REVIEW", str(tmp_path / "own"))
    runner, folder = CliRunner(), ["--store", str(tmp_path / "store")]

    def call(*arguments: str) -> str:
        outcome = runner.invoke(app, [*arguments, *folder], catch_exceptions=False)
        assert outcome.exit_code == 0
        return outcome.stdout

    said = call("synthesize", "--count", "3", "--built-in", "--out", str(tmp_path / "p.json"))
    assert "built-in library" in said
    assert "3 valid" in said
    digest = library(3)[0].digest
    assert digest[:12] in call("review", "list")
    assert library(3)[0].pattern.name in call("review", "show", digest[:12])
    call("review", "approve", digest[:12], "--name", "A. Reviewer", "--reason", "plausible")
    call("review", "reject", library(3)[1].digest[:12], "--name", "A. Reviewer", "--reason", "too simple")
    assert "2 decided" in call("review", "list") or digest[:12] not in call("review", "list")
    assert "A. Reviewer" in call("review", "log")
    head = PatternStore(tmp_path / "store").read().head
    assert "is the current head" in call("review", "log", "--head", head)
    outcome = runner.invoke(app, ["review", "log", "--head", "1" * 64, *folder])
    assert isinstance(outcome.exception, SyntheticError)
    assert outcome.exception.exit_code == 1


def test_keys_are_made_shown_and_trusted_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def call(*arguments: str) -> str:
        outcome = CliRunner().invoke(app, ["review", *arguments], catch_exceptions=False)
        assert outcome.exit_code == 0
        return outcome.stdout

    monkeypatch.setenv("SECURE_FL_REVIEW", str(tmp_path / "b"))
    shown = call("key", "--name", "B. Reviewer")
    assert call("key", "--name", "B. Reviewer") == shown
    public = shown.split()[0]
    monkeypatch.setenv("SECURE_FL_REVIEW", str(tmp_path / "a"))
    own = call("key", "--name", "A. Reviewer").split()[0]
    assert public in call("trust", "B. Reviewer", public)
    assert [line.split()[0] for line in call("trust").splitlines()] == [own, public]
    call("distrust", "B. Reviewer")
    assert call("trust").split()[0] == own
    assert public not in call("trust")
    secret = (tmp_path / "b" / "reviewer.key").read_text().splitlines()[1]
    assert secret not in shown
    with pytest.raises(ConfigurationError, match="no key is given"):
        CliRunner().invoke(app, ["review", "trust", "B. Reviewer"], catch_exceptions=False)
