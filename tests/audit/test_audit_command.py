"""`secure-fl audit` from a run directory to its files, and what it refuses."""

from __future__ import annotations

import errno
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from secure_fl.audit.auditing import Asked, audit
from secure_fl.audit.command import FIGURES, FOLDER, LOCAL, run_command
from secure_fl.audit.explaining import BACKGROUND_ROWS, MOST_ROWS, REPLICATES, ROWS
from secure_fl.audit.floors import LEAST_FRAUDS, LEAST_ROWS
from secure_fl.audit.gaps import LEVEL, Gap
from secure_fl.audit.groups import MOST_GROUPS
from secure_fl.audit.leaving import PAGE, Findings, leave
from secure_fl.audit.opening import EXPERIMENT, MODEL, AuditedBank, Subject
from secure_fl.audit.sums import FRACTION_BITS
from secure_fl.audit.threshold import FALSE_POSITIVES
from secure_fl.errors import AuditError, ConfigurationError, DataError, RequestError, StorageError
from secure_fl.progress import Progress, unseen

pytestmark = pytest.mark.slow

pytest.importorskip("shap")
GROUPS = ("bank", "amount:20,60")


@contextmanager
def _silent() -> Iterator[Progress]:
    yield unseen


@pytest.fixture
def directory(run_directory: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run_directory, tmp_path / "run", ignore=shutil.ignore_patterns(FOLDER)))


def _run(directory: Path, **asked: Any) -> dict[str, Any]:
    files = {name: asked.pop(name) for name in ("json_file", "page_file", "force") if name in asked}
    run_command(directory, Asked(**{"groups": GROUPS, "rows": 25, **asked}), _silent, **files)
    document: dict[str, Any] = json.loads((directory / FOLDER / FIGURES).read_text(encoding="utf-8"))
    return document


def test_an_audit_writes_what_all_share_and_what_each_bank_keeps(directory: Path, tmp_path: Path) -> None:
    document = _run(directory, json_file=tmp_path / "a.json", page_file=tmp_path / "a.html")
    assert {path.name for path in (directory / FOLDER).iterdir()} == {PAGE, FIGURES, *document["banks"]}
    assert all((directory / FOLDER / bank / LOCAL).is_file() for bank in document["banks"])
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == document
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page == (directory / FOLDER / PAGE).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert len(document["shap"]["features"]) == len(document["shap"]["mean_abs"]) > 20
    assert document["shap"]["additivity_error"] < 1e-4
    assert all(made["equals_plaintext"] for made in document["sums"])
    assert [model["round"] for model in document["shap"]["rounds"]["earlier"]] == [1]


def test_nothing_of_a_row_is_in_what_all_share(directory: Path, subject: Subject) -> None:
    _run(directory)
    shared = [(directory / FOLDER / name).read_text(encoding="utf-8") for name in (PAGE, FIGURES)]
    names = {
        value for bank in subject.banks for column in ("customer", "terminal") for value in bank.table.text[column]
    }
    assert len(names) > 20
    assert [name for name in names for text in shared if f'"{name}"' in text or f">{name}<" in text] == []


def test_an_audit_that_is_there_is_kept_unless_asked(directory: Path) -> None:
    _run(directory)
    with pytest.raises(ConfigurationError, match="--force replaces it"):
        _run(directory)
    assert "bank" not in _run(directory, groups=("amount:20",), force=True)["fairness"]["columns"]


def test_a_gap_that_is_too_large_fails_after_all_is_written(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gap = Gap("amount", "from 60", "recall", -0.3, (-0.4, -0.2))
    monkeypatch.setattr("secure_fl.audit.fairness.find_gaps", lambda *_: (gap,))
    with pytest.raises(
        AuditError, match=r"recall of amount from 60: .*\[-0.400, -0.200\], beyond the largest gap of 0.1"
    ) as error:
        _run(directory, groups=("amount:20,60",), max_gap=0.1)
    assert error.value.exit_code == 1
    failed = json.loads((directory / FOLDER / FIGURES).read_text(encoding="utf-8"))["fairness"]["failed"]
    assert [(gap["group"], gap["interval"]) for gap in failed] == [("from 60", [-0.4, -0.2])]


def test_groups_and_gap_come_from_the_experiment(directory: Path) -> None:
    text = (directory / EXPERIMENT).read_text(encoding="utf-8").replace("audit_groups = []", "")
    (directory / EXPERIMENT).write_text(f'{text}audit_groups = ["amount:20,60"]\naudit_max_gap = 1.0\n')
    fairness = _run(directory, groups=())["fairness"]
    assert (list(fairness["columns"]), fairness["max_gap"]) == (["amount"], 1.0)


def _leave(folder: Path, lines: tuple[str, ...] = (), *, page: str = "page", **how: Any) -> None:
    found = Findings({}, page, {"bank-1/values.html": "own"}, lines, (), failed=False)
    leave(folder, FIGURES, lambda: found, **{"json_file": None, "page_file": None, "force": False, "inputs": (), **how})


def test_a_value_that_names_a_group_makes_no_line_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _leave(tmp_path / FOLDER, ("recall of region a\nNo group is worse off\x1b[2K: -0.1",))
    assert capsys.readouterr().out.startswith("recall of region a No group is worse off\ufffd[2K: -0.1\nreport: ")


def test_the_earlier_audit_stays_until_another_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / FOLDER
    _leave(folder, page="earlier")
    full = OSError(errno.ENOSPC, "No space left on device")
    for failing in ("pathlib.Path.write_text", "secure_fl.files.sync", "secure_fl.files.put"):
        with monkeypatch.context() as patched:
            patched.setattr(failing, Mock(side_effect=full))
            with pytest.raises(StorageError, match="No space left"):
                _leave(folder, page="later", force=True)
        assert (folder / PAGE).read_text(encoding="utf-8") == "earlier"
        assert [path.name for path in tmp_path.iterdir()] == [FOLDER]
    _leave(folder, page="later", force=True)
    assert (folder / PAGE).read_text(encoding="utf-8") == "later"
    assert [path.name for path in tmp_path.iterdir()] == [FOLDER]


@pytest.mark.parametrize("kind", ["link", "link to nothing", "file", "folder of mine", "what is read"])
def test_nothing_that_no_audit_wrote_is_replaced(tmp_path: Path, kind: str) -> None:
    folder, elsewhere = tmp_path / FOLDER, tmp_path / "elsewhere"
    read = (folder if kind == "what is read" else tmp_path) / "new.csv"
    if kind == "file":
        folder.touch()
    elif kind.startswith("link"):
        folder.symlink_to(elsewhere)
        if kind == "link":
            elsewhere.mkdir()
            (elsewhere / FIGURES).touch()
    else:
        folder.mkdir()
        read.touch()
        (folder / ("notes.txt" if kind == "folder of mine" else FIGURES)).touch()
    before = {*tmp_path.rglob("*")}
    with pytest.raises(ConfigurationError, match="no folder that an audit wrote, or holds what this one reads"):
        leave(folder, FIGURES, _unwanted, json_file=None, page_file=None, force=True, inputs=(read,))
    assert {*tmp_path.rglob("*")} == before


def test_a_run_that_cannot_be_written_to_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        leave(tmp_path / "no" / FOLDER, FIGURES, _unwanted, json_file=None, page_file=None, force=False, inputs=())


def _unwanted() -> Findings:
    pytest.fail("it is refused before minutes of work")


def test_who_interrupts_keeps_the_earlier_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / FOLDER
    _leave(folder, page="earlier")

    def interrupt(new: Path, place: Path) -> None:
        if place == folder:
            raise KeyboardInterrupt
        new.replace(place)

    monkeypatch.setattr("secure_fl.files.put", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _leave(folder, page="later", force=True)
    assert (folder / PAGE).read_text(encoding="utf-8") == "earlier"


def _without(name: str) -> Callable[[Path], None]:
    return lambda run: (run / name).unlink()


def _edited(run: Path) -> None:
    content = bytearray((run / MODEL).read_bytes())
    content[-1] ^= 1
    (run / MODEL).write_bytes(bytes(content))


def _other_key(run: Path) -> None:
    text = (run / EXPERIMENT).read_text(encoding="utf-8")
    (run / EXPERIMENT).write_text(text.replace("seed = 1", "seed = 2"), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_without(EXPERIMENT), f"has no {EXPERIMENT}"),
        (_without(MODEL), f"has no {MODEL}"),
        (_edited, "is damaged"),
        (_other_key, "another federation key"),
    ],
)
def test_a_run_that_is_not_whole_is_refused(directory: Path, spoil: Callable[[Path], None], told: str) -> None:
    spoil(directory)
    with pytest.raises(RequestError, match=told):
        _run(directory)
    assert not (directory / FOLDER).exists()


def test_what_is_no_folder_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="give the folder of a finished run"):
        _run(tmp_path / "nowhere")


def test_a_model_of_other_columns_is_refused(directory: Path) -> None:
    rows = directory / "rows.csv"
    rows.write_text("x,y,fraud\n" + "".join(f"{n},{n * n % 7},{int(n % 9 == 0)}\n" for n in range(300)))
    (directory / EXPERIMENT).write_text(f'dataset = "{rows}"\nlabel = "fraud"\nscheme = "masked"\n', encoding="utf-8")
    with pytest.raises(DataError, match="other columns"):
        _run(directory)


@pytest.mark.parametrize(
    ("asked", "told"),
    [({"rows": 0}, "explains nothing"), ({"max_gap": 2.0}, "none of rates"), ({"max_gap": 0.1}, "without groups")],
)
def test_what_cannot_be_asked_is_said(subject: Subject, asked: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        audit(subject, Asked(**asked))


def test_without_shap_nothing_is_summed(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shap", None)
    monkeypatch.setattr("secure_fl.audit.auditing.compare_groups", lambda *_, **__: pytest.fail("it was asked first"))
    with pytest.raises(ConfigurationError, match=r"pip install 'secure-fl\[explain\]'"):
        audit(subject)


def test_the_docs_have_the_numbers_of_the_code() -> None:
    text = " ".join((Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8").split())
    for said in (
        f"a background of {BACKGROUND_ROWS} training rows",
        f"explains {ROWS} of its test rows (`--rows`, at most {MOST_ROWS:,})",
        f"{REPLICATES} such sums over resampled rows",
        f"multiples of 2^-{FRACTION_BITS} ",
        f"more than {MOST_GROUPS} values are refused",
        f"at most {FALSE_POSITIVES:.0%}".replace("%", " %"),
        f"fewer than {LEAST_ROWS} rows, and recall and calibration of fewer than {LEAST_FRAUDS} frauds",
        f"hold together at {LEVEL:.0%}".replace("%", " %"),
    ):
        assert said in text, said


def test_a_sample_is_said_to_be_one(subject: Subject) -> None:
    notes = " ".join(audit(subject, Asked(rows=5)).notes)
    assert f"a sample: 15 of {subject.rows:,} test rows" in notes
    assert "Grouped by bank" not in notes


def test_a_million_rows_are_sampled(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secure_fl.audit.auditing.MOST_ROWS", 4)
    assert MOST_ROWS == 5_000
    notes = " ".join(audit(subject, Asked(rows=1_000_000)).notes)
    assert "1,000,000 rows a bank were asked for; at most 4 are explained" in notes
    assert "a sample: 12 of" in notes


def test_a_bank_without_test_rows_adds_nothing(subject: Subject) -> None:
    first, *others = subject.banks
    nothing = np.arange(0)
    empty = AuditedBank(
        first.name,
        first.background,
        first.raw.take(nothing),
        first.table.take(nothing),
        first.examples.take(nothing),
        first.past,
    )
    document = audit(replace(subject, banks=(empty, *others)), Asked(groups=("bank",), rows=10)).document()
    assert document["shap"]["rows"] == 20
    assert set(document["fairness"]["columns"]["bank"][first.name]) == {"suppressed"}


def test_a_private_run_says_that_its_epsilon_covers_no_sum(subject: Subject) -> None:
    private = subject.experiment.model_copy(update={"epsilon": 3.0, "delta": 1e-5})
    notes = " ".join(audit(replace(subject, experiment=private), Asked(rows=5)).notes)
    assert "epsilon does not cover these sums" in notes


def test_rows_from_python_are_audited_with_their_model() -> None:
    from benchmarks.planted_bias import run_audit

    outcome = run_audit(1, biased=True, scheme="plaintext")
    assert outcome.right
    assert outcome.gap > 0.05
    assert outcome.interval[0] > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_a_planted_bias_is_found_and_its_absence_too(seed: int) -> None:
    from benchmarks.planted_bias import run_audit

    assert run_audit(seed, biased=True).right
    assert not run_audit(seed, biased=False).failed
