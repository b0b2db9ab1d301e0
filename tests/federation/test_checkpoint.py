"""The state of an unfinished run: whole or absent, exact, and refused where it is damaged."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment
from secure_fl.data import Standardization
from secure_fl.data.metrics import Scores
from secure_fl.errors import ConfigurationError, DamageWarning, DataError, StorageError
from secure_fl.federation.checkpoint import Checkpoint, Snapshot
from secure_fl.federation.global_model import GlobalModel
from secure_fl.federation.results import Exhibit, RoundRecord, Seconds
from secure_fl.files import sealed, unsealed
from secure_fl.privacy.ledger import LEDGER
from secure_fl.secagg.transcript import Delivery

RECORD = RoundRecord(
    round=1,
    contributors=("bank-1", "bank-3"),
    dropped=("bank-2",),
    attempts=2,
    refused={"bank-2": "its upload is truncated"},
    auprc=0.1 + 0.2,
    roc_auc=1 / 3,
    upload_bytes={"bank-1": 7, "bank-3": 8},
    download_bytes={"bank-3": 9, "bank-1": 10},
    max_abs_error=5e-324,
    quantization_step=None,
    clipped_fraction=None,
    seconds=Seconds(0.1, 0.2, 0.3, 0.4),
    epsilon=2.9999999999999996,
    excluded=("bank-3",),
    byzantine=("bank-1", "bank-3"),
)


@pytest.fixture
def snapshot() -> Snapshot:
    rng = np.random.default_rng(1)
    return Snapshot(
        standardization=Standardization((0.1, -1e300), (0.0, 5e-324)),
        model=GlobalModel(rng.normal(size=50).astype(np.float32), clip=0.1 + 0.2, mean_examples=1000 / 3),
        rounds=(RECORD, replace(RECORD, round=2, epsilon=None, clipped_fraction=0.25)),
        scores=Scores(0.25, 0.5, 3),
        exhibit=Exhibit("bank-1", np.ones(3, dtype=np.float32), b"\x00\xff", 99, None),
        deliveries=(Delivery(0, 1, "upload", "bank-1", "aggregator", 12, "ab" * 32),),
        residuals={"bank-1": rng.normal(size=50), "bank-2": None},
    )


def test_everything_comes_back_exactly(snapshot: Snapshot) -> None:
    again = Snapshot.from_json(snapshot.to_json())
    assert (again.standardization, again.rounds, again.scores, again.deliveries) == (
        snapshot.standardization,
        snapshot.rounds,
        snapshot.scores,
        snapshot.deliveries,
    )
    assert list(again.rounds[0].download_bytes) == ["bank-3", "bank-1"]
    assert again.model.digest == snapshot.model.digest
    assert again.model.weights.dtype == np.float32
    assert again.exhibit.aggregator_reads is None
    assert (again.exhibit.message, again.exhibit.message_bytes) == (b"\x00\xff", 99)
    assert np.array_equal(again.exhibit.update, snapshot.exhibit.update)
    first, kept = again.residuals["bank-1"], snapshot.residuals["bank-1"]
    assert first is not None
    assert kept is not None
    assert first.dtype == np.float64
    assert first.tobytes() == kept.tobytes()
    assert again.residuals["bank-2"] is None
    assert again.to_json() == snapshot.to_json()


def test_what_the_aggregator_read_comes_back(snapshot: Snapshot) -> None:
    read = np.array([0.1, -2.0], dtype=np.float32)
    kept = replace(snapshot, exhibit=replace(snapshot.exhibit, aggregator_reads=read))
    again = Snapshot.from_json(kept.to_json()).exhibit.aggregator_reads
    assert again is not None
    assert (again.dtype, again.tobytes()) == (read.dtype, read.tobytes())


def test_every_field_is_kept(snapshot: Snapshot) -> None:
    assert set(json.loads(snapshot.to_json())) == {"version", *Snapshot.__dataclass_fields__}
    assert asdict(Snapshot.from_json(snapshot.to_json()).rounds[0]) == asdict(RECORD)


def test_repr_shows_no_arrays_of_a_bank(snapshot: Snapshot) -> None:
    assert "residuals" not in repr(snapshot)


STATE = "state-2"
"""Of the fixture's two rounds."""


@pytest.fixture
def checkpoint(tmp_path: Path, snapshot: Snapshot) -> Checkpoint:
    done = Checkpoint.of_results(tmp_path / "run")
    done.start(Experiment(rounds=3))
    done.save(snapshot)
    return done


def loaded(checkpoint: Checkpoint) -> Snapshot:
    """The state, where nothing is wrong with it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        snapshot = checkpoint.load()
    assert snapshot is not None
    return snapshot


def test_it_lies_beside_the_results_until_they_are_there(checkpoint: Checkpoint, tmp_path: Path) -> None:
    assert [path.name for path in tmp_path.iterdir()] == ["run.unfinished"]
    assert {path.name for path in checkpoint.folder.iterdir()} == {"experiment.toml", "run", STATE}
    again = Checkpoint.of_results(tmp_path / "run", resume=True)
    assert again.settings() == Experiment(rounds=3)
    assert loaded(again).scores == Scores(0.25, 0.5, 3)
    again.remove()
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_run_is_not_overwritten(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="unfinished run; "):
        Checkpoint.of_results(tmp_path / "run")


def test_there_must_be_something_to_go_on_with(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no unfinished run"):
        Checkpoint.of_results(tmp_path / "run", resume=True)
    (tmp_path / "run.unfinished").mkdir()
    with pytest.raises(ConfigurationError, match=r"no unfinished run.*; start one"):
        Checkpoint.of_results(tmp_path / "run", resume=True)


def test_a_run_goes_on_from_its_very_beginning(tmp_path: Path) -> None:
    """Killed before its first round, it has a name all the same, under which it is counted."""
    Checkpoint.of_results(tmp_path / "run").start(Experiment(rounds=3))
    again = Checkpoint.of_results(tmp_path / "run", resume=True)
    assert (again.can_resume, again.settings()) == (False, Experiment(rounds=3))
    assert again.run == Checkpoint.of_results(tmp_path / "run", resume=True).run
    Checkpoint.of_results(tmp_path / "two").start(Experiment(rounds=3))
    assert again.run != Checkpoint.of_results(tmp_path / "two", resume=True).run


def test_what_a_crash_left_before_the_name_is_no_run(tmp_path: Path) -> None:
    begun = Checkpoint.of_results(tmp_path / "run")
    begun.start(Experiment())
    (begun.folder / "run").unlink()
    Checkpoint.of_results(tmp_path / "run").start(Experiment(rounds=2))
    assert Checkpoint.of_results(tmp_path / "run", resume=True).settings().rounds == 2


def test_a_new_run_has_a_new_name_whatever_lies_there(checkpoint: Checkpoint) -> None:
    """Two runs of one name would count as one."""
    before = checkpoint.run
    checkpoint.start(Experiment(rounds=3))
    assert checkpoint.run != before


def test_the_name_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run with a name can go on, so its settings must be there already."""
    written: list[str] = []
    monkeypatch.setattr(
        "secure_fl.federation.checkpoint.write_durably", lambda path, content: written.append(path.name)
    )
    Checkpoint.of_results(tmp_path / "run").start(Experiment())
    assert written == ["experiment.toml", "run"]


@pytest.mark.parametrize("name", ["run", "experiment.toml"])
def test_every_changed_bit_of_name_and_settings_is_refused(checkpoint: Checkpoint, name: str) -> None:
    """Another name would not know what the run spent; other settings would make another model."""
    path = checkpoint.folder / name
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(flipped(whole, place, 1 << place % 8))
        with pytest.raises(DataError, match=r"damaged.*; put it back"):
            _ = checkpoint.run if name == "run" else checkpoint.settings()
    for content in (b"", b"a" * 32, whole[:-1], whole + b"\n", whole[1:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"damaged.*; put it back"):
            _ = checkpoint.run if name == "run" else checkpoint.settings()


def flipped(content: bytes, place: int, bits: int) -> bytes:
    return content[:place] + bytes([content[place] ^ bits]) + content[place + 1 :]


def test_the_folder_that_one_is_in_may_take_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert Checkpoint.of_results(Path()).folder == tmp_path / "here.unfinished"


def test_a_write_that_fails_leaves_the_state_before(
    checkpoint: Checkpoint, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (checkpoint.folder / STATE).read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"space.*; make room"):
            checkpoint.save(replace(snapshot, scores=Scores(0.9, 0.9, 0)))
    assert (checkpoint.folder / STATE).read_bytes() == before
    assert {path.name for path in checkpoint.folder.iterdir()} == {"experiment.toml", "run", STATE}


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "another version": lambda state: state.update(version=1),
    "no model": lambda state: state.pop("model"),
    "no weights": lambda state: state["model"].pop("weights"),
    "weights no base64": lambda state: state["model"].update(weights=["<f4", "?"]),
    "weights of objects": lambda state: state["model"].update(weights=["O", "AAAA"]),
    "weights cut": lambda state: state["model"].update(weights=["<f4", "AAAAAAA="]),
    "a round less a field": lambda state: state["rounds"][0].pop("auprc"),
    "rounds no list": lambda state: state.update(rounds=5),
    "standardization a list": lambda state: state.update(standardization=[1, 2]),
    "residuals a list": lambda state: state.update(residuals=[1]),
    "exhibit nothing": lambda state: state.update(exhibit=None),
    "deliveries too short": lambda state: state.update(deliveries=[[1]]),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_state_is_refused(checkpoint: Checkpoint, how: str) -> None:
    path = checkpoint.folder / STATE
    state = json.loads(unsealed(path.read_bytes()))
    DAMAGE[how](state)
    path.write_bytes(sealed(json.dumps(state).encode()))
    with pytest.raises(DataError, match=r"damaged.*; ") as caught:
        checkpoint.load()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"5", b"null", b"\xff\xfe", b'{"version": 1}', b"[" * 100_000])
def test_a_state_that_is_none_is_refused(checkpoint: Checkpoint, content: bytes) -> None:
    for written in (content, sealed(content)):
        (checkpoint.folder / STATE).write_bytes(written)
        with pytest.raises(DataError, match=r"damaged.*; "):
            checkpoint.load()


# Bits that change


def after(snapshot: Snapshot, rounds: int) -> Snapshot:
    return replace(snapshot, rounds=tuple(replace(RECORD, round=n) for n in range(1, rounds + 1)))


def test_the_states_of_the_last_two_rounds_are_kept(checkpoint: Checkpoint, snapshot: Snapshot) -> None:
    for rounds in (3, 4, 5):
        checkpoint.save(after(snapshot, rounds))
        assert {path.name for path in checkpoint.folder.glob("state*")} == {f"state-{rounds - 1}", f"state-{rounds}"}
        assert len(loaded(checkpoint).rounds) == rounds
    for rounds in (9, 10):
        checkpoint.save(after(snapshot, rounds))
    assert len(loaded(checkpoint).rounds) == 10, "9 is before 10"


@pytest.mark.slow
def test_no_changed_bit_is_resumed_from(checkpoint: Checkpoint, snapshot: Snapshot) -> None:
    """Every byte of the last state: each time the one before it is taken, and said to be."""
    checkpoint.save(after(snapshot, 3))
    path = checkpoint.folder / "state-3"
    whole, before = path.read_bytes(), snapshot.to_json()
    for place in range(len(whole)):
        path.write_bytes(flipped(whole, place, 1 << place % 8))
        with pytest.warns(DamageWarning, match=r"state-3 is damaged; round 3 is done again"):
            found = checkpoint.load()
        assert found is not None
        assert found.to_json() == before


def test_a_state_that_is_cut_or_gone_gives_way_to_the_one_before(checkpoint: Checkpoint, snapshot: Snapshot) -> None:
    checkpoint.save(after(snapshot, 3))
    path = checkpoint.folder / "state-3"
    whole = path.read_bytes()
    for content in (b"", whole[:-1], whole[: len(whole) // 2], whole + b"x", (checkpoint.folder / STATE).read_bytes()):
        path.write_bytes(content)
        with pytest.warns(DamageWarning):
            found = checkpoint.load()
        assert found is not None
        assert len(found.rounds) == 2
    path.unlink()
    assert len(loaded(checkpoint).rounds) == 2


def test_before_the_first_round_there_is_the_beginning(tmp_path: Path, snapshot: Snapshot) -> None:
    checkpoint = Checkpoint(tmp_path)
    for rounds in (1, 2):
        checkpoint.save(after(snapshot, rounds))
        (tmp_path / f"state-{rounds}").write_bytes(b"damaged")
        with pytest.warns(DamageWarning) as told:
            assert checkpoint.load() is None
        assert [f"round {number} is done again" in str(told.list[-number].message) for number in range(1, rounds + 1)]
    assert checkpoint.can_resume


def test_where_both_states_are_damaged_nothing_is_made_up(checkpoint: Checkpoint, snapshot: Snapshot) -> None:
    checkpoint.save(after(snapshot, 3))
    for name in (STATE, "state-3"):
        (checkpoint.folder / name).write_bytes(b"damaged")
    with (
        pytest.warns(DamageWarning, match="state-3"),
        pytest.raises(DataError, match=r"state-2 is damaged.*; put it back from a copy"),
    ):
        checkpoint.load()


def test_the_round_that_is_done_again_takes_the_place_of_the_damaged(
    checkpoint: Checkpoint, snapshot: Snapshot
) -> None:
    checkpoint.save(after(snapshot, 3))
    (checkpoint.folder / "state-3").write_bytes(b"damaged")
    checkpoint.save(after(snapshot, 3))
    assert len(loaded(checkpoint).rounds) == 3


def test_a_run_is_worth_keeping_after_a_round_or_once_budget_is_spent(tmp_path: Path) -> None:
    checkpoint = Checkpoint.of_results(tmp_path / "run")
    assert not checkpoint.worth_keeping
    checkpoint.start(Experiment())
    assert not checkpoint.worth_keeping
    bank = checkpoint.banks / "bank-1"
    bank.mkdir(parents=True)
    (bank / LEDGER).write_text('{"entries": []}')
    assert not checkpoint.worth_keeping, "a ledger at zero"
    (bank / LEDGER).write_text('{"entries": [{"release": "round 0"}]}')
    assert checkpoint.worth_keeping
    for damaged in ("damaged", "[]", "null", "{}", "[" * 100_000):
        (bank / LEDGER).write_text(damaged)
        assert checkpoint.worth_keeping, "nobody knows what was spent"
