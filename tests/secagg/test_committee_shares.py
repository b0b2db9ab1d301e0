"""Additive shares with a quorum of share-holders: who is silent, who lies, who is in league, and what comes of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import DropoutError, MessageError, PlanError, ProtocolError
from secure_fl.secagg import plan, ring, simulate
from secure_fl.secagg.additive.deployment import AdditiveDeployment
from secure_fl.secagg.additive.holder import ShareHolderKey
from secure_fl.secagg.additive.opening import liars
from secure_fl.secagg.additive.wire import (
    HASH_BYTES,
    SUM_SHARES,
    UPLOAD,
    Upload,
    commitment,
    digest_of,
    parts_of,
    purpose,
    requested,
    split_upload,
    unpack_sums,
    vouched,
)
from secure_fl.secagg.attempts import attempt_sum
from secure_fl.secagg.budget import Committee
from secure_fl.secagg.hazmat.agreement import SIGNATURE_BYTES, seal_to, unseal
from secure_fl.secagg.hazmat.prg import SEED_BYTES, add_mask
from secure_fl.secagg.messages import AGGREGATOR, HEADER_BYTES, Cohort, open_message, seal
from secure_fl.secagg.protocol import Outcome, Party, run_protocol
from secure_fl.secagg.schemes import SCHEMES, scheme_of
from secure_fl.secagg.transcript import Transcript
from secure_fl.secagg.turns import OneAnswer, new_session
from tests.secagg.altered import Altered

Change = Callable[[bytes], bytes]
COMMITTEES = [(n, t) for n in range(2, 6) for t in range(n // 2 + 1, n + 1)]
every_committee = pytest.mark.parametrize(("n", "t"), COMMITTEES)


class Scene:
    """Four banks with their numbers, and a committee."""

    def __init__(self, n: int, t: int, parameters: int = 30) -> None:
        committee = Committee.of(n, t)
        self.scheme = scheme_of("additive", committee)
        self.plan: Any = plan("additive", 4, parameters, 8, holders=n, quorum=t)
        self.updates = np.random.default_rng(n).integers(0, 256, (4, parameters))
        self.cohort: Cohort[Any] = self.scheme.cohort(
            self.plan, 1, tuple(f"bank-{k}" for k in range(1, 5)), session=new_session()
        )
        self.there: Any = self.scheme.deploy(self.plan)
        assert isinstance(self.there, AdditiveDeployment)
        self.holders = self.cohort.trustees

    def parties(self, cohort: Cohort[Any], changes: Mapping[tuple[str, str], Change]) -> dict[str, Party]:
        clients = {
            bank: self.there.client(cohort, bank, row) for bank, row in zip(cohort.banks, self.updates, strict=True)
        }
        everyone = {**clients, **self.there.trustees(cohort)}
        for (name, stage), change in changes.items():
            everyone[name] = Altered(everyone[name], cohort, name, stage, change)
        return everyone

    def run(
        self,
        silent: Collection[str] = (),
        changes: Mapping[tuple[str, str], Change] | None = None,
        cohort: Cohort[Any] | None = None,
        left_out: Collection[str] = (),
    ) -> Outcome:
        cohort = cohort or self.cohort
        parties = self.parties(cohort, changes or {})
        dropped = dict.fromkeys(silent, SUM_SHARES)
        return run_protocol(cohort, self.there.server(cohort), parties, Transcript(), dropped, left_out)

    def upload(self, bank: str, values: Any = None) -> Upload:
        row = self.updates[self.cohort.banks.index(bank)] if values is None else values
        sent = self.there.client(self.cohort, bank, row).respond(seal(self.cohort, UPLOAD, AGGREGATOR, bank))
        return split_upload(self.cohort, open_message(self.cohort, sent, recipient=AGGREGATOR, sender=bank).payload)

    def signed(self, bank: str, hashes: list[bytes], cohort: Cohort[Any] | None = None) -> bytes:
        """What a bank that lies signs of them."""
        signature: bytes = self.there._identities.of(bank).sign_upload(cohort or self.cohort, bank, vouched(hashes))
        return signature

    def seeds(self, holder: str, bank: str, upload: Upload) -> dict[int, bytes]:
        """What a share-holder knows of a bank."""
        key = self.there._holders[holder].key
        opened = unseal(key, upload.sealed[self.holders.index(holder)], purpose(self.cohort, bank, holder))
        parts = parts_of(self.cohort, holder)
        return {part: opened[SEED_BYTES * place :][:SEED_BYTES] for place, part in enumerate(parts)}

    def ask(
        self, holder: str, uploads: Mapping[int, Upload], wanted: tuple[int, ...] | None = None
    ) -> Mapping[int, Any]:
        """The sums that a share-holder gives of these banks' parts; by default all that it has."""
        wanted = parts_of(self.cohort, holder) if wanted is None else wanted
        asked = requested(self.cohort, holder, uploads, wanted)
        party = self.there.trustees(self.cohort)[holder]
        answer = party.respond(seal(self.cohort, SUM_SHARES, AGGREGATOR, holder, asked))
        payload = open_message(self.cohort, answer, recipient=AGGREGATOR, sender=holder).payload
        return unpack_sums(self.cohort, holder, payload, wanted).sums

    def left(self, bank: str, upload: Upload, league: Collection[str]) -> Any:
        """A bank's numbers as the aggregator and some share-holders make them out."""
        known: dict[int, bytes] = {}
        for holder in league:
            known |= self.seeds(holder, bank, upload)
        rest = ring.from_bytes(self.plan, upload.share).copy()
        for seed in known.values():
            add_mask(rest, seed)
        return ring.to_integers(self.plan, rest)


# Quorums


@every_committee
def test_every_quorum_opens_the_same_exact_sum(n: int, t: int) -> None:
    for silent in itertools.chain.from_iterable(itertools.combinations(range(n), k) for k in range(n - t + 1)):
        scene = Scene(n, t)
        names = [scene.holders[member] for member in silent]
        outcome = scene.run(names)
        assert outcome.sum.total.tolist() == scene.updates.sum(axis=0).tolist()
        assert outcome.sum.contributors == set(scene.cohort.banks)
        assert outcome.refused == dict.fromkeys(names, "it did not answer")


@every_committee
def test_fewer_open_nothing(n: int, t: int) -> None:
    for silent in itertools.combinations(range(n), n - t + 1):
        scene = Scene(n, t)
        names = [scene.holders[member] for member in silent]
        with pytest.raises(DropoutError, match=f"{', '.join(names)} gave no sum that can be used, and {t} share-"):
            scene.run(names)


@every_committee
def test_a_quorum_knows_all_parts_and_one_less_does_not(n: int, t: int) -> None:
    scene = Scene(n, t)
    upload = scene.upload("bank-2")
    for league in itertools.combinations(scene.holders, t):
        assert scene.left("bank-2", upload, league).tolist() == scene.updates[1].tolist()
    for league in itertools.combinations(scene.holders, t - 1):
        assert scene.left("bank-2", upload, league).tolist() != scene.updates[1].tolist()


@pytest.mark.slow
@pytest.mark.parametrize(("n", "t", "runs"), [(3, 2, 10_000), (5, 3, 1_000)])
def test_one_less_than_a_quorum_guesses_an_update_as_if_blind(n: int, t: int, runs: int) -> None:
    """Of two updates, all zeros and all ones, which did the bank share? What is left is the best that they have."""
    scene, rng = Scene(n, t, parameters=2), np.random.default_rng()
    league = scene.holders[: t - 1]
    secret = rng.integers(0, 2, runs)
    left = np.array([scene.left("bank-1", scene.upload("bank-1", np.full(2, b)), league) for b in secret])
    for guess in (left[:, 0] & 1, left[:, 0] >= 1 << (scene.plan.ring_bits - 1), (left[:, 0] == left[:, 1]) * 1):
        right = int((guess == secret).sum())
        assert abs(right - runs / 2) < 5 * np.sqrt(runs / 4)
    quorum = scene.holders[:t]
    known = [scene.left("bank-1", scene.upload("bank-1", np.full(2, b)), quorum).tolist() for b in (0, 1)]
    assert known == [[0, 0], [1, 1]], "with one more it is no guess"


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(COMMITTEES), st.integers(3, 6), st.sampled_from([4, 8, 16, 24]), st.data())
def test_sums_are_exact_whatever_the_committee(
    committee: tuple[int, int], banks: int, bits: int, data: st.DataObject
) -> None:
    updates = np.array(data.draw(st.lists(st.lists(st.integers(0, 2**bits - 1), min_size=3, max_size=3),
                                          min_size=banks, max_size=banks)))  # fmt: skip
    found = simulate("additive", updates, bits, holders=committee[0], quorum=committee[1])
    assert found.total.tolist() == updates.sum(axis=0).tolist()
    planned: Any = found.plan
    assert found.upload_bytes[0] - HEADER_BYTES == (
        HASH_BYTES * len(planned.committee.subsets)
        + SIGNATURE_BYTES
        + committee[0] * planned.sealed_bytes
        + len(ring.to_bytes(planned, ring.zeros(planned)))
    )


# Share-holders that lie


def framed(vector: bytes) -> bytes:
    return bytes([vector[0] ^ 1]) + vector[1:]


def lie_about(scene: Scene, holder: str, part: int, with_hash: bool) -> Change:
    """A share-holder's answer with another sum of one part, which it was asked for or not, and maybe its hash."""
    own = parts_of(scene.cohort, holder)

    def change(payload: bytes) -> bytes:
        hashes, whole = payload[: HASH_BYTES * len(own)], payload[HASH_BYTES * len(own) :]
        false = framed(whole) if whole else b""
        place = HASH_BYTES * own.index(part)
        digest = digest_of(false) if with_hash else hashes[place : place + HASH_BYTES]
        return hashes[:place] + digest + hashes[place + HASH_BYTES :] + false

    return change


def test_a_sum_that_is_not_what_its_own_hash_says_is_left_out_and_named() -> None:
    scene = Scene(3, 2)
    liar = scene.holders[0]
    outcome = scene.run(changes={(liar, SUM_SHARES): lie_about(scene, liar, 0, with_hash=False)})
    assert outcome.sum.total.tolist() == scene.updates.sum(axis=0).tolist()
    assert set(outcome.refused) == {liar}
    assert "not what its hash says" in outcome.refused[liar]


@pytest.mark.parametrize("liar", range(5))
def test_a_liar_is_named_by_most_of_those_who_have_its_part_and_the_sum_is_exact(liar: int) -> None:
    scene = Scene(5, 3)
    name = scene.holders[liar]
    for part in parts_of(scene.cohort, name):
        again = Scene(5, 3)
        false = hash_of_nothing(again, name, part)
        outcome = again.run(changes={(name, SUM_SHARES): false})
        assert outcome.sum.total.tolist() == again.updates.sum(axis=0).tolist()
        assert outcome.refused == {name: "its sum of shares is not that of the others who have them"}


def hash_of_nothing(scene: Scene, holder: str, *parts: int) -> Change:
    """False sums of these parts with their hashes, where it was asked for them; else false hashes."""
    own = parts_of(scene.cohort, holder)
    width = len(ring.to_bytes(scene.plan, ring.zeros(scene.plan)))

    def change(payload: bytes) -> bytes:
        start = HASH_BYTES * len(own)
        hashes = [payload[place : place + HASH_BYTES] for place in range(0, start, HASH_BYTES)]
        vectors = [payload[place : place + width] for place in range(start, len(payload), width)]
        for place in map(own.index, parts):
            asked = [number for number, vector in enumerate(vectors) if digest_of(vector) == hashes[place]]
            vectors = [framed(vector) if number in asked else vector for number, vector in enumerate(vectors)]
            hashes[place] = digest_of(vectors[asked[0]]) if asked else bytes(HASH_BYTES)
        return b"".join(hashes + vectors)

    return change


def test_where_two_stand_against_each_other_there_is_no_sum_and_both_are_named() -> None:
    scene = Scene(3, 2)
    liar = scene.holders[1]
    part = parts_of(scene.cohort, liar)[0]
    with pytest.raises(ProtocolError, match="share-holder-1 and share-holder-2 give different sums of the same shares"):
        scene.run(changes={(liar, SUM_SHARES): hash_of_nothing(scene, liar, part)})


@pytest.mark.parametrize("silent", range(1, 5))
def test_one_who_is_outvoted_about_a_part_has_no_vote_about_the_others(silent: int) -> None:
    """3 of 5, one silent: about the parts that a liar has with that one it is tied, and outvoted about the others."""
    scene = Scene(5, 3)
    liar, gone = scene.holders[0], scene.holders[silent]
    lie = hash_of_nothing(scene, liar, *parts_of(scene.cohort, liar))
    outcome = scene.run([gone], {(liar, SUM_SHARES): lie})
    assert outcome.sum.total.tolist() == scene.updates.sum(axis=0).tolist()
    assert outcome.refused == {
        liar: "its sum of shares is not that of the others who have them",
        gone: "it did not answer",
    }


@pytest.mark.parametrize("silent", range(1, 5))
def test_one_who_lies_only_where_it_is_tied_leaves_no_sum(silent: int) -> None:
    scene = Scene(5, 3)
    liar, gone = scene.holders[0], scene.holders[silent]
    tied = [part for part in parts_of(scene.cohort, liar) if part in parts_of(scene.cohort, gone)]
    with pytest.raises(ProtocolError, match="so that one of them lies"):
        scene.run([gone], {(liar, SUM_SHARES): hash_of_nothing(scene, liar, *tied)})


@settings(deadline=None, max_examples=400)
@given(st.sampled_from([*COMMITTEES, (6, 4), (7, 4), (7, 5)]), st.data())
def test_who_is_named_a_liar_is_as_many_honest_answers_say(committee: tuple[int, int], data: st.DataObject) -> None:
    """Liars agree, or not, about any parts that they have."""
    n, t = committee
    parts = Committee(n, t)
    silent, lying = (set(data.draw(st.lists(st.integers(0, n - 1), max_size=n, unique=True))) for _ in range(2))
    lying -= silent
    false = st.sampled_from([b"true", b"true", b"lie", b"another lie"])
    said = {
        f"holder-{member}": {part: data.draw(false) if member in lying else b"true" for part in parts.parts_of(member)}
        for member in range(n)
        if member not in silent
    }
    lied = {holder for holder, digests in said.items() if set(digests.values()) != {b"true"}}
    honest = len(said) - len(lied)
    if honest < t + len(lied) - 1:
        return
    try:
        named = liars(said)
    except ProtocolError:
        assert lied
        assert honest == t + len(lied) - 1
        return
    assert named <= lied
    assert honest < t + len(lied) or named == lied
    left = [digests for holder, digests in said.items() if holder not in named]
    assert {digest for digests in left for digest in digests.values()} <= {b"true"}


def test_a_lie_that_is_tied_with_the_help_of_another_liar_falls_with_that_one() -> None:
    committee = Committee(7, 4)
    said = {f"holder-{member}": dict.fromkeys(committee.parts_of(member), b"true") for member in range(7)}
    together, alone = committee.subsets.index((0, 1, 2, 3)), committee.subsets.index((0, 2, 3, 4))
    for member, part in [(0, together), (1, together), (0, alone)]:
        said[f"holder-{member}"][part] = b"lie"
    assert liars(said) == {"holder-0", "holder-1"}
    said["holder-0"][alone] = b"true"
    with pytest.raises(ProtocolError, match="holder-0 and holder-1 and holder-2 and holder-3 give different sums"):
        liars(said)


def test_with_one_honest_answer_less_two_liars_of_five_name_an_honest_one() -> None:
    said = {f"holder-{m}": dict.fromkeys(Committee(5, 3).parts_of(m), b"lie" if m < 2 else b"true") for m in range(5)}
    assert liars(said) == {"holder-2", "holder-3", "holder-4", "holder-0", "holder-1"}


def test_two_liars_of_three_that_agree_outvote_the_third() -> None:
    """A part of a 3-of-5 committee is with three. What is said of liars is said of fewer than half."""
    scene = Scene(5, 3)
    first, second, third = scene.holders[:3]
    part = scene.plan.committee.subsets.index((0, 1, 2))
    lie, agreed = hash_of_nothing(scene, first, part), list[bytes]()

    def agreeing(holder: str) -> Change:
        place = HASH_BYTES * parts_of(scene.cohort, holder).index(part)

        def change(payload: bytes) -> bytes:
            if not agreed:
                agreed.append(lie(payload)[place : place + HASH_BYTES])
                return lie(payload)
            return payload[:place] + agreed[0] + payload[place + HASH_BYTES :]

        return change

    outcome = scene.run(changes={(name, SUM_SHARES): agreeing(name) for name in (first, second)})
    assert set(outcome.refused) == {third}
    assert outcome.sum.total.tolist() != scene.updates.sum(axis=0).tolist()


def test_one_that_was_started_anew_does_not_go_back_and_the_next_attempt_opens_with_it() -> None:
    """Asked again in the place of a silent one, it has forgotten its sums, but not that it gave some."""
    scene = Scene(3, 2)
    last = scene.holders[2]

    def once(cohort: Cohort[Any], left_out: Mapping[str, str]) -> Outcome:
        silent = [scene.holders[1]] if cohort.attempt == 1 else []
        parties = scene.parties(cohort, {})
        parties[last] = Forgetful(scene, cohort, last)
        dropped = dict.fromkeys(silent, SUM_SHARES)
        return run_protocol(cohort, scene.there.server(cohort), parties, Transcript(), dropped, left_out)

    done = attempt_sum(scene.cohort, once)
    assert done.attempts == 2
    assert done.outcome.sum.total.tolist() == scene.updates.sum(axis=0).tolist()
    assert done.refused == {}, "the sum that was opened is without nobody"


class Forgetful:
    """A share-holder that is started anew after each answer, and keeps its key and its last turn."""

    def __init__(self, scene: Scene, cohort: Cohort[Any], name: str) -> None:
        self._scene, self._cohort, self._name = scene, cohort, name

    def respond(self, request: bytes) -> bytes:
        held = self._scene.there._holders
        answer: bytes = self._scene.there.trustees(self._cohort)[self._name].respond(request)
        held[self._name] = ShareHolderKey(self._name, held[self._name].key, OneAnswer(held[self._name].answers._turns))
        return answer


class CutOff:
    """It cannot be reached."""

    def respond(self, request: bytes) -> bytes:
        raise TimeoutError


def without(scene: Scene, names: Collection[str], silent: Collection[str] = ()) -> Outcome:
    parties = scene.parties(scene.cohort, {}) | {name: CutOff() for name in names}
    dropped = dict.fromkeys(silent, SUM_SHARES)
    return run_protocol(scene.cohort, scene.there.server(scene.cohort), parties, Transcript(), dropped)


@every_committee
def test_one_that_is_cut_off_is_done_without_and_named(n: int, t: int) -> None:
    if n == t:
        return
    scene = Scene(n, t)
    for name in scene.holders:
        again = Scene(n, t)
        outcome = without(again, [name])
        assert outcome.sum.total.tolist() == again.updates.sum(axis=0).tolist()
        assert outcome.refused == {name: "it cannot be reached"}


def test_one_that_is_cut_off_when_it_is_asked_again_is_replaced_by_another() -> None:
    """Of 3 of 5, one is silent and one gives one answer and no other."""
    for once in range(5):
        scene = Scene(5, 3)
        last = scene.holders[once]
        silent = scene.holders[(once + 1) % 5]
        parties = scene.parties(scene.cohort, {})
        parties[last] = Once(parties[last])
        dropped = {silent: SUM_SHARES}
        outcome = run_protocol(scene.cohort, scene.there.server(scene.cohort), parties, Transcript(), dropped)
        assert outcome.sum.total.tolist() == scene.updates.sum(axis=0).tolist()
        assert silent in outcome.refused
        assert set(outcome.refused) <= {silent, last}


class Once:
    """It answers once, and then cannot be reached."""

    def __init__(self, party: Party) -> None:
        self._parties = [party]

    def respond(self, request: bytes) -> bytes:
        if not self._parties:
            raise TimeoutError
        return self._parties.pop().respond(request)


def test_those_who_are_cut_off_are_all_named_where_they_are_too_many() -> None:
    scene = Scene(3, 2)
    with pytest.raises(
        DropoutError,
        match=r"^share-holder-1 cannot be reached, share-holder-3 cannot be reached, so that too few answer; see to it",
    ):
        without(scene, [scene.holders[0], scene.holders[2]])


def test_a_silent_and_a_lying_one_leave_no_quorum_of_two_of_three() -> None:
    scene = Scene(3, 2)
    liar = scene.holders[0]
    with pytest.raises(DropoutError, match="share-holder-1, share-holder-3 gave no sum"):
        scene.run([scene.holders[2]], {(liar, SUM_SHARES): lambda payload: payload[:-1]})


# Share-holders that blame banks


class Accuser:
    """A share-holder that says it cannot use these banks' seeds; after some answers, where it is to give these."""

    def __init__(self, party: Party, name: str, banks: Collection[str], answers: int = 0) -> None:
        self._party, self._name, self._banks, self._answers = party, name, banks, answers

    def respond(self, request: bytes) -> bytes:
        if self._answers:
            self._answers -= 1
            return self._party.respond(request)
        blamed = dict.fromkeys(self._banks, f"{self._name} cannot use its seeds")
        raise ProtocolError(f"{self._name} cannot use the seeds of some; make a new attempt without", blamed)


@pytest.mark.slow
@every_committee
def test_a_league_gets_a_bank_left_out_only_where_too_few_answer(n: int, t: int) -> None:
    """Less than a quorum, each of whom blames an honest bank, lies or is silent, beside honest ones that are silent."""
    blamed_by_a_league_alone = False
    for does in itertools.product(("blame", "lie", "silent"), repeat=t - 1):
        for quiet in range(n - t + 2):
            scene = Scene(n, t, parameters=3)
            league = dict(zip(scene.holders, does, strict=False))
            parties = scene.parties(scene.cohort, {})
            silent = [*scene.holders[t - 1 :][:quiet], *(name for name, how in league.items() if how == "silent")]
            for name, how in league.items():
                if how == "blame":
                    parties[name] = Accuser(parties[name], name, ["bank-1"])
                if how == "lie":
                    lie = hash_of_nothing(scene, name, *parts_of(scene.cohort, name))
                    parties[name] = Altered(parties[name], scene.cohort, name, SUM_SHARES, lie)
            dropped = dict.fromkeys(silent, SUM_SHARES)
            refused: Mapping[str, str] = {}
            try:
                outcome = run_protocol(scene.cohort, scene.there.server(scene.cohort), parties, Transcript(), dropped)
            except ProtocolError as error:
                refused = error.refused
            else:
                assert outcome.sum.contributors == set(scene.cohort.banks)
            missing = len(silent) + does.count("blame")
            assert ("bank-1" in refused) <= (missing > n - t), (does, quiet)
            assert not refused.keys() & {"bank-2", "bank-3", "bank-4"}
            blamed_by_a_league_alone |= "bank-1" in refused and not quiet
    alone = "can do that without any other" in " ".join(scene.scheme.custody.assumptions)
    assert blamed_by_a_league_alone == (n == t or alone) == (n - t + 1 < t)


def test_where_one_lies_another_ones_word_on_a_bank_does_not_count() -> None:
    """Attempt after attempt, two of five: one blames a bank, one forces a tie. No bank is left out for it."""
    scene = Scene(5, 3)
    accuser, liar = scene.holders[:2]

    def once(cohort: Cohort[Any], left_out: Mapping[str, str]) -> Outcome:
        assert not left_out
        lie = hash_of_nothing(scene, liar, scene.plan.committee.subsets.index((0, 1, 2)))
        parties = scene.parties(cohort, {(liar, SUM_SHARES): lie})
        parties[accuser] = Accuser(parties[accuser], accuser, cohort.banks[:1])
        return run_protocol(cohort, scene.there.server(cohort), parties, Transcript(), None, left_out)

    with pytest.raises(ProtocolError, match="share-holder-2 and share-holder-3 give different sums") as refused:
        attempt_sum(scene.cohort, once)
    assert refused.value.refused == {}


@pytest.mark.parametrize(("silent", "accusers", "out"), [(2, 1, True), (1, 2, True), (3, 1, False), (1, 1, False)])
def test_those_who_blame_a_bank_are_heard_where_they_would_have_been_enough(
    silent: int, accusers: int, out: bool
) -> None:
    """Of 3 of 5. With three silent the sum fails whatever a bank does, and with one that blames beside one it opens."""
    scene = Scene(5, 3)
    parties = scene.parties(scene.cohort, {})
    gone, blaming = scene.holders[:silent], scene.holders[silent : silent + accusers]
    parties |= {name: Accuser(parties[name], name, ["bank-1"]) for name in blaming}
    refused: Mapping[str, str] = {}
    try:
        run_protocol(
            scene.cohort, scene.there.server(scene.cohort), parties, Transcript(), dict.fromkeys(gone, SUM_SHARES)
        )
    except DropoutError as error:
        refused = error.refused
    assert ("bank-1" in refused) == out


def test_whoever_has_answered_can_no_longer_say_that_it_could_not() -> None:
    """2 of 3, one of whom is silent. Whoever is asked again in its place blames a bank."""
    scene = Scene(3, 2)
    parties = scene.parties(scene.cohort, {})
    parties |= {name: Accuser(parties[name], name, ["bank-1"], answers=1) for name in scene.holders[1:]}
    dropped = {scene.holders[0]: SUM_SHARES}
    with pytest.raises(ProtocolError, match="cannot use the seeds") as refused:
        run_protocol(scene.cohort, scene.there.server(scene.cohort), parties, Transcript(), dropped)
    assert refused.value.refused == {}


def test_who_was_outvoted_has_answered() -> None:
    """4 of 7: two lie in league so that the honest are outvoted, one blames a bank. There was no want of answers."""
    scene = Scene(7, 4, parameters=3)
    width = len(ring.to_bytes(scene.plan, ring.zeros(scene.plan)))
    accuser, *lying = scene.holders[:3]
    parties = scene.parties(scene.cohort, {})
    parties[accuser] = Accuser(parties[accuser], accuser, ["bank-1"])
    for name in lying:
        own = parts_of(scene.cohort, name)

        def lie(payload: bytes, own: tuple[int, ...] = own) -> bytes:
            """Zeros for each part that an honest one has with the three of them."""
            start = HASH_BYTES * len(own)
            hashes = [payload[place : place + HASH_BYTES] for place in range(0, start, HASH_BYTES)]
            sums = {digest_of(payload[place : place + width]): payload[place : place + width]
                    for place in range(start, len(payload), width)}  # fmt: skip
            for place, part in enumerate(own):
                if {0, 1, 2} <= {*scene.plan.committee.subsets[part]}:
                    if hashes[place] in sums:
                        sums[hashes[place]] = bytes(width)
                    hashes[place] = digest_of(bytes(width))
            return b"".join([*hashes, *sums.values()])

        parties[name] = Altered(parties[name], scene.cohort, name, SUM_SHARES, lie)
    with pytest.raises(DropoutError, match="4 share-holders must give one") as refused:
        run_protocol(scene.cohort, scene.there.server(scene.cohort), parties, Transcript())
    assert set(scene.holders[3:]) < refused.value.refused.keys()
    assert not refused.value.refused.keys() & set(scene.cohort.banks)


def test_a_share_holder_keeps_nothing_of_the_seeds_that_it_opened() -> None:
    scene = Scene(3, 2)
    for attempt in range(1, 4):
        scene.run(cohort=replace(scene.cohort, attempt=attempt))
    assert [holder.key._shared for holder in scene.there._holders.values()] == [{}] * 3


# Banks that lie


def two_seeds(scene: Scene, bank: str, cohort: Cohort[Any], commit_to_both: bool = False) -> Change:
    """One share-holder gets another seed than the other one that has the part."""

    def change(payload: bytes) -> bytes:
        upload = split_upload(cohort, memoryview(payload))
        holder = scene.holders[0]
        key = scene.there._holders[holder].key.public
        seeds = b"".join(bytes([part]) * SEED_BYTES for part in parts_of(cohort, holder))
        sealed = (seal_to(key, seeds, purpose(cohort, bank, holder)), *upload.sealed[1:])
        hashes = list(upload.commitments)
        if commit_to_both:
            for part in parts_of(cohort, holder):
                hashes[part] = commitment(cohort, bank, part, bytes([part]) * SEED_BYTES)
        return b"".join([*hashes, scene.signed(bank, hashes, cohort), *sealed, bytes(upload.share)])

    return change


def test_a_bank_that_gives_holders_different_seeds_does_not_frame_them() -> None:
    """Those who opened what it committed to are a quorum, and the sum is exact."""
    scene = Scene(3, 2)
    outcome = scene.run(changes={("bank-2", UPLOAD): two_seeds(scene, "bank-2", scene.cohort)})
    assert outcome.sum.total.tolist() == scene.updates.sum(axis=0).tolist()
    assert set(outcome.refused) == {scene.holders[0]}
    assert "cannot use the seeds of bank-2" in outcome.refused[scene.holders[0]]


@pytest.mark.parametrize("place", [0, 1])
def test_a_holder_compares_each_of_its_seeds(place: int) -> None:
    scene = Scene(3, 2)
    name = scene.holders[0]
    part = parts_of(scene.cohort, name)[place]

    def change(payload: bytes) -> bytes:
        upload = split_upload(scene.cohort, memoryview(payload))
        hashes = list(upload.commitments)
        hashes[part] = commitment(scene.cohort, "bank-2", part, bytes(SEED_BYTES))
        return b"".join([*hashes, scene.signed("bank-2", hashes), *upload.sealed, bytes(upload.share)])

    with pytest.raises(ProtocolError, match="cannot use the seeds of bank-2") as refused:
        scene.run(changes={("bank-2", UPLOAD): change})
    assert set(refused.value.refused) == {"bank-2"}


def test_a_bank_whose_seeds_no_quorum_opens_goes_in_the_next_attempt() -> None:
    scene = Scene(3, 2)

    def once(cohort: Cohort[Any], left_out: Mapping[str, str]) -> Outcome:
        lie = two_seeds(scene, "bank-2", cohort, commit_to_both=True)
        return scene.run(changes={("bank-2", UPLOAD): lie}, cohort=cohort, left_out=left_out)

    done = attempt_sum(scene.cohort, once)
    assert done.attempts == 2
    assert done.outcome.sum.total.tolist() == scene.updates[[0, 2, 3]].sum(axis=0).tolist()
    assert set(done.refused) == {"bank-2"}


def test_each_commitment_is_signed() -> None:
    hashes = [bytes([number]) * HASH_BYTES for number in range(3)]
    changed = [[*hashes[:place], b"x" * HASH_BYTES, *hashes[place + 1 :]] for place in range(3)]
    assert len({vouched(each) for each in (hashes, hashes[::-1], hashes[:2], *changed)}) == 6


def test_a_commitment_is_to_one_seed_of_one_part_of_one_bank_in_one_attempt() -> None:
    scene, other = Scene(3, 2), Scene(3, 2)
    own = commitment(scene.cohort, "bank-1", 0, bytes(SEED_BYTES))
    assert own == commitment(scene.cohort, "bank-1", 0, bytes(SEED_BYTES))
    assert own not in {
        commitment(scene.cohort, "bank-1", 0, b"x" * SEED_BYTES),
        commitment(scene.cohort, "bank-1", 1, bytes(SEED_BYTES)),
        commitment(scene.cohort, "bank-2", 0, bytes(SEED_BYTES)),
        commitment(other.cohort, "bank-1", 0, bytes(SEED_BYTES)),
    }


# An aggregator that lies


def opened_sets(n: int, t: int, corrupt: int) -> int:
    """Of two sets of banks, all and all but one: of how many an aggregator gets the sum in one attempt, at most.

    It asks each honest share-holder for one or the other; corrupt ones tell it their keys.
    """
    most = 0
    for choice in itertools.product([4, 3], repeat=n - corrupt):
        scene = Scene(n, t, parameters=3)
        uploads = {number: scene.upload(bank) for number, bank in enumerate(scene.cohort.banks)}
        known: dict[int, dict[int, Any]] = {4: {}, 3: {}}
        for banks, sums in known.items():
            for holder in scene.holders[:corrupt]:
                for part in parts_of(scene.cohort, holder):
                    sums[part] = ring.zeros(scene.plan)
                    for number in range(banks):
                        add_mask(sums[part], scene.seeds(holder, scene.cohort.banks[number], uploads[number])[part])
        for holder, banks in zip(scene.holders[corrupt:], choice, strict=True):
            known[banks] |= scene.ask(holder, {number: uploads[number] for number in range(banks)})
        parts = len(scene.plan.committee.subsets)
        whole = {banks: list(sums.values()) for banks, sums in known.items() if len(sums) == parts}
        for banks, vectors in whole.items():
            shares = [ring.from_bytes(scene.plan, uploads[number].share) for number in range(banks)]
            total = ring.to_integers(scene.plan, np.sum(shares + vectors, axis=0, dtype=shares[0].dtype))
            assert total.tolist() == scene.updates[:banks].sum(axis=0).tolist()
        most = max(most, len(whole))
    return most


@every_committee
def test_two_sets_of_one_attempt_open_where_the_rule_says_and_not_before(n: int, t: int) -> None:
    for corrupt in range(t):
        opened = opened_sets(n, t, corrupt)
        assert opened == (2 if corrupt > Committee.of(n, t).may_collude_lying else 1), corrupt


def test_a_share_holder_adds_up_one_set_of_banks_and_gives_any_of_its_sums_again() -> None:
    scene = Scene(3, 2)
    holder = scene.holders[0]
    uploads = {number: scene.upload(bank) for number, bank in enumerate(scene.cohort.banks)}
    first, second = parts_of(scene.cohort, holder)
    one, both = scene.ask(holder, uploads, (first,)), scene.ask(holder, uploads)
    assert set(one) == {first}
    assert set(both) == {first, second}
    assert both[first].tolist() == one[first].tolist()
    with pytest.raises(ProtocolError, match="does not go back"):
        scene.ask(holder, {number: uploads[number] for number in range(3)})
    with pytest.raises(MessageError, match="a part that it does not have"):
        scene.ask(holder, uploads, (len(scene.plan.committee.subsets) - 1,))


# Rules


@pytest.mark.parametrize(("holders", "quorum"), [(1, 1), (8, 5), (3, 1), (3, 4), (4, 2), (5, 0), (2, 1)])
def test_a_committee_that_protects_nothing_is_refused(holders: int, quorum: int) -> None:
    with pytest.raises(PlanError, match="refused; use"):
        plan("additive", 3, 10, holders=holders, quorum=quorum)


def test_a_quorum_needs_holders_and_a_scheme_that_has_them() -> None:
    with pytest.raises(PlanError, match="give holders too"):
        plan("additive", 3, 10, quorum=2)
    with pytest.raises(PlanError, match="masked has no committee of holders"):
        plan("masked", 3, 10, holders=3)
    with pytest.raises(PlanError, match="masked has no committee"):
        simulate("masked", np.ones((3, 4), dtype=np.int64), holders=3)


@pytest.mark.parametrize("scheme", [name for name, scheme in SCHEMES.items() if scheme.with_committee is not None])
def test_a_committee_is_counted_in_whole_numbers_of_any_type(scheme: str) -> None:
    three: Any = np.int64(3)
    two: Any = np.int32(2)
    planned = plan(scheme, 3, 10, holders=three, quorum=two)
    assert planned == plan(scheme, 3, 10, holders=3, quorum=2)
    chosen = scheme_of(scheme, Committee.asked(three, None))
    assert chosen.cohort(planned, 1, ("a", "b", "c")).digest
    wrong: Any
    for wrong in ("3", 3.0, 2.5, True):
        with pytest.raises(PlanError, match=r"^holders is .*, which is not a whole number; change holders$"):
            plan(scheme, 3, 10, holders=wrong)
        with pytest.raises(PlanError, match=r"^quorum is .*, which is not a whole number; change quorum$"):
            plan(scheme, 3, 10, holders=3, quorum=wrong)


@pytest.mark.parametrize(("holders", "quorum"), [(2, 2), (3, 2), (4, 3), (5, 3), (7, 4)])
def test_a_majority_is_what_nobody_has_to_ask_for(holders: int, quorum: int) -> None:
    planned: Any = plan("additive", 3, 10, holders=holders)
    assert planned.quorum == quorum
    assert planned.derived()["holders_may_be_silent"] == holders - quorum
