"""Rounds with a robust rule, and with banks that attack: who is left out, what is averaged, what is believed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment
from secure_fl.codec.quantization import RANGE_MARGIN
from secure_fl.data import Examples
from secure_fl.errors import DropoutError, TrainingError
from secure_fl.federation import defence
from secure_fl.federation.bank import Bank
from secure_fl.federation.checkpoint import Checkpoint
from secure_fl.federation.opening import Federation
from secure_fl.federation.results import Result
from secure_fl.federation.rounds import RoundOutcome, run_round
from secure_fl.federation.run import run_federation, train_rounds
from secure_fl.robust import RULES
from secure_fl.secagg.plaintext import CUSTODY

Small = Callable[..., Experiment]
Run = Callable[..., Result]

RULED: dict[str, Any] = {"scheme": "plaintext", "banks": 5, "robust": "multi-krum", "byzantine": 1}
POISONED = RULED | {"attack": "sign-flip"}


def opened(experiment: Experiment) -> Federation:
    return Federation.open(experiment, None)


def one_round(federation: Federation) -> RoundOutcome:
    model = federation.start.model
    return run_round(
        federation.aggregation, federation.banks, model, model.to_bytes(), 1, robustness=federation.robustness
    )


def honest_updates(federation: Federation) -> np.ndarray:
    """What each bank trains from its rows, [banks, parameters]; after a round, since banks have its model then."""
    return np.array([bank.train(1).update for bank in federation.banks])


def test_attackers_are_left_out_and_named(run_small: Run) -> None:
    result = run_small(**POISONED)
    for record in result.rounds:
        assert record.contributors == tuple(f"bank-{n}" for n in range(1, 6))
        assert (record.excluded, record.byzantine) == (("bank-5",), ("bank-5",))
    listed = result.metrics()["rounds"]
    assert [(r["excluded"], r["byzantine"]) for r in listed] == [(("bank-5",), ("bank-5",))] * 2


def test_without_rule_and_attack_nobody_is_named(small: Small) -> None:
    done = one_round(opened(small(scheme="plaintext")))
    assert (done.excluded, done.byzantine) == ((), ())


def test_without_attack_a_rule_still_leaves_as_many_out(small: Small) -> None:
    done = one_round(opened(small(**RULED)))
    assert len(done.excluded) == 1
    assert done.byzantine == ()


def test_chosen_updates_are_averaged_equally_however_many_rows_banks_have(small: Small) -> None:
    federation = opened(small(**POISONED, split="size"))
    done = one_round(federation)
    rows = [len(bank.examples) for bank in federation.banks]
    assert max(rows) > 1.5 * min(rows), "a weighted mean would be another one"
    updates = honest_updates(federation)
    chosen = [name not in done.excluded for name in done.contributors]
    assert done.excluded == ("bank-5",)
    assert done.mean.step is not None
    assert np.abs(done.mean.update - updates[chosen].mean(axis=0)).max() < done.mean.step
    weighted = np.average(updates[chosen], axis=0, weights=np.array(rows)[chosen])
    assert np.abs(done.mean.update - weighted).max() > done.mean.step


@pytest.mark.slow
@pytest.mark.parametrize("bits", [16, "float32"])
@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_aggregate_is_the_rules_on_what_banks_sent(rule: str, bits: Any, small: Small) -> None:
    f, banks = (0, 5) if rule == "centred-clip" else (1, 7)
    attack = {"attack": "inner-product"} if f else {}
    settings = {"scheme": "plaintext", "bits": bits, "robust": rule, "byzantine": f, "banks": banks, **attack}
    federation = opened(small(**settings, initial_clip=1.0))
    done = one_round(federation)
    updates = honest_updates(federation)
    if f:
        updates[-1] *= -0.5
    against = federation.robustness.defence
    assert against is not None
    root = None if against.root is None else against.root.update(federation.start.model, 1)
    expected = RULES[rule](updates, f, root)
    step = done.mean.step or 1e-6
    differences = np.abs(done.mean.update - expected.aggregate)
    jumps = rule == "bulyan" and bits == 16  # of two values at about the same distance from a median, one or the other
    assert np.quantile(differences, 0.9 if jumps else 1.0) < 2 * step
    assert done.max_abs_error is not None
    assert done.max_abs_error < (100 if jumps else 2) * step
    left = set(range(banks)) - set(expected.chosen)
    assert {int(name.removeprefix("bank-")) - 1 for name in done.excluded} == left


def test_without_a_rule_an_attacker_reaches_the_model(small: Small) -> None:
    attack: dict[str, Any] = {"banks": 5, "byzantine": 1, "attack": "sign-flip", "attack_strength": 3.0}
    for scheme in ("plaintext", "masked"):
        federation = opened(small(scheme=scheme, initial_clip=1.0, **attack))
        done = one_round(federation)
        assert (done.excluded, done.byzantine) == ((), ("bank-5",))
        sent = honest_updates(federation) * np.array([1, 1, 1, 1, -3])[:, None]
        rows = [len(bank.examples) for bank in federation.banks]
        assert done.mean.step is not None
        assert np.abs(done.mean.update - np.average(sent, axis=0, weights=rows)).max() < done.mean.step


def test_under_a_rule_the_clip_range_follows_the_aggregate_and_nobody_says_how_much_it_clipped(small: Small) -> None:
    wide = {"attack_strength": 1e3, "initial_clip": 0.5}
    ruleless = {name: value for name, value in POISONED.items() if name != "robust"}
    assert (one_round(opened(small(**ruleless, **wide))).clipped_fraction or 0) > 0.05
    federation = opened(small(**POISONED, **wide))
    done = one_round(federation)
    assert done.clipped_fraction is None
    following = federation.start.model.after(done.mean, RANGE_MARGIN)
    assert following.clip == RANGE_MARGIN * np.abs(done.mean.update).max()
    assert following.mean_examples is None
    narrow = opened(small(**POISONED, initial_clip=1e-4))
    assert narrow.start.model.after(one_round(narrow).mean, 30.0).clip > 2e-4, "all clip, so the mean lies at the edge"


def test_without_a_rule_a_bank_that_claims_to_clip_more_than_there_is_stops_the_round(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = Bank.encode

    def lying(bank: Bank, *arguments: Any) -> Any:
        values = encode(bank, *arguments)
        if bank.name == "bank-2":
            values[10_369:] = (1 << 16) - 1
        return values

    monkeypatch.setattr(Bank, "encode", lying)
    with pytest.raises(TrainingError, match="one of them sends a wrong count"):
        one_round(opened(small(scheme="plaintext", banks=6)))


def test_where_too_few_arrive_for_the_rule_the_round_fails(small: Small) -> None:
    federation = opened(small(**RULED, drop=("bank-2@1:upload",)))
    with pytest.raises(
        DropoutError, match="only 4 banks sent an update in round 1, and multi-krum needs 5 where 1 may"
    ):
        one_round(federation)
    enough = one_round(opened(small(**(RULED | {"banks": 6}), drop=("bank-2@1:upload",))))
    assert enough.dropped == ("bank-2",)
    assert "bank-2" not in enough.excluded


@pytest.mark.slow
def test_baselines_are_of_honest_rows(run_small: Run) -> None:
    clean, poisoned = run_small(**RULED), run_small(**RULED, attack="label-flip")
    assert poisoned.local == clean.local
    assert poisoned.central == clean.central


@pytest.mark.slow
def test_a_backdoor_is_learned_where_nobody_defends(small: Small) -> None:
    """Frauds that bear the stamp score lower than they do in a model without the backdoor."""
    from secure_fl.robust.poisoning.rows import stamped
    from secure_fl.training import predict

    def scores(**settings: Any) -> float:
        federation = opened(small(scheme="plaintext", banks=5, rounds=4, learning_rate=0.01, **settings))
        model = train_rounds(federation).model
        rows = federation.test.features[federation.test.fraud]
        found = predict(model.weights, stamped(rows), federation.learner)
        return float(np.mean(found))

    attack: dict[str, Any] = {"byzantine": 1, "attack": "backdoor"}
    clean, poisoned, defended = scores(), scores(**attack), scores(**attack, robust="multi-krum")
    assert poisoned < clean / 2
    assert defended > 2 * poisoned


def test_a_bank_that_claims_many_rows_in_round_0_widens_the_first_clip_range_unless_one_is_given(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, sums and squares alike, so that features stay what they are; steps are then longer than updates."""
    statistics = Bank.statistics
    monkeypatch.setattr(Bank, "statistics", lambda bank: statistics(bank) * (1e6 if bank.name == "bank-5" else 1))
    federation = opened(small(**RULED))
    assert any("where no initial_clip is given" in line for line in federation.custody.assumptions)
    done = one_round(federation)
    assert done.mean.step is not None
    assert done.mean.step > 10 * np.abs(honest_updates(federation)).max()
    assert np.abs(done.mean.update).max() > 5 * np.abs(honest_updates(federation)).max()
    assert opened(small(**RULED, initial_clip=0.02)).start.model.clip == 0.02


def test_custody_says_what_the_aggregator_reads(small: Small) -> None:
    custody = opened(small(**RULED)).custody
    assert custody.can_decrypt == {
        **CUSTODY.can_decrypt,
        "banks": ("their own update", "what the rule makes of all updates"),
    }
    assert "every bank's update" in custody.can_decrypt["aggregator"]
    assert custody.assumptions[:-1] == CUSTODY.assumptions
    assert "multi-krum compares single updates, and bears up to 1 byzantine banks" in custody.assumptions[-1]
    rooted = opened(small(scheme="plaintext", robust="fltrust")).custody
    assert rooted.can_decrypt["aggregator"][-1] == "101 clean training rows, the root set of fltrust"
    assert opened(small(scheme="plaintext")).custody == CUSTODY


def test_a_run_shows_the_custody_of_its_rule(run_small: Run) -> None:
    assert "multi-krum" in run_small(**POISONED).custody.assumptions[-1]


def test_the_root_set_is_a_clean_share_with_frauds() -> None:
    rng = np.random.default_rng(1)

    def bank(rows: int) -> Examples:
        fraud = np.arange(rows) < rows // 100
        return Examples(rng.normal(size=(rows, 3)).astype(np.float32), fraud, fraud.astype(np.int8))

    banks = [bank(20_000), bank(5_000)]
    root = defence._root_rows(banks, 1)
    assert (len(root), int(root.fraud.sum())) == (251, 3)
    every = {row.tobytes() for rows in banks for row in rows.features}
    assert {row.tobytes() for row in root.features} <= every
    assert np.array_equal(root.features, defence._root_rows(banks, 1).features)
    assert not np.array_equal(root.features, defence._root_rows(banks, 2).features)
    assert len(defence._root_rows([bank(60)], 1)) == 60


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"robust": "fltrust", "attack": "free-rider", "attack_strength": 1.0},
        {"robust": "median", "attack": "label-flip"},
    ],
    ids=lambda settings: str(settings["robust"]),
)
def test_a_run_that_was_stopped_goes_on_as_itself(settings: dict[str, Any], small: Small, tmp_path: Path) -> None:
    experiment = small(**(RULED | settings))

    class Stopped(Exception):  # noqa: N818
        pass

    def stop(stage: str, done: int, of: int) -> None:
        if (stage, done) == ("rounds", 1):
            raise Stopped

    with pytest.raises(Stopped):
        run_federation(experiment, stop, Checkpoint(tmp_path / "kept"))
    resumed = run_federation(experiment, checkpoint=Checkpoint(tmp_path / "kept", resume=True))
    whole = run_federation(experiment)
    assert np.array_equal(resumed.model.weights, whole.model.weights)
    assert [r.byzantine for r in resumed.rounds] == [("bank-5",)] * 2
