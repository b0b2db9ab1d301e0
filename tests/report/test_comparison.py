"""Finished runs side by side: each figure under its run, and folders that are none refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from secure_fl import Result
from secure_fl.errors import ConfigurationError
from secure_fl.report.comparison import compare, render_comparison, to_json
from tests.page_tables import Tables


@pytest.fixture
def folders(run_small: Callable[..., Result], tmp_path: Path) -> list[Path]:
    made = [tmp_path / "<one>", tmp_path / "two"]
    for folder, bits in zip(made, (8, 16), strict=True):
        folder.mkdir()
        (folder / "metrics.json").write_text(json.dumps(run_small(scheme="plaintext", bits=bits).metrics()))
    return made


def test_figures_stand_in_the_row_of_their_run(folders: list[Path]) -> None:
    runs = compare(folders)
    assert [run.differs_in for run in runs] == [{"bits": 8}, {"bits": 16}]
    for run, folder in zip(runs, folders, strict=True):
        metrics = json.loads((folder / "metrics.json").read_text())
        assert (run.name, run.auprc, run.epsilon) == (str(folder), metrics["final"]["auprc"], None)
        assert list(run.auprc_by_round) == [record["auprc"] for record in metrics["rounds"]]
    assert [each["bits"] for each in json.loads(to_json(runs))["runs"]] == [8, 16]
    page = render_comparison(runs)
    rows = Tables(page).rows
    assert [row[0] for row in rows[1:3]] == [str(folder) for folder in folders]
    assert [row[6] for row in rows[1:3]] == [f"{run.auprc:.3f}" for run in runs]
    honest = [json.loads((folder / "metrics.json").read_text())["curves"]["honest"] for folder in folders]
    assert [row[8] for row in rows[1:3]] == [
        f"{run.false_positives_at_80_recall:,} of {count:,}" for run, count in zip(runs, honest, strict=True)
    ]
    assert rows[-1] == ["bits", "8", "16"]
    assert "<one>" not in page, "names are escaped"


def test_an_old_run_counts_without_what_its_false_alarms_are_out_of(folders: list[Path]) -> None:
    metrics = json.loads((folders[0] / "metrics.json").read_text())
    del metrics["curves"]
    (folders[0] / "metrics.json").write_text(json.dumps(metrics))
    old, new = compare(folders)
    assert (old.honest, old.false_alarms) == (None, f"{metrics['final']['false_positives_at_80_recall']:,}")
    assert " of " in new.false_alarms


@pytest.mark.parametrize("content", [None, "{", "[]", '{"schema": 1, "rounds": []}', '{"schema": 2, "rounds": [1]}'])
def test_a_folder_that_holds_no_run_is_refused_by_name(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"holds no metrics\.json of a finished run"):
        compare([tmp_path])
