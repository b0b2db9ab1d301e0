"""Who a bank is to the other banks: a signing key that lasts, and the memory of its last turn."""

from __future__ import annotations

from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.hazmat.agreement import SigningKey
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.turns import Turns


class Identity:
    """A bank's Ed25519 key, with which it takes part in each attempt at most once.

    A bank that took part twice in one attempt, under two sets of keys, could be made to sign two lists of survivors.
    """

    def __init__(self, key: SigningKey | None = None, turns: Turns | None = None) -> None:
        """`key`, `turns`: of a bank that was there before; by default it is a new one."""
        self._key = key or SigningKey()
        self._turns = turns or Turns()

    def __repr__(self) -> str:
        return "Identity(...)"

    @property
    def public(self) -> bytes:
        return self._key.public

    def begin(self, cohort: Cohort[MaskedPlan], bank: str) -> None:
        """Raises `ProtocolError` for an attempt that is not later than all before."""
        self._turns.take(cohort, bank)

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)
