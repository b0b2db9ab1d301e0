"""Numbers and findings in plain words.

Every number on the page is formatted here, so that one quantity looks the same everywhere. The verdict is
derived from the scores alone and never says more than one run can show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from secure_fl.data.metrics import ALERTS_A_DAY, RECALL, Scores
from secure_fl.federation.results import Baseline, LeftOut, Result
from secure_fl.robust import RULES
from secure_fl.secagg import SCHEMES

CLOSE = 0.01
"""AUPRC differences up to this count as level: a few fraud cases more or less in the test set make that much."""

_NAMED = 5
"""So many banks are named in a line about one round."""
TIMES = "\N{MULTIPLICATION SIGN}"

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB")
_DATASETS = {"simulated": "simulated transactions", "ulb": "ULB credit-card transactions"}


def scheme_text(scheme: str) -> str:
    """A scheme's name as a reader would say it; an unknown one as it is."""
    return SCHEMES[scheme].title if scheme in SCHEMES else scheme


def experimental_text(scheme: str) -> str:
    """What is to be said of a scheme that nobody should rely on yet; nothing of others."""
    said = SCHEMES[scheme].experimental if scheme in SCHEMES else ""
    return said and f"{scheme} is {said}"


def dataset_text(dataset: str) -> str:
    """A dataset's name as a reader would say it; a file as it was given."""
    return _DATASETS.get(dataset, dataset)


def bits_text(bits: object) -> str:
    """The precision of an uploaded value: `8` becomes "8 bits", `float32` stays."""
    return f"{bits} bits" if isinstance(bits, int) else str(bits)


def count_text(count: int) -> str:
    """1234567 -> "1,234,567"."""
    return f"{count:,}"


def plural(count: int, noun: str) -> str:
    """`(1, "bank")` -> "1 bank", `(3, "bank")` -> "3 banks"."""
    return f"{count_text(count)} {noun}{'' if count == 1 else 's'}"


def bytes_text(size: float) -> str:
    """Bytes in decimal units: 123610 -> "123.6 kB"."""
    unit = 0
    while size >= 999.95 and unit < len(_BYTE_UNITS) - 1:
        size /= 1000
        unit += 1
    return f"{size:.0f} B" if unit == 0 else f"{size:.1f} {_BYTE_UNITS[unit]}"


def seconds_text(seconds: float) -> str:
    """A duration in the unit that suits it: 0.0123 -> "12.3 ms", 75 -> "1 min 15 s"."""
    if seconds >= 59.95:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s"
    scale, unit = (1, "s") if seconds >= 1 else (1e3, "ms") if seconds >= 1e-3 else (1e6, "µs")
    return f"{seconds * scale:.3g} {unit}"


def score_text(score: float) -> str:
    """AUPRC and ROC AUC with three decimals."""
    return f"{score:.3f}"


def share_text(share: float) -> str:
    """A fraction as a percentage that keeps two digits when it is small: 0.00173 -> "0.17 %"."""
    percent = 100 * share
    return "0 %" if percent == 0 else f"{percent:#.2g} %" if percent < 9.95 else f"{percent:.0f} %"


def small_text(value: float) -> str:
    """An error or step: 2.34e-5 -> 2.3 times 10 to the power -5; zero stays "0"."""
    if value == 0:
        return "0"
    if 0.01 <= abs(value) < 1000:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} {TIMES} 10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def out_of_text(count: int, total: int | None) -> str:
    """A count with what it is out of: "1,835 of 56,000"; alone where nobody knows."""
    return count_text(count) if total is None else f"{count_text(count)} of {count_text(total)}"


def range_text(low: str, high: str) -> str:
    """Two formatted ends of a range, or one of them when they look the same."""
    return low if low == high else f"{low} to {high}"


def names_text(names: Sequence[str], shown: int = 4) -> str:
    """A list of banks, cut after `shown` of them: "bank-1, bank-2 and 7 more"."""
    if len(names) <= shown + 1:
        return ", ".join(names)
    return f"{', '.join(names[:shown])} and {len(names) - shown} more"


def local_range(local: Sequence[Baseline]) -> str:
    """The AUPRC of the models that banks trained alone, lowest to highest."""
    scores = sorted(baseline.final.auprc for baseline in local)
    return range_text(score_text(scores[0]), score_text(scores[-1]))


def verdict(final: Scores, local: Sequence[Baseline], central: Baseline, private: bool = False) -> str:
    """Was the federated model worth it, next to each bank alone and to pooled data? One sentence, two if `private`.

    `private`: it was trained under differential privacy, and the others were not.
    """
    score = score_text(final.auprc)
    unequal = " Only the federated model was trained under differential privacy." if private else ""
    if not local:
        return f"In this run the federated model reaches an AUPRC of {score}{_against_pooled(final, central)}.{unequal}"
    evidence = f"AUPRC {score} against {local_range(local)}"
    finding = f"{_against_local(final, local)} ({evidence}){_against_pooled(final, central)}"
    return f"In this run the federated model {finding}.{unequal}"


def served(result: Result) -> str:
    """Whom the federated model serves better than the bank's own does, on the transactions of that very bank."""
    pairs = [
        (federated, alone)
        for bank, federated in result.on_test.auprc_by_bank.items()
        if federated is not None and (alone := result.alone_on_own_rows(bank)) is not None
    ]
    if not result.on_test.auprc_by_bank:
        return "The test transactions are no bank's own, so all models are compared on the same ones only."
    if not pairs:
        return "No bank has both a model of its own and test transactions of both classes to compare it on."
    better = sum(federated - alone > CLOSE for federated, alone in pairs)
    worse = sum(alone - federated > CLOSE for federated, alone in pairs)
    level = len(pairs) - better - worse
    return (
        f"On a bank's own test transactions the federated model finds fraud better than the bank's own for {better} of "
        f"{plural(len(pairs), 'bank')}, worse for {worse}, and is level for {level}."
    )


def worth_of_alerts(result: Result) -> list[str]:
    """What the federated model's alerts are worth to those who look into them; a sentence each."""
    alerts, honest = result.on_test.alerts, result.on_test.curve.honest
    if alerts is None:
        return []
    a_day, mean = (
        (" of a day", f", the mean of {count_text(alerts.alert_days)} days") if alerts.alert_days > 1 else ("", "")
    )
    lines = [
        f"Of the {ALERTS_A_DAY} test transactions{a_day} that score highest, {share_text(alerts.precision_at_100)} are "
        f"fraud{mean}; a perfect ranking reaches {share_text(alerts.best_precision_at_100)}.",
        f"To find {share_text(RECALL)} of the fraud, {share_text(alerts.alert_rate)} of the transactions are flagged, "
        f"among them {out_of_text(result.final.false_positives_at_80_recall, honest)} honest ones.",
    ]
    if alerts.amount_saved is not None and alerts.amount_of_fraud is not None:
        lines.append(
            f"The frauds among these are worth {alerts.amount_saved:,.2f} of {alerts.amount_of_fraud:,.2f}, in the "
            "unit of the amounts."
        )
    return lines


def worse_than_guessing(result: Result) -> str | None:
    """Which models rank worse than chance does; None if none."""
    guessing = result.on_test.curve.guessing
    scores = {"federated": result.final, **{f"{b.trained_on} alone": b.final for b in result.local}}
    scores[result.central.trained_on] = result.central.final
    below = [f"{name} ({found.auprc:.2g})" for name, found in scores.items() if found.auprc < guessing]
    if not below:
        return None
    return (
        f"worse than guessing, whose AUPRC is the share of fraud, {guessing:.2g}: {names_text(below)}; such a model is "
        "worth nothing"
    )


def caveat(result: Result) -> str:
    """What the verdict cannot show."""
    return (
        f"This is one run on one split of one dataset; differences of AUPRC up to {CLOSE} are called level here, "
        "because a handful of fraud cases can make them. Repeat it with other seeds before drawing conclusions."
        + ("" if len(result.rounds) > 1 else " With a single round, no model has had time to converge.")
        + (f" {asked}" if (asked := classes_asked(result)) else "")
    )


def classes_asked(result: Result) -> str | None:
    """What scores and counts are of, where a model tells more than two classes apart."""
    classes = result.model.learner.classes
    return None if classes == 2 else several_classes(classes)


def several_classes(classes: int) -> str:
    """What scores and counts are of, where there are so many."""
    return (
        f"The model tells {classes} classes apart: each row is asked {classes} times whether it is of a class, and "
        "what is called fraud is a row of that class. Scores and counts are of all these answers together."
    )


def _against_local(final: Scores, local: Sequence[Baseline]) -> str:
    better = sum(final.auprc - baseline.final.auprc > CLOSE for baseline in local)
    worse = sum(baseline.final.auprc - final.auprc > CLOSE for baseline in local)
    if not better and not worse:
        return f"is level with {_all_models(len(local))}"
    if not worse:
        return f"finds fraud better than {_some_models(better, len(local))}{_rest_level(better, len(local))}"
    if not better:
        return f"finds fraud worse than {_some_models(worse, len(local))}{_rest_level(worse, len(local))}"
    return f"finds fraud better than {_some_models(better, len(local))}, but worse than {worse} of them"


def _all_models(total: int) -> str:
    if total == 1:
        return "the one model that a bank trained alone"
    return f"{'both' if total == 2 else f'all {total}'} models that banks trained alone"


def _some_models(count: int, total: int) -> str:
    return _all_models(total) if count == total else f"{count} of the {total} models that banks trained alone"


def _rest_level(count: int, total: int) -> str:
    if count == total:
        return ""
    return f" and is level with the other{'s' if total - count > 1 else ''}"


def _against_pooled(final: Scores, central: Baseline) -> str:
    gap = final.auprc - central.final.auprc
    pooled = f"one model trained on all the data pooled ({score_text(central.final.auprc)})"
    if abs(gap) <= CLOSE:
        return f", and is level with {pooled}"
    if gap < 0:
        return f", and stays {score_text(-gap)} below {pooled}"
    return f", and ends {score_text(gap)} above {pooled}, which may well be chance"


def columns_by_use(result: Result) -> list[tuple[str, list[str]]]:
    """What the columns of the data were used as, each use with its columns; last the columns that were not used."""
    columns = result.data.get("columns", {"used": {}, "ignored": []})
    uses: dict[str, list[str]] = {}
    for name, use in columns["used"].items():
        uses.setdefault(f"used as {use}", []).append(name)
    return [*uses.items(), *([("not used", list(columns["ignored"]))] if columns["ignored"] else [])]


def retrained(experiment: Mapping[str, Any]) -> str | None:
    """Which banks have left, and what that says; None where none has."""
    left, head = experiment.get("without") or (), experiment.get("retrained_from")
    if not left:
        return None
    instead = "" if head is None else f", in the place of the run whose record ends with {head}"
    return (
        f"{names_text(left)} left: this model was trained without any of their rows{instead}. Earlier models, and "
        "copies of them, are not touched"
    )


def troubles(result: Result) -> list[str]:
    """A line for each round that banks or holders were missing from or spoiled, or that took more than one attempt.

    And one for each model beside the federated one whose training diverged.
    """
    lines = []
    for record in result.rounds:
        banks = [f"{bank} was refused: {why}" for bank, why in record.refused.items() if bank in record.dropped]
        banks += [
            f"{bank} is in the sum, but {why}" for bank, why in record.refused.items() if bank in record.contributors
        ]
        banks += [f"{bank} dropped out" for bank in record.dropped if bank not in record.refused]
        what = banks[:_NAMED] + ([f"{len(banks) - _NAMED} more banks"] if len(banks) > _NAMED else [])
        banks_of_it = {*record.dropped, *record.contributors}
        what += [f"opened without {name}: {why}" for name, why in record.refused.items() if name not in banks_of_it]
        what += [f"attempted {record.attempts} times"] if record.attempts > 1 else []
        if what:
            lines.append(f"round {record.round}: {'; '.join(what)}")
    return lines + [
        f"{model.trained_on}, without the others: training diverged in round {model.diverged_in}; the model before "
        "that stands for it"
        for model in (*result.local, result.central)
        if model.diverged_in is not None
    ]


def poisoning(result: Result) -> list[str]:
    """Who attacked, whom the rule left out, and whether rightly; nothing where there is neither."""
    rule, attack = result.experiment.get("robust", "none"), result.experiment.get("attack", "none")
    counted, lines = LeftOut.of(result.rounds), []
    if attack != "none":
        names = dict.fromkeys(name for record in result.rounds for name in record.byzantine)
        who, uploads = names_text(tuple(names)) or "nobody, since they dropped out", counted.poisoned + counted.honest
        lines.append(f"poisoned by {attack}: {who}; {count_text(counted.poisoned)} of {plural(uploads, 'upload')}")
    if rule == "none":
        return lines
    if not RULES[rule].chooses:
        return [*lines, f"{rule} leaves no bank out: it bounds what each can move"]
    found = ""
    if counted.poisoned:
        found = f"{count_text(counted.rightly)} of {plural(counted.poisoned, 'poisoned upload')} and "
    honest = plural(counted.honest, "honest one" if counted.poisoned else "honest upload")
    return [*lines, f"{rule} left out {found}{count_text(counted.wrongly)} of {honest}"]
