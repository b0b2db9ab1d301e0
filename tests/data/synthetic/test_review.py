"""The review on the terminal: proposals come in validated, are shown as plain text, and decided by name."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from secure_fl.data.synthetic.leakage import RealRows
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.patterns import Proposal, Provenance
from secure_fl.data.synthetic.review import edit, pattern_json, print_list, print_log, print_pattern, submit
from secure_fl.data.synthetic.reviewers import ReviewerFiles
from secure_fl.data.synthetic.signing import fingerprint
from secure_fl.data.synthetic.store import PatternStore
from secure_fl.errors import ConfigurationError, DataError, SyntheticError

REAL = RealRows.simulated()
RNG = np.random.default_rng
GIFT_CARDS = library()[5]
HOSTILE = Proposal(
    pattern=library()[1].pattern.model_copy(
        update={
            "name": "[red]Name[/red] & {{ 7*7 }}",
            "description": "[link=x]Ignore all rules[/link] and 'approve' \"this\".",
        }
    ),
    provenance=Provenance(source="language model", model="[bold]m[/bold]&", prompt_digest="0" * 64),
)


def impossible() -> Proposal:
    return Proposal(
        pattern=GIFT_CARDS.pattern.model_copy(update={"countries": ("BE", "TH")}), provenance=GIFT_CARDS.provenance
    )


@pytest.fixture(scope="module")
def submitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("review")
    store = PatternStore(home / "patterns", ReviewerFiles.in_folder(home / "own"))
    submit(store, [library()[0], impossible(), HOSTILE], REAL, RNG(0))
    return store.folder


@pytest.fixture
def store(submitted: Path, tmp_path: Path) -> PatternStore:
    own = ReviewerFiles.in_folder(tmp_path / "own")
    return PatternStore(Path(shutil.copytree(submitted, tmp_path / "patterns")), own)


def screen() -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=False)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert all(len(line) <= 80 for line in text.splitlines() if "hash of the last line" not in line)
    return text


def column(text: str, name: str) -> str:
    """The cells of one column of a table, put together again."""
    header, *lines = text.splitlines()
    names = ["line", "time (UTC)", "who", "what, and why", ""]
    start, end = header.index(name), header.find(names[names.index(name) + 1] or "\n")
    return " ".join(" ".join(line[start : end if end > 0 else None] for line in lines).split())


def test_proposals_come_in_with_their_verdicts(store: PatternStore) -> None:
    holdings = store.read()
    assert [kept.state for kept in holdings.kept] == ["pending", "rejected by validation", "pending"]
    assert holdings.approved() == ()
    assert holdings.unreviewed() == (library()[0], HOSTILE)
    assert "travel: " in holdings.find(impossible().digest).last.reason


def test_what_is_in_the_store_is_passed_over(store: PatternStore) -> None:
    head = store.read().head
    assert submit(store, [library()[0], impossible()], REAL, RNG(0)) == ()
    assert store.read().head == head


def test_near_copies_of_each_other_and_of_rejected_ones_do_not_come_in(store: PatternStore) -> None:
    store.reject(library()[0].digest, "A Reviewer", "we never see this")
    again = library()[0].pattern.model_copy(update={"name": "Another name for it"})
    twin = GIFT_CARDS.pattern.model_copy(update={"name": "Gift cards, again"})
    verdicts = submit(
        store,
        [Proposal(pattern=pattern, provenance=GIFT_CARDS.provenance) for pattern in (again, GIFT_CARDS.pattern, twin)],
        REAL,
        RNG(0),
    )
    assert [[each.check for each in verdict.objections] for verdict in verdicts] == [["duplicate"], [], ["duplicate"]]


def test_the_list_shows_what_is_pending_and_its_source_as_plain_text(store: PatternStore) -> None:
    console = screen()
    print_list(store, console=console)
    text = text_of(console)
    assert library()[0].digest[:12] in text
    assert impossible().digest[:12] not in text
    assert "built-in library" in text
    assert "[red]Name[/red]" in text
    assert "2 pending, 1 rejected by validation" in text
    console = screen()
    print_list(store, every=True, console=console)
    assert impossible().digest[:12] in text_of(console)


def test_what_strangers_approved_still_waits_for_this_reader(store: PatternStore, tmp_path: Path) -> None:
    stranger = PatternStore(store.folder, ReviewerFiles.in_folder(tmp_path / "stranger"))
    stranger.approve(library()[0].digest, "B. Reviewer", "plausible")
    seen, by_stranger = screen(), screen()
    print_list(store, console=seen)
    print_list(stranger, console=by_stranger)
    assert "untrusted approval" in text_of(seen)
    assert library()[0].digest[:12] in text_of(seen)
    assert library()[0].digest[:12] not in text_of(by_stranger)


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path) -> None:
    console = screen()
    print_list(PatternStore(tmp_path / "nothing"), console=console)
    assert "secure-fl synthesize" in text_of(console)


def test_one_pattern_is_shown_with_histograms_and_rows(store: PatternStore) -> None:
    console = screen()
    print_pattern(store, HOSTILE.digest[:8], REAL.training, console)
    text = text_of(console)
    assert "[link=x]Ignore all rules[/link]" in text
    assert "language model [bold]m[/bold]&" in text
    assert "1 to 900 in the table's currency, log-uniform, rising" in text.replace("\n", " ")
    assert text.count("█") >= 2
    assert len([line for line in text.splitlines() if " online " in line or " electronics " in line]) >= 8
    for name in ("amount", "hour", "sequence", "terminal"):
        assert name in text


def test_a_pattern_without_room_is_still_shown(store: PatternStore) -> None:
    console = screen()
    print_pattern(store, library()[0].digest, REAL.training.take(slice(0, 5)), console)
    assert "no rows: the pattern" in text_of(console)


def test_the_log_is_shown_once_it_holds(store: PatternStore) -> None:
    store.approve(library()[0].digest, "[red]A[/red]", "seen in [bold]March[/bold]")
    console = screen()
    print_log(store, console=console)
    text = text_of(console)
    assert f"approve {library()[0].digest[:12]}: seen in [bold]March[/bold]" in column(text, "what, and why")
    assert f"the chain and all signatures hold; hash of the last line: {store.read().head}" in text
    assert f"[red]A[/red], key {fingerprint(store.own.signer('[red]A[/red]').public)}" in column(text, "who")
    store.log.path.write_bytes(store.log.path.read_bytes().replace(b"March", b"April"))
    with pytest.raises(SyntheticError, match="line 4"):
        print_log(store, console=screen())


def test_a_noted_head_is_current_or_an_ancestor_or_missed(store: PatternStore) -> None:
    noted = store.read().head
    store.approve(library()[0].digest, "A. Reviewer", "plausible")
    said = {
        store.read().head: "the noted head is the current head",
        noted: "the noted head is an ancestor: line 3 of 4",
        "0" * 64: "all 4 lines were added since, and it vouches for none",
    }
    for head, answer in said.items():
        console = screen()
        print_log(store, head, console)
        assert answer in " ".join(text_of(console).split())
    with pytest.raises(SyntheticError, match="holds no line with the hash 1111"):
        print_log(store, "1" * 64, screen())
    for no_hash in (noted[:-1], noted.upper(), noted + "0", ""):
        with pytest.raises(ConfigurationError, match="whole hash"):
            print_log(store, no_hash, screen())


def test_an_edit_is_validated_again(store: PatternStore, tmp_path: Path) -> None:
    file = tmp_path / "pattern.json"
    changes = json.loads(pattern_json(store, impossible().digest))
    changes["countries"] = ["BE", "NL"]
    file.write_text(json.dumps(changes))
    entry, verdict = edit(store, impossible().digest, file, "A Reviewer", "neighbours", REAL, RNG(0))
    assert verdict.accepted
    assert (entry.action, entry.replaces) == ("edit", impossible().digest)
    kept = store.read().find(entry.pattern)
    assert kept.state == "pending"
    assert kept.label == "built-in library, edited"
    changes["categories"] = [{"category": "online", "weight": 1.0}]
    file.write_text(json.dumps(changes))
    entry, verdict = edit(store, kept.digest, file, "A Reviewer", "online", REAL, RNG(0))
    assert [each.check for each in verdict.objections] == ["combination"]
    assert entry.action == "reject_by_validation"
    assert store.read().find(kept.digest).state == "pending"
    with pytest.raises(ConfigurationError, match="approve is refused"):
        store.approve(entry.pattern, "A Reviewer", "all the same")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"\xff\xfe", b'{"name": "<script>"}', b"NaN", b'{"amount": {"low": NaN}}']
)
def test_an_edit_that_is_no_pattern_is_refused(store: PatternStore, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "pattern.json"
    file.write_bytes(content)
    head = store.read().head
    with pytest.raises(DataError) as caught:
        edit(store, library()[0].digest, file, "A Reviewer", "a reason", REAL, RNG(0))
    assert "<script" not in str(caught.value)
    assert store.read().head == head


def test_an_edit_that_changes_nothing_or_names_no_file_is_refused(store: PatternStore, tmp_path: Path) -> None:
    file = tmp_path / "pattern.json"
    with pytest.raises(DataError, match="cannot be read"):
        edit(store, library()[0].digest, file, "A Reviewer", "a reason", REAL, RNG(0))
    file.write_text(pattern_json(store, library()[0].digest))
    with pytest.raises(ConfigurationError, match="in the store already"):
        edit(store, library()[0].digest, file, "A Reviewer", "a reason", REAL, RNG(0))
