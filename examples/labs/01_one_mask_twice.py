"""WEAK ON PURPOSE, never use it: one mask for every round.

Each bank hides its update under a mask that cancels in the sum, drawn once for all rounds to save messages. Bonawitz et
al. (CCS 2017, section 4) draw every mask anew, from a key of that round.
"""

from __future__ import annotations

import secrets

TITLE = "One mask for every round"
GOAL = "recover how bank 2's update changed from round 1 to round 2: 8 differences"
RING = 1 << 16


def instance() -> tuple[dict[str, list[int]], list[int]]:
    mask = _drawn(RING)
    return _rounds(mask, mask)


def strong() -> tuple[dict[str, list[int]], list[int]]:
    """A new mask each round."""
    return _rounds(_drawn(RING), _drawn(RING))


def _rounds(first_mask: list[int], second_mask: list[int]) -> tuple[dict[str, list[int]], list[int]]:
    first, second = _drawn(256), _drawn(256)
    seen = {
        "round_1": [(x + m) % RING for x, m in zip(first, first_mask, strict=True)],
        "round_2": [(x + m) % RING for x, m in zip(second, second_mask, strict=True)],
    }
    return seen, [b - a for a, b in zip(first, second, strict=True)]


def _drawn(below: int) -> list[int]:
    return [secrets.randbelow(below) for _ in range(8)]
