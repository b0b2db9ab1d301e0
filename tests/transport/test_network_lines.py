"""Banks whose lines to the gateway are bad: rounds end with the sums of the run in memory, as if nothing had been."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from secure_fl.settings import Experiment
from tests.transport.federation import SMALL, Processes, at_work
from tests.transport.lines import Fault, Line, cut, delayed, dribbling, line
from tests.transport.test_network_run import in_memory, weights

pytestmark = pytest.mark.slow
ROUNDS = 3


@contextmanager
def over_a_line(folder: Path, fault: Fault) -> Iterator[tuple[Processes, Line]]:
    """The threshold is all banks, so that no sum is opened without the one whose line is worst."""
    settings = SMALL | {"scheme": "masked", "rounds": ROUNDS, "threshold": 3}
    parties = Processes(folder, Experiment(**settings))  # type: ignore[arg-type]
    with at_work(parties, start=()), line(parties.port, fault) as between:
        own, parties.port = parties.port, between.port
        for name in parties.parties:
            parties.start(name)
        parties.port = own
        yield parties, between


def assert_all_rounds(parties: Processes) -> None:
    parties.finish(60)
    assert parties.rounds() == list(range(ROUNDS + 1))
    for bank in parties.roster.settings.bank_names:
        assert (weights(parties, bank) == in_memory(rounds=ROUNDS)).all()


@pytest.mark.parametrize("fault", [delayed, dribbling, cut], ids=lambda fault: fault.__name__)
def test_rounds_over_a_bad_line_end_as_in_memory(tmp_path: Path, fault: Fault) -> None:
    with over_a_line(tmp_path, fault) as (parties, between):
        assert_all_rounds(parties)
        assert between.pieces > 50
        assert (between.cuts > 5) == (fault is cut)


def test_a_line_that_stands_still_for_seconds_loses_no_round(tmp_path: Path) -> None:
    """In the middle of a round, and for longer than a party that is silent is waited for."""
    with over_a_line(tmp_path, delayed) as (parties, between):
        parties.wait_for_round(1)
        with between.stalled():
            time.sleep(7)
            assert 2 not in parties.rounds()
        assert_all_rounds(parties)
