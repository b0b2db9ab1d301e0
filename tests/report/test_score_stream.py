"""Scores piece by piece are those of all rows at once, and what is wrong is found wherever it stands."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from secure_fl import Result
from secure_fl.data import (
    Schema,
    Simulation,
    Transactions,
    concatenate,
    load_table_as,
    simulate,
    stream_table_as,
    write_simulated,
)
from secure_fl.data.sources import read_source, stream_source
from secure_fl.errors import DataError
from secure_fl.report.scores import DisorderError, RunModel, score_file

ROWS = 2_000


@pytest.fixture(scope="module")
def model(run_small: Callable[..., Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that looks at the past of customers and terminals."""
    folder = tmp_path_factory.mktemp("model") / "run"
    run_small(scheme="plaintext").save(folder)
    return folder / "model.safetensors"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows over 120 days, so that pieces have rows before them that are in nobody's past any more."""
    folder = tmp_path_factory.mktemp("rows")
    rows = simulate(Simulation(transactions=ROWS, fraud_share=0.02, days=120, seed=5))
    write_simulated(rows, folder / "rows.csv")
    write_simulated(rows, folder / "rows.parquet")
    (folder / "rows.csv.gz").write_bytes(gzip.compress((folder / "rows.csv").read_bytes()))
    return folder


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.csv.gz"])
@pytest.mark.parametrize("rows", [1, 317, ROWS, ROWS + 1])
def test_pieces_are_the_file(files: Path, name: str, rows: int) -> None:
    if rows == 1:
        pieces = [piece for _, piece in zip(range(5), stream_source(files / name, 1), strict=False)]
        assert [piece.rows for piece in pieces] == [1] * 5
        return
    pieces = list(stream_source(files / name, rows))
    assert [piece.rows for piece in pieces[:-1]] == [rows] * (len(pieces) - 1)
    assert [piece.before for piece in pieces] == list(range(0, ROWS, rows))
    assert pa.concat_tables([piece.table for piece in pieces]).equals(read_source(files / name).table)


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
@pytest.mark.parametrize("rows", [97, 700])
def test_scores_of_pieces_are_those_of_all_rows_at_once(model: Path, files: Path, name: str, rows: int) -> None:
    opened = RunModel.read(model)
    assert opened.intake.needs_history
    whole = opened.probabilities(opened.encode(files / name).features)
    pieces = [opened.probabilities(piece.features) for piece in opened.intake.stream(files / name, rows=rows)]
    assert np.abs(np.concatenate(pieces) - whole).max() < 1e-6


def test_the_past_that_is_given_counts_in_every_piece(model: Path, files: Path, tmp_path: Path) -> None:
    opened = RunModel.read(model)
    table = pacsv.read_csv(files / "rows.csv")
    for name, part in (("old", table.slice(0, 900)), ("new", table.slice(900))):
        pacsv.write_csv(part, tmp_path / f"{name}.csv")
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    whole, alone = (opened.probabilities(opened.encode(new, past).features) for past in (old, None))
    pieces = list(opened.intake.stream(new, old, rows=200))
    assert [piece.past_rows for piece in pieces] == [900] * 6
    scores = np.concatenate([opened.probabilities(piece.features) for piece in pieces])
    assert np.abs(scores - whole).max() < 1e-6 < np.abs(alone - whole).max()


def test_rows_in_no_order_of_time_are_scored_at_once(model: Path, files: Path, tmp_path: Path) -> None:
    opened = RunModel.read(model)
    shuffled = pq.read_table(files / "rows.parquet").take(np.random.default_rng(1).permutation(ROWS))
    pq.write_table(shuffled, tmp_path / "rows.parquet")
    with pytest.raises(DisorderError, match="not in order of time"):
        list(opened.intake.stream(tmp_path / "rows.parquet", rows=500))
    assert score_file(model, tmp_path / "rows.parquet", tmp_path / "scores.csv") == ROWS
    table = np.loadtxt(tmp_path / "scores.csv", delimiter=",", skiprows=1)
    expected = opened.probabilities(opened.encode(tmp_path / "rows.parquet").features)
    assert np.abs(table[:, 1] - expected).max() < 1e-8
    assert (table[:, 0] == np.arange(1, ROWS + 1)).all()


def test_what_is_wrong_in_a_later_piece_is_named_by_its_line(model: Path, files: Path, tmp_path: Path) -> None:
    lines = (files / "rows.csv").read_text().splitlines()
    place = lines[0].replace('"', "").split(",").index("amount")
    for number, wrong, said in (
        (1_500, lambda cells: [*cells[:place], "much", *cells[place + 1 :]], "line 1501"),
        (1_200, lambda cells: cells[:-1], "line 1201"),
    ):
        changed = [*lines]
        changed[number] = ",".join(wrong(lines[number].split(",")))
        (tmp_path / "wrong.csv").write_text("\n".join(changed) + "\n")
        with pytest.raises(DataError, match=said):
            list(RunModel.read(model).intake.stream(tmp_path / "wrong.csv", rows=300))
        (tmp_path / "scores.csv").write_text("earlier")
        with pytest.raises(DataError, match=said):
            score_file(model, tmp_path / "wrong.csv", tmp_path / "scores.csv", force=True)
        assert (tmp_path / "scores.csv").read_text() == "earlier"


@pytest.mark.parametrize(
    ("content", "said"), [("", "is empty"), ("a,b\n", "no transactions"), ("a,a\n1,2\n", "two columns")]
)
def test_files_without_rows_or_with_ambiguous_columns_are_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "rows.csv").write_text(content)
    for read in (read_source, lambda path: list(stream_source(path, 10))):
        with pytest.raises(DataError, match=said):
            read(tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("numbers", "whole"), [(range(9), True), ([0, 1, 2, 3, 4, 5, 6, 7, 0], False), ([*range(8), "x"], False)]
)
def test_a_column_without_a_name_numbers_rows_also_over_pieces(
    tmp_path: Path, numbers: list[object], whole: bool
) -> None:
    (tmp_path / "rows.csv").write_text(",a\n" + "".join(f"{number},1\n" for number in numbers))
    for read in (read_source, lambda path: list(stream_source(path, 4))):
        if whole:
            read(tmp_path / "rows.csv")
        else:
            with pytest.raises(DataError, match=r"line 1 of .* leaves a column without a name"):
                read(tmp_path / "rows.csv")


def test_labels_are_read_as_strictly_as_before(model: Path, files: Path, tmp_path: Path) -> None:
    """A kind of fraud at an honest row contradicts its label: scores are written, and not judged."""
    table = pq.read_table(files / "rows.parquet")
    place = table.column_names.index("fraud_pattern")
    wrong = table.set_column(place, "fraud_pattern", pa.array([7] * ROWS))
    pq.write_table(wrong, tmp_path / "rows.parquet")
    said = tmp_path / "said.json"
    assert score_file(model, tmp_path / "rows.parquet", tmp_path / "scores.csv", json_file=said) == ROWS
    document = json.loads(said.read_text())
    assert document["scores"] is None
    assert "fraud_pattern" in document["unscored"]


def _both(path: Path, schema: Schema, labelled: bool = False) -> list[Transactions | str]:
    """What a file is as a whole and in pieces; or why not."""

    def read(whole: bool) -> Transactions | str:
        try:
            if whole:
                return load_table_as(path, schema, labelled=labelled)
            return concatenate([*stream_table_as(path, schema, 4, labelled=labelled)])
        except DataError as error:
            return str(error)

    return [read(whole=True), read(whole=False)]


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([*range(5), "2024-01-01 00:00:00"], 'column "when" is not a number in line 7'),
        (["2024-01-01 00:00:00"] * 5 + ["7"], 'column "when" is not a timestamp like those before in line 7'),
        (["2024-01-01 00:00:00"] * 5 + ["2024-01-01 00:00:00+01:00"], "is not a timestamp like those before in line 7"),
        ([*range(19_990_000, 19_990_004), 20_240_101], None),
        ([20_240_101] * 5, "holds dates written as numbers"),
    ],
)
def test_times_of_later_pieces_are_read_as_the_first(tmp_path: Path, times: list[object], said: str | None) -> None:
    (tmp_path / "rows.csv").write_text("when\n" + "".join(f"{time}\n" for time in times))
    whole, pieces = _both(tmp_path / "rows.csv", Schema(label="label", time="when"))
    if said is None:
        assert isinstance(whole, Transactions)
        assert isinstance(pieces, Transactions)
        assert whole.when.tolist() == pieces.when.tolist() == times
    else:
        assert whole == pieces
        assert said in str(whole)


@pytest.mark.parametrize("texts", [["fraud", "ok"] * 4 + ["legit"] * 3, ["fraud"] * 5 + ["ok", "", "ok"]])
def test_a_third_label_is_one_in_a_later_piece_too(tmp_path: Path, texts: list[str]) -> None:
    (tmp_path / "rows.csv").write_text("label,a\n" + "".join(f"{text},1\n" for text in texts))
    schema = Schema(label="label", numeric=("a",), positive_label="fraud")
    whole, pieces = _both(tmp_path / "rows.csv", schema, labelled=True)
    assert whole == pieces
    assert "is neither the positive label nor like the other labels" in str(whole)


def test_broken_files_are_refused(files: Path, tmp_path: Path) -> None:
    for name in ("rows.csv.gz", "rows.parquet"):
        (tmp_path / name).write_bytes((files / name).read_bytes()[:-300])
        with pytest.raises(DataError, match=r"cannot be read|not a readable"):
            list(stream_source(tmp_path / name, 100))


def test_a_folder_of_parts_is_cut_too(files: Path, tmp_path: Path) -> None:
    table = pq.read_table(files / "rows.parquet")
    for number in range(3):
        pq.write_table(table.slice(700 * number, 700), tmp_path / f"part-{number}.parquet")
    pieces = list(stream_source(tmp_path, 650))
    assert [piece.rows for piece in pieces] == [650, 650, 650, 50]
    assert pieces[2].place(600) == "row 501 of part-2.parquet"
