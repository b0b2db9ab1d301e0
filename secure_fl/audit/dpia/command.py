"""`secure-fl audit RUN_DIR --dpia`: from a run's record to the files of a draft.

RUN_DIR/dpia/dpia.md and dpia.html hold the draft, model-card.md the model card, dpia.json the same facts for programs.
"""

from __future__ import annotations

from pathlib import Path

from secure_fl.audit.dpia.drafting import Draft, draft_of
from secure_fl.audit.dpia.facts import READ, read_facts
from secure_fl.audit.dpia.later import ATTACKS, AUDIT
from secure_fl.audit.dpia.layouts import LAYOUTS, Layout
from secure_fl.audit.dpia.markdown import to_markdown
from secure_fl.audit.dpia.measures import measures
from secure_fl.audit.dpia.page import render
from secure_fl.audit.leaving import Findings, leave
from secure_fl.errors import ConfigurationError
from secure_fl.report.record import RECORD
from secure_fl.report.wording import plural

FOLDER, FIGURES, PAGE = "dpia", "dpia.json", "dpia.html"
MARKDOWN, CARD = "dpia.md", "model-card.md"


def run_command(
    directory: Path,
    layout: str | None = None,
    *,
    key: str | None = None,
    head: str | None = None,
    json_file: Path | None = None,
    page_file: Path | None = None,
    force: bool = False,
) -> None:
    """Draft, write the files, say what is left to people.

    `layout`: of `LAYOUTS`; None: the first of them. Raises `ConfigurationError`, or `RecordError` where the run was
    changed; nothing is written then.
    """
    order = _order(layout)

    def find() -> Findings:
        draft = draft_of(read_facts(directory, key=key, head=head), order)
        further = {MARKDOWN: to_markdown(draft.document), CARD: to_markdown(draft.card)}
        return Findings(draft.figures(), render(draft.document), further, _lines(draft), (), failed=False)

    inputs = tuple(directory / name for name in (*READ, RECORD, AUDIT, ATTACKS))
    leave(
        directory / FOLDER,
        FIGURES,
        find,
        page=PAGE,
        json_file=json_file,
        page_file=page_file,
        force=force,
        inputs=inputs,
    )


def _order(layout: str | None) -> Layout:
    found: list[Layout] = [known for known in LAYOUTS if layout in (known, None)]
    if not found:
        raise ConfigurationError(f"there is no layout {layout!r}; choose one of {', '.join(LAYOUTS)}")
    return found[0]


def _lines(draft: Draft) -> tuple[str, ...]:
    found = measures(draft.facts)
    unmeasured = sum(measure.status == "not measured in this run" for measure in found)
    left = sum(1 for _ in draft.document.blanks())
    return (
        f"{len(found)} measures looked for, {unmeasured} of them not measured in this run",
        f"a draft, no legal advice: {plural(left, 'blank')} left to people",
    )
