"""Puts a run's numbers, words and pictures into the page.

The frame, the style and what all pages promise are in `frame`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from secure_fl.data.metrics import ALERTS_A_DAY
from secure_fl.federation.results import Alerts, Baseline, Result, RoundRecord
from secure_fl.privacy.spent import Privacy
from secure_fl.report import frame, promise, wording
from secure_fl.settings import IN_MEMORY
from secure_fl.settings.catalogue import declared, help_text, title

SECTIONS = {
    "learning": "Learning curves",
    "alarms": "Fraud found, and false alarms",
    "banks": "Bank by bank",
    "traffic": "Bytes on the wire",
    "time": "Where the time went",
    "custody": "Who could see what",
    "privacy": "Differential privacy",
    "exhibit": "What the aggregator saw",
    "rounds": "Round by round",
    "repeat": "Settings and data",
    "words": "Words on this page",
}

FILTERS: Mapping[str, Callable[..., str]] = {
    "delta": promise.delta_text,
    "epsilon": promise.epsilon_text,
}
"""Of this page, beside those of all."""

_DATA_SHOWN_ELSEWHERE = frozenset({"source", "rows", "frauds", "banks", "columns", "warnings"})
_COUNTS = ("train_rows", "train_frauds", "test_rows", "test_frauds")


@dataclass(frozen=True)
class KeyFigure:
    """One number of the headline, with what to compare it to."""

    name: str
    value: str
    beside: str


@dataclass(frozen=True)
class BankShare:
    """One bank's part of the data, formatted."""

    bank: str
    share: str
    counts: tuple[str, ...]
    """Training transactions and frauds, test transactions and frauds."""


@dataclass(frozen=True)
class BankResult:
    """How a bank's own model does, and what the federated one does for that bank; formatted."""

    bank: str
    cells: tuple[str | None, ...]
    """As the table has them; None: unknown."""


def render(result: Result) -> str:
    """The whole report as one HTML document. The same result gives the same text."""
    from secure_fl.report import exhibit, figures, pictures  # matplotlib is slow to import, so only when needed

    float32_bytes = 4 * result.parameters
    banks = figures.bank_names(result)
    strongest = exhibit.full_shade(result.exhibit.update)
    values = {
        "result": result,
        "banks": banks,
        "many_banks": len(banks) > figures.MANY_BANKS,
        "many_local": len(result.local) > figures.MANY_LOCAL,
        "dataset": wording.dataset_text(str(result.experiment.get("dataset", "not named"))),
        "scheme": wording.scheme_text(result.custody.scheme),
        "experimental": wording.experimental_text(result.custody.scheme),
        "bits": wording.bits_text(result.experiment.get("bits", "unknown precision")),
        "verdict": wording.verdict(result.final, result.local, result.central, private=result.privacy is not None),
        "promise": promise.promise_of(result),
        "unprotected": promise.UNPROTECTED,
        "budgeted": promise.target(result) is not None,
        "noisy_sum": _noisy_sum(result),
        "alerts": wording.worth_of_alerts(result),
        "worse_than_guessing": wording.worse_than_guessing(result),
        "served": wording.served(result),
        "bank_results": bank_results(result),
        "curve": result.on_test.curve,
        "curve_key": figures.curve_key(result),
        "caveat": wording.caveat(result),
        "in_memory": result.experiment.get("dataset") == IN_MEMORY,
        "key_figures": key_figures(result, float32_bytes),
        "float32_bytes": float32_bytes,
        "pictures": pictures.draw(result, float32_bytes),
        "strongest": strongest,
        "dump": exhibit.hex_dump(result.exhibit.message),
        "reading_error": _reading_error(result),
        "settings": settings_by_section(result.experiment),
        "retrained": wording.retrained(result.experiment),
        "troubles": wording.troubles(result),
        **_poisoning(result),
        "data_extra": list(flatten({k: v for k, v in result.data.items() if k not in _DATA_SHOWN_ELSEWHERE})),
        "column_uses": wording.columns_by_use(result),
        "data_warnings": result.data.get("warnings", []),
        "shares": bank_shares(result.data.get("banks", {})),
    }
    return frame.fill("page.html.j2", SECTIONS, values, FILTERS)


def _poisoning(result: Result) -> dict[str, Any]:
    """What is said of banks that attack, and of the rule against them."""
    from secure_fl.report import selection

    return {
        "ruled": result.experiment.get("robust", "none") != "none",
        "poisoning": wording.poisoning(result),
        "standings": selection.standings(result),
        "most_shown": selection.MOST_SHOWN,
    }


def key_figures(result: Result, float32_bytes: int) -> list[KeyFigure]:
    """The four or so numbers that a reader should take away."""
    final, central = result.final, result.central.final
    without = "without privacy: " if result.privacy is not None else ""
    figures = [
        KeyFigure(
            "AUPRC, federated model",
            wording.score_text(final.auprc),
            f"{without}{_local_note(result)}pooled {wording.score_text(central.auprc)}",
        ),
        KeyFigure(
            "False alarms at 80 % recall",
            wording.count_text(final.false_positives_at_80_recall),
            f"of {wording.plural(result.on_test.curve.honest, 'honest transaction')}; "
            f"{without}{_local_false_alarms(result)}pooled {wording.count_text(central.false_positives_at_80_recall)}",
        ),
    ]
    if result.on_test.alerts is not None:
        figures.append(_alerts_figure(result.on_test.alerts))
    if result.privacy is not None:
        figures.append(_privacy_figure(result.privacy, promise.target(result)))
    uploads = [size for record in result.rounds for size in record.upload_bytes.values()]
    if uploads:
        size = median(uploads)
        ratio = f"{size / float32_bytes:.2f} {wording.TIMES} plain float32"
        downloads = [size for record in result.rounds for size in record.download_bytes.values()]
        down = wording.bytes_text(median(downloads)) if downloads else "nothing"
        figures.append(KeyFigure("Upload per bank and round", wording.bytes_text(size), f"{ratio}; download {down}"))
    errors = [(record.max_abs_error, record) for record in result.rounds if record.max_abs_error is not None]
    if errors:
        error, worst = max(errors, key=lambda pair: pair[0])
        figures.append(KeyFigure("Largest error of the mean", wording.small_text(error), _step_note(error, worst)))
    return figures


def bank_shares(banks: Mapping[str, Mapping[str, int]]) -> list[BankShare]:
    """Each bank's rows and frauds in the training and the test part."""
    rows = {bank: counts["train_rows"] + counts["test_rows"] for bank, counts in banks.items()}
    total = sum(rows.values())
    return [
        BankShare(
            bank=bank,
            share=wording.share_text(rows[bank] / total if total else 0),
            counts=tuple(wording.count_text(counts[name]) for name in _COUNTS),
        )
        for bank, counts in banks.items()
    ]


def bank_results(result: Result) -> list[BankResult]:
    """One line for each bank that trained alone."""
    shares = result.data.get("banks", {})
    return [BankResult(b.trained_on, tuple(_bank_cells(result, b, shares.get(b.trained_on, {})))) for b in result.local]


def _bank_cells(result: Result, alone: Baseline, share: Mapping[str, int]) -> Iterator[str | None]:
    yield wording.score_text(alone.final.auprc)
    yield wording.count_text(alone.final.false_positives_at_80_recall)
    yield wording.count_text(share["test_rows"] - share["test_frauds"]) if share else None
    yield wording.count_text(share["test_frauds"]) if share else None
    bank = alone.trained_on
    for auprc in (result.alone_on_own_rows(bank), result.on_test.auprc_by_bank.get(bank)):
        yield None if auprc is None else wording.score_text(auprc)


def settings_by_section(experiment: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Title of each section, and name, value and meaning of its settings; last those that are not declared any more."""
    rest = dict(experiment)
    sections: dict[str, list[tuple[str, str, str]]] = {}
    for section, name, field in declared():
        if name in rest:
            row = (name, _setting_text(rest.pop(name)), help_text(field))
            sections.setdefault(title(section), []).append(row)
    others = [(name, value, "") for name, value in flatten(rest)]
    return [*sections.items(), *([("Others", others)] if others else [])]


def flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as `("data.seed", "7")` pairs, spelled as in TOML."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _setting_text(value)


def _local_note(result: Result) -> str:
    return f"banks alone {wording.local_range(result.local)}; " if result.local else ""


def _local_false_alarms(result: Result) -> str:
    if not result.local:
        return ""
    alarms = sorted(baseline.final.false_positives_at_80_recall for baseline in result.local)
    return f"banks alone {wording.range_text(wording.count_text(alarms[0]), wording.count_text(alarms[-1]))}; "


def _alerts_figure(alerts: Alerts) -> KeyFigure:
    beside = f"a perfect ranking: {wording.share_text(alerts.best_precision_at_100)}"
    if alerts.alert_days > 1:
        beside += f"; mean of {wording.count_text(alerts.alert_days)} days"
    name = f"Fraud among {ALERTS_A_DAY} alerts{' a day' if alerts.alert_days > 1 else ''}"
    return KeyFigure(name, wording.share_text(alerts.precision_at_100), beside)


def _privacy_figure(privacy: Privacy, allowed: float | None) -> KeyFigure:
    beside = f"at delta {promise.delta_text(privacy.delta)}; {promise.spent_text(privacy, allowed)}"
    return KeyFigure(f"Epsilon of each {privacy.unit}", promise.epsilon_text(privacy.epsilon), beside)


def _noisy_sum(result: Result) -> bool:
    """Whether the sum itself carries noise, so that its error is no error of the secure sum."""
    return result.privacy is not None and result.privacy.mechanism == "distributed"


def _step_note(error: float, record: RoundRecord) -> str:
    if not record.quantization_step:
        return f"in round {record.round}; no quantization"
    steps = error / record.quantization_step
    return f"{steps:.2g} {wording.TIMES} the quantization step, in round {record.round}"


def _reading_error(result: Result) -> str | None:
    from secure_fl.report.exhibit import reading_error

    reads = result.exhibit.aggregator_reads
    return None if reads is None else reading_error(result.exhibit.update, reads)


def _setting_text(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_setting_text(item) for item in value) or "none"
    return str(value)
