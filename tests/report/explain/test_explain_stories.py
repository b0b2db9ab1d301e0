"""What a step-by-step page shows is what the protocol did: numbers add up, secrets open for their readers alone, and
each liar gets what its story says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import product

import numpy as np
import pytest

from secure_fl.errors import ConfigurationError
from secure_fl.report.explain import Request, explain
from secure_fl.report.explain.story import EAVESDROPPER, Line, Message, Play, Step, Story, Work
from secure_fl.scoring.custody import DATA_OWNER, MODEL_OWNER
from secure_fl.secagg.he.encoding import KEY_AUTHORITY
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.schemes import SCHEMES

MODULUS = 1 << 16
REQUESTS = {
    "plaintext": Request("plaintext"),
    "additive": Request("additive"),
    "additive, one silent": Request("additive", banks=4, drop={"bank-4": "upload"}),
    "masked": Request("masked"),
    "masked, one vanishes": Request("masked", drop={"bank-2": "masked_input"}),
    "masked, one of five vanishes late": Request("masked", banks=5, drop={"bank-1": "unmask"}),
    "masked, too few": Request("masked", drop={"bank-1": "share_keys", "bank-2": "masked_input"}),
    "ckks": Request("ckks"),
    "ckks, one silent": Request("ckks", drop={"bank-1": "upload"}),
    "bfv": Request("bfv", banks=5),
    "multi-krum": Request("ckks", robust="multi-krum"),
    "score": Request("ckks", score=True),
}
every_request = pytest.mark.parametrize("name", REQUESTS)


@cache
def plays(name: str) -> tuple[Play, ...]:
    return explain(REQUESTS[name])


def play(name: str) -> Play:
    return plays(name)[0]


def work_of(steps: tuple[Step, ...]) -> Iterator[Work]:
    return (work for step in steps for work in step.work)


def messages_of(story: Story) -> Iterator[Message]:
    return (message for step in story.steps for message in step.messages)


def vector(line: Line) -> np.ndarray:
    return np.array([int(number) for number in line.numbers])


def signed(line: Line) -> np.ndarray:
    return vector(line) * (-1 if line.sign == "−" else 1)


@every_request
@pytest.mark.parametrize("honest", [True, False])
def test_arithmetic_on_the_page_adds_up(name: str, honest: bool) -> None:
    """All lines that end in a result are a sum of integers, modulo the ring or the ciphertext's."""
    scheme = REQUESTS[name].scheme
    stories = play(name).stories
    for work in (work for story in (stories[:1] if honest else stories[1:]) for work in work_of(story.steps)):
        *parts, result = work.lines
        if result.sign != "=" or not all(line.sign in "+−" for line in parts[1:]) or "coefficients" in result.label:
            continue
        if "decrypt" in work.title or work.title.startswith("reads"):
            continue
        off = sum(map(signed, parts)) - vector(result)
        assert (off % MODULUS == 0).all() if scheme in ("masked", "additive") else (off == 0).all(), (name, work)


@every_request
def test_every_step_and_message_is_somebodys(name: str) -> None:
    for each in plays(name):
        for story in each.stories:
            assert story.liar in ("", *each.parties)
            for step in story.steps:
                assert step.title
                assert step.text.endswith(".")
                assert bool(step.messages) != bool(step.at)
                assert {work.party for work in step.work} <= {"", *each.parties}
            for message in messages_of(story):
                assert {message.sender, message.recipient} <= {*each.parties}
                assert sum(len(field.data) for field in message.fields) <= message.size
                for field in message.fields:
                    assert field.readers is None or set(field.readers) <= {*each.parties}


@pytest.mark.parametrize("name", [name for name in REQUESTS if "too few" not in name])
def test_the_honest_story_ends_in_the_exact_sum(name: str) -> None:
    request, first = REQUESTS[name], play(name).stories[0]
    line = next(work_of(first.steps[-1:])).lines[-1]
    assert line.label.endswith(", exactly")
    inside = [bank for bank in request.names if bank in line.label]
    gone = {bank for bank, stage in request.drop.items() if stage != "unmask"}
    poisoned = {"bank-5"} if request.robust == "multi-krum" else set()
    assert set(inside) == set(request.names) - gone - poisoned
    assert vector(line).tolist() == np.sum([request.updates[bank] for bank in inside], axis=0).tolist()


def test_too_few_banks_have_no_sum() -> None:
    first = play("masked, too few").stories[0]
    assert first.steps[-1].title == "There is no sum"
    assert "Too few" in first.text


def test_nobody_else_reads_a_letter_or_an_upload() -> None:
    letters = [
        (message, field)
        for message in messages_of(play("masked").stories[0])
        for field in message.fields
        if field.name.startswith("letter")
    ]
    assert len(letters) == 2 * 6  # six letters, from a bank to the aggregator and on to a bank
    for message, field in letters:
        assert field.readers is not None
        assert AGGREGATOR not in field.readers
        assert {message.sender, message.recipient} & {*field.readers}
    for scheme in ("ckks", "bfv"):
        uploads = [f for m in messages_of(play(scheme).stories[0]) for f in m.fields if f.name == "ciphertext 1"]
        assert len(uploads) == REQUESTS[scheme].count
        assert all(field.readers == (f"bank-{n}", KEY_AUTHORITY) for n, field in enumerate(uploads, 1))


def story(name: str, title: str) -> Story:
    (found,) = (each for each in play(name).stories if title in each.title)
    return found


def ending(name: str, title: str) -> Step:
    return story(name, title).steps[-1]


def refusals(name: str, title: str) -> dict[str, str]:
    return {step.at: step.text for step in story(name, title).steps if step.title.endswith("refuses")}


def test_swapped_keys_are_refused() -> None:
    said = refusals("masked", "swaps")
    assert "bank-1" in said["bank-2"]
    assert ending("masked", "swaps").title == "There is no sum"


def test_two_lists_open_nothing() -> None:
    said = refusals("masked", "two lists")
    assert said.keys() == {"bank-1"}
    assert "signatures" in said["bank-1"]
    asked = next(step for step in story("masked", "two lists").steps if step.stage == "consistency_check")
    lists = [field.meaning for message in asked.messages for field in message.fields if field.name == "survivors"]
    assert lists == ["bank-1 and bank-3", "bank-1, bank-2 and bank-3", "bank-1, bank-2 and bank-3"]


@pytest.mark.parametrize("name", ["masked", "masked, one of five vanishes late"])
def test_a_wrong_share_is_found_out_and_does_no_harm(name: str) -> None:
    last = ending(name, "wrong share")
    assert f"{REQUESTS[name].names[-1]}: its share of a secret of bank-1" in last.text
    assert last.work[0].lines[-1].label.endswith(", exactly")


def test_what_a_bank_puts_on_top_spoils_the_sum_unseen() -> None:
    last = ending("masked", "what it likes")
    assert last.work[0].lines[-1].label == "no sum of their numbers"
    assert not last.trouble
    lies = [
        line
        for work in work_of(story("masked", "what it likes").steps)
        for line in work.lines
        if "on top" in line.label
    ]
    assert lies[0].numbers == ("5000", "0", "0", "0")


def test_made_up_banks_leave_one_bank_bare() -> None:
    last = ending("additive", "makes up")
    assert vector(last.work[0].lines[-1]).tolist() == REQUESTS["additive"].updates["bank-2"].tolist()
    senders = {message.sender for message in messages_of(story("additive", "makes up"))}
    assert not senders & {"bank-1", "bank-3"}


def test_share_holders_can_spoil_or_stop_a_sum() -> None:
    assert ending("additive", "share-holder lies").work[0].lines[-1].label == "no sum of their numbers"
    assert ending("additive", "silent").title == "There is no sum"


@pytest.mark.parametrize("name", ["ckks", "bfv"])
def test_one_upload_is_opened_only_if_it_is_called_a_sum(name: str) -> None:
    assert refusals(name, "asks for one").keys() == {KEY_AUTHORITY}
    assert ending(name, "asks for one").title == "There is no sum"
    read = ending(name, "passes one upload off").work[0].lines[-1]
    assert vector(read).tolist() == REQUESTS[name].updates["bank-2"].tolist()


@pytest.mark.parametrize("name", ["ckks", "bfv"])
def test_an_altered_message_costs_its_sender_its_place(name: str) -> None:
    last = ending(name, "altered")
    assert "bank-2: a message from bank-2 to aggregator was altered" in last.text
    assert "bank-2" not in last.work[0].lines[-1].label
    (altered,) = (m for m in messages_of(story(name, "altered")) if m.fields[0].name == "altered message")
    assert altered.sender == "bank-2"


def test_ckks_decrypts_to_nearly_the_integers() -> None:
    (opened,) = (work for work in work_of(play("ckks").stories[0].steps) if work.title == "decrypts")
    decrypted, rounded = opened.lines[:2]
    errors = [abs(float(a) - int(b)) for a, b in zip(decrypted.numbers, rounded.numbers, strict=True)]
    assert 0 < max(errors) < 0.5


def test_the_poisoner_is_left_out_and_another_sum_is_not_opened() -> None:
    assert play("multi-krum").stories[0].text == "bank-5 sends the opposite. It is not chosen."
    assert refusals("multi-krum", "another sum").keys() == {KEY_AUTHORITY}
    (compared,) = (work for work in work_of(play("multi-krum").stories[0].steps) if work.title == "compares")
    updates = list(REQUESTS["multi-krum"].updates.values())
    squared = np.array([[((a - b) ** 2).sum() for b in updates] for a in updates])
    bound = float(re.findall(r"at most ([\d.]+),", compared.text)[0])
    assert 0 < bound < 20
    off = np.abs(np.array([vector(line) for line in compared.lines[:5]]) - squared)
    assert off.max() <= np.ceil(bound)
    assert off[:4, :4].max() == 0  # small distances are opened exactly


def test_the_score_is_right_within_its_bound_and_a_curious_owner_has_the_weights() -> None:
    scored = plays("score")[1]
    decrypted, plain, off, bound = work_lines(scored.stories[0].steps[-1])
    assert abs(float(decrypted.numbers[0]) - float(plain.numbers[0])) <= float(bound.numbers[0])
    assert abs(float(off.numbers[0])) <= float(bound.numbers[0])
    solved = scored.stories[1]
    weights = next(line.numbers for work in work_of(solved.steps) for line in work.lines if line.label == "weights")
    assert work_lines(solved.steps[-1])[-1].numbers == weights
    assert [pool.members for pool in scored.pools] == [(MODEL_OWNER,), (EAVESDROPPER,), (MODEL_OWNER, EAVESDROPPER)]
    rows = [field for message in messages_of(scored.stories[0]) for field in message.fields if field.readers]
    assert {field.readers for field in rows} == {(DATA_OWNER,)}


def work_lines(step: Step) -> tuple[Line, ...]:
    return step.work[0].lines


def broken(name: str, *members: str) -> frozenset[str]:
    """Whose numbers these parties read together."""
    (pool,) = (pool for pool in play(name).pools if set(pool.members) == set(members))
    return pool.broken


def test_who_pools_what_reads_whom() -> None:
    everyone = {"bank-1", "bank-2", "bank-3"}
    for listener in (AGGREGATOR, EAVESDROPPER):
        assert broken("plaintext", listener) == everyone
        assert broken("masked", listener) == broken("additive", listener) == broken("ckks", listener) == frozenset()
        assert broken("ckks", listener, KEY_AUTHORITY) == everyone
        assert broken("additive", listener, "share-holder-1") == frozenset()
        assert broken("additive", listener, "share-holder-1", "share-holder-2") == everyone
        assert broken("masked", listener, "bank-1") == frozenset()
    assert broken("additive", "share-holder-1", "share-holder-2") == broken("ckks", KEY_AUTHORITY) == frozenset()
    assert broken("masked, one vanishes", "bank-1") == {"bank-3"}
    assert broken("masked, one vanishes", AGGREGATOR) == frozenset()


@pytest.mark.parametrize("name", ["plaintext", "additive", "masked", "ckks"])
def test_all_banks_but_one_read_the_last_under_every_scheme(name: str) -> None:
    assert broken(name, "bank-1", "bank-3") == {"bank-2"}


def test_masks_of_five_banks_hold_against_two_and_fall_to_three() -> None:
    """The threshold is 3 of 5: so many banks hold shares enough of everybody's secrets."""
    name = "masked, one of five vanishes late"
    assert broken(name, AGGREGATOR, "bank-1", "bank-2") == frozenset()
    assert broken(name, AGGREGATOR, "bank-1", "bank-2", "bank-3") == {"bank-4", "bank-5"}
    assert broken(name, "bank-1", "bank-2", "bank-3") == frozenset()


def test_pools_are_all_sets_of_parties() -> None:
    for name, each in product(REQUESTS, (0,)):
        found = plays(name)[each]
        assert len(found.pools) == 2 ** len(found.viewers) - 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"scheme": "rot13"}, "choose one of"),
        ({"banks": 2}, "3 to 5"),
        ({"banks": 6}, "3 to 5"),
        ({"robust": "median"}, "multi-krum or none"),
        ({"scheme": "bfv", "robust": "multi-krum"}, "--scheme ckks"),
        ({"scheme": "masked", "score": True}, "--scheme ckks"),
        ({"scheme": "ckks", "robust": "multi-krum", "banks": 4}, "--banks 5"),
        ({"drop": {"bank-7": "unmask"}}, "bank-1, bank-2, bank-3"),
        ({"drop": {"bank-1": "decrypt"}}, "masked has no stage 'decrypt'"),
    ],
    ids=str,
)
def test_what_a_page_cannot_show_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Request(**{"scheme": "masked", **wrong})  # type: ignore[arg-type]


def test_every_scheme_can_be_explained() -> None:
    assert {request.scheme for request in REQUESTS.values()} == set(SCHEMES)
