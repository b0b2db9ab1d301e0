"""A bank's half of a homomorphic sum that witnesses vouch for."""

from __future__ import annotations

from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.committed.client import CommittedClient
from secure_fl.secagg.he.public_keys import PublicKey
from secure_fl.secagg.he.words import pack_upload
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import require_values


class WitnessedClient(CommittedClient):
    """Encrypts under the key authority's public key, and commits to what that gives."""

    def __init__(
        self, cohort: Cohort[HePlan], bank: str, values: IntVector, identity: Identity, public: PublicKey
    ) -> None:
        require_values(cohort.plan, values)
        plan = cohort.plan
        super().__init__(
            cohort, bank, identity, lambda: (b"", b"".join(pack_upload(plan, public.encrypt(plan, values))))
        )
