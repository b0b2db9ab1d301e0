"""Small faults, such as a careless engineer makes, put into a copy of the tree one at a time: do the tests notice?

After DeMillo, Lipton and Sayward, "Hints on Test Data Selection: Help for the Practicing Programmer" (IEEE Computer
11(4), 1978); here the faults are chosen by hand, since a list that people can read and argue about says more than a
score over thousands of operators.

A list is a TOML file per family beside this one:

    tests = ["tests/data/test_datasets.py"]       # to be run for every fault of the family ...

    [tests_of]                               # ... but for these files those ...
    "secure_fl/data/split.py" = ["tests/data/test_split.py"]

    [[fault]]
    id = "shares-in-the-wrong-order"         # unique in the family
    file = "secure_fl/data/split.py"
    old = "1.0 / np.arange(1, banks + 1)"    # the exact text, which must occur exactly once
    new = "1.0 / np.arange(banks, 0, -1)"
    tests = ["tests/data/test_split.py"]     # ... and for this fault these

Rules: the tree itself is never changed. A fault must change what the program does; one whose text is gone is stale
and an error, so that the lists move with the code.
"""

from __future__ import annotations

import ast
import compileall
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any, Literal

import pytest

ROOT = Path(__file__).parents[2]
LISTS = Path(__file__).parent
_LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "runs", "*.unfinished", "*.egg-info")
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "torch",
        "opacus",
        "tenseal",
        "sklearn.metrics",
        "scipy.stats",
        "pyarrow.csv",
        "pyarrow.parquet",
        "matplotlib.figure",
        "dp_accounting",
        "opendp",
        "openai",
        "hypothesis",
        "pytest",
        "typer",
        "rich.table",
        "cryptography",
    ]
)  # so that each fault does not pay for what no fault changes
_PYTEST = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
_KEYS = {"id", "file", "old", "new", "tests"}


@dataclass(frozen=True)
class Fault:
    """One change to one file."""

    family: str
    id: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    """Paths of tests, as pytest takes them, that ought to notice it."""

    @property
    def name(self) -> str:
        return f"{self.family}/{self.id}"

    def occurrences(self, root: Path = ROOT) -> int:
        """How often the old text stands in the file: 1, or the fault is stale."""
        path = root / self.file
        return path.read_text(encoding="utf-8").count(self.old) if path.is_file() else 0

    def planted(self, root: Path = ROOT) -> str:
        """The file's text with the fault in it. Raises SyntaxError if that is no Python."""
        text = (root / self.file).read_text(encoding="utf-8").replace(self.old, self.new)
        if self.file.endswith(".py"):
            ast.parse(text)
        return text


Result = Literal["found", "survived", "stale"]


@dataclass(frozen=True)
class Outcome:
    """What the tests made of one fault."""

    fault: Fault
    result: Result
    by: str = ""
    """The first test that failed."""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "family": self.fault.family,
            "id": self.fault.id,
            "file": self.fault.file,
            "result": self.result,
            "by": self.by,
            "seconds": round(self.seconds, 1),
        }


def read_lists(folder: Path = LISTS) -> tuple[Fault, ...]:
    """All faults of all families. Raises ValueError, naming the list, where one is malformed."""
    return tuple(fault for path in sorted(folder.glob("*.toml")) for fault in _read_list(path))


def _read_list(path: Path) -> Iterator[Fault]:
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    usual, of_file = document.get("tests", []), document.get("tests_of", {})
    for entry in document["fault"]:
        if not {"id", "file", "old", "new"} <= set(entry) <= _KEYS or entry["old"] == entry["new"]:
            raise ValueError(f"{path.name}: {entry.get('id')} has wrong fields, or changes nothing")
        tests = tuple(entry.get("tests") or of_file.get(entry["file"]) or usual)
        yield Fault(path.stem, entry["id"], entry["file"], entry["old"], entry["new"], tests)


@contextmanager
def copied_tree(root: Path = ROOT) -> Iterator[Path]:
    """A copy that faults may be put into; gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        tree = Path(shutil.copytree(root, Path(folder) / "tree", ignore=_LEFT_OUT))
        compileall.compile_dir(tree, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)  # time would not do
        yield tree


def failing_test(tree: Path, tests: Iterable[str], limit: float) -> str:
    """The first of these tests that fails in the tree, or empty text. A run beyond the limit (in seconds) fails.

    Raises RuntimeError if there is nothing to run.
    """
    shutil.rmtree(tree / ".hypothesis", ignore_errors=True)  # no fault is found with what another one left
    here, there = _FORKS.Pipe(duplex=False)
    process = _FORKS.Process(target=_run, args=(there, str(tree), list(tests)))
    process.start()
    there.close()
    try:
        if not here.poll(limit):
            return f"still running after {limit:.0f} s"
        status, failed = here.recv()
    except EOFError:
        return "the interpreter, which ended"
    finally:
        process.kill()
        process.join()
    if status not in (0, 1, 2) or (status and not failed):
        raise RuntimeError(f"pytest ended with {status} and named no test among {', '.join(tests)}")
    return str(failed)


class _FirstFailure:
    """What pytest says of the first test, or file of tests, that fails."""

    name = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.name = self.name or (report.nodeid if report.failed else "")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.name = self.name or (report.nodeid if report.failed else "")


def _run(results: Connection, tree: str, tests: list[str]) -> None:
    """In a process of its own: the tests of the tree, with the tree's code."""
    os.chdir(tree)
    os.environ["PYTHONPATH"] = tree
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    sys.path[:] = [tree, *(path for path in sys.path if path not in ("", str(ROOT)))]
    for name in [name for name in sys.modules if name.partition(".")[0] in ("secure_fl", "tests")]:
        del sys.modules[name]
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):  # noqa: PTH123
        first = _FirstFailure()
        status = pytest.main([*_PYTEST, *tests], plugins=[first])
    results.send((int(status), first.name))


def plant(
    faults: Sequence[Fault], report: Callable[[Outcome], None], limit: float = 600.0, root: Path = ROOT
) -> tuple[Outcome, ...]:
    """Run each fault's tests with the fault in place. Raises RuntimeError if they fail without any fault."""
    outcomes = []
    with copied_tree(root) as tree:
        sound = [fault for fault in faults if fault.occurrences(tree) == 1]
        tests = sorted({path for fault in sound for path in fault.tests})
        broken = failing_test(tree, tests, limit * len(tests)) if tests else ""
        if broken:
            raise RuntimeError(f"without any fault, {broken} fails; mend that first")
        for fault in faults:
            outcomes.append(_try(fault, tree, limit) if fault in sound else Outcome(fault, "stale"))
            report(outcomes[-1])
    return tuple(outcomes)


def _try(fault: Fault, tree: Path, limit: float) -> Outcome:
    path = tree / fault.file
    text = path.read_text(encoding="utf-8")
    start = time.monotonic()
    path.write_text(fault.planted(tree), encoding="utf-8")
    try:
        by = failing_test(tree, fault.tests, limit)
    finally:
        path.write_text(text, encoding="utf-8")
    return Outcome(fault, "found" if by else "survived", by, time.monotonic() - start)
