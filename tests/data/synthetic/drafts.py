"""Patterns as a language model writes them."""

from __future__ import annotations

from typing import Any


def draft(number: int, **changes: Any) -> dict[str, Any]:
    """One pattern as a model writes it; every number up to 959 gives another one."""
    shapes = ("uniform", "mostly low", "mostly high", "log-uniform")
    rest, channel = divmod(number, 5)
    rest, amount_shape = divmod(rest, 4)
    rest, course = divmod(rest, 3)
    rest, gap_shape = divmod(rest, 4)
    return {
        "name": f"Pattern number {number}",
        "description": "Cards are used at night for goods that resell.",
        "channel": ("card present", "contactless", "cash machine", "online", "telephone")[channel],
        "categories": ["online", "online", "electronics"],
        "amount_basis": "cents",
        "amount_low": 400,
        "amount_spread": 5_000,
        "amount_shape": shapes[amount_shape],
        "amount_course": ("independent", "rising", "falling")[course],
        "payments_low": 2,
        "payments_spread": 3,
        "gap_low_seconds": 60,
        "gap_spread_seconds": 600,
        "gap_shape": shapes[gap_shape],
        "first_hour": 22,
        "hours": 6,
        "payments_per_day": 10,
        "accounts_low": 1,
        "accounts_spread": 2,
        "account_origin": ("existing", "fresh")[rest % 2],
        "terminals_low": 1,
        "terminals_spread": 1,
        "terminal_origin": ("existing", "fresh")[rest // 2],
        "start_spread_hours": 24,
        "countries": ["BE", "NL"],
    } | changes
