"""One store for all runs: the same rows are the same account, limits hold for life, and nothing is lost in silence."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from secure_fl.data import Simulation, Transactions, simulate, split_among_banks
from secure_fl.errors import PrivacyError
from secure_fl.privacy.accounting import SampledGaussian, epsilon
from secure_fl.privacy.lifetime import Account, LedgerStore, Unit
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
