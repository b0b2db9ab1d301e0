"""Committees: so many parties hold what opens a sum, and any quorum of them opens it.

What is shared is drawn once for each subset of n - t + 1 members and given to all of that subset (Ito, Saito,
Nishizeki, GLOBECOM 1987; as seeds, Cramer, Damgard, Ishai, TCC 2005). Any t members hit every such subset, so they have
all parts. Any t - 1 leave out one subset, the one of all others, and know nothing of its part.

A quorum must be more than half. An aggregator that lies can ask members for the sums of two sets of banks, and each
honest member answers once: two quorums have 2t - n members in common, so it takes that many corrupt ones.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

from secure_fl.errors import PlanError
from secure_fl.secagg.budget.whole import whole

MOST_MEMBERS = 7
"""Subsets grow as a binomial coefficient: 35 at 4 of 7."""


@dataclass(frozen=True)
class Committee:
    """`quorum` of `members` open a sum."""

    members: int
    quorum: int

    @classmethod
    def of(cls, members: int, quorum: int | None = None) -> Committee:
        """A majority where no quorum is given. Raises `PlanError`."""
        members = whole("holders", members)
        if not 2 <= members <= MOST_MEMBERS:
            raise PlanError(f"{members} holders are refused; use 2 to {MOST_MEMBERS}")
        least = members // 2 + 1
        chosen = least if quorum is None else whole("quorum", quorum)
        if not least <= chosen <= members:
            raise PlanError(
                f"a quorum of {chosen} of {members} holders is refused; use {least} to {members} (two quorums must "
                "have a holder in common, or an aggregator that lies opens two sums)"
            )
        return cls(members, chosen)

    @classmethod
    def asked(cls, holders: int | None, quorum: int | None) -> Committee | None:
        """None where nobody asked for one. Raises `PlanError`."""
        if holders is None and quorum is not None:
            raise PlanError(f"a quorum of {quorum} says nothing alone; give holders too, or leave out quorum")
        return None if holders is None else cls.of(holders, quorum)

    @cached_property
    def subsets(self) -> tuple[tuple[int, ...], ...]:
        """The members of each part, by their numbers from 0."""
        return tuple(itertools.combinations(range(self.members), self.members - self.quorum + 1))

    def parts_of(self, member: int) -> tuple[int, ...]:
        """The parts, by their place in `subsets`, that a member has."""
        return tuple(part for part, subset in enumerate(self.subsets) if member in subset)

    @property
    def may_be_silent(self) -> int:
        """Members without whom a sum opens all the same."""
        return self.members - self.quorum

    @property
    def may_collude(self) -> int:
        """Members that learn nothing, with whoever holds the rest."""
        return self.quorum - 1

    @property
    def may_collude_lying(self) -> int:
        """Members that an aggregator which lies needs more than, to have two sums of an attempt opened."""
        return 2 * self.quorum - self.members - 1
