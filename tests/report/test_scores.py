"""The scores that a model gives to a table: whose rows, in which order, with which past and key."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import RequestError
from secure_fl.report import scores
from secure_fl.report.scores import needs_history, score_file


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A model and tables made up; what each step was given."""
    given: dict[str, Any] = {"source": SimpleNamespace(identifiers=("customer",), time="at"), "hashed": True, "seed": 5}

    def load(path: Path, source: object, labelled: bool = True) -> str | range:
        assert source is given["source"]
        given[path.name] = labelled
        return range(3) if path.name == "rows.csv" else f"past of {path.name}"

    def transform(rows: Any, schema: Any, key: object, past: object) -> tuple[str, str]:
        given.update(rows=rows.table, key=key, past=past)
        return "features", "pseudonyms"

    def predict(weights: object, features: object, learner: object) -> np.ndarray[Any, Any]:
        assert (weights, features, learner) == ("weights", "features", "learner")
        return np.array([0.123456789012, 1e-7, 1.0])

    def described() -> dict[str, Any]:
        return {"feature_schema": {}, "simulation_seed": given["seed"]}

    def schema_of(document: object) -> Any:
        return SimpleNamespace(source=given["source"], hashed=given["hashed"], document=document)

    monkeypatch.setattr(
        scores,
        "load_model",
        lambda _: SimpleNamespace(weights="weights", learner="learner", description=described()),
    )

    def stream(path: Path, source: object, rows: int, *, labelled: bool = True) -> Iterator[Any]:
        table = load(path, source, labelled)
        yield SimpleNamespace(when=np.arange(3.0), take=lambda places: table, table=table)

    monkeypatch.setattr(scores, "load_table_as", load)
    monkeypatch.setattr(scores, "stream_table_as", stream)
    monkeypatch.setattr(scores, "concatenate", lambda parts: SimpleNamespace(when=np.arange(3.0), take=lambda _: None))
    monkeypatch.setattr(scores, "transform", transform)
    monkeypatch.setattr(scores, "predict", predict)
    monkeypatch.setattr(scores, "FeatureSchema", SimpleNamespace(from_dict=schema_of))
    keys = {
        "for_simulation": lambda seed: f"of seed {seed}",
        "load_or_create": lambda: "kept",
        "generate": lambda: "new",
    }
    monkeypatch.setattr(scores, "FederationKey", SimpleNamespace(**keys))
    return given


def test_each_row_has_its_score_in_order_from_one(asked: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    assert score_file(Path("m"), Path("rows.csv"), out) == 3
    table = list(csv.reader(out.read_text(encoding="utf-8").splitlines()))
    assert table == [["row", "fraud_probability"], ["1", "0.123456789"], ["2", "1e-07"], ["3", "1"]]
    assert (asked["rows"], asked["past"], asked["rows.csv"]) == (range(3), None, False)


def test_the_past_is_labelled_and_handed_on(asked: dict[str, Any], tmp_path: Path) -> None:
    score_file(Path("m"), Path("rows.csv"), tmp_path / "s.csv", Path("old.csv"))
    assert (asked["past"], asked["old.csv"], asked["rows.csv"]) == ("past of old.csv", True, False)


@pytest.mark.parametrize(
    ("hashed", "seed", "key"), [(False, 5, "new"), (True, 5, "of seed 5"), (True, 0, "of seed 0"), (True, None, "kept")]
)
def test_pseudonyms_are_made_with_the_key_of_the_data(
    asked: dict[str, Any], tmp_path: Path, hashed: bool, seed: int | None, key: str
) -> None:
    asked.update(hashed=hashed, seed=seed)
    score_file(Path("m"), Path("rows.csv"), tmp_path / "s.csv")
    assert asked["key"] == key


@pytest.mark.parametrize(
    ("identifiers", "time", "needed"),
    [(("c",), "at", True), ((), "at", False), (("c",), None, False), ((), None, False)],
)
def test_only_who_knows_customers_and_times_needs_a_past(
    asked: dict[str, Any], identifiers: tuple[str, ...], time: str | None, needed: bool
) -> None:
    asked["source"] = SimpleNamespace(identifiers=identifiers, time=time)
    assert needs_history(Path("m")) == needed


def test_scores_that_stop_halfway_leave_the_old_file(
    asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "s.csv"
    out.write_text("old")

    class Breaking:
        def __init__(self, file: Any) -> None:
            file.write("half")

        def writerow(self, row: object) -> None:
            raise RequestError("broken; mend it")

    monkeypatch.setattr(csv, "writer", Breaking)
    with pytest.raises(RequestError):
        score_file(Path("m"), Path("rows.csv"), out, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]
    assert out.read_text() == "old"


def test_of_several_classes_all_but_the_first_are_fraud(
    asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_each = np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [0.0, 0.125, 0.875]])
    monkeypatch.setattr(scores, "predict", lambda *_: of_each)
    score_file(Path("m"), Path("rows.csv"), tmp_path / "s.csv")
    assert (tmp_path / "s.csv").read_text(encoding="utf-8").split()[1:] == ["1,0.5", "2,0", "3,1"]
