"""A committee of real processes makes a key that nobody has, and any quorum of it opens sums."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.transport.federation import Processes, federation
from tests.transport.test_network_committee import said_of
from tests.transport.test_network_run import in_memory, weights

pytestmark = pytest.mark.slow

TWO_OF_THREE: dict[str, Any] = {"scheme": "bfv", "holders": 3, "quorum": 2}


def keys_made(parties: Processes) -> list[str]:
    """By the committee, as the gateway's log has it."""
    return re.findall(r'"event": "key made", "key": "([0-9a-f]{64})"', parties.log("gateway"))


def assert_the_model_of_the_run_in_memory(parties: Processes, rounds: int) -> None:
    banks = parties.roster.settings.bank_names
    parties.finish(names=banks)
    assert sorted(set(parties.rounds())) == list(range(rounds + 1))
    for bank in banks:
        assert (weights(parties, bank) == in_memory(rounds=rounds)).all()


@pytest.mark.parametrize("scheme", ["bfv", "ckks"])
def test_a_federation_with_a_committee_ends_as_the_one_in_memory(tmp_path: Path, scheme: str) -> None:
    with federation(tmp_path, **TWO_OF_THREE | {"scheme": scheme}) as parties:
        holders = [member.name for member in parties.roster.of("holder")]
        assert holders == ["key-holder-1", "key-holder-2", "key-holder-3"]
        assert_the_model_of_the_run_in_memory(parties, 3)
        parties.finish()
        assert len(keys_made(parties)) == 1
        assert "done without" not in parties.log("gateway")


def test_one_that_is_killed_is_done_without_and_once_it_is_back_a_key_is_made_anew(tmp_path: Path) -> None:
    with federation(tmp_path, rounds=8, **TWO_OF_THREE) as parties:
        parties.wait_for_round(1)
        parties.kill("key-holder-2")
        parties.wait_for_round(3)
        assert said_of(parties, "key-holder-2") == {"it cannot be reached"}
        assert len(keys_made(parties)) == 1
        parties.start("key-holder-2")
        assert_the_model_of_the_run_in_memory(parties, 8)
        assert len(set(keys_made(parties))) == 2


def test_one_that_never_comes_back_costs_no_round(tmp_path: Path) -> None:
    with federation(tmp_path, rounds=4, **TWO_OF_THREE) as parties:
        parties.wait_for_round(1)
        parties.kill("key-holder-3")
        assert_the_model_of_the_run_in_memory(parties, 4)
        assert len(keys_made(parties)) == 1


def test_a_gateway_that_is_killed_has_a_key_made_anew(tmp_path: Path) -> None:
    with federation(tmp_path, rounds=4, **TWO_OF_THREE) as parties:
        parties.wait_for_round(2)
        parties.kill("gateway")
        parties.start_gateway()
        assert_the_model_of_the_run_in_memory(parties, 4)
        assert len(set(keys_made(parties))) == 2
