"""The rules by name, with what each needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from secure_fl.errors import ConfigurationError
from secure_fl.robust.bulyan import bulyan
from secure_fl.robust.centred_clipping import centred_clipping
from secure_fl.robust.fltrust import fltrust
from secure_fl.robust.geometric_median import geometric_median
from secure_fl.robust.krum import krum
from secure_fl.robust.median import median
from secure_fl.robust.multi_krum import multi_krum
from secure_fl.robust.norm_clipping import norm_clipping
from secure_fl.robust.result import FloatMatrix, FloatVector, Robust
from secure_fl.robust.trimmed_mean import trimmed_mean


@dataclass(frozen=True)
class Rule:
    """A rule, and what it needs."""

    name: str
    compute: Callable[[FloatMatrix, int], Robust] | None
    """From updates [n, parameters] and f; None for a rule that needs a root update too."""
    uses_byzantine: bool
    """Whether f changes the aggregate, and not only whether it can be relied on."""
    chooses: bool
    """Whether it leaves whole updates out."""

    @property
    def needs_root(self) -> bool:
        """Whether it needs the update of rows that are known to be clean."""
        return self.compute is None

    def __call__(self, updates: FloatMatrix, byzantine: int, root: FloatVector | None = None) -> Robust:
        """The aggregate. Raises `ConfigurationError` where something is missing; see the rule's module."""
        if self.compute is not None:
            return self.compute(updates, byzantine)
        if root is None:
            raise ConfigurationError(f"{self.name} needs the update of a clean root set; give root")
        return fltrust(updates, byzantine, root)


RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("median", median, uses_byzantine=False, chooses=False),
        Rule("trimmed-mean", trimmed_mean, uses_byzantine=True, chooses=False),
        Rule("norm-clip", norm_clipping, uses_byzantine=False, chooses=False),
        Rule("krum", krum, uses_byzantine=True, chooses=True),
        Rule("multi-krum", multi_krum, uses_byzantine=True, chooses=True),
        Rule("bulyan", bulyan, uses_byzantine=True, chooses=True),
        Rule("rfa", geometric_median, uses_byzantine=False, chooses=False),
        Rule("centred-clip", centred_clipping, uses_byzantine=False, chooses=False),
        Rule("fltrust", None, uses_byzantine=False, chooses=True),
    )
}
