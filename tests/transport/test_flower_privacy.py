"""What leaves a bank's node: every byte that a server receives is searched, in ways that find what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("flwr", reason="needs the extra flower")

from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.serde import message_from_proto
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.serverapp.exception import InconsistentMessageReplies
from flwr.serverapp.strategy import FedAvg

from secure_fl.errors import ConfigurationError
from secure_fl.transport.flower import SecureMod, secure_mod
from secure_fl.transport.flower.memory import NodeMemory
from secure_fl.transport.flower.node import Node
from secure_fl.transport.flower.records import answer_in, order_in
from secure_fl.transport.flower.terms import Model
from secure_fl.transport.orders import MODEL
from tests.transport.flower_federation import SCHEMES, START, Federation, federated, grid_of, train, trained
from tests.transport.flower_grid import MemoryGrid, record, simulated, toy_app

pytestmark = pytest.mark.slow

WINDOW = 24
"""So many bytes in a row do not come by chance."""
LEAST = 4
"""Of which so many are not zero: zeros fill up rows of packed words."""


def forms(done: Federation, node: int) -> Iterator[bytes]:
    """A bank's update as a mistake could send it: its arrays, what they changed by, and the quantized integers."""
    after = trained(START, node - 1)
    for name in ("w", "b"):
        yield after[name].tobytes()
        difference = after[name].astype(np.float64) - START[name].astype(np.float64)
        yield difference.tobytes()
        yield difference.astype(np.float32).tobytes()
    integers = done.values(node)
    for kind in ("<u2", ">u2", "<u4", "<i8", "<f4", "<f8"):
        yield integers.astype(kind).tobytes()


def leaks(done: Federation) -> list[tuple[int, bytes]]:
    """Parts of updates that the server received."""
    received = b"".join(data for _, data in done.grid.wire.up)
    return [
        (node, window)
        for node in (1, 2, 3)
        for form in forms(done, node)
        for start in range(0, len(form) - WINDOW + 1, 8)
        if sum(map(bool, window := form[start : start + WINDOW])) >= LEAST and window in received
    ]


@pytest.mark.parametrize("scheme", ["additive", "masked", "ckks", "bfv", "rlwe"])
def test_no_byte_of_an_update_reaches_the_server(scheme: str) -> None:
    assert leaks(federated(scheme)) == []


def test_the_search_finds_an_update_in_the_clear() -> None:
    assert {node for node, _ in leaks(federated("plaintext"))} == {1, 2, 3}


def leaky(beside: Callable[[Message], dict[str, Any]]) -> Callable[..., Message]:
    """A mod with a mistake: it takes part, and lets something of the app's answer through."""

    def mod(message: Message, context: Context, call_next: Any) -> Message:
        kept: dict[str, Any] = {}

        def noted(asked: Message, state: Context) -> Message:
            reply: Message = call_next(asked, state)
            kept.update(beside(reply))
            return reply

        reply = SecureMod(schemes=SCHEMES)(message, context, noted)
        reply.content = RecordDict({**reply.content, **kept})
        return reply

    return mod


def test_the_search_finds_arrays_that_the_mod_lets_through() -> None:
    found = leaks(federated("ckks", grid_of("ckks", mod=leaky(lambda reply: {"arrays": reply.content["arrays"]}))))
    assert {node for node, _ in found} == {1, 2, 3}


def test_the_transcript_shows_what_went_beside_a_sum() -> None:
    whole = federated("masked")
    leaking = federated("masked", grid_of("masked", mod=leaky(lambda reply: {"arrays": reply.content["arrays"]})))
    beside = [[d.nbytes for d in done.strategy.transcript if d.stage == "beside"] for done in (whole, leaking)]
    assert max(beside[0]) < 100
    assert min(beside[1]) > 500


def test_what_an_error_of_the_mod_itself_says_stays_in_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> None:
        raise MemoryError("card 4111 1111 1111 1111")

    monkeypatch.setattr(Model, "encode", failing)
    done = federated("masked")
    assert done.strategy.rounds[0].left_out["bank-2"] == "its node failed (Flower's code 2)"
    assert not any(b"4111 1111" in data for _, data in done.grid.wire.up)


def test_only_metrics_that_are_declared_leave_a_node() -> None:
    done = federated("masked")
    assert done.result.train_metrics_clientapp == {1: {"loss": 0.25}}
    up = b"".join(data for _, data in done.grid.wire.up)
    assert b"loss" in up
    assert b"secret" not in up
    assert np.float64(0.123456789).tobytes() not in up
    assert sorted(trainings(done), key=lambda metrics: metrics["loss"]) == [
        {"loss": 0.0},
        {"loss": 0.25},
        {"loss": 0.5},
    ]


@pytest.mark.parametrize(
    ("settings", "weighted_by", "number"),
    [
        ({"most_examples": 1}, "num-examples", "200"),
        ({"strategy": FedAvg(weighted_by_key="secret")}, "secret", "0.1234"),
    ],
)
def test_a_number_that_cannot_be_weighed_is_not_told(settings: dict[str, Any], weighted_by: str, number: str) -> None:
    """The server says the most, so a refusal must not hold the number that it asked about."""
    grid = grid_of("masked", mod=SecureMod(weighted_by=weighted_by))
    done = federated("masked", grid, **settings)
    assert list(done.strategy.rounds[0].left_out) == ["bank-1", "bank-2", "bank-3"]
    assert number not in " ".join(done.strategy.rounds[0].left_out.values())
    assert not any(number.encode() in data for _, data in grid.wire.up)


def test_a_server_does_not_choose_what_banks_are_weighed_by() -> None:
    """It would have the sum of any count that the app returns, declared or not."""
    with pytest.raises(ConfigurationError, match="the server weighs banks by 'frauds' and this app by 'num-examples'"):
        federated("masked", strategy=FedAvg(weighted_by_key="frauds"))


def trainings(done: Federation) -> list[dict[str, Any]]:
    """The metrics beside the answers to orders to train."""
    seen = []
    for (_, asked), (_, answered) in zip(done.grid.wire.down, done.grid.wire.up, strict=True):
        found = order_in(message_from_proto(ProtoMessage.FromString(asked)))
        if found is not None and found[0].kind == MODEL:
            reply = message_from_proto(ProtoMessage.FromString(answered))
            assert list(reply.content.array_records) == ["secure_fl"]
            seen.append(dict(reply.content.metric_records["metrics"]))
    return seen


def test_the_usual_mod_forwards_no_metric() -> None:
    done = federated("masked", grid_of("masked", mod=secure_mod))
    assert done.result.train_metrics_clientapp == {1: {}}
    assert done.result.evaluate_metrics_clientapp == {1: {}}


def test_evaluation_through_the_mod_says_no_number_of_examples() -> None:
    done = federated("masked")
    assert done.result.evaluate_metrics_clientapp == {1: {"loss": 0.5}}
    last = message_from_proto(ProtoMessage.FromString(done.grid.wire.up[-1][1]))
    assert list(last.content.metric_records.values()) == [MetricRecord({"num-examples": 1, "loss": 0.5})]


def test_a_server_without_a_secure_strategy_gets_nothing() -> None:
    grid = MemoryGrid(toy_app(train, [secure_mod], loss=1.0), simulated(3))
    messages = [
        Message(RecordDict({"arrays": record(START)}), 1, "train"),
        Message(RecordDict({"arrays": record(START)}), 1, "evaluate"),
    ]
    for message in messages:
        reply = grid.deliver(1, message)
        assert "for a SecureStrategy alone" in str(answer_in(reply))
        assert list(reply.content.array_records) == ["secure_fl"]
    with pytest.raises(InconsistentMessageReplies):
        FedAvg(min_train_nodes=3, min_available_nodes=3).start(grid, record(START), num_rounds=1)


def test_queries_of_the_app_are_its_own() -> None:
    app = ClientApp(mods=[secure_mod])

    @app.query()
    def query(message: Message, context: Context) -> Message:
        return Message(RecordDict({"metrics": MetricRecord({"nodes": 1})}), reply_to=message)

    reply = MemoryGrid(app, simulated(1)).deliver(1, Message(RecordDict(), 1, "query"))
    assert reply.content.metric_records["metrics"] == {"nodes": 1}


def test_what_a_node_keeps_is_in_no_repr() -> None:
    done = federated("masked")
    node = Node.of(done.grid.context(1), ())
    assert len(node.own_key) == 32
    assert node.own_key.hex() not in repr(node)
    assert "values" not in repr(NodeMemory(done.grid.context(1)))
