"""A rule with what it needs in one round: how many may be byzantine, and the update of a clean root set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from secure_fl.robust import Rule
from secure_fl.robust.result import FloatMatrix, FloatVector, Robust
from secure_fl.secagg.protocol import dropout
from secure_fl.settings.robust import least_banks


@dataclass(frozen=True)
class Ruling:
    """The rule of an experiment in one round."""

    rule: Rule
    byzantine: int
    root: FloatVector | None = field(default=None, repr=False)
    """What the aggregator trained on its root set, where the rule needs one."""

    def of(self, updates: FloatMatrix) -> Robust:
        """What the rule makes of updates, [rows, parameters]. Raises `TrainingError` where too few are finite."""
        return self.rule(updates, self.byzantine, self.root)

    def same(self, found: Robust, updates: FloatMatrix) -> FloatVector:
        """What the combination that was found is of other updates, such as those before quantization."""
        if found.weights is None:
            return self.of(updates).aggregate
        mixed: FloatVector = found.weights @ updates
        return mixed

    def require(self, count: int, what: str, round_: int, refused: Mapping[str, str]) -> None:
        """Raises `DropoutError` where the rule promises nothing for so few."""
        least = least_banks(self.rule.name, self.byzantine)
        if count < least:
            raise dropout(
                f"only {count} {what} in round {round_}, and {self.rule.name} needs {least} where {self.byzantine} may "
                "be byzantine",
                "wait for more banks",
                refused,
            )
