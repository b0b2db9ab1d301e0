"""Simulated rows written to a file and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from secure_fl.data import Schema, Transactions, load_table, load_table_as, write_simulated
from secure_fl.data.simulator import SCHEMA
from secure_fl.errors import ConfigurationError


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
    with pytest.raises(ConfigurationError, match="; choose"):
        write_simulated(simulated, tmp_path / place)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.csv"]
