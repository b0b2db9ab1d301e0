"""A reviewer's key, which signs decisions and nothing else."""

from __future__ import annotations

from secure_fl.chain.signing import SigningKey


class ReviewerKey(SigningKey):
    """What a reviewer signs decisions with."""

    __slots__ = ()
    NAME = "the reviewer's key"
    DOMAIN = b"secure-fl review log, one line, signed\x00"
