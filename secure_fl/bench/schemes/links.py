"""From seconds and bytes to the time of a round, by a simple model of the network.

Every bank, and a key holder if there is one, has a link of its own to the aggregator, and all links work at the same
time; the aggregator's own connection is never the bottleneck. A stage takes one message there and one back: twice the
one-way latency, plus the bytes of both at the rate of the link, for the party that has most to carry. Banks compute at
the same time, each on a machine like this one; computing and sending do not overlap.
"""

from __future__ import annotations

from secure_fl.bench.measured import Measured

LINKS = {"10Mbps": 10e6, "100Mbps": 100e6, "1Gbps": 1e9}
"""Bits per second, the same in both directions."""
LATENCY = 0.020
"""Seconds one way."""


def round_seconds(measured: Measured, bits_per_second: float, latency: float = LATENCY) -> float:
    """How long a round takes over such links."""
    computing = measured.client_seconds + measured.server_seconds + measured.decode_seconds
    travelling = sum(2 * latency + 8 * nbytes / bits_per_second for nbytes in measured.stage_bytes)
    return computing + travelling


def round_seconds_at(measured: Measured) -> dict[str, float]:
    """`round_seconds` for each of `LINKS`."""
    return {name: round_seconds(measured, rate) for name, rate in LINKS.items()}
