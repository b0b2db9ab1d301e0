"""Banks and nodes of a Flower app that vanish, forget, fail or lie: a dropout with a name, and never a wrong sum."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("flwr", reason="needs the extra flower")

from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.common.serde import message_from_proto
from flwr.proto.message_pb2 import Message as ProtoMessage

from secure_fl.averaging.encoding import WEIGHT_PLACES, Weight
from secure_fl.codec.digits import digits_for
from secure_fl.codec.quantization import COUNT_BITS
from secure_fl.errors import ConfigurationError
from secure_fl.secagg.masked.wire import STAGES
from secure_fl.transport.flower import SecureMod
from secure_fl.transport.flower.records import answer_in, answer_message, order_message
from secure_fl.transport.flower.terms import Model
from secure_fl.transport.flower.trustee import answer_of_hello
from secure_fl.transport.orders import EVALUATE, HELLO, MODEL, Order
from tests.transport.flower_federation import (
    SCHEMES,
    START,
    Said,
    federated,
    grid_of,
    number_of,
    terms,
    train,
    trained,
)
from tests.transport.flower_grid import Arrays, MemoryGrid, Touch, order_of, record
from tests.transport.test_flower_sums import same

pytestmark = pytest.mark.slow


def silent_at(node: int, stage: str) -> Touch:
    """A node that answers nothing from this stage on."""

    def asked(grid: MemoryGrid, to: int, message: Message) -> Message | None:
        order = order_of(message)
        if to == node and order.facts.get("stage") == stage:
            grid.gone.add(node)
        return message

    return asked


@pytest.mark.parametrize("stage", STAGES[1:])
def test_a_bank_may_vanish_at_every_stage(stage: str) -> None:
    grid = grid_of("masked")
    grid.asked = silent_at(2, stage)
    done = federated("masked", grid)
    there = [0, 1, 2] if stage in STAGES[3:] else [0, 2]
    assert done.strategy.rounds[0].contributors == tuple(f"bank-{bank + 1}" for bank in there)
    assert same(done.arrays, done.summed("masked", there))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_bank_that_does_not_train_in_time_is_left_out(scheme: str) -> None:
    grid = grid_of(scheme)
    grid.asked = lambda grid, node, message: None if node == 1 and order_of(message).kind == MODEL else message
    done = federated(scheme, grid)
    assert done.strategy.rounds[0].left_out == {"bank-1": "it did not answer"}
    assert same(done.arrays, done.summed(scheme, [1, 2]))


def test_a_bank_that_is_away_counts_as_a_member() -> None:
    """So the rest of three can go on, and the threshold is that of three."""
    grid = grid_of("ckks")

    def asked(grid: MemoryGrid, node: int, message: Message) -> Message:
        order = order_of(message)
        if order.kind == MODEL and order.about is not None and order.about.round == 2:
            grid.gone.add(3)
        return message

    grid.asked = asked
    done = federated("ckks", grid, rounds=3, strategy=None)
    assert [each.contributors for each in done.strategy.rounds][1:] == [("bank-1", "bank-2")] * 2
    assert done.strategy.rounds[2].left_out == {"bank-3": "it did not answer"}


def test_a_round_below_the_threshold_leaves_the_model_as_it_was(said: Said) -> None:
    grid = grid_of("masked")
    grid.asked = lambda grid, node, message: None if node < 3 and order_of(message).kind == MODEL else message
    done = federated("masked", grid)
    assert len(done.result.arrays) == 0
    assert "round 1 has no sum, and the model stays as it was: too few banks have an update" in said()
    assert done.strategy.rounds[0].contributors == ()
    assert "wait for more of them" in done.strategy.rounds[0].failure


@pytest.mark.parametrize("stage", STAGES[1:3])
def test_a_node_that_was_killed_forgets_and_is_a_dropout(stage: str) -> None:
    """Its update and its secrets are gone with its state: it refuses, and the others' sum is theirs."""
    grid, times = grid_of("masked"), list[str]()

    def asked(grid: MemoryGrid, node: int, message: Message) -> Message:
        order = order_of(message)
        if node == 3 and order.facts.get("stage") == stage and not times:
            times.append(stage)
            grid.restart(3)
        return message

    grid.asked = asked
    done = federated("masked", grid, rounds=2)
    first, second = done.strategy.rounds
    assert first.contributors == ("bank-1", "bank-2")
    assert "its node was started anew" in first.left_out["bank-3"]
    assert second.contributors == ("bank-1", "bank-2", "bank-3"), "it is asked anew who it is, and has a new key"


@pytest.mark.parametrize("scheme", ["ckks", "rlwe", "additive"])
@pytest.mark.parametrize("round_", [1, 2])
def test_a_key_holder_that_is_started_anew_costs_an_attempt_or_a_round(scheme: str, round_: int) -> None:
    grid, times = grid_of(scheme), list[str]()

    def asked(grid: MemoryGrid, node: int, message: Message) -> Message:
        order = order_of(message)
        stage = order.facts.get("stage")
        if node == 4 and stage in ("decrypt", "sum_shares") and order.about.round == round_ and not times:  # type: ignore[union-attr]
            times.append(stage)
            grid.restart(4)
        return message

    grid.asked = asked
    done = federated(scheme, grid, rounds=3)
    sums = [each for each in done.strategy.rounds if each.contributors]
    assert times
    assert len(sums) >= 2
    assert done.strategy.rounds[-1].contributors == ("bank-1", "bank-2", "bank-3")
    if scheme != "additive":
        assert done.strategy.rounds[round_ - 1].attempts == 2
    assert np.isfinite(done.arrays["b"]).all()


def refusing(change: Any, metrics: dict[str, Any] | None = None) -> Any:
    """An app whose second bank returns something else."""

    def training(arrays: Arrays, context: Context) -> tuple[Arrays, dict[str, Any]]:
        after, said = train(arrays, context)
        return (change(dict(after)), {**said, **(metrics or {})}) if number_of(context) == 1 else (after, said)

    return training


def unchanged(arrays: Arrays) -> Arrays:
    return arrays


@pytest.mark.parametrize(
    ("change", "metrics", "reason"),
    [
        (lambda a: {**a, "w": a["w"] * np.float32(np.nan)}, {}, r"the update\['w'\] holds NaN or infinity"),
        (lambda a: {**a, "b": a["b"] + np.inf}, {}, r"the update\['b'\] holds NaN or infinity"),
        (lambda a: {**a, "w": a["w"].T}, {}, r"w is float32 \[4, 3\] after training and float32 \[3, 4\] in the model"),
        (lambda a: {**a, "b": a["b"].astype(np.float32)}, {}, r"b is float32 \[2\] after training"),
        (lambda a: {name: a[name] for name in a if name != "b"}, {}, "the trained arrays lack b, unlike the model"),
        (lambda a: {**a, "x": a["b"]}, {}, "the trained arrays have x, unlike the model"),
        (lambda a: {**a, "count": np.array(1 << 50)}, {}, r"count holds integers beyond \+-2\*\*40"),
        (unchanged, {"num-examples": 0}, "num-examples is no number of examples"),
        (unchanged, {"num-examples": -3}, "num-examples is no number of examples"),
        (unchanged, {"num-examples": 2.5}, "num-examples is no number of examples"),
        (unchanged, {"num-examples": float("nan")}, "num-examples is no number of examples"),
        (unchanged, {"num-examples": float("inf")}, "num-examples is no number of examples"),
        (unchanged, {"num-examples": 10**9}, "num-examples is beyond 512, the most that this federation takes"),
        (unchanged, {"num-examples": [1, 2]}, "metrics have no single number 'num-examples'"),
    ],
)
def test_what_cannot_be_averaged_is_refused_by_name(change: Any, metrics: dict[str, Any], reason: str) -> None:
    done = federated("masked", grid_of("masked", refusing(change, metrics)))
    left_out = done.strategy.rounds[0].left_out
    assert list(left_out) == ["bank-2"]
    assert re.search(reason, left_out["bank-2"]), left_out
    assert done.strategy.rounds[0].contributors == ("bank-1", "bank-3")
    assert np.abs(done.arrays["b"] - (trained(START, 0)["b"] + 3 * trained(START, 2)["b"]) / 4).max() < 1e-3


def test_what_an_app_s_error_says_stays_in_its_node() -> None:
    def raising(arrays: Arrays, context: Context) -> tuple[Arrays, dict[str, Any]]:
        if number_of(context) == 1:
            raise ValueError("card 4111 1111 1111 1111 of Ms. Example")
        return train(arrays, context)

    grid = grid_of("masked", raising)
    done = federated("masked", grid)
    assert done.strategy.rounds[0].left_out == {"bank-2": "the app's function raised ValueError"}
    assert not any(b"4111 1111" in data for _, data in grid.wire.up)


def lying(node: int, lie: Any) -> Touch:
    """A node whose answers to stages are changed on their way."""

    def answered(grid: MemoryGrid, sender: int, message: Message) -> Message:
        answer = answer_in(message)
        if sender == node and isinstance(answer, bytes) and len(answer) > 200:
            message.content = answer_message(lie(answer), message).content
        return message

    return answered


@pytest.mark.parametrize("scheme", ["masked", "ckks", "rlwe", "additive"])
@pytest.mark.parametrize(
    "lie",
    [
        lambda answer: b"",
        lambda answer: answer[:-1],
        lambda answer: answer + b"x",
        lambda answer: answer[:200] + bytes([answer[200] ^ 1]) + answer[201:],
        lambda answer: OSError("no"),
    ],
)
def test_an_answer_that_cannot_be_read_costs_its_bank_its_place(scheme: str, lie: Any) -> None:
    grid = grid_of(scheme)
    grid.answered = lying(2, lie)
    done = federated(scheme, grid)
    assert done.strategy.rounds[0].contributors == ("bank-1", "bank-3")
    assert same(done.arrays, done.summed(scheme, [0, 2]))


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.bool_])
@pytest.mark.parametrize("part", ["floats", "integers"])
def test_a_weight_that_does_not_go_with_its_values_costs_the_round(
    dtype: Any, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bank's values are at their largest and its weight is none: the mean would be where nobody's values are."""
    encode = Model.encode

    def lying(self: Model, trained: Arrays, weight: Weight | None, rng: np.random.Generator) -> Any:
        vector = encode(self, trained, weight, rng)
        floats = self.codec.sizes[0]
        if trained["w"][0] == 1:
            weights = floats + digits_for(COUNT_BITS, 16)
            vector[weights : weights + digits_for(WEIGHT_PLACES + 1, 16)] = 0
            vector[:floats] = 65535 if part == "floats" else vector[:floats]
            vector[-1] = 65535 if part == "integers" else vector[-1]
        return vector

    def training(arrays: Arrays, context: Context) -> tuple[Arrays, dict[str, Any]]:
        return {**arrays, "w": arrays["w"] + number_of(context)}, {"num-examples": 5}

    monkeypatch.setattr(Model, "encode", lying)
    start = {"w": np.zeros(2), "n": np.array([1], dtype=dtype)}
    done = federated("masked", grid_of("masked", training), start=start)
    assert "the mean lies where no bank's values can" in done.strategy.rounds[0].failure


@pytest.mark.parametrize("metrics", [{"num-examples": 1, "x": 2.0}, {"num-examples": -2, "loss": 0.5}, {}])
def test_one_bank_s_evaluation_does_not_end_the_run(metrics: dict[str, Any], said: Said) -> None:
    grid = grid_of("masked")
    kinds: list[str] = []

    def asked(grid: MemoryGrid, node: int, message: Message) -> Message:
        kinds.append(order_of(message).kind)
        return message

    def answered(grid: MemoryGrid, node: int, message: Message) -> Message:
        if node == 2 and kinds[-1] == EVALUATE:
            message.content = RecordDict({"metrics": MetricRecord(metrics)})
        return message

    grid.asked, grid.answered = asked, answered
    done = federated("masked", grid, rounds=2)
    assert [len(each.contributors) for each in done.strategy.rounds] == [3, 3]
    assert "round 2 has no evaluation, since a bank's answer does not fit the others" in said()


def test_two_nodes_of_one_name_are_both_left_out(said: Said) -> None:
    grid = grid_of("masked", configs=[{"secure-fl-name": name, "partition-id": n} for n, name in enumerate("aabcd")])
    done = federated("masked", grid)
    assert done.strategy.rounds[0].contributors == ("b", "c", "d")
    assert "nodes [1, 2] all say that they are a, and are left out" in said()


def test_a_node_that_took_another_one_s_name_leaves_nothing_behind() -> None:
    """Its key is not that bank's once it is gone, and a name that two said is not a member's."""
    configs = [{"secure-fl-name": name, "partition-id": n} for n, name in enumerate(["a", "b", "c", "d", "d"])]
    grid = grid_of("masked", configs=configs)

    def asked(grid: MemoryGrid, node: int, message: Message) -> Message:
        if order_of(message).kind == EVALUATE:
            grid.gone.add(5)
        return message

    grid.asked = asked
    first, second = federated("masked", grid, rounds=2).strategy.rounds
    assert (first.contributors, dict(first.left_out)) == (("a", "b", "c"), {})
    assert second.contributors == ("a", "b", "c", "d")


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb", "aggregator"])
def test_a_name_that_fits_nowhere_is_refused(name: str, said: Said) -> None:
    configs = [{"secure-fl-name": each, "partition-id": n} for n, each in enumerate(["a", "b", "c", name])]
    assert federated("masked", grid_of("masked", configs=configs)).strategy.rounds[0].contributors == ("a", "b", "c")
    assert "node 4 does not take part: its name does not fit into a message" in said()


def test_a_key_holder_s_node_never_trains() -> None:
    seen: list[str] = []

    def noting(arrays: Arrays, context: Context) -> tuple[Arrays, dict[str, Any]]:
        seen.append(str(context.node_config["partition-id"]))
        return train(arrays, context)

    federated("ckks", grid_of("ckks", noting), rounds=2)
    assert sorted(set(seen)) == ["0", "1", "2"]


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_costs_its_node_its_place(length: int, said: Said) -> None:
    """And not all banks theirs, whose directory it would be in."""
    grid = grid_of("masked", configs=[{"secure-fl-name": name, "partition-id": n} for n, name in enumerate("abcd")])

    def answered(grid: MemoryGrid, node: int, message: Message) -> Message:
        if node == 4 and len(grid.wire.up) <= 4:
            message.content = answer_message(answer_of_hello("d", bytes(length)), message).content
        return message

    grid.answered = answered
    assert federated("masked", grid).strategy.rounds[0].contributors == ("a", "b", "c")
    assert "node 4 does not take part: its public key has the wrong length" in said()


@pytest.mark.parametrize(("scheme", "node"), [("ckks", 4), ("rlwe", 4), ("additive", 5)])
def test_a_key_holder_s_node_never_evaluates(scheme: str, node: int) -> None:
    """Its state holds the key, and would be handed to the app's function: whoever asks."""
    grid = grid_of(scheme)
    federated(scheme, grid)
    order = Order(1, EVALUATE, None, terms(scheme, ()).facts)
    reply = grid.deliver(node, order_message(order, node, "evaluate", RecordDict({"arrays": record(START)})))
    assert reply.has_error()
    assert "holds a key and evaluates nothing" in reply.error.reason


def test_without_a_key_holder_there_is_no_round() -> None:
    configs = [{"partition-id": number, "secure-fl-name": f"bank-{number}"} for number in range(3)]
    with pytest.raises(ConfigurationError, match="ckks needs a node that is key-authority, and none says so"):
        federated("ckks", grid_of("ckks", configs=configs))


def test_nodes_without_the_mod_are_found_out_before_anything_is_trained() -> None:
    grid = grid_of("masked", mod=lambda message, context, call_next: call_next(message, context))
    with pytest.raises(ConfigurationError, match="no node takes part"):
        federated("masked", grid)
    assert not [order for order in orders(grid) if order != HELLO]


def test_a_server_that_asks_for_another_scheme_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="the server asks for plaintext and this app takes part in additive"):
        federated("plaintext", grid_of("plaintext", mod=SecureMod()))


def orders(grid: MemoryGrid) -> list[str]:
    return [order_of(message_from_proto(ProtoMessage.FromString(data))).kind for _, data in grid.wire.down]
