"""What happens to disks, clocks and processes of a federation: it goes on by itself, or once the fault is gone."""

from __future__ import annotations

import json
import re
import resource
from pathlib import Path
from typing import Any

import pytest

from secure_fl.settings import Experiment
from tests.transport.dying import STAGES
from tests.transport.federation import SMALL, Processes, at_work, federation
from tests.transport.test_network_run import in_memory, weights

pytestmark = pytest.mark.slow
DYING, SKEWED = "tests.transport.dying", "tests.transport.skewed"
DAY = 86_400


def test_a_gateway_whose_disk_is_full_ends_with_a_word_and_goes_on_after_the_last_round(tmp_path: Path) -> None:
    """A limit on the size of files, below a state and above its log, is what its writes meet."""
    settings: dict[str, Any] = {"scheme": "masked", "rounds": 12, "hidden": "256-128", "local_epochs": 20}
    with federation(tmp_path, **settings) as parties:
        parties.wait_for_round(1)
        gateway = parties.running["gateway"]
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        assert gateway.wait(60) == 1
        assert re.search(r"error: .*state-\d+ could not be written", parties.log("gateway")), parties.log("gateway")[
            -500:
        ]
        done = parties.rounds()[-1]
        assert done < 12
        parties.start_gateway()
        parties.finish()
        assert parties.rounds() == list(range(13))
        assert (weights(parties, "bank-1") == in_memory(**settings)).all()


def test_of_a_damaged_checkpoint_the_one_before_is_used_and_it_is_said(tmp_path: Path) -> None:
    with federation(tmp_path, scheme="masked", rounds=8, local_epochs=20) as parties:
        parties.wait_for_round(2)
        parties.kill("gateway")
        last = max(int(path.name.rpartition("-")[2]) for path in (tmp_path / "state").glob("state-*"))
        path = tmp_path / "state" / f"state-{last}"
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        parties.start_gateway()
        parties.finish()
        assert f"state-{last} is damaged; the state before it is used" in parties.log("gateway")
        assert parties.rounds().count(last) == 2
        assert (weights(parties, "bank-1") == in_memory(rounds=8, local_epochs=20)).all()


@pytest.mark.parametrize("name", ["bank-3", "gateway"])
def test_who_is_killed_at_each_stage_of_masking_loses_no_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The threshold is all banks, so that each round waits for the one that is away, and has all in its sum."""
    monkeypatch.setenv("DIES", name)
    rounds = len(STAGES[name])
    settings = Experiment(**SMALL | {"scheme": "masked", "rounds": rounds, "threshold": 3})  # type: ignore[arg-type]
    with at_work(Processes(tmp_path, settings, DYING, gateway=DYING)) as parties:
        for number in range(1, rounds + 1):
            assert parties.running.pop(name).wait(120) == -9
            assert (tmp_path / f"{name}.died-{number}").exists()
            assert parties.rounds()[-1] == number - 1
            if name == "gateway":
                parties.start_gateway()
            else:
                parties.start(name)
        parties.finish()
        assert parties.rounds() == list(range(rounds + 1))
        assert (weights(parties, "bank-3") == in_memory(rounds=rounds)).all()


def test_clocks_that_differ_by_days_change_nothing_until_the_gateway_s_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell_the_gateway(days: float) -> None:
        clocks = {"gateway": days * DAY, "bank-1": 3 * DAY, "bank-2": -400 * DAY}
        monkeypatch.setenv("CLOCKS", json.dumps(clocks))

    tell_the_gateway(1)
    settings = {"scheme": "masked", "rounds": 8, "local_epochs": 20}
    parties = Processes(tmp_path, Experiment(**SMALL | settings), SKEWED, gateway=SKEWED)  # type: ignore[arg-type]
    with at_work(parties):
        parties.wait_for_round(1)
        parties.kill("gateway")
        done = parties.rounds()[-1]
        tell_the_gateway(0)
        parties.start_gateway()
        assert "only 0 of 3 banks" in parties.gateway_says(r'"event": "round failed".*"reason": "(.*)"')
        assert "check the clock of whoever starts federations" in parties.log("bank-1")
        assert parties.rounds()[-1] == done
        parties.kill("gateway")
        tell_the_gateway(1)
        parties.start_gateway()
        parties.finish()
        assert parties.rounds() == list(range(9))
        assert (weights(parties, "bank-2") == in_memory(**settings)).all()
