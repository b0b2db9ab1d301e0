"""Flower's nodes by the names of their parties: who is there, and a carrier of a sum's messages to them."""

from __future__ import annotations

import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from flwr.app import Message
from flwr.serverapp import Grid

from secure_fl.errors import ConfigurationError, MessageError
from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.hazmat.agreement import PUBLIC_KEY_BYTES
from secure_fl.secagg.messages import AGGREGATOR, Cohort
from secure_fl.secagg.protocol import Answer
from secure_fl.transport.flower.node import is_trustee
from secure_fl.transport.flower.records import answer_in, order_message
from secure_fl.transport.flower.terms import Terms
from secure_fl.transport.orders import ASK, HELLO, About, Order

LOG = logging.getLogger("flwr.secure_fl")
TRAIN = "train"
LONGEST_NAME = 64
WAITING = "(network)"


class Nodes:
    """Which node is which party. A node says so itself, once; two that say the same are both left out."""

    def __init__(self, grid: Grid, seconds: float, kind: str = TRAIN) -> None:
        """`seconds`: how long an answer to one order is waited for; `kind`: the type of all messages."""
        self.grid, self.seconds, self.kind = grid, seconds, kind
        self._said: dict[int, tuple[str, bytes]] = {}
        self._refused: set[int] = set()
        self._keys: dict[str, bytes] = {}
        self._number = 0

    def meet(self, terms: Terms) -> dict[str, int]:
        """All parties that are there: name -> node. Raises `ConfigurationError` where all nodes refuse."""
        there = set(self.grid.get_node_ids())
        new = there - self._said.keys() - self._refused
        answers = self.ask({node: self.order(HELLO, None, terms.facts) for node in new})
        for node, answer in answers.items():
            try:
                self._said[node] = _introduced(answer)
            except MessageError as error:
                LOG.error("node %d does not take part: %s", node, error)
                self._refused.add(node)
                if self._refused >= there:
                    raise ConfigurationError(f"no node takes part; the last one said: {error}") from None
        said = defaultdict[str, list[int]](list)
        for node in sorted(there & self._said.keys()):
            said[self._said[node][0]].append(node)
        for name, nodes in said.items():
            if len(nodes) > 1:
                LOG.error("nodes %s all say that they are %s, and are left out", nodes, name)
        places = {name: nodes[0] for name, nodes in said.items() if len(nodes) == 1}
        self._keys |= {name: self._said[node][1] for name, node in places.items()}
        return places

    def away(self, places: Mapping[str, int]) -> set[str]:
        """Banks that were met and are not there now: they have dropped out, and are members all the same."""
        return {name for name in self._keys.keys() - places.keys() if not is_trustee(name)}

    def key(self, name: str) -> bytes:
        """A party's public key, as it said."""
        return self._keys[name]

    def forget(self, names: Collection[str]) -> None:
        """Ask their nodes anew who they are: a node that was started again has another key."""
        self._said = {node: said for node, said in self._said.items() if said[0] not in names}

    def order(self, kind: str, about: About | None, facts: Mapping[str, Any], body: bytes = b"") -> Order:
        self._number += 1
        return Order(self._number % (1 << 32), kind, about, dict(facts), body)

    def ask(self, orders: Mapping[int, Order], keys: bytes = b"") -> dict[int, Answer]:
        """One order to each node; who is silent is missing from the answers."""
        messages = [order_message(order, node, self.kind, keys=keys) for node, order in orders.items()]
        answers: dict[int, Answer] = {}
        for reply in self.grid.send_and_receive(messages, timeout=self.seconds) if messages else ():
            answers.setdefault(sender_of(reply, messages), answer_in(reply))
        return {node: answer for node, answer in answers.items() if node in orders}


class BanksAlone(Grid):
    """What the wrapped strategy sees of a grid: key holders are none of its nodes."""

    def __init__(self, grid: Grid, banks: Callable[[], Iterable[int]]) -> None:
        self._grid, self._banks = grid, banks

    def set_run(self, run: Any) -> None:
        self._grid.set_run(run)

    @property
    def run(self) -> Any:
        return self._grid.run

    def create_message(self, *arguments: Any, **named: Any) -> Message:
        return self._grid.create_message(*arguments, **named)

    def get_node_ids(self) -> Iterable[int]:
        return self._banks()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        return self._grid.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return self._grid.pull_messages(message_ids)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        return self._grid.send_and_receive(messages, timeout=timeout)


class FlowerCarrier:
    """A `secagg.protocol.Carrier`. Whoever does not answer a stage in time has dropped out of the attempt."""

    def __init__(
        self,
        nodes: Nodes,
        places: Mapping[str, int],
        cohort: Cohort[Any],
        facts: Mapping[str, Any],
        keys: bytes,
        ahead: Mapping[str, Answer] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`places`: the parties' nodes; `facts` and `keys`: for all orders; `ahead`: answers to the first stage, where
        it was asked already.
        """
        self._nodes, self._places, self._cohort, self._clock = nodes, places, cohort, clock
        self._facts, self._keys, self._ahead = facts, keys, ahead
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def carry(self, stage: str, requests: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, Answer]]:
        asked = dict(requests)
        if self._ahead is not None:
            answers_ahead, self._ahead = self._ahead, None
            yield from ((name, answers_ahead[name]) for name in asked if name in answers_ahead)
            return
        about, facts = About.of(self._cohort), {**self._facts, "stage": stage}
        names = {self._places[name]: name for name in asked if name in self._places}
        orders = {node: self._nodes.order(ASK, about, facts, asked[name]) for node, name in names.items()}
        started = self._clock()
        own_key = isinstance(self._cohort.plan, HePlan) and all(map(is_trustee, names.values()))
        answers = self._nodes.ask(orders, b"" if own_key else self._keys)
        self.seconds[WAITING] += self._clock() - started
        for node, answer in answers.items():
            yield names[node], answer
        for name in sorted(asked.keys() - {names[node] for node in answers}):
            if is_trustee(name):
                yield name, TimeoutError(f"{name} did not answer in {self._nodes.seconds:g} s")


def sender_of(reply: Message, sent: Iterable[Message]) -> int:
    """Whose reply it is: Flower's own errors name the message that they are about, not the node."""
    about = reply.metadata.reply_to_message_id
    for message in sent:
        if about and message.metadata.message_id == about:
            return int(message.metadata.dst_node_id)
    return int(reply.metadata.src_node_id)


def _introduced(answer: Answer) -> tuple[str, bytes]:
    """Name and key. Raises `MessageError`."""
    if not isinstance(answer, bytes):
        raise MessageError(str(answer))
    try:
        said = json.loads(answer)
        name, key = str(said["name"]), bytes.fromhex(said["key"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise MessageError("it does not say who it is; look whether both have one version") from None
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name == AGGREGATOR:
        raise MessageError("its name does not fit into a message; give it another one")
    if len(key) != PUBLIC_KEY_BYTES:  # others would refuse the whole directory
        raise MessageError("its public key has the wrong length; look whether both have one version")
    return name, key
