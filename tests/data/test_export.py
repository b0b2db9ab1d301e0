"""Simulated rows written to a file and read back."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from secure_fl.data import Schema, Transactions, load_table_as, write_simulated
from secure_fl.data.simulator import SCHEMA
from secure_fl.errors import ConfigurationError, StorageError
from tests.data.reading import load_table


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "ROWS.CSV"])
def test_what_is_written_is_read_back(simulated: Transactions, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_simulated(simulated, path)
    again = load_table_as(path, SCHEMA)
    assert again.schema == simulated.schema
    for column in simulated.numeric:
        np.testing.assert_array_equal(again.numeric[column], simulated.numeric[column])
    for column in simulated.text:
        np.testing.assert_array_equal(again.text[column], simulated.text[column])
    np.testing.assert_array_equal(again.pattern, simulated.pattern)
    np.testing.assert_array_equal(again.when, simulated.when)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_declared_columns_find_the_same_features(simulated: Transactions, tmp_path: Path) -> None:
    write_simulated(simulated, tmp_path / "rows.csv")
    again = load_table(
        tmp_path / "rows.csv", label="fraud", time="time", amount="amount", identifiers=("customer", "terminal")
    )
    assert again.schema.categorical == ("category",)
    assert again.schema.numeric == ()
    assert again.pattern.max() == 3


def test_real_rows_are_never_written(simulated: Transactions, tmp_path: Path) -> None:
    real = Transactions(Schema("y"), {}, {}, simulated.fraud, simulated.pattern, simulated.when)
    with pytest.raises(ConfigurationError, match="only simulated"):
        write_simulated(real, tmp_path / "rows.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["rows.txt", "no folder/rows.csv", "folder.csv"])
def test_a_place_that_cannot_be_written_is_refused(simulated: Transactions, tmp_path: Path, place: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigurationError, match=r"; (choose|name)"):
        write_simulated(simulated, tmp_path / place)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.csv"]


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_a_file_is_replaced_as_a_whole_or_not_at_all(
    simulated: Transactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"older rows")

    def full(_table: object, place: str) -> None:
        assert tmp_path in Path(place).parents, "a file of another disk cannot take its place at once"
        Path(place).write_bytes(b"half")
        assert path.read_bytes() == b"older rows"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("secure_fl.data.export.pacsv.write_csv", full)
    monkeypatch.setattr("secure_fl.data.export.pq.write_table", full)
    with pytest.raises(StorageError, match=r"could not be written \(No space left on device\); make room"):
        write_simulated(simulated, path, force=True)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert path.read_bytes() == b"older rows"


def test_readers_of_an_older_file_keep_it(simulated: Transactions, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"older rows")
    with path.open("rb") as reader:
        write_simulated(simulated, path, force=True)
        assert reader.read() == b"older rows"


def test_the_columns_are_plain_numbers_and_texts(simulated: Transactions, tmp_path: Path) -> None:
    write_simulated(simulated, tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["time", "amount", "category", "customer", "terminal", "fraud", "fraud_pattern"]
    found = dict(zip(header, zip(*lines, strict=True), strict=True))
    assert set(found["fraud"]) == {"0", "1"}
    assert [int(text) for text in found["fraud"]] == simulated.fraud.astype(int).tolist()
    assert [int(text) for text in found["fraud_pattern"]] == simulated.pattern.tolist()
    assert [float(text) for text in found["amount"]] == simulated.numeric["amount"].tolist()
    assert list(found["terminal"]) == simulated.text["terminal"].tolist()


def test_one_column_more_is_no_simulated_table(simulated: Transactions, tmp_path: Path) -> None:
    schema = replace(SCHEMA, numeric=("more",))
    more = replace(simulated, schema=schema, numeric={**simulated.numeric, "more": simulated.when})
    text = replace(simulated, schema=replace(SCHEMA, categorical=(), identifiers=SCHEMA.texts))
    for table in (more, text, replace(simulated, schema=replace(SCHEMA, calendar=False))):
        with pytest.raises(ConfigurationError, match="only simulated"):
            write_simulated(table, tmp_path / "rows.csv")
