"""Whose approvals count: the list of trusted keys, and one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from secure_fl.data.synthetic.reviewers import ReviewerFiles
from secure_fl.data.synthetic.signing import ReviewerKey
from secure_fl.errors import ConfigurationError

OTHER = ReviewerKey.generate().public


@pytest.fixture
def own(tmp_path: Path) -> ReviewerFiles:
    return ReviewerFiles.in_folder(tmp_path / "reviewer")


def test_nobody_is_trusted_at_first_and_looking_creates_nothing(own: ReviewerFiles, tmp_path: Path) -> None:
    assert own.read_trusted().keys == {}
    assert list(tmp_path.iterdir()) == []


def test_ones_own_key_is_trusted_on_first_use_under_that_name_only(own: ReviewerFiles) -> None:
    key = own.signer("A. Reviewer")
    assert own.read_trusted().keys == {"A. Reviewer": key.public}
    assert own.signer("A. Reviewer").public == key.public
    with pytest.raises(ConfigurationError, match=r"signs as A\. Reviewer, not as B\. Reviewer"):
        own.signer("B. Reviewer")
    assert own.read_trusted().keys == {"A. Reviewer": key.public}


def test_a_name_of_another_reviewer_cannot_be_taken(own: ReviewerFiles) -> None:
    own.trust("B. Reviewer", OTHER)
    with pytest.raises(ConfigurationError, match="trusted with another key"):
        own.signer("B. Reviewer")
    assert own.read_trusted().keys == {"B. Reviewer": OTHER}


def test_others_are_trusted_by_hand_and_no_more(own: ReviewerFiles) -> None:
    own.trust("B. Reviewer", OTHER)
    own.trust("B. Reviewer", OTHER)  # once more changes nothing
    assert own.read_trusted().name_of(OTHER) == "B. Reviewer"
    for name, key in (("B. Reviewer", ReviewerKey.generate().public), ("C. Reviewer", OTHER)):
        with pytest.raises(ConfigurationError, match="review distrust NAME"):
            own.trust(name, key)
    own.distrust("B. Reviewer")
    assert own.read_trusted().keys == {}
    with pytest.raises(ConfigurationError, match=r"nobody is trusted as 'B\. Reviewer'"):
        own.distrust("B. Reviewer")


@pytest.mark.parametrize("key", ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 64 + "\n"])
def test_what_is_no_public_key_is_refused(own: ReviewerFiles, key: str) -> None:
    with pytest.raises(ConfigurationError, match="64 hexadecimal digits"):
        own.trust("B. Reviewer", key)
    assert not own.trusted.exists()


@pytest.mark.parametrize("name", ["", "secure-fl", "two\nlines", "x" * 101])
def test_names_that_cannot_stand_in_the_log_get_no_key(own: ReviewerFiles, name: str) -> None:
    for take in (own.signer, lambda given: own.trust(given, OTHER)):
        with pytest.raises(ConfigurationError, match="name of"):
            take(name)
    assert not own.key.exists()


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_list_that_others_may_write_is_refused(own: ReviewerFiles, mode: int) -> None:
    own.trust("B. Reviewer", OTHER)
    own.trusted.chmod(mode)
    with pytest.raises(ConfigurationError, match="can be written by others"):
        own.read_trusted()
    with pytest.raises(ConfigurationError, match="can be written by others"):
        own.trust("C. Reviewer", ReviewerKey.generate().public)


@pytest.mark.parametrize("content", ["", "[]", '{"B": 7}', '{"B": "abc"}', "{"])
def test_a_malformed_list_is_refused_and_kept(own: ReviewerFiles, content: str) -> None:
    own.trusted.parent.mkdir()
    own.trusted.write_text(content)
    own.trusted.chmod(0o600)
    for ask in (own.read_trusted, lambda: own.trust("B. Reviewer", OTHER)):
        with pytest.raises(ConfigurationError, match="is malformed"):
            ask()
    assert own.trusted.read_text() == content


def test_a_list_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    own = ReviewerFiles.in_folder(tmp_path / "file")
    with pytest.raises(ConfigurationError, match=r"cannot be (written|read)"):
        own.trust("B. Reviewer", OTHER)


def test_where_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECURE_FL_REVIEW", str(tmp_path))
    assert ReviewerFiles.of_user() == ReviewerFiles.in_folder(tmp_path)
    monkeypatch.delenv("SECURE_FL_REVIEW")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("SECURE_FL_STORE", raising=False)
    from secure_fl.data.synthetic.store import PatternStore

    store = PatternStore.of_user()
    for path in (store.own.key, store.own.trusted, store.own.heads):
        assert not path.is_relative_to(store.folder)  # who may write the store need not reach these
        assert path.is_relative_to(tmp_path)


def test_the_private_key_is_in_no_file_but_its_own(own: ReviewerFiles) -> None:
    own.signer("A. Reviewer")
    own.trust("B. Reviewer", OTHER)
    secret = own.key.read_text().splitlines()[1]
    others = [path for path in own.key.parent.rglob("*") if path.is_file() and path != own.key]
    assert others
    assert all(secret not in path.read_text() for path in others)
    assert json.loads(own.trusted.read_text()).keys() == {"A. Reviewer", "B. Reviewer"}
