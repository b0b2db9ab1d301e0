"""The aggregator's half of a masked sum: Bonawitz et al. 2017, figure 4, the server's side.

It forwards keys and encrypted shares, adds masked inputs as they arrive, and takes off what does not cancel: the
self-masks of the banks whose input arrived, and the pairwise masks of those that vanished after sharing. It asks for
one kind of share of each bank; with 2t > n, and banks that answer once, an aggregator alone cannot collect both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from secure_fl.errors import MessageError
from secure_fl.secagg import ring
from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.hazmat.shamir import SHARE_BYTES
from secure_fl.secagg.masked import wire
from secure_fl.secagg.masked.unmasking import take_off_masks
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.numbering import decode_table, encode_numbers, encode_table
from secure_fl.secagg.protocol import Replies, SecureSum, ServerHalf, Stage, opened, require_threshold


def masked_server(cohort: Cohort[MaskedPlan]) -> ServerHalf:
    """Five stages; whoever is missing from one is not asked again."""
    plan, banks = cohort.plan, cohort.banks
    number = {name: place for place, name in enumerate(banks)}

    def asks(name: str, payloads: Mapping[int, bytes]) -> Stage:
        require_threshold(cohort, {banks[bank] for bank in payloads})
        return Stage(name, {banks[b]: seal(cohort, name, AGGREGATOR, banks[b], p) for b, p in payloads.items()})

    def answers(asked: Stage, replies: Replies) -> Iterator[tuple[int, memoryview]]:
        for name, payload in opened(cohort, asked, replies):
            yield number[name], payload

    keys = {}
    asked = asks(wire.ADVERTISE_KEYS, dict.fromkeys(range(len(banks)), b""))
    for bank, payload in answers(asked, (yield asked)):
        keys[bank] = wire.AdvertisedKeys.from_bytes(payload)

    offered = {u: {v: keys[v].to_bytes() for v in wire.around(cohort, u) if v in keys} for u in keys}
    asked = asks(wire.SHARE_KEYS, {u: encode_table(rows) for u, rows in offered.items()})
    mail: dict[int, dict[int, bytes]] = defaultdict(dict)  # recipient -> sender -> encrypted shares
    sharing = set()
    for bank, payload in answers(asked, (yield asked)):
        letters = decode_table(payload, wire.SEALED_SHARES_BYTES, len(banks))
        if letters.keys() != offered[bank].keys():
            raise MessageError(f"{banks[bank]} did not share its secrets with all its neighbours; repeat without it")
        sharing.add(bank)
        for recipient, sealed in letters.items():
            mail[recipient][bank] = sealed

    total = ring.zeros(plan)
    asked = asks(wire.MASKED_INPUT, {u: encode_table(mail[u]) for u in sorted(sharing)})
    survivors = set()
    for bank, payload in answers(asked, (yield asked)):
        total += ring.from_bytes(plan, payload)
        survivors.add(bank)

    told = encode_numbers(survivors)
    asked = asks(wire.CONSISTENCY_CHECK, dict.fromkeys(sorted(survivors), told))
    signatures = {}
    for bank, payload in answers(asked, (yield asked)):
        signatures[bank] = wire.signature_bytes(payload)

    witnesses = {u: {u, *wire.around(cohort, u)} & signatures.keys() for u in sorted(signatures)}
    payloads = {u: encode_table({v: signatures[v] for v in seen}) for u, seen in witnesses.items()}
    asked = asks(wire.UNMASK, payloads)
    shares: dict[int, dict[int, bytes]] = defaultdict(dict)  # whose secret -> point -> share
    for bank, payload in answers(asked, (yield asked)):
        for owner, share in decode_table(payload, SHARE_BYTES, len(banks)).items():
            shares[owner][bank + 1] = share

    take_off_masks(cohort, total, keys, sharing, survivors, shares)
    return SecureSum(ring.to_integers(plan, total), frozenset(banks[bank] for bank in survivors))
