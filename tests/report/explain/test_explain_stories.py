"""What a step-by-step page shows is what the protocol did: numbers add up, secrets open for their readers alone, and
each liar gets what its story says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import ConfigurationError
from secure_fl.report.explain import Request, explain
from secure_fl.report.explain.scene import BITS, MODEL
from secure_fl.report.explain.story import EAVESDROPPER, Line, Message, Play, Step, Story, Work
from secure_fl.scoring.custody import DATA_OWNER, MODEL_OWNER
from secure_fl.secagg.he.public_keys import moduli_of
from secure_fl.secagg.he.words import KEY_AUTHORITY
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.planning import plan
from secure_fl.secagg.schemes import SCHEMES

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
    "rlwe": Request("rlwe"),
    "rlwe, one silent": Request("rlwe", banks=4, drop={"bank-3": "upload"}),
    "multi-krum": Request("ckks", robust="multi-krum"),
    "score": Request("ckks", score=True),
}
HALVES = {"ckks": ("c0", "c1"), "bfv": ("c0", "c1"), "rlwe": ("d", "c")}
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


def modulus_of(name: str) -> int:
    """That of the ring."""
    request = REQUESTS[name]
    return 1 << plan(request.scheme, request.count, MODEL, BITS).field_bits


def vector(line: Line) -> np.ndarray:
    """The numbers that are shown."""
    return np.array([int(number) for number in line.numbers if number != "…"])


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
        if result.sign != "=" or not all(line.sign in "+−" for line in parts[1:]) or "modulo q" in result.label:
            continue
        if "decrypt" in work.title or work.title.startswith("reads") or "…" in result.numbers:
            continue
        off = sum(map(signed, parts)) - vector(result)
        assert (off % modulus_of(name) == 0).all() if scheme in ("masked", "additive") else (off == 0).all(), (
            name,
            work,
        )


@every_request
def test_every_step_and_message_is_somebodys(name: str) -> None:
    for each in plays(name):
        for story in each.stories:
            parties = story.parties or each.parties
            assert story.liar in ("", *parties)
            assert {*parties} <= {*each.viewers}
            for step in story.steps:
                assert step.title
                assert step.text.endswith(".")
                assert bool(step.messages) != bool(step.at)
                assert {work.party for work in step.work} <= {"", *parties}
            for message in messages_of(story):
                assert {message.sender, message.recipient} <= {*parties}
                assert sum(len(field.data) for field in message.fields) <= message.size
                for field in message.fields:
                    assert field.readers is None or set(field.readers) <= {*parties}


@pytest.mark.parametrize("name", [name for name in REQUESTS if "too few" not in name])
def test_the_honest_story_ends_in_the_exact_sum(name: str) -> None:
    request, first = REQUESTS[name], play(name).stories[0]
    line = next(work_of(first.steps[-1:])).lines[-1]
    assert line.label.endswith(", exactly")
    inside = [bank for bank in request.names if bank in line.label]
    gone = {bank for bank, stage in request.drop.items() if stage != "unmask"}
    poisoned = {"bank-5"} if request.robust == "multi-krum" else set()
    assert set(inside) == set(request.names) - gone - poisoned
    assert vector(line).tolist() == np.sum([request.updates[bank] for bank in inside], axis=0)[:4].tolist()


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
    for scheme in ("ckks", "bfv", "rlwe"):
        uploads = [m.fields for m in messages_of(play(scheme).stories[0]) if m.sender.startswith("bank-")]
        assert len(uploads) == REQUESTS[scheme].count
        for number, (_, *halves) in enumerate(uploads, 1):
            assert [half.name.rpartition(": ")[2] for half in halves] == list(HALVES[scheme])
            assert all(half.readers == (f"bank-{number}", KEY_AUTHORITY) for half in halves)


def story(name: str, title: str) -> Story:
    stories = play(name).stories
    (found,) = [each for each in stories if title == each.title] or [each for each in stories if title in each.title]
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
    assert lies[0].numbers == ("500", "0", "0", "0")


def test_made_up_banks_are_refused_by_share_holders() -> None:
    last = ending("additive", "makes up")
    assert last.title == "There is no sum"
    assert "share-holder-1 cannot use the seeds of bank-1, bank-3" in last.text
    senders = {message.sender for message in messages_of(story("additive", "makes up"))}
    assert not senders & {"bank-1", "bank-3"}


def test_share_holders_can_spoil_or_stop_a_sum() -> None:
    assert ending("additive", "share-holder lies").work[0].lines[-1].label == "no sum of their numbers"
    assert ending("additive", "a share-holder is silent").title == "There is no sum"


def test_two_of_three_share_holders_open_the_sum_without_the_third() -> None:
    told = story("additive", "two of three open the sum")
    last = told.steps[-1]
    assert last.work[0].lines[-1].label == "the sum of bank-1, bank-2 and bank-3, exactly"
    assert "share-holder-2: it did not answer" in last.text
    missing = next(step for step in told.steps if step.title.endswith("for the sum that is missing"))
    assert [message.recipient for message in missing.messages] == ["share-holder-3"]
    answers = [message for message in messages_of(told) if message.sender == "share-holder-3"]
    sums = [[field.name for field in message.fields if field.name.startswith("sum of")] for message in answers]
    assert sums == [["sum of share-holder-1 and share-holder-3"], ["sum of share-holder-2 and share-holder-3"]]
    assert "share-holder-3" not in play("additive").parties


def test_a_lie_of_one_of_three_share_holders_is_found_out() -> None:
    told = story("additive", "is found out")
    assert told.steps[-1].title == "There is no sum"
    assert "share-holder-1 and share-holder-2 give different sums" in told.steps[-1].text
    lies = [line for work in work_of(told.steps) for line in work.lines if "on top" in line.label]
    assert [line.numbers for line in lies] == [("500", "0", "0", "0")]


@pytest.mark.parametrize("name", ["ckks", "bfv", "rlwe"])
def test_one_upload_is_opened_only_if_it_is_called_a_sum(name: str) -> None:
    assert refusals(name, "asks for one").keys() == {KEY_AUTHORITY}
    assert ending(name, "asks for one").title == "There is no sum"
    read = ending(name, "passes one upload off").work[0].lines[-1]
    assert vector(read).tolist() == REQUESTS[name].updates["bank-2"].tolist()


@pytest.mark.parametrize("name", ["ckks", "bfv", "rlwe"])
def test_an_altered_message_costs_its_sender_its_place(name: str) -> None:
    last = ending(name, "altered")
    assert "bank-2: a message from bank-2 to aggregator was altered" in last.text
    assert "bank-2" not in last.work[0].lines[-1].label
    (altered,) = (m for m in messages_of(story(name, "altered")) if m.fields[0].name == "altered message")
    assert altered.sender == "bank-2"


@pytest.mark.parametrize("name", ["ckks", "bfv", "rlwe"])
def test_coefficients_of_the_sum_are_sums_modulo_q(name: str) -> None:
    request = REQUESTS[name]
    planned: Any = plan(request.scheme, request.count, MODEL, BITS)
    (q, *_) = moduli_of(planned.parameters_of_context)
    added = [work for work in work_of(play(name).stories[0].steps) if work.title == "adds ciphertexts"]
    assert len(added) == 1
    *parts, total = added[0].lines
    assert len(parts) == request.count
    assert ((sum(vector(line).astype(object) for line in parts) - vector(total).astype(object)) % q == 0).all()


@pytest.mark.parametrize("name", ["ckks", "bfv", "rlwe", "multi-krum"])
def test_a_lying_aggregator_is_not_shown_adding(name: str) -> None:
    for story in play(name).stories[1:]:
        if story.liar == AGGREGATOR:
            assert not any("adds" in work.title for work in work_of(story.steps))
            assert any(step.trouble and "sends one upload" in step.title for step in story.steps)


def secrets_of(play: Play, own: str) -> Iterator[str]:
    """What fields show to a party: readable meanings, and bytes."""
    for message in messages_of(play.stories[0]):
        for field in message.fields:
            if field.readers is None or own in field.readers:
                yield field.meaning


@pytest.mark.parametrize("name", ["masked", "masked, one of five vanishes late"])
@pytest.mark.parametrize("viewer", [AGGREGATOR, EAVESDROPPER])
def test_no_secret_of_a_bank_is_in_a_field_for_others(name: str, viewer: str) -> None:
    """Seeds, as a bank's own work shows them, and shares that were not opened."""
    found = play(name)
    told = " ".join(secrets_of(found, viewer))
    drawn = [work.title for work in work_of(found.stories[0].steps) if work.title.startswith("draws a seed")]
    assert len(drawn) == REQUESTS[name].count
    for title in drawn:
        seed = title.removeprefix("draws a seed, ").partition(" …")[0]
        assert len(seed) == 11
        assert seed not in told
    assert "share of its mask key" not in told
    assert "share of its mask key" in " ".join(secrets_of(found, "bank-1"))


def test_commitments_are_not_what_they_commit_to() -> None:
    for message in messages_of(play("masked").stories[0]):
        for field in message.fields:
            if field.name == "commitment to the seed":
                seed = next(
                    work.title.removeprefix("draws a seed, ").partition(" …")[0]
                    for work in work_of(play("masked").stories[0].steps)
                    if work.party == message.sender and work.title.startswith("draws")
                )
                assert not field.data.hex(" ").startswith(seed)


def test_of_whom_input_arrived_the_seed_is_opened_and_of_others_the_mask_key() -> None:
    opened = {
        (field.name, field.meaning.partition(";")[0])
        for message in messages_of(play("masked, one vanishes").stories[0])
        for field in message.fields
        if field.name.startswith("share of")
    }
    assert opened == {
        ("share of bank-1", "of its self-mask seed"),
        ("share of bank-2", "of its mask key"),
        ("share of bank-3", "of its self-mask seed"),
    }


def test_sealed_seeds_distances_and_sums_have_their_readers_only() -> None:
    seeds = [f for m in messages_of(play("additive").stories[0]) for f in m.fields if f.name.startswith("seed")]
    assert len(seeds) == 12
    assert all(f.readers is not None and AGGREGATOR not in f.readers for f in seeds)
    for name, part in (("ckks", "of the sum"), ("multi-krum", "of the sum"), ("multi-krum", "totals of squares")):
        fields = [f for m in messages_of(play(name).stories[0]) for f in m.fields if f.name.endswith(part)]
        assert fields
        assert all(f.readers == (KEY_AUTHORITY,) for f in fields)


def test_seeds_that_the_aggregator_made_up_are_its_own() -> None:
    for message in messages_of(story("additive", "makes up")):
        for field in message.fields:
            if field.name.startswith("seed of"):
                maker = "bank-2" if field.name == "seed of bank-2" else AGGREGATOR
                assert field.readers == (maker, message.recipient)


def test_keys_that_were_swapped_are_said_to_be_others() -> None:
    asked = next(step for step in story("masked", "swaps").steps if step.stage == "share_keys")
    said = {(m.recipient, f.name): f.meaning for m in asked.messages for f in m.fields if f.name.startswith("keys of")}
    others = {place for place, meaning in said.items() if meaning == "not those that it advertised"}
    assert others == {("bank-2", "keys of bank-1")}


@pytest.mark.parametrize("name", ["ckks", "bfv", "rlwe"])
def test_an_upload_is_shown_as_the_key_opens_it(name: str) -> None:
    """Not as the bank's input: of the altered message nothing is shown."""
    seen = []
    for message in messages_of(play(name).stories[0]):
        for field in message.fields:
            if field.name.endswith(f": {HALVES[name][0]}"):
                numbers = " ".join(map(str, REQUESTS[name].updates[message.sender]))
                assert field.meaning.startswith(f"{numbers}, if the key authority")
                seen.append(message.sender)
    assert seen == list(REQUESTS[name].names)


@pytest.mark.parametrize("name", ["ckks", "bfv", "rlwe"])
def test_two_uploads_of_a_kind_look_different(name: str) -> None:
    words, halves = (
        [
            {shown for step in found.stories[0].steps for shown in of(step)}
            for found in (explain(REQUESTS[name])[0], play(name))
        ]
        for of in (_ciphertext_lines, _halves)
    )
    for first, second in (words, halves):
        assert len(first) >= REQUESTS[name].count
        assert not first & second


def _ciphertext_lines(step: Step) -> Iterator[tuple[str, ...]]:
    return (line.numbers for work in step.work for line in work.lines if "of the ciphertext" in line.label)


def _halves(step: Step) -> Iterator[str]:
    return (field.raw for message in step.messages for field in message.fields if "bits: " in field.name)


def test_a_key_authority_of_multi_krum_knows_distances_and_lengths() -> None:
    (pool,) = (pool for pool in play("multi-krum").pools if pool.members == (KEY_AUTHORITY,))
    updates = REQUESTS["multi-krum"].updates
    for finding in pool.findings:
        told = [int(number) for number in re.findall(r"\d+", finding.how.partition("squared: ")[2])]
        others = [
            ((updates[finding.bank] - values) ** 2).sum() for bank, values in updates.items() if bank != finding.bank
        ]
        length = ((updates[finding.bank] - 128) ** 2).sum()
        assert np.abs(np.array(told) - [*others, length]).max() <= 25
        assert not finding.broken


def test_every_bank_that_vanishes_is_named() -> None:
    found = explain(Request("masked", banks=5, drop={"bank-1": "unmask", "bank-4": "masked_input"}))[0].stories[0]
    assert "bank-1 from unmask on" in found.text
    assert "bank-4 from masked_input on" in found.text


def test_refusals_mark_the_last_step() -> None:
    assert ending("masked", "wrong share").trouble
    assert ending("masked", "two lists").trouble
    assert not play("masked").stories[0].steps[-1].trouble


def test_ckks_decrypts_to_nearly_the_integers() -> None:
    (opened,) = (work for work in work_of(play("ckks").stories[0].steps) if work.title == "decrypts")
    decrypted, rounded = opened.lines[:2]
    errors = [abs(float(a) - int(b)) for a, b in zip(decrypted.numbers, rounded.numbers, strict=True)]
    assert 0 < max(errors) < 0.5
    assert all(error > 0 for error in errors) or max(len(number.partition(".")[2]) for number in decrypted.numbers) > 4


def test_the_poisoner_is_left_out_and_another_sum_is_not_opened() -> None:
    assert play("multi-krum").stories[0].text == "bank-5 sends the opposite. It is not chosen."
    assert refusals("multi-krum", "another sum").keys() == {KEY_AUTHORITY}
    (compared,) = (work for work in work_of(play("multi-krum").stories[0].steps) if work.title == "compares")
    updates = list(REQUESTS["multi-krum"].updates.values())
    squared = np.array([[((a - b) ** 2).sum() for b in updates] for a in updates])
    bound = float(re.findall(r"at most ([\d.]+),", compared.text)[0])
    assert 0 <= bound < 100
    off = np.abs(np.array([vector(line) for line in compared.lines[:5]]) - squared)
    assert off.max() <= np.ceil(bound)


def test_the_score_is_right_within_its_bound_and_a_curious_owner_has_the_weights() -> None:
    scored = plays("score")[1]
    decrypted, plain, off, bound = work_lines(scored.stories[0].steps[-1])
    assert abs(float(decrypted.numbers[0]) - float(plain.numbers[0])) <= float(bound.numbers[0])
    assert abs(float(off.numbers[0])) <= float(bound.numbers[0])
    solved = scored.stories[1]
    weights = next(line.numbers for work in work_of(solved.steps) for line in work.lines if line.label == "weights")
    assert work_lines(solved.steps[-1])[-1].numbers == weights
    assert all(not pool.broken for pool in scored.pools)
    assert {pool.findings[0].bank for pool in scored.pools if MODEL_OWNER not in pool.members} == {
        DATA_OWNER,
        MODEL_OWNER,
    }
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


@pytest.mark.parametrize("name", ["plaintext", "additive", "masked", "ckks", "rlwe"])
def test_all_banks_but_one_read_the_last_under_every_scheme(name: str) -> None:
    assert broken(name, "bank-1", "bank-3") == {"bank-2"}


def test_masks_of_five_banks_hold_against_two_and_fall_to_three() -> None:
    """The threshold is 3 of 5: so many banks hold shares enough of everybody's secrets."""
    name = "masked, one of five vanishes late"
    assert broken(name, AGGREGATOR, "bank-1", "bank-2") == frozenset()
    assert broken(name, AGGREGATOR, "bank-1", "bank-2", "bank-3") == {"bank-4", "bank-5"}
    assert broken(name, "bank-1", "bank-2", "bank-3") == frozenset()


def test_pools_are_all_sets_of_parties() -> None:
    for name in REQUESTS:
        for found in plays(name):
            assert len(found.pools) == 2 ** (len(found.parties) + 1) - 1


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
        ({"scheme": "ckks", "robust": "multi-krum", "drop": {"bank-1": "upload"}}, "leave --drop out"),
        ({"drop": {"bank-7": "unmask"}}, "bank-1, bank-2, bank-3"),
        ({"drop": {"bank-1": "decrypt"}}, "masked has no stage 'decrypt'"),
    ],
    ids=str,
)
def test_what_a_page_cannot_show_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Request(**{"scheme": "masked", **wrong})  # type: ignore[arg-type]


def test_an_experimental_scheme_is_called_so() -> None:
    found = play("rlwe")
    assert found.name == "rlwe (experimental)"
    assert "experimental: the arithmetic is our own, and nobody has audited it" in found.text
    assert not any("xperimental" in play(name).text + play(name).name for name in ("ckks", "bfv", "masked"))


@pytest.mark.parametrize("name", ["bfv", "rlwe"])
def test_bits_that_are_left_out_are_those_of_the_plan(name: str) -> None:
    """What the text says of them, how wide words are then, and how wide those of the sum."""
    planned: Any = plan(REQUESTS[name].scheme, REQUESTS[name].count, MODEL, BITS)
    first, second = planned.dropped
    assert first > 0
    c0, c1 = HALVES[name]
    steps = play(name).stories[0].steps
    asked = [step for step in steps if step.title.endswith("encrypts its numbers")]
    said = f"The lowest {first} bits of each word of {c0}" + (f" and {second} bits of each word of {c1}" * (second > 0))
    assert all(f"{said} are not sent" in step.text for step in asked)
    widths = {
        message.sender: [int(width) for field in message.fields for width in re.findall(r"of (\d+) bits", field.name)]
        for step in steps
        for message in step.messages
        if message.recipient != AGGREGATOR or message.sender.startswith("bank-")
    }
    q = planned.modulus_bits
    assert widths["bank-1"] == [q - first, q - second]
    assert widths[AGGREGATOR] == [q, q]
    assert "are not sent" not in " ".join(step.text for step in play("ckks").stories[0].steps)


def test_every_scheme_can_be_explained() -> None:
    assert {request.scheme for request in REQUESTS.values()} == set(SCHEMES)
