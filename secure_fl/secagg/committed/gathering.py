"""How the aggregator gathers uploads that banks commit to. It checks what others are going to check, and names liars."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.committed.wire import (
    COMMIT,
    HASH_BYTES,
    UPLOAD,
    Cut,
    Upload,
    commitment,
    digest_of,
    pack_checked,
    split_upload,
    vouched,
)
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.numbering import encode_table
from secure_fl.secagg.protocol import Attendance, Replies, Stage, request
from secure_fl.secagg.signed import require_upload


@dataclass(frozen=True)
class Gathered:
    """The list, and who uploaded what is on it."""

    listed: bytes = field(repr=False)
    uploads: Mapping[int, Upload] = field(repr=False)

    def to_parts(self) -> list[bytes]:
        """What goes to whoever checks the sum."""
        return pack_checked(self.listed, self.uploads)


def gather(
    cohort: Cohort[Plan],
    cut: Cut,
    directory: Mapping[str, bytes],
    attendance: Attendance,
    add: Callable[[memoryview], None],
) -> Generator[Stage, Replies, Gathered]:
    """Two stages: commitments, then uploads, each of which `add` takes.

    `directory`: the banks' identity keys. Raises `DropoutError` below the threshold.
    """
    asked = request(cohort, COMMIT, cohort.banks)
    commitments = {
        cohort.banks.index(bank): said for bank, said in attendance.answers(asked, (yield asked), _read_commitment)
    }
    attendance.require_threshold(commitments)
    listed = encode_table(commitments)

    def read(bank: str, payload: memoryview) -> Upload:
        upload, ciphertexts = split_upload(cut, payload)
        own = commitments[cohort.banks.index(bank)]
        if commitment(cohort, bank, upload.coin, upload.hidden, digest_of(upload.shown)) != own:
            raise MessageError("it uploaded something else than it had committed to")
        require_upload(cohort, bank, directory, vouched(listed), upload.signature)
        add(ciphertexts)
        return upload

    asked = request(cohort, UPLOAD, tuple(cohort.banks[number] for number in sorted(commitments)), listed)
    uploads = {cohort.banks.index(bank): upload for bank, upload in attendance.answers(asked, (yield asked), read)}
    attendance.require_threshold(uploads)
    return Gathered(listed, uploads)


def _read_commitment(_: str, payload: memoryview) -> bytes:
    if len(payload) != HASH_BYTES:
        raise MessageError("a commitment has the wrong length; its bank must send it again")
    return bytes(payload)
