"""Audits of a run's model at the banks that trained it: what drives scores, and how groups fare.

    subject = Subject.of_run(Path("runs/masked"))         # or of_result(result, banks, test), with any module
    found = audit(subject, Asked(groups=("region",)))
    found.document()                                      # all figures that may leave the banks

`secure_fl.audit.drift` compares later transactions with earlier ones, `secure_fl.audit.calibration` makes probabilities
of scores, `secure_fl.audit.reasons` says what raises each, and `secure_fl.audit.dpia` drafts a data protection impact
assessment from what a run recorded.

Each bank computes on its own rows; only sums over all banks are opened, under the scheme of the run. No differential
privacy protects these sums, and a run's epsilon does not cover them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from secure_fl.audit.auditing import Asked, Audit, audit
    from secure_fl.audit.fairness import Fairness
    from secure_fl.audit.gaps import Gap
    from secure_fl.audit.opening import Subject

__all__ = ["Asked", "Audit", "Fairness", "Gap", "Subject", "audit"]

_HOMES = {
    "Asked": "auditing",
    "Audit": "auditing",
    "Fairness": "fairness",
    "Gap": "gaps",
    "Subject": "opening",
    "audit": "auditing",
}


def __getattr__(name: str) -> Any:
    """Import on first use: a draft from a run's record needs neither torch nor shap, which take seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
