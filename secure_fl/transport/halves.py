"""From a roster to the halves of a scheme, each with what one party may hold.

In memory a deployment has all parties' keys at once; here the aggregator's half gets public keys, a bank its own
identity, a key holder its own secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from secure_fl.errors import ConfigurationError, MessageError, ProtocolError
from secure_fl.secagg.additive.client import AdditiveClient
from secure_fl.secagg.additive.server import additive_server
from secure_fl.secagg.budget import HePlan, Plan
from secure_fl.secagg.hazmat.agreement import verify
from secure_fl.secagg.hazmat.he_public import PublicContext, fingerprint
from secure_fl.secagg.he.client import HeClient, accept_public_key
from secure_fl.secagg.he.encoding import KEY_AUTHORITY
from secure_fl.secagg.he.server import he_server
from secure_fl.secagg.masked.client import MaskedClient
from secure_fl.secagg.masked.identity import Identity
from secure_fl.secagg.masked.server import masked_server
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.plaintext import PlaintextClient, plaintext_server
from secure_fl.secagg.protocol import Party, ServerHalf, Values
from secure_fl.transport.roster import Roster

SIGNATURE_BYTES = 64


def key_statement(roster: Roster, public_key: bytes) -> bytes:
    """What a key authority signs, so that its key is its own whoever carries it."""
    return b"secure_fl public key" + roster.digest + fingerprint(public_key)


def accepted_key(roster: Roster, plan: HePlan, signed: bytes) -> PublicContext:
    """The key authority's public key behind its signature. Raises `MessageError`."""
    signature, key = signed[:SIGNATURE_BYTES], signed[SIGNATURE_BYTES:]
    verify(bytes.fromhex(roster.named(KEY_AUTHORITY).public), signature, key_statement(roster, key), KEY_AUTHORITY)
    return accept_public_key(key, fingerprint(key), plan.parameters_of_context)


def server_half(cohort: Cohort[Any], public: PublicContext | None) -> ServerHalf:
    """The aggregator's."""
    match cohort.plan.scheme:
        case "plaintext":
            return plaintext_server(cohort)
        case "additive":
            return additive_server(cohort)
        case "masked":
            return masked_server(cohort)
        case _:
            assert public is not None, "the key authority's public key comes before the first sum"
            return he_server(cohort, public)


class BankHalves:
    """One bank's halves, attempt by attempt."""

    def __init__(self, roster: Roster, bank: str, identity: Identity) -> None:
        self._roster, self._bank, self._identity = roster, bank, identity
        self._directory = {member.name: bytes.fromhex(member.public) for member in roster.of("bank")}
        self._holders = {member.name: bytes.fromhex(member.public) for member in roster.of("holder")}
        self._public: PublicContext | None = None

    def take_key(self, plan: Plan, signed: bytes) -> None:
        """The key authority's public key. Raises `MessageError` where it did not sign it."""
        if not isinstance(plan, HePlan):
            raise MessageError("there is no public key in this scheme; look whether both have one version")
        self._public = accepted_key(self._roster, plan, signed)

    def client(self, cohort: Cohort[Any], values: Values) -> Party:
        """Raises `ProtocolError` where the bank has no key yet, or took part before."""
        match cohort.plan.scheme:
            case "plaintext":
                return PlaintextClient(cohort, self._bank, values)
            case "additive":
                return AdditiveClient(cohort, self._bank, values, _known(self._holders, cohort.trustees))
            case "masked":
                return MaskedClient(cohort, self._bank, values, self._identity, _known(self._directory, cohort.banks))
            case _:
                if self._public is None:
                    raise ProtocolError(f"{self._bank} has no public key to encrypt with; send it the key authority's")
                return HeClient(cohort, self._bank, values, self._public)


def _known(keys: Mapping[str, bytes], names: tuple[str, ...]) -> Mapping[str, bytes]:
    """Raises `ConfigurationError` where the roster lacks one."""
    missing = [name for name in names if name not in keys]
    if missing:
        raise ConfigurationError(f"the roster has no key of {', '.join(missing)}; ask for another roster")
    return keys
