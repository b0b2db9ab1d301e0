"""What banks sign of their uploads, as everybody checks it who knows their identity keys."""

from __future__ import annotations

from collections.abc import Mapping

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.hazmat.agreement import verify
from secure_fl.secagg.messages import Cohort


def upload_statement(cohort: Cohort[Plan], bank: str, digest: bytes) -> bytes:
    """`digest`: SHA-256 of what the bank vouches for, in this attempt."""
    return b"secure_fl signed upload" + cohort.digest + cohort.number[bank].to_bytes(2, "little") + digest


def require_upload(
    cohort: Cohort[Plan], bank: str, directory: Mapping[str, bytes], digest: bytes, signature: bytes
) -> None:
    """Raises `MessageError` unless the bank signed this digest, in this attempt.

    `directory`: the banks' identity keys.
    """
    if bank not in directory:
        raise MessageError(f"nobody knows an identity key of {bank}; ask for another roster")
    verify(directory[bank], signature, upload_statement(cohort, bank, digest), bank)
