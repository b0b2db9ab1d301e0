"""What a command says on the terminal when it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from secure_fl.data.metrics import Scores
from secure_fl.federation.results import Result
from secure_fl.progress import plain_console
from secure_fl.report import wording
from secure_fl.report.record import Signed
from secure_fl.report.scoring_outcome import ScoringOutcome, auprc_text
from secure_fl.scoring.custody import custody_of
from secure_fl.scoring.plans import ScoringPlan
from secure_fl.settings import BUILT_IN


def print_summary(result: Result, directory: Path) -> None:
    """Models side by side, what a round cost, who could read what, and where the report is."""
    console = plain_console()
    console.print(_scores(result))
    if asked := wording.classes_asked(result):
        console.print(asked)
    for line in wording.worth_of_alerts(result):
        console.print(line)
    if worse := wording.worse_than_guessing(result):
        console.print(f"warning: {worse}")
    last = result.rounds[-1]
    up = median(n for record in result.rounds for n in record.upload_bytes.values())
    down = median(last.download_bytes.values())
    console.print(
        f"one bank, one round: {up / 1000:.1f} kB up, {down / 1000:.1f} kB down, {last.seconds.client * 1000:.1f} ms; "
        f"aggregator {last.seconds.server * 1000:.1f} ms",
    )
    if left := wording.retrained(result.experiment):
        console.print(left, soft_wrap=True)
    for line in (*wording.troubles(result), *wording.poisoning(result)):
        console.print(line)
    if untried := wording.experimental_text(result.custody.scheme):
        console.print(f"warning: {untried}")
    for party, reads in result.custody.can_decrypt.items():
        console.print(f"{party} can read: {'; '.join(reads) or 'nothing'}")
    if result.synthetic is not None:
        s = result.synthetic
        console.print(
            f"synthetic fraud: {sum(s['rows'].values())} training rows of {len(s['patterns'])} patterns, "
            + ("approved by review" if s["review"] == "approved" else "NOT all of them reviewed"),
        )
    if result.privacy is not None:
        p = result.privacy
        console.print(
            f"differential privacy ({p.mechanism}): epsilon {p.epsilon:.3f} at delta {p.delta:g} for each {p.unit}; "
            "baselines are trained without",
        )
        if p.lifetime_epsilon:
            bank, spent = max(p.lifetime_epsilon.items(), key=lambda item: item[1])
            console.print(f"all runs on the rows of {bank} together: epsilon {spent:.3f} for life")
        for note in p.notes:
            console.print(f"note: {note}")
    console.print(f"data: {result.data['source']}")
    if result.experiment["dataset"] not in BUILT_IN:
        for use, names in wording.columns_by_use(result):
            console.print(f"{use}: {', '.join(names)}")
    for warning in result.data["warnings"]:
        console.print(f"warning: {warning}")
    console.print(f"report: {directory / 'report.html'}", soft_wrap=True)


def print_signed(signed: Signed) -> None:
    """What to note elsewhere of the record of a run."""
    console = plain_console()
    console.print(f"record: head {signed.head}", soft_wrap=True)
    console.print(f"signed by {signed.key}; note head and key elsewhere", soft_wrap=True)


def print_scoring(outcome: ScoringOutcome, out: Path, html: Path | None) -> None:
    """What encrypted scoring took, how far it is off, who could read what, and where the scores are."""
    console, figures = plain_console(), outcome.figures
    _print_costs(console, outcome.plan, figures)
    console.print(
        f"largest error of a logit {figures['max_abs_error']:.2g}, planned at most {outcome.plan.error_bound:.2g}"
    )
    if replaced := figures["plan"]["relu_replaced"]:
        console.print(
            f"polynomials in the place of ReLU change logits by {replaced['mean_difference']:.2g} in the mean, "
            f"{replaced['largest_difference']:.2g} at most, on held-out training rows"
        )
    if auprc := auprc_text(outcome):
        console.print(f"AUPRC {auprc}")
    _print_custody(console, outcome.plan)
    console.print(f"{out}: {outcome.rows} scores", soft_wrap=True)
    if html:
        console.print(f"report: {html}", soft_wrap=True)


def print_answered(plan: ScoringPlan, figures: Mapping[str, Any], rows: int, out: Path) -> None:
    """The same of a service's scores, whose errors nobody here can measure."""
    console = plain_console()
    _print_costs(console, plan, figures)
    console.print(f"error of a logit planned at most {plan.error_bound:.2g}, as the service says; not measured")
    _print_custody(console, plan)
    console.print(f"{out}: {rows} scores", soft_wrap=True)


def _print_costs(console: Console, plan: ScoringPlan, figures: Mapping[str, Any]) -> None:
    seconds = sum(figures[f"{part}_seconds_per_row"] for part in ("encrypt", "score", "open"))
    answer = "row" if plan.layout == "single" else "batch"
    console.print(
        f"a row: {wording.seconds_text(seconds)}, {figures['upload_bytes_per_row']:,.0f} B up, "
        f"{figures['download_bytes_per_row']:,.0f} B down; an answer ({answer}) after "
        f"{wording.seconds_text(figures['seconds_of_a_batch'])}; keys {figures['keys_bytes'] / 1e6:.2f} MB, once"
    )


def _print_custody(console: Console, plan: ScoringPlan) -> None:
    for party, reads in custody_of(plan).can_decrypt.items():
        console.print(f"{party} can read: {'; '.join(reads) or 'nothing'}")


def print_figures(figures: Mapping[str, Any]) -> None:
    """Of a plan, one line a figure."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for name, value in figures.items():
        missing = _NOBODY if name.startswith("may_collude") else "none"
        table.add_row(_SAID.get(name, name.replace("_", " ")), missing if value is None else _figure(value))
    plain_console().print(table)


def _figure(value: Any) -> str:
    match value:
        case bool() | str():
            return str(value)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4g}"
        case Mapping():
            return ", ".join(f"{name.replace('_', ' ')} {_figure(each)}" for name, each in value.items())
        case Sequence():
            return ", ".join(map(_figure, value)) or "none"
    return str(value)


_SAID = {
    "may_vanish": "banks that may vanish",
    "may_collude_curious": "banks that may collude with a curious aggregator",
    "may_collude_lying": "banks that may collude with a lying aggregator",
    "failure_probability": "failure probability of a sum",
    "failure_probability_repeated": "the same, one ciphertext in place of all",
    "sums_of_a_key": "sums of one key with 2^-20 in all",
}
_NOBODY = "it alone reads updates"


def _scores(result: Result) -> Table:
    table = Table("model", *(f"{name}" for name in ("AUPRC", "ROC AUC", "false alarms at 80 % recall, of honest")))
    for column in table.columns[1:]:
        column.justify = "right"
    rows = [("federated", result.final), *((f"{b.trained_on} alone", b.final) for b in result.local[:10])]
    if len(result.local) > 10:
        rows.append((f"... and {len(result.local) - 10} more banks", result.local[-1].final))
    for name, scores in [*rows, (result.central.trained_on, result.central.final)]:
        table.add_row(name, *_cells(scores, result.on_test.curve.honest))
    return table


def _cells(scores: Scores, honest: int) -> tuple[str, str, str]:
    alarms = wording.out_of_text(scores.false_positives_at_80_recall, honest)
    return f"{scores.auprc:.3f}", f"{scores.roc_auc:.3f}", alarms
