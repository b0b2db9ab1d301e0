"""One audit: attributions and groups of a subject, and all that may be said of them outside of the banks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from secure_fl.audit.attributions import deep_explainer
from secure_fl.audit.explaining import (
    BACKGROUND_ROWS,
    MOST_ROWS,
    ROWS,
    Explained,
    FeatureSums,
    explain_rows,
    sum_features,
)
from secure_fl.audit.fairness import Fairness, compare_groups
from secure_fl.audit.groups import BANK, group_rows
from secure_fl.audit.opening import Subject
from secure_fl.audit.ranking import rounds_document, shap_document
from secure_fl.audit.sums import MadeSum, SecureSums
from secure_fl.errors import ConfigurationError
from secure_fl.federation.global_model import weights_sha256
from secure_fl.progress import Progress, unseen
from secure_fl.secagg.custody import Custody

SCHEMA = 1


@dataclass(frozen=True)
class Asked:
    """What is to be audited. `None`, and no groups: as the experiment has it."""

    groups: tuple[str, ...] = ()
    threshold: float | None = None
    """A probability; None: at 5 % false positives."""
    max_gap: float | None = None
    rows: int = ROWS
    """Each bank's test rows that are explained, at most."""

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise ConfigurationError(f"--rows {self.rows} explains nothing; use 1 or more")
        if self.max_gap is not None and not 0 <= self.max_gap <= 1:
            raise ConfigurationError(f"a gap of {self.max_gap:g} is none of rates; use a number from 0 to 1")


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit found."""

    subject: Subject = field(repr=False)
    summed: FeatureSums = field(repr=False)
    fairness: Fairness
    sums: tuple[MadeSum, ...]
    custody: Custody = field(repr=False)
    notes: tuple[str, ...]
    local: tuple[Explained, ...] = field(repr=False)
    """Each bank's own values, which stay there."""
    largest_gap: float
    """Of the check that SHAP values add up to scores."""

    def document(self) -> dict[str, Any]:
        """All figures that may leave the banks, as plain JSON values."""
        experiment, shap = self.subject.experiment, shap_document(self.summed)
        colliding = self.summed.colliding
        return {
            "schema": SCHEMA,
            "dataset": experiment.dataset,
            "scheme": experiment.scheme,
            "banks": [bank.name for bank in self.subject.banks],
            "model_sha256": weights_sha256(self.subject.weights),
            "test_rows": self.subject.rows,
            "shap": shap
            | {
                "additivity_error": self.largest_gap,
                "background_rows": BACKGROUND_ROWS,
                "hashed": {
                    "columns": list(self.subject.schema.hashed),
                    "positions": len(colliding),
                    "colliding_positions": int((colliding > 0).sum()),
                    "blurred_rows": self.summed.blurred_rows,
                },
                "rounds": rounds_document(
                    self.summed, [model.round for model in self.subject.earlier], experiment.rounds
                ),
            },
            "fairness": self.fairness.document(),
            "sums": [asdict(each) for each in self.sums],
            "custody": {party: list(what) for party, what in self.custody.can_decrypt.items()},
            "notes": list(self.notes),
        }


def audit(subject: Subject, asked: Asked | None = None, progress: Progress = unseen) -> Audit:
    """Raises `ConfigurationError`, `DataError` or `AuditError`; a gap that is too large is no error."""
    deep_explainer()  # before any sum is made
    asked = asked or Asked()
    columns = asked.groups or subject.experiment.audit_groups
    max_gap = subject.experiment.audit_max_gap if asked.max_gap is None else asked.max_gap
    groupings = group_rows(columns, subject.banks)
    if max_gap is not None and not groupings:
        raise ConfigurationError("a largest gap says nothing without groups; name a column with --group")
    sums = SecureSums.of(subject.experiment)
    fairness = compare_groups(subject, groupings, sums, threshold=asked.threshold, max_gap=max_gap)
    local = explain_rows(subject, min(asked.rows, MOST_ROWS), progress)
    summed = sum_features(subject, local, groupings, sums)
    return Audit(
        subject=subject,
        summed=summed,
        fairness=fairness,
        sums=tuple(sums.made),
        custody=sums.custody,
        notes=tuple(_notes(subject, asked, columns, local, sums)),
        local=local,
        largest_gap=max(own.largest_gap for own in local),
    )


def _notes(
    subject: Subject, asked: Asked, columns: Sequence[str], local: Sequence[Explained], sums: SecureSums
) -> list[str]:
    """What one should know of these figures, in sentences."""
    explained, rows = sum(len(own.rows) for own in local), subject.rows
    notes = []
    if asked.rows > MOST_ROWS:
        notes.append(f"{asked.rows:,} rows a bank were asked for; at most {MOST_ROWS:,} are explained.")
    if explained < rows:
        notes.append(f"SHAP values are of a sample: {explained:,} of {rows:,} test rows, drawn at each bank.")
    notes.append("Groups are compared on all test rows.")
    if BANK in columns:
        notes.append("Grouped by bank, a sum holds each bank's own figures: no scheme hides those.")
    if sums.scheme == "plaintext":
        notes.append("The run's scheme is plaintext: the aggregator reads each bank's figures.")
    if subject.experiment.private:
        notes.append("The run's epsilon does not cover these sums: no noise is added to them.")
    else:
        notes.append("No noise is added to these sums: what they say of few rows, they say.")
    if len(subject.schema.hashed) > 0:
        notes.append("A text column counts as a whole: which of its values matters is not said.")
    return notes
