"""A key authority opens what a witness vouches for, in federations of real processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.transport.federation import Processes, federation
from tests.transport.test_network_run import in_memory, weights

pytestmark = pytest.mark.slow

WITNESSED: dict[str, Any] = {"scheme": "ckks", "witnesses": 1}


def assert_the_model_of_the_run_in_memory(parties: Processes, rounds: int) -> None:
    parties.finish()
    assert sorted(set(parties.rounds())) == list(range(rounds + 1))
    for bank in parties.roster.settings.bank_names:
        assert (weights(parties, bank) == in_memory(rounds=rounds)).all()


@pytest.mark.parametrize("scheme", ["ckks", "bfv", "rlwe"])
def test_a_federation_with_a_witness_ends_as_the_one_in_memory(tmp_path: Path, scheme: str) -> None:
    with federation(tmp_path, **WITNESSED | {"scheme": scheme}) as parties:
        assert [member.name for member in parties.roster.of("holder")] == ["key-authority", "witness-1"]
        assert_the_model_of_the_run_in_memory(parties, 3)


def test_without_its_witness_nothing_is_opened_and_with_it_again_rounds_go_on(tmp_path: Path) -> None:
    with federation(tmp_path, rounds=4, **WITNESSED) as parties:
        parties.wait_for_round(1)
        parties.kill("witness-1")
        why = parties.gateway_says(r'"event": "round failed".*"reason": "([^"]+)"')
        assert why == "witness-1 cannot be reached; without it no sum can be opened, so make a new attempt"
        parties.start("witness-1")
        assert_the_model_of_the_run_in_memory(parties, 4)


def test_two_witnesses_both_sign(tmp_path: Path) -> None:
    with federation(tmp_path, rounds=2, **WITNESSED | {"witnesses": 2}) as parties:
        assert_the_model_of_the_run_in_memory(parties, 2)
