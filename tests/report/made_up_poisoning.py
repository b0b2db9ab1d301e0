"""Findings of poisoning, made up: two rules and the mean against two attacks, among ten banks."""

from __future__ import annotations

from typing import Any

from secure_fl.report.attack_page import AttackPage

REASON = "bulyan needs 4 f + 3 banks where f = 2 are byzantine, and 10 are too few; use <fewer>"
HONEST, GUESSING = 0.8, 0.0013


def row(rule: str, attack: str, byzantine: int, auprc: float | None, **more: Any) -> dict[str, Any]:
    empty = {
        "guessing": GUESSING, "frauds_passed": None if auprc is None else 0.25, "backdoor_success": None,
        "rightly_excluded": None, "wrongly_excluded": None, "seconds": None if auprc is None else 0.002,
        "auprc_interval": None, "excluded": None, "reason": None if auprc is not None else REASON,
    }  # fmt: skip
    return {"rule": rule, "attack": attack, "byzantine": byzantine, "auprc": auprc} | empty | more


RESULTS = (
    row("none", "none", 0, HONEST, backdoor_success=0.3),
    row("none", "sign-flip", 1, 0.5),
    row("none", "sign-flip", 2, 0.01),
    row("none", "backdoor@3", 1, 0.79, backdoor_success=0.9),
    row("none", "backdoor@3", 2, 0.78, backdoor_success=1.0),
    row("median", "none", 0, 0.79, backdoor_success=0.31),
    row("median", "none", 2, 0.79, backdoor_success=0.31, seconds=0.0045),
    row("median", "sign-flip", 1, 0.77),
    row("median", "sign-flip", 2, 0.7),
    row("median", "backdoor@3", 1, 0.79, backdoor_success=0.5),
    row("median", "backdoor@3", 2, 0.69, backdoor_success=0.6),
    row("bulyan", "none", 0, 0.8, backdoor_success=0.3, wrongly_excluded=0.0),
    row("bulyan", "none", 1, 0.775, backdoor_success=0.3, wrongly_excluded=0.2, seconds=0.001),
    row("bulyan", "none", 2, None),
    row("bulyan", "sign-flip", 1, 0.78, rightly_excluded=1.0, wrongly_excluded=1 / 9),
    row("bulyan", "sign-flip", 2, None),
    row("bulyan", "backdoor@3", 1, 0.78, backdoor_success=0.2, rightly_excluded=0.5, wrongly_excluded=1 / 6),
    row("bulyan", "backdoor@3", 2, None),
)
SETTINGS = {"banks": 10, "rounds": 5, "seeds": 1, "dataset": "ulb"}


def poisoning_page(*results: dict[str, Any], **settings: Any) -> AttackPage:
    command = "secure-fl attack poisoning"
    return AttackPage("poisoning", "plaintext", command, SETTINGS | settings, results, "made <up>", (), ())


PAGES = {
    "poisoning": poisoning_page(*RESULTS),
    "poisoning, many attackers": poisoning_page(
        row("none", "none", 0, HONEST, auprc_interval=(0.7, 0.9)),
        *(row("trimmed-mean", "inner-product", f, 0.8 / f, auprc_interval=(0.0, 1.0)) for f in range(1, 13)),
        row("centred-clip", "inner-product", 1, 0.123, auprc_interval=(0.1, 0.2)),
        banks=40,
        seeds=3,
    ),
    "poisoning, nobody attacks": poisoning_page(row("none", "none", 0, HONEST), row("median", "none", 0, 0.79)),
}
