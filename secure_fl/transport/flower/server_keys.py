"""The public keys that a ServerApp passes on with the orders of an attempt. It has no secret one."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

from secure_fl.errors import DropoutError
from secure_fl.secagg.budget import HePlan, KeyParameters
from secure_fl.secagg.he.words import KEY_AUTHORITY
from secure_fl.secagg.messages import AGGREGATOR, Cohort
from secure_fl.secagg.transcript import Transcript
from secure_fl.transport.flower.grid import Nodes
from secure_fl.transport.flower.keys import fingerprint, pack_directory, public_key
from secure_fl.transport.orders import PUBLIC_KEY, About
from secure_fl.transport.roster import Roster

LOG = logging.getLogger("flwr.secure_fl")


class ServerKeys:
    """Under a roster, nodes know all keys but that of a homomorphic scheme, which comes signed."""

    def __init__(self, roster: Roster | None, transcript: Transcript) -> None:
        self._roster, self._transcript = roster, transcript
        self._parameters: KeyParameters | None = None
        self._key = b""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key authority's key; empty where there is none."""
        return fingerprint(self._roster, self._key) if self._key else ""

    def forget(self) -> None:
        """A sum failed: maybe the key authority was started anew, and has another key."""
        self._parameters, self._key = None, b""

    def with_orders(
        self,
        nodes: Nodes,
        places: Mapping[str, int],
        cohort: Cohort[Any],
        facts: Mapping[str, Any],
        without: Collection[str],
    ) -> tuple[bytes, dict[str, Any]]:
        """What goes with the orders of an attempt: keys, and `facts` with the name of the key authority's.

        Raises `ProtocolError` where it does not give one.
        """
        if isinstance(cohort.plan, HePlan):
            self._fetch(nodes, places[KEY_AUTHORITY], cohort, facts)
            keys, facts = self._key, {**facts, "key": self.fingerprint}
        elif self._roster is not None or cohort.plan.scheme == "plaintext":
            return b"", dict(facts)
        else:
            names = (*cohort.trustees, *cohort.banks)
            keys = pack_directory({name: nodes.key(name) for name in names if name not in without})
        for bank in cohort.banks:
            if bank not in without:
                self._transcript.record(cohort, "public_key", AGGREGATOR, bank, keys)
        return keys, dict(facts)

    def _fetch(self, nodes: Nodes, node: int, cohort: Cohort[Any], facts: Mapping[str, Any]) -> None:
        parameters = cohort.plan.parameters_of_context
        if self._parameters == parameters:
            return
        answer = nodes.ask({node: nodes.order(PUBLIC_KEY, About.of(cohort), facts)}).get(node)
        if not isinstance(answer, bytes):
            raise answer or DropoutError(f"{KEY_AUTHORITY} does not give its public key; wait for it")
        self._transcript.record(cohort, "public_key", KEY_AUTHORITY, AGGREGATOR, answer)
        public_key(self._roster, cohort.plan, answer)  # refused here, and not at each bank
        self._parameters, self._key = parameters, answer
        LOG.info("public key of %s: sha256 %s", KEY_AUTHORITY, self.fingerprint)
