"""Banks that lie in every way that they have: refused by name, and the sum goes on over the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import DropoutError
from secure_fl.secagg.additive.deployment import HOLDERS
from secure_fl.secagg.additive.wire import UPLOAD
from secure_fl.secagg.budget.proofs import HASH_BYTES, SEALED_MAIL_BYTES
from secure_fl.secagg.hazmat.prg import SEED_BYTES
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.messages import AGGREGATOR, open_message, seal
from secure_fl.secagg.proofs.client import ProvingClient
from secure_fl.secagg.proofs.fiat_shamir import joint_part, joint_seed
from secure_fl.secagg.proofs.field import PRIME, FieldArray
from secure_fl.secagg.proofs.server import DISPROVED
from secure_fl.secagg.proofs.wire import decode_mail, encode_mail
from secure_fl.secagg.protocol import Outcome, Party
from tests.secagg.proofs.scene import Altered, Scene, drawn

BITS, PARAMETERS = 8, 6
NOT_PROVED = "its shares are not those that it proved something of"


@pytest.fixture
def scene() -> Scene:
    return Scene(drawn(5, PARAMETERS), norm_bound=60.0)


def without_bank_2(scene: Scene, outcome: Outcome) -> str:
    """The reason; everybody else is in the sum, which is exact."""
    assert outcome.sum.contributors == set(scene.banks) - {"bank-2"}
    assert outcome.sum.total.tolist() == scene.total([0, 2, 3, 4])
    assert set(outcome.refused) == set(outcome.sum.refused) == {"bank-2"}
    return outcome.refused["bank-2"]


TOP = BITS - 1
LIES: dict[str, dict[int, int]] = {
    "a bit is 2": {3: 2},
    "a bit is -1": {0: PRIME - 1},
    "a value is 256": {**dict.fromkeys(range(TOP), 0), TOP: 2},
    "a value is -1": {**dict.fromkeys(range(1, BITS), 0), 0: PRIME - 1},
    "a value is a million": {0: 10**6},
    "a bit of the slack is 2": {PARAMETERS * BITS: 2},
    "a bit of the slack is -1": {PARAMETERS * BITS + 1: PRIME - 1},
    "two wrong bits that cancel": {0: 2, 1: PRIME - 1},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_inputs_that_are_no_bits_are_refused(scene: Scene, lie: dict[int, int]) -> None:
    outcome = scene.run({"bank-2": scene.liar(1, lie)})
    assert without_bank_2(scene, outcome) == DISPROVED


def too_long(scene: Scene, slack: int) -> dict[int, int]:
    """Bits of a vector whose squared norm is one above the bound of 60 squared, with some slack."""
    values = 128 + np.array([60, 1, 0, 0, 0, 0])
    assert ((values - 128) ** 2).sum() == 60**2 + 1
    bits = [int(value) >> place & 1 for value in values for place in range(BITS)]
    places = scene.plan.circuit.slack_bits
    return dict(enumerate(bits + [slack >> place & 1 for place in range(places)]))


@pytest.mark.parametrize("slack", [0, 1, 4095, 3600])
def test_an_update_that_is_too_long_by_one_squared_step_is_refused(scene: Scene, slack: int) -> None:
    outcome = scene.run({"bank-2": scene.liar(1, too_long(scene, slack))})
    assert without_bank_2(scene, outcome) == DISPROVED


def test_it_does_not_help_to_claim_a_negative_slack(scene: Scene) -> None:
    first = PARAMETERS * BITS
    lie = too_long(scene, 0) | {first: PRIME - 1}
    assert without_bank_2(scene, scene.run({"bank-2": scene.liar(1, lie)})) == DISPROVED


def test_wrong_bits_of_the_slack_are_refused_however_short_the_update_is(scene: Scene) -> None:
    place = PARAMETERS * BITS + 2
    lie = {place: int(scene.client(1)._inputs[place]) ^ 1}
    assert without_bank_2(scene, scene.run({"bank-2": scene.liar(1, lie)})) == DISPROVED


def test_the_same_bank_without_the_lie_is_accepted(scene: Scene) -> None:
    honest = dict(enumerate(scene.client(1)._inputs.tolist()))
    assert scene.run({"bank-2": scene.liar(1, honest)}).refused == {}


def told(scene: Scene) -> tuple[Any, ...]:
    """What bank-2's half is made of."""
    deployed = scene.deployment
    return scene.cohort(), "bank-2", scene.updates[1], deployed._identities.of("bank-2"), deployed._public


class ProvesAnother(ProvingClient):
    """It shares one vector and proves another one, which is valid."""

    def respond(self, request: bytes) -> bytes:
        self._shared, self._valid = self._inputs.copy(), self._inputs
        self._shared[0] = 5
        self._inputs = self._shared
        return super().respond(request)

    def _prove(self, seed: bytes) -> FieldArray:
        self._inputs = self._valid
        return super()._prove(seed)


def test_a_proof_of_another_vector_is_refused(scene: Scene) -> None:
    liar = ProvesAnother(*told(scene))
    assert without_bank_2(scene, scene.run({"bank-2": liar})) == DISPROVED


class ChoosesRandomness(ProvingClient):
    """It proves under joint randomness of its own choice, where what is no bit weighs nothing."""

    def _prove(self, seed: bytes) -> FieldArray:
        return super()._prove(bytes(32))


@pytest.mark.parametrize("lies", [True, False])
def test_joint_randomness_that_is_not_of_the_shares_is_refused(scene: Scene, lies: bool) -> None:
    liar = ChoosesRandomness(*told(scene))
    liar._inputs[3] = 2 if lies else liar._inputs[3]
    assert without_bank_2(scene, scene.run({"bank-2": liar})) == DISPROVED


class TellsOtherParts(ProvingClient):
    """It seals other parts of the joint randomness to one holder than what the others have."""

    party = 1

    def _seal_mail(self, holder: str, mail: bytes) -> bytes:
        seed, parts, signature = decode_mail(self._cohort.plan, mail)
        if holder == HOLDERS[self.party - 1]:
            seed, parts = self._told(seed, parts)
            signature = self._signed(seed, parts)
        return super()._seal_mail(holder, encode_mail(seed, parts, signature))

    def _told(self, seed: bytes, parts: list[bytes]) -> tuple[bytes, list[bytes]]:
        return seed, [bytes(HASH_BYTES), *parts[1:]]

    def _signed(self, seed: bytes, parts: list[bytes]) -> bytes:
        """What the holder takes for the joint seed is signed as well."""
        own = joint_part(self._cohort, self._bank, self.party, [seed])
        joint = joint_seed(self._cohort, self._bank, [*parts[: self.party], own, *parts[self.party :]])
        return self._identity.sign_upload(self._cohort, self._bank, joint)


@pytest.mark.parametrize("party", [1, 2])
def test_parts_that_differ_between_parties_are_refused(scene: Scene, party: int) -> None:
    liar = TellsOtherParts(*told(scene))
    liar.party = party
    assert without_bank_2(scene, scene.run({"bank-2": liar})) == NOT_PROVED


class SealsAnotherSeed(TellsOtherParts):
    def _told(self, seed: bytes, parts: list[bytes]) -> tuple[bytes, list[bytes]]:
        return bytes(SEED_BYTES), parts


def test_shares_that_an_aggregator_made_up_are_left_out(scene: Scene) -> None:
    """It has the share-holders' public keys and no bank's identity key."""
    cohort, name, values, _, public = told(scene)
    stranger = ProvingClient(cohort, name, values, Identity(), public)
    assert without_bank_2(scene, scene.run({"bank-2": stranger})) == f"{', '.join(HOLDERS)} cannot use its share"


@pytest.mark.parametrize("party", [1, 2])
def test_a_seed_of_another_share_is_refused(scene: Scene, party: int) -> None:
    """The holder's own part of the joint randomness tells."""
    liar = SealsAnotherSeed(*told(scene))
    liar.party = party
    assert without_bank_2(scene, scene.run({"bank-2": liar})) == NOT_PROVED


def altered(scene: Scene, change: Callable[[bytes], bytes]) -> Party:
    cohort = scene.cohort()
    return Altered(scene.client(1, cohort), cohort, "bank-2", UPLOAD, change)


MAIL = len(HOLDERS) * SEALED_MAIL_BYTES
REST = MAIL + HASH_BYTES * (1 + len(HOLDERS))
PLACES = {
    "the first holder's mail": (0, "share-holder-1 cannot use its share"),
    "the tag of it": (SEALED_MAIL_BYTES - 1, "share-holder-1 cannot use its share"),
    "the second holder's mail": (SEALED_MAIL_BYTES, "share-holder-2 cannot use its share"),
    "the blind": (MAIL, NOT_PROVED),
    "a part": (MAIL + HASH_BYTES, NOT_PROVED),
    "a share of an input": (REST, NOT_PROVED),
    "a share of a proof": (-8, DISPROVED),
}


@pytest.mark.parametrize(("place", "reason"), PLACES.values(), ids=PLACES)
def test_an_upload_that_is_altered_anywhere_is_refused(scene: Scene, place: int, reason: str) -> None:
    def change(payload: bytes) -> bytes:
        changed = bytearray(payload)
        changed[place] ^= 1
        return bytes(changed)

    assert without_bank_2(scene, scene.run({"bank-2": altered(scene, change)})) == reason


@pytest.mark.slow
@given(st.data())
@settings(max_examples=100)
def test_any_altered_byte_is_noticed(data: st.DataObject) -> None:
    scene = Scene(drawn(5, PARAMETERS), norm_bound=60.0)

    def change(payload: bytes) -> bytes:
        changed = bytearray(payload)
        changed[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
        return bytes(changed)

    without_bank_2(scene, scene.run({"bank-2": altered(scene, change)}))


def test_mail_under_a_key_that_is_none_is_refused(scene: Scene) -> None:
    reason = without_bank_2(scene, scene.run({"bank-2": altered(scene, lambda p: bytes(32) + p[32:])}))
    assert reason == "share-holder-1 cannot use its share"


@pytest.mark.parametrize("change", [lambda p: p[:-8], lambda p: p[:-1], lambda p: p + bytes(8), lambda p: b""])
def test_truncated_and_oversized_uploads_are_refused(scene: Scene, change: Callable[[bytes], bytes]) -> None:
    assert "an upload has" in without_bank_2(scene, scene.run({"bank-2": altered(scene, change)}))


def test_words_that_are_no_elements_are_refused(scene: Scene) -> None:
    reason = without_bank_2(scene, scene.run({"bank-2": altered(scene, lambda p: p[:-8] + b"\xff" * 8)}))
    assert reason == "a word is no element of the field"


class Replays:
    """A bank that sends a payload that was made for something else."""

    def __init__(self, cohort: Any, payload: bytes) -> None:
        self._cohort, self._payload = cohort, payload

    def respond(self, request: bytes) -> bytes:
        return seal(self._cohort, UPLOAD, "bank-2", AGGREGATOR, self._payload)


@pytest.mark.parametrize("of", ["another bank", "another attempt", "another round"])
def test_a_valid_upload_of_somebody_or_something_else_is_refused(scene: Scene, of: str) -> None:
    bank, row = ("bank-1", 0) if of == "another bank" else ("bank-2", 1)
    cohort = {"another attempt": scene.cohort(2), "another round": scene.cohort(1, 2)}.get(of, scene.cohort())
    answer = scene.client(row, cohort).respond(seal(cohort, UPLOAD, AGGREGATOR, bank))
    payload = bytes(open_message(cohort, answer, recipient=AGGREGATOR, sender=bank).payload)
    reason = without_bank_2(scene, scene.run({"bank-2": Replays(scene.cohort(), payload)}))
    assert reason == "share-holder-1, share-holder-2 cannot use its share"


def test_liars_that_leave_too_few_stop_the_sum_and_are_named(scene: Scene) -> None:
    liars: dict[str, Party] = {f"bank-{row + 1}": scene.liar(row, {0: 2}) for row in range(3)}
    with pytest.raises(DropoutError, match=r"only 2 of 5 .*threshold is 3 \(bank-1: its proof does not hold") as caught:
        scene.run(liars)
    assert caught.value.refused == dict.fromkeys(("bank-1", "bank-2", "bank-3"), DISPROVED)


@pytest.mark.slow
def test_a_liar_in_a_whole_update_is_found_out() -> None:
    scene = Scene(drawn(3, 10_369), norm_bound=3000.0)
    outcome = scene.run({"bank-2": scene.liar(1, {80_000: 2})})
    assert outcome.refused == {"bank-2": DISPROVED}
    assert outcome.sum.total.tolist() == scene.total([0, 2])
