"""What the figures of the peers contain. Their libraries are replaced by ones that only spend time and keep count."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from numpy.typing import NDArray

from secure_fl.bench.peers import PEERS, tenseal_tutorial

if TYPE_CHECKING:
    from tests.conftest import FakeClock

Import = Callable[[str, Sequence[str]], Any]
UPDATES = [np.full(5_000, value) for value in (1.0, 2.0, 9.0)]


def test_every_peer_gets_its_updates_and_the_clock(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    given: list[tuple[Any, Any]] = []
    module = SimpleNamespace(make_subject=lambda *arguments: given.append(arguments))
    monkeypatch.setattr("secure_fl.bench.peers.import_module", lambda name: module)
    for peer in PEERS.values():
        peer.subject(UPDATES, clock)
    assert given == [(UPDATES, clock)] * len(PEERS)


# TenSEAL: whoever made or loaded a vector is charged for what is done with it.

ENCRYPT, SERIALIZE, LOAD, ADD, DECRYPT = 1, 20, 300, 4_000, 50_000


class FakeVector:
    def __init__(self, clock: FakeClock, owner: str, values: NDArray[np.float64]) -> None:
        self._clock, self._owner, self._values = clock, owner, values

    def serialize(self) -> bytes:
        self._clock.spend(self._owner, SERIALIZE)
        return self._values.tobytes()

    def add_(self, other: FakeVector) -> None:
        self._clock.spend(self._owner, ADD)
        self._values = self._values + other._values

    def decrypt(self) -> list[float]:
        self._clock.spend(self._owner, DECRYPT)
        return [float(value) for value in self._values]


class FakeContext:
    def __init__(self, holder: str) -> None:
        self.holder = holder

    def copy(self) -> FakeContext:
        return FakeContext("server")

    def make_context_public(self) -> None: ...


@pytest.fixture
def tutorial(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The peer over a TenSEAL that encrypts slower for a client with larger values."""

    def ckks_vector(context: FakeContext, values: list[float]) -> FakeVector:
        clock.spend(f"client {values[0]:.0f}", int(ENCRYPT * values[0]))
        return FakeVector(clock, f"client {values[0]:.0f}", np.array(values))

    def ckks_vector_from(context: FakeContext, data: bytes) -> FakeVector:
        clock.spend(context.holder, LOAD)
        return FakeVector(clock, context.holder, np.frombuffer(data))

    fake = MagicMock(ckks_vector=ckks_vector, ckks_vector_from=ckks_vector_from)
    fake.context.return_value = FakeContext("key holder")
    monkeypatch.setattr(tenseal_tutorial, "ts", fake)
    return tenseal_tutorial.make_subject(UPDATES, clock)


def test_tenseal_is_charged_for_loading_adding_and_opening(tutorial: Any, clock: FakeClock) -> None:
    found = tutorial.measure_round(1)
    vectors = 2  # of 4,096 values at most
    assert found.client_seconds == clock.spent["client 2"] == vectors * (2 * ENCRYPT + SERIALIZE)
    assert found.server_seconds == clock.spent["server"] == vectors * (3 * LOAD + 2 * ADD + SERIALIZE)
    assert found.decode_seconds == clock.spent["key holder"] == vectors * (LOAD + DECRYPT)
    assert (found.upload_bytes, found.stage_bytes) == (8 * 5_000, (8 * 5_000, 2 * 8 * 5_000))
    assert found.max_abs_error == 0


@pytest.fixture
def import_over(monkeypatch: pytest.MonkeyPatch) -> Import:
    """Imports a peer's module over stand-ins for the modules of its library."""

    def over(peer: str, names: Sequence[str]) -> Any:
        for name in names:
            package, _, last = name.rpartition(".")
            monkeypatch.setitem(sys.modules, name, MagicMock())
            if package:
                setattr(sys.modules[package], last, sys.modules[name])
        monkeypatch.delitem(sys.modules, f"secure_fl.bench.peers.{peer}", raising=False)
        module = import_module(f"secure_fl.bench.peers.{peer}")
        monkeypatch.delitem(sys.modules, f"secure_fl.bench.peers.{peer}")
        return module

    return over


def parents(names: Iterable[str]) -> list[str]:
    """The names with every package above them, packages first."""
    return sorted(
        {".".join(parts[:n]) for name in names for parts in [name.split(".")] for n in range(1, len(parts) + 1)}
    )


NVFLARE = parents(
    f"nvflare.{name}"
    for name in (
        "apis.dxo",
        "apis.event_type",
        "apis.fl_constant",
        "apis.fl_context",
        "apis.utils.decomposers.flare_decomposers",
        "app_common.abstract.model",
        "app_common.app_constant",
        "app_common.decomposers.common_decomposers",
        "app_opt.he.intime_accumulate_model_aggregator",
        "app_opt.he.model_decryptor",
        "app_opt.he.model_encryptor",
        "app_opt.he.model_shareable_generator",
        "fuel.sec.security_content_service",
        "fuel.utils.fobs",
        "lighter.impl.he",
    )
)
PROCESS, DUMPS, LOADS, ACCEPT, AGGREGATE, GENERATE, OPEN, UNPACK = (10**n for n in range(8))


def test_nvflare_is_charged_for_every_step_where_it_is_taken(
    import_over: Import, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def takes(seconds: int, result: Any = None) -> Callable[..., Any]:
        def work(*_: object, **__: object) -> Any:
            clock.spend("nvflare", seconds)
            return MagicMock() if result is None else result

        return work

    peer = import_over("nvflare_he", NVFLARE)
    monkeypatch.setattr(peer, "_provision", lambda workspace: None)
    peer.fobs.dumps, peer.fobs.loads = takes(DUMPS, b"12345"), takes(LOADS)
    peer.HEModelEncryptor().process = takes(PROCESS)
    peer.HEModelDecryptor().process = takes(OPEN)
    peer.HEInTimeAccumulateWeightedAggregator().accept = takes(ACCEPT)
    peer.HEInTimeAccumulateWeightedAggregator().aggregate = takes(AGGREGATE)
    peer.HEModelShareableGenerator().shareable_to_learnable = takes(GENERATE)
    peer.HEModelShareableGenerator().learnable_to_shareable = takes(GENERATE)
    peer.from_shareable = takes(UNPACK, SimpleNamespace(data={"t0": np.full(5_000, 4.0)}))
    found = peer.make_subject(UPDATES, clock).measure_round(1)
    assert found.client_seconds == PROCESS + DUMPS
    assert found.server_seconds == 3 * (LOADS + ACCEPT) + AGGREGATE + 2 * GENERATE + DUMPS
    assert found.decode_seconds == LOADS + OPEN + UNPACK
    assert (found.upload_bytes, found.download_bytes, found.stage_bytes) == (5, 5, (10,))
    assert found.max_abs_error == 0


FLOWER = parents(
    f"flwr.{name}"
    for name in (
        "app",
        "client.mod.secure_aggregation.secaggplus_mod",
        "common.serde",
        "compat.common.recorddict_compat",
        "proto.message_pb2",
        "server.client_manager",
        "server.compat.grid_client_proxy",
        "server.compat.legacy_context",
        "server.strategy",
        "server.workflow.constant",
        "server.workflow.secure_aggregation.secaggplus_workflow",
        "supercore.task_identity",
    )
)
PACK, READ, SERVE, DEQUANTIZE = 100_000, 2_000_000, 30_000_000, 400_000_000
MOD = {1: 1, 2: 20, 3: 900}
STAGES = 4


def test_flowers_server_is_charged_without_its_clients_and_up_to_its_sum(import_over: Import, clock: FakeClock) -> None:
    peer = import_over("flower_secagg", FLOWER)

    def packed(message: Any) -> Any:
        clock.spend("packing", PACK)
        return SimpleNamespace(SerializeToString=lambda: b"1234567")

    def read(message: Any) -> Any:
        clock.spend("reading", READ)
        return MagicMock()

    def mod(message: Any, context: int, train: Any) -> Any:
        clock.spend(f"client {context}", MOD[context])
        return MagicMock()

    def workflow(grid: Any, context: Any) -> None:
        for _ in range(STAGES):
            clock.spend("server", SERVE)
            messages = [MagicMock(metadata=SimpleNamespace(dst_node_id=node)) for node in MOD]
            assert len(grid.send_and_receive(messages)) == 3
        clock.spend("server", SERVE)
        peer.workflow_module.dequantize()

    def dequantize() -> None:
        clock.spend("decode", DEQUANTIZE)

    peer.message_to_proto, peer.message_from_proto, peer.secaggplus_mod = packed, read, mod
    peer._context, peer.parameters_to_ndarrays = (lambda node: node or MagicMock()), lambda _: (np.full(5_000, 4.0),)
    peer.workflow_module.SecAggPlusWorkflow = lambda **_: workflow
    peer.workflow_module.dequantize = dequantize
    found = peer.make_subject(UPDATES, clock).measure_round(1)
    assert found.client_seconds == STAGES * (READ + MOD[2] + PACK)
    assert found.server_seconds == (STAGES + 1) * SERVE + STAGES * 3 * (PACK + READ)
    assert found.decode_seconds == DEQUANTIZE
    assert (found.upload_bytes, found.download_bytes) == (STAGES * 7, STAGES * 7)
    assert found.stage_bytes == (14,) * STAGES
    assert found.max_abs_error == 0
    assert peer.workflow_module.dequantize is dequantize
