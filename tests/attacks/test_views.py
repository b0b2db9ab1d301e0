"""What an aggregator makes of several uploads and sums: guesses, unless a weakness is planted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from tenseal import sealapi

from secure_fl.attacks import views
from secure_fl.attacks.inversion import rebuild_sum, run_inversion
from secure_fl.attacks.scene import Scene
from secure_fl.attacks.trial import Held, Observatory
from secure_fl.attacks.victim import LocalStep
from secure_fl.attacks.views import FROM_UPLOADS, figures, look
from secure_fl.federation.exhibit import Overheard
from secure_fl.secagg.additive import client as additive_client
from secure_fl.secagg.additive import holder as additive_holder
from secure_fl.secagg.budget import RlwePlan
from secure_fl.secagg.budget.he import POLY_MODULUS_DEGREE
from secure_fl.secagg.hazmat import prg
from secure_fl.secagg.hazmat.he_public import PublicContext
from secure_fl.secagg.hazmat.he_words import ciphertext_of, words_of
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.masked import client as masked_client
from secure_fl.secagg.masked import unmasking
from secure_fl.secagg.packing import Words, pack_bits, pack_fields
from secure_fl.secagg.protocol import Values
from secure_fl.secagg.rlwe.encryption import RlwePublicKey, scaled
from secure_fl.secagg.rlwe.ring import MODULUS

pytestmark = pytest.mark.slow

MakeScene = Callable[..., Scene]
ENCRYPTED = ("ckks", "bfv", "rlwe")
SECRET = ("additive", "masked", *ENCRYPTED)
UNLIKELY = 1e-6


def no_rows(observatory: Observatory, update: Any, rows: int, banks: int, rng: Any) -> NDArray[np.float64]:
    return np.zeros((0, 128))


def play(scene: Scene, trials: int, watched: type[Observatory] = Observatory) -> dict[str, Any]:
    observatory, rng = watched(scene.with_batch(2), LocalStep()), np.random.default_rng(5)
    found = figures([look(observatory, no_rows, rng) for _ in range(trials)])
    return found | {"told_apart": {row["view"]: row["told_apart"] for row in found["views"]}}


@pytest.mark.parametrize("scheme", SECRET)
def test_uploads_tell_nothing(scene: MakeScene, scheme: str) -> None:
    """Keys are fresh: chance alone leaves these limits once in 30,000 runs."""
    found = play(scene(scheme), 30)
    for view in FROM_UPLOADS:
        assert 0.1 <= found["told_apart"][view] <= 0.9, view
    assert found["uniformity"]["p_value"] > UNLIKELY
    assert found["uniformity"]["bytes"] > 600_000
    assert not found["uploads_tell"]


def test_plaintext_tells_everything(scene: MakeScene) -> None:
    found = play(scene("plaintext"), 14)
    assert all(found["told_apart"][view] == 1.0 for view in FROM_UPLOADS)
    assert found["uniformity"]["p_value"] < UNLIKELY
    assert found["uploads_tell"]


@pytest.mark.parametrize("scheme", ["plaintext", *SECRET])
def test_what_sums_say_is_the_same_under_every_scheme(scene: MakeScene, scheme: str) -> None:
    observatory, rng = Observatory(scene(scheme).with_batch(1), LocalStep()), np.random.default_rng(5)
    found = {row["view"]: row for row in figures([look(observatory, rebuild_sum, rng) for _ in range(3)])["views"]}
    for view in ("sum minus n - 1 colluders", "sums with and without the victim"):
        assert found[view]["success_rate"] == found[view]["told_apart"] == 1.0
        assert found[view]["rows"] == 1
    assert found["sum minus n - 2 colluders"]["rows"] == 2
    assert found["sum minus n - 2 colluders"]["told_apart"] == 1.0


def no_mask(vector: Any, seed: bytes) -> None:
    """Adds nothing."""


def test_masks_left_out_are_found(scene: MakeScene, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (masked_client, unmasking):
        monkeypatch.setattr(module, "add_mask", no_mask)
        monkeypatch.setattr(module, "subtract_mask", no_mask)
    found = play(scene("masked"), 14)
    assert found["told_apart"]["one upload"] == found["told_apart"]["two rounds"] == 1.0
    assert found["uniformity"]["p_value"] < UNLIKELY
    assert found["uploads_tell"]
    (row,) = run_inversion(scene("masked"), LocalStep(), (1,), 2, np.random.default_rng(3), lambda *_: None)[0]
    assert row["success_rate"] == 1.0


def test_masks_used_in_two_rounds_are_found(scene: MakeScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each upload by itself looks as it must; their difference is that of two updates."""
    for module in (masked_client, unmasking):
        monkeypatch.setattr(module, "add_mask", lambda vector, seed: prg.add_mask(vector, bytes(32)))
        monkeypatch.setattr(module, "subtract_mask", lambda vector, seed: prg.subtract_mask(vector, bytes(32)))
    found = play(scene("masked"), 14)
    assert found["told_apart"]["two rounds"] == found["told_apart"]["same values twice"] == 1.0
    assert 0 <= found["told_apart"]["one upload"] < 1
    assert found["uploads_tell"]


def test_additive_shares_that_repeat_are_found(scene: MakeScene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(additive_client, "secrets", SimpleNamespace(token_bytes=bytes))
    found = play(scene("additive"), 14)
    assert found["told_apart"]["two rounds"] == found["told_apart"]["same values twice"] == 1.0
    assert found["uploads_tell"]


def test_an_additive_upload_without_shares_taken_off_is_found(
    scene: MakeScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(additive_client, "subtract_mask", no_mask)
    monkeypatch.setattr(additive_holder, "add_mask", no_mask)
    found = play(scene("additive"), 14)
    assert found["told_apart"]["one upload"] == 1.0
    assert found["uploads_tell"]


def seal_with_one_randomness() -> Callable[..., tuple[Words, Words]]:
    """One encryption of zeros for all, to which plain values are added: the second half of each ciphertext repeats."""
    honest = PublicContext.encrypt
    zeros: dict[int, tuple[Words, Words]] = {}

    def encrypt(self: PublicContext, slots: NDArray[np.int64]) -> tuple[Words, Words]:
        zero = np.stack(zeros.setdefault(id(self), honest(self, np.zeros_like(slots))))
        words = zero.reshape(2, len(slots), self._parameters.data_primes, POLY_MODULUS_DEGREE)
        for place, row in enumerate(slots):
            ciphertext = ciphertext_of(self._parameters, self._within, words[:, place])
            sealapi.Evaluator(self._within).add_plain_inplace(ciphertext, self._plaintext(row))
            words[:, place] = words_of(ciphertext)
        return words[0].reshape(-1), words[1].reshape(-1)

    return encrypt


def rlwe_with_one_randomness() -> Callable[..., Halves]:
    """The same of the scheme of our own."""
    honest = RlwePublicKey.encrypt
    zeros: dict[int, Halves] = {}

    def encrypt(self: RlwePublicKey, plan: RlwePlan, values: Values) -> Halves:
        zero = zeros.setdefault(id(self), honest(self, plan, np.zeros_like(values)))
        plain = scaled(pack_fields(values, plan.fields_per_slot, plan.field_base), plan.message_bits)
        return Halves((zero.first + plain.view(np.uint64)) % np.uint64(MODULUS), zero.second)

    return encrypt


@pytest.mark.parametrize("scheme", ENCRYPTED)
def test_ciphertexts_whose_randomness_repeats_are_found(
    scene: MakeScene, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scheme == "rlwe":
        monkeypatch.setattr(RlwePublicKey, "encrypt", rlwe_with_one_randomness())
    else:
        monkeypatch.setattr(PublicContext, "encrypt", seal_with_one_randomness())
    found = play(scene(scheme), 14)
    assert found["told_apart"]["same values twice"] == 1.0
    assert found["uploads_tell"]


class Unencrypted(Observatory):
    """The victim's ciphertext is its values as they are."""

    def sum_of(self, values: Mapping[str, Values], victim: str, absent: str | None = None) -> Held:
        held = super().sum_of(values, victim, absent)
        bits = cast("int", held.cohort.plan.bits)
        sent = SimpleNamespace(payload=memoryview(pack_bits(values[victim], bits)))
        return replace(held, overheard=cast("Overheard", sent))


@pytest.mark.parametrize("scheme", ENCRYPTED)
def test_ciphertexts_that_are_none_are_found(scene: MakeScene, scheme: str, rng: np.random.Generator) -> None:
    found = play(scene(scheme), 14, Unencrypted)
    assert all(found["told_apart"][view] == 1.0 for view in FROM_UPLOADS)
    assert found["uniformity"]["p_value"] < UNLIKELY
    observatory = Unencrypted(scene(scheme).with_batch(1), LocalStep())
    seen = observatory.watch(rng)
    assert np.corrcoef(seen.upload, seen.total)[0, 1] > 0.3


def test_only_the_victims_rows_count_as_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two banks of two rows each are left in the sum; the victim's come first."""
    rows = np.eye(4)
    monkeypatch.setattr(views, "rows_of", lambda banks: rows)
    observatory: Any = SimpleNamespace(
        scene=SimpleNamespace(experiment=SimpleNamespace(batch_size=2)), open_sum=lambda left, banks: left
    )
    for found, share in ((rows[:2], 1.0), (rows[2:], 0.0), (rows[1:3], 0.5)):
        seen = views._rebuild(observatory, lambda *_, f=found: f, np.zeros(4), [], np.random.default_rng(1))
        assert (seen.share, seen.of) == (share, 4)


@pytest.mark.parametrize("uniform", [True, False])
def test_bytes_that_are_not_uniform_tell_something_by_themselves(uniform: bool) -> None:
    counts = np.full(256, 1_000) if uniform else np.arange(256) * 10
    sight = views.Sight({"one upload": 0.5, "two rounds": 0.5}, 0.5, {}, counts)
    assert figures([sight] * 3)["uploads_tell"] != uniform
