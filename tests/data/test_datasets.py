"""From a dataset's name to banks that hold their own transactions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest

from secure_fl import Experiment
from secure_fl.data import (
    Declaration,
    FederationKey,
    ReadTable,
    Simulation,
    Split,
    Transactions,
    banks_of_rows,
    datasets,
    describe,
    extract,
    origin,
    read_table,
    simulate,
    ulb,
    write_simulated,
)
from secure_fl.data.datasets import BankData, Dataset, SyntheticFraud, open_dataset
from secure_fl.data.simulator import SCHEMA
from secure_fl.errors import ConfigurationError, DataError
from secure_fl.federation import opening

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


def test_a_bank_without_fraud_is_named_and_taken_along(small: Small) -> None:
    dataset = open_dataset(small(transactions=1_000, fraud_share=0.003))
    lacking = [bank.name for bank in dataset.banks if not bank.train.fraud.any()]
    assert lacking
    (warning,) = dataset.summary()["warnings"]
    assert warning.startswith(", ".join(lacking))


def test_without_any_fraud_to_train_on_nothing_is_learned(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + "".join(f"{n},{int(n >= 95)}\n" for n in range(100)))
    with pytest.raises(DataError, match="no bank has fraud to train on; use more") as caught:
        open_dataset(Experiment(dataset=str(path), label="y"))
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


# What is handed on, and what is counted


@pytest.fixture
def dealt(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """How transactions were dealt to the banks."""
    calls: list[tuple[Any, ...]] = []

    def watched(table: Transactions, banks: int, how: Split, **options: Any) -> Any:
        calls.append((len(table), banks, how, options))
        return banks_of_rows(table, banks, how, **options)

    monkeypatch.setattr(datasets, "banks_of_rows", watched)
    return calls


def test_a_simulation_is_asked_for_as_it_was_set(
    small: Small, dealt: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Simulation] = []

    def watched(simulation: Simulation) -> Transactions:
        asked.append(simulation)
        return simulate(simulation)

    monkeypatch.setattr(origin, "simulate", watched)
    dataset = open_dataset(small(transactions=7_000, fraud_share=0.05, seed=4, banks=4, split="pattern", alpha=7.0))
    assert asked == [Simulation(transactions=7_000, fraud_share=0.05, seed=4)]
    assert dealt == [(7_000, 4, "pattern", {"alpha": 7.0, "seed": 4})]
    assert dataset.key.check_value() == FederationKey.for_simulation(4).check_value()
    assert dataset.key_check is None, "it is no secret"
    assert "Le Borgne" in dataset.source
    assert dataset.synthetic is None


def test_real_transactions_need_no_key(monkeypatch: pytest.MonkeyPatch, small: Small, key_file: Path) -> None:
    table = simulate(Simulation(transactions=6_000, fraud_share=0.02, seed=1))
    monkeypatch.setattr(ulb, "load", lambda: table)
    dataset = open_dataset(Experiment(dataset="ulb", seed=4))
    assert dataset.source == ulb.CITATION
    assert dataset.key.check_value() == FederationKey.for_simulation(4).check_value()
    assert not key_file.exists()


def test_every_declared_column_reaches_the_file(
    from_file: Callable[..., Experiment], table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, Declaration]] = []

    def watched(path: Path, declared: Declaration, rows: None = None) -> ReadTable:
        asked.append((path, declared))
        return read_table(path, declared, rows)

    monkeypatch.setattr(origin, "read_table", watched)
    experiment = from_file(amount=None, numeric=("amount",), time_unit="minutes", impute=True, positive_label="1")
    open_dataset(experiment)
    names = ["label", "time", "amount", "identifiers", "categorical", "numeric"]
    names += ["time_unit", "time_format", "positive_label", "impute"]
    assert asked == [(table, Declaration(**{name: getattr(experiment, name) for name in names}))]


def test_a_bank_is_checked_by_name_for_what_it_trains_on(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(datasets, "require_trainable", lambda name, part: asked.append((name, len(part))))
    dataset = open_dataset(small(split="size", seed=2))
    assert asked == [(bank.name, len(bank.train)) for bank in dataset.banks]


def test_the_summary_counts_each_banks_own_rows(small: Small) -> None:
    dataset = open_dataset(small(split="size", seed=2, transactions=20_000))
    assert dataset.summary() == {
        "source": dataset.source,
        "columns": {"used": dict(dataset.origin.used), "ignored": []},
        "warnings": [],
        "rows": 20_000,
        "frauds": sum(np.count_nonzero(rows.fraud) for bank in dataset.banks for rows in (bank.train, bank.test)),
        "banks": {
            bank.name: {
                "train_rows": len(bank.train.fraud),
                "train_frauds": np.count_nonzero(bank.train.fraud),
                "test_rows": len(bank.test.fraud),
                "test_frauds": np.count_nonzero(bank.test.fraud),
            }
            for bank in dataset.banks
        },
    }


@pytest.mark.parametrize("tables", [True, False])
def test_banks_keep_their_training_rows_as_they_came_where_ledgers_need_them(small: Small, tables: bool) -> None:
    for bank in open_dataset(small(), tables=tables).banks:
        if not tables:
            assert bank.table is None
            continue
        assert bank.table is not None
        assert len(bank.table) == len(bank.train)
        assert np.array_equal(bank.table.fraud, bank.train.fraud)
        assert bank.table.schema.time is not None
        assert bank.table.numeric[bank.table.schema.time].max() <= bank.train.when.max()


@pytest.mark.parametrize("mechanism", ["dp-sgd", "distributed", None])
def test_ledgers_of_a_private_run_are_given_the_rows(
    small: Small, mechanism: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def opened(settings: Experiment, tables: bool) -> None:
        asked.append(tables)
        raise DataError("enough; stop")

    monkeypatch.setattr(opening, "open_dataset", opened)
    noise = {} if mechanism is None else {"mechanism": mechanism, "noise_multiplier": 1.0, "delta": 1e-5}
    with pytest.raises(DataError, match="enough"):
        opening.Federation.open(small(**noise), None)
    assert asked == [mechanism is not None]


def test_a_file_without_texts_has_a_key_of_this_run_only(from_file: Callable[..., Experiment], key_file: Path) -> None:
    settings = from_file(categorical=(), identifiers=(), amount=None, numeric=("amount",))
    one, other = open_dataset(settings), open_dataset(settings)
    assert one.key.check_value() != other.key.check_value()
    assert one.key_check is None


# Synthetic fraud


def banks_with(*provenances: list[int] | None, rows: Dataset) -> tuple[BankData, ...]:
    data = rows.banks[0]
    return tuple(
        BankData(f"bank-{number}", data.train, data.test, None if places is None else np.array(places))
        for number, places in enumerate(provenances, start=1)
    )


def test_synthetic_rows_are_counted_by_bank_and_by_pattern(small: Small) -> None:
    fraud = SyntheticFraud("unreviewed", 0.25, {"aa": "library", "bb": "a model", "cc": "drawn"}, "ef" * 32)
    banks = banks_with([-1, 0, 0, 2, -1], [2, 2, -1], None, [-1, -1], rows=open_dataset(small()))
    assert fraud.summary(banks) == {
        "review": "unreviewed",
        "share": 0.25,
        "log_head": "ef" * 32,
        "rows": {"bank-1": 3, "bank-2": 2, "bank-4": 0},
        "test_rows": 0,
        "patterns": [
            {"digest": "aa", "source": "library", "rows": 2},
            {"digest": "bb", "source": "a model", "rows": 0},
            {"digest": "cc", "source": "drawn", "rows": 3},
        ],
    }


class Holdings:
    """What a store of patterns would hold."""

    head = "cd" * 32

    def __init__(self) -> None:
        self.asked: list[tuple[bool, tuple[str, ...]]] = []

    @classmethod
    def of_user(cls) -> Holdings:
        return cls()

    def read(self) -> Holdings:
        return self

    def usable(self, *, unreviewed: bool, digests: tuple[str, ...]) -> tuple[Any, ...]:
        self.asked.append((unreviewed, digests))
        return tuple(SimpleNamespace(digest=digest) for digest in ("bb", "aa"))

    def find(self, digest: str) -> Any:
        return SimpleNamespace(label=f"label of {digest}")


@pytest.fixture
def mixes(monkeypatch: pytest.MonkeyPatch) -> tuple[Holdings, list[tuple[Any, ...]]]:
    """The store that was asked, and what was mixed; nothing is added."""
    holdings, calls = Holdings(), []
    monkeypatch.setattr(datasets, "PatternStore", SimpleNamespace(of_user=lambda: holdings))

    def mix(table: Transactions, proposals: Any, how: Any, rng: np.random.Generator) -> Any:
        calls.append((table, [p.digest for p in proposals], how.share, rng.integers(2**63)))
        return SimpleNamespace(provenance=np.full(len(table), -1))

    def features(table: Transactions, cut: float, mixed: Any, key: FederationKey) -> Any:
        whole = extract(table, key)
        return whole.before(cut), whole.since(cut)

    monkeypatch.setattr(datasets, "with_synthetic", mix)
    monkeypatch.setattr(datasets, "mixed_features", features)
    return holdings, calls


@pytest.mark.parametrize("synthetic", ["approved", "unreviewed"])
def test_synthetic_fraud_is_mixed_as_it_was_asked_for(
    small: Small, mixes: tuple[Holdings, list[tuple[Any, ...]]], synthetic: str
) -> None:
    holdings, calls = mixes
    settings = small(synthetic=synthetic, synthetic_share=0.75, synthetic_patterns=("bb", "aa"), seed=3)
    dataset = open_dataset(settings)
    assert holdings.asked == [(synthetic == "unreviewed", ("bb", "aa"))]
    assert dataset.synthetic == SyntheticFraud(
        synthetic, 0.75, {"bb": "label of bb", "aa": "label of aa"}, Holdings.head
    )
    assert dataset.resolved(settings).synthetic_patterns == ("bb", "aa")
    for number, (bank, (table, digests, share, drawn)) in enumerate(zip(dataset.banks, calls, strict=True), start=1):
        assert (digests, share) == (["bb", "aa"], 0.75)
        assert len(table) == len(bank.train), "only what is trained on"
        assert drawn == np.random.default_rng([3, number, *b"synthetic"]).integers(2**63)
        assert bank.provenance is not None
        assert len(bank.provenance) == len(bank.train)


def test_a_bank_whose_rows_cannot_be_mixed_is_named(
    small: Small, mixes: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> Any:
        raise ConfigurationError("too few customers; use more rows")

    monkeypatch.setattr(datasets, "with_synthetic", refuse)
    with pytest.raises(ConfigurationError, match=r"^bank-1: too few customers; use more rows$"):
        open_dataset(small(synthetic="approved"))
