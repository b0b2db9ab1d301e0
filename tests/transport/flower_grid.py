"""A grid in the test's own process: real ServerApp strategies and ClientApps, every message and state really bytes.

As under a SuperNode, a node's state is all that lasts from one message to the next.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.serde import context_from_proto, context_to_proto, message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Context as ProtoContext
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity
from numpy.typing import NDArray

from secure_fl.transport.flower.records import order_in
from secure_fl.transport.orders import Order

RUN = 1
Arrays = Mapping[str, NDArray[Any]]
Touch = Callable[["MemoryGrid", int, Message], Message | None]


@dataclass
class Wire:
    """All bytes that went one way, in order, with the node at the other end."""

    up: list[tuple[int, bytes]] = field(default_factory=list)
    down: list[tuple[int, bytes]] = field(default_factory=list)


class MemoryGrid(Grid):
    """`configs`: each node's configuration. `asked` and `answered` may change, hold back (None) or note a message."""

    def __init__(
        self,
        app: Callable[[Message, Context], Message],
        configs: Sequence[Mapping[str, Any]],
        asked: Touch = lambda grid, node, message: message,
        answered: Touch = lambda grid, node, message: message,
        run_config: Mapping[str, Any] | None = None,
    ) -> None:
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = RUN, 0, RUN
        self._app, self.asked, self.answered = app, asked, answered
        self._run_config = dict(run_config or {})
        self.states = {node: self._state(node, config) for node, config in enumerate(configs, start=1)}
        self.gone: set[int] = set()
        self.wire = Wire()

    def set_run(self, run: Any) -> None:
        pass

    @property
    def run(self) -> Any:
        return RUN

    def create_message(self, *arguments: Any, **named: Any) -> Message:
        raise NotImplementedError

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return [node for node in self.states if node not in self.gone]

    def _state(self, node: int, config: Mapping[str, Any]) -> bytes:
        context = Context(
            run_id=RUN, node_id=node, node_config=dict(config), state=RecordDict(), run_config=self._run_config
        )
        return _state_bytes(context)

    def restart(self, node: int) -> None:
        """As if the SuperNode had been killed and started anew."""
        self.states[node] = self._state(node, self.context(node).node_config)

    def context(self, node: int) -> Context:
        return context_from_proto(ProtoContext.FromString(self.states[node]))

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        replies = []
        for message in messages:
            node = message.metadata.dst_node_id
            message.metadata.__dict__["_message_id"] = secrets.token_hex(8)  # the SuperLink's part
            sent = self.asked(self, node, message)
            if sent is None or node in self.gone:
                continue
            reply = self.answered(self, node, self.deliver(node, sent))
            if reply is not None:
                replies.append(reply)
        return replies

    def deliver(self, node: int, message: Message) -> Message:
        """One message to a node, and what it says to it."""
        data = message_to_proto(message).SerializeToString()
        self.wire.down.append((node, data))
        received, context = message_from_proto(ProtoMessage.FromString(data)), self.context(node)
        try:
            reply = self._app(received, context)
        except Exception as error:  # as Flower's runtime does
            reply = Message(Error(2, str(error)), reply_to=received)
        self.states[node] = _state_bytes(context)
        answer = message_to_proto(reply).SerializeToString()
        self.wire.up.append((node, answer))
        return message_from_proto(ProtoMessage.FromString(answer))


def _state_bytes(context: Context) -> bytes:
    """Equal states are equal bytes: protobuf else orders the entries of a map as each process hashes them."""
    return bytes(context_to_proto(context).SerializeToString(deterministic=True))


def order_of(message: Message) -> Order:
    found = order_in(message)
    assert found is not None
    return found[0]


def simulated(nodes: int) -> Sequence[Mapping[str, Any]]:
    """As in `flwr run` in a simulation."""
    return [{"partition-id": number, "num-partitions": nodes} for number in range(nodes)]


def record(arrays: Arrays) -> ArrayRecord:
    return ArrayRecord({name: Array(np.asarray(array)) for name, array in arrays.items()})


def toy_app(
    train: Callable[[Arrays, Context], tuple[Arrays, dict[str, Any]]], mods: list[Any], **evaluated: Any
) -> ClientApp:
    """A ClientApp as its users write them. `evaluated`: metrics of its evaluation."""
    app = ClientApp(mods=mods)

    @app.train()
    def training(message: Message, context: Context) -> Message:
        before = {name: array.numpy() for name, array in message.content.array_records["arrays"].items()}
        after, metrics = train(before, context)
        return Message(RecordDict({"arrays": record(after), "metrics": MetricRecord(metrics)}), reply_to=message)

    @app.evaluate()
    def evaluation(message: Message, context: Context) -> Message:
        return Message(RecordDict({"metrics": MetricRecord(evaluated)}), reply_to=message)

    return app
