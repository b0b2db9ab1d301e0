"""Who a bank is to the other parties: a signing key that lasts, and the memory of its last turn.

What it signs of an upload counts in one attempt, for that upload: whoever adds up uploads, or opens their sum, can tell
that each is of a bank that it knows, and that nobody made one up in the bank's place (`signed`).
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Self

from secure_fl.secagg.budget import Plan
from secure_fl.secagg.hazmat.agreement import SigningKey
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.signed import upload_statement
from secure_fl.secagg.turns import Turns


class Identity:
    """A bank's Ed25519 key, and where a scheme asks for it (`begin`) the memory that lets it in an attempt only once.

    A bank that took part twice in one attempt, under two sets of keys, could be made to sign two lists of banks. Under
    shares it signs no list, and two uploads of one attempt tell no more than one: holders answer for one.
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

    def begin(self, cohort: Cohort[Plan], bank: str) -> None:
        """Raises `ProtocolError` for an attempt that is not later than all before."""
        self._turns.take(cohort, bank)

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def sign_upload(self, cohort: Cohort[Plan], bank: str, digest: bytes) -> bytes:
        """`digest`: SHA-256 of what the bank vouches for."""
        return self.sign(upload_statement(cohort, bank, digest))


class Identities:
    """Those of all banks of one federation in one process, each made when it is first needed."""

    def __init__(self) -> None:
        self._made: dict[str, Identity] = {}

    def of(self, bank: str) -> Identity:
        return self._made.setdefault(bank, Identity())

    def directory(self, banks: Iterable[str]) -> dict[str, bytes]:
        """The identity keys, as banks and trustees know them."""
        return {bank: self.of(bank).public for bank in banks}


class BanksWithIdentities:
    """What deployments share whose banks sign, in one process."""

    def __init__(self) -> None:
        self._identities = Identities()

    def of_strangers(self) -> Self:
        """The same public keys in the hands of others, who play banks with identities of their own."""
        other = copy(self)
        other._identities = Identities()
        return other
