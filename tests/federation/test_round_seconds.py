"""Where the seconds of a round go, and how they and the bytes are told: with a clock that only slow parties move."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from secure_fl import Experiment, Result, federation, run_federation
from secure_fl.cli.summary import print_summary
from secure_fl.codec.quantization import QuantizedCodec
from secure_fl.federation.bank import Bank
from secure_fl.federation.results import Seconds
from secure_fl.secagg import SCHEMES
from secure_fl.secagg.protocol import Outcome, Party, run_protocol

if TYPE_CHECKING:
    from tests.conftest import FakeClock

Small = Callable[..., Experiment]
TRAIN, DECODE, TRUSTEE, SERVE = 100, 1_000, 20_000, 300_000
ENCODE = {"bank-1": 1_000_000, "bank-2": 2_000_000, "bank-3": 90_000_000}
ANSWER = 7


@pytest.fixture
def slow_round(monkeypatch: pytest.MonkeyPatch, clock: FakeClock, small: Small) -> Callable[..., Seconds]:
    """The seconds of a first round in which everybody takes time."""

    class SlowParty:
        def __init__(self, name: str, party: Party) -> None:
            self._name, self._party = name, party

        def respond(self, request: bytes) -> bytes:
            clock.spend(self._name, ANSWER if self._name in ENCODE else TRUSTEE)
            return self._party.respond(request)

    def slow_server(server: Any) -> Any:
        clock.spend("server", SERVE)
        return (yield from server)

    def slow_protocol(cohort: Any, server: Any, parties: Mapping[str, Party], *more: Any, **named: Any) -> Outcome:
        slow = {name: SlowParty(name, party) for name, party in parties.items()}
        return run_protocol(cohort, slow_server(server), slow, *more, **named)

    def slow(kind: type, method: str, spend: Callable[[Any], None]) -> None:
        original = getattr(kind, method)

        def slowed(self: Any, *arguments: Any) -> Any:
            spend(self)
            return original(self, *arguments)

        monkeypatch.setattr(kind, method, slowed)

    slow(Bank, "train", lambda bank: clock.spend("training", TRAIN))
    slow(Bank, "encode", lambda bank: clock.spend(bank.name, ENCODE[bank.name]))
    slow(QuantizedCodec, "decode", lambda codec: clock.spend("decode", DECODE))
    monkeypatch.setattr("secure_fl.federation.aggregation.run_protocol", slow_protocol)
    monkeypatch.setattr(federation, "run_round", partial(federation.run_round, clock=clock))

    def seconds(**settings: Any) -> Seconds:
        return run_federation(small(rounds=1, **settings)).rounds[0].seconds

    return seconds


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_second_of_a_round_is_charged_to_who_spent_it(scheme: str, slow_round: Callable[..., Seconds]) -> None:
    assert slow_round(scheme=scheme) == Seconds(
        train=3 * TRAIN,
        client=ENCODE["bank-2"] + len(SCHEMES[scheme].stages) * ANSWER,
        server=SERVE,
        decode=DECODE + len(SCHEMES[scheme].trustees) * TRUSTEE,
    )


def test_who_dropped_out_is_not_among_the_clients(slow_round: Callable[..., Seconds]) -> None:
    found = slow_round(scheme="bfv", drop=("bank-3@1:upload",))
    assert found.client == (ENCODE["bank-1"] + ENCODE["bank-2"]) / 2 + ANSWER


def test_the_terminal_tells_a_round_in_kilobytes_of_a_thousand_bytes(
    run_small: Callable[..., Result], capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_small(rounds=1, scheme="plaintext")
    print_summary(result, Path("somewhere"))
    last = result.rounds[-1]
    up, down = (next(iter(each.values())) / 1000 for each in (last.upload_bytes, last.download_bytes))
    client, server = 1000 * last.seconds.client, 1000 * last.seconds.server
    said = f"one bank, one round: {up:.1f} kB up, {down:.1f} kB down, {client:.1f} ms; aggregator {server:.1f} ms"
    assert said in " ".join(capsys.readouterr().out.split())
