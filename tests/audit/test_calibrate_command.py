"""`secure-fl audit --calibrate`, and what `secure-fl score` adds beside scores: probabilities and reasons."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from secure_fl import Result
from secure_fl.audit.calibration.stored import StoredMap
from secure_fl.audit.leaving import PAGE
from secure_fl.cli.app import app
from secure_fl.data import Simulation, simulate, write_simulated
from secure_fl.errors import ConfigurationError, DataError


@pytest.fixture(scope="module")
def calibrated(run_small: Callable[..., Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its calibration, and rows to score."""
    folder = tmp_path_factory.mktemp("calibrate") / "run"
    run_small(scheme="masked", fraud_share=0.08).save(folder)
    _invoke("audit", folder, "--calibrate")
    write_simulated(simulate(Simulation(transactions=700, fraud_share=0.05, seed=9)), folder.parent / "rows.csv")
    return folder


def _invoke(*arguments: object) -> str:
    """What is printed. Raises the command's error."""
    done = CliRunner().invoke(app, [*map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done.output


def _table(path: Path) -> dict[str, list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        head, *lines = csv.reader(file)
    return {name: list(column) for name, column in zip(head, zip(*lines, strict=True), strict=True)}


def test_a_calibration_is_written_whole_and_not_over_another(calibrated: Path, tmp_path: Path) -> None:
    folder = calibrated / "calibration"
    assert {path.name for path in folder.iterdir()} == {PAGE, "calibration.json"}
    with pytest.raises(ConfigurationError, match="exists already and is kept as it is; --force replaces it"):
        _invoke("audit", calibrated, "--calibrate")
    copies = tmp_path / "c.json", tmp_path / "c.html"
    out = _invoke("audit", calibrated, "--calibrate", "--force", "--json", copies[0], "--out", copies[1])
    assert "The model's own scores are no probabilities" in out
    assert "note: Training weighed a fraud 10 times" in " ".join(out.split())
    assert copies[0].read_bytes() == (folder / "calibration.json").read_bytes()
    assert copies[1].read_bytes() == (folder / PAGE).read_bytes()
    last = [json.loads(line) for line in (calibrated / "record.jsonl").read_text(encoding="utf-8").splitlines()]
    of_record = [line["says"]["model_sha256"] for line in last if line["kind"] == "round"][-1]
    assert StoredMap.read(copies[0]).model == of_record, "the model is named as in the record of its run"


def test_scores_stand_beside_calibrated_probabilities_and_reasons(calibrated: Path, tmp_path: Path) -> None:
    pytest.importorskip("shap")
    model, rows, file = calibrated / "model.safetensors", calibrated.parent / "rows.csv", calibrated / "calibration"
    _invoke("score", model, rows, "--out", tmp_path / "plain.csv")
    said = tmp_path / "s.json"
    out = _invoke(
        "score", model, rows, "--out", tmp_path / "s.csv", "--calibration", file / "calibration.json",
        "--reasons", 2, "--json", said,
    )  # fmt: skip
    assert "reasons are relative to a row whose numbers are all average" in " ".join(out.split())
    plain, more = _table(tmp_path / "plain.csv"), _table(tmp_path / "s.csv")
    assert list(more)[:4] == ["row", "fraud_probability", "probability", "reason_1"]
    assert {name: more[name] for name in plain} == plain
    scores, probabilities = (np.array(more[name], dtype=float) for name in ("fraud_probability", "probability"))
    expected = StoredMap.read(file / "calibration.json").fitted.probabilities(np.log(scores) - np.log1p(-scores))
    assert np.allclose(probabilities, expected, rtol=1e-5)
    assert (np.diff(probabilities[np.argsort(scores, kind="stable")]) >= 0).all()
    document = json.loads(said.read_text(encoding="utf-8"))
    assert document["calibration"]["file"].endswith("calibration.json")
    assert document["reasons"]["each"] == 2
    assert document["reasons"]["additivity_error"] < 1e-4
    plain_said = tmp_path / "p.json"
    _invoke("score", model, rows, "--out", tmp_path / "plain.csv", "--json", plain_said, "--force")
    kept = {name: value for name, value in document.items() if name not in ("calibration", "reasons", "out")}
    assert {**json.loads(plain_said.read_text(encoding="utf-8")), "out": ""} == {**kept, "out": ""}


def test_rows_in_no_order_are_calibrated_too(calibrated: Path, tmp_path: Path) -> None:
    head, *lines = (calibrated.parent / "rows.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "rows.csv").write_text("\n".join([head, *reversed(lines)]) + "\n", encoding="utf-8")
    file = calibrated / "calibration" / "calibration.json"
    model = calibrated / "model.safetensors"
    _invoke("score", model, tmp_path / "rows.csv", "--out", tmp_path / "s.csv", "--calibration", file)
    assert len(_table(tmp_path / "s.csv")["probability"]) == len(lines)


def test_the_calibration_of_another_model_is_refused(
    calibrated: Path, run_small: Callable[..., Result], tmp_path: Path
) -> None:
    run_small(scheme="masked").save(tmp_path / "other")
    file = calibrated / "calibration" / "calibration.json"
    with pytest.raises(DataError, match="is the calibration of another model"):
        _invoke(
            "score", tmp_path / "other" / "model.safetensors", calibrated.parent / "rows.csv",
            "--out", tmp_path / "s.csv", "--calibration", file,
        )  # fmt: skip
    assert not (tmp_path / "s.csv").exists()


def test_an_output_is_no_calibration_that_is_read(calibrated: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(calibrated / "calibration" / "calibration.json", tmp_path))
    with pytest.raises(ConfigurationError, match="is used by this command otherwise"):
        _invoke("score", calibrated / "model.safetensors", calibrated.parent / "rows.csv", "--out", file,
                "--calibration", file, "--force")  # fmt: skip


@pytest.mark.parametrize("more", [("--calibration", "c.json"), ("--reasons", "2")])
@pytest.mark.parametrize(
    "encrypted", [("m", "r", "--encrypted"), ("r", "--encrypted", "--at", "https://h:1", "--certificates", "c")]
)
def test_encrypted_scores_stand_alone(more: tuple[str, ...], encrypted: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--calibration and --reasons are for scores in plain"):
        _invoke("score", *encrypted, "--out", tmp_path / "s.csv", *more)


@pytest.mark.parametrize(
    "more",
    [
        ("--drift", "a", "b"),
        ("--group", "amount:1"),
        ("--threshold", "0.5"),
        ("--max-gap", "0.1"),
        ("--rows", "5"),
        ("--verify",),
    ],
)
def test_a_calibration_is_asked_for_alone(calibrated: Path, more: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match=r"is not for --calibrate; leave|ask for different things; ask one"):
        _invoke("audit", calibrated, "--calibrate", *more)


def test_a_run_with_few_frauds_is_refused_in_one_line(run_small: Callable[..., Result], tmp_path: Path) -> None:
    run_small(scheme="masked").save(tmp_path / "run")
    with pytest.raises(DataError, match=r"half of the test rows has \d+ frauds, and a map takes 30") as said:
        _invoke("audit", tmp_path / "run", "--calibrate")
    assert "\n" not in str(said.value)
    assert not (tmp_path / "run" / "calibration").exists()
