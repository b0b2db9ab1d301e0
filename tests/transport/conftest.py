"""What tests of several files here ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """The log of secure_fl in Flower."""
    from tests.transport.flower_federation import listening  # where Flower is there

    yield from listening(caplog)
