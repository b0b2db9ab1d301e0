"""A server that does not say the same to all: one bank's update must not become the whole of a sum that way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("flwr", reason="needs the extra flower")

from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from secure_fl.errors import ConfigurationError
from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.transport.flower import SecureStrategy
from secure_fl.transport.flower.keys import pack_directory
from secure_fl.transport.flower.records import answer_in, order_in, order_message
from secure_fl.transport.flower.terms import Terms
from secure_fl.transport.orders import ASK, MODEL, Order
from secure_fl.transport.server_halves import server_half
from tests.transport.flower_federation import START, federated, grid_of
from tests.transport.flower_grid import MemoryGrid, order_of, record
from tests.transport.test_flower_replays import finished, refusal


def other_bytes_order(content: RecordDict) -> None:
    """Other numbers in the same bytes."""
    arrays = {name: array.numpy() for name, array in content.array_records["arrays"].items()}
    content["arrays"] = record({name: array.view(array.dtype.newbyteorder(">")) for name, array in arrays.items()})


def other_configuration(content: RecordDict) -> None:
    content["config"] = ConfigRecord({**content.config_records["config"], "lr": 0.0})


def other_metrics(content: RecordDict) -> None:
    content["beside"] = MetricRecord({"lr": [0.0]})


@pytest.mark.parametrize("change", [other_bytes_order, other_configuration, other_metrics])
@pytest.mark.parametrize("scheme", ["masked", "ckks"])
def test_a_bank_that_is_told_something_else_takes_no_part(scheme: str, change: Any) -> None:
    """One bank that trains as usual, among others that were told to learn nothing, would be the whole sum."""
    grid = grid_of(scheme)

    def asked(grid: MemoryGrid, node: int, message: Message) -> Message:
        if node == 2 and order_of(message).kind == MODEL:
            change(message.content)
        return message

    grid.asked = asked
    done = federated(scheme, grid)
    assert done.strategy.rounds[0].left_out == {
        "bank-2": "bank-2 received another model or configuration than its cohort"
    }


def test_a_bank_whose_app_is_to_do_something_else_takes_no_part() -> None:
    grid = grid_of("masked")

    def asked(grid: MemoryGrid, node: int, message: Message) -> Message:
        if node == 2 and order_of(message).kind == MODEL:
            message.metadata.message_type = "evaluate"
        return message

    grid.asked = asked
    assert "another model or configuration" in federated("masked", grid).strategy.rounds[0].left_out["bank-2"]


class Unequal(FedAvg):
    """It tells each node something of its own."""

    def configure_train(self, server_round: int, arrays: Any, config: ConfigRecord, grid: Grid) -> Iterable[Message]:
        asked = super().configure_train(server_round, arrays, config, grid)
        return [
            Message(RecordDict({"arrays": arrays, "config": ConfigRecord({"lr": 0.1 * number})}), node, "train")
            for number, node in enumerate(message.metadata.dst_node_id for message in asked)
        ]


def test_a_strategy_that_does_not_tell_all_banks_the_same_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="the strategy sends banks different configurations"):
        federated("masked", strategy=Unequal())


def test_all_that_a_configuration_can_hold_is_told_alike() -> None:
    """Before it travels and after."""
    all_kinds: dict[str, Any] = {"b": b"x", "f": np.float64(0.1), "i": -1, "t": True, "s": "é", "l": [b"x"], "m": [0.5]}
    secure = SecureStrategy(FedAvg(), "masked", most_examples=512)
    secure.start(grid_of("masked"), record(START), num_rounds=1, train_config=ConfigRecord(all_kinds))
    assert secure.rounds[0].contributors == ("bank-1", "bank-2", "bank-3")


@pytest.mark.parametrize(
    "other", [{"scheme": "additive"}, {"banks": ["bank-1", "x", "y"]}, {"threshold": 3}, {"clip": 2.0}]
)
def test_the_terms_of_a_sum_are_those_that_a_bank_trained_under(other: dict[str, Any]) -> None:
    """Else a server could say one scheme while it trains, and sum by another one, to keys of its own."""
    done, noted = finished("ckks")
    order, keys = order_in(noted.last(1, MODEL)) or pytest.fail("no order")
    assert order.about is not None
    about, facts = replace(order.about, attempt=2), {"terms": {**order.facts["terms"], **other}}
    if other.get("scheme") == "additive":
        keys = pack_directory({name: AgreementKey().public for name in ("share-holder-1", "share-holder-2")})
    cohort = Terms.of(facts).cohort_of(about)
    body = next(server_half(cohort)).requests["bank-1"] if other.get("scheme") else order.body
    again = order_message(Order(99, ASK, about, facts, body), 1, "train", None, keys)
    assert "an update for a sum under other terms" in refusal(answer_in(done.grid.deliver(1, again)))
