"""The aggregator's half of a masked sum: Bonawitz et al. 2017, figure 4, the server's side.

It forwards keys and encrypted shares, adds masked inputs as they arrive, and takes off what does not cancel: the
self-masks of the banks whose input arrived, and the pairwise masks of those that vanished after sharing. It asks for
one kind of share of each bank; with 2t > n, and banks that answer once, an aggregator alone cannot collect both.
What is wrong with an answer makes its bank a dropout; a wrong share is found out among more than t of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

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
    number = {name: place for place, name in enumerate(banks)}
    attendance = Attendance(cohort)

    def asks(name: str, payloads: Mapping[int, bytes]) -> Stage:
        attendance.require_threshold(payloads)
        return Stage(name, {banks[b]: seal(cohort, name, AGGREGATOR, banks[b], p) for b, p in payloads.items()})

    def answers(asked: Stage, replies: Replies, read: Callable[[int, memoryview], T]) -> Iterator[tuple[int, T]]:
        for name, answer in attendance.answers(asked, replies, lambda name, payload: read(number[name], payload)):
            yield number[name], answer

    keys: dict[int, wire.AdvertisedKeys] = {}

    def read_keys(_: int, payload: memoryview) -> wire.AdvertisedKeys:
        advertised = wire.AdvertisedKeys.from_bytes(payload)
        if {advertised.channel, advertised.mask} & {
            key for other in keys.values() for key in (other.channel, other.mask)
        }:
            raise MessageError("its keys are another bank's; make keys of its own")
        return advertised

    asked = asks(wire.ADVERTISE_KEYS, dict.fromkeys(range(len(banks)), b""))
    for bank, advertised in answers(asked, (yield asked), read_keys):
        keys[bank] = advertised

    offered = {u: {v: keys[v].to_bytes() for v in wire.around(cohort, u) if v in keys} for u in keys}
    asked = asks(wire.SHARE_KEYS, {u: encode_table(rows) for u, rows in offered.items()})
    mail: dict[int, dict[int, bytes]] = defaultdict(dict)  # recipient -> sender -> encrypted shares
    sharing = set()

    def read_letters(bank: int, payload: memoryview) -> dict[int, bytes]:
        letters = decode_table(payload, wire.SEALED_SHARES_BYTES, len(banks))
        if letters.keys() != offered[bank].keys():
            raise MessageError("it did not share its secrets with all its neighbours; do")
        return letters

    for bank, letters in answers(asked, (yield asked), read_letters):
        sharing.add(bank)
        for recipient, sealed in letters.items():
            mail[recipient][bank] = sealed

    total = ring.zeros(plan)
    asked = asks(wire.MASKED_INPUT, {u: encode_table(mail[u]) for u in sorted(sharing)})
    survivors = set()
    for bank, vector in answers(asked, (yield asked), lambda _, payload: ring.from_bytes(plan, payload)):
        total += vector
        survivors.add(bank)

    told = encode_numbers(survivors)
    asked = asks(wire.CONSISTENCY_CHECK, dict.fromkeys(sorted(survivors), told))
    signed = {}
    for bank, row in answers(asked, (yield asked), lambda _, payload: wire.signed_bytes(payload)):
        signed[bank] = row

    statements = encode_table({bank: signed[bank] for bank in signed.keys() & wire.witnesses(cohort)})
    asked = asks(wire.UNMASK, dict.fromkeys(sorted(signed), statements))
    shares: dict[int, dict[int, bytes]] = defaultdict(dict)  # whose secret -> point -> share

    def read_shares(bank: int, payload: memoryview) -> dict[int, bytes]:
        opened = decode_table(payload, SHARE_BYTES, len(banks))
        if opened.keys() != {bank, *mail[bank]}:
            raise MessageError("it opened other shares than those that it holds; open one of each")
        return opened

    for bank, opened in answers(asked, (yield asked), read_shares):
        for owner, share in opened.items():
            shares[owner][bank + 1] = share

    attendance.refused |= take_off_masks(cohort, total, keys, sharing, survivors, shares)
    return attendance.finish(ring.to_integers(plan, total), {banks[bank] for bank in survivors})
