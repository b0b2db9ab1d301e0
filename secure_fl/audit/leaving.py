"""What the audit commands leave behind: a folder in the run's own, the copies that were asked for, and a verdict.

The folder's page and figures are for all banks; what lies in its folders by a bank's name is for that bank alone, and
lies there only because the sandbox plays all banks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secure_fl.errors import AuditError, ConfigurationError
from secure_fl.files import STDOUT, output_files, replaced_directory
from secure_fl.progress import plain_console

PAGE = "report.html"


@dataclass(frozen=True)
class Findings:
    """What was found, as it is written and said."""

    document: Mapping[str, Any]
    page: str
    local: Mapping[str, str]
    """Further files, those of single banks among them, by their names in the folder."""
    lines: tuple[str, ...]
    """What is printed, the verdict last."""
    notes: Iterable[str]
    failed: bool


def leave(
    folder: Path,
    figures: str,
    find: Callable[[], Findings],
    *,
    page: str = PAGE,
    json_file: Path | None,
    page_file: Path | None,
    force: bool,
    inputs: tuple[Path, ...],
) -> None:
    """Find, write, say what was found. `figures` and `page`: the names of document and page in the folder.

    Raises `ConfigurationError` before anything is looked for, or `AuditError` once all is written, where it failed.
    """
    _require_replaceable(folder, figures, inputs, force)
    with (
        output_files(json_file, page_file, force=force, inputs=(*inputs, folder)) as (json_target, page_target),
        replaced_directory(folder) as staging,
    ):
        found = find()
        text = json_text(found.document)
        for target, content in ((json_target, text), (page_target, found.page)):
            if target:
                target.write_text(content, encoding="utf-8")
        for name, content in {figures: text, page: found.page, **found.local}.items():
            (staging / name).parent.mkdir(exist_ok=True)
            (staging / name).write_text(content, encoding="utf-8")
    shown = page_file or folder / page
    if json_file != STDOUT:
        console = plain_console()
        for line in (*found.lines, *(f"note: {note}" for note in found.notes), f"report: {shown}"):
            console.print(" ".join(line.split()))  # names of groups are values, of any form
    if found.failed:
        raise AuditError(f"{found.lines[-1].rstrip('.')}; see {shown}")


def _require_replaceable(folder: Path, figures: str, inputs: Iterable[Path], force: bool) -> None:
    """Raises `ConfigurationError` where something would be lost that no audit wrote, or nobody said to replace."""
    if not os.path.lexists(folder):
        return
    written = folder.is_dir() and not folder.is_symlink() and (not any(folder.iterdir()) or (folder / figures).exists())
    if not written or any(folder.resolve() in path.resolve().parents for path in inputs):
        raise ConfigurationError(
            f"{folder} is no folder that an audit wrote, or holds what this one reads; move it away"
        )
    if not force:
        raise ConfigurationError(f"{folder} exists already and is kept as it is; --force replaces it")


def json_text(document: object) -> str:
    return json.dumps(document, indent=1, allow_nan=False) + "\n"
