"""An aggregator that lies: which scheme opens the victim's update to it, found out with the real halves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from secure_fl.attacks.scene import Scene
from secure_fl.attacks.split_view import VARIANTS, dead_model, isolate, run_split_view
from secure_fl.attacks.trial import Observatory
from secure_fl.attacks.victim import LocalStep
from secure_fl.attacks.withheld_shares import Withholding
from secure_fl.errors import ProtocolError
from secure_fl.secagg import plan
from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.committed.checking import Checked
from secure_fl.secagg.committed.wire import sum_digest, unpack_checked
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.masked import wire
from secure_fl.secagg.masked.client import MaskedClient
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.numbering import decode_numbers

pytestmark = pytest.mark.slow

MakeScene = Callable[..., Scene]

OPENED = [
    ("plaintext", "two-models"),
    ("plaintext", "made-up-banks"),
    ("ckks", "two-models"),
    ("ckks", "made-up-banks"),
    ("bfv", "two-models"),
    ("bfv", "made-up-banks"),
    ("rlwe", "two-models"),
    ("rlwe", "made-up-banks"),
]
REFUSED = [
    ("masked", "two-models"),
    ("masked", "made-up-banks"),
    ("masked", "withheld-shares"),
    ("additive", "two-models"),
    ("additive", "made-up-banks"),
]


def test_a_dead_model_learns_nothing_but_its_last_bias(scene: MakeScene, rng: np.random.Generator) -> None:
    observatory = Observatory(scene("plaintext").with_batch(8), LocalStep())
    lie = dead_model(observatory.model)
    bank = observatory.scene.draw_banks(rng)[1]
    cohort = observatory.aggregation.cohort(1, observatory.codec.length, context=lie.digest)
    bank.receive(cohort, lie.to_bytes())
    assert np.flatnonzero(bank.train(1).update).tolist() == [len(lie.weights) - 1]


@pytest.mark.parametrize(("scheme", "variant"), OPENED)
def test_the_sum_becomes_the_victims_update(
    scene: MakeScene, rng: np.random.Generator, scheme: str, variant: str
) -> None:
    observatory = Observatory(scene(scheme).with_batch(2), LocalStep())
    banks = observatory.scene.draw_banks(rng)
    update = isolate(observatory, variant, banks, rng)
    true = banks[0].train(1).update
    assert np.abs(update - true)[:-1].max() < 1e-6  # steps of quantization
    assert np.abs(true).max() > 1e-3


@pytest.mark.parametrize(("scheme", "variant"), REFUSED)
def test_some_schemes_refuse(scene: MakeScene, rng: np.random.Generator, scheme: str, variant: str) -> None:
    observatory = Observatory(scene(scheme).with_batch(2), LocalStep())
    with pytest.raises(ProtocolError):
        isolate(observatory, variant, observatory.scene.draw_banks(rng), rng)


@pytest.mark.parametrize("scheme", ["ckks", "bfv", "rlwe"])
def test_a_key_authority_opens_a_single_upload(scene: MakeScene, rng: np.random.Generator, scheme: str) -> None:
    observatory = Observatory(scene(scheme).with_batch(2), LocalStep())
    banks = observatory.scene.draw_banks(rng)
    update = isolate(observatory, "single-upload", banks, rng)
    assert np.abs(update - banks[0].train(1).update)[:-1].max() < 1e-6


LOOKING: dict[str, tuple[str, dict[str, Any]]] = {
    "ckks, a witness": ("ckks", {"witnesses": 1}),
    "rlwe, a witness": ("rlwe", {"witnesses": 1}),
    "bfv, 2 of 3": ("bfv", {"holders": 3}),
    "ckks, 2 of 3": ("ckks", {"holders": 3}),
}
REASONS = {
    "two-models": "was given of bank-2 is not what it committed to",
    "made-up-banks": "a signature of bank-2 does not verify",
    "single-upload": "a sum of 1 banks and the threshold is 2",
}


@pytest.mark.parametrize("name", LOOKING)
@pytest.mark.parametrize("variant", REASONS)
def test_who_looks_at_what_is_opened_refuses_whatever_the_aggregator_lets_pass(
    scene: MakeScene, rng: np.random.Generator, name: str, variant: str
) -> None:
    scheme, asked = LOOKING[name]
    observatory = Observatory(scene(scheme, "split-view", **asked).with_batch(2), LocalStep())
    with pytest.raises(ProtocolError, match=REASONS[variant]):
        isolate(observatory, variant, observatory.scene.draw_banks(rng), rng)


@pytest.mark.parametrize("name", ["bfv, 2 of 3", "rlwe, a witness"])
@pytest.mark.parametrize("variant", ["two-models", "made-up-banks"])
def test_holders_that_do_not_look_open_the_victims_update(
    scene: MakeScene, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, name: str, variant: str
) -> None:
    def nothing(cohort: Any, cut: Any, directory: Any, payload: memoryview, who: str) -> Checked:
        listed, uploads = unpack_checked(cohort, cut, payload)
        return Checked(sum_digest(listed, uploads), tuple(upload.shown for upload in uploads.values()))

    for where in ("threshold.member", "witnessed.witness"):
        monkeypatch.setattr(f"secure_fl.secagg.{where}.checked", nothing)
    scheme, asked = LOOKING[name]
    observatory = Observatory(scene(scheme, "split-view", **asked).with_batch(2), LocalStep())
    banks = observatory.scene.draw_banks(rng)
    update = isolate(observatory, variant, banks, rng)
    assert np.abs(update - banks[0].train(1).update)[:-1].max() < 1e-6


def test_made_up_banks_open_a_sum_of_shares_where_holders_ask_for_no_signature(
    scene: MakeScene, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    observatory = Observatory(scene("additive").with_batch(2), LocalStep())
    banks = observatory.scene.draw_banks(rng)
    monkeypatch.setattr("secure_fl.secagg.additive.holder.require_upload", lambda *said: None)
    update = isolate(observatory, "made-up-banks", banks, rng)
    assert np.abs(update - banks[0].train(1).update)[:-1].max() < 1e-6


def test_withheld_shares_are_refused_for_the_reason_that_they_are(scene: MakeScene, rng: np.random.Generator) -> None:
    observatory = Observatory(scene("masked").with_batch(2), LocalStep())
    with pytest.raises(ProtocolError, match="survivors that it did not mask with"):
        isolate(observatory, "withheld-shares", observatory.scene.draw_banks(rng), rng)


@pytest.mark.parametrize(("banks", "threshold", "read"), [(3, 2, 1), (5, 3, 1), (4, 3, 2), (10, 6, 2)])
def test_withheld_shares_open_the_sum_where_banks_do_not_check_the_list(banks: int, threshold: int, read: int) -> None:
    """So the attack is a real one."""

    class Gullible(MaskedClient):
        def _consistency_check(self, payload: memoryview) -> bytes:
            self._survivors = decode_numbers(payload, len(self._cohort.banks))
            keys_hash = self._advertised.hash
            return keys_hash + self._identity.sign(wire.survivors_statement(self._cohort, keys_hash, self._survivors))

    planned = plan("masked", banks, 50, 8, threshold)
    assert isinstance(planned, MaskedPlan)
    names = tuple(f"bank-{row + 1}" for row in range(banks))
    cohort = Cohort(planned, 1, names, (), b"model")
    identities = {name: Identity() for name in names}
    directory = {name: identity.public for name, identity in identities.items()}
    values = np.random.default_rng(banks).integers(0, 256, (banks, 50))
    halves = [Gullible(cohort, name, row, identities[name], directory) for name, row in zip(names, values, strict=True)]
    attack = Withholding(cohort, halves)
    assert len(attack.isolated) == read
    assert attack.read().tolist() == values[:read].sum(axis=0).tolist()


def test_figures(scene: MakeScene, rng: np.random.Generator) -> None:
    for scheme, opened in (("ckks", True), ("masked", False)):
        rows = run_split_view(scene(scheme), LocalStep(), (1,), 2, rng, lambda what, done, total: None)
        without = "single-upload" if scheme == "masked" else "withheld-shares"
        assert [row["variant"] for row in rows] == [variant for variant in VARIANTS if variant != without]
        for row in rows:
            assert row["success_rate"] == (1.0 if opened else 0.0)
            assert row["opened"] == (2 if opened else 0)
            assert (row["refusal"] is None) == opened
            assert 0 <= row["interval"][0] <= row["success_rate"] <= row["interval"][1] <= 1
