"""A folder of notebooks that a student works in: what they wrote is never lost to a new version of a lesson."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from secure_fl.files import make_folder, staged_file, unwritten
from secure_fl.labs.notebooks import Notebook, kernel_command

Outcome = Literal["written", "as it was", "kept"]
_ADVICE = "choose another --to"
KERNELS = ".jupyter"
"""JUPYTER_PATH of a folder: JupyterLab then starts kernels that know of lessons."""


@dataclass(frozen=True)
class Workbook:
    """What became of one notebook."""

    path: Path
    outcome: Outcome
    """kept: somebody edited it, and what would be written has other cells than it was made with."""


def write_notebook(notebook: Notebook, path: Path, *, force: bool = False, outputs: bool = False) -> Workbook:
    """Write a notebook over one that nobody edited; over another only with `force`.

    Whether cells were run does not count. `outputs`: they are what is to be written; else those that are there stay
    where the lesson has not changed. Raises `ConfigurationError`, `StorageError`.
    """
    written = _stamp(cell.source for cell in notebook.cells)
    there = () if force else _stamps(path)
    if written in there and not outputs:
        return Workbook(path, "as it was")
    if len(there) > 1:
        return Workbook(path, "kept")
    notebook.metadata["secure_fl"] = {"written": written}
    _write(path, notebook)
    return Workbook(path, "written")


def write_kernel(folder: Path) -> None:
    """What JupyterLab needs to start the lessons' kernel. Raises `ConfigurationError`, `StorageError`."""
    kernel = {"argv": kernel_command(), "display_name": "Python 3 (secure_fl lessons)", "language": "python"}
    _write(folder / KERNELS / "kernels" / "python3" / "kernel.json", kernel)


def _write(path: Path, content: object) -> None:
    try:
        make_folder(path.parent)
    except OSError as error:
        raise unwritten(path, error, _ADVICE) from None
    with staged_file(path, _ADVICE) as staging:
        staging.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _stamps(path: Path) -> Set[str]:
    """Of the notebook's cells now, and as they were written; two if they were edited, none if there is no notebook."""
    if not path.exists():
        return frozenset()
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        now = _stamp(
            source if isinstance(source := cell["source"], str) else "".join(source) for cell in there["cells"]
        )
        return {now, there["metadata"]["secure_fl"]["written"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {"not", "readable"}


def _stamp(sources: Iterable[str]) -> str:
    return hashlib.sha256(json.dumps(list(sources)).encode()).hexdigest()
