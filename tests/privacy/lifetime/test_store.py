"""One store for all runs: the same rows are the same account, limits hold for life, and nothing is lost in silence."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from secure_fl.data import Simulation, Transactions, simulate, split_among_banks
from secure_fl.errors import PrivacyError
from secure_fl.privacy.accounting import SampledGaussian, epsilon
from secure_fl.privacy.lifetime import Account, LedgerStore, Unit
from secure_fl.privacy.lifetime.spending import Release
from secure_fl.privacy.lifetime.statement import spending
from secure_fl.privacy.lifetime.store import KEY, LOG, ROWS

EVENT = SampledGaussian(2.0, 0.1, 10)
DELTA = 1e-5
TABLE = simulate(Simulation(transactions=1_000, fraud_share=0.02, seed=5))
NEXT = simulate(Simulation(transactions=1_000, fraud_share=0.02, seed=6))


@pytest.fixture
def store(tmp_path: Path) -> LedgerStore:
    return LedgerStore(tmp_path / "store", tmp_path / "notes")


def again(store: LedgerStore) -> LedgerStore:
    """As the next process opens it."""
    return LedgerStore(store.folder, store.notes)


def account(
    store: LedgerStore,
    run: str = "one",
    bank: str = "bank-1",
    table: Transactions = TABLE,
    unit: Unit = "row",
    limit: float | None = None,
) -> Account:
    return Account(run, bank, store.register(table), unit, DELTA, limit, store)


def spend(account: Account, *names: str, repeats: bool = True) -> None:
    for name in names or ("round 1",):
        account.enter(name, "context", EVENT, repeats=repeats)


def test_a_second_run_in_another_process_adds_up(store: LedgerStore) -> None:
    spend(account(store), "round 1", "round 2")
    second = account(again(store), "two")
    assert second.epsilon == epsilon([EVENT] * 2, DELTA)
    spend(second)
    assert account(again(store), "three").epsilon == epsilon([EVENT] * 3, DELTA)


def test_rows_are_recognised_in_another_deal_and_beside_new_ones(store: LedgerStore) -> None:
    three, four = (split_among_banks(TABLE, banks, seed=banks) for banks in (3, 4))
    for number, part in enumerate(three, start=1):
        spend(account(store, bank=f"bank-{number}", table=part))
    for part in (*four, TABLE, TABLE.take(slice(0, 1))):
        assert account(store, "two", "bank-9", part).epsilon == epsilon([EVENT], DELTA), "each row was in one bank"
    assert account(store, "two", table=NEXT).epsilon == 0


def test_units_have_accounts_of_their_own(store: LedgerStore) -> None:
    spend(account(store))
    assert account(store, "two", unit="bank").epsilon == 0
    spend(account(store, "two", unit="bank"))
    assert account(store, "three").epsilon == epsilon([EVENT], DELTA)


def test_the_same_release_of_a_run_is_entered_once(store: LedgerStore) -> None:
    spend(account(store), "round 1", "round 1")
    spend(account(again(store)))
    assert len(store.releases()) == 1
    spend(account(store), repeats=False)
    assert len(store.releases()) == 2
    spend(account(store, "two"))
    assert len(store.releases()) == 3, "another run is another release"


def test_a_limit_holds_over_all_runs(store: LedgerStore) -> None:
    limit = epsilon([EVENT] * 3, DELTA)
    spend(account(store, limit=limit), "round 1", "round 2")
    second = account(again(store), "two", limit=limit)
    second.require_room([EVENT])
    with pytest.raises(PrivacyError, match="this run would bring bank-1") as caught:
        second.require_room([EVENT] * 2)
    spend(second)
    with pytest.raises(PrivacyError, match=r"round 2 would bring bank-1 to epsilon .* for life.*; ask for"):
        spend(second, "round 2")
    assert caught.value.exit_code == 2
    assert len(store.releases()) == 3
    spend(account(store, "three"))  # nobody limits this one


def test_two_runs_at_once_cannot_share_what_is_left(store: LedgerStore) -> None:
    """Both found room for themselves when they began."""
    limit = epsilon([EVENT], DELTA)
    first, second = account(store, limit=limit), account(again(store), "two", limit=limit)
    for one in (first, second):
        one.require_room([EVENT])
    spend(first)
    with pytest.raises(PrivacyError, match="for life"):
        spend(second)


def test_the_store_shows_nothing_of_the_rows_to_others(store: LedgerStore) -> None:
    spend(account(store))
    files = [path for path in store.folder.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    key = (store.folder / KEY).read_bytes()
    assert len(key) == 32
    assert key.hex() not in (store.folder / LOG).read_text()
    assert key not in repr(store).encode()
    other = LedgerStore(store.folder.with_name("other"), store.notes)
    assert other.register(TABLE) != store.register(TABLE), "the name of a set is keyed too"


def test_the_key_reaches_the_disk(store: LedgerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    contents: list[bytes] = []
    original = os.fsync

    def fsync(descriptor: int) -> None:
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        contents.append(place.read_bytes() if place.is_file() else b"")
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    name = store.register(TABLE)
    assert (store.folder / KEY).read_bytes() in contents
    assert (store.folder / ROWS / f"{name}.tags").read_bytes() in contents


LOST: dict[str, Callable[[Path], object]] = {
    "older log": lambda folder: (folder / LOG).write_bytes((folder / LOG).read_bytes().splitlines(True)[0]),
    "no log": lambda folder: (folder / LOG).unlink(),
    "everything": shutil.rmtree,
    "no key": lambda folder: (folder / KEY).unlink(),
    "short key": lambda folder: (folder / KEY).write_bytes(b"123"),
    "open key": lambda folder: (folder / KEY).chmod(0o604),
    "key open to a group": lambda folder: (folder / KEY).chmod(0o640),
    "no tags": lambda folder: shutil.rmtree(folder / ROWS),
    "cut tags": lambda folder: [path.write_bytes(path.read_bytes()[:80]) for path in (folder / ROWS).iterdir()],
}


@pytest.mark.parametrize("how", LOST)
def test_what_is_lost_or_older_is_noticed_and_nobody_is_told_to_delete_it(store: LedgerStore, how: str) -> None:
    spend(account(store), "round 1", "round 2")
    LOST[how](store.folder)
    with pytest.raises(PrivacyError) as caught:
        spend(account(again(store), "two", table=TABLE.take(slice(1, 500)), limit=50.0))
    says = str(caught.value)
    assert "; " in says
    assert not any(word in says for word in ("delete", "remove", "new store", "start"))


def test_a_statement_says_what_is_left(store: LedgerStore) -> None:
    spend(account(store, limit=9.0), "round 1", "round 2")
    spend(account(store, "two", "bank-2", NEXT))
    first, second = spending(store)
    assert (first.bank, first.unit, first.runs, first.releases, first.limit) == ("bank-1", "row", 1, 2, 9.0)
    assert first.epsilon == epsilon([EVENT] * 2, DELTA)
    assert first.left == 9.0 - first.epsilon
    assert (second.bank, second.limit, second.left) == ("bank-2", None, None)
    strict, _ = spending(store, delta=1e-9, limit=0.1)
    assert strict.epsilon > first.epsilon
    assert strict.left == 0


def test_an_account_is_the_same_whatever_order_its_rows_have(store: LedgerStore) -> None:
    backwards = TABLE.take(slice(None, None, -1))
    assert replace(account(store), rows="") == replace(account(store, table=backwards), rows="")
    assert account(store).rows == account(store, table=backwards).rows


def test_a_bank_has_one_set_of_rows_in_a_run(store: LedgerStore) -> None:
    """Else a row of both sets would have spent in both, and an account looks at one set of a run only."""
    spend(account(store))
    with pytest.raises(PrivacyError, match="rows of bank-1 changed since this run's first release"):
        spend(account(again(store), table=TABLE.take(slice(0, 900))), "round 2")
    assert len(again(store).releases()) == 1
    spend(account(store, "two", table=TABLE.take(slice(0, 900))))
    spend(account(store, bank="bank-2", table=NEXT))


def test_the_statement_goes_by_the_delta_and_the_limit_of_the_last_release(store: LedgerStore) -> None:
    spend(account(store, limit=9.0))
    spend(replace(account(store, "two", limit=8.0), delta=1e-7))
    (row,) = spending(store)
    assert (row.delta, row.limit) == (1e-7, 8.0)
    assert row.epsilon == epsilon([EVENT] * 2, 1e-7)


def test_other_rows_are_noticed_after_other_banks_and_runs_had_their_turn(store: LedgerStore) -> None:
    spend(account(store))
    spend(account(store, bank="bank-2", table=NEXT))
    spend(account(store, run="two", table=NEXT))
    with pytest.raises(PrivacyError, match="rows of bank-1 changed since this run's first release"):
        spend(account(store, table=NEXT), "round 2")


# Places


@pytest.mark.parametrize("folder", [None, "a"])
@pytest.mark.parametrize("notes", [None, "b"])
def test_store_and_notes_lie_where_the_user_says_each_for_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str | None, notes: str | None
) -> None:
    """The note in another folder than the store, so that an older copy of one does not bring the other along."""
    monkeypatch.setattr("platformdirs.user_data_path", lambda name: tmp_path / "data" / name)
    monkeypatch.setattr("platformdirs.user_state_path", lambda name: tmp_path / "state" / name)
    for variable, value in (("SECURE_FL_LEDGERS", folder), ("SECURE_FL_LEDGER_NOTES", notes)):
        monkeypatch.delenv(variable, raising=False)
        if value is not None:
            monkeypatch.setenv(variable, str(tmp_path / value))
    store = LedgerStore.of_user()
    assert store.folder == (tmp_path / "data" / "secure-fl" / "ledgers" if folder is None else tmp_path / "a")
    assert store.notes == (tmp_path / "state" / "secure-fl" if notes is None else tmp_path / "b")


def test_stores_of_one_name_in_several_places_have_notes_of_their_own(tmp_path: Path) -> None:
    stores = [LedgerStore(tmp_path / name / "ledgers", tmp_path / "notes") for name in ("a", "b")]
    for number, one in enumerate(stores, start=1):
        spend(account(one), *(f"round {n}" for n in range(number)))
    assert len(list((tmp_path / "notes").iterdir())) == 2
    assert [again(one).end.lines for one in stores] == [1, 2]


def test_a_store_has_one_note_however_its_path_is_written(store: LedgerStore) -> None:
    spend(account(store))
    spend(account(LedgerStore(store.folder / ".." / store.folder.name, store.notes)), "round 2")
    assert len(list(store.notes.iterdir())) == 1


# Accounts


@pytest.fixture
def added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event costs 1; the delta shows behind the point."""
    monkeypatch.setattr("secure_fl.privacy.lifetime.store.cost", lambda unit, events, delta: len(events) + delta)


def test_an_entry_says_all_of_its_account(store: LedgerStore) -> None:
    one = account(store, "run", "bank-7", unit="bank", limit=9.5)
    one.enter("round 3", "context", EVENT, repeats=True)
    (entry,) = again(store).releases()
    assert entry == Release("run", "bank-7", one.rows, "bank", "round 3", "context", EVENT, DELTA, 9.5)


@pytest.mark.usefixtures("added_up")
def test_an_account_knows_its_own_releases_in_their_order(store: LedgerStore) -> None:
    one, two = account(store), account(store, bank="bank-2", table=NEXT)
    later = account(store, "two")
    spend(one, "round 0", "round 1")
    spend(two, "round 0")
    spend(later, "round 9")
    spend(one, "round 2")
    assert one.releases == [(name, "context", EVENT) for name in ("round 0", "round 1", "round 2")]
    assert two.releases == [("round 0", "context", EVENT)]
    assert later.releases == [("round 9", "context", EVENT)]


@pytest.mark.usefixtures("added_up")
def test_another_process_sees_at_once_what_was_spent(store: LedgerStore) -> None:
    reader = again(store)
    first = account(reader)
    assert (reader.end.lines, first.epsilon) == (0, DELTA)
    spend(account(store))
    assert (reader.end.lines, first.epsilon) == (1, 1 + DELTA)
    reader.require(store.end)
    spend(account(store), "round 2")
    reader.require(store.end)


@pytest.mark.usefixtures("added_up")
def test_what_is_just_allowed_is_allowed_and_what_is_refused_is_said_in_full(store: LedgerStore) -> None:
    one = account(store, limit=2 + DELTA)
    spend(one, "round 1", "round 2")
    one.require_room([])
    says = (
        "would bring bank-1 to epsilon 3.000 for life, beyond its 2.00001 at delta 1e-05 (2.000 is spent); ask for a "
        "smaller epsilon, or allow more with --lifetime-epsilon"
    )
    with pytest.raises(PrivacyError, match=f"^{re.escape('round 3 ' + says)}$"):
        spend(one, "round 3")
    with pytest.raises(PrivacyError, match=f"^{re.escape('this run ' + says)}$"):
        one.require_room([EVENT])
    spend(one, "round 2")  # is there already
    assert len(store.releases()) == 2


@pytest.mark.usefixtures("added_up")
def test_two_sets_are_compared_once(store: LedgerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    half = account(store, "two", "bank-2", TABLE.take(slice(0, 500)))
    spend(account(store))
    compared: list[int] = []

    def overlap(*tags: object) -> bool:
        compared.append(len(tags))
        return True

    monkeypatch.setattr("secure_fl.privacy.lifetime.store.overlap", overlap)
    assert [half.epsilon for _ in range(3)] == [1 + DELTA] * 3
    assert compared == [2]


# What cannot be relied on


def test_tags_of_other_rows_are_noticed(store: LedgerStore) -> None:
    """Whole, but not those that the name stands for: rows would seem to share nothing."""
    one, other = account(store), account(store, "two", table=NEXT)
    spend(one)
    shutil.copy(store.folder / ROWS / f"{other.rows}.tags", store.folder / ROWS / f"{one.rows}.tags")
    with pytest.raises(PrivacyError, match=f"{one.rows}.tags, the tags of rows .* is missing or damaged"):
        _ = account(again(store), "three", table=NEXT).epsilon


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_none(store: LedgerStore, length: int) -> None:
    account(store)
    (store.folder / KEY).write_bytes(bytes(length))
    with pytest.raises(PrivacyError, match="is no key of ledgers"):
        account(again(store))


def test_a_key_is_made_anew_only_where_no_ledger_was_written_with_it(store: LedgerStore) -> None:
    account(store)
    (store.folder / KEY).unlink()
    spend(account(again(store)))
    (store.folder / KEY).unlink()
    with pytest.raises(PrivacyError, match=r"bank\.key is gone, without which its ledgers say nothing"):
        account(again(store))


def test_a_key_that_another_process_just_made_is_kept(store: LedgerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def late(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"k" * 32)
        Path(target).chmod(0o600)
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    store.register(TABLE)
    assert (store.folder / KEY).read_bytes() == b"k" * 32
    assert {path.name for path in store.folder.iterdir()} == {KEY, ROWS}


def test_a_store_that_cannot_be_used_says_why_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    why = (
        rf"^the ledgers in {tmp_path / 'file' / 'store'} cannot be used \(Not a directory\), so nothing may be "
        "released; make the folder writable, or set SECURE_FL_LEDGERS to another$"
    )
    with pytest.raises(PrivacyError, match=why):
        LedgerStore(tmp_path / "file" / "store", tmp_path / "notes").register(TABLE)
