"""The store as a state machine, held against a model of it; and what tampering leads to."""

from __future__ import annotations

import base64
import hashlib
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from secure_fl.chain.signing import fingerprint
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.patterns import Proposal
from secure_fl.data.synthetic.review_line import Act, Entry
from secure_fl.data.synthetic.reviewers import ReviewerFiles
from secure_fl.data.synthetic.signing import ReviewerKey
from secure_fl.data.synthetic.store import PatternStore, State
from secure_fl.data.synthetic.validation import Objection, Verdict
from secure_fl.errors import ConfigurationError, SyntheticError

PATTERNS = library(5)
WHO = {"reviewer": "A Reviewer", "reason": "a good reason"}


def verdict(proposal: Proposal, accepted: bool = True) -> Verdict:
    return Verdict(proposal.digest, () if accepted else (Objection("velocity", "too fast"),))


class Reviewing(RuleBasedStateMachine):
    """Any order of acts: the store does what the dictionary says, and refuses everything else."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = PatternStore(self.folder / "store", ReviewerFiles.in_folder(self.folder / "own"))
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
    store = PatternStore(tmp_path / "patterns", ReviewerFiles.in_folder(tmp_path / "own"))
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
    store.log.append(lambda _entries: Act("approve", digest, file, **WHO), store.own.signer(WHO["reviewer"]))
    store.log.read()
    with pytest.raises(SyntheticError, match=r"line 5 of the log .* cannot have happened \(approve\)"):
        store.read()


@pytest.mark.parametrize(
    "act",
    [
        Act("approve", PATTERNS[3].digest, "0" * 64, **WHO),
        Act("approve", PATTERNS[1].digest, "0" * 64, **WHO),
        Act("approve", PATTERNS[1].digest, "", "secure-fl", "approved by nobody"),
        Act("approve", PATTERNS[0].digest, "", **WHO),
        Act("edit", PATTERNS[3].digest, "0" * 64, **WHO),
        Act("edit", PATTERNS[3].digest, "0" * 64, replaces=PATTERNS[3].digest, **WHO),
        Act("propose", PATTERNS[3].digest, "0" * 64, **WHO),
    ],
    ids=["unknown", "other file", "machine", "twice by one", "edit of nothing", "edit of itself", "proposed by hand"],
)
def test_acts_out_of_order_are_found(store: PatternStore, act: Act) -> None:
    files = {entry.pattern: entry.file for entry in store.log.read()}
    forged = Act(act.action, act.pattern, act.file or files[act.pattern], act.reviewer, act.reason, act.replaces)
    store.log.append(
        lambda _entries: forged, None if act.reviewer == "secure-fl" else store.own.signer(WHO["reviewer"])
    )
    with pytest.raises(SyntheticError, match="cannot have happened"):
        store.read()


@pytest.fixture
def other(store: PatternStore, tmp_path: Path) -> PatternStore:
    """The same store, as another reviewer with a key of his own opens it."""
    return PatternStore(store.folder, ReviewerFiles.in_folder(tmp_path / "other"))


OTHER = {"reviewer": "B Reviewer", "reason": "as good"}


def test_an_approval_counts_for_those_who_trust_its_key(store: PatternStore, other: PatternStore) -> None:
    approved, pending = (proposal.digest for proposal in PATTERNS[:2])
    assert other.read().approved() == ()
    assert other.read().find(approved).state == "untrusted approval"
    assert other.read().usable(unreviewed=True) == PATTERNS[:2]
    for digests in ((), (approved,)):
        with pytest.raises(ConfigurationError, match="reviewer whose key is trusted"):
            other.read().usable(digests=digests)
    other.own.trust(WHO["reviewer"], store.own.signer(WHO["reviewer"]).public)
    assert other.read().approved() == (PATTERNS[0],)
    other.own.distrust(WHO["reviewer"])
    assert other.read().approved() == ()
    other.approve(pending, **OTHER)
    assert other.read().approved() == (PATTERNS[1],)
    assert store.read().approved() == (PATTERNS[0],)
    assert store.read().find(pending).state == "untrusted approval"


def test_a_key_that_is_trusted_in_another_name_does_not_count(store: PatternStore, other: PatternStore) -> None:
    other.own.trust("C Reviewer", store.own.signer(WHO["reviewer"]).public)
    other.own.trust(WHO["reviewer"], ReviewerKey.generate().public)
    assert other.read().approved() == ()


def test_several_approve_and_one_rejection_takes_all_back(store: PatternStore, other: PatternStore) -> None:
    digest = PATTERNS[0].digest
    other.approve(digest, **OTHER)
    for once_more, who in ((store, WHO), (other, OTHER)):
        assert once_more.read().find(digest).state == "approved"
        with pytest.raises(ConfigurationError, match="already, so approve is refused"):
            once_more.approve(digest, **who)
    assert [entry.reviewer for entry in store.read().find(digest).approvals] == ["A Reviewer", "B Reviewer"]
    other.reject(digest, **OTHER)  # whoever it is: less is trained on, never more
    assert store.read().find(digest).state == "rejected"
    other.approve(digest, **OTHER)
    assert store.read().find(digest).state == "untrusted approval"
    store.approve(digest, **WHO)
    assert store.read().approved() == (PATTERNS[0],)


def test_an_approval_by_hand_with_a_key_of_ones_own_making_does_not_count(store: PatternStore) -> None:
    """Whoever may write the file can sign with a fresh key, under a trusted reviewer's name too."""
    forger = ReviewerKey.generate()
    file = store.log.read()[1].file
    for name in (WHO["reviewer"], "Somebody"):
        act = Act("approve", PATTERNS[1].digest, file, name, "let me in")
        store.log.append(lambda _entries, act=act: act, forger)  # type: ignore[misc]
        assert store.read().find(PATTERNS[1].digest).state == "untrusted approval"
        assert store.read().approved() == (PATTERNS[0],)


def test_an_approval_copied_from_another_store_does_not_hold(store: PatternStore, tmp_path: Path) -> None:
    elsewhere = PatternStore(tmp_path / "elsewhere", store.own)
    elsewhere.propose(PATTERNS[1], verdict(PATTERNS[1]))
    signed = elsewhere.approve(PATTERNS[1].digest, **WHO)
    entries = store.log.read()
    copied = signed.model_copy(update={"seq": len(entries), "previous": entries[-1].hash})
    with store.log.path.open("ab") as file:
        file.write(copied.to_line())
    with pytest.raises(SyntheticError, match=r"line 5 of the log .* is not signed by the key that it names"):
        store.read()


def test_a_withdrawn_approval_does_not_come_back_with_an_older_copy(store: PatternStore) -> None:
    old = store.log.path.read_bytes()
    store.reject(PATTERNS[0].digest, **WHO)
    store.log.path.write_bytes(old)
    with pytest.raises(SyntheticError, match="was cut or rewritten"):
        store.read()


def test_the_private_key_stays_in_its_file(store: PatternStore, tmp_path: Path) -> None:
    secret = "".join(store.own.key.read_text().splitlines()[1:-1])
    assert len(secret) > 40
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != store.own.key]
    assert {path.suffix for path in files} == {".json", ".jsonl"}
    raw = base64.b64decode(secret)[-32:]
    for path in files:
        content = path.read_bytes()
        assert not any(form in content for form in (secret.encode(), raw, raw.hex().encode()))
    assert raw.hex() not in repr(store) + repr(store.read()) + repr(store.own.signer(WHO["reviewer"]))


def test_who_signed_is_said_of_every_line(store: PatternStore, other: PatternStore) -> None:
    entries: tuple[Entry, ...] = store.log.read()
    public = store.own.signer(WHO["reviewer"]).public
    assert store.read().signer_of(entries[0]) == "validation, unsigned"
    assert store.read().signer_of(entries[3]) == f"A Reviewer, key {fingerprint(public)}"
    assert other.read().signer_of(entries[3]) == f"A Reviewer, key {fingerprint(public)}, NOT TRUSTED"


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
    store.edit(PATTERNS[0].digest, PATTERNS[3], verdict(PATTERNS[3]), WHO["reviewer"], "lower amounts")
    holdings = store.read()
    assert holdings.approved() == ()
    new, old = holdings.find(PATTERNS[3].digest), holdings.find(PATTERNS[0].digest)
    assert (new.state, new.replaces, old.state) == ("pending", PATTERNS[0].digest, "edited")
    assert new.approvals == old.approvals == (), "nobody approves either any more"
    assert new.last == old.last
    assert (new.last.reviewer, new.last.reason) == (WHO["reviewer"], "lower amounts")
    with pytest.raises(ConfigurationError, match="is edited, so approve is refused"):
        store.approve(PATTERNS[0].digest, **WHO)


def test_what_a_pattern_was_edited_from_stays_known(store: PatternStore) -> None:
    """Also when it is decided about, and when it is edited again."""
    first, second, third = PATTERNS[0], PATTERNS[3], PATTERNS[4]
    store.edit(first.digest, second, verdict(second), **WHO)
    store.approve(second.digest, **WHO)
    assert store.read().find(second.digest).replaces == first.digest
    store.reject(second.digest, **WHO)
    store.edit(second.digest, third, verdict(third), **WHO)
    holdings = store.read()
    assert holdings.find(third.digest).replaces == second.digest
    assert holdings.find(second.digest).replaces == first.digest


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
