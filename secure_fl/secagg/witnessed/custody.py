"""Who can decrypt what where witnesses vouch to a key authority, and what that takes off the list of what breaks it."""

from __future__ import annotations

from dataclasses import replace

from secure_fl.errors import PlanError
from secure_fl.secagg.custody import (
    ALL_BUT_ONE,
    COMMITTED,
    ENCRYPTS_NOTHING,
    LEFT_ALONE,
    REPEATED,
    SHOWN_BEFORE,
    Custody,
)
from secure_fl.secagg.witnessed.wire import witnesses_of

MOST = 7


def require_witnesses(count: int) -> None:
    """Raises `PlanError`."""
    if not 1 <= count <= MOST:
        raise PlanError(f"{count} witnesses are refused; use 1 to {MOST}, or leave them out")


def custody_of(alone: Custody, witnesses: int) -> Custody:
    """`alone`: that of the same scheme without witnesses."""
    names = witnesses_of(witnesses)
    every = f"all {witnesses} witnesses" if witnesses > 1 else "the witness"
    kept = [line for line in alone.assumptions if not line.startswith(_REPLACED)]
    return replace(
        alone,
        scheme=name_of(alone.scheme),
        summary=f"{alone.summary} It opens what {every} signed: that it is the sum of banks' signed uploads.",
        can_decrypt={**alone.can_decrypt, **dict.fromkeys(names, ())},
        broken_by=(
            *(line for line in alone.broken_by if line.startswith(_OF_ARITHMETIC)),
            "aggregator and key authority together: one has the ciphertexts, the other the key",
            "the key authority and a witness together: the witness gets every upload",
            f"an aggregator that lies and {every}: what they say is a sum is opened, be it a single upload, or one "
            "whose decryption is the key",
            "a bank and the key authority together, if the bank also obtains another bank's upload",
            SHOWN_BEFORE,
            ENCRYPTS_NOTHING,
            LEFT_ALONE,
            REPEATED,
            ALL_BUT_ONE,
            "an aggregator that makes up banks, unless witnesses know the banks' identity keys by another way",
        ),
        assumptions=(
            "The key authority does not collude with the aggregator or a witness. The aggregator may lie where a "
            "witness does not.",
            "Banks know the fingerprint of the key authority's public key, the key authority the witnesses' keys, and "
            "these the banks' identity keys, by a way that the aggregator does not control.",
            f"{every[0].upper()}{every[1:]} and the key authority answer: if one is silent, the round has no sum.",
            COMMITTED,
            *kept,
        ),
    )


def name_of(scheme: str) -> str:
    """What reports call it."""
    return f"{scheme}-witnessed"


_OF_ARITHMETIC = "whoever can time"
_REPLACED = (
    "The aggregator follows the protocol",
    "Banks know the fingerprint",
    "An aggregator that shows banks different models",
)
"""How those assumptions begin that witnesses make needless, or that are said anew."""
