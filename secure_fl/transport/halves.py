"""From a roster to a bank's halves of a scheme: it holds its own identity, and of the others public keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from secure_fl.errors import ConfigurationError, MessageError, ProtocolError
from secure_fl.secagg.additive.client import AdditiveClient
from secure_fl.secagg.budget import HePlan, Plan
from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.hazmat.collective import JointKey
from secure_fl.secagg.he.client import HeClient
from secure_fl.secagg.he.public_keys import PublicKey
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.masked.client import MaskedClient
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.plaintext import PlaintextClient
from secure_fl.secagg.protocol import Party, Values
from secure_fl.secagg.threshold.client import ThresholdClient
from secure_fl.secagg.witnessed.client import WitnessedClient
from secure_fl.transport.joint_key import accepted_joint_key
from secure_fl.transport.roster import Roster
from secure_fl.transport.server_halves import accepted_key, identity_keys, key_of, unknown


class BankHalves:
    """One bank's halves, attempt by attempt."""

    def __init__(self, roster: Roster, bank: str, identity: Identity) -> None:
        self._roster, self._bank, self._identity = roster, bank, identity
        self._directory = identity_keys(roster)
        self._holders = {member.name: bytes.fromhex(member.public) for member in roster.of("holder")}
        self._public: PublicKey | None = None
        self._joint: JointKey | None = None
        self.key = ""
        """What orders call the public key that the bank has."""

    def take_key(self, plan: Plan, signed: bytes) -> None:
        """The public key of a key authority or a committee. Raises `MessageError` where they did not sign it."""
        if isinstance(plan, ThresholdPlan):
            self._joint, self.key = accepted_joint_key(self._roster, plan, signed)
            return
        if not isinstance(plan, HePlan):
            raise MessageError("there is no public key in this scheme; look whether both have one version")
        self._public, self.key = accepted_key(self._roster, plan, signed), key_of(signed)

    def client(self, cohort: Cohort[Any], values: Values) -> Party:
        """Raises `ProtocolError` where the bank has no key yet, or took part before."""
        match cohort.plan.scheme:
            case "plaintext":
                return PlaintextClient(cohort, self._bank, values)
            case "additive":
                return AdditiveClient(
                    cohort, self._bank, values, self._identity, _known(self._holders, cohort.trustees)
                )
            case "masked":
                return MaskedClient(cohort, self._bank, values, self._identity, _known(self._directory, cohort.banks))
            case "ckks" | "bfv" | "rlwe":
                return self._encrypting(cohort, values)
            case other:
                raise unknown(other)

    def _encrypting(self, cohort: Cohort[Any], values: Values) -> Party:
        """Raises `ProtocolError` where the bank has no key yet."""
        if self._joint is not None:
            return ThresholdClient(cohort, self._bank, values, self._identity, self._joint)
        if self._public is None:
            raise ProtocolError(f"{self._bank} has no public key to encrypt with; send it the one of the key holders")
        if cohort.plan.witnesses:
            return WitnessedClient(cohort, self._bank, values, self._identity, self._public)
        return HeClient(cohort, self._bank, values, self._public)


def _known(keys: Mapping[str, bytes], names: tuple[str, ...]) -> Mapping[str, bytes]:
    """Raises `ConfigurationError` where the roster lacks one."""
    missing = [name for name in names if name not in keys]
    if missing:
        raise ConfigurationError(f"the roster has no key of {', '.join(missing)}; ask for another roster")
    return keys
