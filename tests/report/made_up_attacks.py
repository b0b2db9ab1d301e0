"""Findings of attacks, made up: a page is about showing them."""

from __future__ import annotations

from typing import Any

from secure_fl.report.attack_page import AttackPage, ShownRow

ALMOST_NONE, ALL = (0.0, 0.08), (0.9, 1.0)


def inversion(rate: float, interval: tuple[float, float], batch: int = 4, tell: bool = False) -> dict[str, Any]:
    return {
        "batch": batch, "trials": 20, "success_rate": rate, "interval": interval, "exact_rate": rate,
        "exact_interval": interval, "guessing": 0.0, "guessing_interval": ALMOST_NONE, "median_error": 0.001,
        "matching_alone": {"success_rate": 0.0}, "opened_sum": {"success_rate": 0.2, "interval": (0.1, 0.3)},
        "views": [{"view": "one upload", "needs": "nothing", "told_apart": 0.5, "told_apart_interval": (0.4, 0.6)}],
        "uniformity": {"p_value": 0.3}, "uploads_tell": tell,
    }  # fmt: skip


def split_view(variant: str, batch: int, refusal: str | None) -> dict[str, Any]:
    return {
        "variant": variant, "batch": batch, "trials": 2, "success_rate": 0.0, "interval": ALMOST_NONE, "guessing": 0.0,
        "guessing_interval": ALMOST_NONE, "refusal": refusal,
    }  # fmt: skip


def page_of(attack: str, *results: dict[str, Any], shown: tuple[ShownRow, ...] = ()) -> AttackPage:
    return AttackPage(attack, "masked", "secure-fl attack", {}, results, "made up", ("the <aggregator>",), shown)


SHOWN = (ShownRow(4, {"hour": 12.0, "amount": 3.5}, {"hour": 12.1, "amount": 3.4}, 0.01),)
ATTACKS = {
    "inversion": page_of("inversion", inversion(0.95, ALL), shown=SHOWN),
    "nothing shown": page_of("inversion", inversion(0.0, ALMOST_NONE)),
    "split-view": page_of("split-view", *(split_view("withheld-shares", n, "a <bank> refuses") for n in (1, 4, 16))),
}
