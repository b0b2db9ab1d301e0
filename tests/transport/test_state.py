"""What a gateway keeps: whole or not at all, the one before where the last is damaged, and of its own federation."""

from __future__ import annotations

import dataclasses
import errno
import os
import stat
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from secure_fl.data import Standardization
from secure_fl.errors import ConfigurationError, DamageWarning, DataError, ProtocolError, StorageError
from secure_fl.federation.global_model import GlobalModel
from secure_fl.files import alone_in
from secure_fl.secagg.transcript import Delivery
from secure_fl.settings import Experiment
from secure_fl.transport.certificates import make_certificates
from secure_fl.transport.configuration import BankFile, GatewayFile, PartyFile
from secure_fl.transport.memory import kept_turns
from secure_fl.transport.roster import Roster
from secure_fl.transport.starting_gateway import run_gateway
from secure_fl.transport.starting_party import run_bank, run_holder
from secure_fl.transport.state import State, StateStore
from tests.transport.test_orders import COHORT

ROSTER = Roster("this one", Experiment().model_dump_json(exclude_none=True), ())


def state(number: int) -> State:
    model = GlobalModel(np.arange(3, dtype=np.float32) + number, 0.5, 1000.25)
    delivery = Delivery(1, 1, "broadcast", "aggregator", "bank-1", 5, "00")
    return State(
        "this one", number, Standardization((0.1, 0.2), (1.0, 3.0)), model, (("bank-1", "bank-2"),) * number,
        (1,) * number, (delivery,) * number,
    )  # fmt: skip


def same(one: State, other: State) -> bool:
    def plain(it: State) -> State:
        return dataclasses.replace(it, model=GlobalModel(np.zeros(1, np.float32), 1.0, None))

    return plain(one) == plain(other) and one.model.digest == other.model.digest


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    kept = StateStore(tmp_path)
    for number in range(4):
        kept.save(state(number))
    return kept


def test_a_state_comes_back_as_it_was(store: StateStore) -> None:
    loaded = store.load(ROSTER)
    assert loaded is not None
    assert same(loaded, state(3))
    assert sorted(path.name for path in store.folder.iterdir()) == ["state-2", "state-3"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.folder.iterdir()} == {0o600}


def test_where_nothing_was_kept_a_federation_begins(tmp_path: Path) -> None:
    assert StateStore(tmp_path).load(ROSTER) is None


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other"])
def test_of_a_damaged_state_the_one_before_is_used_and_it_is_said(store: StateStore, damage: str) -> None:
    path = store.folder / "state-3"
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    path.write_bytes({"flip": bytes(data), "cut": bytes(data[:-5]), "empty": b"", "other": b"{}"}[damage])
    with pytest.warns(DamageWarning, match=r"state-3 is damaged; the state before it is used"):
        loaded = store.load(ROSTER)
    assert loaded is not None
    assert same(loaded, state(2))


@pytest.mark.filterwarnings("ignore::secure_fl.errors.DamageWarning")
def test_where_all_are_damaged_no_federation_begins_anew_in_silence(store: StateStore) -> None:
    for path in store.folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"every state .* name another folder as state"):
        store.load(ROSTER)


def test_another_federation_s_state_is_refused(store: StateStore) -> None:
    with pytest.raises(
        ConfigurationError, match="another federation; name another folder as state in the gateway's file"
    ):
        store.load(dataclasses.replace(ROSTER, federation="that one"))


def test_a_full_disk_leaves_the_states_before(store: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"state-4 .* name another folder as state"):
            store.save(state(4))
    loaded = store.load(ROSTER)
    assert loaded is not None
    assert same(loaded, state(3))


def test_turns_outlive_their_process_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    kept_turns(tmp_path).take(COHORT, "bank-1")
    with pytest.raises(ProtocolError, match="already took part"):
        kept_turns(tmp_path).take(COHORT, "bank-1")
    kept_turns(tmp_path).take(dataclasses.replace(COHORT, attempt=2), "bank-1")
    (tmp_path / "turns").write_bytes(b"[]")
    with pytest.raises(DataError, match="damaged"):
        kept_turns(tmp_path)


def test_a_party_s_memory_and_a_gateway_s_state_have_one_process(tmp_path: Path) -> None:
    """Two of them would each take part in an attempt, or spend a budget, as if there were no other."""
    make_certificates(tmp_path / "c", Experiment(scheme="additive"), ["localhost"])
    place, kept = tmp_path / "c", tmp_path / "kept"
    bank = BankFile(certificates=place / "bank-1", gateway="https://localhost:1", memory=kept, out=tmp_path)
    holder = PartyFile(certificates=place / "share-holder-1", gateway="https://localhost:1", memory=kept)
    gateway = GatewayFile(certificates=place / "gateway", state=kept, port=0)
    starts = (partial(run_bank, bank), partial(run_holder, holder), partial(run_gateway, gateway))
    with alone_in(kept):
        for name in ("turns", "state-1"):
            (kept / name).write_bytes(b"damaged")  # whoever gets in ends there
        for start in starts:
            with pytest.raises(ConfigurationError, match="kept is in use by another process"):
                start()
