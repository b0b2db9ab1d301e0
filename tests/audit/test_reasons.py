"""Reasons for scores: shap's own values, relative to a row that is named, in the stream of scores."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from numpy.typing import NDArray

from secure_fl import Result
from secure_fl.audit import reasons as module
from secure_fl.audit.attributions import OneReference, attribute
from secure_fl.audit.columns import by_column
from secure_fl.audit.reasons import Reasons
from secure_fl.data import Simulation, simulate, write_simulated
from secure_fl.errors import AuditError, ConfigurationError
from secure_fl.report.scores import Encoded, RunModel, score_file
from secure_fl.training import Network, fraud_learner, make_learner
from tests.audit.test_explaining import Multiplied
from tests.report.scored_run import scored_run

pytest.importorskip("shap")
ROWS = 900


@pytest.fixture(scope="module")
def model(run_small: Callable[..., Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reasons") / "run"
    run_small(scheme="plaintext").save(folder)
    return folder / "model.safetensors"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Rows to score, and earlier ones."""
    folder = tmp_path_factory.mktemp("rows")
    table = simulate(Simulation(transactions=2 * ROWS, fraud_share=0.03, days=60, seed=6)).sorted_by_time()
    write_simulated(table.take(slice(ROWS, None)), folder / "rows.csv")
    write_simulated(table.take(slice(0, ROWS)), folder / "old.csv")
    return folder / "rows.csv", folder / "old.csv"


def _read(path: Path) -> pa.Table:
    text = pa.string()
    columns = {f"reason_{place}": text for place in range(1, 100)}
    return pacsv.read_csv(path, convert_options=pacsv.ConvertOptions(column_types=columns))


def _score(model: Path, rows: Path, out: Path, count: int, history: Path | None = None) -> tuple[pa.Table, Reasons]:
    made: list[Reasons] = []

    def beside(opened: RunModel) -> list[Reasons]:
        made.append(Reasons(opened, count, history))
        return made

    score_file(model, rows, out, history, beside=beside)
    return _read(out), made[0]


def _expected(model: RunModel, encoded: Encoded, background: NDArray[np.float32]) -> NDArray[np.float64]:
    """By `shap.DeepExplainer` alone; text columns as a whole."""
    found = attribute(model.stored.weights, model.stored.learner, background, encoded.features)
    nothing = np.zeros((0, encoded.hashed.shape[1]), dtype=np.uint64)
    return by_column(found.values, encoded.hashed, nothing, model.schema)


def test_reasons_are_shaps_values_largest_first(model: Path, files: tuple[Path, Path], tmp_path: Path) -> None:
    opened = RunModel.read(model)
    names = np.array([*opened.schema.numeric, *opened.schema.hashed])
    table, reasons = _score(model, files[0], tmp_path / "s.csv", len(names))
    encoded = opened.encode(files[0])
    expected = _expected(opened, encoded, np.zeros((1, 128), dtype=np.float32))
    assert len(opened.schema.hashed) > 0
    for row in range(0, ROWS, 37):
        raising = np.flatnonzero(expected[row] > 0)
        order = raising[np.argsort(-expected[row][raising], kind="stable")]
        said = [table[f"reason_{place}"][row].as_py() for place in range(1, len(names) + 1)]
        values = [table[f"reason_{place}_value"][row].as_py() for place in range(1, len(names) + 1)]
        assert said == [*names[order], *[""] * (len(names) - len(order))]
        assert values[: len(order)] == pytest.approx(expected[row][order], rel=1e-5)
        assert all(value is None for value in values[len(order) :])
    scores = opened.probabilities(encoded.features)
    odds = np.log(scores) - np.log1p(-scores)
    base: Any = reasons.document()["reasons"]
    assert np.abs(expected.sum(axis=1) + base["log_odds"] - odds).max() < 1e-4
    assert base["additivity_error"] < 1e-4


def test_scores_stand_as_they_do_without_reasons(model: Path, files: tuple[Path, Path], tmp_path: Path) -> None:
    table, _ = _score(model, files[0], tmp_path / "with.csv", 2)
    assert score_file(model, files[0], tmp_path / "plain.csv") == ROWS
    assert table.column_names == [
        "row", "fraud_probability", "reason_1", "reason_1_value", "reason_2", "reason_2_value"
    ]  # fmt: skip
    plain = (tmp_path / "plain.csv").read_bytes()
    assert plain.startswith(b"row,fraud_probability\r\n1,")
    lines = (tmp_path / "with.csv").read_bytes().split(b"\r\n")
    assert [b",".join(line.split(b",")[:2]) for line in lines] == plain.split(b"\r\n")


@pytest.mark.parametrize("batch", [7, ROWS - 1, ROWS])
def test_batches_and_pieces_make_no_difference(
    model: Path, files: tuple[Path, Path], tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = _score(model, files[0], tmp_path / "whole.csv", 3)
    monkeypatch.setattr(module, "_BATCH", batch)
    monkeypatch.setattr("secure_fl.report.scores.PIECE_WITH_PAST", 410)
    parts, _ = _score(model, files[0], tmp_path / "parts.csv", 3)
    for name in whole.column_names:
        one, other = whole[name].to_pylist(), parts[name].to_pylist()
        assert one == (pytest.approx(other, rel=1e-3, abs=1e-5) if "reason" not in name or "value" in name else other)


def test_with_a_past_values_are_relative_to_the_average_of_its_last_rows(
    model: Path, files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REFERENCE_ROWS", 300)
    opened = RunModel.read(model)
    table, reasons = _score(model, files[0], tmp_path / "s.csv", 1, files[1])
    assert "the last 300 rows of --history" in reasons.relative_to
    assert reasons.document()["reasons"]["history_rows"] == 300
    past, encoded = opened.encode(files[1]), opened.encode(files[0], files[1])
    mean = past.features[-300:].mean(axis=0, dtype=np.float64)
    reference = reasons._deep._reference.numpy().ravel()
    labels = np.flatnonzero(["known fraud" in name for name in opened.schema.numeric])
    assert np.allclose(np.delete(reference, labels), np.delete(mean, labels))
    assert not np.allclose(reference, mean), "here rows were read without labels, and in a past fraud is known"
    found = attribute(
        opened.stored.weights, opened.stored.learner, reference[np.newaxis].astype("f4"), encoded.features
    )
    values = by_column(found.values, encoded.hashed, past.hashed[-300:], opened.schema)
    assert np.allclose([value.as_py() or 0.0 for value in table["reason_1_value"]], values.max(axis=1), rtol=1e-4)


def test_one_reference_is_shaps_own_loop_for_squares_and_logistic_regressions() -> None:
    rng = np.random.default_rng(1)
    for learner in (fraud_learner(network=Network((8, 4), "square")), fraud_learner(network=Network(()))):
        weights, reference = learner.initial(1), rng.normal(size=128).astype(np.float32)
        rows = rng.normal(size=(20, 128)).astype(np.float32)
        rows[0] = reference
        one = OneReference(weights, learner, reference).attribute(rows)
        assert np.allclose(one.values, attribute(weights, learner, reference[np.newaxis], rows).values, atol=1e-12)
        assert not one.values[0].any()


def test_a_module_that_shap_does_not_know_is_refused() -> None:
    learner = make_learner(Multiplied)
    deep = OneReference(learner.initial(1), learner, np.zeros(128, dtype=np.float32))
    with pytest.raises(AuditError, match="miss the score by up to"):
        deep.attribute(np.random.default_rng(0).normal(size=(5, 128)).astype(np.float32))


@pytest.mark.parametrize("count", [0, -1, 10_000])
def test_so_many_reasons_there_are_not(model: Path, count: int) -> None:
    with pytest.raises(ConfigurationError, match=rf"--reasons {count} cannot be: the model has \d+ features; use 1 to"):
        Reasons(RunModel.read(model), count)


def test_several_classes_are_refused(tmp_path: Path) -> None:
    made = scored_run(tmp_path, Network((4,)), classes=3)
    with pytest.raises(ConfigurationError, match="tells 3 classes apart"):
        Reasons(RunModel.read(made.model), 1)


def test_without_shap_it_says_what_to_install(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "shap":
            raise ImportError(name)
        return usual(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ConfigurationError, match=r"pip install 'secure-fl\[explain\]'"):
        Reasons(RunModel.read(model), 1)
