"""Whoever is killed in the middle of a federation, no finished round is lost and no sum is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.transport.federation import federation
from tests.transport.test_network_run import in_memory, weights

pytestmark = pytest.mark.slow


def test_a_gateway_that_is_killed_goes_on_after_the_last_round(tmp_path: Path) -> None:
    with federation(tmp_path, scheme="ckks", rounds=4) as parties:
        for number in (1, 2):
            parties.wait_for_round(number)
            parties.kill("gateway")
            parties.start_gateway()
        parties.finish()
        assert sorted(set(parties.rounds())) == [0, 1, 2, 3, 4]
        assert (weights(parties, "bank-1") == in_memory(rounds=4)).all()


def test_a_key_authority_that_is_killed_comes_back_with_another_key(tmp_path: Path) -> None:
    with federation(tmp_path, scheme="ckks", rounds=4) as parties:
        parties.wait_for_round(1)
        parties.kill("key-authority")
        parties.start("key-authority")
        parties.finish()
        assert (weights(parties, "bank-2") == in_memory(rounds=4)).all()


def test_the_others_go_on_without_a_bank_that_is_killed_and_with_it_when_it_is_back(tmp_path: Path) -> None:
    with federation(tmp_path, scheme="masked", rounds=8) as parties:
        parties.wait_for_round(1)
        parties.kill("bank-3")
        parties.wait_for_round(3)
        parties.start("bank-3")
        parties.finish()
        assert (weights(parties, "bank-3") == weights(parties, "bank-1")).all()


def test_a_federation_goes_on_without_a_bank_that_was_revoked_before_it_began(tmp_path: Path) -> None:
    with federation(tmp_path, scheme="masked", rounds=2, revoked=("bank-3",)) as parties:
        parties.start("bank-3")
        assert parties.running.pop("bank-3").wait(60) == 2
        assert "is not in the roster" in parties.log("bank-3")
        parties.finish()
        assert parties.rounds() == [0, 1, 2]
        assert (weights(parties, "bank-1") == weights(parties, "bank-2")).all()
