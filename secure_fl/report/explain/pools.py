"""Curious parties that pool what they saw: for each set of them, what they make of each bank's numbers.

Nothing is argued here: a scheme's `Reader` takes off what the set can compute, with the protocol's own functions, and
what is left either is the bank's vector or is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from secure_fl.report.explain.recording import Recording
from secure_fl.report.explain.story import EAVESDROPPER, Finding, Pool, shown
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.packing import IntVector

Updates = Mapping[str, IntVector]


class Reader(Protocol):
    """What a scheme knows of one set of parties and one bank's upload."""

    def found(self, members: frozenset[str], bank: str) -> tuple[NDArray[Any], str] | None:
        """What is left of the upload, and how; None where they hold nothing of it."""
        ...

    def hint(self, members: frozenset[str], bank: str) -> str:
        """What they know of it all the same; a sentence, or nothing."""
        ...


def pools(recording: Recording, updates: Updates, parties: Sequence[str], reader: Reader) -> tuple[Pool, ...]:
    """All sets of the parties and an eavesdropper, smallest first."""
    everybody = (*parties, EAVESDROPPER)
    sets = chain.from_iterable(combinations(everybody, size) for size in range(1, len(everybody) + 1))
    return tuple(Pool(members, tuple(_findings(recording, updates, frozenset(members), reader))) for members in sets)


def listen(members: frozenset[str]) -> bool:
    """Whether they have every message: the aggregator relays all of them."""
    return bool(members & {AGGREGATOR, EAVESDROPPER})


def _findings(recording: Recording, updates: Updates, members: frozenset[str], reader: Reader) -> Iterator[Finding]:
    for bank, values in updates.items():
        if bank in members:
            continue
        left, truth = reader.found(members, bank), shown(values)
        subtracted = _subtracted(recording, updates, members, bank)
        if left is not None and (left[0] == values).all():
            yield Finding(bank, truth, truth, left[1], broken=True)
        elif subtracted is not None:
            how = "The opened sum, less their own numbers."
            yield Finding(bank, truth, shown(subtracted), how, broken=bool((subtracted == values).all()))
        elif left is not None:
            yield Finding(bank, truth, shown(left[0]), left[1])
        else:
            yield Finding(bank, truth, (), reader.hint(members, bank) or _sum_only(recording, bank))


def _sum_only(recording: Recording, bank: str) -> str:
    if recording.sum is None:
        return "There is no sum, and they hold nothing of it."
    if bank in recording.sum.contributors:
        return "What the sum tells of it, and nothing else."
    return "Nothing of it is in the sum, and they hold nothing else of it."


def _subtracted(recording: Recording, updates: Updates, members: frozenset[str], bank: str) -> IntVector | None:
    """The sum less what they know of it, where that is all but this bank's; every bank learns the sum."""
    total = recording.sum
    if total is None or total.contributors - members != {bank}:
        return None
    known = [updates[name] for name in total.contributors & members]
    return np.asarray(total.total - sum(known), dtype=np.int64)
