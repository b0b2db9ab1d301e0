"""Wrong answers to the exercise of lesson 7. A name is EXERCISE__WHAT_IS_WRONG; the test puts each in place."""

from __future__ import annotations


def threshold_for__the_largest_that_does(banks: int, vanish: int, liars: int) -> int | None:
    smallest = max(banks // 2 + 1, -(-(banks + 1 + liars) // 2), liars + 2)
    return banks - vanish if smallest <= banks - vanish else None


def threshold_for__one_liar_too_few(banks: int, vanish: int, liars: int) -> int | None:
    smallest = max(banks // 2 + 1, -(-(banks + liars) // 2), liars + 2)
    return smallest if smallest <= banks - vanish else None


def threshold_for__a_majority_always(banks: int, vanish: int, liars: int) -> int | None:
    return banks // 2 + 1


def threshold_for__never_none(banks: int, vanish: int, liars: int) -> int | None:
    return max(banks // 2 + 1, -(-(banks + 1 + liars) // 2), liars + 2)


def threshold_for__always_none(banks: int, vanish: int, liars: int) -> int | None:
    return None
