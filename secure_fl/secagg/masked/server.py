"""The aggregator's half of a masked sum: Bonawitz et al. 2017, figure 4, the server's side.

It forwards keys and encrypted shares, adds masked inputs as they arrive, and takes off what does not cancel: the
self-masks of the banks whose input arrived, and the pairwise masks of those that vanished after sharing. It asks for
one kind of share of each bank; with 2t > n, and banks that answer once, an aggregator alone cannot collect both.
What is wrong with an answer makes its bank a dropout; a wrong share is found out among more than t of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Mapping
from typing import TypeVar

import numpy as np

from secure_fl.errors import MessageError
from secure_fl.secagg import ring
from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.hazmat.shamir import SHARE_BYTES
from secure_fl.secagg.masked import wire
from secure_fl.secagg.masked.unmasking import take_off_masks
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.numbering import decode_table, encode_numbers, encode_table
from secure_fl.secagg.protocol import Attendance, Replies, ServerHalf, Stage

T = TypeVar("T")


def masked_server(cohort: Cohort[MaskedPlan]) -> ServerHalf:
    """Five stages; whoever is missing from one is not asked again."""
    plan, banks = cohort.plan, cohort.banks
    stages, taken = _Stages(cohort), set[bytes]()

    def read_keys(_: int, payload: memoryview) -> wire.AdvertisedKeys:
        advertised = wire.AdvertisedKeys.from_bytes(payload)
        if {advertised.channel, advertised.mask} & taken:
            raise MessageError("its keys are another bank's; make keys of its own")
        taken.update((advertised.channel, advertised.mask))
        return advertised

    keys = yield from stages.ask(wire.ADVERTISE_KEYS, dict.fromkeys(range(len(banks)), b""), read_keys)

    offered = {u: {v: keys[v].to_bytes() for v in wire.around(cohort, u) if v in keys} for u in keys}

    def read_letters(bank: int, payload: memoryview) -> dict[int, bytes]:
        letters = decode_table(payload, wire.SEALED_SHARES_BYTES, len(banks))
        if letters.keys() != offered[bank].keys():
            raise MessageError("it did not share its secrets with all its neighbours; do")
        return letters

    tables = {u: encode_table(rows) for u, rows in offered.items()}
    letters = yield from stages.ask(wire.SHARE_KEYS, tables, read_letters)
    mail = _turned(letters)  # recipient -> sender -> encrypted shares

    total = ring.zeros(plan)

    def add_vector(_: int, payload: memoryview) -> None:
        np.add(total, ring.from_bytes(plan, payload), out=total)

    tables = {u: encode_table(mail[u]) for u in sorted(letters)}
    survivors = set((yield from stages.ask(wire.MASKED_INPUT, tables, add_vector)))

    told = dict.fromkeys(sorted(survivors), encode_numbers(survivors))
    signed = yield from stages.ask(wire.CONSISTENCY_CHECK, told, lambda _, payload: wire.signed_bytes(payload))

    def read_shares(bank: int, payload: memoryview) -> dict[int, bytes]:
        opened = decode_table(payload, SHARE_BYTES, len(banks))
        if opened.keys() != {bank, *mail[bank]}:
            raise MessageError("it opened other shares than those that it holds; open one of each")
        return opened

    statements = encode_table({bank: signed[bank] for bank in signed.keys() & wire.witnesses(cohort)})
    opened = yield from stages.ask(wire.UNMASK, dict.fromkeys(sorted(signed), statements), read_shares)
    shares = _turned({bank + 1: theirs for bank, theirs in opened.items()})  # whose secret -> point -> share

    stages.attendance.refused |= take_off_masks(cohort, total, keys, set(letters), survivors, shares)
    return stages.attendance.finish(ring.to_integers(plan, total), {banks[bank] for bank in survivors})


class _Stages:
    """Asks banks by their numbers, and counts who takes part."""

    def __init__(self, cohort: Cohort[MaskedPlan]) -> None:
        self.attendance = Attendance(cohort)
        self._cohort = cohort
        self._number = {name: place for place, name in enumerate(cohort.banks)}

    def ask(
        self, name: str, payloads: Mapping[int, bytes], read: Callable[[int, memoryview], T]
    ) -> Generator[Stage, Replies, dict[int, T]]:
        """One stage: what each bank that answered said, read as soon as it arrives."""
        self.attendance.require_threshold(payloads)
        banks = self._cohort.banks
        asked = Stage(name, {banks[b]: seal(self._cohort, name, AGGREGATOR, banks[b], p) for b, p in payloads.items()})
        replies = yield asked
        answers = self.attendance.answers(asked, replies, lambda bank, payload: read(self._number[bank], payload))
        return {self._number[bank]: answer for bank, answer in answers}


def _turned(rows: Mapping[int, Mapping[int, bytes]]) -> defaultdict[int, dict[int, bytes]]:
    """The columns of a table as rows."""
    columns: defaultdict[int, dict[int, bytes]] = defaultdict(dict)
    for row, values in rows.items():
        for column, value in values.items():
            columns[column][row] = value
    return columns
