"""Attempts: a round whose sum failed is made again, with fresh keys and masks, without the banks that were to blame.

Each attempt is a cohort of its own, so nothing that was said in one counts in another, and trustees answer attempts in
rising order only (`turns`). What repeats is the banks' values: an aggregator that has a round repeated without one bank
can subtract the two sums if it got to open both. That is in every scheme's custody report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from secure_fl.errors import ProtocolError, SecretExposureError
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Outcome

ATTEMPTS = 3
"""How often a sum is attempted at most, where nothing else is said."""


@dataclass(frozen=True)
class Completed:
    """A sum, and what it took."""

    outcome: Outcome
    attempts: int
    refused: Mapping[str, str]
    """Banks that sent something wrong or refused to answer in any attempt, each with the last reason; and trustees that
    the sum was opened without."""


def attempt_sum(
    cohort: Cohort[Plan],
    once: Callable[[Cohort[Plan], Mapping[str, str]], Outcome],
    attempts: int = ATTEMPTS,
    left_out: Mapping[str, str] | None = None,
) -> Completed:
    """The outcome of the first attempt that succeeds; `once(cohort, left_out)` makes one.

    The first is the cohort's own. `left_out`: banks that are not asked, with the reason; those to blame for a failed
    attempt join them. Raises the last attempt's `ProtocolError`.
    """
    out, refused = dict(left_out or {}), dict(left_out or {})
    tried, untried = dict[str, str](), dict[str, str]()
    for tries in range(1, attempts + 1):
        try:
            outcome = once(replace(cohort, attempt=cohort.attempt + tries - 1), out | tried)
        except SecretExposureError:
            raise
        except ProtocolError as error:
            blamed = {bank: why for bank, why in error.refused.items() if bank in cohort.banks}
            enough = len(cohort.banks) - len(out | blamed) >= cohort.plan.threshold
            if untried:  # without one side of a quarrel it failed too: the other one, whatever was said since
                tried, untried = untried, {}
            else:
                tried, untried = ({}, {}) if enough else _sides(error.quarrels)
                out |= blamed if enough and not tried else {}  # where too few would be left, it is asked again
            refused |= error.absent | (tried or blamed)
            if tries == attempts:
                error.refused = refused | error.refused
                raise
        else:
            return Completed(outcome, tries, refused | dict(outcome.refused))
    raise AssertionError("there is at least one attempt")


def _sides(quarrels: Mapping[str, Mapping[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """The accused and the accusers of quarrels. Where too few banks would be left without both, one side is left out,
    and then the other: one of the two attempts goes without the liar, if there is one liar.
    """
    accused = {bank: why for them in quarrels.values() for bank, why in them.items()}
    return accused, {bank: f"it blames {', '.join(sorted(them))}" for bank, them in quarrels.items()}
