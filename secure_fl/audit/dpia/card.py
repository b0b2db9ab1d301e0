"""A model card: what the model is, what it was trained on, how good it is, and what it should not be used for.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

from __future__ import annotations

from collections.abc import Iterator

from secure_fl.audit.dpia.describing import rows_text
from secure_fl.audit.dpia.evidence import HEAD
from secure_fl.audit.dpia.facts import METRICS, Facts
from secure_fl.audit.dpia.measures import measures
from secure_fl.audit.dpia.risks import HEAD as RISKS
from secure_fl.audit.dpia.risks import risks
from secure_fl.audit.dpia.tree import Blank, Document, Section, Table, Text
from secure_fl.report.promise import delta_text, epsilon_text
from secure_fl.report.wording import count_text, out_of_text, plural, score_text, several_classes
from secure_fl.secagg.schemes import called


def card_of(facts: Facts) -> Document:
    """Of the run's model."""
    found, told = measures(facts), risks(facts)
    fairness = tuple(measure.cells for measure in found if measure.kind == "principles")
    limits = tuple(risk.cells for risk in told if risk.kind == "design")
    sections = (
        Section("1", "Model", (Table("Model", ("What", "Value"), tuple(_model(facts))),)),
        Section(
            "2",
            "Use",
            (
                Text("It gives a transaction a score of fraud. It was not made to judge people, or their credit."),
                Blank("Who uses the score for what, and which uses are out of scope?", 1),
            ),
        ),
        Section("3", "Training rows", (Text(rows_text(facts)), Table("Rows", ("What", "Value"), tuple(_rows(facts))))),
        Section("4", "Measured", (Table("On the test rows", ("What", "Value"), tuple(_scores(facts))), _one(facts))),
        Section("5", "Fairness and drivers", (Table("Measures", HEAD, fairness),)),
        Section("6", "Limits", (Table("As designed", RISKS, limits),)),
    )
    return Document("Model card", (Text("Written by a program from the signed files of one run."),), sections)


def _one(facts: Facts) -> Text:
    asked = "" if facts.classes == 2 else f" {several_classes(facts.classes)}"
    return Text(f"One run, one split, no intervals: differences of 0.01 in AUPRC can be chance.{asked}")


def _model(facts: Facts) -> Iterator[tuple[str, str]]:
    experiment, last = facts.experiment, facts.rounds[-1]
    yield "Weights", count_text(facts.metrics["parameters"])
    yield "SHA-256 of the weights", str(last["model_sha256"])
    layers = "Hidden layers, activation, unless a model was handed over in Python"
    yield layers, f"{experiment.hidden}, {experiment.activation}"
    rounds = plural(len(facts.rounds), "round")
    yield "Trained by", f"{len(facts.banks)} banks in {rounds}, sums under {called(facts.scheme)}"
    if facts.privacy is None:
        yield "Differential privacy", "none"
    else:
        spent = f"epsilon {epsilon_text(facts.privacy.epsilon)} at delta {delta_text(facts.privacy.delta)}"
        yield "Differential privacy", f"{facts.privacy.mechanism}: {spent}, for one {facts.privacy.unit}"
    yield "Head of the record", facts.record.head


def _rows(facts: Facts) -> Iterator[tuple[str, str]]:
    banks = facts.metrics["data"]["banks"].values()
    yield (
        "Training rows: all, fraud",
        ", ".join(count_text(sum(b[f"train_{n}"] for b in banks)) for n in ("rows", "frauds")),
    )
    yield "Test rows: honest, fraud", ", ".join(map(count_text, facts.test_rows))


def _scores(facts: Facts) -> Iterator[tuple[str, str]]:
    final, honest = facts.metrics["final"], facts.metrics["curves"]["honest"]
    yield "AUPRC", score_text(final["auprc"])
    yield "ROC AUC", score_text(final["roc_auc"])
    flagged = "Honest rows flagged" if facts.classes == 2 else "Wrong answers"
    yield f"{flagged} at 80 % recall", out_of_text(final["false_positives_at_80_recall"], honest)
    yield "Figures of it and of other models", METRICS
