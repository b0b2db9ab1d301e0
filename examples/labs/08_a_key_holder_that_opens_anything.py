"""WEAK ON PURPOSE, never use it: a key holder that opens whatever it is asked to.

The aggregator has ciphertexts only, and the key holder sees sums only. It opens the sum of all banks, and then, since
"bank 2 was late", the sum without it. A round that is repeated without one bank is what the custody of `ckks` and
`bfv` still names.
"""

from __future__ import annotations

import secrets

TITLE = "A key holder that opens anything"
GOAL = "you are the aggregator: recover bank 2's update, 8 numbers, from what was opened for you"
Seen = dict[str, list[int] | None]


def instance() -> tuple[Seen, list[int]]:
    return _opened(twice=True)


def strong() -> tuple[Seen, list[int]]:
    """The second sum is refused."""
    return _opened(twice=False)


def _opened(twice: bool) -> tuple[Seen, list[int]]:
    first, update, third = ([secrets.randbelow(256) for _ in range(8)] for _ in range(3))
    without = [a + c for a, c in zip(first, third, strict=True)]
    seen: Seen = {
        "sum_of_all": [a + b for a, b in zip(without, update, strict=True)],
        "sum_without_bank_2": without if twice else None,
    }
    return seen, update
