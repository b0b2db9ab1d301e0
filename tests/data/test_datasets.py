"""From a dataset's name to banks that hold their own transactions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from secure_fl import Experiment
from secure_fl.data import FederationKey, Simulation, Split, describe, simulate, write_simulated
from secure_fl.data.datasets import Dataset, open_dataset
from secure_fl.data.simulator import SCHEMA
from secure_fl.errors import ConfigurationError, DataError

Small = Callable[..., Experiment]
COLUMNS = {
    "label": "fraud",
    "time": "time",
    "amount": "amount",
    "categorical": ("category",),
    "identifiers": ("customer", "terminal"),
}


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "federation.key"
    monkeypatch.setenv("SECURE_FL_KEY", str(path))
    return path


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "payments.csv"
    write_simulated(simulate(Simulation(transactions=6_000, fraud_share=0.03, seed=2)), path)
    return path


@pytest.fixture
def from_file(table: Path, key_file: Path) -> Callable[..., Experiment]:
    def make(**changes: Any) -> Experiment:
        return Experiment(**{"dataset": str(table), **COLUMNS, **changes})

    return make


def same(one: Dataset, other: Dataset) -> bool:
    return all(
        np.array_equal(x.train.numeric, y.train.numeric)
        and np.array_equal(x.train.hashed, y.train.hashed)
        and np.array_equal(x.test.hashed, y.test.hashed)
        and np.array_equal(x.test.fraud, y.test.fraud)
        for x, y in zip(one.banks, other.banks, strict=True)
    )


def test_simulated_banks_repeat_on_every_machine(small: Small, key_file: Path) -> None:
    assert same(open_dataset(small()), open_dataset(small()))
    assert not same(open_dataset(small()), open_dataset(small(seed=2)))
    assert not key_file.exists()


@pytest.mark.parametrize("split", get_args(Split))
def test_banks_are_named_and_share_one_cut_in_time_however_they_are_split(small: Small, split: Split) -> None:
    """The cut is that of all rows together: of the banks' tests, not one row is older than a row trained on."""
    experiment = small(transactions=20_000, banks=4, split=split, alpha=5.0, seed=2)
    dataset = open_dataset(experiment)
    assert [bank.name for bank in dataset.banks] == ["bank-1", "bank-2", "bank-3", "bank-4"]
    assert max(bank.train.when.max() for bank in dataset.banks) < min(bank.test.when.min() for bank in dataset.banks)
    tested = sum(len(bank.test) for bank in dataset.banks)
    assert tested == pytest.approx(0.3 * experiment.transactions, abs=2)
    shares = [len(bank.test) / (len(bank.test) + len(bank.train)) for bank in dataset.banks]
    assert len(set(shares)) > 1  # a cut for each bank would give all of them the same


def test_rows_of_a_file_in_any_order_are_cut_in_time(
    table: Path, tmp_path: Path, from_file: Callable[..., Experiment]
) -> None:
    header, *lines = table.read_text().splitlines()
    shuffled = tmp_path / "shuffled.csv"
    shuffled.write_text("\n".join([header, *np.random.default_rng(0).permutation(np.array(lines)).tolist()]) + "\n")
    dataset = open_dataset(from_file(dataset=str(shuffled)))
    assert max(bank.train.when.max() for bank in dataset.banks) < min(bank.test.when.min() for bank in dataset.banks)
    for bank in dataset.banks:
        assert np.all(np.diff(bank.train.when) >= 0)
        assert np.all(np.diff(bank.test.when) >= 0)


def test_test_rows_see_the_past_that_was_trained_on(small: Small) -> None:
    """Whoever pays right after the cut was counted before it: features are of the whole table, cut afterwards."""
    dataset = open_dataset(small())
    column = list(describe(SCHEMA)).index("customer: count 30 d")
    for bank in dataset.banks:
        first = bank.test.when < bank.test.when.min() + 3_600
        assert np.expm1(bank.test.numeric[first, column]).mean() > 5


def test_the_summary_adds_up(small: Small) -> None:
    dataset = open_dataset(small(test_fraction=0.2))
    summary = dataset.summary()
    shares = summary["banks"].values()
    assert set(summary["banks"]) == {"bank-1", "bank-2", "bank-3"}
    assert summary["rows"] == 6_000 == sum(s["train_rows"] + s["test_rows"] for s in shares)
    assert summary["frauds"] == 120 == sum(s["train_frauds"] + s["test_frauds"] for s in shares)
    assert sum(s["test_rows"] for s in shares) == pytest.approx(1_200, abs=5)
    assert all(len(bank.train) == summary["banks"][bank.name]["train_rows"] for bank in dataset.banks)


def test_a_bank_without_fraud_is_named(small: Small) -> None:
    with pytest.raises(DataError, match=r"bank-\d has no fraud to train on") as caught:
        open_dataset(small(transactions=1_000, fraud_share=0.003))
    assert "\n" not in str(caught.value)


def test_no_transaction_shows_in_a_repr(small: Small) -> None:
    dataset = open_dataset(small())
    bank = dataset.banks[0]
    assert repr(bank) == f"BankData('bank-1', {len(bank.train)} + {len(bank.test)} rows)"
    shown = repr(dataset)
    assert len(shown) < 1_000
    assert dataset.key._secret.hex() not in shown
    assert not any(str(pseudonym) in shown for pseudonym in bank.train.hashed[:100].ravel())
    assert "array" not in shown


# A file


def test_a_file_is_dealt_to_the_banks(from_file: Callable[..., Experiment], table: Path) -> None:
    dataset = open_dataset(from_file())
    assert dataset.source == table.name
    assert (dataset.summary()["rows"], dataset.summary()["frauds"]) == (6_000, 180)
    assert dataset.banks[0].train.schema.identifiers == ("customer", "terminal")


def test_the_key_is_made_once_and_decides_the_pseudonyms(from_file: Callable[..., Experiment], key_file: Path) -> None:
    first = open_dataset(from_file())
    assert key_file.stat().st_mode & 0o077 == 0
    assert same(first, open_dataset(from_file()))
    assert first.key_check == FederationKey.load_or_create(key_file).check_value()
    key_file.unlink()
    other = open_dataset(from_file())
    assert other.key_check != first.key_check
    assert not same(first, other)


def test_a_run_is_repeated_only_with_its_key(from_file: Callable[..., Experiment], key_file: Path) -> None:
    first = open_dataset(from_file())
    assert same(first, open_dataset(from_file(key_check=first.key_check)))
    key_file.unlink()
    with pytest.raises(ConfigurationError, match="set SECURE_FL_KEY") as caught:
        open_dataset(from_file(key_check=first.key_check))
    assert key_file.read_text().strip() not in str(caught.value)


def test_without_texts_no_key_is_made(from_file: Callable[..., Experiment], key_file: Path) -> None:
    dataset = open_dataset(from_file(categorical=(), identifiers=(), amount=None, numeric=("amount",)))
    assert dataset.key_check is None
    assert not key_file.exists()


def test_the_key_never_shows(from_file: Callable[..., Experiment], key_file: Path) -> None:
    dataset = open_dataset(from_file())
    secret = key_file.read_text().strip()
    assert secret not in repr(dataset)
    assert secret not in str(dataset.summary())


def test_a_missing_file_is_refused(from_file: Callable[..., Experiment], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        open_dataset(from_file(dataset=str(tmp_path / "nothing.csv")))
