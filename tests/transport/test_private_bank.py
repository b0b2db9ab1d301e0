"""A bank on a network whose rows are private: whatever a gateway asks for, no more is spent than the budget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment, run_federation
from secure_fl.codec.quantization import Contribution
from secure_fl.data import Standardization, describe
from secure_fl.data.datasets import BankData, Dataset, open_dataset
from secure_fl.errors import ConfigurationError, PrivacyError
from secure_fl.federation.global_model import GlobalModel
from secure_fl.federation.round_zero import CONTEXT
from secure_fl.privacy.accounts import Lifetime
from secure_fl.privacy.federation import FederationPrivacy
from secure_fl.privacy.lifetime import LedgerStore
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.messages import AGGREGATOR, seal
from secure_fl.transport.agreement import Agreement, context_of
from secure_fl.transport.bank import BankParty
from secure_fl.transport.certificates import make_certificates
from secure_fl.transport.configuration import BankFile
from secure_fl.transport.orders import MODEL, STATISTICS, About, Order
from secure_fl.transport.roster import Roster
from secure_fl.transport.starting_party import run_bank
from tests.transport.federation import SMALL, federation

ROUNDS = 3
PRIVATE = {**SMALL, "scheme": "masked", "epsilon": 3.0, "delta": 1e-5, "batch_size": 256, "rounds": ROUNDS}
pytestmark = [pytest.mark.usefixtures("ledgers"), pytest.mark.slow]
SETTINGS = Experiment(**PRIVATE)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return open_dataset(SETTINGS, tables=True)


@pytest.fixture(scope="module")
def roster(tmp_path_factory: pytest.TempPathFactory) -> Roster:
    return make_certificates(tmp_path_factory.mktemp("private") / "c", SETTINGS, ["localhost"])


class Asked:
    """One bank, and a gateway that asks what the test wants."""

    def __init__(self, roster: Roster, dataset: Dataset, folder: Path) -> None:
        self.data: BankData = dataset.banks[0]
        lifetime = Lifetime(LedgerStore.of_user(), f"{roster.federation}{folder.name}")
        self.privacy = FederationPrivacy.open(SETTINGS, None, (self.data,), folder, True, lifetime)
        self.rows = self.privacy.rows[self.data.name]
        self.party = BankParty(roster, self.data, dataset.key, Identity(), lambda *said: None, self.rows)

    def statistics(self, attempt: int = 1) -> np.ndarray:
        agreed, features = self.party.agreed, len(describe(self.data.train.schema))
        cohort = agreed.cohort(bytes(16), 0, agreed.statistics(features).length, CONTEXT)
        self.party(Order(attempt, STATISTICS, About.of(cohort)))
        return self.party._now.values(cohort)  # type: ignore[union-attr]

    def train(self, round_: int, seed: int = 1) -> Contribution:
        """`seed`: of the model that the gateway sends."""
        agreed, features = self.party.agreed, len(describe(self.data.train.schema))
        model = GlobalModel(agreed.learner.initial(seed), 0.5, 900.0)
        scale = {"mean": [0.0] * features, "std": [1.0] * features}
        context = context_of(model.digest, Standardization(tuple(scale["mean"]), tuple(scale["std"])))
        cohort = agreed.cohort(bytes(16), round_, model.codec(agreed.plan).length, context)
        body = seal(cohort, "broadcast", AGGREGATOR, self.data.name, model.to_bytes())
        self.party(Order(1, MODEL, About.of(cohort), scale, body))
        assert self.party._now is not None
        assert self.party._now.contribution is not None
        return self.party._now.contribution


def test_a_gateway_gets_no_more_out_of_a_bank_than_its_budget(roster: Roster, dataset: Dataset, tmp_path: Path) -> None:
    bank = Asked(roster, dataset, tmp_path)
    bank.statistics()
    for asked in range(1, ROUNDS + 1):
        bank.train(1, seed=asked)  # the same round over and over, each time from another model
    with pytest.raises(PrivacyError, match=r"round 1 would bring bank-1 to epsilon .* beyond its budget of 3 "):
        bank.train(1, seed=ROUNDS + 1)
    with pytest.raises(PrivacyError, match="beyond its budget"):
        bank.train(2)
    assert 2.5 < bank.rows.ledger.epsilon <= 3


def test_what_is_asked_again_is_the_same_and_costs_nothing_also_of_a_bank_that_was_started_anew(
    roster: Roster, dataset: Dataset, tmp_path: Path
) -> None:
    bank = Asked(roster, dataset, tmp_path)
    statistics, update = bank.statistics(), bank.train(1).update
    spent = bank.rows.ledger.epsilon
    assert (bank.statistics(2) == statistics).all()
    assert (bank.train(1).update == update).all()
    again = Asked(roster, dataset, tmp_path)
    assert (again.statistics() == statistics).all()
    assert (again.train(1).update == update).all()
    assert again.rows.ledger.epsilon == spent


def test_two_processes_of_one_bank_have_one_budget(roster: Roster, dataset: Dataset, tmp_path: Path) -> None:
    one = Asked(roster, dataset, tmp_path)
    one.statistics()
    banks = [one, Asked(roster, dataset, tmp_path)]
    for asked in range(1, ROUNDS + 1):
        banks[asked % 2].train(1, seed=asked)
    for bank in banks:
        with pytest.raises(PrivacyError, match="beyond its budget"):
            bank.train(1, seed=ROUNDS + 1)
        assert bank.rows.ledger.lifetime_epsilon <= 3


def test_statistics_hold_noise(roster: Roster, dataset: Dataset, tmp_path: Path) -> None:
    first, second = (Asked(roster, dataset, tmp_path / name).statistics() for name in "ab")
    assert (first != second).mean() > 0.05


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epsilon": None, "noise_multiplier": 2.0}, "noise without an epsilon, whose budget bounds"),
        ({"mechanism": "distributed"}, "distributed noise"),
    ],
)
def test_noise_that_a_gateway_could_wear_down_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"banks on a network do not do {said}"):
        Agreement(Experiment(**{**PRIVATE, **changes}))


def test_a_private_federation_spends_what_it_does_in_memory_also_where_a_bank_is_killed(tmp_path: Path) -> None:
    with federation(tmp_path, **PRIVATE, local_epochs=4) as parties:  # type: ignore[arg-type]
        parties.wait_for_round(1)
        parties.kill("bank-2")
        parties.start("bank-2")
        parties.finish()
        banks = parties.roster.settings.bank_names
        ledgers = {bank: json.loads((tmp_path / f"memory-{bank}" / bank / "ledger.json").read_text()) for bank in banks}
        memory = run_federation(parties.roster.settings).privacy
        assert memory is not None
        expected = {bank.bank: bank.epsilon for bank in memory.banks}
        for bank, ledger in ledgers.items():
            releases = [entry["release"] for entry in ledger["entries"]]
            assert releases == sorted(set(releases)), "nothing is charged twice"
            assert releases[0] == "round 0"
            if len(releases) == ROUNDS + 1:
                assert f"epsilon {expected[bank]:.3f} is spent" in parties.log(bank)
            assert not (tmp_path / f"memory-{bank}" / bank / "noise.key").exists(), "it is forgotten in the end"
        assert len(ledgers["bank-1"]["entries"]) == len(ledgers["bank-3"]["entries"]) == ROUNDS + 1


def test_rows_that_have_no_room_for_life_are_not_brought_into_a_federation(tmp_path: Path) -> None:
    settings = Experiment(**PRIVATE, lifetime_epsilon=1.0)  # type: ignore[arg-type]
    make_certificates(tmp_path / "c", settings, ["localhost"])
    file = BankFile(
        certificates=tmp_path / "c" / "bank-1", gateway="https://localhost:1", memory=tmp_path / "m", out=tmp_path / "o"
    )
    with pytest.raises(PrivacyError, match="life"):
        run_bank(file)
