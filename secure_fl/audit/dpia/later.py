"""What was found out about a run after it: the audit of groups, and attacks.

    RUN_DIR/audit/audit.json      of `secure-fl audit --group`
    RUN_DIR/attacks/*.json        of `secure-fl attack ... --json RUN_DIR/attacks/NAME.json`

No record holds these files: whoever may write to the folder can change them. Names of groups can be values of rows, so
none is taken.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secure_fl.errors import ConfigurationError

AUDIT, ATTACKS = "audit/audit.json", "attacks"
MOST_FEATURES = 5


@dataclass(frozen=True)
class GroupAudit:
    """What an audit of the model says of groups and drivers."""

    sha256: str
    rows: int
    features: tuple[str, ...]
    """Those that drive scores most, the first first."""
    columns: tuple[str, ...]
    """By which groups were compared."""
    worse: int
    """Gaps by which the audit calls a group worse off."""
    largest: float
    """The largest of them; 0 where there is none."""
    max_gap: float | None
    failed: int


@dataclass(frozen=True)
class Attack:
    """The strongest figure of one attack."""

    file: str
    sha256: str
    kind: str
    scheme: str
    dataset: str
    finding: str


def read_group_audit(run: Path, banks: tuple[str, ...], scheme: str, model: str) -> GroupAudit | None:
    """None where there is none. Raises `ConfigurationError` where it is of another run, or no audit.

    `model`: SHA-256 of the weights.
    """
    path = run / AUDIT
    if not path.is_file():
        return None
    content = path.read_bytes()
    try:
        document = json.loads(content)
        fairness, shap = document["fairness"], document["shap"]
        of_this_run = (tuple(document["banks"]), document["scheme"], document["model_sha256"]) == (banks, scheme, model)
        found = GroupAudit(
            sha256=hashlib.sha256(content).hexdigest(),
            rows=int(document["test_rows"]),
            features=tuple(str(name) for name in shap["features"][:MOST_FEATURES]),
            columns=tuple(str(name) for name in fairness["columns"]),
            worse=len(fairness["worse"]),
            largest=max((abs(float(gap["gap"])) for gap in fairness["worse"]), default=0.0),
            max_gap=None if fairness["max_gap"] is None else float(fairness["max_gap"]),
            failed=len(fairness["failed"]),
        )
    except (KeyError, TypeError, ValueError, RecursionError):
        of_this_run = False
    if not of_this_run:
        raise ConfigurationError(
            f"{path} is no audit of this run's model, banks and scheme; audit again, or move it away"
        )
    return found


def read_attacks(run: Path) -> tuple[Attack, ...]:
    """In the order of their files' names. Raises `ConfigurationError` for a file that is no report of an attack."""
    found = []
    for path in sorted((run / ATTACKS).glob("*.json")):
        content = path.read_bytes()
        try:
            document = json.loads(content)
            kind, results = str(document["attack"]), document["results"]
            figures = (str(document["scheme"]), str(document["settings"]["dataset"]), _FINDINGS[kind](results))
        except (KeyError, TypeError, ValueError, RecursionError):
            raise ConfigurationError(
                f"{path} is no report of secure-fl attack; make it anew, or move it away"
            ) from None
        name = f"{ATTACKS}/{path.name}"
        found.append(Attack(name, hashlib.sha256(content).hexdigest(), kind, *figures))
    return tuple(found)


def _rebuilt(results: list[Mapping[str, Any]]) -> str:
    best = max(results, key=lambda row: float(row["success_rate"]))
    low, high = (100 * float(end) for end in best["interval"])
    return (
        f"at most {100 * float(best['success_rate']):.0f} % [{low:.0f}, {high:.0f}] of the rows of a batch of "
        f"{int(best['batch'])} rebuilt; guessing has {100 * float(best['guessing']):.0f} %"
    )


def _told_apart(results: list[Mapping[str, Any]]) -> str:
    told = []
    for row in results:
        budget = "without noise" if row["epsilon"] is None else f"at epsilon {float(row['epsilon']):g}"
        low, high = (float(end) for end in row["interval"])
        told.append(f"advantage {float(row['success_rate']):.2f} [{low:.2f}, {high:.2f}] {budget}")
    return "members told from others with an " + ", ".join(told)


def _audited(results: list[Mapping[str, Any]]) -> str:
    best = max(results, key=lambda row: float(row["audited_epsilon"]))
    refuted = "a promise was refuted" if any(row["refuted"] for row in results) else "no promise was refuted"
    return (
        f"epsilon is at least {float(best['audited_epsilon']):.2f} where {float(best['claimed_epsilon']):.2f} was "
        f"promised; {refuted}"
    )


def _poisoned(results: list[Mapping[str, Any]]) -> str:
    return f"{len(results)} combinations of rule and attack tried; their figures are in the file"


_FINDINGS = {
    "inversion": _rebuilt,
    "split-view": _rebuilt,
    "membership": _told_apart,
    "audit-epsilon": _audited,
    "poisoning": _poisoned,
}
