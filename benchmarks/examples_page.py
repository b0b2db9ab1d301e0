"""examples/README.md: what each example shows, how long it takes, and what it prints.

.venv/bin/python -m benchmarks.examples_page

Runs them all, which takes about a minute. A test compares what they print with the page.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"
PAGE = EXAMPLES / "README.md"

HEAD = """# Examples

Short programs, one idea each, that read from top to bottom. They run offline, on simulated payments, and keep nothing:

    .venv/bin/python examples/01_one_secure_sum.py

Banks are called bank-1, bank-2 and so on, in every example and every file of a run. Where updates are rows of an array,
rows count from 0, as always in Python: row 0 is that of bank-1.

`python -m benchmarks.examples_page` ran them and wrote this page, on two cores. Encrypted bytes differ by some hundred
from run to run.
"""


@dataclass(frozen=True)
class Run:
    """One example, and what came of it."""

    path: Path
    printed: str
    seconds: float


def all_examples() -> list[Path]:
    """In the order of their numbers."""
    return sorted(EXAMPLES.glob("[0-9]*.py"))


def purpose(path: Path) -> str:
    """The first line of an example."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]


def run(path: Path, folder: Path) -> Run:
    """Run an example in a folder. Raises CalledProcessError where it fails."""
    started = time.monotonic()
    done = subprocess.run([sys.executable, str(path)], cwd=folder, capture_output=True, text=True, check=True)
    return Run(path, done.stdout, time.monotonic() - started)


def duration(seconds: float) -> str:
    """Rounded up to what one can rely on: a page does not change because a machine was busy."""
    return next(f"{limit} s" for limit in (5, 15, 30, 60, 120, 600) if seconds <= limit)


def render(runs: list[Run]) -> str:
    """The page."""
    rows = [f"| [{r.path.name}](#{r.path.stem}) | {purpose(r.path)} | {duration(r.seconds)} |" for r in runs]
    parts = [HEAD, "\n".join(["| example | what it shows | takes under |", "| --- | --- | --- |", *rows]) + "\n"]
    for each in runs:
        shown = each.printed.strip("\n")
        parts.append(f"## {each.path.stem}\n\n[{each.path.name}]({each.path.name})\n\n```text\n{shown}\n```\n")
    return "\n".join(parts)


def sections(page: str) -> dict[str, str]:
    """What the page says that each example prints, by the name of its file without the ending."""
    return dict(re.findall(r"^## (\S+)\n.*?^```text\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL))


def comparable(printed: str) -> str:
    """Without what may differ: sizes of ciphertexts, and scores at the end of a line, which machines round apart."""
    sizes = re.sub(r" *(?<![\d.,])[\d,]+ bytes", " # bytes", printed.strip("\n"))
    return re.sub(r" 0\.\d\d$", " 0.##", sizes, flags=re.MULTILINE)


def main() -> None:
    """Run all examples, and write the page."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [run(path, Path(folder)) for path in all_examples()]
    PAGE.write_text(render(runs), encoding="utf-8")


if __name__ == "__main__":
    main()
