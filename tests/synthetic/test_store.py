"""The store as a state machine, held against a model of it; and what tampering leads to."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from secure_fl.errors import ConfigurationError, SyntheticError
from secure_fl.synthetic.library import library
from secure_fl.synthetic.patterns import Proposal
from secure_fl.synthetic.review_log import Act
from secure_fl.synthetic.store import PatternStore, State
from secure_fl.synthetic.validation import Objection, Verdict

PATTERNS = library(5)
WHO = {"reviewer": "A Reviewer", "reason": "a good reason"}


def verdict(proposal: Proposal, accepted: bool = True) -> Verdict:
    return Verdict(proposal.digest, () if accepted else (Objection("velocity", "too fast"),))


class Reviewing(RuleBasedStateMachine):
    """Any order of acts: the store does what the dictionary says, and refuses everything else."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = PatternStore(self.folder)
        self.states: dict[str, State] = {}

    @rule(proposal=st.sampled_from(PATTERNS), accepted=st.booleans())
    def propose(self, proposal: Proposal, accepted: bool) -> None:
        before = self.states.get(proposal.digest)
        allowed = before is None or (before == "rejected by validation" and accepted)
        if not allowed:
            with pytest.raises(ConfigurationError, match="refused"):
                self.store.propose(proposal, verdict(proposal, accepted))
            return
        self.store.propose(proposal, verdict(proposal, accepted))
        self.states[proposal.digest] = "pending" if accepted else "rejected by validation"

    @rule(proposal=st.sampled_from(PATTERNS))
    def approve(self, proposal: Proposal) -> None:
        if self.states.get(proposal.digest) in ("pending", "rejected"):
            self.store.approve(proposal.digest[:12], **WHO)
            self.states[proposal.digest] = "approved"
        else:
            with pytest.raises(ConfigurationError):
                self.store.approve(proposal.digest[:12], **WHO)

    @rule(proposal=st.sampled_from(PATTERNS))
    def reject(self, proposal: Proposal) -> None:
        if self.states.get(proposal.digest) in ("pending", "approved"):
            self.store.reject(proposal.digest, **WHO)
            self.states[proposal.digest] = "rejected"
        else:
            with pytest.raises(ConfigurationError):
                self.store.reject(proposal.digest, **WHO)

    @rule(old=st.sampled_from(PATTERNS), new=st.sampled_from(PATTERNS), accepted=st.booleans())
    def edit(self, old: Proposal, new: Proposal, accepted: bool) -> None:
        allowed = self.states.get(old.digest) not in (None, "edited") and new.digest not in self.states
        if not allowed:
            with pytest.raises(ConfigurationError):
                self.store.edit(old.digest, new, verdict(new, accepted), **WHO)
            return
        self.store.edit(old.digest, new, verdict(new, accepted), **WHO)
        self.states[new.digest] = "pending" if accepted else "rejected by validation"
        if accepted:
            self.states[old.digest] = "edited"

    @invariant()
    def only_the_approved_are_used(self) -> None:
        holdings = self.store.read()
        assert {kept.digest: kept.state for kept in holdings.kept} == self.states
        approved = {digest for digest, state in self.states.items() if state == "approved"}
        assert {proposal.digest for proposal in holdings.approved()} == approved
        pending = {digest for digest, state in self.states.items() if state == "pending"}
        assert {proposal.digest for proposal in holdings.unreviewed()} == approved | pending

    def teardown(self) -> None:
        shutil.rmtree(self.folder)


Reviewing.TestCase.settings = settings(max_examples=25, stateful_step_count=20)
TestReviewing = Reviewing.TestCase


@pytest.fixture
def store(tmp_path: Path) -> PatternStore:
    """Three proposals: approved, pending, rejected by validation."""
    store = PatternStore(tmp_path / "patterns")
    for proposal in PATTERNS[:2]:
        store.propose(proposal, verdict(proposal))
    store.propose(PATTERNS[2], verdict(PATTERNS[2], accepted=False))
    store.approve(PATTERNS[0].digest, **WHO)
    return store


def pattern_file(store: PatternStore, number: int) -> Path:
    return store.folder / f"{PATTERNS[number].digest}.json"


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("change", ["byte", "provenance", "gone", "another"])
def test_a_file_that_was_changed_stops_everything(store: PatternStore, number: int, change: str) -> None:
    path = pattern_file(store, number)
    content = path.read_bytes()
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes({
            "byte": content.replace(b'"low"', b'"low" ', 1),
            "provenance": content.replace(PATTERNS[number].provenance.reference.encode(), b"Something else"),  # type: ignore[union-attr]
            "another": pattern_file(store, (number + 1) % 3).read_bytes(),
        }[change])  # fmt: skip
        assert path.read_bytes() != content
    with pytest.raises(SyntheticError, match="nothing of the store is used"):
        store.read()
    with pytest.raises(SyntheticError, match="nothing of the store is used"):
        store.approve(PATTERNS[1].digest, **WHO)


def test_an_approval_that_could_not_have_happened_is_found_though_its_hash_holds(store: PatternStore) -> None:
    digest = PATTERNS[2].digest
    file = hashlib.sha256(pattern_file(store, 2).read_bytes()).hexdigest()
    store.log.append(lambda _entries: Act("approve", digest, file, **WHO))
    store.log.verify()
    with pytest.raises(SyntheticError, match=r"line 5 of the log .* cannot have happened \(approve\)"):
        store.read()


@pytest.mark.parametrize(
    "act",
    [
        Act("approve", PATTERNS[3].digest, "0" * 64, **WHO),
        Act("approve", PATTERNS[1].digest, "0" * 64, **WHO),
        Act("approve", PATTERNS[1].digest, "", "secure-fl", "approved by nobody"),
        Act("edit", PATTERNS[3].digest, "0" * 64, **WHO),
        Act("edit", PATTERNS[3].digest, "0" * 64, replaces=PATTERNS[3].digest, **WHO),
        Act("propose", PATTERNS[3].digest, "0" * 64, **WHO),
    ],
    ids=["unknown", "other file", "machine", "edit of nothing", "edit of itself", "proposed by hand"],
)
def test_acts_out_of_order_are_found(store: PatternStore, act: Act) -> None:
    files = {entry.pattern: entry.file for entry in store.log.read()}
    forged = Act(act.action, act.pattern, act.file or files[act.pattern], act.reviewer, act.reason, act.replaces)
    store.log.append(lambda _entries: forged)
    with pytest.raises(SyntheticError, match="cannot have happened"):
        store.read()


def test_a_log_that_is_gone_leaves_nothing_to_use(store: PatternStore) -> None:
    store.log.path.unlink()
    with pytest.raises(SyntheticError, match="is gone"):
        store.read()


def test_a_file_that_no_line_names_is_nobodys_proposal(store: PatternStore) -> None:
    """As a crash leaves it between the file and its line; another try heals it, whatever the file holds."""
    path = store.folder / f"{PATTERNS[4].digest}.json"
    path.write_text("half of a fi")
    assert PATTERNS[4].digest not in {kept.digest for kept in store.read().kept}
    store.propose(PATTERNS[4], verdict(PATTERNS[4]))
    assert store.read().find(PATTERNS[4].digest).proposal == PATTERNS[4]


def test_an_edit_is_linked_and_takes_the_place_of_the_old_one(store: PatternStore) -> None:
    store.edit(PATTERNS[0].digest, PATTERNS[3], verdict(PATTERNS[3]), "B Reviewer", "lower amounts")
    holdings = store.read()
    assert holdings.approved() == ()
    new, old = holdings.find(PATTERNS[3].digest), holdings.find(PATTERNS[0].digest)
    assert (new.state, new.replaces, old.state) == ("pending", PATTERNS[0].digest, "edited")
    assert new.last == old.last
    assert (new.last.reviewer, new.last.reason) == ("B Reviewer", "lower amounts")
    with pytest.raises(ConfigurationError, match="is edited, so approve is refused"):
        store.approve(PATTERNS[0].digest, **WHO)


def test_an_edit_that_validation_rejects_leaves_the_old_one_as_it_was(store: PatternStore) -> None:
    store.edit(PATTERNS[0].digest, PATTERNS[3], verdict(PATTERNS[3], accepted=False), **WHO)
    holdings = store.read()
    assert holdings.approved() == (PATTERNS[0],)
    new = holdings.find(PATTERNS[3].digest)
    assert (new.state, new.last.reason, new.replaces) == (
        "rejected by validation",
        "velocity: too fast",
        PATTERNS[0].digest,
    )


def test_a_run_uses_what_is_approved_and_a_repeated_run_exactly_the_same(store: PatternStore, tmp_path: Path) -> None:
    approved, pending, rejected = (proposal.digest for proposal in PATTERNS[:3])
    holdings = store.read()
    assert holdings.usable() == (PATTERNS[0],)
    assert holdings.usable(unreviewed=True) == (PATTERNS[0], PATTERNS[1])
    assert holdings.usable(unreviewed=True, digests=(pending, approved)) == (PATTERNS[1], PATTERNS[0])
    for digests in ((pending,), (rejected,), (approved, "0" * 64)):
        with pytest.raises(ConfigurationError, match="may not be trained on"):
            holdings.usable(digests=digests)
    with pytest.raises(ConfigurationError, match="may not be trained on"):
        holdings.usable(unreviewed=True, digests=(rejected,))
    with pytest.raises(ConfigurationError, match="no pattern is approved"):
        PatternStore(tmp_path / "empty").read().usable()


@pytest.mark.parametrize("identifier", ["", "7fc", "zzzz", "0" * 64])
def test_an_id_names_exactly_one_pattern(store: PatternStore, identifier: str) -> None:
    with pytest.raises(ConfigurationError, match="the ID"):
        store.approve(identifier, **WHO)


@pytest.mark.parametrize(
    "changes", [{"reviewer": ""}, {"reason": ""}, {"reason": "two\nlines"}, {"reviewer": "\x1b[2J"}]
)
def test_nobody_decides_without_a_name_and_a_reason(store: PatternStore, changes: dict[str, str]) -> None:
    length = len(store.log.read())
    for decide in (store.approve, store.reject):
        with pytest.raises(ConfigurationError, match="one plain line"):
            decide(PATTERNS[1].digest, **{**WHO, **changes})
    with pytest.raises(ConfigurationError, match="one plain line"):
        store.edit(PATTERNS[1].digest, PATTERNS[3], verdict(PATTERNS[3]), **{**WHO, **changes})
    assert len(store.log.read()) == length


def test_a_verdict_about_another_pattern_is_refused(store: PatternStore) -> None:
    with pytest.raises(ConfigurationError, match="another pattern"):
        store.propose(PATTERNS[3], verdict(PATTERNS[4]))


def test_where_the_store_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECURE_FL_STORE", raising=False)
    assert PatternStore.of_user(tmp_path).folder == tmp_path
    assert PatternStore.of_user().folder.name == "patterns"
    monkeypatch.setenv("SECURE_FL_STORE", str(tmp_path / "elsewhere"))
    assert PatternStore.of_user().folder == tmp_path / "elsewhere"
    assert PatternStore.of_user().read().kept == ()  # reading creates nothing
    assert not (tmp_path / "elsewhere").exists()


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SyntheticError, match=r"cannot be written .* --store"):
        PatternStore(tmp_path / "file").propose(PATTERNS[0], verdict(PATTERNS[0]))
