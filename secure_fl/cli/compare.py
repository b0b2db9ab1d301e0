"""`secure-fl compare`: finished runs side by side."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from secure_fl.errors import ConfigurationError


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders that secure-fl run wrote.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="A file for all figures.")] = None,
    html: Annotated[Path | None, typer.Option(help="A file for one self-contained page with the curves.")] = None,
) -> None:
    """Put finished runs side by side: what each was, found and cost."""
    if len(runs) < 2:
        raise ConfigurationError("one run has nothing to be compared with; name two or more folders")

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from secure_fl.files import staged_file
    from secure_fl.report import comparison
    from secure_fl.report.wording import bytes_text

    compared = comparison.compare(runs)
    with ExitStack() as files:
        if json_file is not None:
            files.enter_context(staged_file(json_file)).write_text(
                comparison.to_json(compared) + "\n", encoding="utf-8"
            )
        if html is not None:
            page = comparison.render_comparison(compared)
            files.enter_context(staged_file(html)).write_text(page, encoding="utf-8")
    heads = (
        "run",
        "scheme",
        "bits",
        "banks",
        "rounds",
        "epsilon",
        "AUPRC",
        "false alarms at 80 % recall, of honest",
        "upload",
    )
    table = Table(*heads, caption="upload: of one bank in a round")
    for run in compared:
        cells = (run.name, run.scheme, run.bits, run.banks, run.rounds, run.privacy, f"{run.auprc:.3f}")
        table.add_row(*(Text(str(cell)) for cell in (*cells, run.false_alarms, bytes_text(run.upload_bytes))))
    Console().print(table)
