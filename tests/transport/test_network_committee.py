"""Any two of three share-holders open the sums of a federation of real processes, whatever happens to the third."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.transport.federation import Processes, federation
from tests.transport.test_network_run import in_memory, weights

pytestmark = pytest.mark.slow

TWO_OF_THREE: dict[str, Any] = {"scheme": "additive", "holders": 3, "quorum": 2, "rounds": 6}


def assert_the_model_of_the_run_in_memory(parties: Processes) -> None:
    banks = parties.roster.settings.bank_names
    parties.finish(names=banks)
    for bank in banks:
        assert (weights(parties, bank) == in_memory(rounds=6)).all()


def said_of(parties: Processes, holder: str) -> set[str]:
    """Why sums were opened without it, as the gateway's log has it."""
    lines = [json.loads(line) for line in parties.log("gateway").splitlines() if '"event": "done without"' in line]
    return {line["reason"] for line in lines if line["party"] == holder}


def test_three_share_holders_are_in_the_roster_and_a_sum_needs_two(tmp_path: Path) -> None:
    with federation(tmp_path, **TWO_OF_THREE) as parties:
        holders = [member.name for member in parties.roster.of("holder")]
        assert holders == ["share-holder-1", "share-holder-2", "share-holder-3"]
        assert len({member.public for member in parties.roster.of("holder")}) == 3
        parties.finish()
        assert_the_model_of_the_run_in_memory(parties)
        assert said_of(parties, "share-holder-1") == set()


def test_one_that_is_killed_for_good_is_done_without_and_named(tmp_path: Path) -> None:
    with federation(tmp_path, extra="status_port = 0\n", **TWO_OF_THREE) as parties:
        url = parties.gateway_says(r'"event": "status page".*"url": "([^"]+)"')
        parties.wait_for_round(1)
        parties.kill("share-holder-2")
        assert_the_model_of_the_run_in_memory(parties)
        assert said_of(parties, "share-holder-2") == {"it cannot be reached"}
        assert sorted(set(parties.rounds())) == list(range(7))
        with urllib.request.urlopen(url, timeout=30) as answer:
            page = answer.read().decode()
        assert "<strong>share-holder-2</strong> was left out or refused: it cannot be reached" in page


def test_one_that_is_killed_in_the_middle_of_a_round_is_done_without(tmp_path: Path) -> None:
    with federation(tmp_path, **TWO_OF_THREE) as parties:
        parties.wait_for_round(1)
        parties.pause("share-holder-1")  # it has its order, and answers it no more
        parties.wait_for_round(2)
        parties.kill("share-holder-1")
        assert_the_model_of_the_run_in_memory(parties)
        assert said_of(parties, "share-holder-1") == {"it cannot be reached"}


def test_where_two_are_killed_a_round_fails_with_both_names_and_goes_on_when_one_is_back(tmp_path: Path) -> None:
    with federation(tmp_path, **TWO_OF_THREE) as parties:
        parties.wait_for_round(1)
        for name in ("share-holder-1", "share-holder-3"):
            parties.kill(name)
        why = parties.gateway_says(r'"event": "round failed".*"reason": "([^"]+)"')
        assert why == (
            "share-holder-1 cannot be reached, share-holder-3 cannot be reached, so that too few answer; see to it "
            "that more do, and make a new attempt"
        )
        parties.start("share-holder-3")
        assert_the_model_of_the_run_in_memory(parties)


def test_one_that_is_killed_again_and_again_and_comes_back_spoils_no_round(tmp_path: Path) -> None:
    with federation(tmp_path, **TWO_OF_THREE) as parties:
        for number in (1, 2, 3, 4):
            parties.wait_for_round(number)
            parties.kill("share-holder-3")
            parties.start("share-holder-3")
        parties.finish()
        assert_the_model_of_the_run_in_memory(parties)
