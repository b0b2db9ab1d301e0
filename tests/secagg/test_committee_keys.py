"""Keys of committees: made together, checked by all who have a part, and lied about."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from secure_fl.errors import ConfigurationError, MessageError
from secure_fl.secagg.budget import Committee
from secure_fl.secagg.budget.threshold import BFV_RING, DEGREE, PRIME_BITS
from secure_fl.secagg.hazmat.agreement import AgreementKey, seal_to
from secure_fl.secagg.hazmat.collective import JointKey, Transform, common_polynomial, data_moduli, key_moduli, product
from secure_fl.secagg.hazmat.collective_secret import KeyPart
from secure_fl.secagg.packing import Words, pack_bits
from secure_fl.secagg.threshold.keys import KeyMaking, Published, Setting, accept_joint_key
from secure_fl.secagg.threshold.member import MemberKey

MODULI = key_moduli(BFV_RING)


def key_making(n: int, t: int) -> tuple[Setting, dict[str, KeyMaking]]:
    own = {f"key-holder-{number}": AgreementKey() for number in range(1, n + 1)}
    directory = {name: key.public for name, key in own.items()}
    setting = Setting(BFV_RING, Committee.of(n, t), tuple(own), b"a seed", directory)
    return setting, {name: KeyMaking(setting, name, key) for name, key in own.items()}


def made(members: Mapping[str, KeyMaking]) -> tuple[dict[int, bytes], dict[int, bytes]]:
    """What all committed to, and what all published."""
    commitments = {part: each for member in members.values() for part, each in member.commit().items()}
    published = {part: each for member in members.values() for part, each in member.publish(commitments).items()}
    return commitments, published


def test_a_key_is_made_and_all_say_the_same_of_it() -> None:
    setting, members = key_making(3, 2)
    _, published = made(members)
    accepted = {name: member.accept(published) for name, member in members.items()}
    fingerprints = {name: fingerprint for name, (_, fingerprint) in accepted.items()}
    assert len(set(fingerprints.values())) == 1
    assert isinstance(accept_joint_key(setting, published, fingerprints), JointKey)
    for number, (key, _) in enumerate(accepted.values()):
        assert tuple(sorted(key.parts)) == setting.committee.parts_of(number)
    for name, other in itertools.permutations(fingerprints, 2):
        with pytest.raises(MessageError, match=f"not that of {name}"):
            accept_joint_key(setting, published, fingerprints | {name: b"another"} | {other: fingerprints[other]})


def test_nothing_is_published_before_all_have_committed_and_only_once() -> None:
    _, members = key_making(3, 2)
    commitments = {part: each for member in members.values() for part, each in member.commit().items()}
    first = next(iter(members.values()))
    some = dict(list(commitments.items())[:-1])
    with pytest.raises(MessageError, match="publishes nothing before all"):
        first.publish(some)
    first.publish(commitments)
    with pytest.raises(MessageError, match="has published for other commitments"):
        first.publish(commitments | {2: b"another"})


def test_a_rogue_key_is_one_that_was_not_committed_to() -> None:
    """b_3 = b - b_1 - b_2: whoever published it would have a joint key that it knows."""
    setting, members = key_making(3, 3)
    commitments = {part: each for member in members.values() for part, each in member.commit().items()}
    published = {part: each for member in members.values() for part, each in member.publish(commitments).items()}
    _, rogue = made(key_making(3, 3)[1])
    with pytest.raises(MessageError, match="key-holder-3 published what it had not committed to"):
        members["key-holder-1"].accept(published | {2: rogue[2]})
    assert setting.drawer(2) == "key-holder-3"


def lied(
    n: int, t: int, part: int, public: Callable[[Words, KeyPart], Words], given: KeyPart | bytes | None = None
) -> tuple[Setting, dict[str, KeyMaking], dict[int, bytes]]:
    """Keys of which a drawer committed to a false public half of one part, and in `given` to what it seals as it."""
    setting, members = key_making(n, t)
    commitments = {p: each for member in members.values() for p, each in member.commit().items()}
    liar = members[setting.drawer(part)]
    honest = liar._published[part]
    words = public(setting.words_of(honest), liar._parts[part]) % MODULI
    sealed = honest.sealed
    if given is not None:
        kept = given if isinstance(given, bytes) else given.keep()
        sealed = tuple(seal_to(setting.directory[o], kept, setting.purpose(part, o)) for o in setting.others(part))
    lie = Published(honest.coin, pack_bits(words.reshape(-1), setting.public.bits), sealed)
    liar._published[part] = lie
    commitments[part] = lie.commitment(setting, part)
    published = {p: each for member in members.values() for p, each in member.publish(commitments).items()}
    return setting, members, published


def exactly(words: Words, part: KeyPart) -> Words:
    """-a s without any error, as far as a holder transforms it; the special prime's row as it was."""
    negated = product(common_polynomial(BFV_RING, b"a seed")[:-1], part._values, MODULI[:-1])
    return np.concatenate([(MODULI[:-1] - negated) % MODULI[:-1], words[-1:]])


def test_a_drawer_that_publishes_another_half_than_that_of_its_part_is_named() -> None:
    """It committed to it in time; but somebody else has the part, and sees that the two do not go together."""
    _, other = KeyPart.generate(BFV_RING, b"a seed")
    setting, members, published = lied(3, 2, 0, lambda words, part: other)
    assert setting.others(0) == ("key-holder-2",)
    with pytest.raises(
        MessageError,
        match="key-holder-1 lied: what was published of a part is not its public half, or what it sent was altered",
    ):
        members["key-holder-2"].accept(published)


@pytest.mark.parametrize("prime", range(len(PRIME_BITS) + 1))
@pytest.mark.parametrize("roots", [DEGREE, 1])
def test_a_public_half_that_is_false_modulo_one_prime_is_seen(prime: int, roots: int) -> None:
    """Modulo the special prime nobody transforms it back, and answers of such a key tell what banks drew."""
    false = np.zeros((len(PRIME_BITS) + 1, DEGREE), dtype=np.uint64)
    false[prime, :roots] = 1
    _, members, published = lied(3, 2, 0, lambda words, part: words + false)
    with pytest.raises(MessageError, match=r"key-holder-1 lied: .* not its public half"):
        members["key-holder-2"].accept(published)


def test_a_false_special_row_tells_what_banks_draw() -> None:
    """What the check is for. Off by the constant 1, noise times the special prime p is off by the u of an encryption.

    That is far from small numbers modulo q once it is divided by p, so no smudging hides it.
    """
    part, public = KeyPart.generate(BFV_RING, b"seed")
    false = public.copy()
    false[-1] = (false[-1] + np.uint64(1)) % MODULI[-1]
    moduli, p, told = data_moduli(BFV_RING), int(MODULI[-1, 0]), []
    for each in (public, false):
        first, second = JointKey(BFV_RING, b"seed", each[None]).encrypt_zero()
        noise = (first + part.times(second[None])[0]) % moduli
        times_p = (noise[0].astype(object) * p % int(moduli[0, 0])).astype(np.int64)
        times_p[times_p > int(moduli[0, 0]) // 2] -= int(moduli[0, 0])
        assert np.abs(times_p).max() < 2**32
        told.append((times_p + p // 2) % p - p // 2)
    assert not told[0].any()
    assert np.unique(told[1]).tolist() == [-1, 0, 1]
    assert abs(told[1].astype(bool).mean() - 2 / 3) < 0.05


def test_an_honest_public_half_passes_every_time() -> None:
    for _ in range(10):
        part, public = KeyPart.generate(BFV_RING, b"seed")
        part.require_public(b"seed", public)


def test_noise_of_an_honest_part_stays_within_the_bound() -> None:
    """The bound is of the worst: rounding errors that all point one way. What is drawn keeps far from it."""
    part, _ = KeyPart.generate(BFV_RING, b"seed")
    length = int(np.abs(part._ternary).sum())
    assert (1 + length) / 2 <= part._largest_noise <= (1 + length) / 2 + 16


def test_zero_is_transformed_as_any_polynomial_is() -> None:
    """SEAL throws where all polynomials of a ciphertext but the first are zero."""
    part, _ = KeyPart.generate(BFV_RING, b"seed")
    for count in (1, 2, 8, 9):
        zeros = np.zeros((count, len(PRIME_BITS), DEGREE), dtype=np.uint64)
        assert not part.times(zeros).any()
        assert not Transform(BFV_RING).to_values(zeros[:8]).any()


def test_an_error_that_is_larger_than_any_drawn_one_is_seen() -> None:
    """Encryptions alone would not show it: the special prime divides it away."""
    _, members, published = lied(3, 2, 0, lambda words, part: words + np.uint64(1000))
    with pytest.raises(MessageError, match="key-holder-1 lied"):
        members["key-holder-2"].accept(published)


def test_errors_that_are_not_the_same_modulo_all_primes_are_seen() -> None:
    """The special row has the error that was drawn, the others none: what is left of these is zero."""
    _, members, published = lied(3, 2, 0, exactly)
    with pytest.raises(MessageError, match="key-holder-1 lied"):
        members["key-holder-2"].accept(published)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (b"\x55" * (DEGREE // 4), "a part of a key is zero"),
        (b"\xff" * (DEGREE // 4), "no ternary polynomial"),
    ],
)
def test_a_drawer_that_seals_what_is_no_part_is_named(given: bytes, found: str) -> None:
    _, members, published = lied(3, 2, 0, lambda words, part: words, given)
    with pytest.raises(MessageError, match=f"key-holder-1 sealed no part that key-holder-2 can use .*{found}"):
        members["key-holder-2"].accept(published)


def test_a_zero_part_with_a_zero_half_ends_in_a_named_error() -> None:
    _, members, published = lied(3, 2, 0, lambda words, part: words * np.uint64(0), b"\x55" * (DEGREE // 4))
    with pytest.raises(MessageError, match="key-holder-1 sealed no part"):
        members["key-holder-2"].accept(published)


def test_what_was_altered_on_its_way_names_its_drawer_and_says_so() -> None:
    _, members = key_making(3, 2)
    _, published = made(members)
    for place in (0, 40, -1):  # coin, public half, sealed part
        broken = bytearray(published[0])
        broken[place] ^= 1
        with pytest.raises(MessageError, match=r"key-holder-1 published what .* altered on its way; make new keys"):
            members["key-holder-2"].accept(published | {0: bytes(broken)})
    with pytest.raises(MessageError, match="has the wrong length, or what it sent was altered"):
        members["key-holder-2"].accept(published | {0: published[0][:-1]})
    with pytest.raises(MessageError, match="was not published"):
        members["key-holder-2"].accept({part: published[part] for part in (0, 1)})


def test_a_part_that_is_sealed_to_somebody_else_names_its_drawer() -> None:
    """It was committed to, and cannot be opened."""
    setting, members = key_making(3, 2)
    commitments = {p: each for member in members.values() for p, each in member.commit().items()}
    liar = members["key-holder-1"]
    own = liar._published[0]
    sealed = seal_to(AgreementKey().public, liar._parts[0].keep(), setting.purpose(0, "key-holder-2"))
    liar._published[0] = Published(own.coin, own.public, (sealed,))
    commitments[0] = liar._published[0].commitment(setting, 0)
    published = {p: each for member in members.values() for p, each in member.publish(commitments).items()}
    with pytest.raises(MessageError, match="key-holder-1 sealed no part that key-holder-2 can use"):
        members["key-holder-2"].accept(published)


@pytest.mark.parametrize("halves", [True, False])
def test_who_says_what_another_one_said_is_refused(halves: bool) -> None:
    """2 of 2: member 2 repeats member 1, and the joint key is twice what member 1 has alone, if nobody looks."""
    setting, members = key_making(2, 2)
    first, _ = members.values()
    commitments = first.commit()
    published = first.publish(commitments | {1: commitments[0]})
    if not halves:  # without that check, it is no commitment of member 2's
        other = bytearray(published[0])
        other[-1] ^= 1
        published |= {1: bytes(other)}
        with pytest.raises(MessageError, match="key-holder-2 published what it had not committed to"):
            first.accept(published)
        return
    with pytest.raises(MessageError, match="key-holder-2 published the same public half as key-holder-1"):
        first.accept(published | {1: published[0]})
    with pytest.raises(MessageError, match="key-holder-2 published the same public half as key-holder-1"):
        accept_joint_key(setting, published | {1: published[0]}, {})


def test_a_commitment_is_of_one_drawer_one_part_and_one_session() -> None:
    setting, members = key_making(3, 2)
    said = Published(b"\0" * 32, b"public", (b"sealed",))
    directory, committee, names = setting.directory, setting.committee, setting.names
    found = {
        said.commitment(setting, 0),
        said.commitment(setting, 1),
        said.commitment(Setting(BFV_RING, committee, names, b"another seed", directory), 0),
        said.commitment(Setting(BFV_RING, committee, names[::-1], b"a seed", directory), 0),
        Published(b"\1" * 32, b"public", (b"sealed",)).commitment(setting, 0),
        Published(b"\0" * 32, b"another", (b"sealed",)).commitment(setting, 0),
        Published(b"\0" * 32, b"public", (b"another",)).commitment(setting, 0),
    }
    assert len(found) == 7
    assert setting.drawer(0) == setting.drawer(1)
    assert len(members) == 3


def test_a_key_is_accepted_once_and_only_when_it_is_good() -> None:
    """Two keys would have two memories of answers, and two noises for one question."""
    _, members = key_making(3, 2)
    _, published = made(members)
    member = members["key-holder-2"]
    with pytest.raises(MessageError, match="was not published"):
        member.accept({})
    member.accept(published)
    with pytest.raises(MessageError, match="key-holder-2 has accepted this key before"):
        member.accept(published)


def test_a_member_that_is_started_anew_has_the_noise_that_it_had() -> None:
    key, other = (MemberKey("key-holder-1", {}) for _ in range(2))
    again = MemberKey("key-holder-1", {}, noise_key=key.keep_noise())
    assert again.noise_for(b"asked", 0) == key.noise_for(b"asked", 0)
    assert len({key.noise_for(b"asked", 0), key.noise_for(b"asked", 1), other.noise_for(b"asked", 0)}) == 3
    assert repr(again) == "MemberKey('key-holder-1')"
    with pytest.raises(ConfigurationError, match="the key of noise of key-holder-1 has 3 bytes; give 32"):
        MemberKey("key-holder-1", {}, noise_key=b"\0" * 3)


def test_secrets_are_neither_shown_nor_pickled() -> None:
    _, members = key_making(3, 2)
    maker = members["key-holder-1"]
    maker.commit()
    published = maker._published[0]
    assert repr(published) == "Published()"
    assert repr(maker) == "KeyMaking('key-holder-1')"
    for secret in (maker._parts[0], MemberKey("key-holder-1", {}), maker):
        for copying in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="never pickled"):
                copying(secret)


def test_parts_are_ternary_and_survive_bytes() -> None:
    part, public = KeyPart.generate(BFV_RING, b"seed")
    kept = part.keep()
    again = KeyPart.again(BFV_RING, kept)
    assert again.keep() == kept
    again.require_public(b"seed", public)
    with pytest.raises(MessageError, match="not its public half"):
        again.require_public(b"other seed", public)
    counts = np.bincount(again._ternary + 1, minlength=3)
    assert abs(counts - DEGREE / 3).max() < 5 * math.sqrt(DEGREE * 2 / 9)
    for bad in (b"", kept[:-1], kept + b"\0", b"\xff" * len(kept)):
        with pytest.raises(MessageError, match="part of a key"):
            KeyPart.again(BFV_RING, bad)
    assert repr(part) == "KeyPart(...)"


def test_the_common_polynomial_is_uniform_below_each_prime_and_another_for_another_seed() -> None:
    a = common_polynomial(BFV_RING, b"seed")
    assert a.shape == (len(PRIME_BITS) + 1, DEGREE)
    assert (a < key_moduli(BFV_RING)).all()
    shares = a / key_moduli(BFV_RING)
    assert np.abs(shares.mean(axis=1) - 0.5).max() < 5 / math.sqrt(12 * DEGREE)
    assert (a != common_polynomial(BFV_RING, b"other")).any()
    assert (a == common_polynomial(BFV_RING, b"seed")).all()


def test_words_beyond_their_primes_are_no_joint_key() -> None:
    _, public = KeyPart.generate(BFV_RING, b"seed")
    with pytest.raises(MessageError, match="beyond its primes"):
        JointKey(BFV_RING, b"seed", np.stack([public, np.full_like(public, 1 << 41)]))
