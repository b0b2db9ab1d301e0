"""The review on the terminal: proposals come in validated, are shown as plain text, and decided by name."""

from __future__ import annotations

import io
import json
import shutil
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from secure_fl.chain.signing import fingerprint
from secure_fl.data.synthetic.describing import duration, illustrate, parameters
from secure_fl.data.synthetic.leakage import RealRows
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.patterns import Amount, CategoryWeight, Gaps, Hours, Number, Proposal, Provenance
from secure_fl.data.synthetic.population import population
from secure_fl.data.synthetic.review import edit, pattern_json, print_list, print_log, print_pattern, submit
from secure_fl.data.synthetic.reviewers import ReviewerFiles
from secure_fl.data.synthetic.sampler import sample_campaigns
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


ODD = library()[1].pattern.model_copy(
    update={
        "amount": Amount(basis="customer mean", low=1.5, high=9.0, shape="mostly low", course="falling"),
        "categories": (CategoryWeight(category="fuel", weight=3.0), CategoryWeight(category="online", weight=1.0)),
        "payments": Number(low=2, high=3),
        "velocity": 7,
        "gaps": Gaps(low=90.0, high=5400.0, shape="mostly high"),
        "hours": Hours(first=22, length=5),
        "accounts": Number(low=4, high=4),
        "account_origin": "fresh",
        "terminals": Number(low=5, high=11),
        "terminal_origin": "existing",
        "duration_days": 2.5,
        "countries": ("BE", "FR"),
    }
)


def test_every_parameter_is_said_in_words_and_units() -> None:
    assert parameters(ODD) == {
        "amount": "1.5 to 9 times the customer's mean, mostly low, falling",
        "categories": "fuel 75%, online 25%",
        "payments": "2 to 3 per account, at most 7 in 24 h",
        "gaps": "1.5 min to 1.5 h, mostly high",
        "hours": "22:00 to 3:00",
        "accounts": "4 in concert, fresh",
        "terminals": "5 to 11 per campaign, existing",
        "duration": "at most 2.5 d",
        "channel": "online (not in the rows)",
        "countries": "BE, FR (not in the rows)",
    }
    for length, words in ((24, "all day"), (23, "22:00 to 21:00"), (2, "22:00 to 0:00")):
        hours = Hours(first=22, length=length)
        assert parameters(ODD.model_copy(update={"hours": hours}))["hours"] == words
    currency = Amount(basis="currency", low=1.0, high=2.0)
    assert parameters(ODD.model_copy(update={"amount": currency}))["amount"] == (
        "1 to 2 in the table's currency, uniform, independent"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 s"), (59, "59 s"), (60, "1 min"), (3599, "60 min"), (3600, "1 h"), (86_400, "1 d"), (129_600, "1.5 d")],
)
def test_durations_come_in_the_unit_that_suits_them(seconds: int, words: str) -> None:
    assert duration(float(seconds)) == words


def test_an_illustration_shows_the_rows_that_are_drawn() -> None:
    shown = illustrate(ODD, REAL.training, seed=3)
    drawn = sample_campaigns(ODD, 1000, population(REAL.training), RNG(3))
    rows = sorted(
        zip(drawn.sequence, drawn.rows.when, drawn.rows.numeric["amount"], *drawn.rows.text.values(), strict=True),
        key=lambda row: row[:2],
    )
    gaps = [after[1] - row[1] for row, after in pairwise(rows) if after[0] == row[0]]
    assert shown.gap.tolist() == gaps
    assert sorted(shown.amount) == sorted(row[2] for row in rows)
    assert sorted(shown.hour) == pytest.approx(sorted(row[1] % 86_400 / 3600 for row in rows))
    assert len(shown.rows) == 8
    assert tuple(drawn.rows.text) == ("category", "customer", "terminal")
    for cells, (sequence, when, amount, category, customer, terminal) in zip(shown.rows, rows, strict=False):
        moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=when)  # a Monday
        day = f"{moment:%a} {int(when // 86_400)}"
        assert cells[:5] == (str(sequence + 1), day, f"{moment:%H:%M:%S}", f"{amount:.2f}", category)
        assert cells[5] == f"{customer[:5]}..{customer[-5:]}"  # fresh and long
        assert cells[6] == terminal
    assert np.array_equal(illustrate(ODD, REAL.training, seed=3).amount, shown.amount)


def test_what_was_turned_down_or_edited_still_bars_its_copies_but_not_its_own_edit(
    store: PatternStore, tmp_path: Path
) -> None:
    """An edit may be near to what it replaces, and to nothing else of the store."""
    first = library()[0]
    near = json.loads(pattern_json(store, first.digest)) | {"name": "The same, said better"}
    file = tmp_path / "pattern.json"
    file.write_text(json.dumps(near))
    entry, verdict = edit(store, first.digest, file, "A Reviewer", "clearer", REAL, RNG(0))
    assert verdict.accepted
    assert store.read().find(first.digest).state == "edited"
    again = Proposal(pattern=first.pattern.model_copy(update={"name": "Said again"}), provenance=first.provenance)
    (refused,) = submit(store, [again], REAL, RNG(0))
    assert [each.check for each in refused.objections] == ["duplicate"]
    assert entry.pattern[:12] in refused.reason
    file.write_text(json.dumps(near | {"name": "The third form"}))
    _, verdict = edit(store, HOSTILE.digest, file, "A Reviewer", "another", REAL, RNG(0))
    assert [each.check for each in verdict.objections] == ["duplicate"]


def test_a_pattern_is_shown_with_where_it_comes_from_and_who_decided(store: PatternStore, tmp_path: Path) -> None:
    first = library()[0]
    store.reject(first.digest, "A Reviewer", "we never see this")
    console = screen()
    print_pattern(store, first.digest, REAL.training, console)
    text = " ".join(text_of(console).split())
    assert f"ID {first.digest}" in text
    assert f"modelled on: {first.provenance.reference}" in text
    assert "edited from" not in text
    assert "rejected: we never see this (A Reviewer, key " in text
    for name, value in parameters(first.pattern).items():
        assert f"{name} {value}" in text
    file = tmp_path / "pattern.json"
    file.write_text(json.dumps(json.loads(pattern_json(store, first.digest)) | {"velocity": 5}))
    entry, _ = edit(store, first.digest, file, "A Reviewer", "slower", REAL, RNG(0))
    console = screen()
    print_pattern(store, entry.pattern, REAL.training, console)
    assert f"edited from: {first.digest}" in " ".join(text_of(console).split())
    console = screen()
    print_log(store, console=console)
    what = column(text_of(console), "what, and why")
    assert f"edit {entry.pattern[:12]} in place of {first.digest[:12]}: slower" in what
    lines = [line.split()[:1] for line in text_of(console).splitlines()]
    assert [[str(number)] for number in range(1, 6)] == [line for line in lines if line and line[0].isdigit()]


def test_the_list_counts_every_state_and_shows_all_only_on_request(store: PatternStore) -> None:
    store.approve(HOSTILE.digest, "A Reviewer", "plausible")
    for every, expected in ((False, [library()[0]]), (True, [library()[0], impossible(), HOSTILE])):
        console = screen()
        print_list(store, every, console)
        text = text_of(console)
        assert [p.digest[:12] in text for p in (library()[0], impossible(), HOSTILE)] == [
            p in expected for p in (library()[0], impossible(), HOSTILE)
        ]
        assert text.splitlines()[-1].strip() == "1 pending, 1 rejected by validation, 1 approved"
