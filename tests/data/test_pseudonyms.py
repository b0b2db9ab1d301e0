"""Pseudonyms: the dictionary attack they stop, and the key that stops it."""

from __future__ import annotations

import copy
import hashlib
import os
import pickle
import stat
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from secure_fl.data import FederationKey, default_key_path, pseudonymize
from secure_fl.errors import ConfigurationError

CARDS = np.array([f"4000-{i:04d}" for i in range(2_000)], dtype=np.object_)


def unkeyed(values: NDArray[np.object_]) -> NDArray[np.uint64]:
    digests = [hashlib.blake2b(v.encode(), digest_size=8).digest() for v in values]
    return np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64)


def test_a_dictionary_attack_breaks_plain_hashes_and_not_keyed_ones() -> None:
    secret = CARDS[[17, 512, 1999]]
    dictionary = {int(h): card for h, card in zip(unkeyed(CARDS), CARDS, strict=True)}
    assert [dictionary.get(int(h)) for h in unkeyed(secret)] == secret.tolist()

    published = pseudonymize("card", secret, FederationKey.generate())
    guesses = [unkeyed(CARDS), pseudonymize("card", CARDS, FederationKey.for_simulation(0))]
    guesses.append(pseudonymize("card", CARDS, FederationKey(bytes(32))))
    for guess in guesses:
        assert not np.isin(published, guess).any()


def test_two_banks_with_one_key_agree_and_with_two_keys_do_not() -> None:
    key, other = FederationKey.generate(), FederationKey.generate()
    np.testing.assert_array_equal(pseudonymize("card", CARDS, key), pseudonymize("card", CARDS[::-1], key)[::-1])
    assert not np.isin(pseudonymize("card", CARDS, key), pseudonymize("card", CARDS, other)).any()


def test_pseudonyms_are_distinct_and_repeat_with_the_value() -> None:
    values = np.concatenate([CARDS, CARDS[:5]])
    pseudonyms = pseudonymize("card", values, FederationKey.generate())
    assert pseudonyms.dtype == np.uint64
    assert len(np.unique(pseudonyms)) == len(CARDS)
    np.testing.assert_array_equal(pseudonyms[-5:], pseudonyms[:5])


def test_the_column_is_bound_into_the_hash() -> None:
    key = FederationKey.generate()
    long = "a column name that is longer than sixteen bytes "
    names = ["card", "terminal", long + "1", long + "2"]
    assert len({int(pseudonymize(name, CARDS[:1], key)[0]) for name in names}) == len(names)


def test_no_rows_give_no_pseudonyms() -> None:
    assert pseudonymize("card", CARDS[:0], FederationKey.generate()).shape == (0,)


def test_a_known_value_keeps_old_models_usable() -> None:
    key = FederationKey(bytes(range(32)))
    values = np.array(["C001"], dtype=np.object_)
    assert key.check_value() == "ff42bc274ea48535"
    assert f"{int(pseudonymize('customer', values, key)[0]):016x}" == "4a4410077e366ca4"


def test_the_key_shows_nothing_and_cannot_be_pickled_or_used_as_a_dictionary_key() -> None:
    key = FederationKey(b"\x42" * 32)
    assert repr(key) == str(key) == f"{key}" == "FederationKey(hidden)"
    assert not hasattr(key, "__dict__")
    for copying in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never pickled"):
            copying(key)
    with pytest.raises(TypeError, match="unhashable"):
        hash(key)


def test_equality_is_by_secret_and_other_types_differ() -> None:
    assert FederationKey(b"\x42" * 32) == FederationKey(b"\x42" * 32)
    assert FederationKey.generate() != FederationKey.generate()
    assert FederationKey(b"\x42" * 32) != b"\x42" * 32


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="32 bytes"):
        FederationKey(b"short")


def test_the_check_value_tells_keys_apart_and_is_not_the_key() -> None:
    key = FederationKey(b"\x42" * 32)
    assert key.check_value() == FederationKey(b"\x42" * 32).check_value()
    assert key.check_value() != FederationKey.generate().check_value()
    assert len(key.check_value()) == 16
    assert key.check_value() not in (b"\x42" * 32).hex()


def test_the_key_of_a_simulation_repeats() -> None:
    assert FederationKey.for_simulation(3) == FederationKey.for_simulation(3)
    assert FederationKey.for_simulation(3) != FederationKey.for_simulation(4)


def test_a_key_file_is_created_once_with_mode_0600(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "federation.key"
    old = os.umask(0)
    try:
        key = FederationKey.load_or_create(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert FederationKey.load_or_create(path) == key
    assert [p.name for p in path.parent.iterdir()] == ["federation.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_key_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "federation.key"
    FederationKey.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        FederationKey.load_or_create(path)


@pytest.mark.parametrize("content", ["", "8675309", "g" * 64, "a" * 65, "\xff" * 64, "A" * 64])
def test_a_malformed_key_file_is_refused_without_showing_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "federation.key"
    path.write_text(content, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="is no federation key") as caught:
        FederationKey.load_or_create(path)
    assert not content or content not in str(caught.value)


def test_a_key_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot be used .*; set SECURE_FL_KEY"):
        FederationKey.load_or_create(tmp_path / "file" / "federation.key")
    with pytest.raises(ConfigurationError, match=r"cannot be used|open to other users"):
        FederationKey.load_or_create(tmp_path)


def test_the_environment_names_the_key_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECURE_FL_KEY", str(tmp_path / "my.key"))
    assert default_key_path() == tmp_path / "my.key"
    assert FederationKey.load_or_create() == FederationKey.load_or_create(tmp_path / "my.key")
    monkeypatch.delenv("SECURE_FL_KEY")
    assert default_key_path().name == "federation.key"


def test_a_new_key_reaches_the_disk_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a crash leaves pseudonyms that nobody can make again."""
    contents: list[bytes] = []
    original = os.fsync

    def fsync(descriptor: int) -> None:
        synced = Path(f"/proc/self/fd/{descriptor}").readlink()
        contents.extend([synced.read_bytes()] if synced.is_file() else [])
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    FederationKey.load_or_create(tmp_path / "federation.key")
    assert (tmp_path / "federation.key").read_bytes() in contents


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_has_32_bytes_and_no_other_number(length: int) -> None:
    with pytest.raises(ConfigurationError, match="32 bytes"):
        FederationKey(bytes(length))


def test_the_key_of_a_simulation_is_the_same_everywhere() -> None:
    """Known values: another machine, and a later version, find the same rows."""
    for seed in (0, 1, 12):
        digest = hashlib.blake2b(str(seed).encode(), digest_size=32, person=b"sfl-simulation").digest()
        assert FederationKey.for_simulation(seed) == FederationKey(digest)
