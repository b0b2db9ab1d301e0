"""The lists of faults fit the code as it is, and the way of planting them finds and misses what it should."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.faults.__main__ import main
from tests.faults.plant import ROOT, Fault, Outcome, failing_test, plant, read_lists

FAULTS = read_lists()


@pytest.mark.parametrize("family", sorted({fault.family for fault in FAULTS}))
def test_every_fault_of_a_family_can_be_planted(family: str) -> None:
    for fault in (fault for fault in FAULTS if fault.family == family):
        assert fault.occurrences() == 1, f"{fault.name}: {fault.file} has changed"
        assert fault.planted() != (ROOT / fault.file).read_text(encoding="utf-8"), f"{fault.name} changes nothing"
        assert fault.tests, f"{fault.name} names no test"
        for test in fault.tests:
            path, _, name = test.partition("::")
            assert (ROOT / path).exists(), f"{fault.name}: there is no {path}"
            assert not name or f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"{fault.name}: no {test}"


def test_every_fault_has_a_name_of_its_own() -> None:
    assert [name for name, times in Counter(fault.name for fault in FAULTS).items() if times > 1] == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree with code, and tests that look at one of two functions only."""
    (tmp_path / "code.py").write_text("def half(x): return x / 2\ndef twice(x): return 2 * x\ndef stop(): return 0\n")
    (tmp_path / "test_code.py").write_text(
        "from code import half, stop\ndef test_half(): assert half(4) == 2\ndef test_stop():\n    while stop(): pass\n"
    )
    return tmp_path


def fault(old: str, new: str) -> Fault:
    return Fault("family", old, "code.py", old, new, ("test_code.py",))


@pytest.mark.slow
def test_what_is_tested_is_found_and_what_is_not_survives(tree: Path) -> None:
    said: list[Outcome] = []
    faults = [
        fault("x / 2", "x / 3"),
        fault("2 * x", "3 * x"),
        fault("return", "raise"),
        fault("gone", "new"),
        fault("return 0", "return 1"),
    ]
    outcomes = plant(faults, said.append, limit=20.0, root=tree)
    assert [outcome.result for outcome in outcomes] == ["found", "survived", "stale", "stale", "found"]
    assert outcomes[0].by == "test_code.py::test_half"
    assert outcomes[4].by == "still running after 20 s"
    assert list(outcomes) == said
    assert "x / 2" in (tree / "code.py").read_text()


@pytest.mark.slow
def test_tests_that_do_not_end_count_as_failing(tree: Path) -> None:
    assert failing_test(tree, ["test_code.py"], limit=0.0) == "still running after 0 s"
    (tree / "code.py").write_text("import os\nos._exit(3)\n")
    assert failing_test(tree, ["test_code.py"], limit=600.0) == "the interpreter, which ended"


@pytest.mark.slow
def test_nothing_to_run_is_an_error(tree: Path) -> None:
    with pytest.raises(RuntimeError, match="named no test"):
        failing_test(tree, ["test_nothing.py"], limit=600.0)


@pytest.mark.slow
def test_tests_that_fail_anyway_find_nothing(tree: Path) -> None:
    (tree / "test_code.py").write_text("def test_broken(): assert False\n")
    with pytest.raises(RuntimeError, match=r"without any fault, test_code\.py::test_broken fails"):
        plant([fault("x / 2", "x / 3")], lambda _: None, root=tree)


def test_one_fault_or_one_family_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--fault", FAULTS[0].name]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{FAULTS[0].name:50} {FAULTS[0].file}"]
    assert main(["--list", "--family", "review"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == sum(fault.family == "review" for fault in FAULTS) > 20
    with pytest.raises(SystemExit, match="there is no nonsense"):
        main(["--list", "--family", "nonsense"])


@pytest.mark.parametrize("entry", ['id = "a"', 'id = "a"\nfile = "b"\nold = "c"\nnew = "c"', 'what = "a"'])
def test_a_malformed_list_is_named(tmp_path: Path, entry: str) -> None:
    (tmp_path / "bad.toml").write_text(f"[[fault]]\n{entry}\n")
    with pytest.raises(ValueError, match=r"bad\.toml"):
        read_lists(tmp_path)
