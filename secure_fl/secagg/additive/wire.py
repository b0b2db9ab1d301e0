"""What travels in the additive scheme: signed commitments to seeds, sealed seeds, a ring vector, and sums of parts.

A *part* is a random vector that the share-holders of one subset of the committee (`budget.committee`) expand from the
same seed. Every share-holder has as many parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from secure_fl.errors import MessageError
from secure_fl.secagg import ring
from secure_fl.secagg.budget import AdditivePlan, Plan
from secure_fl.secagg.hazmat.agreement import SIGNATURE_BYTES
from secure_fl.secagg.hazmat.prg import SEED_BYTES, RingVector
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.numbering import decode_numbers, decode_table, encode_numbers, encode_table
from secure_fl.secagg.packing import packed_bytes

UPLOAD, SUM_SHARES = "upload", "sum_shares"
ALL_SHARES = "without all shares there is no sum, so make a new attempt"
HASH_BYTES = SEED_BYTES
_COUNT_BYTES = 2


def holder_name(number: int) -> str:
    """Share-holders are numbered from 1."""
    return f"share-holder-{number}"


def parts_of(cohort: Cohort[AdditivePlan], holder: str) -> tuple[int, ...]:
    """The parts that a share-holder has, in rising order."""
    return cohort.plan.committee.parts_of(cohort.trustees.index(holder))


def purpose(cohort: Cohort[Plan], bank: str, holder: str) -> bytes:
    """Binds sealed seeds to the round, the bank and the share-holder."""
    return b"secure_fl seed" + _of(cohort, bank) + holder.encode()


def commitment(cohort: Cohort[Plan], bank: str, part: int, seed: bytes) -> bytes:
    """What a bank says of a part's seed to all who have it: seeds of 256 random bits are hidden by their hash."""
    return hashlib.sha256(b"secure_fl part" + _of(cohort, bank) + bytes([part]) + seed).digest()


def vouched(commitments: Iterable[bytes]) -> bytes:
    """What a bank signs: with all its seeds, all of its vector but the aggregator's own share."""
    return hashlib.sha256(b"secure_fl parts" + b"".join(commitments)).digest()


def _of(cohort: Cohort[Plan], bank: str) -> bytes:
    return cohort.digest + cohort.number[bank].to_bytes(2, "little")


@dataclass(frozen=True)
class Upload:
    """One bank's payload."""

    commitments: tuple[bytes, ...]
    """One for each part."""
    signature: bytes
    """Of all of them."""
    sealed: tuple[bytes, ...]
    """The seeds of a share-holder's parts, sealed to it; one for each share-holder."""
    share: memoryview
    """What is left of the bank's vector without all parts."""

    def row(self, holder: int) -> bytes:
        """What goes on to a share-holder."""
        return b"".join([*self.commitments, self.signature, self.sealed[holder]])

    def without_share(self) -> Upload:
        """What goes on to share-holders, without the vector, which is most of it."""
        return Upload(self.commitments, self.signature, self.sealed, memoryview(b""))


def split_upload(cohort: Cohort[AdditivePlan], payload: memoryview) -> Upload:
    """Raises `MessageError`."""
    plan = cohort.plan
    parts = len(plan.committee.subsets)
    widths = [HASH_BYTES] * parts + [SIGNATURE_BYTES] + [plan.sealed_bytes] * plan.share_holders
    if len(payload) < sum(widths):
        raise MessageError("an upload is too short for its sealed seeds; its bank must send it again")
    pieces, rest = _pieces(payload, widths), payload[sum(widths) :]
    return Upload(tuple(pieces[:parts]), pieces[parts], tuple(pieces[parts + 1 :]), rest)


@dataclass(frozen=True)
class Asked:
    """A request to a share-holder: whose parts to add up, and which of the sums to send whole."""

    wanted: tuple[int, ...]
    table: bytes
    """Each bank's commitments to all parts, its signature of them, and the seeds of the share-holder's, sealed."""

    def to_bytes(self) -> bytes:
        return len(self.wanted).to_bytes(_COUNT_BYTES, "little") + encode_numbers(self.wanted) + self.table


def read_request(cohort: Cohort[AdditivePlan], holder: str, payload: memoryview) -> Asked:
    """Raises `MessageError`."""
    own = parts_of(cohort, holder)
    count = 2 * int.from_bytes(payload[:_COUNT_BYTES], "little")
    rest = payload[_COUNT_BYTES:]
    wanted = decode_numbers(rest[:count], len(cohort.plan.committee.subsets))
    if not set(wanted) <= set(own):
        raise MessageError(f"{holder} is asked for a part that it does not have; ask its own share-holders for it")
    return Asked(wanted, bytes(rest[count:]))


def requested(cohort: Cohort[AdditivePlan], holder: str, uploads: Mapping[int, Upload], wanted: Iterable[int]) -> bytes:
    """What a share-holder is asked; `uploads` by the numbers of their banks, whatever is left of them."""
    number = cohort.trustees.index(holder)
    rows = {bank: upload.row(number) for bank, upload in uploads.items()}
    return Asked(tuple(sorted(wanted)), encode_table(rows)).to_bytes()


@dataclass(frozen=True)
class Row:
    """What a share-holder gets of one bank."""

    commitments: tuple[bytes, ...]
    """To all parts."""
    signature: bytes
    sealed: bytes
    """The seeds of its own parts."""


def rows_of(cohort: Cohort[AdditivePlan], table: bytes) -> dict[int, Row]:
    """By the numbers of the banks. Raises `MessageError`."""
    parts = len(cohort.plan.committee.subsets)
    widths = [HASH_BYTES] * parts + [SIGNATURE_BYTES, cohort.plan.sealed_bytes]
    pieces = {
        number: _pieces(memoryview(row), widths)
        for number, row in decode_table(table, sum(widths), len(cohort.banks)).items()
    }
    return {number: Row(tuple(of_bank[:parts]), *of_bank[parts:]) for number, of_bank in pieces.items()}


@dataclass(frozen=True)
class PartSums:
    """A share-holder's answer: a hash of the sum of each of its parts, and those sums that it was asked for."""

    digests: Mapping[int, bytes]
    sums: Mapping[int, RingVector]


def pack_sums(packed: Mapping[int, bytes], wanted: Iterable[int]) -> list[bytes]:
    """`packed`: the sums of all own parts, as they travel."""
    return [*(digest_of(packed[part]) for part in sorted(packed)), *(packed[part] for part in wanted)]


def unpack_sums(cohort: Cohort[AdditivePlan], holder: str, payload: memoryview, wanted: tuple[int, ...]) -> PartSums:
    """Raises `MessageError` also where a sum is not what its hash says."""
    plan, own = cohort.plan, parts_of(cohort, holder)
    width = packed_bytes(plan.parameters, plan.ring_bits)
    widths = [HASH_BYTES] * len(own) + [width] * len(wanted)
    if len(payload) != sum(widths):
        raise MessageError("sums of parts have the wrong length; the share-holder must send them again")
    digests = dict(zip(own, _pieces(payload[: HASH_BYTES * len(own)], [HASH_BYTES] * len(own)), strict=True))
    whole = payload[HASH_BYTES * len(own) :]
    sums = {}
    for place, part in enumerate(wanted):
        packed = whole[place * width : (place + 1) * width]
        if digest_of(packed) != digests[part]:
            raise MessageError("a sum of a part is not what its hash says; its share-holder lies")
        sums[part] = ring.from_bytes(plan, packed)
    return PartSums(digests, sums)


def digest_of(packed: bytes | memoryview) -> bytes:
    return hashlib.sha256(packed).digest()


def _pieces(data: memoryview, widths: Iterable[int]) -> list[bytes]:
    pieces, start = [], 0
    for width in widths:
        pieces.append(bytes(data[start : start + width]))
        start += width
    return pieces
