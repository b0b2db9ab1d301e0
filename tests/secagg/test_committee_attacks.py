"""Attacks on sums under a key that nobody has: refused, and what each gives where members or banks do not look.

The last two are not refused, and stand in custody: holders that lie while keys are made and have a part to themselves,
and a bank that encrypts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import DropoutError, MessageError, ProtocolError
from secure_fl.secagg import plan
from secure_fl.secagg.budget.threshold import BFV_RING
from secure_fl.secagg.committed.checking import Checked, checked
from secure_fl.secagg.committed.client import CommittedClient
from secure_fl.secagg.committed.gathering import Gathered
from secure_fl.secagg.committed.wire import (
    COMMIT,
    UPLOAD,
    Cut,
    Upload,
    commitment,
    digest_of,
    split_upload,
    sum_digest,
    unpack_checked,
    vouched,
)
from secure_fl.secagg.custody import LEFT_ALONE
from secure_fl.secagg.hazmat.collective import JointKey, Transform, data_moduli, key_moduli, product
from secure_fl.secagg.hazmat.collective_secret import KeyPart, smudging
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.numbering import encode_table
from secure_fl.secagg.packing import Words
from secure_fl.secagg.protocol import run_protocol
from secure_fl.secagg.schemes import scheme_for
from secure_fl.secagg.threshold.client import encrypted
from secure_fl.secagg.threshold.encoding import decode, encode
from secure_fl.secagg.threshold.keys import accept_joint_key
from secure_fl.secagg.threshold.wire import (
    ciphertexts_of,
    cut_of,
    in_use,
    pack_first,
    pack_words,
    parts_of,
    sum_of_seconds,
    unpack_first,
)
from secure_fl.secagg.transcript import Transcript
from secure_fl.secagg.turns import new_session
from tests.secagg.test_committee_keys import lied
from tests.secagg.test_threshold import Scene, integers, only, residues

DEGREE, PRIMES = BFV_RING.degree, BFV_RING.primes
MODULI = data_moduli(BFV_RING).reshape(-1)


@pytest.fixture
def scene() -> Scene:
    return Scene(3, 2)


@pytest.fixture
def gullible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members that open whatever they are given."""

    def nothing(cohort: Cohort[Any], cut: Cut, directory: Mapping[str, bytes], payload: memoryview, _: str) -> Checked:
        listed, uploads = unpack_checked(cohort, cut, payload)
        return Checked(sum_digest(listed, uploads), tuple(upload.shown for upload in uploads.values()))

    monkeypatch.setattr("secure_fl.secagg.threshold.member.checked", nothing)


def upload_of(scene: Scene, bank: str, pieces: tuple[bytes, bytes]) -> Upload:
    """What an aggregator makes of two pieces without a bank's key."""
    return Upload(bytes(32), Identity().sign_upload(scene.cohort, bank, bytes(32)), digest_of(pieces[0]), pieces[1])


def zeros(scene: Scene) -> tuple[bytes, bytes]:
    plan = scene.plan
    return (
        pack_first(plan, np.zeros((plan.coefficients, PRIMES), dtype=np.uint64)),
        pack_words(plan.second, np.zeros(plan.second.count, dtype=np.uint64)),
    )


# A single upload, passed off as a sum


def passed_off(scene: Scene) -> tuple[Gathered, Words]:
    """Bank-1's upload, and for the others zeros that the aggregator made up."""
    gathered, _ = scene.gathered()
    own, nothing = encrypted(scene.plan, scene.updates[0], scene.there._joint), zeros(scene)
    uploads = {0: upload_of(scene, "bank-1", own)} | {
        number: upload_of(scene, f"bank-{number + 1}", nothing) for number in (1, 2)
    }
    return replace(gathered, uploads=uploads), unpack_first(scene.plan, memoryview(own[0]))


def test_a_single_upload_that_is_passed_off_as_a_sum_is_refused(scene: Scene) -> None:
    lie, _ = passed_off(scene)
    for member in scene.members:
        with pytest.raises(MessageError, match=f"what {member} was given of bank-1 is not what it committed to"):
            scene.ask(member, (), lie)
    scene.again()
    gathered, _ = scene.gathered()
    with pytest.raises(DropoutError, match="a sum of 1 banks and the threshold is 3"):
        scene.ask(scene.members[0], (), only(gathered, 0))


@pytest.mark.usefixtures("gullible")
def test_members_that_do_not_look_open_a_single_upload(scene: Scene) -> None:
    lie, first = passed_off(scene)
    assert scene.opened(first, lie).tolist() == scene.updates[0].tolist()


# A crafted request


def crafted(scene: Scene) -> tuple[Gathered, Words]:
    """Second polynomial 2**150, the rest zeros: the part stands far above the noise."""
    gathered, _ = scene.gathered()
    second = np.zeros((DEGREE, PRIMES), dtype=np.uint64)
    second[0] = residues([1 << 150])[0]
    nothing = zeros(scene)
    uploads = {0: upload_of(scene, "bank-1", (nothing[0], pack_words(scene.plan.second, second)))} | {
        number: upload_of(scene, f"bank-{number + 1}", nothing) for number in (1, 2)
    }
    return replace(gathered, uploads=uploads), second


def test_a_crafted_request_is_refused() -> None:
    scene = Scene(3, 2, parameters=20_000)
    lie, _ = crafted(scene)
    with pytest.raises(MessageError, match="is not what it committed to"):
        scene.ask(scene.members[0], parts_of(scene.cohort, scene.members[0])[:1], lie)


@pytest.mark.usefixtures("gullible")
def test_a_crafted_request_opens_a_part_of_the_key_of_members_that_do_not_look() -> None:
    scene = Scene(3, 2, parameters=20_000)
    lie, _ = crafted(scene)
    member = scene.members[0]
    part = parts_of(scene.cohort, member)[0]
    answer = unpack_first(scene.plan, memoryview(scene.ask(member, (part,), lie)))
    ternary = [round(number / 2**150) for number in integers(answer)]
    assert ternary == scene.there._members[member].parts[part]._ternary[: len(ternary)].tolist()


# A ciphertext that depends on another one


def late_copy(scene: Scene, times: int) -> tuple[Gathered, Words]:
    """Bank-4 works with the aggregator: it commits once bank-1 showed its ciphertext, to so many times that."""
    clients = {
        bank: scene.there.client(scene.cohort, bank, row)
        for bank, row in zip(scene.cohort.banks[:3], scene.updates[:3], strict=True)
    }
    gathered, first = scene.gathered_of(clients)
    q = MODULI.astype(object)
    words = sum_of_seconds(scene.plan, [gathered.uploads[0].shown]).astype(object) * times % q
    shown = pack_words(scene.plan.second, words.astype(np.uint64))
    own = unpack_first(scene.plan, memoryview(clients["bank-1"]._pieces[0])).astype(object) * times % q
    hidden = pack_first(scene.plan, own.astype(np.uint64))
    late = commitment(scene.cohort, "bank-4", bytes(32), digest_of(hidden), digest_of(shown))
    listed = gathered.listed + encode_table({3: late})
    signature = scene.there._identities.of("bank-4").sign_upload(scene.cohort, "bank-4", vouched(listed))
    copy = Upload(bytes(32), signature, digest_of(hidden), shown)
    total = (first.astype(object) + own) % q
    return Gathered(listed, {**gathered.uploads, 3: copy}), total.astype(np.uint64)


@pytest.mark.parametrize("times", [1, -1])
def test_a_copy_or_what_cancels_it_comes_too_late(scene: Scene, times: int) -> None:
    lie, _ = late_copy(scene, times)
    for member in scene.members:
        with pytest.raises(MessageError, match="a signature of bank-1 does not verify"):
            scene.ask(member, (), lie)


@pytest.mark.usefixtures("gullible")
@pytest.mark.parametrize("times", [1, -1])
def test_members_that_do_not_look_open_a_sum_with_a_copy(scene: Scene, times: int) -> None:
    lie, first = late_copy(scene, times)
    expected = scene.updates[:3].sum(axis=0) + times * scene.updates[0]
    assert scene.opened(first, lie).tolist() == expected.tolist()


def test_a_bank_that_takes_over_anothers_commitment_cannot_show_what_it_committed_to(scene: Scene) -> None:
    class Copying(CommittedClient):
        """It has bank-1's coin and ciphertext, too, since the aggregator tells it."""

        def _commit(self) -> bytes:
            self._pieces, self._coin = victim._pieces, victim._coin
            return commitment(self._cohort, "bank-1", self._coin, *map(digest_of, self._pieces))

    victim = scene.there.client(scene.cohort, "bank-1", scene.updates[0])
    copying = Copying(scene.cohort, "bank-2", scene.there._identities.of("bank-2"), lambda: (b"", b""))
    clients = {bank: scene.there.client(scene.cohort, bank, scene.updates[0]) for bank in ("bank-3", "bank-4")}
    with pytest.raises(ProtocolError, match="bank-2 is not on the list with what it committed to"):
        scene.gathered_of({"bank-1": victim, "bank-2": copying, **clients})


# Two sums in one attempt


@pytest.mark.parametrize(("n", "t", "corrupt", "most"), [(3, 2, 0, 1), (3, 2, 1, 2), (4, 3, 1, 1), (4, 3, 2, 2)])
def test_two_sums_are_opened_in_one_attempt_where_enough_members_work_with_the_aggregator(
    n: int, t: int, corrupt: int, most: int
) -> None:
    """Corrupt members give their parts of any sum; honest ones of the one that they were first asked about."""
    scene = Scene(n, t, parameters=3)
    opened = 0
    parts = set(range(len(scene.plan.committee.subsets)))
    for split in range(n - corrupt + 1):
        scene.again()
        gathered, _ = scene.gathered()
        sums = {4: gathered, 3: only(gathered, 0, 1, 2)}
        known = {banks: {p for m in scene.members[:corrupt] for p in parts_of(scene.cohort, m)} for banks in sums}
        for place, member in enumerate(scene.members[corrupt:]):
            for banks in sorted(sums, reverse=place < split):
                own = parts_of(scene.cohort, member)
                with suppress(ProtocolError):
                    scene.ask(member, own, sums[banks])
                    known[banks] |= set(own)
        opened = max(opened, sum(found == parts for found in known.values()))
    assert opened == most
    assert (corrupt > scene.plan.committee.may_collude_lying) == (most == 2)


# Keys


def test_a_rogue_public_half_opens_sums_where_nobody_had_to_commit() -> None:
    """What cancels the others' halves leaves a key that its maker has alone; `keys` refuses it (test_threshold)."""
    honest = [KeyPart.generate(BFV_RING, b"seed") for _ in range(2)]
    own, public = KeyPart.generate(BFV_RING, b"seed")
    moduli = key_moduli(BFV_RING)
    rogue = (public + 2 * moduli - honest[0][1] - honest[1][1]) % moduli
    joint = JointKey(BFV_RING, b"seed", np.stack([honest[0][1], honest[1][1], rogue]))
    first, second = joint.encrypt_zero()
    opened = (first + own.times(second[None])[0]) % data_moduli(BFV_RING)
    assert max(map(abs, integers(opened.T))) < 2**12, "the noise of an encryption of zero"


def divided(dividend: Words, divisor: Words) -> Words:
    """Modulo X**N + 1 and each data prime, [data primes, N]."""
    transform = Transform(BFV_RING)
    inverse = np.array(
        [
            [pow(int(v), -1, int(m)) if v else 0 for v in row]
            for row, m in zip(transform.to_values(divisor[None])[0], MODULI, strict=True)
        ],
        dtype=np.uint64,
    )
    values = product(transform.to_values(dividend[None])[0], inverse, data_moduli(BFV_RING))
    found: Words = transform.to_coefficients(values[None])[0]
    return found


def test_without_smudging_an_answer_is_the_part(scene: Scene) -> None:
    """Second polynomials have inverses, so that a product without noise gives the key; with noise it gives none."""
    second = scene.there._joint.encrypt_zero()[1]
    part = scene.there._members[scene.members[0]].parts[0]
    noise = smudging(BFV_RING, bytes(32), scene.plan.smudging, DEGREE).T
    for added, known in ((np.zeros_like(noise), True), (noise, False)):
        answer = (part.times(second[None]) + added) % data_moduli(BFV_RING)
        found = divided(answer[0], second)
        alike = found == part._ternary.astype(np.int64) % data_moduli(BFV_RING).astype(np.int64)
        assert bool(alike.all()) == known
        assert alike.mean() < 0.01 or known


@pytest.mark.usefixtures("gullible")
def test_a_sum_of_zeros_is_answered_like_any_other() -> None:
    """SEAL throws where all polynomials but the first are zero; nobody must be able to end a member's process."""
    scene = Scene(3, 2, parameters=20_000)
    gathered, _ = scene.gathered()
    uploads = {number: upload_of(scene, f"bank-{number + 1}", zeros(scene)) for number in range(4)}
    lie = replace(gathered, uploads=uploads)
    answer = unpack_first(scene.plan, memoryview(scene.ask(scene.members[0], (0,), lie)))
    noise = np.array([number / 2.0**scene.plan.smudging for number in integers(answer)])
    assert -1 <= noise.min() < -0.9
    assert 0.9 < noise.max() < 1


def test_banks_that_all_send_zeros_get_no_sum_and_end_nothing(scene: Scene) -> None:
    pieces = zeros(scene)
    liars = {
        bank: CommittedClient(scene.cohort, bank, scene.there._identities.of(bank), lambda: pieces)
        for bank in scene.cohort.banks
    }
    gathered, first = scene.gathered_of(liars)
    assert not scene.opened(first, gathered).any()


# What stays


def test_of_two_of_two_a_false_public_half_is_not_seen_and_answers_tell_what_banks_draw() -> None:
    """Nobody else has the part. With an error of 2**j the sum stays exact, and its noise is u of banks times that."""
    scene = Scene(2, 2, parameters=20_000)
    plan, moduli = scene.plan, key_moduli(BFV_RING)
    error = ((1 << (plan.shift - 1)) - (1 << plan.smudging)) // 4 - (1 << 20)
    added = [[error * int(moduli[-1, 0]) % int(prime)] for (prime,) in moduli]
    setting, members, published = lied(2, 2, 1, lambda words, part: words + np.array(added, dtype=np.uint64))
    key, fingerprint = members["key-holder-1"].accept(published)
    scene.there._joint = accept_joint_key(setting, published, dict.fromkeys(setting.names, fingerprint))
    scene.there._members["key-holder-1"] = key
    gathered, first = scene.gathered()
    second = ciphertexts_of(plan, sum_of_seconds(plan, [upload.shown for upload in gathered.uploads.values()]))
    found = first + unpack_first(plan, memoryview(scene.ask("key-holder-1", (0,), gathered)))
    found = (found + in_use(plan, members["key-holder-2"]._parts[1].times(second))) % MODULI
    assert decode(plan, found, 4).tolist() == scene.updates.sum(axis=0).tolist()
    known = np.sum([encode(plan, row) for row in scene.updates], axis=0, dtype=np.uint64) % MODULI
    left = np.array(integers((found + MODULI - known) % MODULI), dtype=np.float64)
    seed = key.noise_for(scene.cohort.digest + sum_digest(gathered.listed, gathered.uploads), 0)
    noise = np.array(integers(smudging(BFV_RING, seed, plan.smudging, plan.coefficients)), dtype=np.float64)
    drawn = np.rint((left - noise) / error)
    assert set(drawn) <= set(range(-4, 5))
    certain = np.abs(left) > 2.0**plan.smudging * 1.01  # noise alone is never so large
    assert certain.mean() > 0.2
    assert (np.sign(left) == np.sign(drawn))[certain].all()
    told = " ".join(scene.scheme.custody.assumptions)
    assert "nobody else can check what it publishes, and a false public half makes answers tell more" in told


def test_a_bank_that_encrypts_nothing_reads_the_key_off_a_sum_that_it_knows() -> None:
    """(0, 2**k): the sum then holds 2**k times the key. The bank signs it, so nobody refuses; custody says so."""
    scene = Scene(3, 2, parameters=20_000)
    shift = 1 << (scene.plan.shift + 2)
    second = np.zeros((DEGREE, PRIMES), dtype=np.uint64)
    second[0] = residues([shift])[0]
    nothing = np.zeros((scene.plan.coefficients, PRIMES), dtype=np.uint64)
    pieces = pack_first(scene.plan, nothing), pack_words(scene.plan.second, second)
    liar = CommittedClient(scene.cohort, "bank-4", scene.there._identities.of("bank-4"), lambda: pieces)
    honest = {
        bank: scene.there.client(scene.cohort, bank, row)
        for bank, row in zip(scene.cohort.banks[:3], scene.updates[:3], strict=True)
    }
    gathered, first = scene.gathered_of({**honest, "bank-4": liar})
    found = first.copy()
    for part, member in enumerate((0, 0, 1)):
        found += unpack_first(scene.plan, memoryview(scene.ask(scene.members[member], (part,), gathered)))
    known = sum(encode(scene.plan, row).astype(object) for row in scene.updates[:3]) % MODULI.astype(object)
    left = (found.astype(object) - known) % MODULI.astype(object)
    numbers = integers(left.astype(np.uint64))
    key = sum(
        scene.there._members[scene.members[member]].parts[part]._ternary.astype(int)
        for part, member in enumerate((0, 0, 1))
    )
    assert [round(number / shift) for number in numbers] == key[: len(numbers)].tolist()
    assert "encrypts nothing" in " ".join(scene.scheme.custody.broken_by)


def without_others(scene: Scene, seen: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """A fresh zero minus ciphertexts that were shown before."""
    plan, q = scene.plan, MODULI.astype(object)
    zero = encrypted(plan, np.zeros(plan.parameters, dtype=np.int64), scene.there._joint)
    reads: tuple[Callable[[bytes], Words], ...] = (
        lambda each: unpack_first(plan, memoryview(each)),
        lambda each: sum_of_seconds(plan, [each]),
    )
    halves = []
    for place, read in enumerate(reads):
        total = read(zero[place]).astype(object)
        for pieces in seen:
            total = total - read(pieces[place]).astype(object)
        halves.append((total % q).astype(np.uint64))
    return pack_first(plan, halves[0]), pack_words(plan.second, halves[1])


@pytest.mark.parametrize("fresh", [False, True])
def test_ciphertexts_of_an_earlier_attempt_cancel_the_others_unless_it_had_another_key(
    scene: Scene, fresh: bool
) -> None:
    """Attempt 1 is never opened. In attempt 2 bank-4 commits to what cancels bank-2 and bank-3 under the old key."""
    clients = {
        bank: scene.there.client(scene.cohort, bank, row)
        for bank, row in zip(scene.cohort.banks, scene.updates, strict=True)
    }
    scene.gathered_of(clients)
    seen = [clients[bank]._pieces for bank in ("bank-2", "bank-3")]
    scene.cohort = replace(scene.cohort, attempt=2)
    if fresh:
        scene.there = scene.scheme.deploy(scene.plan)
        scene.there.setup(scene.cohort, Transcript())
    cancelling = without_others(scene, seen)
    liar = CommittedClient(scene.cohort, "bank-4", scene.there._identities.of("bank-4"), lambda: cancelling)
    honest = {
        bank: scene.there.client(scene.cohort, bank, row)
        for bank, row in zip(scene.cohort.banks[:3], scene.updates[:3], strict=True)
    }
    gathered, first = scene.gathered_of({**honest, "bank-4": liar})
    if fresh:
        with pytest.raises(ProtocolError, match="does not open a sum of these banks"):
            scene.opened(first, gathered)
    else:
        assert scene.opened(first, gathered).tolist() == scene.updates[0].tolist()
        assert "shown before under the same key" in " ".join(scene.scheme.custody.broken_by)


@pytest.mark.parametrize(
    ("scheme", "asked"),
    [("additive", {}), ("additive", {"holders": 3}), ("bfv", {"holders": 3}), ("rlwe", {"witnesses": 1})],
)
def test_the_threshold_less_one_reads_whoever_is_left_alone_with_them(scheme: str, asked: dict[str, int]) -> None:
    planned = plan(scheme, 3, 40, 8, **asked)
    chosen, updates = scheme_for(planned), np.random.default_rng(1).integers(0, 256, (3, 40))
    cohort: Cohort[Any] = chosen.cohort(planned, 1, ("bank-1", "bank-2", "bank-3"), session=new_session())
    there = chosen.deploy(planned)
    there.setup(cohort, Transcript())
    parties: dict[str, Any] = {
        bank: there.client(cohort, bank, row) for bank, row in zip(cohort.banks, updates, strict=True)
    }
    parties |= there.trustees(cohort)
    opened = run_protocol(cohort, there.server(cohort), parties, Transcript(), left_out=("bank-2",)).sum.total
    assert (opened - updates[2]).tolist() == updates[0].tolist()
    assert LEFT_ALONE in chosen.custody.broken_by


@pytest.mark.parametrize("threshold", [3, 4])
def test_a_copy_comes_in_time_on_another_list_where_enough_banks_sign_two(threshold: int) -> None:
    """Of five banks 2t - 5 sign two lists: one where t is 3, which then holds a copy; of t = 4 one is too few."""
    planned: Any = plan("bfv", 5, 40, 8, threshold, holders=3, quorum=2)
    chosen, updates = scheme_for(planned), np.random.default_rng(0).integers(0, 256, (5, 40))
    banks = tuple(f"bank-{number}" for number in range(1, 6))
    cohort: Cohort[Any] = chosen.cohort(planned, 1, banks, session=new_session())
    there: Any = chosen.deploy(planned)
    there.setup(cohort, Transcript())
    clients = {bank: there.client(cohort, bank, row) for bank, row in zip(banks[:4], updates[:4], strict=True)}

    def say(bank: str, stage: str, payload: bytes = b"") -> memoryview:
        said = clients[bank].respond(seal(cohort, stage, AGGREGATOR, bank, payload))
        return open_message(cohort, said, recipient=AGGREGATOR, sender=bank).payload

    committed = {number: bytes(say(banks[number], COMMIT)) for number in range(4)}
    first = encode_table({0: committed[0], 1: committed[1], 4: bytes(32)})
    if threshold == 4:
        with pytest.raises(DropoutError, match="only 3 banks are on the list and the threshold is 4"):
            say(banks[0], UPLOAD, first)
        return
    shown = split_upload(cut_of(planned), say(banks[0], UPLOAD, first))[1]
    hidden, seconds = bytes(shown[: planned.first.nbytes]), bytes(shown[planned.first.nbytes :])
    late = commitment(cohort, "bank-5", bytes(32), digest_of(hidden), digest_of(seconds))
    second = encode_table({2: committed[2], 3: committed[3], 4: late})
    uploads = {number: split_upload(cut_of(planned), say(banks[number], UPLOAD, second))[0] for number in (2, 3)}
    signature = there._identities.of("bank-5").sign_upload(cohort, "bank-5", vouched(second))
    uploads[4] = Upload(bytes(32), signature, digest_of(hidden), seconds)
    payload = memoryview(b"".join(Gathered(second, uploads).to_parts()))
    found = checked(cohort, cut_of(planned), there._identities.directory(banks), payload, "key-holder-1")
    assert bytes(found.shown[2]) == seconds
    assert "or on another list" in " ".join(chosen.custody.broken_by)
