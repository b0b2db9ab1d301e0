"""A party that lies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.protocol import Party


class Altered:
    """A party whose answer's payload passes through a function, sealed anew."""

    def __init__(
        self, party: Party, cohort: Cohort[Any], name: str, stage: str, change: Callable[[bytes], bytes]
    ) -> None:
        self._party, self._cohort, self._name, self._stage, self._change = party, cohort, name, stage, change

    def respond(self, request: bytes) -> bytes:
        answer = open_message(self._cohort, self._party.respond(request), recipient=AGGREGATOR, sender=self._name)
        return seal(self._cohort, self._stage, self._name, AGGREGATOR, self._change(bytes(answer.payload)))
