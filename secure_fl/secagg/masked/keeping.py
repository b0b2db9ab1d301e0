"""A bank's half of a masked sum whose process does not last from one stage to the next, as under Flower.

What is written down is as secret as the bank's update: with it and the wire, the update can be read. Where an older one
comes back, the bank could answer a stage twice, so whoever keeps it puts the new one in its place before, or together
with, the answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from secure_fl.errors import ProtocolError
from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.masked.client import AttemptSecrets, MaskedClient
from secure_fl.secagg.masked.wire import AdvertisedKeys
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.packing import IntVector


class KeptMaskedClient(MaskedClient):
    """The same half; `keep` gives what it knows, and `again` makes the half anew from that."""

    def keep(self) -> bytes:
        """All that the bank drew, was told and has answered in this attempt."""
        known: dict[str, Any] = {
            "cohort": self._cohort.digest.hex(),
            "drawn": [self._channel.secret().hex(), self._mask.secret().hex(), self._seed.hex()],
            "keys": {other: keys.to_bytes().hex() for other, keys in self._keys.items()},
            "held": {other: [share.hex() for share in pair] for other, pair in self._held.items()},
            "survivors": self._survivors,
            "answered": self._answered,
        }
        return json.dumps(known).encode()

    @classmethod
    def again(
        cls,
        cohort: Cohort[MaskedPlan],
        bank: str,
        values: IntVector,
        identity: Identity,
        directory: Mapping[str, bytes],
        kept: bytes,
    ) -> KeptMaskedClient:
        """`identity`: the bank's key, with a memory that does not refuse this attempt: it was taken when it began.

        Raises `ProtocolError` where something else was kept than this attempt.
        """
        known = json.loads(kept)
        if known["cohort"] != cohort.digest.hex():
            raise ProtocolError(f"{bank} is not in this attempt; make a new one")
        channel, mask, seed = map(bytes.fromhex, known["drawn"])
        drawn = AttemptSecrets(AgreementKey(channel), AgreementKey(mask), seed)
        half = cls(cohort, bank, values, identity, directory, drawn)
        half._keys = {int(other): AdvertisedKeys.from_bytes(bytes.fromhex(row)) for other, row in known["keys"].items()}
        half._held = {
            int(other): (bytes.fromhex(one), bytes.fromhex(two)) for other, (one, two) in known["held"].items()
        }
        half._survivors, half._answered = tuple(known["survivors"]), int(known["answered"])
        return half
