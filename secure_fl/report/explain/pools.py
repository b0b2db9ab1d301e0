"""Curious parties that pool what they saw: for each set of them, what they make of each bank's numbers.

Nothing is argued here: a scheme's `Reader` takes off what the set can compute, with the protocol's own functions, and
what is left either is the bank's vector or is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def pools(
    recording: Recording, updates: Updates, parties: Sequence[str], reader: Reader, sum_readers: Iterable[str]
) -> tuple[Pool, ...]:
    """All sets of the parties and an eavesdropper, smallest first. `sum_readers`: who has the opened sum."""
    everybody = (*parties, EAVESDROPPER)
    sets = chain.from_iterable(combinations(everybody, size) for size in range(1, len(everybody) + 1))
    readers = frozenset(sum_readers)
    return tuple(
        Pool(members, tuple(_findings(recording, updates, frozenset(members), reader, readers))) for members in sets
    )


def listen(members: frozenset[str]) -> bool:
    """Whether they have every message: the aggregator relays all of them."""
    return bool(members & {AGGREGATOR, EAVESDROPPER})


def _findings(
    recording: Recording, updates: Updates, members: frozenset[str], reader: Reader, readers: frozenset[str]
) -> Iterator[Finding]:
    for bank, values in updates.items():
        if bank in members:
            continue
        left, hint = reader.found(members, bank), reader.hint(members, bank)
        subtracted = _subtracted(recording, updates, members, bank, readers)
        truth = shown(values)
        if left is not None and shown(left[0]) == truth:
            yield Finding(bank, truth, truth, left[1])
        elif subtracted is not None:
            yield Finding(bank, truth, shown(subtracted), "The opened sum, less their own numbers.")
        elif left is not None:
            yield Finding(bank, truth, shown(left[0]), left[1])
        elif recording.sum is not None and bank in recording.sum.contributors:
            yield Finding(bank, truth, (), hint or "They hold nothing of it but what the sum tells.")
        else:
            yield Finding(bank, truth, (), hint or "Nothing of it is in the sum, and they hold nothing else of it.")


def _subtracted(
    recording: Recording, updates: Updates, members: frozenset[str], bank: str, readers: frozenset[str]
) -> IntVector | None:
    """The sum less what they know of it, where that is all but this bank's."""
    total = recording.sum
    if total is None or not members & readers or total.contributors - members != {bank}:
        return None
    known = [updates[name] for name in total.contributors & members]
    return np.asarray(total.total - sum(known), dtype=np.int64)
