"""A server that does not say the same to all: one bank's update must not become the whole of a sum that way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("flwr", reason="needs the extra flower")

from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from secure_fl.errors import ConfigurationError
from secure_fl.transport.flower import SecureStrategy
from secure_fl.transport.orders import MODEL
from tests.transport.flower_federation import START, federated, grid_of
from tests.transport.flower_grid import MemoryGrid, order_of, record


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
