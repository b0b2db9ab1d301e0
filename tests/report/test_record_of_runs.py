"""Records of whole runs: what was stopped has one chain, what was private says so, and no row is in any file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment, Result, run_federation
from secure_fl.data import Simulation, simulate
from secure_fl.federation.checkpoint import Checkpoint
from secure_fl.progress import unseen
from secure_fl.report.outputs import write_run
from secure_fl.report.record import RECORD
from secure_fl.report.record_check import verify_record

TEXTS = ("canary-customer-8675309", "canary-terminal-8675309", "canary-category")
NUMBERS = (773.15973, 1_234_567.8125)
"""An amount and a time, which no sum or rounding makes by chance."""


def said(run: Path) -> list[tuple[str, Any]]:
    documents = map(json.loads, (run / RECORD).read_bytes().splitlines())
    return [(document["kind"], document["says"]) for document in documents]


@pytest.mark.slow
def test_a_run_that_was_stopped_and_went_on_has_one_chain(small: Callable[..., Experiment], tmp_path: Path) -> None:
    experiment, run = small(scheme="plaintext"), tmp_path / "run"

    def stop(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("rounds", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_federation(experiment, stop, Checkpoint.of_results(run))
    checkpoint = Checkpoint.of_results(run, resume=True)
    result = run_federation(checkpoint.settings(), checkpoint=checkpoint)
    run.mkdir()
    signed = write_run(result, run, checkpoint)
    assert verify_record(run, head=signed.head).lines == 6
    stopped = [(kind, says) for kind, says in said(run) if kind == "round"]
    assert [says["round"] for _, says in stopped] == [1, 2]
    whole = tmp_path / "whole"
    run_federation(experiment).save(whole)
    assert stopped == [(kind, says) for kind, says in said(whole) if kind == "round"]


@pytest.mark.slow
def test_a_private_run_says_what_it_spent_and_names_its_ledgers(
    small: Callable[..., Experiment], tmp_path: Path, ledgers: Path
) -> None:
    experiment = small(scheme="masked", rounds=1, noise_multiplier=1.0, delta=1e-5, batch_size=512)
    checkpoint, run = Checkpoint.of_results(tmp_path / "run"), tmp_path / "run"
    result = run_federation(experiment, checkpoint=checkpoint)
    run.mkdir()
    write_run(result, run, checkpoint)
    told = dict(said(run))
    assert result.privacy is not None
    assert told["round"]["epsilon"] == told["outcome"]["privacy"]["epsilon"] == result.privacy.epsilon
    assert told["outcome"]["privacy"]["lifetime_epsilon"] == result.privacy.lifetime_epsilon
    assert sum(name.startswith("ledgers/") for name in told["files"]) == 3
    assert verify_record(run).files == 9


def table_with_canaries(path: Path) -> Path:
    """Simulated rows as a CSV, some of them with what must not leave a bank: among training and test rows."""
    rows = simulate(Simulation(transactions=4_000, days=40, fraud_share=0.05, seed=7))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("fraud", "time", "amount", "customer", "terminal", "category"))
        for number in range(len(rows)):
            planted = number % 400 == 7
            texts = TEXTS if planted else (f"c{number % 50}", f"t{number % 30}", f"k{number % 5}")
            amount, time = NUMBERS if planted else (10.0 + number % 90, 800.0 * number)
            writer.writerow((int(rows.fraud[number]), time, amount, *texts))
    return path


def canaries_in(content: bytes) -> set[object]:
    """Those that stand in a file as text, or as a number of any usual form."""
    found: set[object] = {text for text in TEXTS if text.encode() in content}
    for number in NUMBERS:
        forms = [str(number).encode(), f"{number:.6g}".encode(), f"{number:,}".encode()]
        forms += [np.array(number, dtype=kind).tobytes() for kind in ("<f4", "<f8", ">f4", ">f8")]
        if any(form in content for form in forms):
            found.add(number)
    return found


@pytest.fixture(scope="module")
def with_canaries(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    table = table_with_canaries(tmp_path_factory.mktemp("rows") / "table.csv")
    columns: dict[str, Any] = {"label": "fraud", "time": "time", "amount": "amount", "categorical": ("category",)}
    identifiers = ("customer", "terminal")
    experiment = Experiment(dataset=str(table), scheme="masked", rounds=1, identifiers=identifiers, **columns)
    return table, run_federation(experiment)


@pytest.mark.slow
def test_no_value_of_a_row_is_in_any_file_of_a_run(with_canaries: tuple[Path, Result], tmp_path: Path) -> None:
    table, result = with_canaries
    run = result.save(tmp_path / "run")
    files = [path for path in run.rglob("*") if path.is_file()]
    assert {path.name for path in files} > {RECORD, "metrics.json", "model.safetensors", "report.html"}
    assert {path.name: found for path in files if (found := canaries_in(path.read_bytes()))} == {}
    assert canaries_in(table.read_bytes()) == {*TEXTS, *NUMBERS}, "the search finds them where they are"
    for kind in ("<f4", "<f8"):
        assert canaries_in(b"x" + np.array(NUMBERS, dtype=kind).tobytes()) == set(NUMBERS)


@pytest.mark.slow
def test_the_record_names_no_column_and_no_path(with_canaries: tuple[Path, Result], tmp_path: Path) -> None:
    table, result = with_canaries
    record = (result.save(tmp_path / "run") / RECORD).read_text()
    assert not [word for word in (str(table), table.name, "terminal", "category") if word in record]


@pytest.mark.slow
def test_no_value_of_a_row_is_in_any_file_of_an_audit(with_canaries: tuple[Path, Result], tmp_path: Path) -> None:
    """But for names of groups: those of a categorical column are its values."""
    pytest.importorskip("shap")
    from secure_fl.audit.auditing import Asked
    from secure_fl.audit.command import run_command

    run = with_canaries[1].save(tmp_path / "run")
    run_command(run, Asked(groups=("amount:20,60", "bank"), rows=20), lambda: nullcontext(unseen))
    files = [path for path in (run / "audit").rglob("*") if path.is_file()]
    assert len(files) == 5
    assert {path.name: found for path in files if (found := canaries_in(path.read_bytes()))} == {}
