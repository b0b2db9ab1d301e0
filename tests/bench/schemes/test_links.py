"""The link model, by hand."""

from __future__ import annotations

import pytest

from secure_fl.bench.measured import Measured
from secure_fl.bench.schemes.links import round_seconds, round_seconds_at


def _measured(client_seconds: float = 0.1, server_seconds: float = 0.2, decode_seconds: float = 0.3) -> Measured:
    return Measured(
        client_seconds, server_seconds, decode_seconds, 0, 0, stage_bytes=(1_000_000, 250_000), max_abs_error=0.0
    )


def test_a_round_is_computing_plus_latency_plus_bytes() -> None:
    # 0.6 s computing; 2 stages x 2 x 0.02 s; 10 million bits at 10 Mbit/s
    assert round_seconds(_measured(), 10e6) == pytest.approx(0.6 + 0.08 + 1.0)


def test_the_three_links() -> None:
    assert round_seconds_at(_measured()) == pytest.approx({"10Mbps": 1.68, "100Mbps": 0.78, "1Gbps": 0.69})


def test_without_latency_and_computing_only_bytes_remain() -> None:
    idle = _measured(0, 0, 0)
    assert round_seconds(idle, 1e6, latency=0) == pytest.approx(10.0)
