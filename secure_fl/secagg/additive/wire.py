"""What travels in the additive scheme: a sealed seed for each share-holder, and a ring vector."""

from __future__ import annotations

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import AdditivePlan, Plan
from secure_fl.secagg.hazmat.agreement import PUBLIC_KEY_BYTES, TAG_BYTES
from secure_fl.secagg.hazmat.prg import SEED_BYTES
from secure_fl.secagg.messages import Cohort

UPLOAD, SUM_SHARES = "upload", "sum_shares"
ALL_SHARES = "without all shares there is no sum, so make a new attempt"
SEALED_SEED_BYTES = PUBLIC_KEY_BYTES + SEED_BYTES + TAG_BYTES


def holder_name(number: int) -> str:
    """Share-holders are numbered from 1."""
    return f"share-holder-{number}"


def purpose(cohort: Cohort[Plan], bank: str, holder: str) -> bytes:
    """Binds a sealed seed to the round, the bank and the share-holder."""
    return b"secure_fl seed" + cohort.digest + cohort.number[bank].to_bytes(2, "little") + holder.encode()


def split_upload(cohort: Cohort[AdditivePlan], payload: memoryview) -> tuple[list[bytes], memoryview]:
    """The sealed seeds, one for each share-holder, and the ring vector. Raises `MessageError`."""
    sealed = len(cohort.trustees) * SEALED_SEED_BYTES
    if len(payload) < sealed:
        raise MessageError("an upload is too short for its sealed seeds; its bank must send it again")
    cuts = range(0, sealed, SEALED_SEED_BYTES)
    return [bytes(payload[cut : cut + SEALED_SEED_BYTES]) for cut in cuts], payload[sealed:]
