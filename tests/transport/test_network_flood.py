"""One bank sends the gateway as much as it can: the others finish their rounds, and no sum is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from benchmarks.flooding import flooded
from secure_fl.transport.credentials import Credentials
from secure_fl.transport.state import StateStore
from tests.transport.federation import federation
from tests.transport.test_network_run import in_memory, weights

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["requests", "bodies", "connections"])
def test_a_flood_of_one_bank_neither_stops_the_others_nor_changes_their_sums(tmp_path: Path, kind: str) -> None:
    """The bank itself is gone: whoever has its certificate and key floods in its name."""
    settings: dict[str, Any] = {"scheme": "masked", "banks": 4, "rounds": 6}
    with federation(tmp_path, extra="requests_per_second = 50", **settings) as parties:
        parties.wait_for_round(1)
        parties.kill("bank-4")
        with flooded(tmp_path / "certificates" / "bank-4", parties.port, kind):
            parties.wait_for_round(6)
            throttled = throttled_parties(parties.port, tmp_path / "certificates" / "bank-1")
        parties.finish(names=["bank-1", "bank-2", "bank-3"])
        last = StateStore(tmp_path / "state").load(parties.roster)
        assert last is not None
        missed = tuple(
            f"bank-4@{n}:masked_input" for n, there in enumerate(last.contributors, 1) if "bank-4" not in there
        )
        assert all({"bank-1", "bank-2", "bank-3"} <= set(there) for there in last.contributors)
        assert (weights(parties, "bank-1") == in_memory(**settings, drop=missed)).all()
    assert throttled <= {"bank-4"}
    assert throttled or kind == "connections"  # which are slow by themselves


def throttled_parties(port: int, folder: Path) -> set[str]:
    context = Credentials.read(folder, "bank").client_context()
    with httpx2.Client(base_url=f"https://localhost:{port}", verify=context, trust_env=False) as client:
        return set(re.findall(r'throttled_requests_total{party="([^"]+)"}', client.get("/metrics").text))
