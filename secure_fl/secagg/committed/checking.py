"""What whoever opens a sum, or vouches for one, sees for itself: that these are uploads of so many banks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from secure_fl.errors import DropoutError, MessageError
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.committed.wire import Cut, commitment, digest_of, read_list, sum_digest, unpack_checked, vouched
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.signed import require_upload


@dataclass(frozen=True)
class Checked:
    """Uploads that their banks committed to and signed, as far as they are shown."""

    digest: bytes
    """Of which sum this is."""
    shown: tuple[bytes | memoryview, ...] = field(repr=False)
    """One piece for each bank."""


def checked(cohort: Cohort[Plan], cut: Cut, directory: Mapping[str, bytes], payload: memoryview, who: str) -> Checked:
    """The uploads in a request to `who`. Raises `MessageError` unless each is on one list that its bank signed, and
    `DropoutError` for fewer than the threshold.

    `directory`: the banks' identity keys, which it knows by a way that the aggregator does not control.
    """
    listed, uploads = unpack_checked(cohort, cut, payload)
    commitments = read_list(cohort, listed)
    if len(uploads) < cohort.plan.threshold:
        raise DropoutError(
            f"{who} was asked about a sum of {len(uploads)} banks and the threshold is {cohort.plan.threshold}; wait "
            "for more banks"
        )
    vouched_for = vouched(listed)
    for number, upload in uploads.items():
        bank = cohort.banks[number]
        own = commitment(cohort, bank, upload.coin, upload.hidden, digest_of(upload.shown))
        if commitments.get(number) != own:
            raise MessageError(f"what {who} was given of {bank} is not what it committed to; make a new attempt")
        require_upload(cohort, bank, directory, vouched_for, upload.signature)
    return Checked(sum_digest(listed, uploads), tuple(upload.shown for upload in uploads.values()))
