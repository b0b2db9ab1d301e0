"""What was spent is entered before it is released, survives a restart, and is never taken back."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import PrivacyError
from secure_fl.privacy.accounting import SampledGaussian
from secure_fl.privacy.ledger import KEY, LEDGER, Ledger

EVENT = SampledGaussian(2.0, 0.25, 10)
OTHER = SampledGaussian(4.0, 0.25, 10)


def one_each(events: Sequence[SampledGaussian]) -> float:
    return float(len(events))


def full(*arguments: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger("bank-1", 1e-5, 3.0, one_each, tmp_path / "bank-1")


def restored(ledger: Ledger, **changes: Any) -> Ledger:
    assert ledger.folder is not None
    of = {"bank": "bank-1", "delta": 1e-5, "budget": 3.0, "cost": one_each, "folder": ledger.folder, **changes}
    return Ledger.restore(**of)


def on_disk(ledger: Ledger) -> dict[str, Any]:
    assert ledger.folder is not None
    document: dict[str, Any] = json.loads((ledger.folder / LEDGER).read_text())
    return document


# Charging


def test_a_release_is_on_disk_when_its_seed_is_given_out(ledger: Ledger) -> None:
    for number in (1, 2):
        ledger.charge(f"round {number}", b"model", EVENT)
        entries = on_disk(ledger)["entries"]
        assert [entry["release"] for entry in entries] == [f"round {n}" for n in range(1, number + 1)]
        assert entries[-1]["event"] == {"noise_multiplier": 2.0, "sample_rate": 0.25, "steps": 10}


def test_what_the_budget_does_not_allow_is_refused_and_changes_nothing(ledger: Ledger) -> None:
    for number in (1, 2, 3):
        ledger.charge(f"round {number}", b"model", EVENT)
    before = on_disk(ledger)
    with pytest.raises(PrivacyError, match=r"round 4 .*bank-1 to epsilon 4\.000.*budget of 3") as caught:
        ledger.charge("round 4", b"model", EVENT)
    assert caught.value.exit_code == 2
    assert "; " in str(caught.value)
    assert (on_disk(ledger), ledger.epsilon, len(ledger.events)) == (before, 3.0, 3)
    ledger.charge("round 3", b"model", EVENT)  # again


class Life:
    """A bank's account in its ledgers for life, as far as a run's ledger looks at it."""

    def __init__(self, *releases: tuple[str, str, SampledGaussian]) -> None:
        self.releases = list(releases)

    def enter(self, *release: Any, repeats: bool) -> None:
        raise PrivacyError("nothing is left for life; stop")


def test_what_the_ledgers_for_life_refuse_is_in_no_ledger(tmp_path: Path) -> None:
    account: Any = Life()
    ledger = Ledger("bank-1", 1e-5, 3.0, one_each, tmp_path / "bank-1", account=account)
    with pytest.raises(PrivacyError, match="for life"):
        ledger.charge("round 1", b"model", EVENT)
    assert on_disk(ledger)["entries"] == ledger.entries == []


def test_what_only_the_ledgers_for_life_know_counts_again_in_a_run_that_goes_on(ledger: Ledger) -> None:
    """The run's folder is an older copy."""
    ledger.charge("round 1", b"model", EVENT)
    (entry,) = ledger.entries
    account: Any = Life((entry.release, entry.context, entry.event), ("round 2", "context", OTHER))
    again = restored(ledger, account=account)
    assert [(kept.release, kept.event) for kept in again.entries] == [("round 1", EVENT), ("round 2", OTHER)]
    assert again.epsilon == 2.0


def test_a_budget_may_be_spent_to_its_last(ledger: Ledger) -> None:
    for number in (1, 2, 3):
        ledger.charge(f"round {number}", b"", EVENT)
    assert ledger.epsilon == 3.0


def test_without_a_budget_everything_is_counted(tmp_path: Path) -> None:
    ledger = Ledger("bank-1", 1e-5, None, one_each, tmp_path / "b")
    for number in range(20):
        ledger.charge(f"round {number}", b"", EVENT)
    assert ledger.epsilon == 20


def test_an_entry_that_cannot_be_written_is_not_released(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor when it is tried again: what counts is what is on disk."""

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for _ in range(2):
            with pytest.raises(PrivacyError, match=r"space.*nothing more leaves the bank; make room"):
                ledger.charge("round 1", b"model", EVENT)
    assert on_disk(ledger)["entries"] == []
    ledger.charge("round 1", b"model", EVENT)
    assert len(on_disk(ledger)["entries"]) == 1


# Repeating


def test_the_same_release_is_free_and_has_the_same_key(ledger: Ledger) -> None:
    seed = ledger.charge("round 1", b"model", EVENT)
    assert ledger.charge("round 1", b"model", EVENT) == seed
    assert restored(ledger).charge("round 1", b"model", EVENT) == seed
    assert ledger.epsilon == 1
    assert len(seed) == 32


def test_another_context_or_another_release_is_charged_and_has_another_seed(ledger: Ledger) -> None:
    seeds = {
        ledger.charge("round 1", b"model", EVENT),
        ledger.charge("round 1", b"another model", EVENT),
        ledger.charge("round 2", b"model", EVENT),
    }
    assert (len(seeds), ledger.epsilon) == (3, 3)


def test_another_noise_never_shares_its_randomness(ledger: Ledger) -> None:
    """Two releases with one noise at two sizes: their difference is the noise, and subtracting it shows the rest."""
    assert ledger.charge("round 1", b"model", EVENT) != ledger.charge("round 1", b"model", OTHER)
    assert ledger.epsilon == 2


def test_what_draws_fresh_noise_is_charged_every_time(ledger: Ledger) -> None:
    ledger.charge("round 0", b"statistics", EVENT, repeats=False)
    ledger.charge("round 0", b"statistics", EVENT, repeats=False)
    assert ledger.epsilon == 2


def test_release_and_context_are_told_apart(ledger: Ledger) -> None:
    assert ledger.charge("round 1", b"2", EVENT) != ledger.charge("round 12", b"", EVENT)


def test_banks_have_keys_of_their_own(tmp_path: Path) -> None:
    banks = [Ledger(f"bank-{n}", 1e-5, None, one_each, tmp_path / str(n)) for n in range(20)]
    assert len({bank.charge("round 1", b"model", EVENT) for bank in banks}) == 20
    assert len({(tmp_path / str(n) / KEY).read_bytes() for n in range(20)}) == 20


# Surviving


def test_a_ledger_comes_back_as_it_was(ledger: Ledger) -> None:
    ledger.charge("round 0", b"statistics", OTHER, repeats=False)
    ledger.charge("round 1", b"\x00\xff", EVENT)
    again = restored(ledger)
    assert again.to_dict() == ledger.to_dict()
    assert (again.epsilon, again.events) == (2, (OTHER, EVENT))
    assert again.charge("round 2", b"m", EVENT) == ledger.charge("round 2", b"m", EVENT)


def test_a_new_bank_never_takes_the_place_of_an_old_ledger(ledger: Ledger) -> None:
    ledger.charge("round 1", b"model", EVENT)
    before = on_disk(ledger)
    with pytest.raises(PrivacyError, match="holds the ledger of a run; go on"):
        Ledger("bank-1", 1e-5, 3.0, one_each, ledger.folder)
    assert on_disk(ledger) == before


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no ledger": lambda folder: (folder / LEDGER).unlink(),
    "no key": lambda folder: (folder / KEY).unlink(),
    "no folder": shutil.rmtree,
    "empty": lambda folder: (folder / LEDGER).write_text(""),
    "half": lambda folder: (folder / LEDGER).write_text((folder / LEDGER).read_text()[:80]),
    "not text": lambda folder: (folder / LEDGER).write_bytes(b"\xff\xfe"),
    "a list": lambda folder: (folder / LEDGER).write_text("[]"),
    "deep": lambda folder: (folder / LEDGER).write_text("[" * 100_000),
    "short key": lambda folder: (folder / KEY).write_bytes(b"1234"),
    "empty key": lambda folder: (folder / KEY).write_bytes(b""),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_lost_or_damaged_ledger_is_refused_rather_than_started_at_zero(ledger: Ledger, how: str) -> None:
    ledger.charge("round 1", b"model", EVENT)
    assert ledger.folder is not None
    DAMAGE[how](ledger.folder)
    with pytest.raises(PrivacyError, match="ledger of bank-1") as caught:
        restored(ledger)
    assert caught.value.exit_code == 2
    assert "; " in str(caught.value)


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "another version": lambda document: document.update(version=3),
    "no entries": lambda document: document.update(entries=[]),
    "no noise": lambda document: document["entries"][0]["event"].update(noise_multiplier=0.0),
    "infinite noise": lambda document: document["entries"][0]["event"].update(noise_multiplier=float("inf")),
    "negative steps": lambda document: document["entries"][0]["event"].update(steps=-10),
    "text as noise": lambda document: document["entries"][0]["event"].update(noise_multiplier="2"),
    "unknown field": lambda document: document["entries"][0]["event"].update(colour=1),
    "event gone": lambda document: document["entries"][0].pop("event"),
    "entries no list": lambda document: document.update(entries=5),
}


@pytest.mark.parametrize("how", EDITS)
def test_an_altered_ledger_is_refused(ledger: Ledger, how: str) -> None:
    ledger.charge("round 1", b"model", EVENT)
    document = on_disk(ledger)
    EDITS[how](document)
    assert ledger.folder is not None
    (ledger.folder / LEDGER).write_text(json.dumps(document))
    with pytest.raises(PrivacyError, match="ledger of bank-1"):
        restored(ledger)


@pytest.mark.parametrize("other", [{"bank": "bank-2"}, {"delta": 1e-6}, {"budget": 4.0}, {"budget": None}], ids=str)
def test_the_ledger_of_another_bank_or_budget_is_refused(ledger: Ledger, other: dict[str, Any]) -> None:
    ledger.charge("round 1", b"model", EVENT)
    with pytest.raises(PrivacyError, match="another bank or budget"):
        restored(ledger, **other)


def test_a_write_that_fails_leaves_the_ledger_as_it_was(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.charge("round 1", b"model", EVENT)
    before = on_disk(ledger)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(PrivacyError, match="space"):
            ledger.charge("round 2", b"model", EVENT)
    assert on_disk(ledger) == before
    assert ledger.folder is not None
    assert sorted(path.name for path in ledger.folder.iterdir()) == [LEDGER, KEY]


def test_entries_and_key_reach_the_disk_before_the_secret_is_given_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents: list[bytes] = []
    original = os.fsync

    def fsync(descriptor: int) -> None:
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        contents.append(place.read_bytes() if place.is_file() else b"")
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    ledger = Ledger("bank-1", 1e-5, 3.0, one_each, tmp_path / "bank-1")
    ledger.charge("round 1", b"model", EVENT)
    assert (tmp_path / "bank-1" / KEY).read_bytes() in contents
    assert (tmp_path / "bank-1" / LEDGER).read_bytes() in contents
    drawn = ledger.once("round 0", b"counts", OTHER, lambda: np.arange(3))
    (kept,) = (tmp_path / "bank-1" / "drawn").iterdir()
    assert kept.read_bytes() in contents
    assert drawn.tolist() == [0, 1, 2]


# Fresh noise


def test_a_release_of_fresh_noise_is_kept_and_repeated(ledger: Ledger) -> None:
    first = ledger.once("round 0", b"counts", EVENT, lambda: np.array([5, 6]))
    again = restored(ledger).once("round 0", b"counts", EVENT, lambda: np.array([7, 8]))
    assert first.tolist() == again.tolist() == [5, 6]
    assert ledger.epsilon == restored(ledger).epsilon == 1


def test_a_release_of_other_counts_is_another_one(ledger: Ledger) -> None:
    ledger.once("round 0", b"counts", EVENT, lambda: np.array([5]))
    assert ledger.once("round 0", b"other", EVENT, lambda: np.array([7])).tolist() == [7]
    assert ledger.epsilon == 2


def test_entered_but_stopped_before_it_was_drawn_it_is_entered_once(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError):
        ledger.once("round 0", b"counts", EVENT, lambda: np.array([1 // 0]))
    assert ledger.once("round 0", b"counts", EVENT, lambda: np.array([5])).tolist() == [5]
    assert ledger.epsilon == 1


def test_a_release_that_is_lost_after_later_ones_is_charged_again(ledger: Ledger) -> None:
    ledger.once("round 0", b"counts", EVENT, lambda: np.array([5]))
    ledger.charge("round 1", b"model", EVENT)
    assert ledger.folder is not None
    shutil.rmtree(ledger.folder / "drawn")
    ledger.once("round 0", b"counts", EVENT, lambda: np.array([6]))
    assert ledger.epsilon == 3


@pytest.mark.parametrize("damage", ["gone", "damaged"])
def test_a_release_that_is_not_kept_any_more_is_charged_again_also_where_it_is_the_last(
    ledger: Ledger, damage: str
) -> None:
    """It may have left the bank, and the new one has another noise."""
    ledger.once("round 0", b"counts", EVENT, lambda: np.array([5]))
    assert ledger.folder is not None
    (kept,) = (ledger.folder / "drawn").iterdir()
    kept.unlink() if damage == "gone" else kept.write_bytes(b"x")
    assert restored(ledger).once("round 0", b"counts", EVENT, lambda: np.array([6])).tolist() == [6]
    assert restored(ledger).epsilon == 2


def test_what_was_kept_but_never_entered_is_charged(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "charge", lambda *_, **__: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            ledger.once("round 0", b"counts", EVENT, lambda: np.array([5]))
    assert ledger.epsilon == 0
    ledger.once("round 0", b"counts", EVENT, lambda: np.array([6]))
    assert ledger.epsilon == restored(ledger).epsilon == 1


# The key


def test_the_key_is_the_banks_alone(ledger: Ledger) -> None:
    ledger.charge("round 1", b"model", EVENT)
    assert ledger.folder is not None
    key = (ledger.folder / KEY).read_bytes()
    assert (len(key), (ledger.folder / KEY).stat().st_mode & 0o777) == (32, 0o600)
    for shown in (repr(ledger), str(ledger.to_dict()), (ledger.folder / LEDGER).read_text()):
        assert key.hex() not in shown
        assert repr(key)[2:-1] not in shown


def test_a_seed_needs_the_key(ledger: Ledger) -> None:
    """A seed is the key's HMAC, so nothing public, nor another seed, leads to it."""
    seed = ledger.charge("round 1", b"model", EVENT)
    for guess in (b"", b"\0" * 32, b"bank-1"):
        assert hmac.digest(guess, b"noise\0round 1\0model", hashlib.sha256) != seed
        assert hmac.digest(guess, b"noise\0" + json.dumps(asdict(ledger.entries[0])).encode(), hashlib.sha256) != seed


def test_closing_forgets_the_key_and_keeps_the_entries(ledger: Ledger) -> None:
    ledger.charge("round 1", b"model", EVENT)
    ledger.close()
    assert ledger.folder is not None
    assert [path.name for path in ledger.folder.iterdir()] == [LEDGER]
    assert ledger.epsilon == 1
    ledger.close()


def test_nothing_is_released_after_closing(ledger: Ledger) -> None:
    """Without its key, a seed would be one that everybody can compute."""
    ledger.charge("round 1", b"model", EVENT)
    ledger.close()
    for release in ("round 1", "round 2"):
        with pytest.raises(PrivacyError):
            ledger.charge(release, b"model", EVENT)
    assert ledger.epsilon == 1


def test_in_memory_it_counts_the_same(tmp_path: Path) -> None:
    ledger = Ledger("bank-1", 1e-5, 1.0, one_each)
    seed = ledger.charge("round 1", b"model", EVENT)
    assert ledger.charge("round 1", b"model", EVENT) == seed
    with pytest.raises(PrivacyError):
        ledger.charge("round 2", b"model", EVENT)
    ledger.close()
    assert list(tmp_path.iterdir()) == []
