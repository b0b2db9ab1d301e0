"""`secure-fl audit --drift` from two files to a verdict, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from typer.testing import CliRunner

from secure_fl.audit.drift.bins import FAR
from secure_fl.audit.drift.command import FIGURES, FOLDER
from secure_fl.audit.drift.holdings import PAST_DAYS
from secure_fl.audit.drift.resampling import REPLICATES
from secure_fl.audit.drift.watching import LEAST_ROWS, RETRAIN, WATCH
from secure_fl.audit.leaving import PAGE
from secure_fl.cli.app import app
from secure_fl.data import Simulation, Transactions, simulate, split_among_banks, write_simulated
from secure_fl.data.behaviour import DAY
from secure_fl.errors import AuditError, ConfigurationError, DataError

CUT = 75 * DAY
ROWS = simulate(Simulation(transactions=12_000, days=120, fraud_share=0.02, seed=4))
OLD, NEW = ROWS.before(CUT), ROWS.since(CUT)


@pytest.fixture
def directory(run_directory: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run_directory, tmp_path / "run", ignore=shutil.ignore_patterns(FOLDER, "audit")))


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return _csv(OLD, tmp_path / "old.csv"), _csv(NEW, tmp_path / "new.csv")


def _csv(rows: Transactions, path: Path) -> Path:
    write_simulated(rows, path, force=True)
    return path


def _audit(*arguments: object) -> str:
    """What is printed. Raises the command's error."""
    done = CliRunner().invoke(app, ["audit", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done.output


def test_a_comparison_writes_what_all_share_and_what_each_bank_keeps(
    directory: Path, files: tuple[Path, Path], tmp_path: Path
) -> None:
    copies = tmp_path / "d.json", tmp_path / "d.html"
    out = _audit(directory, "--drift", *files, "--json", copies[0], "--out", copies[1])
    folder = directory / FOLDER
    document = json.loads(copies[0].read_text(encoding="utf-8"))
    assert document == json.loads((folder / FIGURES).read_text(encoding="utf-8"))
    assert copies[1].read_text(encoding="utf-8") == (folder / PAGE).read_text(encoding="utf-8")
    assert {path.name for path in folder.iterdir()} == {PAGE, FIGURES, *document["banks"]}
    assert document["verdict"] == "stable"
    assert "Stable: nothing has moved" in out
    assert all(made["equals_plaintext"] for made in document["sums"])
    own = json.loads((folder / "bank-2" / FIGURES).read_text(encoding="utf-8"))
    assert [len(own["shifts"]), own["bank"]] == [len(document["features"]) + 1, "bank-2"]
    page = (folder / PAGE).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    shared = [page, copies[0].read_text(encoding="utf-8")]
    names = {value for column in ("customer", "terminal") for value in ROWS.text[column]}
    assert [name for name in names for text in shared if name in text] == []
    with pytest.raises(ConfigurationError, match="--force replaces it"):
        _audit(directory, "--drift", *files)
    _audit(directory, "--drift", *files, "--force")


def test_a_given_limit_fails_after_all_is_written(directory: Path, files: tuple[Path, Path], tmp_path: Path) -> None:
    dearer = NEW.numeric["amount"] * 2.0
    new = _csv(Transactions(**{**vars(NEW), "numeric": {**NEW.numeric, "amount": dearer}}), tmp_path / "dearer.csv")
    assert "Retrain: a PSI is beyond 0.25 and beyond chance" in _audit(directory, "--drift", files[0], new)
    with pytest.raises(AuditError, match=r"Retrain: a PSI is beyond 0.2 .*PSI [0-9.]* of .*; see") as error:
        _audit(directory, "--drift", files[0], new, "--max-psi", "0.2", "--force")
    assert error.value.exit_code == 1
    document = json.loads((directory / FOLDER / FIGURES).read_text(encoding="utf-8"))
    assert (document["verdict"], document["limits"]["retrain"]) == ("retrain", 0.2)
    assert "<strong>retrain</strong>" in (directory / FOLDER / PAGE).read_text(encoding="utf-8")


def test_each_bank_may_have_files_of_its_own(directory: Path, tmp_path: Path) -> None:
    folders = tmp_path / "old", tmp_path / "new"
    for folder, rows in zip(folders, (OLD, NEW), strict=True):
        folder.mkdir()
        for number, part in enumerate(split_among_banks(rows, 3), start=1):
            _csv(part, folder / f"bank-{number}.csv")
    _audit(directory, "--drift", *folders)
    rows = json.loads((directory / FOLDER / FIGURES).read_text(encoding="utf-8"))["rows"]
    assert rows["new"] == len(NEW)
    (folders[1] / "bank-3.csv").unlink()
    with pytest.raises(DataError, match="has 0 files of bank-3"):
        _audit(directory, "--drift", *folders, "--force")
    with pytest.raises(DataError, match="only one of"):
        _audit(directory, "--drift", folders[0], _csv(NEW, tmp_path / "new.csv"), "--force")


def _without_amount(path: Path) -> None:
    pacsv.write_csv(pacsv.read_csv(path).drop_columns(["amount"]), path)


def _empty(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")


def _not_a_number(path: Path) -> None:
    table = pacsv.read_csv(path)
    amounts = table["amount"].to_numpy().copy()
    amounts[4] = np.nan
    pacsv.write_csv(table.set_column(table.column_names.index("amount"), "amount", [amounts]), path)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_without_amount, 'has no column "amount"'),
        (_empty, "holds no transactions"),
        (_not_a_number, r'line 6 .*"amount"|"amount".* line 6'),
        (lambda path: path.unlink(), "there is no file"),
        (lambda path: write_simulated(OLD, path, force=True), "does not begin after the end of"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    directory: Path, files: tuple[Path, Path], spoil: Callable[[Path], None], told: str
) -> None:
    spoil(files[1])
    with pytest.raises(DataError, match=told) as error:
        _audit(directory, "--drift", *files)
    assert "\n" not in str(error.value)
    assert not (directory / FOLDER).exists()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("--max-psi", "0.2"), "--max-psi is for --drift"),
        (("--drift", "a.csv", "b.csv", "--group", "bank"), "--group is not for --drift"),
        (("--drift", "a.csv", "b.csv", "--rows", "500"), "--rows is not for --drift"),
        (("--drift", "a.csv", "b.csv", "--verify"), "--verify and --drift ask for different things"),
    ],
)
def test_what_does_not_belong_together_is_refused(directory: Path, asked: tuple[str, ...], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        _audit(directory, *asked)


def test_columns_without_time_or_customers_are_compared_row_by_row(tmp_path: Path) -> None:
    from secure_fl import Experiment, run_federation

    rng = np.random.default_rng(1)

    def rows(name: str, count: int, mean: float) -> Path:
        x, z = rng.normal(mean, size=count), rng.normal(size=count)
        fraud = (x - mean + z > 2.0).astype(int)
        pacsv.write_csv(pa.table({"x": x, "z": z, "one": np.ones(count), "fraud": fraud}), tmp_path / name)
        return tmp_path / name

    trained = Experiment(dataset=str(rows("train.csv", 900, 0.0)), label="fraud", scheme="masked", rounds=2)
    run_federation(trained).save(tmp_path / "run")
    old, same, moved = rows("old.csv", 600, 0.0), rows("same.csv", 600, 0.0), rows("moved.csv", 600, 1.0)
    assert "Stable" in _audit(tmp_path / "run", "--drift", old, same)
    assert "Retrain" in _audit(tmp_path / "run", "--drift", old, moved, "--force")
    features = json.loads((tmp_path / "run" / FOLDER / FIGURES).read_text(encoding="utf-8"))["features"]
    assert {each["name"]: each["psi"] for each in features}["one"] == 0.0


def test_the_docs_have_the_numbers_of_the_code() -> None:
    text = " ".join((Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8").split())
    for said in (
        f"{REPLICATES} resamplings of customers",
        f"more than {RETRAIN}",
        f"more than {WATCH}",
        f"more than {FAR:.0f} standard",
        f"first {PAST_DAYS} days",
        f"Fewer than {LEAST_ROWS} rows",
    ):
        assert said in text, said
