"""What the tests of the data share: a small simulated table, files of text, and the search for leaked values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from secure_fl.data import Simulation, Transactions, simulate
from secure_fl.errors import SecureFLError

CANARY = "8675309"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ulb: downloads the real transactions")


@pytest.fixture(scope="session")
def simulated() -> Transactions:
    return simulate(Simulation(transactions=4_000, days=40, fraud_share=0.05, seed=7))


@pytest.fixture
def canary() -> str:
    """A value that stands in a bad row and must never turn up in an error."""
    return CANARY


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_file(content: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture
def assert_discreet() -> Callable[[BaseException], None]:
    """Checks that an error is one line, says what to do, and that no error in its chain holds the canary."""

    def check(error: BaseException) -> None:
        assert isinstance(error, SecureFLError)
        assert "\n" not in str(error)
        assert "; " in str(error)
        chain: list[BaseException | None] = [error]
        while chain:
            link = chain.pop()
            if link is not None:
                assert CANARY not in f"{link!s} {link!r} {link.args!r} {getattr(link, '__notes__', '')!r}"
                chain += [link.__cause__, link.__context__]

    return check
