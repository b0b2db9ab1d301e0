"""`secure-fl compare`: finished runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from secure_fl.cli.words import Force, Json
from secure_fl.errors import ConfigurationError


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders that secure-fl run wrote.")],
    json_file: Json = None,
    html: Annotated[Path | None, typer.Option(help="A file for one self-contained page with the curves.")] = None,
    force: Force = False,
) -> None:
    """Put finished runs side by side: what each was, found and cost."""
    if len(runs) < 2:
        raise ConfigurationError("one run has nothing to be compared with; name two or more folders")

    from rich.table import Table

    from secure_fl.files import STDOUT, output_files
    from secure_fl.progress import plain_console
    from secure_fl.report import comparison
    from secure_fl.report.wording import bytes_text
    from secure_fl.secagg.schemes import called

    read = [run / "metrics.json" for run in runs]
    with output_files(json_file, html, force=force, inputs=read) as (json_target, html_target):
        compared = comparison.compare(runs)
        if json_target:
            json_target.write_text(comparison.to_json(compared) + "\n", encoding="utf-8")
        if html_target:
            html_target.write_text(comparison.render_comparison(compared), encoding="utf-8")
    if json_file == STDOUT:
        return
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
    table = Table(caption="upload: of one bank in a round")
    for head in heads:
        table.add_column(head, overflow="fold")  # "(experimental)" whole, on narrow terminals too
    for run in compared:
        cells = (run.name, called(run.scheme), run.bits, run.banks, run.rounds, run.privacy, f"{run.auprc:.3f}")
        table.add_row(*(str(cell) for cell in (*cells, run.false_alarms, bytes_text(run.upload_bytes))))
    plain_console().print(table)
