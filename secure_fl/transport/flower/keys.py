"""Public keys that travel with orders: by the word of a roster, or by the SuperLink's."""

from __future__ import annotations

import json
from collections.abc import Mapping

from secure_fl.errors import MessageError
from secure_fl.secagg.budget import HePlan, Plan
from secure_fl.secagg.hazmat.agreement import PUBLIC_KEY_BYTES, SIGNATURE_BYTES
from secure_fl.secagg.hazmat.he_public import fingerprint as fingerprint_of
from secure_fl.secagg.he.public_keys import PublicKey, load_public_key
from secure_fl.transport.roster import Roster
from secure_fl.transport.server_halves import accepted_key


def pack_directory(keys: Mapping[str, bytes]) -> bytes:
    return json.dumps({name: key.hex() for name, key in keys.items()}, sort_keys=True).encode()


def directory(roster: Roster | None, data: bytes) -> dict[str, bytes]:
    """Parties' public keys: those of the roster where there is one, else those that came. Raises `MessageError`."""
    if roster is not None:
        return {member.name: bytes.fromhex(member.public) for member in roster.members if member.public}
    try:
        keys = {str(name): bytes.fromhex(key) for name, key in dict(json.loads(data)).items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise MessageError("a directory of public keys cannot be read; make a new attempt") from None
    if any(len(key) != PUBLIC_KEY_BYTES for key in keys.values()):
        raise MessageError("a public key has the wrong length; make a new attempt")
    return keys


def public_key(roster: Roster | None, plan: Plan, data: bytes) -> PublicKey:
    """The key authority's key: signed under a roster, bare without one. Raises `MessageError`."""
    if not isinstance(plan, HePlan):
        raise MessageError("there is no public key in this scheme; look whether both have one version")
    if roster is not None:
        return accepted_key(roster, plan, data)
    return load_public_key(data, plan.parameters_of_context)


def fingerprint(roster: Roster | None, data: bytes) -> str:
    """What orders call that key, and what people compare."""
    return fingerprint_of(data if roster is None else data[SIGNATURE_BYTES:]).hex()
