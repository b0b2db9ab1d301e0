"""The aggregator's halves of the schemes, and the public key that it passes on: what a gateway may hold.

In memory a deployment has all parties' keys at once; here the aggregator gets public keys alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from secure_fl.errors import ConfigurationError
from secure_fl.secagg.additive.server import additive_server
from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.hazmat.agreement import SIGNATURE_BYTES, verify
from secure_fl.secagg.hazmat.he_public import fingerprint
from secure_fl.secagg.he.public_keys import PublicKey, load_public_key
from secure_fl.secagg.he.server import he_server
from secure_fl.secagg.he.words import KEY_AUTHORITY
from secure_fl.secagg.masked.server import masked_server
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.plaintext import plaintext_server
from secure_fl.secagg.protocol import ServerHalf
from secure_fl.secagg.threshold.server import threshold_server
from secure_fl.secagg.witnessed.server import witnessed_server
from secure_fl.transport.roster import Roster


def key_statement(roster: Roster, public_key: bytes) -> bytes:
    """What a key authority signs, so that its key is its own whoever carries it."""
    return b"secure_fl public key" + roster.digest + fingerprint(public_key)


def accepted_key(roster: Roster, plan: HePlan, signed: bytes) -> PublicKey:
    """The key authority's public key behind its signature. Raises `MessageError`."""
    signature, key = signed[:SIGNATURE_BYTES], signed[SIGNATURE_BYTES:]
    verify(bytes.fromhex(roster.named(KEY_AUTHORITY).public), signature, key_statement(roster, key), KEY_AUTHORITY)
    return load_public_key(key, plan.parameters_of_context)


def key_of(signed: bytes) -> str:
    """What orders call that key: a key authority that was started anew has another one."""
    return fingerprint(signed[SIGNATURE_BYTES:]).hex()


def unknown(scheme: str) -> ConfigurationError:
    """A scheme whose halves no party on a network has."""
    return ConfigurationError(f"parties on a network have no halves of {scheme}; use secure-fl run")


def identity_keys(roster: Roster) -> dict[str, bytes]:
    """The banks' public keys."""
    return {member.name: bytes.fromhex(member.public) for member in roster.of("bank")}


def server_half(cohort: Cohort[Any], directory: Mapping[str, bytes] | None = None) -> ServerHalf:
    """The aggregator's; `directory`: the banks' identity keys, where they sign what they commit to."""
    match cohort.plan.scheme:
        case "plaintext":
            return plaintext_server(cohort)
        case "additive":
            return additive_server(cohort)
        case "masked":
            return masked_server(cohort)
        case "ckks" | "bfv" | "rlwe":
            if isinstance(cohort.plan, ThresholdPlan):
                return threshold_server(cohort, directory or {})
            return witnessed_server(cohort, directory or {}) if cohort.plan.witnesses else he_server(cohort)
        case other:
            raise unknown(other)
