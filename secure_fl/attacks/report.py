"""What an attack found, ready to be written: figures for the JSON file, and rows that only the page shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from secure_fl.attacks.inversion import Rebuilt
from secure_fl.attacks.judging import CLOSE, EXACT
from secure_fl.attacks.raw import undo
from secure_fl.attacks.scene import Scene
from secure_fl.report import poisoning_page
from secure_fl.report.attack_page import AttackPage, ShownRow, render

_SHOWN = 3
"""Rows of a batch that the page shows."""


@dataclass(frozen=True)
class AttackReport:
    """One attack on one scheme."""

    attack: str
    scheme: str
    command: str
    settings: dict[str, Any]
    results: list[dict[str, Any]]
    source: str
    """Where the transactions come from."""
    custody: tuple[str, ...]
    """What breaks the scheme, in its own words."""
    shown: tuple[ShownRow, ...] = field(default=(), repr=False)
    """True rows beside rebuilt ones: for the page only."""

    def to_json(self) -> str:
        """Figures only; no value of any transaction."""
        return json.dumps(
            {
                "attack": self.attack,
                "scheme": self.scheme,
                "command": self.command,
                "settings": self.settings,
                "success": _SUCCESS[self.attack],
                "interval": _INTERVAL[self.attack],
                "results": self.results,
            },
            indent=1,
            allow_nan=False,
        )

    def to_html(self) -> str:
        """One self-contained page. Needs matplotlib, which takes a second to import."""
        page = AttackPage(
            self.attack, self.scheme, self.command, self.settings, self.results, self.source, self.custody, self.shown
        )
        return poisoning_page.render(page) if self.attack == "poisoning" else render(page)


def show_rows(scene: Scene, rebuilt: Mapping[int, Sequence[Rebuilt]]) -> tuple[ShownRow, ...]:
    """The first rows of the first trial of each batch size, in the columns of the bank's table."""
    return tuple(
        ShownRow(
            batch=batch,
            true=undo(trials[0].rows[place], scene.schema),
            rebuilt=undo(trials[0].guesses[place], scene.schema),
            error=float(trials[0].errors[place]),
        )
        for batch, trials in rebuilt.items()
        for place in range(min(_SHOWN, batch))
    )


_REBUILT = (
    f"share of rows whose relative L2 error over the 128 features is below {CLOSE:g} after optimal matching; "
    f"exact_rate: below {EXACT:g}"
)
_SUCCESS = {
    "inversion": _REBUILT,
    "split-view": _REBUILT,
    "membership": "TPR - FPR of LiRA at a threshold chosen on shadow models",
    "audit-epsilon": "share of right guesses, among the canaries that were called included; a coin has 0.5",
    "poisoning": "auprc: of the final model on the test rows of all banks (guessing: the share of fraud); "
    "backdoor_success: share of the test frauds that pass with the pattern, at the threshold where the model of the "
    "same rule without attackers finds 80 % of them (frauds_passed: without the pattern); rightly_excluded, "
    "wrongly_excluded: shares of the poisoned and of the honest uploads; seconds: from all uploads to the mean",
}
_TRIALS = "95 %, Clopper-Pearson over trials"
_INTERVAL = {
    "inversion": _TRIALS,
    "split-view": _TRIALS,
    "membership": "95 %, Student over pools",
    "audit-epsilon": "audited_epsilon is a lower bound at 95 %; Steinke, Nasr, Jagielski, NeurIPS 2023",
    "poisoning": "auprc_interval: 95 %, Student over seeds; none of one seed",
}
