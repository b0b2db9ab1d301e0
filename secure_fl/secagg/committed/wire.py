"""What travels where banks commit to uploads: commitments, their list, signed uploads, and what goes on of them.

An upload has two pieces. Who checks sums gets the second one, `shown`, and of the first one a hash: what a member of a
committee applies its part of the key to is the second polynomials alone, and without the first ones nobody reads them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.hazmat.agreement import SIGNATURE_BYTES
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.numbering import decode_table, encode_table

COMMIT, UPLOAD = "commit", "upload"
HASH_BYTES = COIN_BYTES = 32
PROOF_BYTES = COIN_BYTES + SIGNATURE_BYTES
_COUNT_BYTES = 4


@dataclass(frozen=True)
class Cut:
    """How many bytes of an upload are hidden from those who check sums, and how many are shown to them."""

    hidden: int
    shown: int


def commitment(cohort: Cohort[Plan], bank: str, coin: bytes, hidden: bytes, shown: bytes) -> bytes:
    """To an upload, by SHA-256 of its pieces; a coin of 256 random bits hides it, whatever it is."""
    number = cohort.number[bank].to_bytes(2, "little")
    return hashlib.sha256(b"secure_fl commitment" + cohort.digest + number + coin + hidden + shown).digest()


def digest_of(piece: bytes | memoryview) -> bytes:
    return hashlib.sha256(piece).digest()


def read_list(cohort: Cohort[Plan], data: bytes | memoryview) -> dict[int, bytes]:
    """Commitments by the numbers of their banks. Raises `MessageError`."""
    return decode_table(data, HASH_BYTES, len(cohort.banks))


def vouched(listed: bytes | memoryview) -> bytes:
    """What banks sign: the whole list, their own commitment among the others'."""
    return hashlib.sha256(b"secure_fl list of commitments" + listed).digest()


@dataclass(frozen=True)
class Upload:
    """One bank's, with what proves that it is on the list."""

    coin: bytes
    signature: bytes = field(repr=False)
    hidden: bytes
    """SHA-256 of the piece that goes no further."""
    shown: bytes | memoryview = field(repr=False)

    @property
    def row(self) -> bytes:
        return self.coin + self.signature + self.hidden


def split_upload(cut: Cut, payload: memoryview) -> tuple[Upload, memoryview]:
    """An upload and its own piece of the ciphertexts' bytes, both pieces together. Raises `MessageError`."""
    if len(payload) != PROOF_BYTES + cut.hidden + cut.shown:
        raise MessageError("an upload has another length than the plan's; its bank must send it again")
    coin, signature = bytes(payload[:COIN_BYTES]), bytes(payload[COIN_BYTES:PROOF_BYTES])
    ciphertexts = payload[PROOF_BYTES:]
    hidden, shown = ciphertexts[: cut.hidden], ciphertexts[cut.hidden :]
    return Upload(coin, signature, digest_of(hidden), bytes(shown)), ciphertexts


def pack_checked(listed: bytes, uploads: Mapping[int, Upload]) -> list[bytes]:
    """To whoever checks a sum: the list, and the uploads of these banks, by their numbers."""
    rows = encode_table({number: upload.row for number, upload in uploads.items()})
    heads = [len(listed).to_bytes(_COUNT_BYTES, "little"), listed, len(rows).to_bytes(_COUNT_BYTES, "little"), rows]
    return [*heads, *(bytes(uploads[number].shown) for number in sorted(uploads))]


def unpack_checked(cohort: Cohort[Plan], cut: Cut, payload: memoryview) -> tuple[memoryview, dict[int, Upload]]:
    """The inverse. Raises `MessageError`."""
    listed, rest = _counted(payload)
    table, shown = _counted(rest)
    rows = decode_table(table, PROOF_BYTES + HASH_BYTES, len(cohort.banks))
    if len(shown) != len(rows) * cut.shown:
        raise MessageError("uploads have another length than the plan's; send them again")
    pieces = (shown[place * cut.shown :][: cut.shown] for place in range(len(rows)))
    return listed, {
        number: Upload(row[:COIN_BYTES], row[COIN_BYTES:PROOF_BYTES], row[PROOF_BYTES:], piece)
        for (number, row), piece in zip(rows.items(), pieces, strict=True)
    }


def sum_digest(listed: bytes | memoryview, numbers: Iterable[int]) -> bytes:
    """Names a sum: the list binds the banks on it to their ciphertexts."""
    digest = hashlib.sha256(b"secure_fl checked sum" + listed)
    for number in sorted(numbers):
        digest.update(number.to_bytes(2, "little"))
    return digest.digest()


def _counted(data: memoryview) -> tuple[memoryview, memoryview]:
    """So many bytes as stand before them, and the rest. Raises `MessageError`."""
    end = _COUNT_BYTES + int.from_bytes(data[:_COUNT_BYTES], "little")
    if len(data) < max(end, _COUNT_BYTES):
        raise MessageError("a list of commitments is truncated; make a new attempt")
    return data[_COUNT_BYTES:end], data[end:]
