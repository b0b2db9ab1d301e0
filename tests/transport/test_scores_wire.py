"""A customer is held by no service: one that drips its answer is given up, as one that does not answer."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import httpx2
import pytest

from secure_fl.errors import ProtocolError
from secure_fl.transport.scores.wire import ANSWER_SECONDS, Patience, Wire
from tests.transport.test_post import Clock


@pytest.mark.parametrize("pause", [1.0, 30.0, 299.0])
def test_an_answer_that_drips_is_given_up(pause: float) -> None:
    clock, patience = Clock(), 120.0

    def drip(request: httpx2.Request) -> httpx2.Response:
        def body() -> Iterator[bytes]:
            for _ in range(1_000):
                clock.now += pause
                yield b"x"

        return httpx2.Response(200, content=body())

    wire = Wire(
        "https://localhost:1",
        ssl.create_default_context(),
        lambda said: None,
        Patience(patience, sleep=lambda seconds: None, clock=clock),
    )
    wire.close()
    wire._client = httpx2.Client(base_url="https://localhost:1", transport=httpx2.MockTransport(drip))
    with pytest.raises(ProtocolError, match=r"no answer from .* for 120 s \(ReadTimeout\)"):
        wire.plan(5_000)
    assert clock.now <= patience + 2 * (ANSWER_SECONDS + pause)
    wire.close()
