"""A bank's node: it lets the app's own function train, keeps what came out, and takes part in the secure sum of it.

What leaves the node: masked, shared or encrypted integers, and the metrics that the app declared safe. The trained
arrays, the number of examples and all other metrics stay. An update is quantized once, for all attempts of its round,
and what is kept of it is overwritten by the next round's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from numpy.typing import NDArray

from secure_fl.errors import MessageError, ProtocolError
from secure_fl.secagg.additive.client import AdditiveClient
from secure_fl.secagg.hazmat.agreement import SigningKey
from secure_fl.secagg.he.client import HeClient
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.masked.keeping import KeptMaskedClient
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.plaintext import PlaintextClient
from secure_fl.secagg.protocol import Party
from secure_fl.transport.flower.keys import directory, fingerprint, public_key
from secure_fl.transport.flower.node import Node
from secure_fl.transport.flower.records import numpy_arrays, told
from secure_fl.transport.flower.terms import Arrays, Model, Terms
from secure_fl.transport.orders import About, Order

LOG = logging.getLogger("flwr.secure_fl")
Train = Callable[[], RecordDict]
_ABOUT, _TERMS, _HALF, _KEYS = "about", "terms", "half", "keys"


class FlowerBank:
    """Does the orders of one bank."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._signing = SigningKey(node.own_key)

    @property
    def public(self) -> bytes:
        """Its identity among the banks."""
        return self._signing.public

    def train(self, order: Order, keys: bytes, sent: Message, train: Train) -> tuple[bytes, MetricRecord]:
        """Get an update ready, and answer the first stage of its sum; beside the answer the app's metrics.

        Raises `SecureFLError` where no update comes of it.
        """
        terms, name = Terms.of(order.facts), self._node.name
        cohort = terms.cohort_of(order.about)
        self._node.turns.require_later(cohort, name)  # what is ready stays as it is, and nothing is trained twice
        before = _arrays(sent.content, "the server's message")
        model = Model(terms, before)
        if cohort.context != terms.context(before, told(sent)) or cohort.plan.parameters != model.codec.length:
            raise MessageError(f"{name} received another model or configuration than its cohort; make a new attempt")
        returned = train()
        metrics = _metrics(returned)
        weight = terms.weight(metrics.get(terms.weighted_by))
        vector = model.encode(_arrays(returned, "the app's answer"), weight, _rounding(cohort, name))
        assert order.about is not None
        self._node.memory[_ABOUT] = json.dumps(asdict(order.about)).encode()
        self._node.memory[_TERMS] = _packed(terms)
        self._node.memory.values = vector
        return self.ask(order, keys), metrics

    def ask(self, order: Order, keys: bytes) -> bytes:
        """One stage of the sum."""
        terms = Terms.of(order.facts)
        cohort = terms.cohort_of(order.about)
        self._require_ready(terms, cohort)
        memory, name = self._node.memory, self._node.name
        values = memory.values.astype(np.int64)
        begun = _begun(memory[_HALF], cohort)
        if terms.scheme != "masked":
            self._node.turns.take(cohort, name)  # each of these halves has one stage
            return self._half(cohort, values, keys).respond(order.body)
        if begun is None:
            memory[_KEYS] = keys  # of this attempt: no later message changes them
            identity = Identity(self._signing, self._node.turns)
            half = KeptMaskedClient(cohort, name, values, identity, self._directory(keys))
        else:
            identity = Identity(self._signing)
            half = KeptMaskedClient.again(cohort, name, values, identity, self._directory(memory[_KEYS]), begun)
        try:
            return half.respond(order.body)
        finally:
            memory[_HALF] = cohort.digest + half.keep()

    def _half(self, cohort: Cohort[Any], values: NDArray[np.int64], keys: bytes) -> Party:
        name, roster = self._node.name, self._node.roster
        match cohort.plan.scheme:
            case "plaintext":
                return PlaintextClient(cohort, name, values)
            case "additive":
                return AdditiveClient(cohort, name, values, Identity(self._signing), self._directory(keys))
            case _:
                LOG.info("%s encrypts under the public key %s", name, fingerprint(roster, keys))
                return HeClient(cohort, name, values, public_key(roster, cohort.plan, keys))

    def _directory(self, keys: bytes) -> dict[str, bytes]:
        return directory(self._node.roster, keys)

    def _require_ready(self, terms: Terms, cohort: Cohort[Any]) -> None:
        """Raises `ProtocolError` unless the bank has an update for this sum."""
        name, kept = self._node.name, self._node.memory[_ABOUT]
        if not kept:
            raise ProtocolError(f"{name} has no update: its node was started anew, or did not train; go on without it")
        ready = About(**json.loads(kept))
        asked = About.of(cohort)
        if (asked.session, asked.round) != (ready.session, ready.round):
            raise ProtocolError(f"{name} has an update of another round; go on without it")
        if (asked.length, asked.context) != (ready.length, ready.context):
            raise MessageError(f"{name} has another model than the sum is about; make a new attempt")
        if _packed(terms) != self._node.memory[_TERMS]:
            raise MessageError(f"{name} has an update for a sum under other terms; make a new attempt")


def _packed(terms: Terms) -> bytes:
    return json.dumps(terms.facts, sort_keys=True).encode()


def _begun(kept: bytes, cohort: Cohort[Any]) -> bytes | None:
    """What was kept of this attempt."""
    digest = cohort.digest
    return kept[len(digest) :] if kept[: len(digest)] == digest else None


def _rounding(cohort: Cohort[Any], name: str) -> np.random.Generator:
    """Stochastic rounding is no secret; drawn from what is public, a round repeats to the same integers."""
    if name not in cohort.banks:
        raise MessageError(f"{name} is not among the banks of this round; make a new attempt")
    return np.random.default_rng([cohort.round, cohort.banks.index(name)])


def _arrays(records: RecordDict, whose: str) -> Arrays:
    """The one record of arrays. Raises `MessageError`."""
    found: list[ArrayRecord] = list(records.array_records.values())
    if len(found) != 1:
        raise MessageError(f"{whose} has {len(found)} records of arrays instead of one; send the model in one record")
    return numpy_arrays(found[0])


def _metrics(records: RecordDict) -> MetricRecord:
    found = list(records.metric_records.values())
    if len(found) != 1:
        raise MessageError(f"the app's answer has {len(found)} records of metrics instead of one; return one")
    return found[0]
